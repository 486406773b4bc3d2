/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <stdio.h>
#include <string.h>

#include "record-text.h"

#define FILE_SEPARATOR '\n'

static const char *const step_names[RECORD_STEP_COUNT] = {
	[RECORD_STEP_NONE] = "none",
	[RECORD_STEP_EXPORT_BARRIER] = "export-barrier",
	[RECORD_STEP_IMPORT_REGISTER] = "import-register",
	[RECORD_STEP_IMPORT_REREGISTER] = "import-reregister",
	[RECORD_STEP_IMPORT_PREEMPT] = "import-preempt",
	[RECORD_STEP_IMPORT_UNDO] = "import-undo",
	[RECORD_STEP_RELEASE_PROBE] = "release-probe",
	[RECORD_STEP_RELEASE_UNREGISTER] = "release-unregister",
	[RECORD_STEP_ABORT_BARRIER] = "abort-barrier",
	[RECORD_STEP_ABORT_PREEMPT] = "abort-preempt",
	[RECORD_STEP_ABORT_REGISTER] = "abort-register",
	[RECORD_STEP_ABORT_TAKE_BACK] = "abort-take-back",
	[RECORD_STEP_ABORT_UNDO] = "abort-undo",
	[RECORD_STEP_ABORT_UNREGISTER] = "abort-unregister",
	[RECORD_STEP_FORGET_UNREGISTER] = "forget-unregister",
	[RECORD_STEP_GUEST_PROBE] = "guest-probe",
	[RECORD_STEP_RESYNC_PROBE] = "resync-probe",
	[RECORD_STEP_CONFIRM_BARRIER] = "confirm-barrier",
	[RECORD_STEP_PREPARE_REGISTER] = "prepare-register",
	[RECORD_STEP_PREPARE_UNREGISTER] = "prepare-unregister",
	[RECORD_STEP_EXPORT_MOVE] = "export-move",
	[RECORD_STEP_ABORT_MOVE] = "abort-move",
	[RECORD_STEP_EXPORT_LEAVE] = "export-leave",
	[RECORD_STEP_EXPORT_LEAVE_AGAIN] = "export-leave-again",
	[RECORD_STEP_IMPORT_ARRIVE] = "import-arrive",
	[RECORD_STEP_ABORT_COME_BACK] = "abort-come-back",
	[RECORD_STEP_ABORT_HAND_BACK] = "abort-hand-back",
	[RECORD_STEP_RELEASE_LEFT] = "release-left",
};

static const char *const state_names[] = {"active", "incoming", "exported"};

const char *record_step_name(enum record_step step)
{
	return step < RECORD_STEP_COUNT ? step_names[step] : "unknown";
}

uint32_t record_terms_ours(const struct record_terms *terms)
{
	return 1 + terms->siblings;
}

void unit_attentions_add(struct unit_attentions *queue, uint16_t asc_ascq)
{
	for (size_t i = 0; i < queue->count; i++)
		if (queue->asc_ascq[i] == asc_ascq)
			return;
	if (queue->count == RECORD_UNIT_ATTENTIONS)
		unit_attentions_take(queue);
	queue->asc_ascq[queue->count++] = asc_ascq;
}

uint16_t unit_attentions_take(struct unit_attentions *queue)
{
	uint16_t oldest = queue->asc_ascq[0];

	queue->count--;
	memmove(&queue->asc_ascq[0], &queue->asc_ascq[1], queue->count * sizeof(oldest));
	return oldest;
}

bool record_knows_transport_id(const struct record *record, const char *text)
{
	for (size_t i = 0; i < RECORD_TRANSPORT_IDS; i++)
		if (text[0] != '\0' && strcmp(record->transport_ids[i], text) == 0)
			return true;
	return false;
}

void record_add_transport_id(struct record *record, const char *text, bool own)
{
	size_t at, first = !own && record->own_transport_id ? 1 : 0;

	for (at = first; at < RECORD_TRANSPORT_IDS - 1; at++)
		if (strcmp(record->transport_ids[at], text) == 0)
			break;
	if (!own && first == 1 && strcmp(record->transport_ids[0], text) == 0)
		return;
	memmove(record->transport_ids[first + 1], record->transport_ids[first],
		(at - first) * sizeof(record->transport_ids[0]));
	snprintf(record->transport_ids[first], sizeof(record->transport_ids[first]), "%s", text);
	if (own)
		record->own_transport_id = true;
}

