/* SPDX-License-Identifier: Apache-2.0 */
/* Import: the destination's side. */
#include "handover-internal.h"

#include <inttypes.h>
#include <string.h>

static enum nexus_error imported(struct handover *handover, const struct state_line *line)
{
	struct record *record = handover->record;
	struct record before = *record;
	const struct record_terms *terms = &record->in;
	enum nexus_error error;

	record->state = NEXUS_ACTIVE;
	record->in_done = true;
	record->in_loaded = handover->by_qemu && terms->row != 1;
	record->in_ran = false;
	record->in_registered = record->in_taken = record->in_kept = record->in_exact = false;
	record->in_arrived = false;
	record->in_register_due = terms->row != 1;
	record->key = terms->row == 1 ? 0 : terms->key;
	record->holder = terms->row >= 3;
	record->type = record->holder ? terms->type : PR_TYPE_NONE;
	record->fenced = terms->row == 1 && terms->fenced;
	record->fenced_key = record->fenced ? terms->key : 0;
	record->scsi2 = false;
	if (record->key != 0)
		handover_learn_transport_id(handover, record->key);
	for (size_t i = 0; i < RECORD_TRANSPORT_IDS && line->transport_ids[i][0] != '\0'; i++)
		record_add_transport_id(record, line->transport_ids[i], false);
	for (size_t i = 0; i < line->unit_attentions.count; i++)
		handover->ops->add_unit_attention(handover->user,
						  line->unit_attentions.asc_ascq[i]);
	error = handover_conclude(handover);
	if (error != NEXUS_OK) {
		/* K stays registered and journalled as Import's: Import again goes on from there. */
		before.in_registered = terms->row != 1 && !terms->whole;
		before.in_arrived = terms->whole;
		before.in_taken = false;
		*record = before;
		return error;
	}
	if (!record->in_loaded)
		handover->ops->open_gate(handover->user);
	return NEXUS_OK;
}

/* The LUN is as it should be; the gate waits for the other nexuses of the group. */
static enum nexus_error taken(struct handover *handover)
{
	struct record *record = handover->record;

	record->state = NEXUS_INCOMING;
	record->in_registered = record->in.row != 1 && !record->in.whole;
	record->in_taken = true;
	return handover_conclude(handover);
}

/* The source's Abort or a peer may have come since the LUN was taken. */
static enum nexus_error still_taken(struct handover *handover, const struct state_line *line)
{
	struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct handover_view view = {0};
	enum nexus_error error;
	bool done;

	/* Nobody takes a nexus from here that has arrived whole. */
	if (terms->row == 1 || terms->whole)
		return NEXUS_OK;
	/* A later Export has counted the K that stands here. */
	if (terms->generation != line->terms.generation) {
		record->in.generation = line->terms.generation;
		record->in.count = line->terms.count;
		record->in_added = false;
		record->in_moves = 0;
	}
	error = handover_look(handover, terms->key, &view);
	if (error != NEXUS_OK || view.keys.generation == record->proven)
		return error;
	error = handover_import_go_on(handover, line, &done);
	if (error != NEXUS_OK || record->in_registered)
		return error;
	record->in_taken = false;
	return handover_fail_stale(handover, terms, &view.keys, record->proven);
}

static void begin(struct record *record, const struct state_line *line)
{
	if (!handover_same(&record->in, line))
		record->in_ran = record->in_tried = false;
	record->in = line->terms;
	record->in_done = record->in_taken = false;
}

/* Row 1: what stands here of an older hand-over, or of this one before the guest was fenced, goes. */
static enum nexus_error import_nothing(struct handover *handover, const struct state_line *line)
{
	struct record *record = handover->record;
	enum nexus_error error = NEXUS_OK;

	if (record->in_registered)
		error = handover_import_undo(handover, NEXUS_OK);
	else if (record->state == NEXUS_EXPORTED)
		error = handover_drop_exported(handover, true);
	if (error != NEXUS_OK)
		return error;
	if (record->in_registered)
		return handover_fail(handover, NEXUS_ERROR_WRONG_STATE,
				     "nexus '%s' holds the reservation by an unfinished Import of "
				     "hand-over %s, and this line says that nothing is registered: "
				     "Abort at the source, then here",
				     handover->name, record->in.id);
	begin(record, line);
	return NEXUS_OK;
}

static enum nexus_error import_key(struct handover *handover, const struct state_line *line)
{
	struct record *record = handover->record;
	/* What an older hand-over left registered here is changed to the new key. */
	uint64_t old_key =
		record->state == NEXUS_EXPORTED && record->out.row != 1 ? record->out.key : 0;

