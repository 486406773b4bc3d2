/* SPDX-License-Identifier: Apache-2.0 */
/* What a command does with the medium. */
#include "lun-file-internal.h"

#include <errno.h>
#include <string.h>

/* ---- what an errno is to an initiator ---- */

void file_fail(struct file_serving *serving, int error, bool writing)
{
	struct disk_command *command = &serving->command;

	switch (error) {
	case ENOSPC:
	case EDQUOT:
		disk_refuse(command, SCSI_DATA_PROTECT, SCSI_ASC_SPACE_ALLOCATION_FAILED);
		return;
	case EROFS:
	case EPERM:
	case EACCES:
		disk_refuse(command, SCSI_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED);
		return;
	case ENOMEM:
	case EAGAIN:
		serving->status = SCSI_BUSY;
		return;
	case EBADE: /* BLK_STS_NEXUS, of a block device: somebody has reserved what is below it */
		serving->status = SCSI_RESERVATION_CONFLICT;
		return;
	case ESTALE:
	case ENODEV:
	case ENXIO:
		serving->gone = true;
		return;
	default:
		disk_refuse(command, SCSI_MEDIUM_ERROR,
			    writing ? SCSI_ASC_WRITE_ERROR : SCSI_ASC_UNRECOVERED_READ_ERROR);
		return;
	}
}

/* ---- the medium ---- */

static void do_read(struct file_serving *serving)
{
	struct file_cursor cursor = file_cursor_begin(serving->io);
	/* A buffer that is shorter gets what fits. */
	size_t len =
		serving->len < serving->io->data_len ? (size_t)serving->len : serving->io->data_len;
	int error = serving->command.fua ? file_medium_flush(serving->disk) : 0;

	if (error != 0) {
		file_fail(serving, error, true);
		return;
	}
	error = file_medium_read(serving->disk, serving->offset, len, &cursor, serving->scratch);
	if (error != 0)
		file_fail(serving, error, false);
	else
		serving->transferred = (uint32_t)len;
}

static void do_write(struct file_serving *serving)
{
	struct file_cursor cursor = file_cursor_begin(serving->io);
	int error;

	pthread_rwlock_rdlock(&serving->disk->writes);
	error = file_medium_write(serving->disk, serving->offset, (size_t)serving->len,
				  serving->command.fua, &cursor, serving->scratch);
	pthread_rwlock_unlock(&serving->disk->writes);
	if (error != 0)
		file_fail(serving, error, true);
}

static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	return i;
}

/* The command's blocks from done on, into the scratch buffer; at most len bytes. 0: it cannot be read, answered. */
static size_t read_next(struct file_serving *serving, uint64_t done, size_t len)
{
	int error;

	if (len > serving->len - done)
		len = (size_t)(serving->len - done);
	error = file_medium_get(serving->disk, serving->offset + done, len, serving->scratch);
	if (error == 0)
		return len;
	file_fail(serving, error, false);
	return 0;
}

static void do_verify(struct file_serving *serving)
{
	size_t now;

	for (uint64_t done = 0; done < serving->len; done += now) {
		now = read_next(serving, done, FILE_SCRATCH_BYTES);
		if (now == 0)
			return;
	}
}

/* Compares the command's blocks with data-out; repeat: each with the one block there is. */
static bool compare(struct file_serving *serving, struct file_cursor *cursor, bool repeat)
{
	size_t step = repeat ? serving->block_len : FILE_SCRATCH_BYTES / 2, now;
	uint8_t *data = serving->scratch + FILE_SCRATCH_BYTES / 2;

	if (repeat)
		file_cursor_gather(cursor, data, serving->block_len);
	for (uint64_t done = 0; done < serving->len; done += now) {
		size_t at;

		now = read_next(serving, done, step);
		if (now == 0)
			return false;
		if (!repeat)
			file_cursor_gather(cursor, data, now);
		at = first_difference(serving->scratch, data, now);
		if (at < now) {
			disk_miscompare(&serving->command, (uint32_t)(done + at));
			return false;
		}
	}
	return true;
}

static void do_compare(struct file_serving *serving)
{
	struct file_cursor cursor = file_cursor_begin(serving->io);

	compare(serving, &cursor, serving->command.data_blocks < serving->command.blocks);
}

