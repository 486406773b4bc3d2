/* SPDX-License-Identifier: Apache-2.0 */
/* Abort on both sides, Forget, what a restart finds, and resynchronisation. */
#include "handover-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- at the source ---- */

enum nexus_error handover_reopened(struct handover *handover)
{
	struct record *record = handover->record;
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
		record->state = NEXUS_EXPORTED;
		return error;
	}
	handover->ops->open_gate(handover->user);
	return NEXUS_OK;
}

/* The guest is fenced: it may run, and the LUN shuts it out. */
enum nexus_error handover_fenced_at_source(struct handover *handover)
{
	struct record *record = handover->record;
	uint64_t key = record->out.key;
	enum nexus_error error;

	handover_set_fenced(record, key);
	/* As the LUN told this nexus while it was exported, when it was taken for the hand-over's own. */
	handover->ops->add_unit_attention(handover->user, SCSI_ASC_REGISTRATIONS_PREEMPTED);
	record->take_back = false;
	record->state = NEXUS_ACTIVE;
	error = handover_conclude(handover);
	if (error != NEXUS_OK)
		return error;
	handover->ops->open_gate(handover->user);
	return handover_fail(
		handover, NEXUS_ERROR_FENCED,
		"another initiator has removed key 0x%" PRIx64 " of nexus '%s': the guest is "
		"fenced, and prmig does not undo that; its cluster software has to register again",
		key, handover->name);
}

