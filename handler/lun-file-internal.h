/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by lun-file*.c; nobody else includes it. */
#ifndef PRMIG_LUN_FILE_INTERNAL_H
#define PRMIG_LUN_FILE_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include "disk.h"
#include "lun.h"

#define FILE_BLOCK_BYTES 512
#define FILE_ALIGN_BYTES 4096	 /* of memory for O_DIRECT: any device takes that */
#define FILE_SCRATCH_BYTES 65536 /* of a worker */

/*
 * An open file, shared by all nexuses of this process that have it open.
 * Lock order: writes, lock.
 */
struct file_disk {
	struct file_disk *next; /* of all; under the lock of lun-file-open.c */
	unsigned int users;	/* atomic; 0: it is going */
	bool forgotten;		/* under that lock, too */
	dev_t device;		/* of a file: where it lies; of a block device: itself */
	ino_t inode;		/* of a block device: 0 */
	int fd;
	bool node; /* a block device */
	bool direct;
	char path[LUN_DEVICE_MAX];
	char designator[SCSI_DESIGNATOR_MAX]; /* as scsi_vpd_designator gives it */

	/* Held for writing by COMPARE AND WRITE, for reading by all else that changes data. */
	pthread_rwlock_t writes;

	pthread_mutex_t lock; /* of what follows; a leaf */
	struct disk disk;
	unsigned int resized; /* how often the file's size was another one */
};

/* ---- opening (lun-file-open.c) ---- */

/* NULL: reason, *ret_missing. */
struct file_disk *file_disk_open(const char *path, bool *ret_missing, char *reason);
/* Another reference to one that the caller has a reference to. */
struct file_disk *file_disk_ref(struct file_disk *disk);
/* NULL is taken. */
void file_disk_unref(struct file_disk *disk);
/* It cannot be reached any more: who opens the path next opens it anew. */
void file_disk_forget(struct file_disk *disk);
/* What would be refused, without making anything. */
bool file_disk_check(const char *path, bool *ret_missing, char *reason);

/* ---- block devices (lun-file-node.c) ---- */

#define FILE_NODE_NAME_MAX 144

struct file_node {
	char name[FILE_NODE_NAME_MAX + 1]; /* the same on every host */
	bool thin;
};

/* False: reason. */
bool file_node_inspect(const char *path, dev_t rdev, struct file_node *ret_node, char *reason);

/* ---- the medium (lun-file-medium.c): each 0, or an errno ---- */

/* Where in a command's data it goes on. */
struct file_cursor {
	const struct iovec *iov;
	size_t iov_cnt;
	size_t at; /* in the first */
};

struct file_cursor file_cursor_begin(const struct lun_io *io);
/* Copies the next len bytes, which must be there. */
void file_cursor_gather(struct file_cursor *cursor, void *buffer, size_t len);
void file_cursor_scatter(struct file_cursor *cursor, const void *buffer, size_t len);

/* The file's length in blocks, now. */
int file_medium_size(const struct file_disk *disk, uint64_t *ret_blocks);
/* len bytes from the offset, which is a block's, on; scratch: FILE_SCRATCH_BYTES, aligned. A length that is no whole block:
 * reading only. ENODATA: the file ends before. */
int file_medium_read(const struct file_disk *disk, uint64_t offset, size_t len,
		     struct file_cursor *cursor, uint8_t *scratch);
int file_medium_write(const struct file_disk *disk, uint64_t offset, size_t len, bool durable,
		      struct file_cursor *cursor, uint8_t *scratch);
/* From and to memory that is aligned; at most FILE_SCRATCH_BYTES. */
int file_medium_get(const struct file_disk *disk, uint64_t offset, size_t len, uint8_t *scratch);
int file_medium_put(const struct file_disk *disk, uint64_t offset, size_t len, bool durable,
		    const uint8_t *scratch);
int file_medium_flush(const struct file_disk *disk);
/* Makes zeros; give_back: and gives the space back. EOPNOTSUPP: the file system cannot. */
int file_medium_zero(const struct file_disk *disk, uint64_t offset, uint64_t len, bool give_back);
/* The first run of blocks that are all mapped, or all not, in [offset, end). */
bool file_medium_mapped(const struct file_disk *disk, uint64_t offset, uint64_t end,
			uint64_t *ret_end);

/* ---- one command (lun-file-serve.c, lun-file-act.c) ---- */

struct file_serving {
	struct file_disk *disk;
	struct lun_io *io;
	struct disk_command command;
	uint32_t block_len;
	uint64_t offset; /* of the command's blocks on the medium, in bytes */
	uint64_t len;
	uint64_t data_out_len; /* what the command needs of it */
	uint32_t transferred;
	uint8_t *scratch;
	bool gone;
	uint8_t status; /* in place of the command's; 0: none */
};

/* What an errno is to an initiator. */
void file_fail(struct file_serving *serving, int error, bool writing);
/* Does what the command says. disk: as it was at its beginning. */
void file_act(struct file_serving *serving, const struct disk *disk);

/* *seen: how many changes of size this nexus has been told. *ret_gone: the file cannot be reached any more. */
void file_serve(struct file_disk *disk, unsigned int *seen, struct lun_io *io, uint8_t *scratch,
		bool *ret_gone);

#endif
