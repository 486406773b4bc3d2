/* SPDX-License-Identifier: Apache-2.0 */
/* What a device node is, by sysfs: a SCSI disk, or something else that is named in the refusal. */
#include "lun-sg.h"

#include <ctype.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "paths.h"

#define SG_MAJOR 21
#define SG_MAX_TRANSFER_BYTES (512 * 1024) /* 16 of sg's 32 KiB elements: every adapter's table */
#define ATTRIBUTE_MAX 256
#define SYSFS_PATH_MAX 4096

/* The directory of a device in sysfs. */
struct sysfs_dir {
	const char *class_path; /* PATHS_DEV_BLOCK or PATHS_DEV_CHAR */
	unsigned int major, minor;
};

static bool dir_exists(const struct sysfs_dir *dir, const char *name)
{
	char path[SYSFS_PATH_MAX];

	return paths_format(path, sizeof(path), "%s/%u:%u/%s", dir->class_path, dir->major,
			    dir->minor, name) >= 0 &&
	       access(path, F_OK) == 0;
}

/* The whole of a small attribute, without the newline at its end. buf: ATTRIBUTE_MAX. */
static bool dir_read(const struct sysfs_dir *dir, const char *name, char *buf)
{
	return paths_read_attribute(buf, ATTRIBUTE_MAX, "%s/%u:%u/%s", dir->class_path, dir->major,
				    dir->minor, name);
}

static bool dir_read_number(const struct sysfs_dir *dir, const char *name, uint64_t *ret_number)
{
	char buf[ATTRIBUTE_MAX];
	char *end;
	uint64_t number;

	if (!dir_read(dir, name, buf) || !isdigit((unsigned char)buf[0]))
		return false;
	number = strtoull(buf, &end, 10);
	if (*end != '\0')
		return false;
	*ret_number = number;
	return true;
}

/* DEVNAME of a uevent file: "sdb". buf: ATTRIBUTE_MAX; empty where there is none. */
static void dir_device_name(const struct sysfs_dir *dir, const char *uevent, char *buf)
{
	char text[ATTRIBUTE_MAX];
	const char *name;

	buf[0] = '\0';
	if (!dir_read(dir, uevent, text))
		return;
	name = strstr(text, "DEVNAME=");
	if (name == NULL || (name != text && name[-1] != '\n'))
		return;
	name += strlen("DEVNAME=");
	snprintf(buf, ATTRIBUTE_MAX, "%.*s", (int)strcspn(name, "\n"), name);
}

static bool refuse(char *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(char *reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, LUN_REASON_MAX, format, args);
	va_end(args);
	return false;
}

static bool refuse_device_mapper(const struct sysfs_dir *dir, const char *path, char *reason)
{
	static const struct {
		const char *prefix, *type;
	} types[] = {
		{"LVM-", "an LVM logical volume"}, {"CRYPT-", "an encrypted volume (dm-crypt)"},
		{"VDO-", "a VDO volume"},	   {"RAID-", "a dm-raid volume"},
		{"part", "a partition"},
	};
	char uuid[ATTRIBUTE_MAX] = "", name[ATTRIBUTE_MAX] = "";
	const char *type = "a device-mapper device";

	dir_read(dir, "dm/uuid", uuid);
	dir_read(dir, "dm/name", name);
	if (strncmp(uuid, "mpath-", strlen("mpath-")) == 0)
		return refuse(
			reason,
			"%s is a multipath device (%.64s) now, and was not when the backstore "
			"was opened: restart tcmu-runner; give a name that is the map's alone, "
			"such as /dev/mapper/%.64s",
			path, name, name);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strncmp(uuid, types[i].prefix, strlen(types[i].prefix)) == 0)
			type = types[i].type;
	}
	return refuse(reason,
		      "%s is %s (device-mapper, %.64s): reservations belong to a whole LUN; give "
		      "the SCSI disk itself, such as /dev/disk/by-id/wwn-0x...%s",
		      path, type, name,
		      strncmp(uuid, "part", strlen("part")) == 0
			      ? ""
			      : ", or write pr=emulate, and prmig decides on them");
}

