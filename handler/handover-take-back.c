/* SPDX-License-Identifier: Apache-2.0 */
/* Abort at the source: the gate opens again, or the reservation is taken back first. */
#include "handover-internal.h"

#include <inttypes.h>
#include <string.h>

enum nexus_error handover_reopened(struct handover *handover)
{
	struct record *record = handover->record;
	struct record before = *record;
	enum nexus_error error;

	record->state = NEXUS_ACTIVE;
	record->take_back = false;
	if (record->out.row != 1) {
		record->key = record->out.key;
		record->holder = record->out.row >= 3;
		record->type = record->out.type;
	}
	error = handover_conclude(handover);
	if (error != NEXUS_OK) {
		*record = before;
		return error;
	}
	handover->ops->open_gate(handover->user);
	return NEXUS_OK;
}

/* The guest is fenced: it may run, and the LUN shuts it out. */
enum nexus_error handover_fenced_at_source(struct handover *handover)
{
	struct record *record = handover->record;
	struct record before = *record;
	uint64_t key = record->out.key;
	enum nexus_error error;

	handover_set_fenced(record, key);
	/* As the LUN told this nexus while it was exported, when it was taken for the hand-over's own. */
	handover->ops->add_unit_attention(handover->user, SCSI_ASC_REGISTRATIONS_PREEMPTED);
	record->take_back = false;
	record->state = NEXUS_ACTIVE;
	error = handover_conclude(handover);
	if (error != NEXUS_OK) {
		*record = before;
		return error;
	}
	handover->ops->open_gate(handover->user);
	return handover_fail(
		handover, NEXUS_ERROR_FENCED,
		"another initiator has removed key 0x%" PRIx64 " of nexus '%s': the guest is "
		"fenced, and prmig does not undo that; its cluster software has to register again",
		key, handover->name);
}

enum nexus_error handover_abort_by_barrier(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	struct pr_keys keys;
	enum nexus_error error;
	bool registered = false;
	uint32_t moved;

	error = handover_probe(handover, RECORD_STEP_ABORT_BARRIER, out->key, &registered, &moved,
			       &keys);
	if (error != NEXUS_OK)
		return error;
	if (!registered)
		return handover_fenced_at_source(handover);
	if (keys.matching <= record->out_count || force)
		return handover_reopened(handover);
	error = handover_conclude(handover);
	if (error != NEXUS_OK)
		return error;
	return handover_fail(
		handover, NEXUS_ERROR_WRONG_STATE,
		"key 0x%" PRIx64 " is listed %u times, and was %u times at Export: the destination "
		"is registered; Abort there first, then here (force, when that host is known dead)",
		out->key, keys.matching, record->out_count);
}

static struct pr_out preempt(const struct record_terms *terms, enum pr_out_action action)
{
	return (struct pr_out){
		.action = action,
		.type = terms->type,
		.key = terms->key,
		.new_key = terms->key,
		.list_len = PR_OUT_LIST_LEN,
	};
}

static enum nexus_error fail_shared(struct handover *handover, uint32_t count)
{
	return handover_fail(
		handover, NEXUS_ERROR_KEY_SHARED,
		"key 0x%" PRIx64 " is registered on %u nexuses, more than the source and the "
		"destination: taking the reservation back would throw the others out; they have to "
		"unregister first",
		handover->record->out.key, count);
}

static enum nexus_error take_back(struct handover *handover, bool force);

/* *ret_wire of the PREEMPT that takes the reservation from the destination. */
static enum nexus_error send_take_back(struct handover *handover, enum handover_wire *ret_wire)
{
	struct pr_out step = preempt(&handover->record->out, PR_OUT_PREEMPT_AND_ABORT);
	enum nexus_error error;

	handover->record->take_back_sent = true;
	error = handover_step(handover, RECORD_STEP_ABORT_TAKE_BACK, &step, ret_wire);
	if (error != NEXUS_OK || *ret_wire != HANDOVER_REFUSED)
		return error;
	/* The LUN does not have it. */
	step = preempt(&handover->record->out, PR_OUT_PREEMPT);
	return handover_step(handover, RECORD_STEP_ABORT_TAKE_BACK, &step, ret_wire);
}

