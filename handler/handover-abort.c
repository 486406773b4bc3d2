/* SPDX-License-Identifier: Apache-2.0 */
/* Abort, and what it is at the destination. */
#include "handover-internal.h"

#include <inttypes.h>
#include <string.h>

static enum nexus_error abort_destination(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	enum nexus_error error;
	uint64_t key = record->in.key;
	bool holds, imported = record->state == NEXUS_ACTIVE;

	record->in_taken = false;
	if (imported && record->in_ran && !force)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"the guest runs at nexus '%s': it has written since Import; Release at the "
			"source (force, when this guest is known to be gone)",
			handover->name);
	if (!imported && record->away) {
		/* The nexus is where it was. */
		if (record->in.id[0] != '\0' && !force) {
			record->in = (struct record_terms){0};
			return handover_conclude(handover);
		}
		error = handover_whole_use_here(handover, "", force);
		if (error != NEXUS_OK)
			return error;
	}
	if (!imported && !handover_import_unfinished(record)) {
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
		record->in_registered =
			record->in.row != 1 && record->key == key && !record->in.whole;
		record->in_arrived = record->in.whole;
		record->in_exact = record->in_registered && record->in.row == 3;
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
	if (record->in_arrived) {
		error = handover_whole_hand_back(handover, force);
		if (error != NEXUS_OK)
			return error;
	}
	if (!record->in_registered) {
		record->in = (struct record_terms){0};
		return handover_conclude(handover);
	}
	if (record->in.moved)
		return handover_move_back(handover);
	error = handover_undo(handover, RECORD_STEP_ABORT_UNREGISTER, key, record->in_exact,
			      &holds);
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
	record->in_registered = record->in_exact = record->in_kept = false;
	record->in = (struct record_terms){0};
	return handover_conclude(handover);
}

enum nexus_error handover_abort(struct handover *handover, const char *id, bool force)
{
	struct record *record = handover->record;
	bool out = record->out.id[0] != '\0' && (id[0] == '\0' || strcmp(id, record->out.id) == 0);
	bool in = record->in.id[0] != '\0' && (id[0] == '\0' || strcmp(id, record->in.id) == 0);
	enum nexus_error error = handover_settle_first(handover);

	if (error != NEXUS_OK)
		return error;
	/* Over an exported nexus the unfinished Import comes first. */
	if (handover_import_unfinished(record) && in)
		return abort_destination(handover, force);
	if (record->state == NEXUS_EXPORTED && out)
		return handover_abort_source(handover, force);
	if (record->state == NEXUS_INCOMING && (in || record->in.id[0] == '\0'))
		return abort_destination(handover, force);
	if (record->state == NEXUS_ACTIVE && record->in_done && in)
		return abort_destination(handover, force);
	if (record->state == NEXUS_ACTIVE && record->away && (id[0] == '\0' || out))
		return handover_fail_gone(handover);
	if (record->state == NEXUS_ACTIVE && out && id[0] != '\0' && record->out.row != 1 &&
	    record->key == 0 && !record->fenced)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"hand-over %s has been released: the guest is at the destination",
			record->out.id);
	if (record->state == NEXUS_ACTIVE && (id[0] == '\0' || out))
		return NEXUS_OK;
	return handover_fail(
		handover, NEXUS_ERROR_WRONG_STATE,
		"nexus '%s' knows no hand-over %s to abort (exported: %s, imported: %s)",
		handover->name, id, record->out.id[0] != '\0' ? record->out.id : "none",
		record->in.id[0] != '\0' ? record->in.id : "none");
}
