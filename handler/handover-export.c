/* SPDX-License-Identifier: Apache-2.0 */
/* Export: the source's side. */
#include "handover-internal.h"

#include <stdio.h>
#include <string.h>

/* A LUN that other initiators keep busy gives an exact generation sooner or later. */
#define EXPORT_ATTEMPTS 10

/* Whose is the reservation? Called with a proof that this nexus is registered with its key. */
static uint8_t classify(struct handover *handover, const struct handover_view *view)
{
	struct record *record = handover->record;
	struct handover_registrants registrants;

	if (!view->reservation.held)
		return 2;
	if (pr_type_all_registrants(view->reservation.type))
		return 4;
	if (view->reservation.key != record->key || handover->part.led)
		return 2;
	/* It is one of the guest's own nexuses, whichever: for the LUN a holder is a key and a type. */
	if (view->keys.matching == 1 + handover->part.siblings)
		return 3;
	/* The key is another's too: only the LUN's own words, or what this nexus did itself, tell. */
	if (record->own_transport_id &&
	    handover->ops->read_full_status(handover->user, record->key, &registrants)) {
		for (size_t i = 0; i < registrants.count && i < HANDOVER_REGISTRANTS; i++)
			if (registrants.with_key[i].holder)
				return strcmp(registrants.with_key[i].transport_id,
					      record->transport_ids[0]) == 0 &&
						       registrants.with_key[i]
								       .relative_target_port ==
							       record->relative_target_port
					       ? 3
					       : 2;
	}
	return record->holder ? 3 : 2;
}

/*
 * The barrier, until READ KEYS straight after it shows the generation that it made; a nexus that moves whole has its ticket for that, and others
 * of its group may leave beside it. *ret_registered false: RESERVATION CONFLICT, with what READ KEYS then showed in *ret_view.
 */
static enum nexus_error barrier(struct handover *handover, bool *ret_registered,
				struct handover_view *ret_view)
{
	struct record *record = handover->record;
	bool exact = !handover->ops->moves(handover->user);
	unsigned int moves[3] = {0}; /* how often the generation stood, moved by one, by more */
	enum nexus_error error;

	for (int attempt = 0; attempt < EXPORT_ATTEMPTS; attempt++) {
		struct pr_keys after;
		uint32_t moved;

		error = handover_probe(handover, RECORD_STEP_EXPORT_BARRIER, record->key,
				       ret_registered, &moved, &after);
		if (error != NEXUS_OK)
			return error;
		if (!*ret_registered) {
			ret_view->keys = after;
			return NEXUS_OK;
		}
		moves[moved > 2 ? 2 : moved]++;
		if (moved == 1 || !exact) {
			error = handover_look(handover, record->key, ret_view);
			if (error != NEXUS_OK)
				return error;
			if ((!exact || ret_view->keys.generation == after.generation) &&
			    ret_view->keys.matching > 0)
				return NEXUS_OK;
		}
		if (handover->ops->expired(handover->user))
			break;
	}
	if (moves[1] == 0)
		return handover_fail(
			handover, NEXUS_ERROR_UNSUPPORTED,
			"the LUN's PRGENERATION does not move by one with REGISTER (it stood "
			"still %u times and moved further %u times): a hand-over could not "
			"tell a line that is out of date on such a LUN",
			moves[0], moves[2]);
	return handover_fail(
		handover, NEXUS_ERROR_STALE,
		"other initiators change the LUN's registrations all the time: Export again");
}

/* All that have the key are this guest's: known by that when a later Import finds them left behind. */
static void learn_siblings(struct handover *handover, const struct record_terms *terms)
{
	struct handover_registrants registrants;

	if (!handover->ops->read_full_status(handover->user, terms->key, &registrants) ||
	    registrants.generation != terms->generation)
		return;
	for (size_t i = 0; i < registrants.count && i < HANDOVER_REGISTRANTS; i++)
		record_add_transport_id(handover->record, registrants.with_key[i].transport_id,
					false);
}

/* The terms, from what the LUN shows. On NEXUS_OK handover->record->out is new but for its id. */
static enum nexus_error find_terms(struct handover *handover, struct record_terms *ret_terms)
{
	struct record *record = handover->record;
	struct record_terms terms = {0};
	struct handover_view view = {0};
	enum nexus_error error;
	bool registered = false;

