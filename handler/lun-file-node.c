/* SPDX-License-Identifier: Apache-2.0 */
/* A block device that takes no SCSI commands, as a disk: what sysfs says of it. */
#include "lun-file-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lun-file.h"
#include "paths.h"

#define ATTRIBUTE_MAX 256

static bool read_attribute(dev_t rdev, const char *name, char *buf)
{
	return paths_read_attribute(buf, ATTRIBUTE_MAX, "%s/%u:%u/%s", PATHS_DEV_BLOCK, major(rdev),
				    minor(rdev), name);
}

static bool attribute_set(dev_t rdev, const char *name)
{
	char buf[ATTRIBUTE_MAX];

	return read_attribute(rdev, name, buf) && strtoull(buf, NULL, 10) != 0;
}

/* The names that such a device has on every host that has it. NULL: of no kind that has one. */
static const char *identity_attribute(dev_t rdev)
{
	static const char *const names[] = {"dm/uuid", "md/uuid", "wwid"};
	char buf[ATTRIBUTE_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (read_attribute(rdev, names[i], buf))
			return names[i];
	return NULL;
}

bool lun_file_is_node(const char *path)
{
	char buf[ATTRIBUTE_MAX];
	struct stat st;

	/* device/type is a SCSI device's; a partition is no whole of anything. */
	return stat(path, &st) == 0 && S_ISBLK(st.st_mode) &&
	       !read_attribute(st.st_rdev, "device/type", buf) &&
	       !read_attribute(st.st_rdev, "partition", buf) &&
	       identity_attribute(st.st_rdev) != NULL;
}

bool file_node_inspect(const char *path, dev_t rdev, struct file_node *ret_node, char *reason)
{
	const char *attribute = identity_attribute(rdev);
	char name[ATTRIBUTE_MAX];

	if (attribute == NULL || !read_attribute(rdev, attribute, name) || name[0] == '\0' ||
	    strlen(name) > FILE_NODE_NAME_MAX) {
		snprintf(reason, LUN_REASON_MAX,
			 "%s has no name that is the same on every host (a UUID or WWID in sysfs): "
			 "an LVM volume has one",
			 path);
		return false;
	}
	if (strncmp(name, "part", strlen("part")) == 0) {
		snprintf(reason, LUN_REASON_MAX, "%s is a partition (%.64s): give the whole device",
			 path, name);
		return false;
	}
	if (attribute_set(rdev, "ro")) {
		snprintf(reason, LUN_REASON_MAX,
			 "%s is write-protected or set read-only (blockdev --setrw)", path);
		return false;
	}
	snprintf(ret_node->name, sizeof(ret_node->name), "%s", name);
	/* The kernel then makes zeros by a command of the device, or says that it cannot. */
	ret_node->thin = attribute_set(rdev, "queue/discard_max_bytes") &&
			 attribute_set(rdev, "queue/write_zeroes_max_bytes");
	return true;
}
