/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A nexus that moves whole (move.h): no key is registered, removed or changed on the LUN, so that the reservation stands all the time, and
 * what a peer has removed stays removed. Who has the nexus, is decided where all hosts see it, by one compare and swap against the
 * ticket. "away" is on disk before anything that may take the nexus from here, and goes only after what brought it here.
 */
#include <inttypes.h>

#include "handover-internal.h"

/* The backend gave no answer: the step stays in the journal. */
static enum nexus_error no_answer(struct handover *handover, const char *doing)
{
	return handover_fail_lun(handover, doing);
}

/* Nothing has come of the step. */
static enum nexus_error refused(struct handover *handover, enum nexus_error error, const char *what)
{
	enum nexus_error saved = handover_conclude(handover);

	return saved != NEXUS_OK
		       ? saved
		       : handover_fail(handover, error, "nexus '%s' %s: %s", handover->name, what,
				       handover->ops->lun_error(handover->user));
}

/* Is this nexus, just arrived or come back, registered with K still? */
static enum nexus_error prove(struct handover *handover, enum record_step step, uint64_t key,
			      bool *ret_registered)
{
	struct pr_keys after;
	uint32_t moved;
	enum nexus_error error =
		handover_probe(handover, step, key, ret_registered, &moved, &after);

	return error != NEXUS_OK ? error : handover_conclude(handover);
}

enum nexus_error handover_fail_gone(struct handover *handover)
{
	return handover_fail(
		handover, NEXUS_ERROR_WRONG_STATE,
		"nexus '%s' is not on this host: it left with hand-over %s, which was Released; "
		"Import brings it back (or Forget with force, once nobody uses it elsewhere)",
		handover->name, handover->record->out.id);
}

/* ---- Export ---- */

enum nexus_error handover_whole_unleave(struct handover *handover)
{
	struct record *record = handover->record;

	/* Nobody has a ticket of it: no other host can have the nexus. */
	if (handover->ops->unleave(handover->user, record->out.id) != LUN_MOVE_DONE)
		return no_answer(handover, "taking the nexus back after an Export that failed");
	record->away = false;
	record->state = NEXUS_ACTIVE;
	if (handover_conclude(handover) == NEXUS_OK)
		handover->ops->tidy(handover->user, record->out.id);
	return record->step == RECORD_STEP_NONE ? NEXUS_OK : NEXUS_ERROR_LUN;
}

static enum nexus_error leave_first(struct handover *handover)
{
	struct record *record = handover->record;
	enum nexus_error error;

	record->away = true;
	error = handover_begin_step(handover, RECORD_STEP_EXPORT_LEAVE);
	if (error != NEXUS_OK) {
		record->away = false;
		return error;
	}
	switch (handover->ops->leave(handover->user, record->out.id, record->ticket)) {
	case LUN_MOVE_DONE:
		handover->ops->point(handover->user, RECORD_STEP_EXPORT_LEAVE, HANDOVER_ANSWERED);
		return NEXUS_OK;
	case LUN_MOVE_REFUSED:
	case LUN_MOVE_TAKEN:
		record->away = false;
		record->state = NEXUS_ACTIVE;
		return refused(handover, NEXUS_ERROR_UNSUPPORTED, "cannot leave this host");
	case LUN_MOVE_UNKNOWN:
		break;
	}
	return no_answer(handover, "leaving the LUN");
}

static enum nexus_error leave_again(struct handover *handover)
{
	struct record *record = handover->record;
	enum nexus_error error;

	record->away = true;
	error = handover_begin_step(handover, RECORD_STEP_EXPORT_LEAVE_AGAIN);
	if (error != NEXUS_OK)
		return error;
	switch (handover->ops->leave(handover->user, record->out.id, record->ticket)) {
	case LUN_MOVE_DONE:
		handover->ops->point(handover->user, RECORD_STEP_EXPORT_LEAVE_AGAIN,
				     HANDOVER_ANSWERED);
		return NEXUS_OK;
	case LUN_MOVE_REFUSED:
		return refused(handover, NEXUS_ERROR_WRONG_STATE,
			       "gets no fresh state line; Abort, or Release");
	case LUN_MOVE_TAKEN:
		return refused(handover, NEXUS_ERROR_WRONG_STATE,
			       "was imported elsewhere; call Release, or Abort there");
	case LUN_MOVE_UNKNOWN:
		break;
	}
	return no_answer(handover, "making a fresh ticket");
}

enum nexus_error handover_whole_leave(struct handover *handover, bool again)
{
	return again ? leave_again(handover) : leave_first(handover);
}

/* ---- Import ---- */

enum nexus_error handover_whole_check(struct handover *handover, const struct state_line *line)
{
	const struct record *record = handover->record;

