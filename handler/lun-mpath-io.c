/* SPDX-License-Identifier: Apache-2.0 */
/* One command to a multipath map: by the block layer, or by SG_IO on a path. */
#include "lun-mpath-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lun-mpath-cdb.h"

#define SUSPECT_MS 3000
#define ASC_IN_TRANSITION 0x040a
#define ASC_UNAVAILABLE 0x040c

uint64_t mpath_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- paths ---- */

bool mpath_path_unref_locked(struct mpath_path *path)
{
	return path != NULL && --path->users == 0;
}

void mpath_path_free(struct mpath_path *path)
{
	if (path->fd >= 0)
		close(path->fd);
	free(path);
}

bool mpath_node_unref_locked(struct mpath_node *node)
{
	return node != NULL && --node->users == 0;
}

void mpath_node_free(struct mpath_node *node)
{
	close(node->fd);
	free(node);
}

/* Asymmetric access, SPC-4 5.15.2: the port is in transition, standby or unavailable. */
bool mpath_inaccessible(const struct lun_result *result)
{
	uint16_t asc_ascq;
	uint8_t key;

	return !result->unknown && result->status == SCSI_CHECK_CONDITION &&
	       scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq) &&
	       key == SCSI_NOT_READY && asc_ascq >= ASC_IN_TRANSITION &&
	       asc_ascq <= ASC_UNAVAILABLE;
}

bool mpath_path_execute(struct lun_mpath *mpath, struct mpath_path *path, struct lun_io *io)
{
	bool gone;

	lun_sg_execute(path->fd, path->device.char_device, path->device.max_transfer_bytes, io,
		       &gone);
	if (!gone && !io->result.unknown && !mpath_inaccessible(&io->result))
		return true;
	pthread_mutex_lock(&mpath->lock);
	path->suspect_until_ms = mpath_now_ms() + SUSPECT_MS;
	pthread_mutex_unlock(&mpath->lock);
	return false;
}

bool mpath_path_up(struct lun_mpath *mpath, struct mpath_path *path)
{
	bool down;

	pthread_mutex_lock(&mpath->lock);
	down = path->gone || mpath_now_ms() < path->suspect_until_ms;
	pthread_mutex_unlock(&mpath->lock);
	return !down && mpath_path_running(path->device.rdev);
}

/* The next path that is up, from the i-th on, the main path being the first; NULL: no more. The caller puts it back. */
static struct mpath_path *path_get(struct lun_mpath *mpath, size_t *i)
{
	struct mpath_path *path = NULL;

	pthread_mutex_lock(&mpath->lock);
	while (path == NULL && *i < mpath->path_count) {
		path = mpath->paths[(*i)++];
		path->users++;
		pthread_mutex_unlock(&mpath->lock);
		if (mpath_path_up(mpath, path))
			return path;
		pthread_mutex_lock(&mpath->lock);
		if (mpath_path_unref_locked(path)) {
			pthread_mutex_unlock(&mpath->lock);
			mpath_path_free(path);
			pthread_mutex_lock(&mpath->lock);
		}
		path = NULL;
	}
	pthread_mutex_unlock(&mpath->lock);
	return NULL;
}

static void path_put(struct lun_mpath *mpath, struct mpath_path *path)
{
	bool last;

	pthread_mutex_lock(&mpath->lock);
	last = mpath_path_unref_locked(path);
	pthread_mutex_unlock(&mpath->lock);
	if (last)
		mpath_path_free(path);
}

void mpath_not_ready(struct lun_io *io)
{
	lun_result_not_ready(&io->result);
	io->result.residual_bytes = io->data_len;
}

bool mpath_answer_unit_attention(struct lun_mpath *mpath, struct lun_io *io)
{
	struct lun_unit_attention *oldest = mpath->unit_attentions;
	bool waits;

	if (scsi_cdb_ignores_unit_attention(io->cdb[0]))
		return false;
	pthread_mutex_lock(&mpath->lock);
	waits = mpath->unit_attention_count > 0;
	if (waits) {
		lun_result_status(&io->result, SCSI_CHECK_CONDITION);
		io->result.sense_len = oldest->sense_len;
		memcpy(io->result.sense, oldest->sense, oldest->sense_len);
		io->result.residual_bytes = io->data_len;
		mpath->unit_attention_count--;
		memmove(oldest, oldest + 1, mpath->unit_attention_count * sizeof(*oldest));
	}
	pthread_mutex_unlock(&mpath->lock);
	return waits;
}

