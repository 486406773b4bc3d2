/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that the handler makes on SCSI devices: the executable's symbols win over libc's for
 * the handler that it loads. "/dev/fake/<lun>/<nexus>" is a block device whose SG_IO goes to the
 * fake LUN; everything else is passed on.
 */
#include "host-internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <scsi/sg.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fake-lun.h"

#define PREFIX "/dev/fake/"
#define FD_MAX 65536
#define DRIVER_SENSE 0x08

static struct fake_lun *luns[HOST_LUNS_MAX];
static bool lun_absent[HOST_LUNS_MAX];
static unsigned int lun_count;
/* What a file descriptor is: 0, or minor + 1. */
static unsigned int fd_device[FD_MAX];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

unsigned int host_add_lun(struct fake_lun *lun)
{
	unsigned int number = lun_count;

	__atomic_store_n(&luns[number], lun, __ATOMIC_RELEASE);
	if (host_root[0])
		sysfs_add_lun(number);
	__atomic_store_n(&lun_count, number + 1, __ATOMIC_RELEASE);
	return number;
}

void host_set_lun_present(unsigned int lun, bool present)
{
	__atomic_store_n(&lun_absent[lun], !present, __ATOMIC_RELEASE);
}

struct fake_lun *host_lun(unsigned int lun)
{
	if (lun >= HOST_LUNS_MAX || __atomic_load_n(&lun_absent[lun], __ATOMIC_ACQUIRE))
		return NULL;
	return __atomic_load_n(&luns[lun], __ATOMIC_ACQUIRE);
}

/* minor + 1 of a fake device's path; 0: none; -1: it is not there. */
static int device_of_path(const char *path)
{
	unsigned int lun, nexus;
	char rest;

	if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
		return 0;
	if (sscanf(path + strlen(PREFIX), "%u/%u%c", &lun, &nexus, &rest) != 2 ||
	    nexus >= HOST_LUN_NEXUSES || !host_lun(lun))
		return -1;
	return (int)(lun * HOST_LUN_NEXUSES + nexus + 1);
}

static unsigned int device_of_fd(int fd)
{
	return fd >= 0 && fd < FD_MAX ? __atomic_load_n(&fd_device[fd], __ATOMIC_ACQUIRE) : 0;
}

static int open_any(int dir, const char *path, int flags, mode_t mode)
{
	int device = device_of_path(path), fd;

	if (device < 0) {
		errno = ENOENT;
		return -1;
	}
	if ((flags & O_ACCMODE) != O_RDONLY && !(flags & O_PATH) && sysfs_write_refused(path)) {
		errno = EINVAL;
		return -1;
	}
	fd = REAL(openat)(dir, device ? "/dev/null" : path, flags, mode);
	if (fd >= 0 && fd < FD_MAX)
		__atomic_store_n(&fd_device[fd], device, __ATOMIC_RELEASE);
	return fd;
}

#define OPEN_MODE(last)                                                                            \
	mode_t mode = 0;                                                                           \
	va_list args;                                                                              \
	va_start(args, last);                                                                      \
	if (last & (O_CREAT | __O_TMPFILE))                                                        \
		mode = va_arg(args, mode_t);                                                       \
	va_end(args)

int open(const char *path, int flags, ...)
{
	OPEN_MODE(flags);
	return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	OPEN_MODE(flags);
	return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	OPEN_MODE(flags);
	return open_any(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	OPEN_MODE(flags);
	return open_any(dir, path, flags, mode);
}

/* What a fortified open() without a mode calls. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

int __open_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

int close(int fd)
{
	if (fd >= 0 && fd < FD_MAX)
		__atomic_store_n(&fd_device[fd], 0, __ATOMIC_RELEASE);
	return REAL(close)(fd);
}

static void stat_device(unsigned int device, struct stat *st)
{
	st->st_mode = S_IFBLK | 0660;
	st->st_rdev = makedev(HOST_MAJOR, device - 1);
	st->st_size = 0;
}

int fstat(int fd, struct stat *st)
{
	unsigned int device = device_of_fd(fd);
	int r = REAL(fstat)(fd, st);

	if (r == 0 && device)
		stat_device(device, st);
	return r;
}

int stat(const char *path, struct stat *st)
{
	int device = device_of_path(path), r;

	if (device < 0) {
		errno = ENOENT;
		return -1;
	}
	r = REAL(stat)(device ? "/dev/null" : path, st);
	if (r == 0 && device)
		stat_device(device, st);
	return r;
}

/* ---- SG_IO ---- */

static void copy_iov(const struct sg_io_hdr *hdr, uint8_t *flat, size_t len, bool in)
{
	const struct sg_iovec *iov = hdr->dxferp;
	size_t i;

	for (i = 0; i < hdr->iovec_count && len > 0; i++) {
		size_t part = iov[i].iov_len < len ? iov[i].iov_len : len;

		if (in)
			memcpy(iov[i].iov_base, flat, part);
		else
			memcpy(flat, iov[i].iov_base, part);
		flat += part;
		len -= part;
	}
}

static void sg_result(struct sg_io_hdr *hdr, const struct fake_result *result)
{
	hdr->status = result->status;
	hdr->masked_status = (result->status >> 1) & 0x1f;
	hdr->host_status = result->host_status;
	hdr->driver_status = 0;
	hdr->sb_len_wr = 0;
	if (result->host_status == 0 && result->status == HOST_CHECK_CONDITION) {
		size_t len =
			result->sense_len < hdr->mx_sb_len ? result->sense_len : hdr->mx_sb_len;

		memcpy(hdr->sbp, result->sense, len);
		hdr->sb_len_wr = (unsigned char)len;
		hdr->driver_status = DRIVER_SENSE;
	}
	if (hdr->status || hdr->host_status || hdr->driver_status)
		hdr->info |= SG_INFO_CHECK;
}

static int sg_io(unsigned int device, struct sg_io_hdr *hdr)
{
	struct fake_lun *lun = host_lun((device - 1) / HOST_LUN_NEXUSES);
	unsigned int nexus = (device - 1) % HOST_LUN_NEXUSES;
	bool in = hdr->dxfer_direction == SG_DXFER_FROM_DEV;
	bool out = hdr->dxfer_direction == SG_DXFER_TO_DEV;
	size_t len = in || out ? hdr->dxfer_len : 0;
	struct fake_result result;
	uint8_t *flat = hdr->dxferp;

	if (!lun) {
		errno = ENODEV;
		return -1;
	}
	if (len > 0 && hdr->iovec_count > 0) {
		flat = calloc(1, len);
		if (out)
			copy_iov(hdr, flat, len, false);
	}
	fake_lun_execute(lun, nexus, hdr->cmdp, hdr->cmd_len, out ? flat : NULL, out ? len : 0,
			 in ? flat : NULL, in ? len : 0, &result);
	hdr->info = 0;
	hdr->resid = in ? (int)(len - result.data_in_len) : 0;
	if (flat != hdr->dxferp) {
		if (in)
			copy_iov(hdr, flat, result.data_in_len, true);
		free(flat);
	}
	sg_result(hdr, &result);
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	unsigned int device = device_of_fd(fd);
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!device)
		return REAL(ioctl)(fd, request, arg);
	if (request == SG_IO)
		return sg_io(device, arg);
	errno = ENOTTY;
	return -1;
}
