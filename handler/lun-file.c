/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lun-file-internal.h"
#include "lun-pool.h"

struct lun_file {
	struct lun lun; /* first */
	char path[CFGSTRING_MAX + 1];
	uint8_t *scratch; /* FILE_SCRATCH_BYTES for each worker */

	pthread_mutex_t lock;	/* of all below but the pool; a leaf, never held over I/O */
	struct file_disk *disk; /* NULL: not connected */
	uint64_t blocks;	/* at the last connect; 0: there was none */
	char designator[SCSI_DESIGNATOR_MAX]; /* of the first connect; empty: none yet */

	unsigned int seen; /* atomic; how many changes of the file's size this nexus was told of */
	struct lun_pool pool;
};

static struct lun_file *to_file(struct lun *lun)
{
	return (struct lun_file *)lun;
}

static void serve(void *user, unsigned int worker, struct lun_io *io)
{
	struct lun_file *file = user;
	struct file_disk *disk = NULL, *dropped = NULL;
	bool gone;

	pthread_mutex_lock(&file->lock);
	if (file->disk != NULL)
		disk = file_disk_ref(file->disk);
	pthread_mutex_unlock(&file->lock);
	if (disk == NULL) {
		lun_result_not_ready(&io->result);
		io->result.residual_bytes = io->data_len;
		return;
	}
	file_serve(disk, &file->seen, io, file->scratch + (size_t)worker * FILE_SCRATCH_BYTES,
		   &gone);
	/* Before the answer is out: who reads it may ask lun_is_connected. */
	if (gone) {
		file_disk_forget(disk);
		pthread_mutex_lock(&file->lock);
		if (disk == file->disk) {
			dropped = disk;
			file->disk = NULL;
		}
		pthread_mutex_unlock(&file->lock);
	}
	file_disk_unref(dropped);
	file_disk_unref(disk);
}

static void file_submit(struct lun *lun, struct lun_io *io)
{
	lun_pool_submit(&to_file(lun)->pool, io);
}

static bool file_is_connected(struct lun *lun)
{
	struct lun_file *file = to_file(lun);
	bool connected;

	pthread_mutex_lock(&file->lock);
	connected = file->disk != NULL;
	pthread_mutex_unlock(&file->lock);
	return connected;
}

/* designator is written by connect alone, which one thread at a time calls. */
static bool same_lun(const struct lun_file *file, const struct file_disk *disk, char *reason)
{
	if (file->designator[0] == '\0' || strcmp(file->designator, disk->designator) == 0)
		return true;
	snprintf(reason, LUN_REASON_MAX,
		 "%.200s is another logical unit now: %.100s, and it was %.100s before (as the "
		 "file beside it says)",
		 file->path, disk->designator, file->designator);
	return false;
}

static bool file_connect(struct lun *lun, struct lun_identity *ret_identity, char *reason)
{
	struct lun_file *file = to_file(lun);
	struct lun_identity identity = {0};
	struct file_disk *disk, *old;
	unsigned int resized;
	bool missing;

	disk = file_disk_open(file->path, &missing, reason);
	if (disk == NULL)
		return false;
	if (!same_lun(file, disk, reason)) {
		file_disk_unref(disk);
		return false;
	}
	pthread_mutex_lock(&disk->lock);
	identity.blocks = disk->disk.blocks;
	identity.block_len_bytes = disk->disk.block_len_bytes;
	resized = disk->resized;
	pthread_mutex_unlock(&disk->lock);
	identity.max_transfer_bytes = DISK_TRANSFER_MAX * identity.block_len_bytes;
	memcpy(identity.designator, disk->designator, sizeof(identity.designator));
	snprintf(identity.device, sizeof(identity.device), "%s", file->path);

	pthread_mutex_lock(&file->lock);
	old = file->disk;
	file->disk = disk;
	memcpy(file->designator, disk->designator, sizeof(file->designator));
	/* Another file of the same identity may have another size. */
	if (old != disk)
		__atomic_store_n(&file->seen,
				 file->blocks == 0 || file->blocks == identity.blocks ? resized
										      : resized - 1,
				 __ATOMIC_SEQ_CST);
	file->blocks = identity.blocks;
	pthread_mutex_unlock(&file->lock);
	file_disk_unref(old);
	*ret_identity = identity;
	return true;
}

static void file_destroy(struct lun *lun)
{
	struct lun_file *file = to_file(lun);

	lun_pool_stop(&file->pool);
	file_disk_unref(file->disk);
	pthread_mutex_destroy(&file->lock);
	free(file->scratch);
	free(file);
}

static const struct lun_ops file_ops = {
	.name = "file",
	.connect = file_connect,
	.is_connected = file_is_connected,
	.submit = file_submit,
	.destroy = file_destroy,
};

struct lun *lun_file_new(const struct cfgstring *cfg, char *reason)
{
	struct lun_file *file = calloc(1, sizeof(*file));
	void *scratch = NULL;
	int error;

	if (file == NULL || posix_memalign(&scratch, FILE_ALIGN_BYTES,
					   (size_t)LUN_POOL_WORKERS * FILE_SCRATCH_BYTES) != 0) {
		snprintf(reason, LUN_REASON_MAX, "%s: out of memory", cfg->lun);
		free(file);
		return NULL;
	}
	file->lun.ops = &file_ops;
	file->scratch = scratch;
	memcpy(file->path, cfg->lun, sizeof(file->path));
	pthread_mutex_init(&file->lock, NULL);
	error = lun_pool_start(&file->pool, "prmig-file", serve, file);
	if (error != 0) {
		snprintf(reason, LUN_REASON_MAX, "%s: cannot start %d threads: %s", cfg->lun,
			 LUN_POOL_WORKERS, strerror(error));
		pthread_mutex_destroy(&file->lock);
		free(scratch);
		free(file);
		return NULL;
	}
	return &file->lun;
}

bool lun_file_is(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return S_ISREG(st.st_mode);
	return strncmp(path, "/dev/", strlen("/dev/")) != 0;
}

bool lun_file_check(const struct cfgstring *cfg, bool *ret_missing, char *reason)
{
	return file_disk_check(cfg->lun, ret_missing, reason);
}
