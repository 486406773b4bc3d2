/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-over when QEMU drives it by dbus-vmstate (design section 7, QEMU calls it itself): QEMU saves and loads, and never says
 * how the migration ended. So the guest's own first write says where it runs.
 */
#include "handover-internal.h"

#include <inttypes.h>

bool handover_awaits_guest(const struct record *record)
{
	return (record->state == NEXUS_EXPORTED && record->out_saved) ||
	       (record->state == NEXUS_ACTIVE && record->in_loaded);
}

static bool reservation_as_exported(const struct record_terms *out,
				    const struct pr_reservation *now)
{
	if (out->row == 2)
		return true;
	if (!now->held || now->type != out->type)
		return false;
	return out->row == 4 || now->key == out->key;
}

static enum nexus_error runs_at_source(struct handover *handover)
{
	const struct record_terms *out = &handover->record->out;
	struct handover_view view = {0};
	enum nexus_error error;

	/* Of one that moves whole the ticket tells, which is asked by Abort. */
	if (out->row != 1 && !handover->record->take_back && !out->whole) {
		error = handover_look(handover, out->key, &view);
		if (error != NEXUS_OK)
			return error;
		/* K gone: fenced, which Abort finds out. Else it has to stand as at Export. */
		if (view.keys.matching != 0 && (view.keys.matching != handover->record->out_count ||
						!reservation_as_exported(out, &view.reservation)))
			return handover_fail(
				handover, NEXUS_ERROR_WRONG_STATE,
				"nexus '%s' is exported and something on this host writes, but key "
				"0x%" PRIx64
				" is listed %u times (%u at Export) and the reservation is "
				"type %u, key 0x%" PRIx64 ": the guest may run at the destination; "
				"Abort or Release by hand",
				handover->name, out->key, view.keys.matching,
				handover->record->out_count, view.reservation.type,
				view.reservation.key);
	}
	handover->automatic = true;
	error = handover_abort_source(handover, false);
	handover->automatic = false;
	return error;
}

static enum nexus_error runs_at_destination(struct handover *handover)
{
	struct record *record = handover->record;
	struct pr_keys keys;
	enum nexus_error error;
	bool registered = false;
	uint32_t moved;

	error = handover_probe(handover, RECORD_STEP_CONFIRM_BARRIER, record->in.key, &registered,
			       &moved, &keys);
	if (error != NEXUS_OK)
		return error;
	/* Row 3: the K that is listed is this nexus's own only where nothing has come between. */
	if (registered && (record->in.row != 3 || record->in.whole ||
			   (moved == 1 && keys.matching <= record_terms_ours(&record->in)))) {
		record->in_loaded = false;
		error = handover_conclude(handover);
		if (error == NEXUS_OK)
			handover->ops->open_gate(handover->user);
		return error;
	}
	if (registered) {
		error = handover_conclude(handover);
		return error != NEXUS_OK
			       ? error
			       : handover_fail(
					 handover, NEXUS_ERROR_WRONG_STATE,
					 "the source of nexus '%s' is registered again: it takes "
					 "the reservation back",
					 handover->name);
	}
	if (keys.matching == 0 || record->in.whole) {
		/* A fence, which the guest has to see. */
		handover_set_fenced(record, record->in.key);
		record->in_loaded = false;
		error = handover_conclude(handover);
		if (error == NEXUS_OK)
			handover->ops->open_gate(handover->user);
		return error;
	}
	handover_set_unregistered(record);
	record->state = NEXUS_INCOMING;
	record->in_loaded = record->in_done = false;
	record->in = (struct record_terms){0};
	error = handover_conclude(handover);
	return error != NEXUS_OK
		       ? error
		       : handover_fail(
				 handover, NEXUS_ERROR_WRONG_STATE,
				 "the source of nexus '%s' has taken the reservation back: it is "
				 "incoming again",
				 handover->name);
}

enum nexus_error handover_guest_runs(struct handover *handover)
{
	enum nexus_error error = handover_settle_first(handover);

	if (error != NEXUS_OK || !handover_awaits_guest(handover->record))
		return error;
	return handover->record->state == NEXUS_EXPORTED ? runs_at_source(handover)
							 : runs_at_destination(handover);
}

enum nexus_error handover_loader_gone(struct handover *handover)
{
	struct record *record = handover->record;

	/* Row 1 leaves nothing on the LUN; what is loaded and has not run goes back. */
	if (record->state != NEXUS_ACTIVE || !record->in_loaded)
		return NEXUS_OK;
	return handover_abort(handover, record->in.id, false);
}

enum nexus_error handover_saver_gone(struct handover *handover)
{
	struct record *record = handover->record;

	if (record->state != NEXUS_EXPORTED || !record->out_saved)
		return NEXUS_OK;
	return handover_release(handover, record->out.id, false);
}
