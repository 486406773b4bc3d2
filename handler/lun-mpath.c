/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-mpath-internal.h"

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

static struct lun_mpath *to_mpath(struct lun *lun)
{
	return (struct lun_mpath *)lun;
}

/* ---- connecting ---- */

static struct mpath_node *open_node(const struct lun_mpath *mpath, const struct mpath_map *map,
				    char *reason)
{
	struct mpath_node *node = calloc(1, sizeof(*node));
	uint64_t size_bytes = 0;
	int block_len = 0;
	struct stat st;

	if (node == NULL) {
		snprintf(reason, LUN_REASON_MAX, "%.120s: out of memory", mpath->path);
		return NULL;
	}
	*node = (struct mpath_node){.rdev = map->rdev, .users = 1};
	node->fd = open(mpath->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (node->fd < 0) {
		snprintf(reason, LUN_REASON_MAX, "%.120s cannot be opened: %s", mpath->path,
			 strerror(errno));
		free(node);
		return NULL;
	}
	if (fstat(node->fd, &st) != 0 || st.st_rdev != map->rdev ||
	    ioctl(node->fd, BLKGETSIZE64, &size_bytes) != 0 ||
	    ioctl(node->fd, BLKSSZGET, &block_len) != 0 || block_len <= 0) {
		snprintf(reason, LUN_REASON_MAX, "%.120s changed while it was being opened",
			 mpath->path);
		mpath_node_free(node);
		return NULL;
	}
	node->block_len_bytes = (uint32_t)block_len;
	node->blocks = size_bytes / node->block_len_bytes;
	return node;
}

/* By the first path that can tell: one of a passive controller cannot. */
static bool identify(struct lun_mpath *mpath, const struct mpath_map *map,
		     struct lun_identity *ret_identity, char *reason)
{
	bool identified = false;

	for (size_t i = 0; i < mpath->path_count && !identified; i++)
		identified = mpath_path_up(mpath, mpath->paths[i]) &&
			     lun_sg_identify_fully(mpath->paths[i]->fd, &mpath->paths[i]->device,
						   ret_identity, reason);
	if (!identified)
		return false;
	for (size_t i = 0; i < mpath->path_count; i++) {
		uint32_t limit = mpath->paths[i]->device.max_transfer_bytes;

		if (limit != 0 && (ret_identity->max_transfer_bytes == 0 ||
				   limit < ret_identity->max_transfer_bytes))
			ret_identity->max_transfer_bytes = limit;
	}
	snprintf(ret_identity->device, sizeof(ret_identity->device), "%s", map->node);
	/* Those that are down, too. */
	ret_identity->path_count = 0;
	for (size_t i = 0; i < map->path_count; i++)
		if (lun_sg_path(&map->paths[i], &ret_identity->paths[ret_identity->path_count]))
			ret_identity->path_count++;
	return true;
}

static bool connect_map(struct lun_mpath *mpath, const struct mpath_map *map,
			struct lun_identity *ret_identity, char *reason)
{
	struct mpath_node *node, *old;
	struct lun_identity identity;
	bool old_unused;

	snprintf(reason, LUN_REASON_MAX,
		 "multipath device %.120s has no path that is up: multipath -ll shows its paths",
		 mpath->path);
	if (!mpath_refresh(mpath, map, reason) || !identify(mpath, map, &identity, reason))
		return false;
	node = open_node(mpath, map, reason);
	if (node == NULL)
		return false;
	if (node->block_len_bytes != identity.block_len_bytes) {
		snprintf(reason, LUN_REASON_MAX,
			 "%.120s has blocks of %u bytes, and its LUN %u: make the map anew "
			 "(multipath -r)",
			 mpath->path, node->block_len_bytes, identity.block_len_bytes);
		mpath_node_free(node);
		return false;
	}
	pthread_mutex_lock(&mpath->lock);
	old = mpath->node;
	old_unused = mpath_node_unref_locked(old);
	mpath->node = node;
	mpath->gone = false;
	pthread_mutex_unlock(&mpath->lock);
	if (old_unused)
		mpath_node_free(old);
	*ret_identity = identity;
	return true;
}

static bool mpath_connect(struct lun *lun, struct lun_identity *ret_identity, char *reason)
{
	struct lun_mpath *mpath = to_mpath(lun);
	struct mpath_map map;
	bool missing, connected;

	if (!mpath_map_find(mpath->path, &map, &missing, reason) ||
	    !mpath_daemon_runs(mpath->path, reason))
		return false;
	pthread_mutex_lock(&mpath->pr_lock);
	connected = connect_map(mpath, &map, ret_identity, reason);
	if (connected)
		mpath_recall(mpath);
	mpath_note(mpath);
	pthread_mutex_unlock(&mpath->pr_lock);
	return connected;
}

static bool mpath_is_connected(struct lun *lun)
{
	struct lun_mpath *mpath = to_mpath(lun);
	bool connected;

	pthread_mutex_lock(&mpath->lock);
	connected = mpath->node != NULL && !mpath->gone;
	pthread_mutex_unlock(&mpath->lock);
	return connected;
}

/* ---- registrations ---- */

static void mpath_spread(struct lun *lun, uint64_t key, enum lun_spread spread)
{
	struct lun_mpath *mpath = to_mpath(lun);
	uint64_t spread_key = spread != LUN_SPREAD_NONE ? key : 0;

	bool changed;

	pthread_mutex_lock(&mpath->pr_lock);
	if (spread_key == 0 && mpath->key != 0)
		mpath_gather(mpath);
	changed = spread_key != mpath->key || mpath->lost;
	if (changed) {
		mpath->lost = false;
		mpath->key = spread_key;
		pthread_mutex_lock(&mpath->lock);
		mpath->spread = spread_key != 0;
		pthread_mutex_unlock(&mpath->lock);
	}
	if (spread_key == 0 || spread == LUN_SPREAD_ALL)
		mpath->on_conflict = false;
	else if (changed)
		mpath->on_conflict = true;
	if (key == 0) {
		mpath->holder_unsure = false;
		/* It may have been another's doing. */
		if (mpath->path_count > 0)
			mpath->paths[0]->key = mpath->paths[0]->old_key = 0;
	}
	mpath_register_all(mpath);
	mpath_note(mpath);
	pthread_mutex_unlock(&mpath->pr_lock);
}

static void mpath_seek(struct lun *lun, uint64_t key)
{
	struct lun_mpath *mpath = to_mpath(lun);

	pthread_mutex_lock(&mpath->pr_lock);
	if (mpath->key == 0)
		mpath_seek_main(mpath, key);
	mpath_note(mpath);
	pthread_mutex_unlock(&mpath->pr_lock);
}

static unsigned int mpath_nexus_changes(struct lun *lun)
{
	struct lun_mpath *mpath = to_mpath(lun);
	unsigned int changes;

	pthread_mutex_lock(&mpath->lock);
	changes = mpath->main_changes;
	pthread_mutex_unlock(&mpath->lock);
	return changes;
}

static size_t mpath_paths(struct lun *lun, struct lun_path_state *ret_paths,
			  unsigned int *ret_changes)
{
	struct lun_mpath *mpath = to_mpath(lun);
	size_t count;

	pthread_mutex_lock(&mpath->lock);
	count = mpath->shown_count;
	if (ret_paths != NULL)
		memcpy(ret_paths, mpath->shown, count * sizeof(*ret_paths));
	*ret_changes = mpath->shown_changes;
	pthread_mutex_unlock(&mpath->lock);
	return count;
}

/* ---- coming and going ---- */

static void free_mpath(struct lun_mpath *mpath)
{
	mpath_threads_stop(mpath);
	for (size_t i = 0; i < mpath->path_count; i++)
		mpath_path_free(mpath->paths[i]);
	if (mpath->node != NULL)
		mpath_node_free(mpath->node);
	free(mpath);
}

static void mpath_destroy(struct lun *lun)
{
	struct lun_mpath *mpath = to_mpath(lun);

	if (mpath->shared)
		mpath_unshare(mpath, free_mpath);
	else
		free_mpath(mpath);
}

static const struct lun_ops mpath_ops = {
	.name = "multipath",
	.connect = mpath_connect,
	.is_connected = mpath_is_connected,
	.submit = mpath_submit,
	.spread = mpath_spread,
	.seek = mpath_seek,
	.nexus_changes = mpath_nexus_changes,
	.paths = mpath_paths,
	.destroy = mpath_destroy,
};

static bool migrates(const struct cfgstring *cfg, char *reason)
{
	if (!cfg->migrate_pr)
		snprintf(reason, LUN_REASON_MAX,
			 "migrate-pr=off: reservations on a multipath device need prmig to follow "
			 "them, since each path has to be registered; leave the option out");
	return cfg->migrate_pr;
}

static struct lun_mpath *make_mpath(const struct cfgstring *cfg, const char *name, char *reason)
{
	struct lun_mpath *mpath = calloc(1, sizeof(*mpath));
	int error;

	if (mpath == NULL) {
		snprintf(reason, LUN_REASON_MAX, "%.120s: out of memory", cfg->lun);
		return NULL;
	}
	mpath->lun.ops = &mpath_ops;
	mpath->holder_unsure = true;
	mpath->main_changes = 1;
	memcpy(mpath->path, cfg->lun, sizeof(mpath->path));
	snprintf(mpath->memory_name, sizeof(mpath->memory_name), "%s", name);
	error = mpath_threads_start(mpath);
	if (error != 0) {
		snprintf(reason, LUN_REASON_MAX, "%.120s: cannot start %d threads: %s", cfg->lun,
			 MPATH_WORKERS + 1, strerror(error));
		free_mpath(mpath);
		return NULL;
	}
	return mpath;
}

struct lun *lun_mpath_new(const struct cfgstring *cfg, const char *name, char *reason)
{
	struct lun_mpath *mpath;

	if (!migrates(cfg, reason))
		return NULL;
	mpath = cfg->pr == CFGSTRING_PR_EMULATE ? mpath_share(cfg, name, make_mpath, reason)
						: make_mpath(cfg, name, reason);
	return mpath != NULL ? &mpath->lun : NULL;
}

bool lun_mpath_check(const struct cfgstring *cfg, bool *ret_missing, char *reason)
{
	char designator[SCSI_DESIGNATOR_MAX], first[SCSI_DESIGNATOR_MAX] = "";
	struct mpath_map map;
	bool missing;

	*ret_missing = false;
	if (!migrates(cfg, reason) || !mpath_map_find(cfg->lun, &map, ret_missing, reason))
		return false;
	*ret_missing = true;
	snprintf(reason, LUN_REASON_MAX,
		 "multipath device %.120s has no path that is up: multipath -ll shows its paths",
		 cfg->lun);
	for (size_t i = 0; i < map.path_count; i++) {
		const struct lun_sg_device *path = &map.paths[i];
		bool identified;
		int fd;

		if (!mpath_path_running(path->rdev))
			continue;
		fd = lun_sg_device_open(path, O_RDONLY, &missing, reason);
		if (fd < 0)
			continue;
		identified = lun_sg_identify(fd, path, designator, &missing, reason);
		close(fd);
		if (!identified)
			continue;
		if (first[0] != '\0' && strcmp(first, designator) != 0) {
			*ret_missing = false;
			return mpath_refuse_other_lun(cfg->lun, first, path->node, designator,
						      reason);
		}
		memcpy(first, designator, sizeof(first));
	}
	return first[0] != '\0' && mpath_daemon_runs(cfg->lun, reason);
}
