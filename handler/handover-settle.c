/* SPDX-License-Identifier: Apache-2.0 */
/* Forget, what a restart finds unfinished, and resynchronisation with the LUN. */
#include "handover-internal.h"

#include <inttypes.h>
#include <string.h>

enum nexus_error handover_forget_now(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	uint64_t key = record->in_registered ? record->in.key : record->key;
	struct handover_view view = {0};
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;

	if (record->state == NEXUS_EXPORTED && !force)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is exported: Release or Abort the hand-over %s (force, to "
			"unregister and forget all the same)",
			handover->name, record->out.id);
	if (record->away && !force)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is not on this host (force, once no other host has it)",
			handover->name);
	if (key == 0 && !record->fenced && record->state == NEXUS_ACTIVE &&
	    record->out.id[0] == '\0' && record->in.id[0] == '\0' && !force)
		return handover_fail(handover, NEXUS_ERROR_NOT_REGISTERED,
				     "nexus '%s' is not registered and has nothing to forget",
				     handover->name);
	if (record->away) {
		error = handover_whole_use_here(handover, record->out.id, true);
		if (error != NEXUS_OK)
			return error;
	}
	if (key != 0) {
		error = handover_look(handover, key, &view);
		if (error != NEXUS_OK)
			return error;
		if (view.reservation.held && !force &&
		    (view.reservation.key == key ||
		     (pr_type_all_registrants(view.reservation.type) && view.keys.count == 1)))
			return handover_fail(handover, NEXUS_ERROR_WRONG_STATE,
					     "nexus '%s' holds the reservation (type %u): to "
					     "unregister it frees "
					     "the LUN for anybody (force, when that is meant)",
					     handover->name, view.reservation.type);
		error = handover_register(handover, RECORD_STEP_FORGET_UNREGISTER, key, 0, &wire);
		if (error != NEXUS_OK)
			return error;
		/* CONFLICT: it was gone already. */
		if (wire != HANDOVER_GOOD && wire != HANDOVER_CONFLICT)
			return handover_fail_lun(handover, "unregistering");
	}
	handover_set_unregistered(record);
	record->state = NEXUS_ACTIVE;
	record->fenced = false;
	record->fenced_key = 0;
	record->scsi2 = false;
	record->out = (struct record_terms){0};
	record->in = (struct record_terms){0};
	record->take_back = record->in_registered = record->in_done = false;
	record->in_exact = record->in_kept = false;
	record->in_arrived = record->in_taken = record->in_loaded = record->pending = false;
	handover->ops->clear_unit_attentions(handover->user);
	memset(record->transport_ids, 0, sizeof(record->transport_ids));
	record->own_transport_id = false;
	error = handover_conclude(handover);
	if (error == NEXUS_OK)
		handover->ops->open_gate(handover->user);
	return error;
}

enum nexus_error handover_forget(struct handover *handover, bool force)
{
	enum nexus_error error = handover_settle_first(handover);

	return error != NEXUS_OK ? error : handover_forget_now(handover, force);
}

/* ---- at open ---- */

/* K may have stood here since an older hand-over: whether the step added one to the count is not known. */
static bool standing_before(const struct record *record)
{
	return record->state == NEXUS_EXPORTED && record->out.key == record->in.key;
}

static enum nexus_error settle_import(struct handover *handover)
{
	struct record *record = handover->record;
	enum record_step step = record->step;
	struct pr_keys after;
	enum nexus_error error;
	uint32_t moved;

	error = handover_probe(handover, RECORD_STEP_IMPORT_REREGISTER, record->in.key,
			       &record->in_registered, &moved, &after);
	if (error != NEXUS_OK)
		return error;
	record->in_added = true;
	if (!record->in_registered) {
		record->in_exact = record->in_kept = false;
		record->in_moves = 0;
	} else if (step == RECORD_STEP_IMPORT_REGISTER && !standing_before(record)) {
		record->in_moves = 2;
	} else {
		/* An unfinished REGISTER (K -> K) may have moved the generation or not. */
		record->in_moves = HANDOVER_NEVER_EXACT;
	}
	return handover_conclude(handover);
}

