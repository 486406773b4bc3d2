/* SPDX-License-Identifier: Apache-2.0 */
/* From a path to an open file or block device, one in this process however many nexuses have it open. */
#include "lun-file-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "lun-file-beside.h"
#include "percent.h"

#define FILE_GRANULARITY_BYTES 4096 /* what file systems like */

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file_disk *all;

/* ---- what is there ---- */

/* What a path leads to; as much of it as decides what is opened. */
struct found {
	int fd;
	dev_t device;
	ino_t inode;
	bool is_node;
	struct file_node node;
	uint64_t size;
};

static bool error_missing(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ESTALE || error == ENXIO ||
	       error == ENODEV;
}

static bool refuse_error(const char *path, int error, bool *ret_missing, char *reason)
{
	const char *hint = "";

	*ret_missing = error_missing(error);
	if (*ret_missing) {
		snprintf(reason, LUN_REASON_MAX,
			 "%s is not there (%s): is its file system mounted? (truncate -s 20G makes "
			 "an empty disk)",
			 path, strerror(error));
		return false;
	}
	if (error == EROFS || error == EACCES || error == EPERM)
		hint = " (is it, or its file system, read-only?)";
	else if (error == EBUSY)
		hint = " (is it mounted, or part of another device?)";
	snprintf(reason, LUN_REASON_MAX, "%s cannot be opened for writing: %s%s", path,
		 strerror(error), hint);
	return false;
}

/* A regular file can be a disk. */
static bool inspect_file(const char *path, const struct stat *st, char *reason)
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

static bool inspect(const char *path, const struct stat *st, struct found *ret_found, char *reason)
{
	ret_found->is_node = S_ISBLK(st->st_mode);
	ret_found->device = ret_found->is_node ? st->st_rdev : st->st_dev;
	ret_found->inode = ret_found->is_node ? 0 : st->st_ino;
	ret_found->size = (uint64_t)st->st_size;
	return ret_found->is_node ? file_node_inspect(path, st->st_rdev, &ret_found->node, reason)
				  : inspect_file(path, st, reason);
}

/* Without waiting for a pipe that stands there. flags: O_EXCL, or 0. False: reason. */
static bool open_found(const char *path, int flags, struct found *ret_found, bool *ret_missing,
		       char *reason)
{
	struct found before = {0}, found = {0};
	struct stat st;

	*ret_missing = false;
	if (stat(path, &st) != 0)
		return refuse_error(path, errno, ret_missing, reason);
	if (!inspect(path, &st, &before, reason))
		return false;
	found.fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | (before.is_node ? flags : 0));
	if (found.fd < 0)
		return refuse_error(path, errno, ret_missing, reason);
	if (fstat(found.fd, &st) != 0 || !inspect(path, &st, &found, reason) ||
	    found.device != before.device || found.inode != before.inode) {
		snprintf(reason, LUN_REASON_MAX, "%s changed while it was being opened", path);
		close(found.fd);
		return false;
	}
	*ret_found = found;
	return true;
}

bool file_disk_check(const char *path, bool *ret_missing, char *reason)
{
	char beside[sizeof(((struct cfgstring *)NULL)->lun) + sizeof(LUN_FILE_BESIDE_SUFFIX)];
	struct found found;
	int fd;

	if (!open_found(path, 0, &found, ret_missing, reason))
		return false;
	close(found.fd);
	/* It is made at the first open; what is there must be whole. */
	snprintf(beside, sizeof(beside), "%s" LUN_FILE_BESIDE_SUFFIX, path);
	if (found.is_node || access(beside, F_OK) != 0)
		return true;
	fd = lun_file_beside_open(path, reason);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* ---- what it can ---- */

/* Reads one block that way: the file system says whether it takes blocks of this length. */
static bool try_direct(int fd, size_t block_len)
{
	int flags = fcntl(fd, F_GETFL);
	void *block = NULL;
	bool direct;

	if (posix_memalign(&block, FILE_ALIGN_BYTES, block_len) != 0)
		return false;
	direct = fcntl(fd, F_SETFL, (flags & ~O_NONBLOCK) | O_DIRECT) == 0 &&
		 pread(fd, block, block_len, 0) == (ssize_t)block_len;
	if (!direct)
		fcntl(fd, F_SETFL, flags & ~(O_NONBLOCK | O_DIRECT));
	free(block);
	return direct;
}

/* Beyond the end there is nothing to lose. */
static bool try_thin(const struct found *found)
{
	return fallocate(found->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)found->size,
			 FILE_BLOCK_BYTES) == 0;
}

static uint8_t exponent(uint32_t block_len, uint32_t physical_len)
{
	uint8_t power = 0;

	while (power < 7 && block_len << power < physical_len)
		power++;
	return power;
}

static bool identify_file(struct disk *disk, const char *path, char *reason)
{
	uint8_t naa[LUN_FILE_NAA_BYTES];
	int beside = lun_file_beside_open(path, reason);
	bool read;

	if (beside < 0)
		return false;
	read = lun_file_beside_naa(beside, naa, reason);
	close(beside);
	if (!read)
		return false;
	percent_append_hex(disk->serial, sizeof(disk->serial), naa, sizeof(naa));
	disk->designator[0] = 0x01; /* binary */
	disk->designator[1] = 0x03; /* NAA, of the logical unit */
	disk->designator[3] = sizeof(naa);
	memcpy(disk->designator + 4, naa, sizeof(naa));
	disk->designator_len = 4 + sizeof(naa);
	return true;
}

