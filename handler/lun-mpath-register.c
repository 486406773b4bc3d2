/* SPDX-License-Identifier: Apache-2.0 */
/* Who of the paths is registered: lun-mpath.h, Reservations. */
#include "lun-mpath-internal.h"

#include <string.h>
#include <time.h>

#include "log.h"

#define TIMEOUT_MS 5000
#define UNIT_ATTENTION_TRIES 8
#define BUSY_TRIES 20
#define BUSY_PAUSE_MS 50

enum wire { WIRE_GOOD, WIRE_CONFLICT, WIRE_FAILED };

static void pause_ms(unsigned int ms)
{
	struct timespec pause = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&pause, NULL);
}

static struct mpath_path *main_path(const struct lun_mpath *mpath)
{
	return mpath->paths[0];
}

static bool is_unit_attention(const struct lun_result *result)
{
	uint16_t asc_ascq;
	uint8_t key;

	return result->status == SCSI_CHECK_CONDITION &&
	       scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq) &&
	       key == SCSI_UNIT_ATTENTION;
}

/* The main path's are its user's; the other paths' tell what this made itself, or what the main path tells, too. */
static void keep_unit_attention(struct lun_mpath *mpath, const struct mpath_path *path,
				const struct lun_result *result)
{
	struct lun_unit_attention *kept;

	if (path != main_path(mpath))
		return;
	pthread_mutex_lock(&mpath->lock);
	if (mpath->unit_attention_count < LUN_UNIT_ATTENTION_MAX) {
		kept = &mpath->unit_attentions[mpath->unit_attention_count++];
		kept->sense_len = result->sense_len;
		memcpy(kept->sense, result->sense, result->sense_len);
	}
	pthread_mutex_unlock(&mpath->lock);
}

static enum wire command(struct lun_mpath *mpath, struct mpath_path *path, const uint8_t *cdb,
			 enum scsi_direction direction, void *data, uint32_t len, size_t *ret_len)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct lun_io io = {
		.cdb = cdb,
		.cdb_len = PR_CDB_LEN,
		.direction = direction,
		.iov = &iov,
		.iov_cnt = 1,
		.data_len = len,
		.timeout_ms = TIMEOUT_MS,
	};
	unsigned int attentions = 0, busy = 0;

	for (;;) {
		if (!mpath_path_execute(mpath, path, &io))
			return WIRE_FAILED;
		if (is_unit_attention(&io.result) && ++attentions < UNIT_ATTENTION_TRIES) {
			keep_unit_attention(mpath, path, &io.result);
		} else if ((io.result.status == SCSI_BUSY ||
			    io.result.status == SCSI_TASK_SET_FULL) &&
			   ++busy < BUSY_TRIES) {
			pause_ms(BUSY_PAUSE_MS);
		} else {
			break;
		}
	}
	if (io.result.status == SCSI_RESERVATION_CONFLICT)
		return WIRE_CONFLICT;
	if (io.result.status != SCSI_GOOD || io.result.residual_bytes > len)
		return WIRE_FAILED;
	if (ret_len != NULL)
		*ret_len = len - io.result.residual_bytes;
	return WIRE_GOOD;
}

static enum wire pr_out(struct lun_mpath *mpath, struct mpath_path *path, const struct pr_out *out)
{
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];

	pr_out_build(out, cdb, list);
	return command(mpath, path, cdb, SCSI_DIR_OUT, list, sizeof(list), NULL);
}

/* What the path knows of itself is brought in line. */
static enum wire register_path(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key,
			       uint64_t new_key)
{
	struct pr_out out = {
		.action = PR_OUT_REGISTER, .key = key, .new_key = new_key, .aptpl = mpath->aptpl};
	enum wire wire = pr_out(mpath, path, &out);

	path->unproven = wire == WIRE_FAILED;
	if (wire == WIRE_GOOD)
		path->key = new_key;
	else if (wire == WIRE_CONFLICT && path->key == key)
		path->key = 0;
	return wire;
}

/* REGISTER (key -> key): is the path registered with it? */
static enum wire probe(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key)
{
	return register_path(mpath, path, key, key);
}