/* K stands here by the take-back's REGISTER: row 3 is taken from the destination, or nothing is left to take. */
static enum nexus_error finish_take_back(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	enum handover_wire wire = HANDOVER_UNKNOWN;
	struct handover_view view = {0};
	enum nexus_error error;
	bool registered, holds;
	uint32_t moved;
	struct pr_keys keys;

	error = handover_look(handover, out->key, &view);
	if (error != NEXUS_OK)
		return error;
	/* Nothing but Import's REGISTER and PREEMPT and this take-back's REGISTER since Export. */
	if (handover->automatic &&
	    (view.keys.generation != out->generation + 3 || view.keys.matching != 2)) {
		error = handover_undo(handover, RECORD_STEP_ABORT_UNDO, out->key,
				      record->take_back_sent, &holds);
		if (error != NEXUS_OK)
			return error;
		record->take_back = holds;
		handover_conclude(handover);
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is exported and its guest writes here, but the LUN has been "
			"used "
			"elsewhere since Export: it cannot be told where the guest runs; Abort or "
			"Release by hand",
			handover->name);
	}
	if (view.keys.matching > 1 + record_terms_ours(out))
		return fail_shared(handover, view.keys.matching);
	if (view.keys.matching > 1) {
		error = send_take_back(handover, &wire);
		if (error == NEXUS_OK)
			error = handover_look(handover, out->key, &view);
		if (error != NEXUS_OK)
			return error;
	}
	if (wire != HANDOVER_GOOD) {
		/* A K that is listed alone may be the destination's: it is this nexus's if a proof comes after it. */
		error = handover_probe(handover, RECORD_STEP_ABORT_REGISTER, out->key, &registered,
				       &moved, &keys);
		if (error != NEXUS_OK)
			return error;
		if (!registered) {
			record->take_back = false;
			error = handover_conclude(handover);
			return error != NEXUS_OK ? error : take_back(handover, force);
		}
	}
	if (handover_view_sole_holder(&view, out->key, out->type))
		return handover_reopened(handover);
	if (view.keys.matching > 1)
		return handover_fail_lun(handover,
					 "taking the reservation back from the destination");
	error = handover_undo(handover, RECORD_STEP_ABORT_UNDO, out->key, false, &holds);
	if (error != NEXUS_OK)
		return error;
	if (!holds)
		return handover_fenced_at_source(handover);
	/* It cannot go without freeing the LUN; that does not make it the guest's again. */
	return handover_fail(
		handover, NEXUS_ERROR_WRONG_STATE,
		"nexus '%s' was fenced while it took the reservation back, and is the last "
		"registrant of what the other initiator left (type %u): its gate stays closed; "
		"register another node, then Abort again",
		handover->name, view.reservation.type);
}

enum nexus_error handover_drop_take_back(struct handover *handover)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	struct handover_view view = {0};
	enum nexus_error error;
	bool holds;

	error = handover_look(handover, out->key, &view);
	if (error != NEXUS_OK || view.keys.matching > 1 ||
	    handover_view_sole_holder(&view, out->key, out->type))
		return error;
	error = handover_undo(handover, RECORD_STEP_ABORT_UNDO, out->key, false, &holds);
	if (error != NEXUS_OK || holds)
		return error;
	record->take_back = false;
	error = handover_look(handover, out->key, &view);
	if (error != NEXUS_OK)
		return error;
	if (view.keys.matching == 0) {
		handover_set_fenced(record, out->key);
		handover->ops->add_unit_attention(handover->user, SCSI_ASC_REGISTRATIONS_PREEMPTED);
	}
	return handover_conclude(handover);
}

