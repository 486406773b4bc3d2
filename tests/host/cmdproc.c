/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that takes a device's commands out of the ring, as the daemon's does. */
#include "host-internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The daemon calls the handler's close here: from the cancelled thread, or from the one that
 * removes the device when that one had ended. */
static void device_stop(void *user)
{
	struct host_device *device = user;
	bool was_open;

	pthread_mutex_lock(&device->lock);
	if (device->stopped) {
		pthread_mutex_unlock(&device->lock);
		return;
	}
	device->stopping = true;
	was_open = device->is_open;
	device->is_open = false;
	pthread_mutex_unlock(&device->lock);

	if (was_open)
		host_handler->close(&device->dev);

	pthread_mutex_lock(&device->lock);
	device->stopped = true;
	pthread_mutex_unlock(&device->lock);
}

static bool device_flag(struct host_device *device, const bool *flag)
{
	bool value;

	pthread_mutex_lock(&device->lock);
	value = *flag;
	pthread_mutex_unlock(&device->lock);
	return value;
}

/*
 * ThreadSanitizer does not follow a thread that is cancelled inside a call (it goes on ignoring its
 * locks): there the thread cancels itself, at the same places.
 */
#ifdef __SANITIZE_THREAD__
#define CANCEL_ITSELF true
#else
#define CANCEL_ITSELF false
#endif

static bool device_cancelled(struct host_device *device)
{
	return CANCEL_ITSELF && device_flag(device, &device->cancelled);
}

static void device_cancel(struct host_device *device)
{
	uint64_t one = 1;

	if (!CANCEL_ITSELF) {
		pthread_cancel(device->cmdproc);
		return;
	}
	pthread_mutex_lock(&device->lock);
	device->cancelled = true;
	pthread_mutex_unlock(&device->lock);
	if (write(device->event_fd, &one, sizeof(one)) < 0)
		perror("eventfd");
}

static void take_commands(struct host_device *device)
{
	struct tcmulib_cmd *cmd;

	while (!device_flag(device, &device->stopping) && (cmd = libtcmu_next_command(device))) {
		int ret = host_handler->handle_cmd(&device->dev, cmd->hm_private);

		if (ret != TCMU_STS_ASYNC_HANDLED) {
			fprintf(stderr, "handle_cmd returned %d\n", ret);
			abort();
		}
	}
}

static void *cmdproc_run(void *user)
{
	struct host_device *device = user;
	struct pollfd pollfd = {.fd = device->event_fd, .events = POLLIN};
	uint64_t count;

	pthread_cleanup_push(device_stop, device);
	while (!device_cancelled(device)) {
		while (device_flag(device, &device->paused) && !device_cancelled(device))
			usleep(1000);
		if (read(device->event_fd, &count, sizeof(count)) < 0)
			count = 0;
		take_commands(device);
		if (ppoll(&pollfd, 1, NULL, NULL) < 0)
			break;
	}
	pthread_cleanup_pop(CANCEL_ITSELF);
	return NULL;
}

int cmdproc_start(struct host_device *device)
{
	return pthread_create(&device->cmdproc, NULL, cmdproc_run, device);
}

void cmdproc_stop(struct host_device *device)
{
	pthread_mutex_lock(&device->lock);
	device->stopping = true;
	pthread_mutex_unlock(&device->lock);
	device_cancel(device);
	pthread_join(device->cmdproc, NULL);
	device_stop(device);
}

void host_pause(struct host_device *device, bool paused)
{
	uint64_t one = 1;

	pthread_mutex_lock(&device->lock);
	device->paused = paused;
	pthread_mutex_unlock(&device->lock);
	/* Out of ppoll, into the wait. */
	if (write(device->event_fd, &one, sizeof(one)) < 0)
		perror("eventfd");
	if (paused)
		usleep(20000);
}
