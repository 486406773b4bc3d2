/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <stdio.h>
#include <string.h>

#include "fields.h"

#define RECORD_MAJOR 1
#define RECORD_VERSION "1.0"
#define FILE_SEPARATOR '\n'
#define LINE_SEPARATOR ','

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
};

static const char *const state_names[] = {"active", "incoming", "exported"};

const char *record_step_name(enum record_step step)
{
	return step < RECORD_STEP_COUNT ? step_names[step] : "unknown";
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

/* ---- one text form for terms, unit attentions and TransportIDs ---- */

static void add_terms(struct fields_writer *writer, const char *prefix,
		      const struct record_terms *terms)
{
	char key[32];

#define KEY(name) (snprintf(key, sizeof(key), "%s%s", prefix, name), key)
	fields_add_text(writer, KEY("id"), terms->id);
	fields_add_number(writer, KEY("row"), terms->row);
	fields_add_hex(writer, KEY("key"), terms->key);
	fields_add_number(writer, KEY("type"), terms->type);
	fields_add_number(writer, KEY("fenced"), terms->fenced);
	fields_add_number(writer, KEY("ptpl"), terms->ptpl);
	fields_add_number(writer, KEY("generation"), terms->generation);
	fields_add_number(writer, KEY("count"), terms->count);
	fields_add_number(writer, KEY("time"), terms->time_s);
}

static bool get_number(const char *text, char separator, const char *key, uint64_t max,
		       uint64_t *ret, char *reason)
{
	if (fields_get_number(text, separator, key, max, ret))
		return true;
	snprintf(reason, NEXUS_MESSAGE_MAX, "field '%s' is missing or not a number up to %llu", key,
		 (unsigned long long)max);
	return false;
}

static bool id_valid(const char *id)
{
	return strlen(id) == NEXUS_ID_LEN && strspn(id, "0123456789abcdef") == NEXUS_ID_LEN;
}

static bool get_terms(const char *text, char separator, const char *prefix,
		      struct record_terms *ret, char *reason)
{
	struct record_terms terms = {0};
	char key[32];
	uint64_t row, type, fenced, ptpl, generation, count;

	if (!fields_get_text(text, separator, KEY("id"), terms.id, sizeof(terms.id)) ||
	    (terms.id[0] != '\0' && !id_valid(terms.id))) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field '%s' is missing or not 32 hex digits",
			 key);
		return false;
	}
	if (!get_number(text, separator, KEY("row"), 4, &row, reason) ||
	    !get_number(text, separator, KEY("key"), UINT64_MAX, &terms.key, reason) ||
	    !get_number(text, separator, KEY("type"), 8, &type, reason) ||
	    !get_number(text, separator, KEY("fenced"), 1, &fenced, reason) ||
	    !get_number(text, separator, KEY("ptpl"), 1, &ptpl, reason) ||
	    !get_number(text, separator, KEY("generation"), UINT32_MAX, &generation, reason) ||
	    !get_number(text, separator, KEY("count"), UINT32_MAX, &count, reason) ||
	    !get_number(text, separator, KEY("time"), INT64_MAX, &terms.time_s, reason))
		return false;
#undef KEY
	terms.row = (uint8_t)row;
	terms.type = (uint8_t)type;
	terms.fenced = fenced;
	terms.ptpl = ptpl;
	terms.generation = (uint32_t)generation;
	terms.count = (uint32_t)count;
	*ret = terms;
	return true;
}

static void add_unit_attentions(struct fields_writer *writer, const struct unit_attentions *queue)
{
	uint8_t bytes[2 * RECORD_UNIT_ATTENTIONS];

	for (size_t i = 0; i < queue->count; i++) {
		bytes[2 * i] = (uint8_t)(queue->asc_ascq[i] >> 8);
		bytes[2 * i + 1] = (uint8_t)queue->asc_ascq[i];
	}
	fields_add_bytes(writer, "ua", bytes, 2 * queue->count);
}

