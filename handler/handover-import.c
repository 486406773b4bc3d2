/* SPDX-License-Identifier: Apache-2.0 */
/* Import: the destination's side. */
#include "handover-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How long a REGISTER is kept for a fresh line. */
#define KEEP_S 60

/* ---- rows 2 to 4 ---- */

/*
 * Registers K here. NEXUS_OK: K is registered by this nexus, record->in_registered says so, and record->in_moves counts
 * what that moved PRGENERATION by; *ret_exact false: by how much is not known.
 */
static enum nexus_error register_here(struct handover *handover, uint64_t old_key, bool *ret_exact)
{
	struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct pr_keys after;
	enum handover_wire wire;
	enum nexus_error error;
	uint32_t moved;

	*ret_exact = true;
	if (record->in_registered) {
		bool registered;

		error = handover_probe(handover, RECORD_STEP_IMPORT_REREGISTER, terms->key,
				       &registered, &moved, &after);
		if (error != NEXUS_OK)
			return error;
		record->in_registered = registered;
		record->in_moves += registered ? 1 : 0;
		if (registered)
			return handover_conclude(handover);
		record->in_moves = 0;
	}
	record->in_added = true;
	error = handover_register(handover, RECORD_STEP_IMPORT_REGISTER, old_key, terms->key,
				  &wire);
	if (error != NEXUS_OK)
		return error;
	/* The same key, standing since an older hand-over: Export counted it. */
	if (old_key == terms->key && wire == HANDOVER_GOOD)
		record->in_added = false;
	if (old_key == terms->key && wire == HANDOVER_UNKNOWN)
		*ret_exact = false;
	if (wire == HANDOVER_CONFLICT && old_key != 0) {
		/* The registration of the older hand-over is gone, as it is after row 3. */
		error = handover_register(handover, RECORD_STEP_IMPORT_REGISTER, 0, terms->key,
					  &wire);
		if (error != NEXUS_OK)
			return error;
	}
	if (wire == HANDOVER_REFUSED) {
		handover_conclude(handover);
		return handover_fail_lun(handover, "registering the key at the destination");
	}
	record->in_moves = 1;
	if (wire == HANDOVER_GOOD) {
		record->in_registered = true;
		return handover_conclude(handover);
	}
	error = handover_probe(handover, RECORD_STEP_IMPORT_REREGISTER, terms->key,
			       &record->in_registered, &moved, &after);
	if (error != NEXUS_OK)
		return error;
	record->in_moves = record->in_registered ? 2 : 0;
	/* CONFLICT, and yet K is ours: from when is not known. */
	*ret_exact = *ret_exact && wire != HANDOVER_CONFLICT;
	error = handover_conclude(handover);
	if (error != NEXUS_OK)
		return error;
	if (record->in_registered)
		return NEXUS_OK;
	if (wire == HANDOVER_CONFLICT)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is registered on the LUN with another key than 0x%" PRIx64
			" already: another guest or program on this host uses the same path; "
			"Forget, or unregister it there, first",
			handover->name, terms->key);
	return handover_fail_lun(handover, "registering the key at the destination");
}

/* Import has not succeeded and its REGISTER must not stay. Keeps error, unless the undo itself fails. */
static enum nexus_error take_registration_back(struct handover *handover, enum nexus_error error,
					       bool *ret_holds)
{
	struct record *record = handover->record;
	char message[NEXUS_MESSAGE_MAX];
	enum nexus_error undo_error;

	memcpy(message, handover->message, sizeof(message));
	undo_error = handover_undo(handover, RECORD_STEP_IMPORT_UNDO, record->in.key,
				   record->in.row, record->in.type, ret_holds);
	if (undo_error != NEXUS_OK)
		return undo_error;
	if (!*ret_holds) {
		record->in_registered = record->in_kept = false;
		record->in_moves = 0;
		undo_error = handover_conclude(handover);
		if (undo_error != NEXUS_OK)
			return undo_error;
	}
	memcpy(handover->message, message, sizeof(message));
	return error;
}

/* After a PREEMPT, whatever its status: who holds? */
static enum nexus_error after_preempt(struct handover *handover, enum handover_wire wire)
{
	struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct handover_view view;
	struct pr_keys after;
	enum nexus_error error;
	bool registered = true;
	uint32_t moved;