static enum nexus_error settle_take_back(struct handover *handover)
{
	struct record *record = handover->record;
	struct pr_keys after;
	enum nexus_error error;
	uint32_t moved;

	error = handover_probe(handover, record->step, record->out.key, &record->take_back, &moved,
			       &after);
	return error != NEXUS_OK ? error : handover_conclude(handover);
}

static enum nexus_error settle_release(struct handover *handover)
{
	enum nexus_error error = handover_release_now(handover, true);

	/* It cannot go now, and says so to the Release that comes next. */
	return error == NEXUS_ERROR_WRONG_STATE ? handover_conclude(handover) : error;
}

/* preempted: it may hold, though a second nexus has the key. */
static enum nexus_error settle_undo(struct handover *handover, uint64_t key, bool preempted,
				    bool *flag)
{
	struct record *record = handover->record;
	enum nexus_error error;
	bool holds;

	error = handover_undo(handover, record->step, key, preempted, &holds);
	if (error != NEXUS_OK)
		return error;
	*flag = holds;
	record->in_exact = record->in_exact && record->in_registered;
	return handover_conclude(handover);
}

enum nexus_error handover_settle(struct handover *handover)
{
	struct record *record = handover->record;

	switch (record->step) {
	case RECORD_STEP_NONE:
		return NEXUS_OK;
	case RECORD_STEP_EXPORT_BARRIER:
	case RECORD_STEP_RELEASE_PROBE:
	case RECORD_STEP_ABORT_BARRIER:
	case RECORD_STEP_GUEST_PROBE:
	case RECORD_STEP_RESYNC_PROBE:
	case RECORD_STEP_CONFIRM_BARRIER:
	case RECORD_STEP_ABORT_PREEMPT:
		/* Each only repeats what stands, or is found out anew by the call that comes next. */
		return handover_conclude(handover);
	case RECORD_STEP_IMPORT_REGISTER:
	case RECORD_STEP_IMPORT_REREGISTER:
	case RECORD_STEP_IMPORT_PREEMPT:
		return settle_import(handover);
	case RECORD_STEP_IMPORT_UNDO:
	case RECORD_STEP_ABORT_UNREGISTER:
		return settle_undo(handover, record->in.key, record->in_exact,
				   &record->in_registered);
	case RECORD_STEP_RELEASE_UNREGISTER:
		return settle_release(handover);
	case RECORD_STEP_ABORT_REGISTER:
	case RECORD_STEP_ABORT_TAKE_BACK:
		return settle_take_back(handover);
	case RECORD_STEP_ABORT_UNDO:
		return settle_undo(handover, record->out.key, record->take_back_sent,
				   &record->take_back);
	case RECORD_STEP_PREPARE_REGISTER:
	case RECORD_STEP_PREPARE_UNREGISTER:
		return handover_settle_prepare(handover);
	case RECORD_STEP_EXPORT_MOVE:
	case RECORD_STEP_ABORT_MOVE:
		return handover_settle_move(handover);
	case RECORD_STEP_FORGET_UNREGISTER:
		return handover_forget_now(handover, true);
	case RECORD_STEP_EXPORT_LEAVE:
	case RECORD_STEP_EXPORT_LEAVE_AGAIN:
	case RECORD_STEP_IMPORT_ARRIVE:
	case RECORD_STEP_ABORT_COME_BACK:
	case RECORD_STEP_ABORT_HAND_BACK:
	case RECORD_STEP_RELEASE_LEFT:
		return handover_whole_settle(handover);
	case RECORD_STEP_COUNT:
		break;
	}
	return handover_conclude(handover);
}

/* ---- resynchronisation ---- */

/*
 * Is one of the registrations with key this nexus's? Where READ FULL STATUS and a known TransportID tell, nothing is sent; else
 * REGISTER (key -> key) does.
 */
