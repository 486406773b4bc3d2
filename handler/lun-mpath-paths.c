/* SPDX-License-Identifier: Apache-2.0 */
/* The paths that the map has: found, opened, closed again. */
#include "lun-mpath-internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

bool mpath_refuse_other_lun(const char *path, const char *designator, const char *node,
			    const char *node_designator, char *reason)
{
	snprintf(reason, LUN_REASON_MAX,
		 "%.120s has paths to different logical units: %.40s is %.100s, others are %.100s; "
		 "multipath -ll shows them",
		 path, node, node_designator, designator);
	return false;
}

static struct mpath_path *find_path(const struct lun_mpath *mpath,
				    const struct lun_sg_device *device)
{
	for (size_t i = 0; i < mpath->path_count; i++)
		if (!mpath->paths[i]->gone && mpath->paths[i]->device.rdev == device->rdev &&
		    strcmp(mpath->paths[i]->device.node, device->node) == 0)
			return mpath->paths[i];
	return NULL;
}

/* NULL: it does not answer now, or is another LUN's (*ret_other). */
static struct mpath_path *open_path(struct lun_mpath *mpath, const struct lun_sg_device *device,
				    bool *ret_other, char *reason)
{
	char designator[SCSI_DESIGNATOR_MAX];
	struct mpath_path *path;
	bool missing;
	int fd;

	fd = lun_sg_device_open(device, O_RDWR, &missing, reason);
	if (fd < 0)
		return NULL;
	if (!lun_sg_identify(fd, device, designator, &missing, reason)) {
		close(fd);
		return NULL;
	}
	if (mpath->designator[0] != '\0' && strcmp(mpath->designator, designator) != 0) {
		*ret_other = true;
		mpath_refuse_other_lun(mpath->path, mpath->designator, device->node, designator,
				       reason);
		close(fd);
		return NULL;
	}
	path = calloc(1, sizeof(*path));
	if (path == NULL) {
		snprintf(reason, LUN_REASON_MAX, "%.120s: out of memory", mpath->path);
		close(fd);
		return NULL;
	}
	memcpy(mpath->designator, designator, sizeof(designator));
	*path = (struct mpath_path){.device = *device, .fd = fd, .users = 1, .unproven = true};
	if (!lun_sg_path(device, &path->ports))
		path->ports = (struct lun_path){0};
	path->relative_target_port = lun_sg_target_port(fd, device);
	if (!lun_path_transport_id(&path->ports, path->transport_id))
		path->transport_id[0] = '\0';
	return path;
}

static void remove_path(struct lun_mpath *mpath, size_t i)
{
	struct mpath_path *path = mpath->paths[i];
	bool last;

	pthread_mutex_lock(&mpath->lock);
	mpath->path_count--;
	for (size_t j = i; j < mpath->path_count; j++)
		mpath->paths[j] = mpath->paths[j + 1];
	mpath->main_changes += i == 0;
	last = mpath_path_unref_locked(path);
	pthread_mutex_unlock(&mpath->lock);
	if (last)
		mpath_path_free(path);
}

static bool in_map(const struct mpath_map *map, const struct mpath_path *path)
{
	for (size_t i = 0; i < map->path_count; i++)
		if (map->paths[i].rdev == path->device.rdev &&
		    strcmp(map->paths[i].node, path->device.node) == 0)
			return true;
	return false;
}

static void mark_gone(struct lun_mpath *mpath, struct mpath_path *path)
{
	pthread_mutex_lock(&mpath->lock);
	path->gone = true;
	pthread_mutex_unlock(&mpath->lock);
}

/* In the place of the one that the LUN knows for the same nexus and that is gone, with what stands there; else at the end. */
static void add_path(struct lun_mpath *mpath, struct mpath_path *path)
{
	struct mpath_path *gone = NULL;
	size_t i;

	for (i = 0; i < mpath->path_count && gone == NULL; i++)
		if (mpath->paths[i]->gone && mpath_same_nexus(mpath->paths[i], path))
			gone = mpath->paths[i];
	if (gone != NULL) {
		path->key = gone->key;
		path->old_key = gone->old_key;
		memcpy(path->transport_id, gone->transport_id, sizeof(path->transport_id));
	}
	pthread_mutex_lock(&mpath->lock);
	if (gone != NULL)
		mpath->paths[i - 1] = path;
	else
		mpath->paths[mpath->path_count++] = path;
	if (!mpath_path_unref_locked(gone))
		gone = NULL;
	pthread_mutex_unlock(&mpath->lock);
	if (gone != NULL)
		mpath_path_free(gone);
}

bool mpath_refresh(struct lun_mpath *mpath, const struct mpath_map *map, char *reason)
{
	bool other = false;

	for (size_t i = mpath->path_count; i-- > 0;) {
		struct mpath_path *path = mpath->paths[i];

		if (!path->gone && !in_map(map, path))
			mark_gone(mpath, path);
		if (path->gone && path->key == 0 && path->old_key == 0)
			remove_path(mpath, i);
	}
	for (size_t i = 0; i < map->path_count && mpath->path_count < MPATH_PATHS_MAX; i++) {
		struct mpath_path *path;

		if (find_path(mpath, &map->paths[i]) != NULL ||
		    !mpath_path_running(map->paths[i].rdev))
			continue;
		path = open_path(mpath, &map->paths[i], &other, reason);
		if (other)
			return false;
		if (path == NULL)
			continue;
		add_path(mpath, path);
	}
	return true;
}

void mpath_look_at_map(struct lun_mpath *mpath)
{
	char reason[LUN_REASON_MAX];
	struct mpath_map map;
	bool missing;
	dev_t rdev;

	pthread_mutex_lock(&mpath->lock);
	rdev = mpath->node->rdev;
	pthread_mutex_unlock(&mpath->lock);
	if (mpath_map_inspect(mpath->path, rdev, &map, &missing, reason) || missing) {
		if (mpath_refresh(mpath, &map, reason))
			return;
	}
	log_error("%s: nothing is sent to it any more", reason);
	pthread_mutex_lock(&mpath->lock);
	mpath->gone = true;
	pthread_mutex_unlock(&mpath->lock);
}
