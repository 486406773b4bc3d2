/* SPDX-License-Identifier: Apache-2.0 */
/* Import's half on the LUN: K registered here, in time, and the reservation taken. */
#include "handover-internal.h"

#include <inttypes.h>
#include <string.h>

/* How long a REGISTER is kept for a fresh line. */
#define KEEP_S 60

/* PRGENERATION while nothing but Import, of this nexus and of its group's others, has moved it since the line's barrier. */
static uint32_t exact_generation(const struct handover *handover)
{
	return handover->record->in.generation + handover->part.moves + handover->record->in_moves;
}

enum nexus_error handover_register_here(struct handover *handover, uint64_t old_key)
{
	struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct pr_keys after;
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;
	uint32_t moved;
	bool exact;

	record->in_added = true;
	record->in_moves = 0;
	error = handover_register(handover, RECORD_STEP_IMPORT_REGISTER, old_key, terms->key,
				  &wire);
	if (error != NEXUS_OK)
		return error;
	/* The same key, standing since an older hand-over: Export counted it. */
	if (old_key == terms->key && wire == HANDOVER_GOOD)
		record->in_added = false;
	exact = old_key != terms->key || wire != HANDOVER_UNKNOWN;
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
	/* CONFLICT, and yet K is ours: from when is not known. */
	exact = exact && wire != HANDOVER_CONFLICT;
	record->in_moves = exact ? 2 : HANDOVER_NEVER_EXACT;
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
enum nexus_error handover_import_undo(struct handover *handover, enum nexus_error error)
{
	struct record *record = handover->record;
	char message[NEXUS_MESSAGE_MAX];
	enum nexus_error undo_error;
	bool holds;

	memcpy(message, handover->message, sizeof(message));
	undo_error = handover_undo(handover, RECORD_STEP_IMPORT_UNDO, record->in.key,
				   record->in_exact && record->in.row == 3, &holds);
	if (undo_error != NEXUS_OK)
		return undo_error;
	if (!holds) {
		record->in_registered = record->in_exact = record->in_kept = false;
		record->in_moves = 0;
		undo_error = handover_conclude(handover);
		if (undo_error != NEXUS_OK)
			return undo_error;
	}
	memcpy(handover->message, message, sizeof(message));
	return error;
}

static bool view_holds(const struct handover_view *view, const struct record_terms *terms)
{
	return view->reservation.held && view->reservation.key == terms->key &&
	       view->reservation.type == terms->type;
}

/*
 * After a PREEMPT, whatever its status: who holds? What READ KEYS and READ RESERVATION show is another's where this nexus has lost K in between; so
 * it counts only where the generation says that nothing has come between, or a proof of registration after it.
 */
static enum nexus_error after_preempt(struct handover *handover, enum handover_wire wire)
{
	struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct handover_view view = {0};
	struct pr_keys after;
	enum nexus_error error;
	bool registered = true;
	uint32_t moved;

	error = handover_look(handover, terms->key, &view);
	if (error != NEXUS_OK)
		return error;
	if (wire == HANDOVER_GOOD && handover_view_sole_holder(&view, terms->key, terms->type) &&
	    view.keys.generation == exact_generation(handover) + 1) {
		record->proven = view.keys.generation;
		record->in_moves++;
		return handover_conclude(handover);
	}
	error = handover_probe(handover, RECORD_STEP_IMPORT_REREGISTER, terms->key, &registered,
			       &moved, &after);
	if (error != NEXUS_OK)
		return error;
	record->in_registered = registered;
	record->in_exact = registered;
	record->in_moves = HANDOVER_NEVER_EXACT;
	error = handover_conclude(handover);
	if (error != NEXUS_OK)
		return error;
	/* After GOOD a second K is one that came later: nothing but this nexus's K can hold. */
	if (registered && view_holds(&view, terms) &&
	    (view.keys.matching == 1 || wire == HANDOVER_GOOD))
		return NEXUS_OK;
	if (!registered)
		return handover_fail_stale(handover, terms, &after, view.keys.generation);
	if (view_holds(&view, terms))
		return handover_fail(
			handover, NEXUS_ERROR_LUN,
			"PREEMPT did not take effect on the LUN (%s): key 0x%" PRIx64
			" is listed %u times; Import again, or Abort here and then at the source",
			handover->ops->lun_error(handover->user), terms->key, view.keys.matching);
	error = handover_fail(handover, NEXUS_ERROR_FENCED,
			      "another initiator holds the LUN now (type %u, key 0x%" PRIx64
			      "): the reservation of the guest was taken from it during Import",
			      view.reservation.type, view.reservation.key);
	return handover_import_undo(handover, error);
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
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;

