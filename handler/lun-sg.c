/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sg backend's threads and connection. SG_IO is synchronous, so each command in flight has a
 * thread; the threads of a LUN are made once, and a command that finds none free waits its turn.
 */
#include "lun-sg.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKER_COUNT 32
#define WORKER_STACK_BYTES ((size_t)256 * 1024)

/* An open device. Reconnecting makes a new one; the old one is closed by its last user. */
struct sg_handle {
	int fd;
	bool char_device;
	uint32_t max_transfer_bytes;
	unsigned int users; /* SG_IOs on it, and one while it is the LUN's */
};

struct lun_sg {
	struct lun lun; /* first */
	char path[CFGSTRING_MAX + 1];

	pthread_mutex_t lock; /* of all below; a leaf, never held over I/O or done() */
	pthread_cond_t queued;
	struct lun_io *first, *last;
	struct sg_handle *handle; /* NULL: not connected */
	bool gone;		  /* the device behind handle went away */
	bool stopping;
	char designator[SCSI_DESIGNATOR_MAX]; /* of the first connect; empty: none yet */

	pthread_t workers[WORKER_COUNT];
	unsigned int worker_count;
};

static struct lun_sg *to_sg(struct lun *lun)
{
	return (struct lun_sg *)lun;
}

/* True: nobody uses it any more, and the caller frees it once the lock is released. */
static bool handle_unref_locked(struct sg_handle *handle)
{
	return handle != NULL && --handle->users == 0;
}

/* close() of a disk may write back what others left in the page cache: not under the lock. */
static void handle_free(struct sg_handle *handle)
{
	close(handle->fd);
	free(handle);
}

static struct lun_io *queue_pop_locked(struct lun_sg *sg)
{
	struct lun_io *io = sg->first;

	sg->first = io->next;
	if (sg->first == NULL)
		sg->last = NULL;
	return io;
}

static void *worker_run(void *user)
{
	struct lun_sg *sg = user;

	pthread_mutex_lock(&sg->lock);
	for (;;) {
		struct sg_handle *handle;
		struct lun_io *io;
		bool gone = false;

		while (sg->first == NULL && !sg->stopping)
			pthread_cond_wait(&sg->queued, &sg->lock);
		if (sg->first == NULL)
			break;
		io = queue_pop_locked(sg);
		handle = sg->gone ? NULL : sg->handle;
		if (handle != NULL)
			handle->users++;
		pthread_mutex_unlock(&sg->lock);

		if (handle != NULL) {
			lun_sg_execute(handle->fd, handle->char_device, handle->max_transfer_bytes,
				       io, &gone);
		} else {
			lun_result_not_ready(&io->result);
			io->result.residual_bytes = io->data_len;
		}
		if (gone) {
			/* Before the answer is out: who reads it may ask lun_is_connected. */
			pthread_mutex_lock(&sg->lock);
			if (handle == sg->handle)
				sg->gone = true;
			pthread_mutex_unlock(&sg->lock);
		}
		io->done(io); /* the caller's again from here */

		pthread_mutex_lock(&sg->lock);
		if (handle_unref_locked(handle)) {
			pthread_mutex_unlock(&sg->lock);
			handle_free(handle);
			pthread_mutex_lock(&sg->lock);
		}
	}
	pthread_mutex_unlock(&sg->lock);
	return NULL;
}

static void sg_submit(struct lun *lun, struct lun_io *io)
{
	struct lun_sg *sg = to_sg(lun);

	io->next = NULL;
	pthread_mutex_lock(&sg->lock);
	if (sg->last != NULL)
		sg->last->next = io;
	else
		sg->first = io;
	sg->last = io;
	pthread_cond_signal(&sg->queued);
	pthread_mutex_unlock(&sg->lock);
}

static bool sg_is_connected(struct lun *lun)
{
	struct lun_sg *sg = to_sg(lun);
	bool connected;

	pthread_mutex_lock(&sg->lock);
	connected = sg->handle != NULL && !sg->gone;
	pthread_mutex_unlock(&sg->lock);
	return connected;
}

/* designator is written by connect alone, which one thread at a time calls. */
static bool same_lun(const struct lun_sg *sg, const struct lun_identity *identity, char *reason)
{
	if (sg->designator[0] == '\0' || strcmp(sg->designator, identity->designator) == 0)
		return true;
	snprintf(
		reason, LUN_REASON_MAX,
		"%.120s is another logical unit now: %.100s, and it was %.100s before; give a name "
		"that stays with the LUN, such as /dev/disk/by-id/wwn-0x...",
		sg->path, identity->designator, sg->designator);
	return false;
}