static bool get_unit_attentions(const char *text, char separator, struct unit_attentions *ret_queue,
				char *reason)
{
	uint8_t bytes[2 * RECORD_UNIT_ATTENTIONS];
	size_t len;

	if (!fields_get_bytes(text, separator, "ua", bytes, sizeof(bytes), &len) || len % 2 != 0) {
		snprintf(reason, NEXUS_MESSAGE_MAX, "field 'ua' is missing or malformed");
		return false;
	}
	for (size_t i = 0; i < len / 2; i++)
		ret_queue->asc_ascq[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
	ret_queue->count = len / 2;
	return true;
}

static void add_transport_ids(struct fields_writer *writer,
			      const char (*ids)[PR_TRANSPORT_ID_TEXT_MAX], size_t limit)
{
	for (size_t i = 0; i < limit && ids[i][0] != '\0'; i++) {
		char key[32];

		snprintf(key, sizeof(key), "nexus%zu", i);
		fields_add_text(writer, key, ids[i]);
	}
}

static void get_transport_ids(const char *text, char separator,
			      char (*ids)[PR_TRANSPORT_ID_TEXT_MAX])
{
	for (size_t i = 0; i < RECORD_TRANSPORT_IDS; i++) {
		char key[32];

		snprintf(key, sizeof(key), "nexus%zu", i);
		if (!fields_get_text(text, separator, key, ids[i], PR_TRANSPORT_ID_TEXT_MAX))
			break;
	}
}

static bool check_text(const char *text, char separator, const char *what, char *reason)
{
	switch (fields_check(text, separator, RECORD_MAJOR)) {
	case FIELDS_GOOD:
		return true;
	case FIELDS_NOT_OURS:
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "this is not a %s of prmig: it should begin with 'prmig=%s'", what,
			 RECORD_VERSION);
		return false;
	case FIELDS_UNKNOWN_VERSION:
		snprintf(
			reason, NEXUS_MESSAGE_MAX,
			"this %s is of version %.8s, and this prmig reads version %d: use the same "
			"major version of prmig on both hosts",
			what, text + 6, RECORD_MAJOR);
		return false;
	case FIELDS_DAMAGED:
		break;
	}
	snprintf(reason, NEXUS_MESSAGE_MAX,
		 "this %s is damaged: its checksum does not match; take it whole, as it was given",
		 what);
	return false;
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
	add_terms(&writer, "out-", &record->out);
	fields_add_number(&writer, "out-saved", record->out_saved);
	fields_add_number(&writer, "take-back", record->take_back);
	add_terms(&writer, "in-", &record->in);
	fields_add_number(&writer, "in-registered", record->in_registered);
	fields_add_number(&writer, "in-done", record->in_done);
	fields_add_number(&writer, "in-loaded", record->in_loaded);
	fields_add_number(&writer, "in-ran", record->in_ran);
	fields_add_number(&writer, "in-added", record->in_added);
	fields_add_number(&writer, "in-moves", record->in_moves);
	fields_add_text(&writer, "step", record_step_name(record->step));
	if (record->pending) {
		fields_add_bytes(&writer, "pending-cdb", record->pending_cdb, PR_CDB_LEN);
		fields_add_bytes(&writer, "pending-list", record->pending_list,
				 record->pending_list_len);
		fields_add_number(&writer, "pending-stands", record->pending_stands);
	}
	add_unit_attentions(&writer, queue);
	fields_add_number(&writer, "own-nexus", record->own_transport_id);
	fields_add_number(&writer, "target-port", record->relative_target_port);
	add_transport_ids(&writer, record->transport_ids, RECORD_TRANSPORT_IDS);
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

	if (!get_number(text, FILE_SEPARATOR, key, 1, &value, reason))
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
	uint64_t type, generation, moves, port;
	int state, step;

	if (!check_text(text, FILE_SEPARATOR, "state file", reason))
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
	if (!get_number(text, FILE_SEPARATOR, "key", UINT64_MAX, &record.key, reason) ||
	    !get_number(text, FILE_SEPARATOR, "fenced-key", UINT64_MAX, &record.fenced_key,
			reason) ||
	    !get_number(text, FILE_SEPARATOR, "type", 8, &type, reason) ||
	    !get_number(text, FILE_SEPARATOR, "generation", UINT32_MAX, &generation, reason) ||
	    !get_number(text, FILE_SEPARATOR, "in-moves", UINT32_MAX, &moves, reason) ||
	    !get_number(text, FILE_SEPARATOR, "target-port", UINT16_MAX, &port, reason) ||
	    !get_flag(text, "holder", &record.holder, reason) ||
	    !get_flag(text, "ptpl", &record.ptpl, reason) ||
	    !get_flag(text, "fenced", &record.fenced, reason) ||
	    !get_flag(text, "scsi2", &record.scsi2, reason) ||
	    !get_flag(text, "out-saved", &record.out_saved, reason) ||
	    !get_flag(text, "take-back", &record.take_back, reason) ||
	    !get_flag(text, "in-registered", &record.in_registered, reason) ||
	    !get_flag(text, "in-added", &record.in_added, reason) ||
	    !get_flag(text, "in-done", &record.in_done, reason) ||
	    !get_flag(text, "in-loaded", &record.in_loaded, reason) ||
	    !get_flag(text, "in-ran", &record.in_ran, reason) ||
	    !get_flag(text, "own-nexus", &record.own_transport_id, reason) ||
	    !get_terms(text, FILE_SEPARATOR, "out-", &record.out, reason) ||
	    !get_terms(text, FILE_SEPARATOR, "in-", &record.in, reason) ||
	    !get_pending(text, &record, reason) ||
	    !get_unit_attentions(text, FILE_SEPARATOR, &queue, reason))
		return false;
	record.type = (uint8_t)type;
	record.generation = (uint32_t)generation;
	record.in_moves = (uint32_t)moves;
	record.relative_target_port = (uint16_t)port;
	get_transport_ids(text, FILE_SEPARATOR, record.transport_ids);
	*ret_record = record;
	*ret_queue = queue;
	return true;
}

