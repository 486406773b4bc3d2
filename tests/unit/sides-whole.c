/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/sides-whole.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "move-marker.h"

struct whole_target whole_target;

static uint32_t host_of(const struct side *side)
{
	return side->looks;
}

static void log_in(struct side *side)
{
	if (whole_target.session != NULL && whole_target.session != side) {
		whole_target.stolen++;
		whole_target.session->logged_in = false;
	}
	whole_target.session = side;
	side->logged_in = true;
}

static void log_out(struct side *side)
{
	if (whole_target.session == side) {
		whole_target.session = NULL;
		if (whole_target.forgets)
			side_stranger(side->lun, side->nexus,
				      PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY, 0, 0, 0, false);
	}
	side->logged_in = false;
}

void side_make_whole(struct side *side, bool away)
{
	side->whole = true;
	side->looks = away ? WHOLE_LOOKS : WHOLE_LOOKS - 1;
	side->record.away = away;
	if (!away)
		log_in(side);
	record_format(&side->record, &side->queue, side->disk);
}

void side_whole_restart(struct side *side)
{
	if (!side->whole)
		return;
	/* The process is gone, and its sessions with it; the target may not have seen that yet. */
	side->logged_in = false;
	if (whole_target.session == side)
		whole_target.session = NULL;
	if (!side->record.away)
		log_in(side);
}

unsigned int side_nexus(const struct side *side)
{
	return !side->whole || side->logged_in ? side->nexus : side->looks;
}

void side_whole_sends_pr_out(struct side *side)
{
	if (side->whole && !side->logged_in)
		side->misplaced++;
}

/* ---- the marker ---- */

static enum move_marker_wire marker_out(struct side *side, const struct pr_out *out)
{
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];
	struct fake_result result;

	pr_out_build(out, cdb, list);
	side_execute_as(side, WHOLE_MARKER, cdb, list, sizeof(list), NULL, 0, &result);
	snprintf(side->lun_error, sizeof(side->lun_error), "marker: status %02x", result.status);
	if (result.host_status != 0)
		return MOVE_MARKER_LOST;
	if (result.status == SCSI_GOOD)
		return MOVE_MARKER_GOOD;
	return result.status == SCSI_RESERVATION_CONFLICT ? MOVE_MARKER_CONFLICT
							  : MOVE_MARKER_DOUBTFUL;
}

static enum move_marker_wire marker_put(void *user, uint64_t key, uint64_t new_key, bool ignore)
{
	struct pr_out out = {
		.action = ignore ? PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY : PR_OUT_REGISTER,
		.key = key,
		.new_key = new_key,
		.list_len = PR_OUT_LIST_LEN,
	};

	return marker_out(user, &out);
}

static enum move_marker_wire marker_preempt(void *user, uint64_t key, uint64_t other)
{
	struct pr_out out = {
		.action = PR_OUT_PREEMPT,
		.type = PR_TYPE_WRITE_EXCLUSIVE,
		.key = key,
		.new_key = other,
		.list_len = PR_OUT_LIST_LEN,
	};

	return marker_out(user, &out);
}

static bool marker_read_keys(void *user, uint8_t *data, size_t size, size_t *ret_len)
{
	struct fake_result result;
	uint8_t cdb[PR_CDB_LEN];

	pr_in_build(PR_IN_READ_KEYS, (uint16_t)size, cdb);
	side_execute_as(user, WHOLE_MARKER, cdb, NULL, 0, data, size, &result);
	*ret_len = result.data_in_len;
	return result.host_status == 0 && result.status == SCSI_GOOD;
}

static bool marker_log_in_again(void *user)
{
	struct side *side = user;

	if (whole_target.forgets)
		side_stranger(side->lun, WHOLE_MARKER, PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY, 0,
			      0, 0, false);
	return true;
}

static const char *marker_error(void *user)
{
	return ((struct side *)user)->lun_error;
}

static const struct move_marker_ops marker = {
	.put = marker_put,
	.preempt = marker_preempt,
	.read_keys = marker_read_keys,
	.log_in_again = marker_log_in_again,
	.error = marker_error,
};

/* ---- as the backend ---- */

bool side_whole_moves(void *user)
{
	return ((struct side *)user)->whole;
}

bool side_whole_ticket_fits(void *user, const char *ticket)
{
	(void)user;
	return strspn(ticket, "0123456789abcdef") == 16;
}

enum lun_move side_whole_look(void *user, const char *ticket)
{
	struct side *side = user;

	return move_marker_look(&marker, side, strtoull(ticket, NULL, 16), host_of(side),
				side->lun_error);
}

enum lun_move side_whole_leave(void *user, const char *id, char *ret_ticket)
{
	static uint32_t nonce;
	struct side *side = user;
	bool here = side->logged_in;
	uint64_t ticket;
	enum lun_move result =
		move_marker_leave(&marker, side, id, here, ++nonce, &ticket, side->lun_error);

	if (result != LUN_MOVE_DONE)
		return result;
	log_out(side);
	snprintf(ret_ticket, LUN_TICKET_MAX, "%016" PRIx64, ticket);
	return result;
}

enum lun_move side_whole_arrive(void *user, const char *id, const char *ticket)
{
	struct side *side = user;
	enum lun_move result = move_marker_arrive(&marker, side, strtoull(ticket, NULL, 16),
						  host_of(side), side->lun_error);

	(void)id;
	if (result == LUN_MOVE_DONE)
		log_in(side);
	return result;
}

enum lun_move side_whole_come_back(void *user, const char *id, bool force)
{
	struct side *side = user;
	enum lun_move result;

	if (side->logged_in)
		return LUN_MOVE_DONE;
	if (id[0] == '\0' && !force)
		return LUN_MOVE_REFUSED;
	result = id[0] == '\0' ? LUN_MOVE_DONE
			       : move_marker_come_back(&marker, side, id, force, side->lun_error);
	if (result == LUN_MOVE_DONE)
		log_in(side);
	return result;
}

enum lun_move side_whole_unleave(void *user, const char *id)
{
	return side_whole_come_back(user, id, true);
}

enum lun_move side_whole_hand_back(void *user, const char *id, bool force)
{
	struct side *side = user;

	(void)force;
	log_out(side);
	return move_marker_hand_back(&marker, side, id, host_of(side), side->lun_error);
}

enum lun_move side_whole_left(void *user, const char *id, bool force)
{
	struct side *side = user;

	return move_marker_left(&marker, side, id, force, side->lun_error);
}

void side_whole_tidy(void *user, const char *id)
{
	move_marker_tidy(&marker, user, id);
}
