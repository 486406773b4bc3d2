/* SPDX-License-Identifier: Apache-2.0 */
/* Which path is the main one: it takes the reservation commands, and holds. */
#include "lun-mpath-wire.h"

#include "log.h"

void mpath_place(struct lun_mpath *mpath, struct mpath_path *path, size_t i)
{
	size_t from = 0;

	pthread_mutex_lock(&mpath->lock);
	while (mpath->paths[from] != path)
		from++;
	mpath->main_changes += from != i && (from == 0 || i == 0);
	for (; from > i; from--)
		mpath->paths[from] = mpath->paths[from - 1];
	for (; from < i; from++)
		mpath->paths[from] = mpath->paths[from + 1];
	mpath->paths[i] = path;
	pthread_mutex_unlock(&mpath->lock);
}

void mpath_make_main(struct lun_mpath *mpath, struct mpath_path *path)
{
	if (path == mpath_main(mpath))
		return;
	log_info("%s: reservation commands go to %s now, not to %s", mpath->path, path->device.node,
		 mpath_main(mpath)->device.node);
	mpath_place(mpath, path, 0);
}

/* A path that is registered takes the place of the main path, which is down. */
static bool replace_main(struct lun_mpath *mpath)
{
	for (size_t i = 1; i < mpath->path_count; i++) {
		struct mpath_path *path = mpath->paths[i];
		struct pr_reservation reservation;
		enum mpath_wire wire;
		uint32_t count;

		if (!mpath_path_up(mpath, path) || path->key != mpath->key)
			continue;
		wire = mpath_probe(mpath, path, mpath->key);
		if (wire == MPATH_CONFLICT)
			continue;
		if (wire != MPATH_GOOD ||
		    !mpath_look(mpath, path, mpath->key, &count, &reservation))
			continue;
		if (mpath_one_holds(&reservation, mpath->key) &&
		    mpath_take_hold(mpath, path, mpath->key, &reservation, count) != MPATH_GOOD)
			continue;
		mpath_make_main(mpath, path);
		return true;
	}
	return false;
}

bool mpath_ensure_main(struct lun_mpath *mpath)
{
	if (mpath->path_count == 0)
		return false;
	if (mpath_path_up(mpath, mpath_main(mpath)))
		return true;
	if (mpath->key != 0)
		return replace_main(mpath);
	/* Registered alone: nobody can take its place. */
	if (mpath_main(mpath)->key != 0)
		return false;
	for (size_t i = 1; i < mpath->path_count; i++) {
		if (mpath_path_up(mpath, mpath->paths[i])) {
			mpath_make_main(mpath, mpath->paths[i]);
			return true;
		}
	}
	return false;
}

static bool stood(const struct mpath_path *path, uint64_t key)
{
	return path->key == key || path->old_key == key;
}

/* remembered: those by which key stood, else the others. */
static bool seek(struct lun_mpath *mpath, uint64_t key, bool remembered)
{
	for (size_t i = 0; i < mpath->path_count; i++) {
		struct mpath_path *path = mpath->paths[i];

		if (stood(path, key) == remembered && mpath_path_up(mpath, path) &&
		    mpath_read_capabilities(mpath, path) &&
		    mpath_probe(mpath, path, key) == MPATH_GOOD) {
			mpath_make_main(mpath, path);
			return true;
		}
	}
	return false;
}

void mpath_seek_main(struct lun_mpath *mpath, uint64_t key)
{
	if (seek(mpath, key, true) || seek(mpath, key, false))
		return;
	/* Down: that no other is registered tells nothing of it. */
	for (size_t i = 0; i < mpath->path_count; i++) {
		if (stood(mpath->paths[i], key)) {
			mpath_make_main(mpath, mpath->paths[i]);
			return;
		}
	}
}

void mpath_find_main_again(struct lun_mpath *mpath)
{
	uint64_t key = mpath_main(mpath)->key;

	for (size_t i = 1; i < mpath->path_count; i++) {
		struct mpath_path *path = mpath->paths[i];

		if (!path->unproven || !mpath_path_up(mpath, path))
			continue;
		if (mpath_probe(mpath, path, key) == MPATH_GOOD) {
			mpath_forget_gone(mpath, path, key);
			mpath_make_main(mpath, path);
			return;
		}
	}
}

void mpath_forget_gone(struct lun_mpath *mpath, const struct mpath_path *path, uint64_t key)
{
	for (size_t i = 0; i < mpath->path_count; i++) {
		if (mpath->paths[i]->gone && mpath->paths[i]->key == key &&
		    mpath->paths[i] != path) {
			mpath->paths[i]->key = 0;
			return;
		}
	}
}