static bool sg_connect(struct lun *lun, struct lun_identity *ret_identity, char *reason)
{
	struct lun_sg *sg = to_sg(lun);
	struct lun_identity identity;
	struct lun_sg_device device;
	struct sg_handle *handle, *old;
	bool missing, old_unused;
	int fd;

	if (!lun_sg_device_find(sg->path, &device, &missing, reason))
		return false;
	fd = lun_sg_device_open(&device, O_RDWR, &missing, reason);
	if (fd < 0)
		return false;
	handle = calloc(1, sizeof(*handle));
	if (handle == NULL)
		snprintf(reason, LUN_REASON_MAX, "%s: out of memory", sg->path);
	if (handle == NULL || !lun_sg_identify_fully(fd, &device, &identity, reason) ||
	    !same_lun(sg, &identity, reason)) {
		free(handle);
		close(fd);
		return false;
	}
	*handle = (struct sg_handle){.fd = fd,
				     .char_device = device.char_device,
				     .max_transfer_bytes = device.max_transfer_bytes,
				     .users = 1};

	pthread_mutex_lock(&sg->lock);
	old = sg->handle;
	old_unused = handle_unref_locked(old);
	sg->handle = handle;
	sg->gone = false;
	memcpy(sg->designator, identity.designator, sizeof(sg->designator));
	pthread_mutex_unlock(&sg->lock);
	if (old_unused)
		handle_free(old);
	*ret_identity = identity;
	return true;
}

static void sg_destroy(struct lun *lun)
{
	struct lun_sg *sg = to_sg(lun);

	pthread_mutex_lock(&sg->lock);
	sg->stopping = true;
	pthread_cond_broadcast(&sg->queued);
	pthread_mutex_unlock(&sg->lock);
	for (unsigned int i = 0; i < sg->worker_count; i++)
		pthread_join(sg->workers[i], NULL);
	if (handle_unref_locked(sg->handle))
		handle_free(sg->handle);
	pthread_cond_destroy(&sg->queued);
	pthread_mutex_destroy(&sg->lock);
	free(sg);
}

static const struct lun_ops sg_ops = {
	.name = "sg",
	.connect = sg_connect,
	.is_connected = sg_is_connected,
	.submit = sg_submit,
	.destroy = sg_destroy,
};

/* Threads that take no signal: the daemon's are its own affair, and one that interrupted an SG_IO
 * on an sg node would leave the command running behind its answer. */
static int workers_start(struct lun_sg *sg)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int error;

	error = pthread_attr_init(&attr);
	if (error != 0)
		return error;
	pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (sg->worker_count < WORKER_COUNT) {
		char name[16];

		error = pthread_create(&sg->workers[sg->worker_count], &attr, worker_run, sg);
		if (error != 0)
			break;
		snprintf(name, sizeof(name), "prmig-sg-%u", sg->worker_count);
		pthread_setname_np(sg->workers[sg->worker_count], name);
		sg->worker_count++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return error;
}

struct lun *lun_sg_new(const struct cfgstring *cfg, char *reason)
{
	struct lun_sg *sg = calloc(1, sizeof(*sg));
	int error;

	if (sg == NULL) {
		snprintf(reason, LUN_REASON_MAX, "%s: out of memory", cfg->lun);
		return NULL;
	}
	sg->lun.ops = &sg_ops;
	memcpy(sg->path, cfg->lun, sizeof(sg->path));
	pthread_mutex_init(&sg->lock, NULL);
	pthread_cond_init(&sg->queued, NULL);
	error = workers_start(sg);
	if (error != 0) {
		snprintf(reason, LUN_REASON_MAX, "%s: cannot start %d threads: %s", cfg->lun,
			 WORKER_COUNT, strerror(error));
		sg_destroy(&sg->lun);
		return NULL;
	}
	return &sg->lun;
}

bool lun_sg_check(const struct cfgstring *cfg, bool *ret_missing, char *reason)
{
	char designator[SCSI_DESIGNATOR_MAX];
	struct lun_sg_device device;
	bool identified;
	int fd;

	if (!lun_sg_device_find(cfg->lun, &device, ret_missing, reason))
		return false;
	/* Read-only: udev probes a disk whenever somebody who could write to it closes it. */
	fd = lun_sg_device_open(&device, O_RDONLY, ret_missing, reason);
	if (fd < 0)
		return false;
	identified = lun_sg_identify(fd, &device, designator, ret_missing, reason);
	close(fd);
	return identified;
}