bool record_format(const struct record *record, const struct unit_attentions *queue, char *text)
{
	struct fields_writer writer;

	fields_begin(&writer, text, RECORD_TEXT_MAX, FILE_SEPARATOR, RECORD_VERSION);
	fields_add_text(&writer, "lun", record->lun);
	fields_add_text(&writer, "group", record->group);
	fields_add_text(&writer, "state", state_names[record->state]);
	fields_add_hex(&writer, "key", record->key);
	fields_add_number(&writer, "holder", record->holder);
	fields_add_number(&writer, "type", record->type);
	fields_add_number(&writer, "ptpl", record->ptpl);
	fields_add_number(&writer, "fenced", record->fenced);
	fields_add_hex(&writer, "fenced-key", record->fenced_key);
	fields_add_number(&writer, "scsi2", record->scsi2);
	fields_add_number(&writer, "generation", record->generation);
	fields_add_number(&writer, "proven", record->proven);
	record_text_add_terms(&writer, "out-", &record->out);
	fields_add_number(&writer, "out-least", record->out_count);
	record_text_add_port(&writer, "out-destination", &record->out_destination);
	record_text_add_port(&writer, "out-origin", &record->out_origin);
	record_text_add_port(&writer, "in-origin", &record->in_origin);
	fields_add_hex(&writer, "prepare-key", record->prepare_key);
	fields_add_number(&writer, "out-saved", record->out_saved);
	fields_add_number(&writer, "take-back", record->take_back);
	fields_add_number(&writer, "take-back-sent", record->take_back_sent);
	record_text_add_terms(&writer, "in-", &record->in);
	fields_add_number(&writer, "in-registered", record->in_registered);
	fields_add_number(&writer, "in-done", record->in_done);
	fields_add_number(&writer, "in-loaded", record->in_loaded);
	fields_add_number(&writer, "in-ran", record->in_ran);
	fields_add_number(&writer, "in-exact", record->in_exact);
	fields_add_number(&writer, "in-added", record->in_added);
	fields_add_number(&writer, "in-register-due", record->in_register_due);
	fields_add_number(&writer, "in-kept", record->in_kept);
	fields_add_number(&writer, "in-kept-generation", record->in_kept_generation);
	fields_add_number(&writer, "in-kept-until", record->in_kept_until_s);
	fields_add_number(&writer, "in-moves", record->in_moves);
	fields_add_number(&writer, "in-arrived", record->in_arrived);
	fields_add_number(&writer, "away", record->away);
	fields_add_text(&writer, "step", record_step_name(record->step));
	if (record->pending) {
		fields_add_bytes(&writer, "pending-cdb", record->pending_cdb, PR_CDB_LEN);
		fields_add_bytes(&writer, "pending-list", record->pending_list,
				 record->pending_list_len);
		fields_add_number(&writer, "pending-stands", record->pending_stands);
	}
	record_text_add_unit_attentions(&writer, queue);
	fields_add_number(&writer, "own-nexus", record->own_transport_id);
	fields_add_number(&writer, "target-port", record->relative_target_port);
	record_text_add_transport_ids(&writer, record->transport_ids, RECORD_TRANSPORT_IDS);
	return fields_finish(&writer);
}