static void do_compare_and_write(struct file_serving *serving)
{
	struct file_cursor cursor = file_cursor_begin(serving->io);
	int error = 0;

	pthread_rwlock_wrlock(&serving->disk->writes);
	if (compare(serving, &cursor, false))
		error = file_medium_write(serving->disk, serving->offset, (size_t)serving->len,
					  serving->command.fua, &cursor, serving->scratch);
	pthread_rwlock_unlock(&serving->disk->writes);
	if (error != 0)
		file_fail(serving, error, true);
}

/* Fills the scratch buffer with the block; true: it is zeros. */
static bool pattern(struct file_serving *serving)
{
	size_t block_len = serving->block_len;
	struct file_cursor cursor = file_cursor_begin(serving->io);

	if (serving->command.data_blocks == 0)
		memset(serving->scratch, 0, block_len);
	else
		file_cursor_gather(&cursor, serving->scratch, block_len);
	for (size_t at = block_len; at < FILE_SCRATCH_BYTES; at += block_len)
		memcpy(serving->scratch + at, serving->scratch, block_len);
	return serving->scratch[0] == 0 &&
	       memcmp(serving->scratch, serving->scratch + 1, block_len - 1) == 0;
}

static int write_same(struct file_serving *serving)
{
	int error = EOPNOTSUPP;

	if (pattern(serving))
		error = file_medium_zero(serving->disk, serving->offset, serving->len,
					 serving->command.unmap);
	if (error != EOPNOTSUPP)
		return error;
	error = 0;
	for (uint64_t done = 0; done < serving->len && error == 0; done += FILE_SCRATCH_BYTES) {
		size_t now = FILE_SCRATCH_BYTES;

		if (now > serving->len - done)
			now = (size_t)(serving->len - done);
		error = file_medium_put(serving->disk, serving->offset + done, now, false,
					serving->scratch);
	}
	return error;
}

static void do_write_same(struct file_serving *serving)
{
	int error;

	pthread_rwlock_rdlock(&serving->disk->writes);
	error = write_same(serving);
	pthread_rwlock_unlock(&serving->disk->writes);
	if (error != 0)
		file_fail(serving, error, true);
}

static void do_unmap(struct file_serving *serving)
{
	int error = 0;

	pthread_rwlock_rdlock(&serving->disk->writes);
	for (size_t i = 0; i < serving->command.extent_count && error == 0; i++) {
		const struct disk_extent *extent = &serving->command.extents[i];

		error = file_medium_zero(serving->disk, extent->lba * serving->block_len,
					 (uint64_t)extent->blocks * serving->block_len, true);
	}
	pthread_rwlock_unlock(&serving->disk->writes);
	if (error != 0)
		file_fail(serving, error, true);
}

static void do_flush(struct file_serving *serving)
{
	int error = file_medium_flush(serving->disk);

	if (error != 0)
		file_fail(serving, error, true);
}

static void do_lba_status(struct file_serving *serving, uint64_t blocks)
{
	uint64_t at = serving->offset, end = blocks * serving->block_len;
	struct disk_lba_status runs[DISK_LBA_STATUS_MAX];
	size_t count = 0;

	while (at < end && count < DISK_LBA_STATUS_MAX) {
		uint64_t run_end;
		bool mapped = file_medium_mapped(serving->disk, at, end, &run_end);

		runs[count++] = (struct disk_lba_status){
			.blocks = (run_end - at) / serving->block_len, .mapped = mapped};
		at = run_end;
	}
	disk_put_lba_status(&serving->command, runs, count);
}

/* ---- which of them ---- */

void file_act(struct file_serving *serving, const struct disk *disk)
{
	switch (serving->command.action) {
	case DISK_ANSWER:
	case DISK_MODE_SELECT:
		break;
	case DISK_READ:
		do_read(serving);
		break;
	case DISK_WRITE:
		do_write(serving);
		break;
	case DISK_VERIFY:
		do_verify(serving);
		break;
	case DISK_COMPARE:
		do_compare(serving);
		break;
	case DISK_COMPARE_AND_WRITE:
		do_compare_and_write(serving);
		break;
	case DISK_WRITE_SAME:
		do_write_same(serving);
		break;
	case DISK_FLUSH:
		do_flush(serving);
		break;
	case DISK_UNMAP:
		do_unmap(serving);
		break;
	case DISK_LBA_STATUS:
		do_lba_status(serving, disk->blocks);
		break;
	}
}
