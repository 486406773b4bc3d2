/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE IN and OUT as everybody above sends them. */
#include "lun-mpath-wire.h"

#include <string.h>

#include "be.h"
#include "iov.h"
#include "lun-mpath-cdb.h"
#include "lun-mpath-fold.h"

#define FOLD_TRIES 3
#define LEARN_TIMEOUT_MS 5000

/* By the main path; where that gives no access, by the one that takes its place, if one may. */
static void main_execute(struct lun_mpath *mpath, struct lun_io *io)
{
	bool sent = false;

	/* Not under lock, but only pr_lock's holder takes paths away. */
	while (mpath_ensure_main(mpath)) {
		sent = true;
		if (mpath_path_execute(mpath, mpath->paths[0], io) ||
		    !mpath_inaccessible(&io->result))
			return;
	}
	if (!sent)
		mpath_not_ready(io);
}

/* ---- PERSISTENT RESERVE IN ---- */

/* All of the parameter data, into keys. False: there is none. */
static bool read_whole(struct lun_mpath *mpath, const uint8_t *cdb, uint32_t timeout_ms,
		       struct lun_result *ret_result, size_t *ret_len)
{
	struct iovec iov = {.iov_base = mpath->keys, .iov_len = MPATH_KEYS_BYTES};
	uint8_t whole_cdb[PR_CDB_LEN];
	struct lun_io io = {
		.cdb = whole_cdb,
		.cdb_len = PR_CDB_LEN,
		.direction = SCSI_DIR_IN,
		.iov = &iov,
		.iov_cnt = 1,
		.data_len = MPATH_KEYS_BYTES,
		.timeout_ms = timeout_ms,
	};

	memcpy(whole_cdb, cdb, PR_CDB_LEN);
	be_put16(whole_cdb + 7, MPATH_KEYS_BYTES);
	memset(mpath->keys, 0, MPATH_KEYS_BYTES);
	main_execute(mpath, &io);
	*ret_result = io.result;
	if (io.result.status != SCSI_GOOD || io.result.residual_bytes > MPATH_KEYS_BYTES)
		return false;
	*ret_len = MPATH_KEYS_BYTES - io.result.residual_bytes;
	return true;
}

/*
 * What READ FULL STATUS says of the own paths by which key stands or may stand. False: which descriptor is whose is not known of all
 * of them.
 */
static bool fold_status(struct lun_mpath *mpath, size_t *len, size_t *ret_dropped)
{
	struct mpath_port ports[MPATH_PATHS_MAX];
	struct mpath_path *paths[MPATH_PATHS_MAX];
	size_t count = 0, known = 0;

	for (size_t i = 0; i < mpath->path_count; i++) {
		struct mpath_path *path = mpath->paths[i];
		struct mpath_port *port = &ports[count];

		if (path->key != mpath->key && path->old_key != mpath->key)
			continue;
		memcpy(port->transport_id, path->transport_id, sizeof(port->transport_id));
		port->relative_target_port = path->relative_target_port;
		lun_path_transport_id(&path->ports, port->beginning);
		paths[count++] = path;
	}
	mpath_status_learn(mpath->keys, *len, mpath->key, ports, count);
	for (size_t i = 0; i < count; i++) {
		memcpy(paths[i]->transport_id, ports[i].transport_id,
		       sizeof(ports[i].transport_id));
		paths[i]->relative_target_port = ports[i].relative_target_port;
		known += ports[i].transport_id[0] != '\0' && ports[i].relative_target_port != 0;
	}
	*len = mpath_status_fold(mpath->keys, *len, mpath->key, ports, count, ret_dropped);
	return known == count;
}

/* How many of the keys that are listed at this generation are own paths' beyond the first. */
static bool count_dropped(struct lun_mpath *mpath, uint32_t timeout_ms, uint32_t *ret_generation,
			  size_t *ret_dropped)
{
	struct lun_result result;
	uint8_t cdb[PR_CDB_LEN];
	size_t len;

	pr_in_build(PR_IN_READ_FULL_STATUS, MPATH_KEYS_BYTES, cdb);
	return read_whole(mpath, cdb, timeout_ms, &result, &len) &&
	       pr_full_status_generation(mpath->keys, len, ret_generation) &&
	       fold_status(mpath, &len, ret_dropped);
}

void mpath_learn_ports(struct lun_mpath *mpath)
{
	uint32_t generation;
	size_t dropped;

	if (!mpath->ports_wanted || mpath->key == 0 || mpath->lost || mpath->on_conflict)
		return;
	mpath->ports_wanted = false;
	count_dropped(mpath, LEARN_TIMEOUT_MS, &generation, &dropped);
}

/* A LUN without READ FULL STATUS: as many as are registered as far as is known. */
static size_t count_known(const struct lun_mpath *mpath)
{
	size_t count = 0;

	for (size_t i = 1; i < mpath->path_count; i++)
		count += mpath->paths[i]->key == mpath->key;
	return count;
}