	/* Export has counted what an unfinished Import of this hand-over had registered by then. */
	if (record->in_registered && record->in.generation != line->terms.generation) {
		record->in_moves = 0;
		record->in_added = false;
	}
	begin(record, line);
	/* The gate is closed while K stands here and Import is not done, after a kill too. */
	if (record->state == NEXUS_ACTIVE)
		record->state = NEXUS_INCOMING;
	if (line->terms.led)
		return handover_import_led(handover, old_key);
	if (line->terms.moved)
		return handover_import_moved(handover, line);
	return handover_import_registration(handover, line, old_key);
}

static enum nexus_error import_whole(struct handover *handover, const struct state_line *line)
{
	struct record *record = handover->record;

	begin(record, line);
	if (record->state == NEXUS_ACTIVE)
		record->state = NEXUS_INCOMING;
	return handover_whole_arrive(handover, line);
}

/* Import failed on an active nexus: where nothing of it stands on the LUN, the nexus is as before. */
static enum nexus_error back_to_active(struct handover *handover, enum nexus_error error)
{
	struct record *record = handover->record;
	char message[NEXUS_MESSAGE_MAX];

	if (handover_import_unfinished(record) || record->step != RECORD_STEP_NONE)
		return error;
	memcpy(message, handover->message, sizeof(message));
	record->state = NEXUS_ACTIVE;
	if (handover_conclude(handover) != NEXUS_OK)
		record->state = NEXUS_INCOMING;
	else if (handover_gate_open(record))
		handover->ops->open_gate(handover->user);
	memcpy(handover->message, message, sizeof(message));
	return error;
}

static enum nexus_error resync_if_moved(struct handover *handover, bool *ret_fenced)
{
	struct record *record = handover->record;
	struct handover_view view = {0};
	enum nexus_error error;

	*ret_fenced = false;
	if (record->key == 0)
		return NEXUS_OK;
	error = handover_look(handover, record->key, &view);
	if (error != NEXUS_OK || view.keys.generation == record->proven)
		return error;
	error = handover_resync(handover, HANDOVER_DOUBT_TOLD, ret_fenced);
	if (error == NEXUS_OK && *ret_fenced)
		error = handover_fail(
			handover, NEXUS_ERROR_FENCED,
			"hand-over %s was imported, and another initiator has removed "
			"the key since: the guest is fenced",
			record->in.id);
	return error;
}

enum nexus_error handover_import(struct handover *handover, const char *text, bool force,
				 bool take_only)
{
	struct record *record = handover->record;
	struct state_line line;
	enum nexus_error error;
	bool was_active;

	if (!state_line_parse(text, &line, handover->message))
		return NEXUS_ERROR_BAD_STATE;
	error = handover_settle_first(handover);
	if (error != NEXUS_OK)
		return error;
	if (handover->part.leader_lost)
		return handover_import_leader_lost(handover, &line);
	if (strcmp(record->lun, line.lun) == 0 && record->state == NEXUS_EXPORTED &&
	    handover_same(&record->out, &line))
		return handover_abort_source(handover, force);
	if (record->state == NEXUS_ACTIVE && record->in_done && handover_same(&record->in, &line)) {
		bool fenced;

		/* Nothing has been sent since a later Export's barrier. */
		if (record->in.generation != line.terms.generation)
			record->in_moves = 0;
		/* The source's Abort may have taken it back, and this nexus not have seen that yet. */
		error = record->in_ran || record->key != record->in.key || record->in.whole
				? NEXUS_OK
				: resync_if_moved(handover, &fenced);
		if (error != NEXUS_OK || record->state == NEXUS_ACTIVE)
			return error;
	}
	error = handover_check_state(handover, &line, force);
	if (error == NEXUS_OK)
		error = handover_check_line(handover, &line, force);
	if (error != NEXUS_OK)
		return error;
	if (handover_import_unfinished(record) && !handover_same(&record->in, &line))
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' has an unfinished Import of hand-over %s: Abort that first",
			handover->name, record->in.id);
	if (record->in_taken && handover_same(&record->in, &line)) {
		error = still_taken(handover, &line);
		return error != NEXUS_OK || take_only ? error : imported(handover, &line);
	}
	error = handover_whole_check(handover, &line);
	if (error != NEXUS_OK)
		return error;
	was_active = record->state == NEXUS_ACTIVE;
	handover->ops->close_gate(handover->user);
	if (line.terms.whole)
		error = import_whole(handover, &line);
	else
		error = line.terms.row == 1 ? import_nothing(handover, &line)
					    : import_key(handover, &line);
	if (error == NEXUS_OK)
		return take_only ? taken(handover) : imported(handover, &line);
	return was_active ? back_to_active(handover, error) : error;
}
