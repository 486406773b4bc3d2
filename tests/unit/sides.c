/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/sides.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/sides-whole.h"

static void happened(struct side *side, enum side_event event)
{
	if (side->every != NULL)
		side->every(side, event);
}

void side_execute_as(struct side *side, unsigned int nexus, const uint8_t *cdb, const uint8_t *out,
		     size_t out_len, uint8_t *in, size_t in_len, struct fake_result *ret)
{
	for (int i = 0; i < 20; i++) {
		uint8_t key;
		uint16_t asc_ascq;

		if (side->budget > 0)
			side->budget--;
		happened(side, SIDE_SEND);
		fake_lun_execute(side->lun, nexus, cdb, scsi_cdb_length(cdb), out, out_len, in,
				 in_len, ret);
		happened(side, SIDE_SENT);
		if (ret->host_status != 0 || ret->status != SCSI_CHECK_CONDITION ||
		    !scsi_sense_parse(ret->sense, ret->sense_len, &key, &asc_ascq) ||
		    key != SCSI_UNIT_ATTENTION)
			return;
		if (asc_ascq == SCSI_ASC_REGISTRATIONS_PREEMPTED ||
		    asc_ascq == SCSI_ASC_RESERVATIONS_PREEMPTED || asc_ascq >> 8 == 0x29)
			side->told = true;
		if (asc_ascq >> 8 == 0x29)
			side->reset_seen = true;
		if (side->record.state == NEXUS_ACTIVE || asc_ascq >> 8 != 0x2a)
			unit_attentions_add(&side->queue, asc_ascq);
	}
}

static void execute(struct side *side, const uint8_t *cdb, const uint8_t *out, size_t out_len,
		    uint8_t *in, size_t in_len, struct fake_result *ret)
{
	if (out != NULL)
		side_whole_sends_pr_out(side);
	side_execute_as(side, side_nexus(side), cdb, out, out_len, in, in_len, ret);
}

static enum handover_wire wire(const struct fake_result *result)
{
	uint8_t key;
	uint16_t asc_ascq;

	if (result->host_status != 0)
		return HANDOVER_UNKNOWN;
	if (result->status == SCSI_GOOD)
		return HANDOVER_GOOD;
	if (result->status == SCSI_RESERVATION_CONFLICT)
		return HANDOVER_CONFLICT;
	if (result->status == SCSI_CHECK_CONDITION &&
	    scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq) &&
	    key == SCSI_ILLEGAL_REQUEST)
		return HANDOVER_REFUSED;
	return HANDOVER_UNKNOWN;
}

static enum handover_wire op_pr_out(void *user, const struct pr_out *out)
{
	struct side *side = user;
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];
	struct fake_result result;
	char step[64];

	snprintf(step, sizeof(step), "\nstep=%s\n", record_step_name(side->record.step));
	if (side->record.step == RECORD_STEP_NONE || strstr(side->disk, step) == NULL)
		side->unjournalled++;
	pr_out_build(out, cdb, list);
	execute(side, cdb, list, sizeof(list), NULL, 0, &result);
	snprintf(side->lun_error, sizeof(side->lun_error), "status %02x", result.status);
	return wire(&result);
}

static enum handover_wire op_pr_move(void *user, const struct pr_move *move)
{
	struct side *side = user;
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN + PR_TRANSPORT_ID_MAX];
	size_t len = pr_move_build(move, cdb, list);
	struct fake_result result;

	execute(side, cdb, list, len, NULL, 0, &result);
	return wire(&result);
}

static size_t pr_in(struct side *side, enum pr_in_action action, uint8_t *data, size_t size)
{
	uint8_t cdb[PR_CDB_LEN];
	struct fake_result result;

	pr_in_build(action, (uint16_t)size, cdb);
	execute(side, cdb, NULL, 0, data, size, &result);
	return result.host_status == 0 && result.status == SCSI_GOOD ? result.data_in_len : 0;
}

static bool op_read_keys(void *user, uint64_t key, struct pr_keys *ret)
{
	uint8_t data[4096];
	size_t len = pr_in(user, PR_IN_READ_KEYS, data, sizeof(data));

	return pr_keys_parse(data, len, key, ret);
}

static bool op_read_reservation(void *user, struct pr_reservation *ret)
{
	uint8_t data[64];
	size_t len = pr_in(user, PR_IN_READ_RESERVATION, data, sizeof(data));

	return pr_reservation_parse(data, len, ret);
}

static bool op_read_capabilities(void *user, struct pr_capabilities *ret)
{
	uint8_t data[64];
	size_t len = pr_in(user, PR_IN_REPORT_CAPABILITIES, data, sizeof(data));

	return pr_capabilities_parse(data, len, ret);
}

