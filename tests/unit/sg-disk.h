/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One disk, /dev/fake-disk, for the executable that includes this (once): its open, fstat, ioctl
 * and close come before the C library's.
 */
#ifndef PRMIG_TESTS_SG_DISK_H
#define PRMIG_TESTS_SG_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <scsi/sg.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"
#include "fake-lun.h"

#define DISK "/dev/fake-disk"
#define FD_MAX 1024

static struct fake_lun *behind;	       /* NULL: the node is not there */
static struct fake_lun *of_fd[FD_MAX]; /* an open device stays with its LUN */
static int device_error;	       /* of every SG_IO; 0: none */
static unsigned int device_fds;	       /* open for commands */
static unsigned int writable_opens;

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;
	int fd;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (strcmp(path, DISK) != 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (behind == NULL) {
		errno = ENOENT;
		return -1;
	}
	fd = memfd_create("disk", MFD_CLOEXEC);
	if (fd >= FD_MAX)
		abort();
	of_fd[fd] = behind;
	if (!(flags & O_PATH))
		__atomic_add_fetch(&device_fds, 1, __ATOMIC_SEQ_CST);
	else
		of_fd[fd + FD_MAX / 2] = behind;
	writable_opens += (flags & O_ACCMODE) == O_RDWR;
	return fd;
}

/* What open is in a hardened build. */
int __open_2(const char *path, int flags);

int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

int close(int fd)
{
	if (fd >= 0 && fd < FD_MAX / 2 && of_fd[fd] != NULL) {
		if (of_fd[fd + FD_MAX / 2] == NULL)
			__atomic_sub_fetch(&device_fds, 1, __ATOMIC_SEQ_CST);
		of_fd[fd] = of_fd[fd + FD_MAX / 2] = NULL;
	}
	return (int)syscall(SYS_close, fd);
}

int fstat(int fd, struct stat *st)
{
	int error = fstatat(fd, "", st, AT_EMPTY_PATH);

	if (error == 0 && fd < FD_MAX / 2 && of_fd[fd] != NULL) {
		st->st_mode = S_IFBLK | 0660;
		st->st_rdev = makedev(8, 0);
	}
	return error;
}

/* As kernel 6.1: the iovec is one buffer. */
static int sg_io(struct fake_lun *fake, struct sg_io_hdr *hdr)
{
	struct iovec one = {.iov_base = hdr->dxferp, .iov_len = hdr->dxfer_len};
	const struct iovec *iov = hdr->iovec_count ? hdr->dxferp : &one;
	size_t iov_cnt = hdr->iovec_count ? hdr->iovec_count : 1, at = 0;
	bool out = hdr->dxfer_direction == SG_DXFER_TO_DEV;
	bool in = hdr->dxfer_direction == SG_DXFER_FROM_DEV;
	uint8_t *buffer = calloc(1, hdr->dxfer_len + 1);
	struct fake_result result;

	CHECK(hdr->interface_id == 'S');
	if (hdr->cmd_len > 32) {
		free(buffer);
		errno = EINVAL;
		return -1;
	}
	for (size_t i = 0; out && i < iov_cnt; at += iov[i++].iov_len)
		memcpy(buffer + at, iov[i].iov_base, iov[i].iov_len);
	fake_lun_execute(fake, 0, hdr->cmdp, hdr->cmd_len, out ? buffer : NULL,
			 out ? hdr->dxfer_len : 0, in ? buffer : NULL, in ? hdr->dxfer_len : 0,
			 &result);
	for (size_t i = 0; in && i < iov_cnt; at += iov[i++].iov_len)
		memcpy(iov[i].iov_base, buffer + at, iov[i].iov_len);
	free(buffer);
	hdr->host_status = result.host_status;
	hdr->status = result.status;
	hdr->sb_len_wr = result.sense_len < hdr->mx_sb_len ? result.sense_len : hdr->mx_sb_len;
	memcpy(hdr->sbp, result.sense, hdr->sb_len_wr);
	hdr->driver_status = result.status == SCSI_CHECK_CONDITION ? 8 : 0;
	hdr->resid = in ? (int)(hdr->dxfer_len - result.data_in_len) : 0;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int error;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	error = __atomic_load_n(&device_error, __ATOMIC_SEQ_CST);
	if (request != SG_IO || of_fd[fd] == NULL || error != 0) {
		errno = error != 0 ? error : ENOTTY;
		return -1;
	}
	return sg_io(of_fd[fd], arg);
}

#endif
