/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nexuses with emulated reservations on one map. To the LUN they are one: the paths, and what the claim has registered by them, are this
 * host's. So they have one backend: while a path is being registered, data of all of them waits, and no path that is thrown out when
 * another takes its place is a fence to one of them.
 */
#include <string.h>
#include <sys/stat.h>

#include "lun-mpath-internal.h"

/* Before all others; held while one is made or freed, so that there are never two of a map. */
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static struct lun_mpath *shared;

static bool same_map(const char *a, const char *b)
{
	struct stat a_stat, b_stat;

	if (strcmp(a, b) == 0)
		return true;
	return stat(a, &a_stat) == 0 && stat(b, &b_stat) == 0 && S_ISBLK(a_stat.st_mode) &&
	       S_ISBLK(b_stat.st_mode) && a_stat.st_rdev == b_stat.st_rdev;
}

struct lun_mpath *mpath_share(const struct cfgstring *cfg, const char *name,
			      struct lun_mpath *(*make)(const struct cfgstring *cfg,
							const char *name, char *reason),
			      char *reason)
{
	struct lun_mpath *mpath;

	pthread_mutex_lock(&shared_lock);
	mpath = shared;
	while (mpath != NULL && !same_map(mpath->path, cfg->lun))
		mpath = mpath->next_shared;
	if (mpath == NULL) {
		mpath = make(cfg, name, reason);
		if (mpath != NULL) {
			mpath->shared = true;
			mpath->next_shared = shared;
			shared = mpath;
		}
	}
	if (mpath != NULL)
		mpath->users++;
	pthread_mutex_unlock(&shared_lock);
	return mpath;
}

void mpath_unshare(struct lun_mpath *mpath, void (*free_it)(struct lun_mpath *mpath))
{
	struct lun_mpath **at = &shared;

	pthread_mutex_lock(&shared_lock);
	if (--mpath->users == 0) {
		while (*at != mpath)
			at = &(*at)->next_shared;
		*at = mpath->next_shared;
		free_it(mpath);
	}
	pthread_mutex_unlock(&shared_lock);
}