static bool op_read_full_status(void *user, uint64_t key, struct handover_registrants *ret)
{
	uint8_t data[8192];
	size_t len = pr_in(user, PR_IN_READ_FULL_STATUS, data, sizeof(data)), offset = 0;
	struct pr_full_status status;
	bool bad = false;

	if (!pr_full_status_generation(data, len, &ret->generation))
		return false;
	ret->count = 0;
	while (pr_full_status_next(data, len, &offset, &status, &bad)) {
		if (status.key != key || ret->count == HANDOVER_REGISTRANTS)
			continue;
		pr_transport_id_text(status.transport_id, status.transport_id_len,
				     ret->with_key[ret->count].transport_id);
		memcpy(ret->with_key[ret->count].raw, status.transport_id, status.transport_id_len);
		ret->with_key[ret->count].raw_len = status.transport_id_len;
		ret->with_key[ret->count].relative_target_port = status.relative_target_port;
		ret->with_key[ret->count++].holder = status.holder;
	}
	return !bad;
}

static const char *op_lun_error(void *user)
{
	return ((struct side *)user)->lun_error;
}

static bool op_reset_seen(void *user)
{
	struct side *side = user;
	bool seen = side->reset_seen;

	side->reset_seen = false;
	return seen;
}

static void op_add_unit_attention(void *user, uint16_t asc_ascq)
{
	unit_attentions_add(&((struct side *)user)->queue, asc_ascq);
}

static void op_clear_unit_attentions(void *user)
{
	((struct side *)user)->queue.count = 0;
}

static bool op_format_line(void *user, char *line)
{
	struct side *side = user;

	return state_line_format(&side->record, &side->queue, side->name, line);
}

static bool op_save(void *user)
{
	struct side *side = user;

	happened(side, SIDE_SAVE);
	if (side->disk_full || !record_format(&side->record, &side->queue, side->disk))
		return false;
	happened(side, SIDE_SAVED);
	return true;
}

static void op_point(void *user, enum record_step step, enum handover_moment moment)
{
	struct side *side = user;

	side->points++;
	side->step = step;
	side->moment = moment;
	happened(side, SIDE_POINT);
	if (side->at == NULL || step != side->at_step || moment != side->at_moment)
		return;
	if (side->at_skip-- > 0)
		return;
	side->at(side);
}

static void op_close_gate(void *user)
{
	((struct side *)user)->gate_open = false;
}

static void op_open_gate(void *user)
{
	((struct side *)user)->gate_open = true;
	((struct side *)user)->written = false;
}

static bool op_drain(void *user)
{
	(void)user;
	return true;
}

static void op_answer_held_busy(void *user)
{
	((struct side *)user)->busied++;
}

static bool op_guest_has_written(void *user)
{
	return ((struct side *)user)->written;
}

static bool op_expired(void *user)
{
	return ((struct side *)user)->budget == 0;
}

static uint64_t op_wall_clock_s(void *user)
{
	return ((struct side *)user)->clock_s;
}

static void op_new_id(void *user, char *ret_id)
{
	static unsigned int count;

	(void)user;
	snprintf(ret_id, NEXUS_ID_LEN + 1, "%032x", ++count);
}

static const struct handover_ops ops = {
	.pr_out = op_pr_out,
	.pr_move = op_pr_move,
	.read_keys = op_read_keys,
	.read_reservation = op_read_reservation,
	.read_capabilities = op_read_capabilities,
	.read_full_status = op_read_full_status,
	.lun_error = op_lun_error,
	.reset_seen = op_reset_seen,
	.add_unit_attention = op_add_unit_attention,
	.clear_unit_attentions = op_clear_unit_attentions,
	.format_line = op_format_line,
	.moves = side_whole_moves,
	.ticket_fits = side_whole_ticket_fits,
	.ticket_look = side_whole_look,
	.leave = side_whole_leave,
	.arrive = side_whole_arrive,
	.come_back = side_whole_come_back,
	.unleave = side_whole_unleave,
	.hand_back = side_whole_hand_back,
	.left = side_whole_left,
	.tidy = side_whole_tidy,
	.save = op_save,
	.point = op_point,
	.close_gate = op_close_gate,
	.open_gate = op_open_gate,
	.drain = op_drain,
	.answer_held_busy = op_answer_held_busy,
	.guest_has_written = op_guest_has_written,
	.expired = op_expired,
	.wall_clock_s = op_wall_clock_s,
	.new_id = op_new_id,
};

static struct handover begin(struct side *side)
{
	side->message[0] = '\0';
	side->budget = 400;
	return (struct handover){
		.ops = &ops,
		.user = side,
		.record = &side->record,
		.name = side->name,
		.migrate_pr = true,
		.message = side->message,
		.by_qemu = side->by_qemu,
		.part = side->part,
	};
}

void side_init(struct side *side, struct fake_lun *lun, unsigned int nexus, const char *name,
	       enum nexus_state state)
{
	*side = (struct side){.name = name, .nexus = nexus, .lun = lun, .clock_s = 1000000};
	side->record.state = state;
	side->gate_open = state == NEXUS_ACTIVE;
	fake_lun_designator(lun, side->record.lun);
	op_save(side);
}