static bool describe_file(struct disk *disk, const char *path, const struct found *found,
			  char *reason)
{
	disk->block_len_bytes = FILE_BLOCK_BYTES;
	disk->granularity_exponent = exponent(FILE_BLOCK_BYTES, FILE_GRANULARITY_BYTES);
	disk->blocks = found->size / FILE_BLOCK_BYTES;
	disk->thin = try_thin(found);
	return identify_file(disk, path, reason);
}

static bool describe_node(struct disk *disk, const char *path, const struct found *found,
			  char *reason)
{
	static const char vendor[8] = {'P', 'R', 'M', 'I', 'G', ' ', ' ', ' '};
	size_t len = strlen(found->node.name);
	unsigned int physical_len = 0;
	int block_len = 0;
	uint64_t size = 0;

	if (ioctl(found->fd, BLKSSZGET, &block_len) != 0 ||
	    ioctl(found->fd, BLKPBSZGET, &physical_len) != 0 ||
	    ioctl(found->fd, BLKGETSIZE64, &size) != 0 || block_len < FILE_BLOCK_BYTES ||
	    block_len > FILE_ALIGN_BYTES || size < (uint64_t)block_len) {
		snprintf(reason, LUN_REASON_MAX,
			 "%s has blocks of %d bytes and %llu bytes in all: no disk can be made of "
			 "that",
			 path, block_len, (unsigned long long)size);
		return false;
	}
	disk->block_len_bytes = (uint32_t)block_len;
	disk->physical_exponent = exponent((uint32_t)block_len, physical_len);
	disk->granularity_exponent = disk->physical_exponent;
	disk->blocks = size / (uint32_t)block_len;
	disk->thin = found->node.thin;
	snprintf(disk->serial, sizeof(disk->serial), "%.*s", DISK_SERIAL_MAX, found->node.name);
	disk->designator[0] = 0x02; /* ASCII */
	disk->designator[1] = 0x01; /* T10 vendor identification, of the logical unit */
	disk->designator[3] = (uint8_t)(sizeof(vendor) + len);
	memcpy(disk->designator + 4, vendor, sizeof(vendor));
	memcpy(disk->designator + 4 + sizeof(vendor), found->node.name, len);
	disk->designator_len = 4 + sizeof(vendor) + len;
	return true;
}

/* As everybody else makes it from the page. */
static bool designator_text(const struct disk *disk, char *ret_designator)
{
	uint8_t page[4 + DISK_DESIGNATOR_MAX] = {0, 0x83, 0, (uint8_t)disk->designator_len};

	memcpy(page + 4, disk->designator, disk->designator_len);
	return scsi_vpd_designator(page, 4 + disk->designator_len, ret_designator);
}

/* Takes found->fd. */
static struct file_disk *disk_new(const char *path, const struct found *found, char *reason)
{
	struct file_disk *disk = calloc(1, sizeof(*disk));
	pthread_rwlockattr_t attr;

	if (disk == NULL) {
		snprintf(reason, LUN_REASON_MAX, "%s: out of memory", path);
		close(found->fd);
		return NULL;
	}
	if (!(found->is_node ? describe_node(&disk->disk, path, found, reason)
			     : describe_file(&disk->disk, path, found, reason)) ||
	    !designator_text(&disk->disk, disk->designator)) {
		free(disk);
		close(found->fd);
		return NULL;
	}
	disk->users = 1;
	disk->device = found->device;
	disk->inode = found->inode;
	disk->node = found->is_node;
	disk->fd = found->fd;
	snprintf(disk->path, sizeof(disk->path), "%s", path);
	disk->direct = try_direct(disk->fd, disk->disk.block_len_bytes);
	if (!disk->direct)
		log_warning("%s: its file system takes no direct I/O of %u-byte blocks: data goes "
			    "through this host's page cache, and is written at once",
			    path, disk->disk.block_len_bytes);
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
static struct file_disk *find_locked(dev_t device, ino_t inode)
{
	for (struct file_disk *disk = all; disk != NULL; disk = disk->next) {
		unsigned int users = __atomic_load_n(&disk->users, __ATOMIC_SEQ_CST);

		if (disk->forgotten || disk->device != device || disk->inode != inode)
			continue;
		while (users != 0)
			if (__atomic_compare_exchange_n(&disk->users, &users, users + 1, false,
							__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				return disk;
	}
	return NULL;
}

static struct file_disk *find(const struct stat *st)
{
	bool is_node = S_ISBLK(st->st_mode);
	struct file_disk *disk;

	pthread_mutex_lock(&all_lock);
	disk = find_locked(is_node ? st->st_rdev : st->st_dev, is_node ? 0 : st->st_ino);
	pthread_mutex_unlock(&all_lock);
	return disk;
}

struct file_disk *file_disk_open(const char *path, bool *ret_missing, char *reason)
{
	struct file_disk *disk, *made;
	struct found found;
	struct stat st;

	/* Before it is opened: a block device is opened once. */
	disk = stat(path, &st) == 0 ? find(&st) : NULL;
	if (disk != NULL || !open_found(path, O_EXCL, &found, ret_missing, reason))
		return disk;
	made = disk_new(path, &found, reason);
	if (made == NULL)
		return NULL;
	pthread_mutex_lock(&all_lock);
	disk = find_locked(found.device, found.inode);
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

void file_disk_forget(struct file_disk *disk)
{
	pthread_mutex_lock(&all_lock);
	disk->forgotten = true;
	pthread_mutex_unlock(&all_lock);
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