	terms.time_s = handover->ops->wall_clock_s(handover->user);
	terms.ptpl = record->ptpl;
	if (record->key != 0) {
		error = barrier(handover, &registered, &view);
		if (error != NEXUS_OK)
			return error;
		if (!registered && record->state == NEXUS_EXPORTED && view.keys.matching > 0)
			return handover_fail(
				handover, NEXUS_ERROR_WRONG_STATE,
				"nexus '%s' is not registered any more and key 0x%llx stands on "
				"another "
				"nexus: the hand-over %s was imported; call Release, or Abort",
				handover->name, (unsigned long long)record->key, record->out.id);
		if (!registered) {
			handover_set_fenced(record, record->key);
			/* What the LUN said meanwhile was taken for the hand-over's own. */
			if (record->state == NEXUS_EXPORTED)
				handover->ops->add_unit_attention(handover->user,
								  SCSI_ASC_REGISTRATIONS_PREEMPTED);
		}
	}
	if (!registered) {
		terms.row = 1;
		terms.fenced = record->fenced;
		terms.key = record->fenced ? record->fenced_key : 0;
	} else {
		terms.row = classify(handover, &view);
		terms.key = record->key;
		terms.generation = view.keys.generation;
		terms.count = view.keys.matching;
		terms.siblings = handover->part.siblings;
		terms.led = handover->part.led;
		terms.ptpl = record->ptpl;
		if (terms.row >= 3)
			terms.type = view.reservation.type;
		record->holder = terms.row >= 3;
		record->type = terms.type;
		handover_learn_transport_id(handover, record->key);
		if (terms.siblings > 0 && terms.count == record_terms_ours(&terms))
			learn_siblings(handover, &terms);
	}
	*ret_terms = terms;
	return NEXUS_OK;
}

/* The reservation is at the destination: nothing is left here that could be proved anew. */
static enum nexus_error moved_terms(struct handover *handover, struct record_terms *ret_terms)
{
	struct record_terms *out = &handover->record->out;
	struct handover_view view = {0};
	enum nexus_error error = handover_look(handover, out->key, &view);

	if (error != NEXUS_OK)
		return error;
	if (view.keys.matching == 0)
		return handover_fail(
			handover, NEXUS_ERROR_FENCED,
			"key 0x%llx is not registered on the LUN any more: Release, or Abort",
			(unsigned long long)out->key);
	*ret_terms = *out;
	ret_terms->time_s = handover->ops->wall_clock_s(handover->user);
	return NEXUS_OK;
}

static enum nexus_error parse_destination(struct handover *handover, const char *destination,
					  struct record_port *ret_port)
{
	char lun[SCSI_DESIGNATOR_MAX];

	if (!prepare_line_parse(destination, lun, ret_port, handover->message))
		return NEXUS_ERROR_BAD_STATE;
	if (strcmp(lun, handover->record->lun) != 0)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_LUN,
			"the destination was prepared on LUN %s, and nexus '%s' is on LUN %s", lun,
			handover->name, handover->record->lun);
	return NEXUS_OK;
}

/* Export from the active state failed: the guest goes on. */
static enum nexus_error back_to_active(struct handover *handover, enum nexus_error error)
{
	char message[NEXUS_MESSAGE_MAX];

	memcpy(message, handover->message, sizeof(message));
	handover->record->state = NEXUS_ACTIVE;
	/* A save that fails here leaves the journal with the barrier, which settles to the same. */
	handover_conclude(handover);
	memcpy(handover->message, message, sizeof(message));
	handover->ops->open_gate(handover->user);
	return error;
}

static enum nexus_error format_line(struct handover *handover, char *ret_line)
{
	if (handover->ops->format_line(handover->user, ret_line))
		return NEXUS_OK;
	return handover_fail(handover, NEXUS_ERROR_UNSUPPORTED,
			     "the state of nexus '%s' does not fit into a state line",
			     handover->name);
}

/* record->out is made. Where it fails the nexus is here again, unless the LUN does not answer: then it is exported, and Abort goes on. */
static enum nexus_error export_whole(struct handover *handover, bool again, char *ret_line)
{
	char message[NEXUS_MESSAGE_MAX];
	enum nexus_error error = handover_whole_leave(handover, again);