static void pass(struct lun_mpath *mpath, struct lun_io *io)
{
	bool repeatable = mpath_command_repeatable(io->cdb), answered = false, sent = false;
	struct mpath_path *path;
	size_t i = 0;

	while (!answered && (!sent || repeatable || mpath_inaccessible(&io->result)) &&
	       (path = path_get(mpath, &i)) != NULL) {
		answered = mpath_path_execute(mpath, path, io);
		sent = true;
		path_put(mpath, path);
	}
	if (!sent)
		mpath_not_ready(io);
}

/* ---- the block layer ---- */

/* 0, or an errno. */
static int transfer(int fd, const struct lun_io *io, const struct mpath_command *command)
{
	struct iovec part[MPATH_IOV_MAX];
	size_t count = io->iov_cnt, first = 0;
	uint64_t done = 0;

	memcpy(part, io->iov, count * sizeof(*part));
	while (first < count) {
		off_t offset = (off_t)(command->offset_bytes + done);
		ssize_t moved = command->operation == MPATH_READ
					? preadv2(fd, part + first, (int)(count - first), offset, 0)
					: pwritev2(fd, part + first, (int)(count - first), offset,
						   command->durable ? RWF_DSYNC : 0);

		if (moved < 0)
			return errno;
		if (moved == 0)
			return EIO;
		done += (uint64_t)moved;
		while (first < count && (size_t)moved >= part[first].iov_len)
			moved -= (ssize_t)part[first++].iov_len;
		if (first < count) {
			part[first].iov_base = (uint8_t *)part[first].iov_base + moved;
			part[first].iov_len -= (size_t)moved;
		}
	}
	return 0;
}

static void serve_block(struct lun_mpath *mpath, struct lun_io *io, struct mpath_node *node,
			const struct mpath_command *command)
{
	int error;

	if (command->operation == MPATH_FLUSH)
		error = fdatasync(node->fd) == 0 ? 0 : errno;
	else
		error = transfer(node->fd, io, command);
	switch (error) {
	case 0:
		lun_result_status(&io->result, SCSI_GOOD);
		return;
	case EBADE: /* BLK_STS_NEXUS */
		lun_result_status(&io->result, SCSI_RESERVATION_CONFLICT);
		break;
	case ENOMEM:
	case EAGAIN:
	case EINTR:
		lun_result_status(&io->result, SCSI_BUSY);
		break;
	case ENODEV:
	case ENXIO:
		pthread_mutex_lock(&mpath->lock);
		if (mpath->node == node)
			mpath->gone = true;
		pthread_mutex_unlock(&mpath->lock);
		mpath_not_ready(io);
		io->result.unknown = true;
		return;
	default:
		/* What the LUN says to it, or that no path is left. */
		pass(mpath, io);
		return;
	}
	io->result.residual_bytes = io->data_len;
}

void mpath_serve(struct lun_mpath *mpath, struct lun_io *io)
{
	struct mpath_command command;
	struct mpath_node *node;
	bool last;

	pthread_mutex_lock(&mpath->lock);
	node = mpath->gone ? NULL : mpath->node;
	if (node != NULL)
		node->users++;
	pthread_mutex_unlock(&mpath->lock);
	if (node == NULL) {
		mpath_not_ready(io);
		return;
	}
	if (mpath_answer_unit_attention(mpath, io))
		goto done;
	mpath_command_parse(io, node->block_len_bytes, node->blocks, &command);
	if (command.operation == MPATH_PASS || io->iov_cnt > MPATH_IOV_MAX)
		pass(mpath, io);
	else
		serve_block(mpath, io, node, &command);
done:
	pthread_mutex_lock(&mpath->lock);
	last = mpath_node_unref_locked(node);
	pthread_mutex_unlock(&mpath->lock);
	if (last)
		mpath_node_free(node);
}