/* The last REGISTER's APTPL bit decides for the whole cluster. */
static bool read_capabilities(struct lun_mpath *mpath)
{
	struct pr_capabilities capabilities;
	uint8_t cdb[PR_CDB_LEN];
	size_t len;

	pr_in_build(PR_IN_REPORT_CAPABILITIES, MPATH_KEYS_BYTES, cdb);
	memset(mpath->keys, 0, MPATH_KEYS_BYTES);
	if (command(mpath, main_path(mpath), cdb, SCSI_DIR_IN, mpath->keys, MPATH_KEYS_BYTES,
		    &len) != WIRE_GOOD ||
	    !pr_capabilities_parse(mpath->keys, len, &capabilities))
		return false;
	mpath->aptpl = capabilities.ptpl_a;
	return true;
}

/* How often key is listed, and whether one of those listed alone holds (types 1 to 6). */
static bool look(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key,
		 uint32_t *ret_count, struct pr_reservation *ret_reservation)
{
	uint8_t cdb[PR_CDB_LEN];
	struct pr_keys keys;
	size_t len;

	pr_in_build(PR_IN_READ_KEYS, MPATH_KEYS_BYTES, cdb);
	memset(mpath->keys, 0, MPATH_KEYS_BYTES);
	if (command(mpath, path, cdb, SCSI_DIR_IN, mpath->keys, MPATH_KEYS_BYTES, &len) !=
		    WIRE_GOOD ||
	    !pr_keys_parse(mpath->keys, len, key, &keys) || keys.truncated)
		return false;
	*ret_count = keys.matching;
	pr_in_build(PR_IN_READ_RESERVATION, MPATH_KEYS_BYTES, cdb);
	memset(mpath->keys, 0, MPATH_KEYS_BYTES);
	return command(mpath, path, cdb, SCSI_DIR_IN, mpath->keys, MPATH_KEYS_BYTES, &len) ==
		       WIRE_GOOD &&
	       pr_reservation_parse(mpath->keys, len, ret_reservation);
}

static bool one_holds(const struct pr_reservation *reservation, uint64_t key)
{
	return reservation->held && !pr_type_all_registrants(reservation->type) &&
	       reservation->key == key;
}

static uint32_t count_own(const struct lun_mpath *mpath, uint64_t key)
{
	uint32_t count = 0;

	for (size_t i = 0; i < mpath->path_count; i++)
		count += mpath->paths[i]->key == key;
	return count;
}

/*
 * PREEMPT (key, key, T) by a registered path of a holding key: it holds then, and is the only one with
 * it. Not where a stranger's registration would go with it.
 */
static enum wire take_hold(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key,
			   const struct pr_reservation *reservation, uint32_t count)
{
	struct pr_out out = {
		.action = PR_OUT_PREEMPT, .type = reservation->type, .key = key, .new_key = key};
	enum wire wire;

	if (count != count_own(mpath, key)) {
		log_warning("%s: key 0x%llx is listed %u times, and own paths have it %u times: "
			    "another "
			    "node with the same key is not to be thrown out, and %s does not take "
			    "the reservation over",
			    mpath->path, (unsigned long long)key, count, count_own(mpath, key),
			    path->device.node);
		return WIRE_FAILED;
	}
	wire = pr_out(mpath, path, &out);
	if (wire != WIRE_FAILED)
		for (size_t i = 0; i < mpath->path_count; i++)
			if (mpath->paths[i]->key == key &&
			    (wire == WIRE_CONFLICT || mpath->paths[i] != path))
				mpath->paths[i]->key = 0;
	if (wire == WIRE_GOOD)
		mpath->holder_unsure = false;
	return wire;
}

static void make_main(struct lun_mpath *mpath, struct mpath_path *path)
{
	size_t i = 0;

	if (path == main_path(mpath))
		return;
	log_info("%s: reservation commands go to %s now, not to %s", mpath->path, path->device.node,
		 main_path(mpath)->device.node);
	pthread_mutex_lock(&mpath->lock);
	while (mpath->paths[i] != path)
		i++;
	for (; i > 0; i--)
		mpath->paths[i] = mpath->paths[i - 1];
	mpath->paths[0] = path;
	mpath->main_changes++;
	pthread_mutex_unlock(&mpath->lock);
}

