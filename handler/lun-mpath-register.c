/* SPDX-License-Identifier: Apache-2.0 */
/* The key on every path, or on the main one alone: lun-mpath.h, Reservations. */
#include "lun-mpath-wire.h"

#include "log.h"

static void set_lost(struct lun_mpath *mpath)
{
	log_info("%s: another initiator has removed key 0x%llx", mpath->path,
		 (unsigned long long)mpath->key);
	mpath->lost = true;
	pthread_mutex_lock(&mpath->lock);
	mpath->spread = false;
	pthread_mutex_unlock(&mpath->lock);
}
/* ---- every path ---- */

static bool wants_registration(struct lun_mpath *mpath, struct mpath_path *path)
{
	return (path->key != mpath->key || path->unproven) && mpath_path_up(mpath, path);
}

/* After a restart the holder may be any of the paths. */
static void make_main_hold(struct lun_mpath *mpath)
{
	struct pr_reservation reservation;
	uint32_t count;

	if (!mpath_look(mpath, mpath_main(mpath), mpath->key, &count, &reservation))
		return;
	if (!mpath_one_holds(&reservation, mpath->key) || count == 1)
		mpath->holder_unsure = false;
	else
		mpath_take_hold(mpath, mpath_main(mpath), mpath->key, &reservation, count);
}

/* The paths were registered while key may have been removed: nothing of that stays. */
static void take_registrations_back(struct lun_mpath *mpath, struct mpath_path *const *fresh,
				    size_t fresh_count)
{
	for (size_t i = 0; i < fresh_count; i++)
		mpath_register(mpath, fresh[i], mpath->key, 0);
}

static bool register_held(struct lun_mpath *mpath)
{
	struct mpath_path *fresh[MPATH_PATHS_MAX];
	size_t fresh_count = 0;
	bool all = true;
	enum mpath_wire wire;

	if (!mpath_ensure_main(mpath) || !mpath_read_capabilities(mpath, mpath_main(mpath)))
		return false;
	wire = mpath_probe(mpath, mpath_main(mpath), mpath->key);
	if (wire == MPATH_CONFLICT)
		set_lost(mpath);
	if (wire != MPATH_GOOD)
		return false;
	for (size_t i = 1; i < mpath->path_count; i++) {
		bool known = mpath->paths[i]->key != 0;

		if (wants_registration(mpath, mpath->paths[i]) &&
		    mpath_probe(mpath, mpath->paths[i], mpath->key) == MPATH_GOOD && !known)
			mpath_forget_gone(mpath, mpath->paths[i], mpath->key);
	}
	if (mpath->holder_unsure)
		make_main_hold(mpath);
	for (size_t i = 1; i < mpath->path_count; i++) {
		struct mpath_path *path = mpath->paths[i];
		uint64_t old_key;

		if (!wants_registration(mpath, path))
			continue;
		/* What stands with an older key is changed. */
		old_key = path->key;
		wire = mpath_register(mpath, path, old_key, mpath->key);
		if (wire == MPATH_CONFLICT && old_key != 0)
			wire = mpath_register(mpath, path, 0, mpath->key);
		if (wire != MPATH_CONFLICT)
			fresh[fresh_count++] = path;
		if (wire != MPATH_GOOD) {
			log_warning("%s: key 0x%llx cannot be registered by %s", mpath->path,
				    (unsigned long long)mpath->key, path->device.node);
			all = false;
		}
	}
	if (fresh_count == 0)
		return all;
	wire = mpath_probe(mpath, mpath_main(mpath), mpath->key);
	if (wire != MPATH_GOOD) {
		take_registrations_back(mpath, fresh, fresh_count);
		if (wire == MPATH_CONFLICT)
			set_lost(mpath);
		return false;
	}
	mpath->registrations++;
	return all;
}

bool mpath_register_all(struct lun_mpath *mpath)
{
	bool wanted = false, all;

	if (mpath->key == 0 || mpath->lost || mpath->on_conflict)
		return true;
	for (size_t i = 0; i < mpath->path_count; i++)
		wanted = wanted || wants_registration(mpath, mpath->paths[i]);
	if (!wanted && !mpath->holder_unsure && mpath_path_up(mpath, mpath_main(mpath)))
		return true;
	if (!mpath_hold(mpath))
		return false;
	all = register_held(mpath);
	mpath_unhold(mpath);
	return all;
}
/* A key that a path may hold by does not go: that would free the LUN. */
void mpath_tidy(struct lun_mpath *mpath)
{
	if (mpath->key != 0 || mpath->path_count == 0)
		return;
	if (mpath_main(mpath)->gone && mpath_main(mpath)->key != 0)
		mpath_find_main_again(mpath);
	for (size_t i = 1; i < mpath->path_count; i++) {
		struct mpath_path *path = mpath->paths[i];
		struct pr_reservation reservation;
		uint32_t count;

		if (path->key != 0 && mpath_path_up(mpath, path) &&
		    mpath_look(mpath, path, path->key, &count, &reservation) &&
		    !mpath_one_holds(&reservation, path->key))
			mpath_register(mpath, path, path->key, 0);
	}
}
static void gather_held(struct lun_mpath *mpath, uint64_t key)
{
	struct pr_reservation reservation;
	enum mpath_wire wire;
	uint32_t count;

	if (!mpath_ensure_main(mpath) || !mpath_read_capabilities(mpath, mpath_main(mpath)))
		return;
	wire = mpath_probe(mpath, mpath_main(mpath), key);
	if (wire == MPATH_FAILED)
		return;
	if (wire == MPATH_GOOD) {
		if (!mpath_look(mpath, mpath_main(mpath), key, &count, &reservation))
			return;
		if (mpath_one_holds(&reservation, key)) {
			if (count > 1)
				mpath_take_hold(mpath, mpath_main(mpath), key, &reservation, count);
			return;
		}
	}
	/* Nothing is held by them, or the guest has unregistered, or the key is gone. */
	for (size_t i = 1; i < mpath->path_count; i++)
		if (mpath->paths[i]->key == key && mpath_path_up(mpath, mpath->paths[i]))
			mpath_register(mpath, mpath->paths[i], key, 0);
}

void mpath_gather(struct lun_mpath *mpath)
{
	uint64_t key = mpath->key;
	bool others = mpath->holder_unsure;

	for (size_t i = 1; i < mpath->path_count; i++)
		others = others || mpath->paths[i]->key == key;
	/* A REGISTER more would only move PRGENERATION. */
	if (others && mpath_hold(mpath)) {
		gather_held(mpath, key);
		mpath_unhold(mpath);
	}
}

bool mpath_conflict_is_ours(struct lun_mpath *mpath)
{
	struct pr_reservation reservation;
	uint32_t count;

	if (mpath->key == 0 || mpath->lost)
		return false;
	if (!mpath_ensure_main(mpath) ||
	    !mpath_look(mpath, mpath_main(mpath), mpath->key, &count, &reservation))
		return true;
	return reservation.held && reservation.type >= PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY;
}
