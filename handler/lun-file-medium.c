/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from and to the file. */
#include "lun-file-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iov.h"

#define PIECES_MAX 256
#define PAGE_BYTES 65536 /* any kernel's pages are within */

/* ---- a command's data ---- */

struct file_cursor file_cursor_begin(const struct lun_io *io)
{
	return (struct file_cursor){.iov = io->iov, .iov_cnt = io->iov_cnt};
}

/* The next piece, at most len bytes of it. */
static struct iovec cursor_take(struct file_cursor *cursor, size_t len)
{
	struct iovec piece;

	while (cursor->at == cursor->iov->iov_len) {
		cursor->iov++;
		cursor->iov_cnt--;
		cursor->at = 0;
	}
	piece.iov_base = (uint8_t *)cursor->iov->iov_base + cursor->at;
	piece.iov_len = cursor->iov->iov_len - cursor->at;
	if (piece.iov_len > len)
		piece.iov_len = len;
	cursor->at += piece.iov_len;
	return piece;
}

void file_cursor_gather(struct file_cursor *cursor, void *buffer, size_t len)
{
	for (size_t done = 0; done < len;) {
		struct iovec piece = cursor_take(cursor, len - done);

		memcpy((uint8_t *)buffer + done, piece.iov_base, piece.iov_len);
		done += piece.iov_len;
	}
}

void file_cursor_scatter(struct file_cursor *cursor, const void *buffer, size_t len)
{
	for (size_t done = 0; done < len;) {
		struct iovec piece = cursor_take(cursor, len - done);

		memcpy(piece.iov_base, (const uint8_t *)buffer + done, piece.iov_len);
		done += piece.iov_len;
	}
}

/* The next pieces as they are, up to len bytes; 0: they cannot be given to O_DIRECT so. */
static size_t cursor_pieces(const struct file_disk *disk, struct file_cursor *cursor, size_t len,
			    struct iovec *pieces, size_t *ret_count)
{
	size_t block_len = disk->disk.block_len_bytes, count = 0, sum = 0;
	struct file_cursor next = *cursor;

	while (sum < len && count < PIECES_MAX) {
		pieces[count] = cursor_take(&next, len - sum);
		if (disk->direct && ((uintptr_t)pieces[count].iov_base % FILE_ALIGN_BYTES != 0 ||
				     pieces[count].iov_len % block_len != 0))
			return 0;
		sum += pieces[count++].iov_len;
	}
	if (sum % block_len != 0 && sum < len)
		return 0;
	*cursor = next;
	*ret_count = count;
	return sum;
}

/* ---- transfers ---- */

/* What the page cache has of it, another host may have changed since. */
static void forget_cached(const struct file_disk *disk, uint64_t offset, const struct iovec *pieces,
			  size_t count)
{
	uint64_t begin = offset / PAGE_BYTES * PAGE_BYTES, end = offset + iov_len(pieces, count);

	end = (end + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	posix_fadvise(disk->fd, (off_t)begin, (off_t)(end - begin), POSIX_FADV_DONTNEED);
}

/* Through the page cache: nothing stays there alone. */
static int vectored(const struct file_disk *disk, bool write, uint64_t offset, struct iovec *pieces,
		    size_t count, bool durable)
{
	int flags = durable || !disk->direct ? RWF_DSYNC : 0;
	size_t first = 0;

	if (!write && !disk->direct)
		forget_cached(disk, offset, pieces, count);
	while (first < count) {
		ssize_t moved = write ? pwritev2(disk->fd, pieces + first, (int)(count - first),
						 (off_t)offset, flags)
				      : preadv(disk->fd, pieces + first, (int)(count - first),
					       (off_t)offset);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved < 0)
			return errno;
		if (moved == 0)
			return write ? EIO : ENODATA;
		offset += (uint64_t)moved;
		while (first < count && (size_t)moved >= pieces[first].iov_len)
			moved -= (ssize_t)pieces[first++].iov_len;
		if (first < count) {
			pieces[first].iov_base = (uint8_t *)pieces[first].iov_base + moved;
			pieces[first].iov_len -= (size_t)moved;
		}
	}
	return 0;
}