static void set_lost(struct lun_mpath *mpath)
{
	log_info("%s: another initiator has removed key 0x%llx", mpath->path,
		 (unsigned long long)mpath->key);
	mpath->lost = true;
	pthread_mutex_lock(&mpath->lock);
	mpath->spread = false;
	pthread_mutex_unlock(&mpath->lock);
}

/* A path that is registered takes the place of the main path, which is down. */
static bool replace_main(struct lun_mpath *mpath)
{
	for (size_t i = 1; i < mpath->path_count; i++) {
		struct mpath_path *path = mpath->paths[i];
		struct pr_reservation reservation;
		enum wire wire;
		uint32_t count;

		if (!mpath_path_up(mpath, path) || path->key != mpath->key)
			continue;
		wire = probe(mpath, path, mpath->key);
		if (wire == WIRE_CONFLICT)
			continue;
		if (wire != WIRE_GOOD || !look(mpath, path, mpath->key, &count, &reservation))
			continue;
		if (one_holds(&reservation, mpath->key) &&
		    take_hold(mpath, path, mpath->key, &reservation, count) != WIRE_GOOD)
			continue;
		make_main(mpath, path);
		return true;
	}
	return false;
}

bool mpath_ensure_main(struct lun_mpath *mpath)
{
	if (mpath->path_count == 0)
		return false;
	if (mpath_path_up(mpath, main_path(mpath)))
		return true;
	if (mpath->key != 0)
		return replace_main(mpath);
	/* Registered alone: nobody can take its place. */
	if (main_path(mpath)->key != 0)
		return false;
	for (size_t i = 1; i < mpath->path_count; i++) {
		if (mpath_path_up(mpath, mpath->paths[i])) {
			make_main(mpath, mpath->paths[i]);
			return true;
		}
	}
	return false;
}

void mpath_seek_main(struct lun_mpath *mpath, uint64_t key)
{
	if (!mpath_ensure_main(mpath) || !read_capabilities(mpath))
		return;
	for (size_t i = 0; i < mpath->path_count; i++) {
		if (mpath_path_up(mpath, mpath->paths[i]) &&
		    probe(mpath, mpath->paths[i], key) == WIRE_GOOD) {
			make_main(mpath, mpath->paths[i]);
			return;
		}
	}
}

/* ---- every path ---- */

/* The LUN knows the nexus of path already. */
static void forget_gone(struct lun_mpath *mpath, const struct mpath_path *path, uint64_t key)
{
	for (size_t i = 0; i < mpath->path_count; i++) {
		if (mpath->paths[i]->gone && mpath->paths[i]->key == key &&
		    mpath->paths[i] != path) {
			mpath->paths[i]->key = 0;
			return;
		}
	}
}

static bool wants_registration(struct lun_mpath *mpath, struct mpath_path *path)
{
	return (path->key != mpath->key || path->unproven) && mpath_path_up(mpath, path);
}

/* After a restart the holder may be any of the paths. */
static void make_main_hold(struct lun_mpath *mpath)
{
	struct pr_reservation reservation;
	uint32_t count;

	if (!look(mpath, main_path(mpath), mpath->key, &count, &reservation))
		return;
	if (!one_holds(&reservation, mpath->key) || count == 1)
		mpath->holder_unsure = false;
	else
		take_hold(mpath, main_path(mpath), mpath->key, &reservation, count);
}

/* The paths were registered while key may have been removed: nothing of that stays. */
static void take_registrations_back(struct lun_mpath *mpath, struct mpath_path *const *fresh,
				    size_t fresh_count)
{
	for (size_t i = 0; i < fresh_count; i++)
		register_path(mpath, fresh[i], mpath->key, 0);
}