static enum nexus_error prove_registration(struct handover *handover, uint64_t key,
					   bool *ret_registered)
{
	struct record *record = handover->record;
	struct handover_registrants registrants;
	struct pr_keys after;
	enum nexus_error error;
	uint32_t moved;

	if (record->own_transport_id &&
	    handover->ops->read_full_status(handover->user, key, &registrants) &&
	    registrants.count <= HANDOVER_REGISTRANTS) {
		*ret_registered = false;
		for (size_t i = 0; i < registrants.count; i++)
			if (registrants.with_key[i].relative_target_port ==
				    record->relative_target_port &&
			    strcmp(registrants.with_key[i].transport_id,
				   record->transport_ids[0]) == 0)
				*ret_registered = true;
		return NEXUS_OK;
	}
	error = handover_probe(handover, RECORD_STEP_RESYNC_PROBE, key, ret_registered, &moved,
			       &after);
	if (error != NEXUS_OK)
		return error;
	/* Of an Import repeated for its group: what the others' lines must allow for. */
	if (*ret_registered)
		record->in_moves++;
	return handover_conclude(handover);
}

/* elsewhere: key is registered on another nexus; it is nowhere after a fence. */
static void lose_registration(struct handover *handover, uint64_t key, bool elsewhere,
			      bool *ret_fenced)
{
	struct record *record = handover->record;

	if (record->in_registered) {
		record->in_registered = record->in_taken = false;
		record->in_exact = record->in_kept = false;
		record->in_moves = 0;
	} else if (elsewhere && record->in_done && !record->in_ran && record->in.key == key &&
		   !record->in.whole) {
		handover->ops->close_gate(handover->user);
		handover_set_unregistered(record);
		record->state = NEXUS_INCOMING;
		record->in_done = record->in_loaded = false;
		record->in = (struct record_terms){0};
	} else {
		handover_set_fenced(record, key);
		*ret_fenced = true;
	}
}

/* No fresh line has come for the K that Import kept. */
static enum nexus_error drop_kept(struct handover *handover)
{
	struct record *record = handover->record;
	enum nexus_error error;
	bool holds;

	error = handover_undo(handover, RECORD_STEP_IMPORT_UNDO, record->in.key, false, &holds);
	if (error != NEXUS_OK)
		return error;
	record->in_registered = holds;
	record->in_kept = false;
	return handover_conclude(handover);
}

/* RESERVATION CONFLICT is what types 1 and 3 give to a registrant that does not hold. */
static bool explains_conflict(const struct handover_view *view, uint64_t key)
{
	return (view->reservation.type == PR_TYPE_WRITE_EXCLUSIVE ||
		view->reservation.type == PR_TYPE_EXCLUSIVE_ACCESS) &&
	       view->reservation.key != key;
}

enum nexus_error handover_resync(struct handover *handover, enum handover_doubt doubt,
				 bool *ret_fenced)
{
	struct record *record = handover->record;
	uint64_t key = record->in_registered ? record->in.key : record->key;
	struct record before = *record;
	struct handover_view view = {0};
	enum nexus_error error;
	bool registered = false;

	*ret_fenced = false;
	if (record->in_registered && record->in_kept &&
	    handover->ops->wall_clock_s(handover->user) >= record->in_kept_until_s)
		return drop_kept(handover);
	if (key == 0 || record->state == NEXUS_EXPORTED)
		return NEXUS_OK;
	/* By the clock: one command, as long as nobody has changed a registration. */
	if (doubt == HANDOVER_DOUBT_NONE) {
		if (!handover->ops->read_keys(handover->user, key, &view.keys))
			return handover_fail_lun(handover, "reading the LUN's keys");
		if (view.keys.generation == record->generation && view.keys.matching > 0)
			return NEXUS_OK;
	}
	error = handover_look(handover, key, &view);
	if (error != NEXUS_OK)
		return error;
	registered = view.keys.matching > 0;
	if (doubt == HANDOVER_DOUBT_CONFLICT && explains_conflict(&view, key))
		doubt = HANDOVER_DOUBT_NONE;
	if (registered && doubt != HANDOVER_DOUBT_NONE) {
		error = prove_registration(handover, key, &registered);
		if (error != NEXUS_OK)
			return error;
	}
	if (!registered)
		lose_registration(handover, key, view.keys.matching > 0, ret_fenced);
	else if (!record->in_registered)
		handover_note_holder(record, key, &view);
	if (before.key == record->key && before.holder == record->holder &&
	    before.type == record->type && before.fenced == record->fenced &&
	    before.in_registered == record->in_registered)
		return NEXUS_OK;
	return handover_save(handover);
}