	error = handover_look(handover, terms->key, &view);
	if (error != NEXUS_OK)
		return error;
	if (wire != HANDOVER_GOOD || view.keys.matching != 1) {
		error = handover_probe(handover, RECORD_STEP_IMPORT_REREGISTER, terms->key,
				       &registered, &moved, &after);
		if (error != NEXUS_OK)
			return error;
		error = handover_look(handover, terms->key, &view);
		if (error != NEXUS_OK)
			return error;
	}
	record->in_registered = registered;
	if (registered && handover_view_sole_holder(&view, terms->key, terms->type))
		return handover_conclude(handover);
	error = handover_conclude(handover);
	if (error != NEXUS_OK)
		return error;
	if (!registered)
		return handover_fail(handover, NEXUS_ERROR_FENCED,
				     "another initiator has removed key 0x%" PRIx64
				     " from nexus '%s' during "
				     "Import: the guest is fenced",
				     terms->key, handover->name);
	if (view.keys.matching > 1)
		return handover_fail(
			handover, NEXUS_ERROR_LUN,
			"PREEMPT did not take effect on the LUN (%s): key 0x%" PRIx64
			" is listed %u times; Import again, or Abort here and then at the source",
			handover->ops->lun_error(handover->user), terms->key, view.keys.matching);
	return handover_fail(handover, NEXUS_ERROR_FENCED,
			     "another initiator holds the LUN now (type %u, key 0x%" PRIx64
			     "): the reservation of the guest was taken from it during Import",
			     view.reservation.type, view.reservation.key);
}

static enum nexus_error take_reservation(struct handover *handover)
{
	const struct record_terms *terms = &handover->record->in;
	struct pr_out out = {
		.action = PR_OUT_PREEMPT,
		.type = terms->type,
		.key = terms->key,
		.new_key = terms->key,
		.list_len = PR_OUT_LIST_LEN,
	};
	enum handover_wire wire;
	enum nexus_error error;

	error = handover_step(handover, RECORD_STEP_IMPORT_PREEMPT, &out, &wire);
	return error != NEXUS_OK ? error : after_preempt(handover, wire);
}

/*
 * READ FULL STATUS shows K on the source and here, and nowhere else (row 3: the source holding T): what moved the generation was
 * somebody else's business.
 */
static bool may_keep(struct handover *handover, const struct state_line *line,
		     const struct handover_view *view)
{
	const struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct handover_registrants registrants;
	bool source = false, source_holds = false;

	if (!record->in_added || terms->count != 1 || line->transport_ids[0][0] == '\0' ||
	    !handover->ops->read_full_status(handover->user, terms->key, &registrants) ||
	    registrants.generation != view->keys.generation || registrants.count != 2)
		return false;
	for (size_t i = 0; i < 2; i++) {
		if (strcmp(registrants.with_key[i].transport_id, line->transport_ids[0]) != 0)
			continue;
		source = true;
		source_holds = registrants.with_key[i].holder;
	}
	return source && (terms->row != 3 || (source_holds && view->reservation.held &&
					      view->reservation.type == terms->type));
}

/* Stale, and K stays: the next line, whose barrier comes after this REGISTER, needs no exact generation. */
static enum nexus_error keep(struct handover *handover, const struct handover_view *view,
			     enum nexus_error error)
{
	struct record *record = handover->record;
	char message[NEXUS_MESSAGE_MAX];
	enum nexus_error save_error;

	memcpy(message, handover->message, sizeof(message));
	record->in_kept = true;
	record->in_kept_generation = view->keys.generation;
	record->in_kept_until_s = handover->ops->wall_clock_s(handover->user) + KEEP_S;
	save_error = handover_conclude(handover);
	memcpy(handover->message, message, sizeof(message));
	return save_error != NEXUS_OK ? save_error : error;
}

/* Own registration decides: K stands here since before the barrier of this line. */
static enum nexus_error import_kept(struct handover *handover, const struct state_line *line)
{
	struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct handover_view view;
	struct pr_keys after;
	enum nexus_error error;
	uint32_t moved;

	if (terms->row == 3)
		return handover_strangers_share_key(handover, line, true)
			       ? handover_fail_key_shared(handover, terms)
			       : take_reservation(handover);
	error = handover_probe(handover, RECORD_STEP_IMPORT_REREGISTER, terms->key,
			       &record->in_registered, &moved, &after);
	if (error == NEXUS_OK)
		error = handover_conclude(handover);
	if (error != NEXUS_OK || record->in_registered)
		return error;
	error = handover_look(handover, terms->key, &view);
	return error != NEXUS_OK
		       ? error
		       : handover_fail_stale(handover, terms, &view.keys, terms->generation);
}

