/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest sees: commands and their answers. */
#include "host-internal.h"

#include <errno.h>
#include <time.h>

#define EXECUTE_TIMEOUT_MS 30000

void host_submit(struct host_device *device, struct host_io *io)
{
	kernel_ring_queue(&device->ring, io);
}

bool host_wait(struct host_device *device, struct host_io *io, uint32_t timeout_ms)
{
	struct kernel_ring *ring = &device->ring;
	struct timespec until;
	int error = 0;
	bool answered;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&ring->lock);
	while (io->answers == 0 && error != ETIMEDOUT && !ring->fault[0])
		error = pthread_cond_timedwait(&ring->answered, &ring->lock, &until);
	answered = io->answers > 0;
	pthread_mutex_unlock(&ring->lock);
	return answered;
}

bool host_execute(struct host_device *device, struct host_io *io)
{
	host_submit(device, io);
	return host_wait(device, io, EXECUTE_TIMEOUT_MS);
}

void host_notify_tmr(struct host_device *device)
{
	kernel_ring_queue_tmr(&device->ring);
}

const char *host_fault(struct host_device *device)
{
	return device->ring.fault[0] ? device->ring.fault : NULL;
}

void host_get_stats(struct host_device *device, struct host_ring_stats *ret_stats)
{
	pthread_mutex_lock(&device->ring.lock);
	*ret_stats = device->ring.stats;
	pthread_mutex_unlock(&device->ring.lock);
}

uint32_t host_sense(const struct host_io *io)
{
	return (io->sense[2] & 0x0fu) << 16 | (uint32_t)io->sense[12] << 8 | io->sense[13];
}