/* type: the peripheral device type of the INQUIRY, as the SCSI layer shows it. */
static bool scsi_type_disk(uint64_t type, const char *path, char *reason)
{
	static const char *const names[] = {
		[0x01] = "a tape drive",
		[0x03] = "a processor device",
		[0x04] = "a write-once device",
		[0x05] = "a CD or DVD drive",
		[0x07] = "an optical memory device",
		[0x08] = "a medium changer",
		[0x0c] = "an array controller",
		[0x0d] = "an enclosure",
		[0x0e] = "a simplified disk (RBC)",
		[0x14] = "a host-managed zoned disk",
	};
	const char *name = NULL;

	if (type == 0)
		return true;
	if (type < sizeof(names) / sizeof(names[0]))
		name = names[type];
	return refuse(reason, "%s is a SCSI device, but %s (type %02llxh): give a disk", path,
		      name != NULL ? name : "no disk", (unsigned long long)type);
}

static bool refuse_not_scsi(const struct sysfs_dir *dir, const char *path, const char *name,
			    char *reason)
{
	const char *what = "a block device that is not SCSI";

	if (dir_exists(dir, "md"))
		what = "an md array";
	else if (strncmp(name, "loop", 4) == 0)
		what = "a loop device";
	else if (strncmp(name, "nvme", 4) == 0)
		what = "an NVMe namespace";
	else if (strncmp(name, "vd", 2) == 0)
		what = "a virtio-blk disk";
	else if (strncmp(name, "nbd", 3) == 0)
		what = "a network block device (nbd)";
	else if (strncmp(name, "drbd", 4) == 0)
		what = "a DRBD device";
	return refuse(reason,
		      "%s is %s, which takes no SCSI commands: give a SCSI disk, such as "
		      "/dev/disk/by-id/wwn-0x... (an md array or an NVMe namespace can also be had "
		      "with pr=emulate)",
		      path, what);
}

static uint32_t block_max_transfer(const struct sysfs_dir *dir)
{
	uint64_t hw_kb = 0, segments = 0, limit = UINT32_MAX;
	bool known = false;

	if (dir_read_number(dir, "queue/max_hw_sectors_kb", &hw_kb) && hw_kb > 0) {
		limit = hw_kb < limit / 1024 ? hw_kb * 1024 : limit;
		known = true;
	}
	/* Pages of the ring's data area lie anywhere: a segment each, in the worst case. */
	if (dir_read_number(dir, "queue/max_segments", &segments) && segments > 0) {
		uint64_t page = sysconf(_SC_PAGESIZE);

		limit = segments < limit / page ? segments * page : limit;
		known = true;
	}
	return known ? (uint32_t)limit : 0;
}

static bool inspect_block(const char *path, const struct sysfs_dir *dir,
			  struct lun_sg_device *ret_device, bool *ret_missing, char *reason)
{
	char name[ATTRIBUTE_MAX], parent[ATTRIBUTE_MAX];
	uint64_t type, read_only = 0, sectors = 0, block_len = 0;

	if (!dir_exists(dir, "")) {
		*ret_missing = true;
		return refuse(reason, "%s: the kernel has no block device %u:%u (now)", path,
			      dir->major, dir->minor);
	}
	dir_device_name(dir, "uevent", name);
	if (dir_exists(dir, "dm"))
		return refuse_device_mapper(dir, path, reason);
	if (dir_exists(dir, "partition")) {
		dir_device_name(dir, "../uevent", parent);
		return refuse(reason,
			      "%s is a partition: reservations belong to a whole LUN; give the "
			      "disk%s%.32s",
			      path, parent[0] != '\0' ? " /dev/" : "", parent);
	}
	if (dir_exists(dir, "md") || !dir_read_number(dir, "device/type", &type))
		return refuse_not_scsi(dir, path, name, reason);
	if (!scsi_type_disk(type, path, reason))
		return false;
	if (dir_read_number(dir, "ro", &read_only) && read_only != 0)
		return refuse(reason, "%s is write-protected or set read-only (blockdev --setrw)",
			      path);

