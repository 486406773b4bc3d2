/* SPDX-License-Identifier: Apache-2.0 */
/* The backend's own reservation commands, each on one path. */
#include "lun-mpath-wire.h"

#include <string.h>
#include <time.h>

#include "log.h"

#define TIMEOUT_MS 5000
#define UNIT_ATTENTION_TRIES 8
#define BUSY_TRIES 20
#define BUSY_PAUSE_MS 50

static void pause_ms(unsigned int ms)
{
	struct timespec pause = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&pause, NULL);
}

struct mpath_path *mpath_main(const struct lun_mpath *mpath)
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

	if (path != mpath_main(mpath))
		return;
	pthread_mutex_lock(&mpath->lock);
	if (mpath->unit_attention_count < LUN_UNIT_ATTENTION_MAX) {
		kept = &mpath->unit_attentions[mpath->unit_attention_count++];
		kept->sense_len = result->sense_len;
		memcpy(kept->sense, result->sense, result->sense_len);
	}
	pthread_mutex_unlock(&mpath->lock);
}

static enum mpath_wire command(struct lun_mpath *mpath, struct mpath_path *path, const uint8_t *cdb,
			       enum scsi_direction direction, void *data, uint32_t len,
			       size_t *ret_len)
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
			return MPATH_FAILED;
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
		return MPATH_CONFLICT;
	if (io.result.status != SCSI_GOOD || io.result.residual_bytes > len)
		return MPATH_FAILED;
	if (ret_len != NULL)
		*ret_len = len - io.result.residual_bytes;
	return MPATH_GOOD;
}

static enum mpath_wire pr_out(struct lun_mpath *mpath, struct mpath_path *path,
			      const struct pr_out *out)
{
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];

	pr_out_build(out, cdb, list);
	return command(mpath, path, cdb, SCSI_DIR_OUT, list, sizeof(list), NULL);
}

enum mpath_wire mpath_register(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key,
			       uint64_t new_key)
{
	struct pr_out out = {
		.action = PR_OUT_REGISTER, .key = key, .new_key = new_key, .aptpl = mpath->aptpl};
	enum mpath_wire wire;

	if (key != new_key && !mpath_expect(mpath, path, new_key))
		return MPATH_FAILED;
	wire = pr_out(mpath, path, &out);
	path->unproven = wire == MPATH_FAILED;
	if (wire == MPATH_GOOD) {
		mpath->ports_wanted = mpath->ports_wanted ||
				      (path->transport_id[0] == '\0' && path->key != new_key);
		path->key = new_key;
		path->old_key = 0;
	} else if (wire == MPATH_CONFLICT && key != new_key) {
		path->key = path->old_key = 0;
	} else if (wire == MPATH_CONFLICT && path->key == key) {
		/* The REGISTER that led to it had no effect. */
		path->key = path->old_key;
		path->old_key = 0;
	}
	return wire;
}

enum mpath_wire mpath_probe(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key)
{
	return mpath_register(mpath, path, key, key);
}

bool mpath_read_capabilities(struct lun_mpath *mpath, struct mpath_path *path)
{
	struct pr_capabilities capabilities;
	uint8_t cdb[PR_CDB_LEN];
	size_t len;

	pr_in_build(PR_IN_REPORT_CAPABILITIES, MPATH_KEYS_BYTES, cdb);
	memset(mpath->keys, 0, MPATH_KEYS_BYTES);
	if (command(mpath, path, cdb, SCSI_DIR_IN, mpath->keys, MPATH_KEYS_BYTES, &len) !=
		    MPATH_GOOD ||
	    !pr_capabilities_parse(mpath->keys, len, &capabilities))
		return false;
	mpath->aptpl = capabilities.ptpl_a;
	return true;
}

bool mpath_look(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key, uint32_t *ret_count,
		struct pr_reservation *ret_reservation)
{
	uint8_t cdb[PR_CDB_LEN];
	struct pr_keys keys;
	size_t len;

	pr_in_build(PR_IN_READ_KEYS, MPATH_KEYS_BYTES, cdb);
	memset(mpath->keys, 0, MPATH_KEYS_BYTES);
	if (command(mpath, path, cdb, SCSI_DIR_IN, mpath->keys, MPATH_KEYS_BYTES, &len) !=
		    MPATH_GOOD ||
	    !pr_keys_parse(mpath->keys, len, key, &keys) || keys.truncated)
		return false;
	*ret_count = keys.matching;
	pr_in_build(PR_IN_READ_RESERVATION, MPATH_KEYS_BYTES, cdb);
	memset(mpath->keys, 0, MPATH_KEYS_BYTES);
	return command(mpath, path, cdb, SCSI_DIR_IN, mpath->keys, MPATH_KEYS_BYTES, &len) ==
		       MPATH_GOOD &&
	       pr_reservation_parse(mpath->keys, len, ret_reservation);
}

bool mpath_one_holds(const struct pr_reservation *reservation, uint64_t key)
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

enum mpath_wire mpath_take_hold(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key,
				const struct pr_reservation *reservation, uint32_t count)
{
	struct pr_out out = {
		.action = PR_OUT_PREEMPT, .type = reservation->type, .key = key, .new_key = key};
	enum mpath_wire wire;

	if (count != count_own(mpath, key)) {
		log_warning("%s: key 0x%llx is listed %u times, and own paths have it %u times: "
			    "another "
			    "node with the same key is not to be thrown out, and %s does not take "
			    "the reservation over",
			    mpath->path, (unsigned long long)key, count, count_own(mpath, key),
			    path->device.node);
		return MPATH_FAILED;
	}
	wire = pr_out(mpath, path, &out);
	if (wire != MPATH_FAILED)
		for (size_t i = 0; i < mpath->path_count; i++)
			if (mpath->paths[i]->key == key &&
			    (wire == MPATH_CONFLICT || mpath->paths[i] != path))
				mpath->paths[i]->key = 0;
	if (wire == MPATH_GOOD)
		mpath->holder_unsure = false;
	return wire;
}
