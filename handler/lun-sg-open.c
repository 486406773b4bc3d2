/* SPDX-License-Identifier: Apache-2.0 */
/* From a path to an open device. */
#include "lun-sg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool error_missing(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ENXIO || error == ENODEV;
}

/* O_PATH: the driver of whatever stands there does not learn that somebody looked. False: errno. */
static bool path_stat(const char *path, struct stat *ret_stat)
{
	int fd, error;

	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fstat(fd, ret_stat) == 0) {
		close(fd);
		return true;
	}
	error = errno;
	close(fd);
	errno = error;
	return false;
}

bool lun_sg_device_find(const char *path, struct lun_sg_device *ret_device, bool *ret_missing,
			char *reason)
{
	struct lun_sg_device device;
	struct stat st;
	int error;

	*ret_missing = false;
	if (!path_stat(path, &st)) {
		error = errno;
		*ret_missing = error_missing(error);
		if (*ret_missing)
			snprintf(reason, LUN_REASON_MAX,
				 "%s is not there (%s): is the LUN attached to this host?", path,
				 strerror(error));
		else
			snprintf(reason, LUN_REASON_MAX, "%s: %s", path, strerror(error));
		return false;
	}
	if (!lun_sg_device_inspect(path, st.st_mode, st.st_rdev, &device, ret_missing, reason))
		return false;
	/* An sg node whose block node udev has not made, or made elsewhere: then the sg node. */
	if (S_ISCHR(st.st_mode) && !device.char_device) {
		struct stat block;

		if (!path_stat(device.open_path, &block) || !S_ISBLK(block.st_mode) ||
		    block.st_rdev != device.rdev) {
			device.char_device = true;
			device.rdev = st.st_rdev;
			snprintf(device.open_path, sizeof(device.open_path), "%s", path);
			snprintf(device.node, sizeof(device.node), "%s", path);
		}
	}
	*ret_device = device;
	return true;
}

int lun_sg_device_open(const struct lun_sg_device *device, int flags, bool *ret_missing,
		       char *reason)
{
	struct stat st;
	int fd, error;

	*ret_missing = false;
	fd = open(device->open_path, flags | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		error = errno;
		*ret_missing = error_missing(error);
		snprintf(reason, LUN_REASON_MAX, "%s cannot be opened: %s%s", device->open_path,
			 strerror(error),
			 error == EROFS || error == EACCES ? " (is it write-protected?)" : "");
		return -error;
	}
	/* A link may have been turned since it was looked at. */
	if (fstat(fd, &st) != 0 || st.st_rdev != device->rdev) {
		close(fd);
		*ret_missing = true;
		snprintf(reason, LUN_REASON_MAX, "%s changed while it was being opened",
			 device->open_path);
		return -EAGAIN;
	}
	return fd;
}