static bool read_keys(struct lun_mpath *mpath, const struct lun_io *io,
		      struct lun_result *ret_result, size_t *ret_len)
{
	for (unsigned int tries = 0;; tries++) {
		uint32_t generation = 0;
		size_t dropped = 0;
		bool counted = tries < FOLD_TRIES &&
			       count_dropped(mpath, io->timeout_ms, &generation, &dropped);

		if (!read_whole(mpath, io->cdb, io->timeout_ms, ret_result, ret_len))
			return false;
		if (!counted)
			dropped = count_known(mpath);
		else if (*ret_len >= 4 && be_get32(mpath->keys) != generation)
			continue; /* others come and go */
		*ret_len = mpath_keys_drop(mpath->keys, *ret_len, mpath->key, dropped);
		return true;
	}
}

/* All of it is asked for, changed, and as much of it given as was wanted. */
static void serve_in(struct lun_mpath *mpath, struct lun_io *io)
{
	bool spread = mpath->key != 0 && !mpath->lost, good;
	uint8_t action = io->cdb[1] & 0x1f;
	size_t wanted = be_get16(io->cdb + 7), len = 0, dropped;

	switch (action) {
	case PR_IN_REPORT_CAPABILITIES:
		good = read_whole(mpath, io->cdb, io->timeout_ms, &io->result, &len);
		mpath_capabilities_mask(mpath->keys, good ? len : 0);
		break;
	case PR_IN_READ_KEYS:
		good = spread ? read_keys(mpath, io, &io->result, &len)
			      : read_whole(mpath, io->cdb, io->timeout_ms, &io->result, &len);
		break;
	case PR_IN_READ_FULL_STATUS:
		good = read_whole(mpath, io->cdb, io->timeout_ms, &io->result, &len);
		if (good && spread)
			fold_status(mpath, &len, &dropped);
		break;
	default:
		main_execute(mpath, io);
		return;
	}
	if (len > wanted)
		len = wanted;
	io->result.residual_bytes =
		io->data_len -
		(good ? (uint32_t)iov_scatter(io->iov, io->iov_cnt, mpath->keys, len) : 0);
}

/* ---- PERSISTENT RESERVE OUT ---- */

static void unproven(struct lun_mpath *mpath)
{
	for (size_t i = 0; i < mpath->path_count; i++)
		mpath->paths[i]->unproven = true;
}

static bool registers(const struct pr_out *out)
{
	return out->action == PR_OUT_REGISTER ||
	       out->action == PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY;
}

/* False: it may have taken effect, whatever the answer (NOT READY above all: LIO says it of a REGISTER that did). */
static bool had_no_effect(const struct lun_result *result)
{
	uint16_t asc_ascq;
	uint8_t key;

	if (result->unknown || result->status == SCSI_GOOD)
		return false;
	return mpath_inaccessible(result) || result->status != SCSI_CHECK_CONDITION ||
	       (scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq) &&
		(key == SCSI_ILLEGAL_REQUEST || key == SCSI_UNIT_ATTENTION));
}

/* What the command did to the registrations of the paths. before: what the main path was then. */
static void observe(struct lun_mpath *mpath, const struct lun_io *io, const struct pr_out *out,
		    const struct mpath_path *before)
{
	struct mpath_path *path = mpath->paths[0];
	bool good = io->result.status == SCSI_GOOD && !io->result.unknown;

	if (had_no_effect(&io->result)) {
		path->key = before->key;
		path->old_key = before->old_key;
		return;
	}
	switch (out->action) {
	case PR_OUT_REGISTER:
	case PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY:
		/* Unless it is known not to be, it is registered: nobody takes the place of the main path then. */
		if (good) {
			path->key = out->new_key;
			path->old_key = 0;
		}
		break;
	case PR_OUT_CLEAR:
	case PR_OUT_PREEMPT:
	case PR_OUT_PREEMPT_AND_ABORT:
		unproven(mpath);
		mpath_register_all(mpath);
		break;
	case PR_OUT_RESERVE:
	case PR_OUT_RELEASE:
	case PR_OUT_REGISTER_AND_MOVE:
	case PR_OUT_REPLACE_LOST_RESERVATION:
		break;
	}
}

static void serve_out(struct lun_mpath *mpath, struct lun_io *io)
{
	uint8_t list[PR_OUT_LIST_LEN];
	bool sent = false;
	struct pr_out out;

	if (!pr_out_parse(io->cdb, list, iov_gather(io->iov, io->iov_cnt, list, sizeof(list)),
			  &out)) {
		main_execute(mpath, io);
		return;
	}
	/* As main_execute. */
	while ((!sent || mpath_inaccessible(&io->result)) && mpath_ensure_main(mpath)) {
		struct mpath_path before = *mpath->paths[0];

		if (registers(&out) && !mpath_expect(mpath, mpath->paths[0], out.new_key))
			break;
		sent = true;
		mpath_path_execute(mpath, mpath->paths[0], io);
		observe(mpath, io, &out, &before);
	}
	if (!sent)
		mpath_not_ready(io);
	mpath_note(mpath);
}

void mpath_serve_reservation(struct lun_mpath *mpath, struct lun_io *io)
{
	uint16_t refusal = mpath_command_refusal(io->cdb);

	if (refusal != 0) {
		lun_result_check_condition(&io->result, SCSI_ILLEGAL_REQUEST, refusal);
		io->result.residual_bytes = io->data_len;
		return;
	}
	if (mpath_answer_unit_attention(mpath, io))
		return;
	if (io->cdb[0] == SCSI_PR_IN)
		serve_in(mpath, io);
	else
		serve_out(mpath, io);
}
