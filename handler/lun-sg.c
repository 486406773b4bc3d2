/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sg backend's connection. SG_IO is synchronous, so each command in flight has a thread.
 */
#include "lun-sg.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lun-pool.h"

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

	pthread_mutex_t lock;	  /* of all below but the pool; a leaf, never held over I/O */
	struct sg_handle *handle; /* NULL: not connected */
	bool gone;		  /* the device behind handle went away */
	char designator[SCSI_DESIGNATOR_MAX]; /* of the first connect; empty: none yet */

	struct lun_pool pool;
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

static void serve(void *user, unsigned int worker, struct lun_io *io)
{
	struct lun_sg *sg = user;
	struct sg_handle *handle;
	bool gone = false, unused;

	(void)worker;
	pthread_mutex_lock(&sg->lock);
	handle = sg->gone ? NULL : sg->handle;
	if (handle != NULL)
		handle->users++;
	pthread_mutex_unlock(&sg->lock);
	if (handle == NULL) {
		lun_result_not_ready(&io->result);
		io->result.residual_bytes = io->data_len;
		return;
	}
	lun_sg_execute(handle->fd, handle->char_device, handle->max_transfer_bytes, io, &gone);
	/* Before the answer is out: who reads it may ask lun_is_connected. */
	pthread_mutex_lock(&sg->lock);
	if (gone && handle == sg->handle)
		sg->gone = true;
	unused = handle_unref_locked(handle);
	pthread_mutex_unlock(&sg->lock);
	if (unused)
		handle_free(handle);
}

static void sg_submit(struct lun *lun, struct lun_io *io)
{
	lun_pool_submit(&to_sg(lun)->pool, io);
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

	lun_pool_stop(&sg->pool);
	if (handle_unref_locked(sg->handle))
		handle_free(sg->handle);
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
	error = lun_pool_start(&sg->pool, "prmig-sg", serve, sg);
	if (error != 0) {
		snprintf(reason, LUN_REASON_MAX, "%s: cannot start %d threads: %s", cfg->lun,
			 LUN_POOL_WORKERS, strerror(error));
		pthread_mutex_destroy(&sg->lock);
		free(sg);
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
