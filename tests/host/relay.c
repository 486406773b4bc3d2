/* SPDX-License-Identifier: Apache-2.0 */
/* TCP between an initiator and the target, one thread for all connections. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "target.h"

#define PORT 3270
#define CONNECTIONS 16
#define BUFFER_BYTES 65536

struct relay {
	struct sockaddr_in target;
	char portal[TARGET_PORTAL_MAX];
	pthread_t thread;
	int listener, wake;
	int initiators[CONNECTIONS], targets[CONNECTIONS]; /* -1: free; the thread's */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t done;
	bool cut, stop;
	bool muted[CONNECTIONS];
	uint64_t sent;
	unsigned int connections;
};

static bool write_all(int fd, const char *data, ssize_t len)
{
	while (len > 0) {
		ssize_t written = send(fd, data, (size_t)len, MSG_NOSIGNAL);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		data += written;
		len -= written;
	}
	return true;
}

static void reset(int *fd)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(*fd);
	*fd = -1;
}

static void drop(struct relay *relay, int i)
{
	reset(&relay->initiators[i]);
	reset(&relay->targets[i]);
}

static void take(struct relay *relay)
{
	int initiator = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC), target, i;

	target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (i = 0; i < CONNECTIONS && relay->initiators[i] >= 0; i++)
		;
	if (i == CONNECTIONS ||
	    connect(target, (struct sockaddr *)&relay->target, sizeof(relay->target)) != 0) {
		reset(&initiator);
		close(target);
		return;
	}
	relay->initiators[i] = initiator;
	relay->targets[i] = target;
	pthread_mutex_lock(&relay->lock);
	relay->connections++;
	relay->muted[i] = false;
	pthread_mutex_unlock(&relay->lock);
}

/* False: the connection is at its end. */
static bool pass(struct relay *relay, int i, bool initiator)
{
	int from = initiator ? relay->initiators[i] : relay->targets[i];
	int to = initiator ? relay->targets[i] : relay->initiators[i];
	static char buffer[BUFFER_BYTES];
	ssize_t len = recv(from, buffer, sizeof(buffer), 0);
	bool lost;

	if (len <= 0)
		return false;
	pthread_mutex_lock(&relay->lock);
	lost = relay->muted[i] && !initiator;
	if (initiator)
		relay->sent += (uint64_t)len;
	pthread_mutex_unlock(&relay->lock);
	return lost || write_all(to, buffer, len);
}

static void poll_once(struct relay *relay)
{
	struct pollfd fds[2 + 2 * CONNECTIONS];
	uint64_t count;
	int i;

	fds[0] = (struct pollfd){.fd = relay->wake, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = relay->listener, .events = POLLIN};
	for (i = 0; i < CONNECTIONS; i++) {
		fds[2 + 2 * i] = (struct pollfd){.fd = relay->initiators[i], .events = POLLIN};
		fds[3 + 2 * i] = (struct pollfd){.fd = relay->targets[i], .events = POLLIN};
	}
	poll(fds, 2 + 2 * CONNECTIONS, -1);
	if (fds[0].revents && read(relay->wake, &count, sizeof(count)) < 0)
		perror("relay");
	for (i = 0; i < CONNECTIONS; i++) {
		if (relay->initiators[i] < 0)
			continue;
		if ((fds[2 + 2 * i].revents && !pass(relay, i, true)) ||
		    (fds[3 + 2 * i].revents && !pass(relay, i, false)))
			drop(relay, i);
	}
	if (fds[1].revents)
		take(relay);
}

static void *run(void *user)
{
	struct relay *relay = user;
	bool stop = false;

	while (!stop) {
		int i;

		poll_once(relay);
		pthread_mutex_lock(&relay->lock);
		stop = relay->stop;
		for (i = 0; i < CONNECTIONS; i++)
			if ((relay->cut || stop) && relay->initiators[i] >= 0)
				drop(relay, i);
		relay->cut = false;
		pthread_cond_broadcast(&relay->done);
		pthread_mutex_unlock(&relay->lock);
	}
	return NULL;
}

struct relay *relay_start(const struct target *target)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	char host[TARGET_PORTAL_MAX];
	struct sockaddr_in address;
	int one = 1, i;

	snprintf(host, sizeof(host), "%s", target_portal(target));
	*strchr(host, ':') = '\0';
	relay->target.sin_family = AF_INET;
	relay->target.sin_port = htons((uint16_t)atoi(strchr(target_portal(target), ':') + 1));
	inet_pton(AF_INET, host, &relay->target.sin_addr);
	address = relay->target;
	address.sin_port = htons(PORT);
	snprintf(relay->portal, sizeof(relay->portal), "%.40s:%d", host, PORT);
	for (i = 0; i < CONNECTIONS; i++)
		relay->initiators[i] = relay->targets[i] = -1;
	pthread_mutex_init(&relay->lock, NULL);
	pthread_cond_init(&relay->done, NULL);
	relay->wake = eventfd(0, EFD_CLOEXEC);
	relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(relay->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(relay->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(relay->listener, CONNECTIONS) != 0 ||
	    pthread_create(&relay->thread, NULL, run, relay) != 0) {
		perror("relay");
		abort();
	}
	return relay;
}

static void wake(struct relay *relay)
{
	uint64_t one = 1;

	if (write(relay->wake, &one, sizeof(one)) < 0)
		perror("relay");
}

void relay_stop(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	relay->stop = true;
	pthread_mutex_unlock(&relay->lock);
	wake(relay);
	pthread_join(relay->thread, NULL);
	close(relay->listener);
	close(relay->wake);
	pthread_cond_destroy(&relay->done);
	pthread_mutex_destroy(&relay->lock);
	free(relay);
}

const char *relay_portal(const struct relay *relay)
{
	return relay->portal;
}

void relay_cut(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	relay->cut = true;
	wake(relay);
	while (relay->cut)
		pthread_cond_wait(&relay->done, &relay->lock);
	pthread_mutex_unlock(&relay->lock);
}

void relay_mute(struct relay *relay)
{
	int i;

	pthread_mutex_lock(&relay->lock);
	for (i = 0; i < CONNECTIONS; i++)
		relay->muted[i] = true;
	pthread_mutex_unlock(&relay->lock);
}

uint64_t relay_sent(struct relay *relay)
{
	uint64_t sent;

	pthread_mutex_lock(&relay->lock);
	sent = relay->sent;
	pthread_mutex_unlock(&relay->lock);
	return sent;
}

unsigned int relay_connections(struct relay *relay)
{
	unsigned int connections;

	pthread_mutex_lock(&relay->lock);
	connections = relay->connections;
	pthread_mutex_unlock(&relay->lock);
	return connections;
}