/* Index of name in names, or -1. */
static int find_name(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

static bool get_flag(const char *text, const char *key, bool *ret, char *reason)
{
	uint64_t value;

	if (!fields_require_number(text, FILE_SEPARATOR, key, 1, &value, reason))
		return false;
	*ret = value;
	return true;
}

static bool get_pending(const char *text, struct record *record, char *reason)
{
	size_t len;

	if (!fields_get_bytes(text, FILE_SEPARATOR, "pending-cdb", record->pending_cdb, PR_CDB_LEN,
			      &len))
		return true;
	record->pending = true;
	if (len == PR_CDB_LEN &&
	    fields_get_bytes(text, FILE_SEPARATOR, "pending-list", record->pending_list,
			     PR_OUT_LIST_LEN, &record->pending_list_len))
		return get_flag(text, "pending-stands", &record->pending_stands, reason);
	snprintf(reason, NEXUS_MESSAGE_MAX, "the journalled PERSISTENT RESERVE OUT is malformed");
	return false;
}

bool record_parse(const char *text, struct record *ret_record, struct unit_attentions *ret_queue,
		  char *reason)
{
	struct record record = {0};
	struct unit_attentions queue = {0};
	char name[32];
	uint64_t type, generation, proven, out_count, moves, port, kept_generation, flag;
	int state, step;

	if (!record_text_check(text, FILE_SEPARATOR, RECORD_MAJOR, "state file", reason))
		return false;
	if (!fields_get_text(text, FILE_SEPARATOR, "lun", record.lun, sizeof(record.lun)) ||
	    !fields_get_text(text, FILE_SEPARATOR, "group", record.group, sizeof(record.group))) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "field 'lun' or 'group' is missing or too long");
		return false;
	}
	if (!fields_get_text(text, FILE_SEPARATOR, "state", name, sizeof(name)) ||
	    (state = find_name(state_names, 3, name)) < 0) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "field 'state' is not active, incoming or exported");
		return false;
	}
	if (!fields_get_text(text, FILE_SEPARATOR, "step", name, sizeof(name)) ||
	    (step = find_name(step_names, RECORD_STEP_COUNT, name)) < 0) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field 'step' is missing or unknown");
		return false;
	}
	record.state = (enum nexus_state)state;
	record.step = (enum record_step)step;
	if (!fields_require_number(text, FILE_SEPARATOR, "key", UINT64_MAX, &record.key, reason) ||
	    !fields_require_number(text, FILE_SEPARATOR, "fenced-key", UINT64_MAX,
				   &record.fenced_key, reason) ||
	    !fields_require_number(text, FILE_SEPARATOR, "type", 8, &type, reason) ||
	    !fields_require_number(text, FILE_SEPARATOR, "generation", UINT32_MAX, &generation,
				   reason) ||
	    !fields_require_number(text, FILE_SEPARATOR, "proven", UINT32_MAX, &proven, reason) ||
	    !fields_require_number(text, FILE_SEPARATOR, "out-least", UINT32_MAX, &out_count,
				   reason) ||
	    !fields_require_number(text, FILE_SEPARATOR, "in-moves", UINT32_MAX, &moves, reason) ||
	    !fields_require_number(text, FILE_SEPARATOR, "target-port", UINT16_MAX, &port,
				   reason) ||
	    !get_flag(text, "holder", &record.holder, reason) ||
	    !get_flag(text, "ptpl", &record.ptpl, reason) ||
	    !get_flag(text, "fenced", &record.fenced, reason) ||
	    !get_flag(text, "scsi2", &record.scsi2, reason) ||
	    !record_text_get_port(text, FILE_SEPARATOR, "out-destination", &record.out_destination,
				  reason) ||
	    !record_text_get_port(text, FILE_SEPARATOR, "out-origin", &record.out_origin, reason) ||
	    !record_text_get_port(text, FILE_SEPARATOR, "in-origin", &record.in_origin, reason) ||
	    !fields_require_number(text, FILE_SEPARATOR, "prepare-key", UINT64_MAX,
				   &record.prepare_key, reason) ||
	    !get_flag(text, "out-saved", &record.out_saved, reason) ||
	    !get_flag(text, "take-back", &record.take_back, reason) ||
	    !get_flag(text, "take-back-sent", &record.take_back_sent, reason) ||
	    !get_flag(text, "in-registered", &record.in_registered, reason) ||
	    !get_flag(text, "in-added", &record.in_added, reason) ||
	    !get_flag(text, "in-register-due", &record.in_register_due, reason) ||
	    !get_flag(text, "in-kept", &record.in_kept, reason) ||
	    !fields_require_number(text, FILE_SEPARATOR, "in-kept-generation", UINT32_MAX,
				   &kept_generation, reason) ||
	    !fields_require_number(text, FILE_SEPARATOR, "in-kept-until", INT64_MAX,
				   &record.in_kept_until_s, reason) ||
	    !get_flag(text, "in-done", &record.in_done, reason) ||
	    !get_flag(text, "in-loaded", &record.in_loaded, reason) ||
	    !get_flag(text, "in-ran", &record.in_ran, reason) ||
	    !get_flag(text, "in-exact", &record.in_exact, reason) ||
	    !get_flag(text, "own-nexus", &record.own_transport_id, reason) ||
	    !record_text_get_terms(text, FILE_SEPARATOR, "out-", &record.out, reason) ||
	    !record_text_get_terms(text, FILE_SEPARATOR, "in-", &record.in, reason) ||
	    !get_pending(text, &record, reason) ||
	    !record_text_get_unit_attentions(text, FILE_SEPARATOR, &queue, reason))
		return false;
	record.type = (uint8_t)type;
	record.generation = (uint32_t)generation;
	record.proven = (uint32_t)proven;
	record.out_count = (uint32_t)out_count;
	record.in_moves = (uint32_t)moves;
	record.in_kept_generation = (uint32_t)kept_generation;
	record.relative_target_port = (uint16_t)port;
	/* A state that was written before nexuses moved whole has neither. */
	record.in_arrived = fields_get_number(text, FILE_SEPARATOR, "in-arrived", 1, &flag) && flag;
	record.away = fields_get_number(text, FILE_SEPARATOR, "away", 1, &flag) && flag;
	record_text_get_transport_ids(text, FILE_SEPARATOR, record.transport_ids);
	*ret_record = record;
	*ret_queue = queue;
	return true;
}
