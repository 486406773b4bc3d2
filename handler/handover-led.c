/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several nexuses of one guest with one key on one LUN (design section 7, Groups): a fence removes the key from all of them at once. So one leads, whose hand-over is as
 * any other, and the others' REGISTERs are proved by one of the leader's that comes after them.
 */
#include "handover-internal.h"

#include <inttypes.h>

enum nexus_error handover_prove(struct handover *handover)
{
	struct record *record = handover->record;
	uint64_t key = record->in_registered ? record->in.key : record->key;
	enum nexus_error error;
	bool fenced;

	if (record->state == NEXUS_EXPORTED || (key == 0 && !record->fenced))
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is exported or has been released: the other nexuses of its "
			"group on this LUN cannot go by it",
			handover->name);
	error = handover_resync(handover, HANDOVER_DOUBT_TOLD, &fenced);
	if (error != NEXUS_OK)
		return error;
	if (key != 0 && (record->in_registered || record->key == key))
		return NEXUS_OK;
	return handover_fail(handover, NEXUS_ERROR_FENCED,
			     "another initiator has removed the key of nexus '%s' meanwhile: "
			     "nothing is registered in its place",
			     handover->name);
}

/* ---- Import ---- */

enum nexus_error handover_import_led(struct handover *handover, uint64_t old_key)
{
	struct record *record = handover->record;
	struct pr_keys after;
	enum nexus_error error;
	uint32_t moved;

	if (record->in_registered) {
		/* Gone where the leader has taken the reservation once more. */
		error = handover_probe(handover, RECORD_STEP_IMPORT_REREGISTER, record->in.key,
				       &record->in_registered, &moved, &after);
		if (error == NEXUS_OK)
			error = handover_conclude(handover);
		if (error != NEXUS_OK || record->in_registered)
			return error;
	}
	return handover_register_here(handover, old_key);
}

enum nexus_error handover_import_leader_lost(struct handover *handover,
					     const struct state_line *line)
{
	enum nexus_error error = handover_fail(
		handover, NEXUS_ERROR_STALE,
		"the nexus that leads '%s' has not taken over: nothing is registered here either",
		handover->name);

	if (!handover->record->in_registered || !handover_same(&handover->record->in, line))
		return error;
	handover->record->in_taken = false;
	return handover_import_undo(handover, error);
}

/* ---- Abort at the source ---- */

/* The leader has the guest back, and has removed K here with the destination's, or the destination's Import has. */
static enum nexus_error register_again(struct handover *handover)
{
	struct record *record = handover->record;
	enum handover_wire wire = HANDOVER_UNKNOWN;
	struct pr_keys after;
	enum nexus_error error;
	bool registered;
	uint32_t moved;

	record->take_back = true;
	record->take_back_sent = false;
	error = handover_register(handover, RECORD_STEP_ABORT_REGISTER, 0, record->out.key, &wire);
	if (error != NEXUS_OK) {
		record->take_back = false;
		return error;
	}
	if (wire == HANDOVER_UNKNOWN) {
		error = handover_probe(handover, RECORD_STEP_ABORT_REGISTER, record->out.key,
				       &registered, &moved, &after);
		if (error != NEXUS_OK)
			return error;
		wire = registered ? HANDOVER_GOOD : HANDOVER_REFUSED;
	}
	record->take_back = wire == HANDOVER_GOOD;
	error = handover_conclude(handover);
	if (error == NEXUS_OK && !record->take_back)
		error = handover_fail_lun(handover, "registering again at the source");
	return error;
}

static enum nexus_error leader_lost(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	enum nexus_error error;
	bool holds;

	if (!record->take_back)
		return handover_abort_by_barrier(handover, force);
	error = handover_undo(handover, RECORD_STEP_ABORT_UNDO, record->out.key, false, &holds);
	if (error != NEXUS_OK)
		return error;
	if (!holds)
		return handover_fenced_at_source(handover);
	return handover_fail(
		handover, NEXUS_ERROR_WRONG_STATE,
		"nexus '%s' was fenced while it registered again, and is the last registrant of "
		"what the other initiator left: its gate stays closed; register another node, "
		"then Abort again",
		handover->name);
}

enum nexus_error handover_abort_led(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	struct pr_keys keys;
	enum nexus_error error;
	bool registered;
	uint32_t moved;

	if (handover->part.leader_lost)
		return leader_lost(handover, force);
	if (record->take_back && handover->part.of_group)
		return handover->part.unproven ? NEXUS_OK : handover_reopened(handover);
	error = handover_probe(handover, RECORD_STEP_ABORT_BARRIER, record->out.key, &registered,
			       &moved, &keys);
	if (error != NEXUS_OK)
		return error;
	if (registered && !record->take_back && (keys.matching <= record->out_count || force))
		return handover->part.unproven ? handover_conclude(handover)
					       : handover_reopened(handover);
	error = handover_conclude(handover);
	if (error != NEXUS_OK)
		return error;
	if (!registered && keys.matching == 0)
		return handover_fenced_at_source(handover);
	if (registered || !handover->part.of_group)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"key 0x%" PRIx64
			" is listed %u times (%u at Export), and %s at nexus '%s', "
			"which does not lead its siblings on this LUN: Abort the whole group",
			record->out.key, keys.matching, record->out_count,
			registered ? "stands" : "is gone", handover->name);
	return register_again(handover);
}