	*ret_device = (struct lun_sg_device){
		.rdev = makedev(dir->major, dir->minor),
		.max_transfer_bytes = block_max_transfer(dir),
	};
	dir_read_number(dir, "size", &sectors);
	dir_read_number(dir, "queue/logical_block_size", &block_len);
	ret_device->size_bytes = sectors * 512;
	ret_device->block_len_bytes = (uint32_t)block_len;
	snprintf(ret_device->open_path, sizeof(ret_device->open_path), "%s", path);
	if (name[0] != '\0')
		snprintf(ret_device->node, sizeof(ret_device->node), "/dev/%.64s", name);
	else
		snprintf(ret_device->node, sizeof(ret_device->node), "%s", path);
	return true;
}

/*
 * The block node that the disk driver made for the SCSI device of an sg node:
 * device/block/NAME/dev. SG_IO on it cannot be interrupted, and its limits are known.
 */
static bool inspect_block_of_sg(const struct sysfs_dir *sg, struct lun_sg_device *ret_device)
{
	struct sysfs_dir block = {.class_path = PATHS_DEV_BLOCK};
	char path[SYSFS_PATH_MAX], node[LUN_SG_NODE_MAX], attribute[ATTRIBUTE_MAX],
		text[ATTRIBUTE_MAX], reason[LUN_REASON_MAX];
	struct dirent *entry;
	bool missing;
	DIR *dir;

	if (paths_format(path, sizeof(path), "%s/%u:%u/device/block", sg->class_path, sg->major,
			 sg->minor) < 0)
		return false;
	dir = opendir(path);
	if (dir == NULL)
		return false;
	do
		entry = readdir(dir);
	while (entry != NULL && entry->d_name[0] == '.');
	if (entry != NULL) {
		snprintf(node, sizeof(node), "/dev/%.64s", entry->d_name);
		snprintf(attribute, sizeof(attribute), "device/block/%.64s/dev", entry->d_name);
	}
	closedir(dir);
	if (entry == NULL || !dir_read(sg, attribute, text) ||
	    sscanf(text, "%u:%u", &block.major, &block.minor) != 2)
		return false;
	return inspect_block(node, &block, ret_device, &missing, reason);
}

static bool inspect_char(const char *path, const struct sysfs_dir *dir,
			 struct lun_sg_device *ret_device, bool *ret_missing, char *reason)
{
	uint64_t type;

	if (dir->major != SG_MAJOR)
		return refuse(reason,
			      "%s is a character device (%u:%u), but no sg node: give a SCSI disk, "
			      "such as /dev/disk/by-id/wwn-0x...",
			      path, dir->major, dir->minor);
	if (!dir_read_number(dir, "device/type", &type)) {
		*ret_missing = true;
		return refuse(reason, "%s: the kernel has no SCSI device behind this sg node (now)",
			      path);
	}
	if (!scsi_type_disk(type, path, reason))
		return false;
	if (inspect_block_of_sg(dir, ret_device))
		return true;
	*ret_device = (struct lun_sg_device){
		.rdev = makedev(dir->major, dir->minor),
		.char_device = true,
		.max_transfer_bytes = SG_MAX_TRANSFER_BYTES,
	};
	snprintf(ret_device->open_path, sizeof(ret_device->open_path), "%s", path);
	snprintf(ret_device->node, sizeof(ret_device->node), "%s", path);
	return true;
}

bool lun_sg_device_inspect(const char *path, mode_t mode, dev_t rdev,
			   struct lun_sg_device *ret_device, bool *ret_missing, char *reason)
{
	struct sysfs_dir dir = {.major = major(rdev), .minor = minor(rdev)};

	*ret_missing = false;
	switch (mode & S_IFMT) {
	case S_IFBLK:
		dir.class_path = PATHS_DEV_BLOCK;
		return inspect_block(path, &dir, ret_device, ret_missing, reason);
	case S_IFCHR:
		dir.class_path = PATHS_DEV_CHAR;
		return inspect_char(path, &dir, ret_device, ret_missing, reason);
	case S_IFREG:
		return refuse(reason, "%s is a regular file now: give a SCSI disk", path);
	case S_IFDIR:
		return refuse(reason, "%s is a directory: give a SCSI disk", path);
	default:
		return refuse(reason, "%s is no device node: give a SCSI disk", path);
	}
}