/* Rows 2 and 4, and row 3 with a key that is another's too (which nobody may PREEMPT). */
static enum nexus_error abort_by_barrier(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	struct pr_keys keys;
	enum nexus_error error;
	bool registered;
	uint32_t moved;

	error = handover_probe(handover, RECORD_STEP_ABORT_BARRIER, out->key, &registered, &moved,
			       &keys);
	if (error != NEXUS_OK)
		return error;
	if (!registered)
		return handover_fenced_at_source(handover);
	if (keys.matching <= out->count || force)
		return handover_reopened(handover);
	error = handover_conclude(handover);
	if (error != NEXUS_OK)
		return error;
	return handover_fail(
		handover, NEXUS_ERROR_WRONG_STATE,
		"key 0x%" PRIx64 " is listed %u times, and was %u times at Export: the destination "
		"is registered; Abort there first, then here (force, when that host is known dead)",
		out->key, keys.matching, out->count);
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

/* K stands here by the take-back's REGISTER: row 3 is taken from the destination, or nothing is left to take. */
static enum nexus_error finish_take_back(struct handover *handover)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	struct handover_view view;
	enum handover_wire wire;
	enum nexus_error error;
	bool holds;

	error = handover_look(handover, out->key, &view);
	if (error != NEXUS_OK)
		return error;
	/* Nothing but Import's REGISTER and PREEMPT and this take-back's REGISTER since Export. */
	if (handover->automatic &&
	    (view.keys.generation != out->generation + 3 || view.keys.matching != 2)) {
		error = handover_undo(handover, RECORD_STEP_ABORT_UNDO, out->key, out->row,
				      out->type, &holds);
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
	if (view.keys.matching > 1) {
		struct pr_out step = preempt(out, PR_OUT_PREEMPT_AND_ABORT);

		error = handover_step(handover, RECORD_STEP_ABORT_TAKE_BACK, &step, &wire);
		if (error == NEXUS_OK && wire == HANDOVER_REFUSED) {
			/* The LUN does not have it. */
			step = preempt(out, PR_OUT_PREEMPT);
			error = handover_step(handover, RECORD_STEP_ABORT_TAKE_BACK, &step, &wire);
		}
		if (error == NEXUS_OK)
			error = handover_look(handover, out->key, &view);
		if (error != NEXUS_OK)
			return error;
	}
	if (handover_view_sole_holder(&view, out->key, out->type))
		return handover_reopened(handover);
	if (view.keys.matching > 1)
		return handover_fail_lun(handover,
					 "taking the reservation back from the destination");
	error = handover_undo(handover, RECORD_STEP_ABORT_UNDO, out->key, out->row, out->type,
			      &holds);
	if (error != NEXUS_OK)
		return error;
	return holds ? handover_reopened(handover) : handover_fenced_at_source(handover);
}

/* Row 3, and this nexus is not registered: the destination holds, or a peer has fenced. */
static enum nexus_error take_back(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	struct handover_view view;
	enum handover_wire wire;
	enum nexus_error error;
	bool registered;
	uint32_t moved;
	struct pr_keys keys;

	error = handover_look(handover, out->key, &view);
	if (error != NEXUS_OK)
		return error;
	if (view.keys.matching == 0)
		return handover_fenced_at_source(handover);
	/* Exactly the destination's REGISTER and PREEMPT since Export, and nobody's else. */
	if (!force && (out->count != 1 || view.keys.generation != out->generation + 2 ||
		       !handover_view_sole_holder(&view, out->key, out->type))) {
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
	record->take_back = true;
	error = handover_register(handover, RECORD_STEP_ABORT_REGISTER, 0, out->key, &wire);
	if (error != NEXUS_OK)
		return error;
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
	return error != NEXUS_OK ? error : finish_take_back(handover);
}

static enum nexus_error abort_by_preempt(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	struct pr_out step = preempt(out, PR_OUT_PREEMPT);
	struct handover_view view;
	struct pr_keys keys;
	enum handover_wire wire;
	enum nexus_error error;
	bool registered;
	uint32_t moved;

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
	error = handover_look(handover, out->key, &view);
	if (error != NEXUS_OK)
		return error;
	if (handover_view_sole_holder(&view, out->key, out->type))
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

	if (record->out.row == 1)
		return handover_reopened(handover);
	if (record->out.moved)
		return handover_abort_moved_source(handover);
	if (record->take_back)
		return finish_take_back(handover);
	if (record->out.row == 3 && record->out.count == 1)
		return abort_by_preempt(handover, force);
	return abort_by_barrier(handover, force);
}

/* ---- at the destination ---- */

/*
 * Row 3: K listed once and holding is this nexus's own, but after the source has taken the reservation back. The
 * generation tells that nothing has happened since Import; else REGISTER (K -> K) does. It moves the generation, which
 * the source's take-back would want exact, only where it is not so any more.
 */
static enum nexus_error find_lost(struct handover *handover, bool *ret_lost)
{
	struct record *record = handover->record;
	const struct record_terms *in = &record->in;
	struct handover_view view;
	struct pr_keys after;
	enum nexus_error error;
	bool registered;
	uint32_t moved;

	*ret_lost = false;
	error = handover_look(handover, in->key, &view);
	if (error != NEXUS_OK || in->row != 3 ||
	    !handover_view_sole_holder(&view, in->key, in->type) ||
	    view.keys.generation == in->generation + record->in_moves + 1)
		return error;
	error = handover_probe(handover, RECORD_STEP_IMPORT_REREGISTER, in->key, &registered,
			       &moved, &after);
	if (error != NEXUS_OK)
		return error;
	*ret_lost = !registered;
	return handover_conclude(handover);
}

static enum nexus_error abort_destination(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	enum nexus_error error;
	uint64_t key = record->in.key;
	bool holds = false, lost, imported = record->state == NEXUS_ACTIVE;

	record->in_taken = false;
	if (imported && record->in_ran && !force)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"the guest runs at nexus '%s': it has written since Import; Release at the "
			"source (force, when this guest is known to be gone)",
			handover->name);
	if (!imported && !record->in_registered) {
		/* It gives up waiting. */
		record->state = NEXUS_ACTIVE;
		record->in = (struct record_terms){0};
		error = handover_conclude(handover);
		if (error == NEXUS_OK)
			handover->ops->open_gate(handover->user);
		return error;
	}
	handover->ops->close_gate(handover->user);
	if (imported) {
		record->state = NEXUS_INCOMING;
		record->in_done = record->in_loaded = false;
		record->in_registered = record->in.row != 1 && record->key == key;
		handover_set_unregistered(record);
		record->fenced = false;
		error = handover_save(handover);
		if (error != NEXUS_OK)
			return error;
		if (!handover->ops->drain(handover->user))
			return handover_fail(
				handover, NEXUS_ERROR_TIMEOUT,
				"commands of the guest are still at the LUN: Abort again");
	}
	if (!record->in_registered) {
		record->in = (struct record_terms){0};
		return handover_conclude(handover);
	}
	if (record->in.moved)
		return handover_move_back(handover);
	error = find_lost(handover, &lost);
	if (error == NEXUS_OK && !lost)
		error = handover_undo(handover, RECORD_STEP_ABORT_UNREGISTER, key, record->in.row,
				      record->in.type, &holds);
	if (error != NEXUS_OK)
		return error;
	if (holds)
		return handover_fail(handover, NEXUS_ERROR_WRONG_STATE,
				     "nexus '%s' alone holds the reservation (key 0x%" PRIx64
				     ") and keeps it, its "
				     "gate closed: to unregister would free the LUN for anybody; "
				     "Abort at the source "
				     "now, which takes it back",
				     handover->name, key);
	record->in_registered = record->in_kept = false;
	record->in = (struct record_terms){0};
	return handover_conclude(handover);
}

enum nexus_error handover_abort(struct handover *handover, const char *id, bool force)
{
	struct record *record = handover->record;
	bool out = record->out.id[0] != '\0' && (id[0] == '\0' || strcmp(id, record->out.id) == 0);
	bool in = record->in.id[0] != '\0' && (id[0] == '\0' || strcmp(id, record->in.id) == 0);

	if (record->state == NEXUS_EXPORTED && out)
		return handover_abort_source(handover, force);
	if (record->state == NEXUS_INCOMING && (in || record->in.id[0] == '\0'))
		return abort_destination(handover, force);
	if (record->state == NEXUS_ACTIVE && record->in_done && in)
		return abort_destination(handover, force);
	if (record->state == NEXUS_ACTIVE && (id[0] == '\0' || out))
		return NEXUS_OK;
	return handover_fail(
		handover, NEXUS_ERROR_WRONG_STATE,
		"nexus '%s' knows no hand-over %s to abort (exported: %s, imported: %s)",
		handover->name, id, record->out.id[0] != '\0' ? record->out.id : "none",
		record->in.id[0] != '\0' ? record->in.id : "none");
}
