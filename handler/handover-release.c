/* SPDX-License-Identifier: Apache-2.0 */
/* Release: the source's end of a hand-over that succeeded. */
#include "handover-internal.h"

#include <string.h>

static const char *row_text(const struct record_terms *terms)
{
	if (terms->row == 1)
		return terms->fenced ? "fenced" : "not registered";
	return terms->row == 2 ? "registered" : "holder";
}

static enum nexus_error released(struct handover *handover)
{
	struct record *record = handover->record;
	enum nexus_error error;

	handover_set_unregistered(record);
	record->fenced = record->take_back = false;
	record->state = NEXUS_ACTIVE;
	/* Of the hand-over's own making, or delivered by the line. */
	handover->ops->clear_unit_attentions(handover->user);
	error = handover_conclude(handover);
	if (error != NEXUS_OK) {
		record->state = NEXUS_EXPORTED;
		return error;
	}
	handover->ops->answer_held_busy(handover->user);
	if (handover_gate_open(record))
		handover->ops->open_gate(handover->user);
	else
		handover->ops->tidy(handover->user, record->out.id);
	return NEXUS_OK;
}

static enum nexus_error not_imported(struct handover *handover, const struct pr_keys *keys)
{
	const struct record_terms *out = &handover->record->out;

	return handover_fail(
		handover, NEXUS_ERROR_WRONG_STATE,
		"the hand-over %s has not been imported: key 0x%llx (%s) is listed %u "
		"times, as often as at Export or less, and nexus '%s' is registered still; Import "
		"first, or Abort%s",
		out->id, (unsigned long long)out->key, row_text(out), keys->matching,
		handover->name,
		out->row == 3 ? "" : " (force, when the Import is known to have succeeded)");
}

enum nexus_error handover_drop_exported(struct handover *handover, bool force)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	struct pr_keys keys;
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;
	bool registered = false;
	uint32_t moved;

	if (out->whole)
		return handover_whole_left(handover, force);
	if (out->row == 1)
		return NEXUS_OK;
	if (!handover->ops->read_keys(handover->user, out->key, &keys))
		return handover_fail_lun(handover, "reading the LUN's keys");
	if (keys.matching == 0)
		return NEXUS_OK;
	if (record->take_back && keys.matching > 1) {
		/* An Abort that was begun is given up. */
		error = handover_undo(handover, RECORD_STEP_ABORT_UNDO, out->key,
				      record->take_back_sent, &registered);
		if (error != NEXUS_OK || !registered)
			return error;
		return not_imported(handover, &keys);
	}
	/* Nothing has happened since Export: no probe, which would make the line stale. */
	if (keys.generation == out->generation && keys.matching <= record->out_count &&
	    (out->row == 3 || !force))
		return not_imported(handover, &keys);
	if (out->row == 3 || (keys.matching <= record->out_count && !force) ||
	    (out->row == 4 && keys.count == 1)) {
		error = handover_probe(handover, RECORD_STEP_RELEASE_PROBE, out->key, &registered,
				       &moved, &keys);
		if (error == NEXUS_OK)
			error = handover_conclude(handover);
		if (error != NEXUS_OK || !registered)
			return error;
		if (out->row != 4 || keys.count > 1)
			return not_imported(handover, &keys);
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is the last registrant of a reservation that all "
			"registrants hold: to unregister it would free the LUN for anybody; "
			"Import first, or Abort",
			handover->name);
	}
	error = handover_register(handover, RECORD_STEP_RELEASE_UNREGISTER, out->key, 0, &wire);
	if (error != NEXUS_OK)
		return error;
	if (wire == HANDOVER_REFUSED)
		return handover_fail_lun(handover, "unregistering at the source");
	if (wire == HANDOVER_UNKNOWN) {
		error = handover_probe(handover, RECORD_STEP_RELEASE_UNREGISTER, out->key,
				       &registered, &moved, &keys);
		if (error != NEXUS_OK)
			return error;
		if (registered)
			return handover_fail_lun(handover, "unregistering at the source");
	}
	return NEXUS_OK;
}

enum nexus_error handover_release_now(struct handover *handover, bool force)
{
	enum nexus_error error = NEXUS_OK;

	if (handover->record->state == NEXUS_EXPORTED)
		error = handover_drop_exported(handover, force);
	return error != NEXUS_OK ? error : released(handover);
}

enum nexus_error handover_release(struct handover *handover, const char *id, bool force)
{
	struct record *record = handover->record;
	enum nexus_error error;

	if (record->state == NEXUS_INCOMING)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is incoming: Release is for the source of a hand-over",
			handover->name);
	if (id[0] != '\0' && strcmp(id, record->out.id) != 0)
		return handover_fail(handover, NEXUS_ERROR_WRONG_STATE,
				     "nexus '%s' knows no hand-over %s (its last one is %s)",
				     handover->name, id,
				     record->out.id[0] != '\0' ? record->out.id : "none");
	if (record->state == NEXUS_ACTIVE) {
		/* Repeated: it was released. After an Abort the guest runs here. */
		if (record->out.id[0] != '\0' && record->key == 0)
			return NEXUS_OK;
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is active, not exported: there is nothing to release",
			handover->name);
	}
	if (handover_import_unfinished(record))
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' has an unfinished Import of hand-over %s: Abort that "
			"first",
			handover->name, record->in.id);
	error = handover_settle_first(handover);
	return error != NEXUS_OK ? error : handover_release_now(handover, force);
}
