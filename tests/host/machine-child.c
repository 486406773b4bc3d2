/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own side: the host in a process, and a thread for each call. */
#include "machine.h"
#include "machine-internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake-lun.h"

#define ARGUMENTS_FIXED 6

bool machine_read(int fd, void *data, size_t len)
{
	while (len > 0) {
		ssize_t part = read(fd, data, len);

		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			return false;
		data = (char *)data + part;
		len -= (size_t)part;
	}
	return true;
}

bool machine_write(int fd, const void *data, size_t len)
{
	while (len > 0) {
		ssize_t part = send(fd, data, len, MSG_NOSIGNAL);

		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			return false;
		data = (const char *)data + part;
		len -= (size_t)part;
	}
	return true;
}

static void *serve(void *user)
{
	int fd = (int)(intptr_t)user;
	struct machine_request request;
	void *arg = NULL;

	if (machine_read(fd, &request, sizeof(request))) {
		if (!request.function) {
			host_stop();
			exit(0);
		}
		arg = calloc(1, request.len + 1);
		if (machine_read(fd, arg, request.len)) {
			((void (*)(void *))((char *)machine_main + request.function))(arg);
			machine_write(fd, arg, request.len);
			machine_write(fd, &request, sizeof(request));
		}
		free(arg);
	}
	close(fd);
	return NULL;
}

static int machine_listen(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 64) != 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

void machine_main(int argc, char **argv)
{
	struct host_config config = {0};
	int ready, listener, i;

	if (argc < ARGUMENTS_FIXED || strcmp(argv[1], MACHINE_ARGUMENT) != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ready = atoi(argv[2]);
	config.root = argv[3];
	config.bus_address = argv[5];
	for (i = ARGUMENTS_FIXED; i < argc; i++) {
		struct fake_lun *lun = fake_lun_attach(argv[i]);

		if (!lun) {
			perror(argv[i]);
			exit(1);
		}
		host_add_lun(lun);
	}
	if (!host_start(&config))
		exit(1);
	listener = machine_listen(argv[4]);
	if (write(ready, "1", 1) != 1)
		exit(1);
	close(ready);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		pthread_t thread;

		if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
}