int file_medium_get(const struct file_disk *disk, uint64_t offset, size_t len, uint8_t *scratch)
{
	struct iovec piece = {scratch, len};

	return vectored(disk, false, offset, &piece, 1, false);
}

int file_medium_put(const struct file_disk *disk, uint64_t offset, size_t len, bool durable,
		    const uint8_t *scratch)
{
	struct iovec piece = {(uint8_t *)scratch, len};

	return vectored(disk, true, offset, &piece, 1, durable);
}

static uint64_t whole_blocks(const struct file_disk *disk, uint64_t len)
{
	uint64_t block_len = disk->disk.block_len_bytes;

	return (len + block_len - 1) / block_len * block_len;
}

int file_medium_read(const struct file_disk *disk, uint64_t offset, size_t len,
		     struct file_cursor *cursor, uint8_t *scratch)
{
	struct iovec pieces[PIECES_MAX];
	size_t count;
	int error = 0;

	while (len > 0 && error == 0) {
		size_t now = cursor_pieces(disk, cursor, len, pieces, &count);

		if (now > 0) {
			error = vectored(disk, false, offset, pieces, count, false);
		} else {
			now = len < FILE_SCRATCH_BYTES ? len : FILE_SCRATCH_BYTES;
			error = file_medium_get(disk, offset, (size_t)whole_blocks(disk, now),
						scratch);
			if (error == 0)
				file_cursor_scatter(cursor, scratch, now);
		}
		offset += now;
		len -= now;
	}
	return error;
}

int file_medium_write(const struct file_disk *disk, uint64_t offset, size_t len, bool durable,
		      struct file_cursor *cursor, uint8_t *scratch)
{
	struct iovec pieces[PIECES_MAX];
	size_t count;
	int error = 0;

	while (len > 0 && error == 0) {
		size_t now = cursor_pieces(disk, cursor, len, pieces, &count);

		if (now > 0) {
			error = vectored(disk, true, offset, pieces, count, durable);
		} else {
			now = len < FILE_SCRATCH_BYTES ? len : FILE_SCRATCH_BYTES;
			file_cursor_gather(cursor, scratch, now);
			error = file_medium_put(disk, offset, now, durable, scratch);
		}
		offset += now;
		len -= now;
	}
	return error;
}

/* ---- the rest ---- */

int file_medium_size(const struct file_disk *disk, uint64_t *ret_blocks)
{
	uint64_t size;
	struct stat st;

	if (disk->node) {
		if (ioctl(disk->fd, BLKGETSIZE64, &size) != 0)
			return errno;
	} else {
		if (fstat(disk->fd, &st) != 0)
			return errno;
		size = (uint64_t)st.st_size;
	}
	*ret_blocks = size / disk->disk.block_len_bytes;
	return 0;
}

int file_medium_flush(const struct file_disk *disk)
{
	return fdatasync(disk->fd) == 0 ? 0 : errno;
}

int file_medium_zero(const struct file_disk *disk, uint64_t offset, uint64_t len, bool give_back)
{
	int mode = give_back ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	int result;

	do
		result = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
	while (result != 0 && errno == EINTR);
	if (result != 0)
		return errno;
	return disk->direct ? 0 : file_medium_flush(disk);
}

bool file_medium_mapped(const struct file_disk *disk, uint64_t offset, uint64_t end,
			uint64_t *ret_end)
{
	uint64_t block_len = disk->disk.block_len_bytes;
	off_t data, hole;

	*ret_end = end;
	if (disk->node) /* nobody tells */
		return true;
	data = lseek(disk->fd, (off_t)offset, SEEK_DATA);
	if (data < 0)
		return errno != ENXIO; /* ENXIO: no data from here on */
	/* A block that holds some data is mapped. */
	if ((uint64_t)data / block_len > offset / block_len) {
		if ((uint64_t)data < end)
			*ret_end = (uint64_t)data / block_len * block_len;
		return false;
	}
	hole = lseek(disk->fd, (off_t)offset, SEEK_HOLE);
	if (hole >= 0 && (uint64_t)hole < end)
		*ret_end = whole_blocks(disk, (uint64_t)hole);
	return true;
}