static bool register_held(struct lun_mpath *mpath)
{
	struct mpath_path *fresh[MPATH_PATHS_MAX];
	size_t fresh_count = 0;
	bool all = true;
	enum wire wire;

	if (!mpath_ensure_main(mpath) || !read_capabilities(mpath))
		return false;
	wire = probe(mpath, main_path(mpath), mpath->key);
	if (wire == WIRE_CONFLICT)
		set_lost(mpath);
	if (wire != WIRE_GOOD)
		return false;
	for (size_t i = 1; i < mpath->path_count; i++) {
		bool known = mpath->paths[i]->key != 0;

		if (wants_registration(mpath, mpath->paths[i]) &&
		    probe(mpath, mpath->paths[i], mpath->key) == WIRE_GOOD && !known)
			forget_gone(mpath, mpath->paths[i], mpath->key);
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
		wire = register_path(mpath, path, old_key, mpath->key);
		if (wire == WIRE_CONFLICT && old_key != 0)
			wire = register_path(mpath, path, 0, mpath->key);
		if (wire != WIRE_CONFLICT)
			fresh[fresh_count++] = path;
		if (wire != WIRE_GOOD) {
			log_warning("%s: key 0x%llx cannot be registered by %s", mpath->path,
				    (unsigned long long)mpath->key, path->device.node);
			all = false;
		}
	}
	if (fresh_count == 0)
		return all;
	wire = probe(mpath, main_path(mpath), mpath->key);
	if (wire != WIRE_GOOD) {
		take_registrations_back(mpath, fresh, fresh_count);
		if (wire == WIRE_CONFLICT)
			set_lost(mpath);
		return false;
	}
	pthread_mutex_lock(&mpath->lock);
	mpath->registered_epoch++;
	pthread_mutex_unlock(&mpath->lock);
	return all;
}

bool mpath_register_all(struct lun_mpath *mpath)
{
	bool wanted = false, all;

	if (mpath->key == 0 || mpath->lost || mpath->on_conflict)
		return true;
	for (size_t i = 0; i < mpath->path_count; i++)
		wanted = wanted || wants_registration(mpath, mpath->paths[i]);
	if (!wanted && !mpath->holder_unsure && mpath_path_up(mpath, main_path(mpath)))
		return true;
	if (!mpath_hold(mpath))
		return false;
	all = register_held(mpath);
	mpath_unhold(mpath);
	return all;
}

/* ---- one path ---- */

/* A main path that has gone is the only one to be registered: under which other name is it back? */
static void find_main_again(struct lun_mpath *mpath)
{
	uint64_t key = main_path(mpath)->key;

	for (size_t i = 1; i < mpath->path_count; i++) {
		struct mpath_path *path = mpath->paths[i];

		if (!path->unproven || !mpath_path_up(mpath, path))
			continue;
		if (probe(mpath, path, key) == WIRE_GOOD) {
			forget_gone(mpath, path, key);
			make_main(mpath, path);
			return;
		}
	}
}

/* A key that a path may hold by does not go: that would free the LUN. */
void mpath_tidy(struct lun_mpath *mpath)
{
	if (mpath->key != 0 || mpath->path_count == 0)
		return;
	if (main_path(mpath)->gone && main_path(mpath)->key != 0)
		find_main_again(mpath);
	for (size_t i = 1; i < mpath->path_count; i++) {
		struct mpath_path *path = mpath->paths[i];
		struct pr_reservation reservation;
		uint32_t count;

		if (path->key != 0 && mpath_path_up(mpath, path) &&
		    look(mpath, path, path->key, &count, &reservation) &&
		    !one_holds(&reservation, path->key))
			register_path(mpath, path, path->key, 0);
	}
}

static void gather_held(struct lun_mpath *mpath, uint64_t key)
{
	struct pr_reservation reservation;
	enum wire wire;
	uint32_t count;

	if (!mpath_ensure_main(mpath) || !read_capabilities(mpath))
		return;
	wire = probe(mpath, main_path(mpath), key);
	if (wire == WIRE_FAILED)
		return;
	if (wire == WIRE_GOOD) {
		if (!look(mpath, main_path(mpath), key, &count, &reservation))
			return;
		if (one_holds(&reservation, key)) {
			if (count > 1)
				take_hold(mpath, main_path(mpath), key, &reservation, count);
			return;
		}
	}
	/* Nothing is held by them, or the guest has unregistered, or the key is gone. */
	for (size_t i = 1; i < mpath->path_count; i++)
		if (mpath->paths[i]->key == key && mpath_path_up(mpath, mpath->paths[i]))
			register_path(mpath, mpath->paths[i], key, 0);
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
	    !look(mpath, main_path(mpath), mpath->key, &count, &reservation))
		return true;
	return reservation.held && reservation.type >= PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY;
}
