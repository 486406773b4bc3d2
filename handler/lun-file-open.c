/* SPDX-License-Identifier: Apache-2.0 */
/* From a path to an open file, one in this process however many nexuses have it open. */
#include "lun-file-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "lun-file-beside.h"
#include "percent.h"

#define PHYSICAL_EXPONENT 3 /* 4096 bytes: what file systems like */
#define NAA_DESCRIPTOR_LEN 20

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file_disk *all;

/* ---- what is there ---- */

static bool error_missing(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ESTALE;
}

static bool refuse_error(const char *path, int error, bool *ret_missing, char *reason)
{
	*ret_missing = error_missing(error);
	if (*ret_missing)
		snprintf(reason, LUN_REASON_MAX,
			 "%s is not there (%s): is its file system mounted? (truncate -s 20G makes "
			 "an empty disk)",
			 path, strerror(error));
	else
		snprintf(reason, LUN_REASON_MAX, "%s cannot be opened for writing: %s%s", path,
			 strerror(error),
			 error == EROFS || error == EACCES || error == EPERM
				 ? " (is it, or its file system, read-only?)"
				 : "");
	return false;
}

/* It can be a disk. */
static bool inspect(const char *path, const struct stat *st, char *reason)
{
	unsigned long long size = (unsigned long long)st->st_size;

	if (S_ISDIR(st->st_mode)) {
		snprintf(reason, LUN_REASON_MAX, "%s is a directory: give a file or a SCSI disk",
			 path);
		return false;
	}
	if (!S_ISREG(st->st_mode)) {
		snprintf(reason, LUN_REASON_MAX, "%s is no regular file", path);
		return false;
	}
	if (size == 0) {
		snprintf(reason, LUN_REASON_MAX,
			 "%s is empty: give it the size of the disk (truncate -s 20G)", path);
		return false;
	}
	if (size % FILE_BLOCK_BYTES != 0) {
		snprintf(reason, LUN_REASON_MAX,
			 "%s has %llu bytes, which are no whole blocks of %d: truncate -s %llu "
			 "would make it a disk, with zeros at its end",
			 path, size, FILE_BLOCK_BYTES,
			 (size + FILE_BLOCK_BYTES - 1) / FILE_BLOCK_BYTES * FILE_BLOCK_BYTES);
		return false;
	}
	return true;
}

/* Without waiting for a device or a pipe that stands there. A file descriptor, or negative: reason. */
static int open_file(const char *path, struct stat *ret_st, bool *ret_missing, char *reason)
{
	int fd;

	*ret_missing = false;
	if (stat(path, ret_st) != 0) {
		refuse_error(path, errno, ret_missing, reason);
		return -1;
	}
	if (!inspect(path, ret_st, reason))
		return -1;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		refuse_error(path, errno, ret_missing, reason);
		return -1;
	}
	if (fstat(fd, ret_st) != 0 || !inspect(path, ret_st, reason)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool file_disk_check(const char *path, bool *ret_missing, char *reason)
{
	char beside[sizeof(((struct cfgstring *)NULL)->lun) + sizeof(LUN_FILE_BESIDE_SUFFIX)];
	struct stat st;
	int fd = open_file(path, &st, ret_missing, reason);

	if (fd < 0)
		return false;
	close(fd);
	/* It is made at the first open; what is there must be whole. */
	snprintf(beside, sizeof(beside), "%s" LUN_FILE_BESIDE_SUFFIX, path);
	if (access(beside, F_OK) != 0)
		return true;
	fd = lun_file_beside_open(path, reason);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* ---- what it can ---- */

/* Reads one block that way: the file system says whether it takes blocks of this length. */
static bool try_direct(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	void *block = NULL;
	bool direct;

	if (posix_memalign(&block, FILE_ALIGN_BYTES, FILE_BLOCK_BYTES) != 0)
		return false;
	direct = fcntl(fd, F_SETFL, (flags & ~O_NONBLOCK) | O_DIRECT) == 0 &&
		 pread(fd, block, FILE_BLOCK_BYTES, 0) == FILE_BLOCK_BYTES;
	if (!direct)
		fcntl(fd, F_SETFL, flags & ~(O_NONBLOCK | O_DIRECT));
	free(block);
	return direct;
}

/* Beyond the end there is nothing to lose. */
static bool try_thin(int fd, const struct stat *st)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, st->st_size,
			 FILE_BLOCK_BYTES) == 0;
}