enum nexus_error side_restart(struct side *side)
{
	struct handover handover;
	char reason[NEXUS_MESSAGE_MAX];
	enum nexus_error error;
	bool fenced;

	side->at = NULL;
	if (!record_parse(side->disk, &side->record, &side->queue, reason)) {
		fprintf(stderr, "state on disk: %s\n", reason);
		abort();
	}
	side_whole_restart(side);
	handover = begin(side);
	error = handover_settle(&handover);
	if (error == NEXUS_OK)
		error = handover_guest_settle(&handover, false);
	if (error == NEXUS_OK)
		error = handover_resync(&handover, HANDOVER_DOUBT_NONE, &fenced);
	side->gate_open = error == NEXUS_OK && handover_gate_open(&side->record);
	return error;
}

void side_kill(struct side *side)
{
	longjmp(*side->killed, 1);
}

enum nexus_error side_export(struct side *side, char *line)
{
	struct handover handover = begin(side);

	return handover_export(&handover, side->destination[0] != '\0' ? side->destination : NULL,
			       line);
}

enum nexus_error side_import(struct side *side, const char *line)
{
	struct handover handover = begin(side);

	return handover_import(&handover, line, false, side->take_only);
}

enum nexus_error side_prove(struct side *side)
{
	struct handover handover = begin(side);

	return handover_prove(&handover);
}

enum nexus_error side_check(struct side *side, const char *line)
{
	struct handover handover = begin(side);

	return handover_check(&handover, line, false);
}

enum nexus_error side_release(struct side *side, bool force)
{
	struct handover handover = begin(side);

	return handover_release(&handover, "", force);
}

enum nexus_error side_abort_id(struct side *side, const char *id, bool force)
{
	struct handover handover = begin(side);

	return handover_abort(&handover, id, force);
}

enum nexus_error side_abort(struct side *side, bool force)
{
	return side_abort_id(side, "", force);
}

enum nexus_error side_resync(struct side *side)
{
	struct handover handover = begin(side);
	enum nexus_error error;
	bool fenced;

	/* The first meets the unit attention, as a timer would; what it says is acted upon. */
	error = handover_resync(&handover, HANDOVER_DOUBT_NONE, &fenced);
	if (error == NEXUS_OK && side->told)
		error = handover_resync(&handover, HANDOVER_DOUBT_TOLD, &fenced);
	side->told = false;
	return error;
}

uint8_t side_guest(struct side *side, enum pr_out_action action, uint64_t key, uint64_t new_key,
		   uint8_t type)
{
	struct pr_out out = {.action = action,
			     .key = key,
			     .new_key = new_key,
			     .type = type,
			     .list_len = PR_OUT_LIST_LEN};
	struct handover handover = begin(side);
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];
	struct fake_result result;
	enum handover_wire outcome;

	pr_out_build(&out, cdb, list);
	if (handover_guest_repeats(&handover, cdb, list, sizeof(list)))
		return SCSI_GOOD;
	if (handover_guest_begin(&handover, cdb, list, sizeof(list)) != NEXUS_OK)
		return SCSI_CHECK_CONDITION;
	op_point(side, RECORD_STEP_NONE, HANDOVER_JOURNALLED);
	execute(side, cdb, list, sizeof(list), NULL, 0, &result);
	op_point(side, RECORD_STEP_NONE, HANDOVER_ANSWERED);
	outcome = wire(&result);
	if (outcome == HANDOVER_UNKNOWN)
		handover_guest_settle(&handover, result.host_status == 0);
	else
		handover_guest_end(&handover, outcome);
	return result.host_status != 0 ? 0xff : result.status;
}

uint8_t side_stranger(struct fake_lun *lun, unsigned int nexus, enum pr_out_action action,
		      uint64_t key, uint64_t new_key, uint8_t type, bool aptpl)
{
	struct pr_out out = {.action = action,
			     .key = key,
			     .new_key = new_key,
			     .type = type,
			     .aptpl = aptpl,
			     .list_len = PR_OUT_LIST_LEN};
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];
	struct fake_result result;

	pr_out_build(&out, cdb, list);
	do
		fake_lun_execute(lun, nexus, cdb, sizeof(cdb), list, sizeof(list), NULL, 0,
				 &result);
	while (result.status == SCSI_CHECK_CONDITION && result.sense_len > 2 &&
	       (result.sense[2] & 0xf) == SCSI_UNIT_ATTENTION);
	return result.status;
}

enum nexus_error side_guest_runs(struct side *side)
{
	struct handover handover = begin(side);

	return handover_guest_runs(&handover);
}

enum nexus_error side_loader_gone(struct side *side)
{
	struct handover handover = begin(side);

	return handover_loader_gone(&handover);
}

enum nexus_error side_saver_gone(struct side *side)
{
	struct handover handover = begin(side);

	return handover_saver_gone(&handover);
}

enum nexus_error side_prepare(struct side *side, char *line)
{
	struct handover handover = begin(side);

	return handover_prepare(&handover, line);
}
