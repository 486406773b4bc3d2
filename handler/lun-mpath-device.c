/* SPDX-License-Identifier: Apache-2.0 */
/* What a multipath map consists of, by sysfs. */
#include "lun-mpath-internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "paths.h"

#define ATTRIBUTE_MAX 256
#define SYSFS_PATH_MAX 4096
#define MPATH_UUID "mpath-"
/* multipathd's, of the abstract name space. */
#define MPATHD_SOCKET "/org/kernel/linux/storage/multipathd"

/* The whole of a small attribute of a block device, without the newline. buf: ATTRIBUTE_MAX. */
static bool read_attribute(dev_t rdev, const char *name, char *buf)
{
	return paths_read_attribute(buf, ATTRIBUTE_MAX, PATHS_DEV_BLOCK "/%u:%u/%s", major(rdev),
				    minor(rdev), name);
}

bool mpath_map_is(dev_t rdev)
{
	char uuid[ATTRIBUTE_MAX];

	return read_attribute(rdev, "dm/uuid", uuid) &&
	       strncmp(uuid, MPATH_UUID, strlen(MPATH_UUID)) == 0;
}

bool mpath_path_running(dev_t rdev)
{
	char state[ATTRIBUTE_MAX];

	return read_attribute(rdev, "device/state", state) && strcmp(state, "running") == 0;
}

/* O_PATH: the driver of whatever stands there does not learn that somebody looked. */
static bool path_stat(const char *path, struct stat *ret_stat)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	bool found = fd >= 0 && fstat(fd, ret_stat) == 0;

	if (fd >= 0)
		close(fd);
	return found;
}