	if (error == NEXUS_OK)
		error = format_line(handover, ret_line);
	if (error == NEXUS_OK)
		error = handover_conclude(handover);
	if (error == NEXUS_OK || again)
		return error;
	memcpy(message, handover->message, sizeof(message));
	if (handover->record->away)
		handover_whole_unleave(handover);
	memcpy(handover->message, message, sizeof(message));
	return handover->record->away ? error : back_to_active(handover, error);
}

enum nexus_error handover_export(struct handover *handover, const char *destination, char *ret_line)
{
	struct record *record = handover->record;
	bool again = record->state == NEXUS_EXPORTED;
	struct record_terms terms;
	struct record_port port = {0};
	enum nexus_error error;

	if (destination != NULL) {
		error = parse_destination(handover, destination, &port);
		if (error != NEXUS_OK)
			return error;
	}
	if (!handover->migrate_pr)
		return handover_fail(handover, NEXUS_ERROR_UNSUPPORTED,
				     "nexus '%s' has migrate-pr=off: prmig does not follow its "
				     "reservations; create the backstore without that option",
				     handover->name);
	if (record->state == NEXUS_INCOMING)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is incoming: it has nothing to export; Export where the "
			"guest runs, or Abort here to use it without an Import",
			handover->name);
	if (record->state == NEXUS_ACTIVE && record->away)
		return handover_fail_gone(handover);
	if (handover_import_unfinished(record))
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' has an unfinished Import of hand-over %s: Abort that "
			"first",
			handover->name, record->in.id);
	if (record->scsi2)
		return handover_fail(
			handover, NEXUS_ERROR_UNSUPPORTED,
			"the guest of nexus '%s' holds a SCSI-2 RESERVE, which cannot be "
			"handed over: it has to RELEASE first",
			handover->name);
	error = handover_settle_first(handover);
	if (error != NEXUS_OK)
		return error;
	handover->ops->close_gate(handover->user);
	if (!again && !handover->ops->drain(handover->user)) {
		handover->ops->open_gate(handover->user);
		return handover_fail(
			handover, NEXUS_ERROR_TIMEOUT,
			"commands of the guest are still at the LUN after the time that Export "
			"has: the guest goes on; call again when the LUN answers");
	}
	if (again && record->take_back) {
		error = handover_drop_take_back(handover);
		if (error != NEXUS_OK)
			return error;
	}
	if (again && record->out.whole) {
		terms = record->out;
		terms.time_s = handover->ops->wall_clock_s(handover->user);
		error = NEXUS_OK;
	} else {
		error = again && record->out.moved ? moved_terms(handover, &terms)
						   : find_terms(handover, &terms);
	}
	if (error != NEXUS_OK)
		return again ? error : back_to_active(handover, error);
	if (!again && handover->ops->moves(handover->user)) {
		/* Each of a group leaves by itself, whatever key the others have. */
		terms.whole = true;
		terms.led = false;
		terms.siblings = 0;
	}
	if (again)
		memcpy(terms.id, record->out.id, sizeof(terms.id));
	else
		handover->ops->new_id(handover->user, terms.id);
	if (!again || terms.count < record->out_count)
		record->out_count = terms.count;
	record->out = terms;
	record->take_back = false;
	if (!terms.moved && (!again || port.transport_id_len != 0))
		record->out_destination = port;
	record->out_saved = handover->by_qemu;
	/* What was loaded here has run here, or comes from here again. */
	record->in_loaded = false;
	record->state = NEXUS_EXPORTED;
	/* The hand-over that brought the guest is over; its id stays, so that no late call ends or repeats it. */
	record->in_done = false;
	record->in_ran = true;
	if (terms.whole)
		return export_whole(handover, again, ret_line);
	if (port.transport_id_len != 0 && terms.row == 3 &&
	    terms.count > record_terms_ours(&terms) && !terms.moved) {
		error = handover_export_move(handover, &port);
		if (error != NEXUS_OK)
			return error;
	}
	error = format_line(handover, ret_line);
	if (error != NEXUS_OK)
		return again || record->out.moved ? error : back_to_active(handover, error);
	error = handover_conclude(handover);
	if (error != NEXUS_OK && !again && !record->out.moved)
		return back_to_active(handover, error);
	return error;
}