/* Row 3, and this nexus is not registered: the destination holds, or a peer has fenced. */
static enum nexus_error take_back(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	struct handover_view view = {0};
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;
	bool registered = false, exact;
	uint32_t moved;
	struct pr_keys keys;

	error = handover_look(handover, out->key, &view);
	if (error != NEXUS_OK)
		return error;
	if (view.keys.matching == 0)
		return handover_fenced_at_source(handover);
	/* Exactly the destination's REGISTER and PREEMPT since Export, and nobody's else; or the LUN names it. */
	exact = record->out_count <= record_terms_ours(out) &&
		view.keys.generation == out->generation + 2 &&
		handover_view_sole_holder(&view, out->key, out->type);
	if (!force && !exact &&
	    (handover->automatic || !view.reservation.held || view.reservation.type != out->type ||
	     !handover_destination_holds(handover))) {
		handover_conclude(handover);
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is not registered any more, key 0x%" PRIx64
			" is listed %u times "
			"elsewhere, and other initiators have changed registrations since Export "
			"(PRGENERATION %u, %u due): who holds cannot be told; Abort at the "
			"destination first (force, when it is known that the destination holds)",
			handover->name, out->key, view.keys.matching, view.keys.generation,
			out->generation + 2);
	}
	/* Journalled with the step: unsent, nothing is to be finished. */
	record->take_back = true;
	record->take_back_sent = false;
	error = handover_register(handover, RECORD_STEP_ABORT_REGISTER, 0, out->key, &wire);
	if (error != NEXUS_OK) {
		record->take_back = false;
		return error;
	}
	if (wire == HANDOVER_UNKNOWN || wire == HANDOVER_CONFLICT) {
		error = handover_probe(handover, RECORD_STEP_ABORT_REGISTER, out->key, &registered,
				       &moved, &keys);
		if (error != NEXUS_OK)
			return error;
		wire = registered ? HANDOVER_GOOD : HANDOVER_REFUSED;
	}
	if (wire != HANDOVER_GOOD) {
		record->take_back = false;
		handover_conclude(handover);
		return handover_fail_lun(handover, "registering again at the source");
	}
	error = handover_conclude(handover);
	return error != NEXUS_OK ? error : finish_take_back(handover, force);
}

static enum nexus_error abort_by_preempt(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	struct pr_out step = preempt(out, PR_OUT_PREEMPT);
	struct handover_view view = {0};
	struct pr_keys keys;
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;
	bool registered = false;
	uint32_t moved;

	error = handover_look(handover, out->key, &view);
	if (error != NEXUS_OK)
		return error;
	if (view.keys.matching > 2 * record_terms_ours(out))
		return fail_shared(handover, view.keys.matching);
	if (out->siblings > 0) {
		/* With K as often as at Export nobody is there to be removed, and those that are led keep theirs. */
		error = handover_probe(handover, RECORD_STEP_ABORT_BARRIER, out->key, &registered,
				       &moved, &keys);
		if (error != NEXUS_OK)
			return error;
		if (registered && keys.matching <= record->out_count)
			return handover_reopened(handover);
		if (!registered)
			return take_back(handover, force);
	}
	error = handover_step(handover, RECORD_STEP_ABORT_PREEMPT, &step, &wire);
	if (error != NEXUS_OK)
		return error;
	if (wire == HANDOVER_REFUSED)
		return handover_fail_lun(handover, "preempting the destination");
	if (wire == HANDOVER_CONFLICT)
		return take_back(handover, force);
	error = handover_look(handover, out->key, &view);
	if (error != NEXUS_OK)
		return error;
	if (wire == HANDOVER_GOOD && handover_view_sole_holder(&view, out->key, out->type))
		return handover_reopened(handover);
	/* Lost answer, or somebody came in: is K, if it stands, this nexus's? */
	error = handover_probe(handover, RECORD_STEP_ABORT_PREEMPT, out->key, &registered, &moved,
			       &keys);
	if (error != NEXUS_OK)
		return error;
	if (!registered)
		return wire == HANDOVER_GOOD ? handover_fenced_at_source(handover)
					     : take_back(handover, force);
	/*
	 * As seen before the proof: what is seen after it may be the destination's. And a PREEMPT that never arrived has removed nobody: who
	 * registered before the proof is in time for its own; the K that is listed is this nexus's only where nothing has come between.
	 */
	if (handover_view_sole_holder(&view, out->key, out->type) && moved == 1 &&
	    keys.matching == 1)
		return handover_reopened(handover);
	handover_conclude(handover);
	return handover_fail(
		handover, NEXUS_ERROR_WRONG_STATE,
		"nexus '%s' is registered and does not hold (type %u, key 0x%" PRIx64 " does; key "
		"0x%" PRIx64 " is listed %u times): Abort again; if it stays so, Abort at the "
		"destination first",
		handover->name, view.reservation.type, view.reservation.key, out->key,
		view.keys.matching);
}

enum nexus_error handover_abort_source(struct handover *handover, bool force)
{
	struct record *record = handover->record;

	if (record->out.whole)
		return handover_whole_abort_source(handover, force);
	if (record->out.row == 1)
		return handover_reopened(handover);
	if (record->out.moved)
		return handover_abort_moved_source(handover);
	if (record->out.led)
		return handover_abort_led(handover, force);
	if (record->take_back)
		return finish_take_back(handover, force);
	if (record->out.row == 3 && record->out_count <= record_terms_ours(&record->out))
		return abort_by_preempt(handover, force);
	return handover_abort_by_barrier(handover, force);
}