bool lun_mpath_is(const char *path)
{
	static const char *const names[] = {"/dev/mapper/", "/dev/dm-",
					    "/dev/disk/by-id/dm-uuid-mpath-"};
	struct stat st;

	if (path_stat(path, &st))
		return S_ISBLK(st.st_mode) && mpath_map_is(st.st_rdev);
	/* Nothing else of the device mapper is taken. */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(path, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* "8:16" of slaves/NAME/dev. */
static bool slave_number(dev_t map, const char *name, dev_t *ret_rdev)
{
	char attribute[ATTRIBUTE_MAX], text[ATTRIBUTE_MAX];
	unsigned int major_number, minor_number;

	snprintf(attribute, sizeof(attribute), "slaves/%.64s/dev", name);
	if (!read_attribute(map, attribute, text) ||
	    sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		return false;
	*ret_rdev = makedev(major_number, minor_number);
	return true;
}

static int by_name(const void *left, const void *right)
{
	const struct lun_sg_device *a = left, *b = right;
	size_t a_len = strlen(a->node), b_len = strlen(b->node);

	/* sdb before sdaa. */
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return strcmp(a->node, b->node);
}

/*
 * A disk of tcm_loop in the map is what prmig itself serves, for the guest's disk has the LUN's own designator: commands would go
 * round in circles.
 */
static bool by_tcm_loop(dev_t rdev)
{
	char link[SYSFS_PATH_MAX], path[SYSFS_PATH_MAX], name[32] = "";
	const char *host;
	char *real;
	FILE *file;

	if (paths_format(link, sizeof(link), PATHS_DEV_BLOCK "/%u:%u/device", major(rdev),
			 minor(rdev)) < 0)
		return false;
	real = realpath(link, NULL);
	host = real != NULL ? strstr(real, "/host") : NULL;
	if (host == NULL || paths_format(path, sizeof(path), PATHS_SCSI_HOST "/%.*s/proc_name",
					 (int)strcspn(host + 1, "/"), host + 1) < 0) {
		free(real);
		return false;
	}
	free(real);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fgets(name, sizeof(name), file) == NULL)
		name[0] = '\0';
	fclose(file);
	return strcmp(name, "tcm_loopback\n") == 0;
}

/* False: a path is no disk that SG_IO can be used on. One that goes while this looks is left out. */
static bool slaves_inspect(const char *path, struct mpath_map *map, char *reason)
{
	char directory[SYSFS_PATH_MAX], node[LUN_SG_NODE_MAX];
	struct dirent *entry;
	bool fine = true;
	DIR *dir;

	if (paths_format(directory, sizeof(directory), PATHS_DEV_BLOCK "/%u:%u/slaves",
			 major(map->rdev), minor(map->rdev)) < 0)
		return true;
	dir = opendir(directory);
	if (dir == NULL)
		return true;
	while (fine && (entry = readdir(dir)) != NULL) {
		bool missing = false;
		dev_t rdev;

		if (entry->d_name[0] == '.' || !slave_number(map->rdev, entry->d_name, &rdev))
			continue;
		if (map->path_count == MPATH_PATHS_MAX) {
			snprintf(reason, LUN_REASON_MAX, "%.120s has more than %d paths", path,
				 MPATH_PATHS_MAX);
			fine = false;
			break;
		}
		snprintf(node, sizeof(node), "/dev/%.64s", entry->d_name);
		if (by_tcm_loop(rdev)) {
			snprintf(
				reason, LUN_REASON_MAX,
				"%.120s has %.40s, a disk of tcm_loop, for a path, which may be a "
				"guest's own: keep multipathd from it (multipath.conf: blacklist { "
				"protocol \"scsi:unspec\" }), then multipath -r",
				path, node);
			fine = false;
			break;
		}
		if (lun_sg_device_inspect(node, S_IFBLK, rdev, &map->paths[map->path_count],
					  &missing, reason))
			map->path_count++;
		else if (!missing)
			fine = false;
	}
	closedir(dir);
	qsort(map->paths, map->path_count, sizeof(map->paths[0]), by_name);
	return fine;
}

bool mpath_map_inspect(const char *path, dev_t rdev, struct mpath_map *ret_map, bool *ret_missing,
		       char *reason)
{
	char name[ATTRIBUTE_MAX] = "";

	*ret_missing = false;
	if (!mpath_map_is(rdev)) {
		snprintf(
			reason, LUN_REASON_MAX,
			"%.120s is no multipath device (any more): multipath -ll shows which there "
			"are",
			path);
		return false;
	}
	*ret_map = (struct mpath_map){.rdev = rdev};
	read_attribute(rdev, "dm/name", name);
	snprintf(ret_map->node, sizeof(ret_map->node), "/dev/mapper/%.128s", name);
	if (!slaves_inspect(path, ret_map, reason))
		return false;
	if (ret_map->path_count == 0) {
		*ret_missing = true;
		snprintf(reason, LUN_REASON_MAX,
			 "multipath device %.120s has no path (now): multipath -ll shows its paths",
			 path);
		return false;
	}
	return true;
}

bool mpath_map_find(const char *path, struct mpath_map *ret_map, bool *ret_missing, char *reason)
{
	struct stat st;

	if (!path_stat(path, &st)) {
		*ret_missing = true;
		snprintf(reason, LUN_REASON_MAX,
			 "%.120s is not there: is the LUN attached to this host, and is multipathd "
			 "running?",
			 path);
		return false;
	}
	return mpath_map_inspect(path, S_ISBLK(st.st_mode) ? st.st_rdev : 0, ret_map, ret_missing,
				 reason);
}

bool mpath_daemon_runs(const char *path, char *reason)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool runs;

	memcpy(address.sun_path + 1, MPATHD_SOCKET, strlen(MPATHD_SOCKET));
	runs = fd >= 0 && connect(fd, (const struct sockaddr *)&address,
				  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
					      strlen(MPATHD_SOCKET))) == 0;
	if (fd >= 0)
		close(fd);
	if (!runs)
		snprintf(
			reason, LUN_REASON_MAX,
			"%.120s is a multipath device, but multipathd does not run: a path that is "
			"lost would not be used again; start it (systemctl enable --now "
			"multipathd)",
			path);
	return runs;
}