	if (line->terms.whole != handover->ops->moves(handover->user))
		return handover_fail(handover, NEXUS_ERROR_UNSUPPORTED,
				     line->terms.whole ? "the nexus of this line ('%s') moves "
							 "whole, and nexus '%s' cannot take "
							 "it: give both hosts the same definition "
							 "of the LUN (with move=); "
							 "Abort at the source loses nothing"
						       : "nexus '%s' of this line does not move "
							 "whole, and nexus '%s' does: give "
							 "both hosts the same definition of the "
							 "LUN; Abort at the source loses "
							 "nothing",
				     line->source, handover->name);
	if (!line->terms.whole)
		return NEXUS_OK;
	if (record->state == NEXUS_ACTIVE && !record->away)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is in use on this host, and the one of this line is to arrive: "
			"there "
			"is one of them; create the destination's backstore with incoming=on",
			handover->name);
	if (record->in_arrived)
		return NEXUS_OK;
	if (!handover->ops->ticket_fits(handover->user, line->ticket))
		return handover_fail(handover, NEXUS_ERROR_UNSUPPORTED,
				     "the state line is not for nexus '%s': %s", handover->name,
				     handover->ops->lun_error(handover->user));
	return NEXUS_OK;
}

static enum nexus_error fail_too_late(struct handover *handover)
{
	return handover_fail(
		handover, NEXUS_ERROR_STALE,
		"nexus '%s' comes too late with this state line (%s): Export again, and "
		"Import that line",
		handover->name, handover->ops->lun_error(handover->user));
}

enum nexus_error handover_whole_look(struct handover *handover, const struct state_line *line)
{
	switch (handover->ops->ticket_look(handover->user, line->ticket)) {
	case LUN_MOVE_DONE:
		return NEXUS_OK;
	case LUN_MOVE_REFUSED:
	case LUN_MOVE_TAKEN:
		return fail_too_late(handover);
	case LUN_MOVE_UNKNOWN:
		break;
	}
	return no_answer(handover, "asking whether the line is out of date");
}

static enum nexus_error arrive(struct handover *handover, const struct state_line *line)
{
	struct record *record = handover->record;
	enum nexus_error error = handover_begin_step(handover, RECORD_STEP_IMPORT_ARRIVE);

	if (error != NEXUS_OK)
		return error;
	switch (handover->ops->arrive(handover->user, line->terms.id, line->ticket)) {
	case LUN_MOVE_DONE:
		handover->ops->point(handover->user, RECORD_STEP_IMPORT_ARRIVE, HANDOVER_ANSWERED);
		record->away = false;
		record->in_arrived = true;
		error = handover_conclude(handover);
		if (error == NEXUS_OK)
			return NEXUS_OK;
		/* As on disk: the settling that comes hands it back. */
		record->away = true;
		record->in_arrived = false;
		return error;
	case LUN_MOVE_REFUSED:
		return refused(handover, NEXUS_ERROR_UNSUPPORTED, "cannot take this line");
	case LUN_MOVE_TAKEN:
		error = handover_conclude(handover);
		return error != NEXUS_OK ? error : fail_too_late(handover);
	case LUN_MOVE_UNKNOWN:
		break;
	}
	return no_answer(handover, "arriving at the LUN");
}

/* K is gone: the nexus goes back as it came, and the guest sees at the source what was done to it. */
static enum nexus_error arrived_fenced(struct handover *handover)
{
	enum nexus_error error = handover_whole_hand_back(handover, false);

	return error != NEXUS_OK ? error
				 : handover_fail(handover, NEXUS_ERROR_FENCED,
						 "nexus '%s' arrived without the key that it had "
						 "at Export: another "
						 "initiator has removed it since, or the target "
						 "forgets it with the "
						 "session; nothing was changed: Abort at the "
						 "source, whose guest is "
						 "fenced",
						 handover->name);
}

enum nexus_error handover_whole_arrive(struct handover *handover, const struct state_line *line)
{
	struct record *record = handover->record;
	enum nexus_error error = NEXUS_OK;
	bool registered = true;

	if (!record->in_arrived)
		error = arrive(handover, line);
	if (error == NEXUS_OK && line->terms.row != 1)
		error = prove(handover, RECORD_STEP_CONFIRM_BARRIER, line->terms.key, &registered);
	if (error != NEXUS_OK)
		return error;
	return registered ? NEXUS_OK : arrived_fenced(handover);
}

/* ---- Abort ---- */