static bool identify(struct file_disk *disk, const char *path, char *reason)
{
	uint8_t *descriptor = disk->disk.designator;
	uint8_t naa[LUN_FILE_NAA_BYTES];
	int beside = lun_file_beside_open(path, reason);
	bool read;

	if (beside < 0)
		return false;
	read = lun_file_beside_naa(beside, naa, reason);
	close(beside);
	if (!read)
		return false;
	percent_append_hex(disk->disk.serial, sizeof(disk->disk.serial), naa, sizeof(naa));
	snprintf(disk->designator, sizeof(disk->designator), "naa.%s", disk->disk.serial);
	descriptor[0] = 0x01; /* binary */
	descriptor[1] = 0x03; /* NAA, of the logical unit */
	descriptor[3] = LUN_FILE_NAA_BYTES;
	memcpy(descriptor + 4, naa, sizeof(naa));
	disk->disk.designator_len = NAA_DESCRIPTOR_LEN;
	return true;
}

/* Takes fd. */
static struct file_disk *disk_new(const char *path, int fd, const struct stat *st, char *reason)
{
	struct file_disk *disk = calloc(1, sizeof(*disk));
	pthread_rwlockattr_t attr;

	if (disk == NULL) {
		snprintf(reason, LUN_REASON_MAX, "%s: out of memory", path);
		close(fd);
		return NULL;
	}
	if (!identify(disk, path, reason)) {
		free(disk);
		close(fd);
		return NULL;
	}
	disk->users = 1;
	disk->device = st->st_dev;
	disk->inode = st->st_ino;
	disk->fd = fd;
	snprintf(disk->path, sizeof(disk->path), "%s", path);
	disk->direct = try_direct(fd);
	disk->disk.blocks = (uint64_t)st->st_size / FILE_BLOCK_BYTES;
	disk->disk.block_len_bytes = FILE_BLOCK_BYTES;
	disk->disk.physical_exponent = PHYSICAL_EXPONENT;
	disk->disk.thin = try_thin(fd, st);
	if (!disk->direct)
		log_warning("%s: its file system takes no direct I/O of %d-byte blocks: data goes "
			    "through this host's page cache",
			    path, FILE_BLOCK_BYTES);
	/* A COMPARE AND WRITE does not wait for ever while others write. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&disk->writes, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&disk->lock, NULL);
	return disk;
}

/* ---- shared ---- */

static void disk_free(struct file_disk *disk)
{
	close(disk->fd);
	pthread_mutex_destroy(&disk->lock);
	pthread_rwlock_destroy(&disk->writes);
	free(disk);
}

/* The one that is open, referenced; NULL: none. One without users is about to go. */
static struct file_disk *find_locked(const struct stat *st)
{
	for (struct file_disk *disk = all; disk != NULL; disk = disk->next) {
		unsigned int users = __atomic_load_n(&disk->users, __ATOMIC_SEQ_CST);

		if (disk->device != st->st_dev || disk->inode != st->st_ino)
			continue;
		while (users != 0)
			if (__atomic_compare_exchange_n(&disk->users, &users, users + 1, false,
							__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				return disk;
	}
	return NULL;
}

struct file_disk *file_disk_open(const char *path, bool *ret_missing, char *reason)
{
	struct file_disk *disk, *made;
	struct stat st;
	int fd = open_file(path, &st, ret_missing, reason);

	if (fd < 0)
		return NULL;
	pthread_mutex_lock(&all_lock);
	disk = find_locked(&st);
	pthread_mutex_unlock(&all_lock);
	if (disk != NULL) {
		close(fd);
		return disk;
	}
	made = disk_new(path, fd, &st, reason);
	if (made == NULL)
		return NULL;
	pthread_mutex_lock(&all_lock);
	disk = find_locked(&st);
	if (disk == NULL) {
		made->next = all;
		all = made;
	}
	pthread_mutex_unlock(&all_lock);
	if (disk == NULL)
		return made;
	disk_free(made);
	return disk;
}

struct file_disk *file_disk_ref(struct file_disk *disk)
{
	__atomic_add_fetch(&disk->users, 1, __ATOMIC_SEQ_CST);
	return disk;
}

void file_disk_unref(struct file_disk *disk)
{
	struct file_disk **at = &all;

	if (disk == NULL || __atomic_sub_fetch(&disk->users, 1, __ATOMIC_SEQ_CST) != 0)
		return;
	pthread_mutex_lock(&all_lock);
	while (*at != disk)
		at = &(*at)->next;
	*at = disk->next;
	pthread_mutex_unlock(&all_lock);
	disk_free(disk);
}