bool state_line_format(const struct record *record, const struct unit_attentions *queue,
		       const char *source, char *text)
{
	/* Long iSCSI names: as many former TransportIDs as fit, the newest first. */
	for (size_t ids = RECORD_TRANSPORT_IDS + 1; ids-- > 0;) {
		struct fields_writer writer;

		fields_begin(&writer, text, NEXUS_STATE_LINE_MAX, LINE_SEPARATOR, RECORD_VERSION);
		add_terms(&writer, "", &record->out);
		fields_add_text(&writer, "lun", record->lun);
		fields_add_text(&writer, "source", source);
		add_unit_attentions(&writer, queue);
		add_transport_ids(&writer, record->transport_ids, ids);
		if (fields_finish(&writer))
			return true;
	}
	return false;
}

static bool terms_consistent(const struct record_terms *terms)
{
	switch (terms->row) {
	case 1:
		return true;
	case 2:
		return terms->key != 0 && terms->count > 0;
	case 3:
		return terms->key != 0 && terms->count > 0 && pr_type_valid(terms->type) &&
		       !pr_type_all_registrants(terms->type);
	case 4:
		return terms->key != 0 && terms->count > 0 && pr_type_all_registrants(terms->type);
	default:
		return false;
	}
}

bool state_line_parse(const char *text, struct state_line *ret_line, char *reason)
{
	struct state_line line = {0};

	if (strlen(text) >= NEXUS_STATE_LINE_MAX) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "this state line has %zu bytes; at most %d are taken", strlen(text),
			 NEXUS_STATE_LINE_MAX - 1);
		return false;
	}
	if (!check_text(text, LINE_SEPARATOR, "state line", reason) ||
	    !get_terms(text, LINE_SEPARATOR, "", &line.terms, reason) ||
	    !get_unit_attentions(text, LINE_SEPARATOR, &line.unit_attentions, reason))
		return false;
	if (line.terms.id[0] == '\0' || !terms_consistent(&line.terms)) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "this state line contradicts itself (row %u, key 0x%llx, type %u)",
			 line.terms.row, (unsigned long long)line.terms.key, line.terms.type);
		return false;
	}
	if (!fields_get_text(text, LINE_SEPARATOR, "lun", line.lun, sizeof(line.lun)) ||
	    !fields_get_text(text, LINE_SEPARATOR, "source", line.source, sizeof(line.source))) {
		snprintf(reason, NEXUS_MESSAGE_MAX,
			 "field 'lun' or 'source' is missing or too long");
		return false;
	}
	get_transport_ids(text, LINE_SEPARATOR, line.transport_ids);
	*ret_line = line;
	return true;
}