enum nexus_error handover_whole_abort_source(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	bool registered = true;
	enum nexus_error error = handover_begin_step(handover, RECORD_STEP_ABORT_COME_BACK);

	if (error != NEXUS_OK)
		return error;
	switch (handover->ops->come_back(handover->user, out->id, force)) {
	case LUN_MOVE_DONE:
		handover->ops->point(handover->user, RECORD_STEP_ABORT_COME_BACK,
				     HANDOVER_ANSWERED);
		break;
	case LUN_MOVE_REFUSED:
	case LUN_MOVE_TAKEN:
		return refused(
			handover, NEXUS_ERROR_WRONG_STATE,
			"does not come back; Abort at the destination first, then here (force, "
			"once that host is known dead)");
	case LUN_MOVE_UNKNOWN:
		return no_answer(handover, "coming back to the LUN");
	}
	record->away = false;
	error = handover_conclude(handover);
	if (error == NEXUS_OK && out->row != 1)
		error = prove(handover, RECORD_STEP_ABORT_BARRIER, out->key, &registered);
	if (error != NEXUS_OK)
		return error;
	error = registered ? handover_reopened(handover) : handover_fenced_at_source(handover);
	if (record->state == NEXUS_ACTIVE)
		handover->ops->tidy(handover->user, out->id);
	return error;
}

enum nexus_error handover_whole_hand_back(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	enum nexus_error error;

	record->away = true;
	record->in_arrived = false;
	error = handover_begin_step(handover, RECORD_STEP_ABORT_HAND_BACK);
	if (error != NEXUS_OK) {
		record->away = false;
		record->in_arrived = true;
		return error;
	}
	switch (handover->ops->hand_back(handover->user, record->in.id, force)) {
	case LUN_MOVE_DONE:
	case LUN_MOVE_TAKEN:
		handover->ops->point(handover->user, RECORD_STEP_ABORT_HAND_BACK,
				     HANDOVER_ANSWERED);
		return handover_conclude(handover);
	case LUN_MOVE_REFUSED:
		record->away = false;
		record->in_arrived = true;
		return refused(handover, NEXUS_ERROR_WRONG_STATE, "cannot be handed back");
	case LUN_MOVE_UNKNOWN:
		break;
	}
	return no_answer(handover, "handing the nexus back");
}

enum nexus_error handover_whole_use_here(struct handover *handover, const char *id, bool force)
{
	struct record *record = handover->record;
	enum nexus_error error = handover_begin_step(handover, RECORD_STEP_ABORT_COME_BACK);

	if (error != NEXUS_OK)
		return error;
	switch (handover->ops->come_back(handover->user, id, force)) {
	case LUN_MOVE_DONE:
		handover->ops->point(handover->user, RECORD_STEP_ABORT_COME_BACK,
				     HANDOVER_ANSWERED);
		record->away = false;
		return handover_conclude(handover);
	case LUN_MOVE_REFUSED:
	case LUN_MOVE_TAKEN:
		return refused(
			handover, NEXUS_ERROR_WRONG_STATE,
			"waits for an Import, and is not used here before (force, once no other "
			"host has it)");
	case LUN_MOVE_UNKNOWN:
		break;
	}
	return no_answer(handover, "taking the nexus for this host");
}

/* ---- Release ---- */

enum nexus_error handover_whole_left(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	enum nexus_error error;

	if (!record->away)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' came back by an Abort that is not done: Abort again",
			handover->name);
	error = handover_begin_step(handover, RECORD_STEP_RELEASE_LEFT);
	if (error != NEXUS_OK)
		return error;
	switch (handover->ops->left(handover->user, record->out.id, force)) {
	case LUN_MOVE_DONE:
	case LUN_MOVE_TAKEN:
		handover->ops->point(handover->user, RECORD_STEP_RELEASE_LEFT, HANDOVER_ANSWERED);
		return NEXUS_OK;
	case LUN_MOVE_REFUSED:
		return refused(handover, NEXUS_ERROR_WRONG_STATE,
			       "has not been imported: Import first, or Abort (force, when the "
			       "Import is known to have succeeded)");
	case LUN_MOVE_UNKNOWN:
		break;
	}
	return no_answer(handover, "asking where the nexus is");
}

/* ---- after a kill, or an answer that did not come ---- */

enum nexus_error handover_whole_settle(struct handover *handover)
{
	struct record *record = handover->record;

	switch (record->step) {
	case RECORD_STEP_EXPORT_LEAVE:
		return handover_whole_unleave(handover);
	case RECORD_STEP_IMPORT_ARRIVE:
	case RECORD_STEP_ABORT_HAND_BACK:
		/* Whoever wants it here Imports again, by the ticket that is good again. */
		switch (handover->ops->hand_back(handover->user, record->in.id, false)) {
		case LUN_MOVE_DONE:
		case LUN_MOVE_TAKEN:
			return handover_conclude(handover);
		case LUN_MOVE_REFUSED:
		case LUN_MOVE_UNKNOWN:
			break;
		}
		return no_answer(handover, "handing back a nexus whose Import was interrupted");
	default:
		/* The call that comes next asks again, and is told by the ticket how far this one came. */
		return handover_conclude(handover);
	}
}