static enum nexus_error import_registration(struct handover *handover,
					    const struct state_line *line, uint64_t old_key)
{
	struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct handover_view view;
	enum nexus_error error;
	bool exact, holds, reset;

	if (record->in_registered && record->in_kept &&
	    (int32_t)(terms->generation - record->in_kept_generation) > 0)
		return import_kept(handover, line);
	if (!record->in_registered) {
		/* What would be undone at once is better not done. */
		error = handover_look(handover, terms->key, &view);
		if (error != NEXUS_OK)
			return error;
		if ((view.keys.generation != terms->generation && !record->in_tried) ||
		    view.keys.matching != terms->count) {
			record->in_tried = true;
			return handover_fail_stale(handover, terms, &view.keys, terms->generation);
		}
	}
	handover->ops->reset_seen(handover->user);
	error = register_here(handover, old_key, &exact);
	if (error != NEXUS_OK)
		return error;
	error = handover_look(handover, terms->key, &view);
	if (error != NEXUS_OK)
		return error;
	if (terms->row == 3 && handover_view_sole_holder(&view, terms->key, terms->type))
		return NEXUS_OK;
	reset = handover->ops->reset_seen(handover->user);
	if (!exact || reset || view.keys.generation != terms->generation + record->in_moves ||
	    view.keys.matching != terms->count + (record->in_added ? 1 : 0)) {
		/* Without this nexus's own. */
		view.keys.matching--;
		error = handover_fail_stale(handover, terms, &view.keys,
					    terms->generation + record->in_moves);
		view.keys.matching++;
		if (error == NEXUS_ERROR_STALE && exact && !reset &&
		    may_keep(handover, line, &view))
			return keep(handover, &view, error);
		error = take_registration_back(handover, error, &holds);
		return holds ? NEXUS_OK : error;
	}
	if (terms->row != 3)
		return NEXUS_OK;
	if (handover_strangers_share_key(handover, line, !record->in_added)) {
		error = handover_fail_key_shared(handover, terms);
		error = take_registration_back(handover, error, &holds);
		return holds ? NEXUS_OK : error;
	}
	return take_reservation(handover);
}

/* Row 1 over an exported nexus: what stands here of the older hand-over goes. */
static enum nexus_error drop_older(struct handover *handover, uint64_t old_key)
{
	enum handover_wire wire;
	enum nexus_error error;

	if (old_key == 0)
		return NEXUS_OK;
	error = handover_register(handover, RECORD_STEP_IMPORT_REGISTER, old_key, 0, &wire);
	if (error != NEXUS_OK)
		return error;
	if (wire != HANDOVER_GOOD && wire != HANDOVER_CONFLICT)
		return handover_fail_lun(handover, "unregistering the key of an older hand-over");
	return handover_conclude(handover);
}

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
	record->in_registered = record->in_taken = record->in_kept = false;
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
		before.in_registered = terms->row != 1;
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
	record->in_registered = record->in.row != 1;
	record->in_taken = true;
	return handover_conclude(handover);
}

enum nexus_error handover_import(struct handover *handover, const char *text, bool force,
				 bool take_only)
{
	struct record *record = handover->record;
	struct state_line line;
	enum nexus_error error;
	uint64_t old_key;

	if (!state_line_parse(text, &line, handover->message))
		return NEXUS_ERROR_BAD_STATE;
	if (strcmp(record->lun, line.lun) == 0 && record->state == NEXUS_EXPORTED &&
	    handover_same(&record->out, &line))
		return handover_abort_source(handover, force);
	if (record->state == NEXUS_ACTIVE && record->in_done && handover_same(&record->in, &line))
		return NEXUS_OK;
	error = handover_check_state(handover, &line, force);
	if (error == NEXUS_OK)
		error = handover_check_line(handover, &line, force);
	if (error != NEXUS_OK)
		return error;
	if (record->in_registered && !handover_same(&record->in, &line))
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' has an unfinished Import of hand-over %s: Abort that first",
			handover->name, record->in.id);
	if (record->in_taken && handover_same(&record->in, &line))
		return take_only ? NEXUS_OK : imported(handover, &line);
	handover->ops->close_gate(handover->user);
	/* What an older hand-over left registered here is changed to the new key. */
	old_key = record->state == NEXUS_EXPORTED && record->out.row != 1 ? record->out.key : 0;
	if (!handover_same(&record->in, &line))
		record->in_tried = false;
	/* Export has counted what an unfinished Import of this hand-over had registered by then. */
	if (record->in_registered && record->in.generation != line.terms.generation) {
		record->in_moves = 0;
		record->in_added = false;
	}
	record->in = line.terms;
	record->in_done = record->in_taken = false;
	if (line.terms.row == 1)
		error = drop_older(handover, old_key);
	else if (line.terms.moved)
		error = handover_import_moved(handover, &line);
	else
		error = import_registration(handover, &line, old_key);
	if (error == NEXUS_OK)
		error = take_only ? taken(handover) : imported(handover, &line);
	/* Not imported: the gate stands as before. */
	if (error != NEXUS_OK && handover_gate_open(record))
		handover->ops->open_gate(handover->user);
	return error;
}