	handover->record->in_exact = true;
	handover->record->in_kept = false;
	error = handover_step(handover, RECORD_STEP_IMPORT_PREEMPT, &out, &wire);
	return error != NEXUS_OK ? error : after_preempt(handover, wire);
}

/*
 * READ FULL STATUS shows K on the source, those that it leads and here, and nowhere else (row 3: the source holding T): what moved the
 * generation was somebody else's business.
 */
static bool may_keep(struct handover *handover, const struct state_line *line,
		     const struct handover_view *view)
{
	const struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct handover_registrants registrants;
	uint32_t ours = record_terms_ours(terms);
	bool source = false, source_holds = false;

	if (!record->in_added || terms->count != ours || line->transport_ids[0][0] == '\0' ||
	    !handover->ops->read_full_status(handover->user, terms->key, &registrants) ||
	    registrants.generation != view->keys.generation || registrants.count != ours + 1)
		return false;
	for (size_t i = 0; i < registrants.count && i < HANDOVER_REGISTRANTS; i++) {
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

enum nexus_error handover_import_go_on(struct handover *handover, const struct state_line *line,
				       bool *ret_done)
{
	struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct handover_view view = {0};
	struct pr_keys after;
	enum nexus_error error;
	bool registered, in_time;
	uint32_t moved;

	*ret_done = true;
	error = handover_look(handover, terms->key, &view);
	if (error != NEXUS_OK)
		return error;
	/* In this order: a K that is listed alone is this nexus's, if it is registered after that. */
	error = handover_probe(handover, RECORD_STEP_IMPORT_REREGISTER, terms->key, &registered,
			       &moved, &after);
	if (error != NEXUS_OK)
		return error;
	record->in_registered = registered;
	record->in_exact = record->in_exact && registered;
	record->in_kept = record->in_kept && registered;
	/* Own registration decides: K stands here since before the barrier of this line. */
	in_time = record->in_kept && (int32_t)(terms->generation - record->in_kept_generation) > 0;
	record->in_moves = registered ? record->in_moves + 1 : 0;
	error = handover_conclude(handover);
	if (error != NEXUS_OK)
		return error;
	/* Those that are led have registered K since this nexus became the sole holder, which it is while it is registered. */
	if (registered && terms->row == 3 && view_holds(&view, terms) &&
	    (view.keys.matching == 1 || (record->in_taken && terms->siblings > 0)))
		return NEXUS_OK;
	*ret_done = in_time || (record->in_exact && terms->row == 3);
	if (!*ret_done || terms->row != 3)
		return NEXUS_OK;
	if (in_time && handover_strangers_share_key(handover, line, true))
		return handover_fail_key_shared(handover, terms);
	if (after.matching > record_terms_ours(terms) + 1)
		return handover_fail(
			handover, NEXUS_ERROR_KEY_SHARED,
			"key 0x%" PRIx64 " is registered on %u nexuses, and Import was between the "
			"source and this one: taking the reservation over would throw the other "
			"out; Abort at the source, then here",
			terms->key, after.matching);
	if (view_holds(&view, terms))
		return take_reservation(handover);
	error = handover_fail_stale(handover, terms, &after, terms->generation);
	return handover_import_undo(handover, error);
}

enum nexus_error handover_import_registration(struct handover *handover,
					      const struct state_line *line, uint64_t old_key)
{
	struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct handover_view view = {0};
	enum nexus_error error;
	bool done, reset;

	handover->ops->reset_seen(handover->user);
	if (record->in_registered) {
		error = handover_import_go_on(handover, line, &done);
		if (error != NEXUS_OK || done)
			return error;
	}
	if (!record->in_registered) {
		/* What would be undone at once is better not done. */
		error = handover_look(handover, terms->key, &view);
		if (error != NEXUS_OK)
			return error;
		if ((view.keys.generation != terms->generation + handover->part.moves &&
		     !record->in_tried) ||
		    view.keys.matching != terms->count) {
			record->in_tried = true;
			return handover_fail_stale(handover, terms, &view.keys,
						   terms->generation + handover->part.moves);
		}
		/* Whether K stands here since an older hand-over shows with the REGISTER. */
		if (terms->row == 3 &&
		    handover_strangers_share_key(handover, line, old_key == terms->key))
			return handover_fail_key_shared(handover, terms);
		handover->ops->reset_seen(handover->user);
		error = handover_register_here(handover, old_key);
		if (error != NEXUS_OK)
			return error;
	}
	error = handover_look(handover, terms->key, &view);
	if (error != NEXUS_OK)
		return error;
	reset = handover->ops->reset_seen(handover->user);
	if (reset || view.keys.generation != exact_generation(handover) ||
	    view.keys.matching != terms->count + (record->in_added ? 1 : 0)) {
		struct pr_keys others = view.keys;

		if (others.matching > 0)
			others.matching--;
		error = handover_fail_stale(handover, terms, &others, exact_generation(handover));
		if (error == NEXUS_ERROR_STALE && record->in_moves < HANDOVER_NEVER_EXACT &&
		    !reset && may_keep(handover, line, &view))
			return keep(handover, &view, error);
		return handover_import_undo(handover, error);
	}
	record->proven = view.keys.generation;
	if (terms->row != 3)
		return NEXUS_OK;
	if (handover_strangers_share_key(handover, line, !record->in_added))
		return handover_import_undo(handover, handover_fail_key_shared(handover, terms));
	return take_reservation(handover);
}
