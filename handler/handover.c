/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that every call of the hand-over uses. */
#include "handover-internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum nexus_error handover_fail(struct handover *handover, enum nexus_error error,
			       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(handover->message, NEXUS_MESSAGE_MAX, format, args);
	va_end(args);
	return error;
}

enum nexus_error handover_fail_lun(struct handover *handover, const char *doing)
{
	if (handover->ops->expired(handover->user))
		return handover_fail(handover, NEXUS_ERROR_TIMEOUT,
				     "time ran out while %s (%s): call again", doing,
				     handover->ops->lun_error(handover->user));
	return handover_fail(handover, NEXUS_ERROR_LUN, "while %s: %s", doing,
			     handover->ops->lun_error(handover->user));
}

enum nexus_error handover_save(struct handover *handover)
{
	if (handover->ops->save(handover->user))
		return NEXUS_OK;
	return handover_fail(handover, NEXUS_ERROR_LUN,
			     "the state of nexus '%s' cannot be written to disk (%s): nothing more "
			     "was sent to the LUN; make room or mend the directory and call again",
			     handover->name, handover->ops->lun_error(handover->user));
}

enum nexus_error handover_begin_step(struct handover *handover, enum record_step step)
{
	enum record_step before = handover->record->step;
	enum nexus_error error;

	handover->ops->point(handover->user, step, HANDOVER_BEFORE_JOURNAL);
	handover->record->step = step;
	error = handover_save(handover);
	if (error != NEXUS_OK) {
		/* As on disk: what was unfinished before still is. */
		handover->record->step = before;
		return error;
	}
	handover->ops->point(handover->user, step, HANDOVER_JOURNALLED);
	return NEXUS_OK;
}

enum nexus_error handover_step(struct handover *handover, enum record_step step,
			       const struct pr_out *out, enum handover_wire *ret_wire)
{
	enum nexus_error error = handover_begin_step(handover, step);

	if (error != NEXUS_OK)
		return error;
	*ret_wire = handover->ops->pr_out(handover->user, out);
	handover->ops->point(handover->user, step, HANDOVER_ANSWERED);
	return NEXUS_OK;
}

enum nexus_error handover_move(struct handover *handover, enum record_step step, uint64_t key,
			       const struct record_port *port, enum handover_wire *ret_wire)
{
	struct pr_capabilities capabilities;
	struct pr_move move = {
		.key = key,
		.new_key = key,
		.unregister = true,
		.relative_target_port = port->relative_target_port,
		.transport_id = port->transport_id,
		.transport_id_len = (uint32_t)port->transport_id_len,
	};
	enum nexus_error error;

	if (!handover->ops->read_capabilities(handover->user, &capabilities))
		return handover_fail_lun(handover, "reading the LUN's reservation capabilities");
	move.aptpl = capabilities.ptpl_a;
	error = handover_begin_step(handover, step);
	if (error != NEXUS_OK)
		return error;
	*ret_wire = handover->ops->pr_move(handover->user, &move);
	handover->ops->point(handover->user, step, HANDOVER_ANSWERED);
	return NEXUS_OK;
}

enum nexus_error handover_conclude(struct handover *handover)
{
	enum record_step step = handover->record->step;
	enum nexus_error error;

	handover->record->step = RECORD_STEP_NONE;
	error = handover_save(handover);
	if (error != NEXUS_OK)
		handover->record->step = step;
	return error;
}

enum nexus_error handover_register(struct handover *handover, enum record_step step, uint64_t key,
				   uint64_t new_key, enum handover_wire *ret_wire)
{
	struct pr_capabilities capabilities;
	struct pr_out out = {
		.action = PR_OUT_REGISTER,
		.key = key,
		.new_key = new_key,
		.list_len = PR_OUT_LIST_LEN,
	};
	enum nexus_error error;

	if (!handover->ops->read_capabilities(handover->user, &capabilities))
		return handover_fail_lun(handover, "reading the LUN's reservation capabilities");
	out.aptpl = capabilities.ptpl_a;
	error = handover_step(handover, step, &out, ret_wire);
	if (error == NEXUS_OK && *ret_wire == HANDOVER_GOOD && new_key != 0)
		handover->record->ptpl = out.aptpl;
	return error;
}

enum nexus_error handover_look(struct handover *handover, uint64_t key,
			       struct handover_view *ret_view)
{
	struct handover_view view = {0};

	do {
		if (!handover->ops->read_keys(handover->user, key, &view.keys))
			return handover_fail_lun(handover, "reading the LUN's keys");
		if (!handover->ops->read_reservation(handover->user, &view.reservation))
			return handover_fail_lun(handover, "reading the LUN's reservation");
		if (view.reservation.generation == view.keys.generation) {
			handover->record->generation = view.keys.generation;
			*ret_view = view;
			return NEXUS_OK;
		}
	} while (!handover->ops->expired(handover->user));
	return handover_fail(handover, NEXUS_ERROR_TIMEOUT,
			     "other initiators change the LUN's registrations all the time "
			     "(PRGENERATION now %u): call again",
			     view.keys.generation);
}

bool handover_view_sole_holder(const struct handover_view *view, uint64_t key, uint8_t type)
{
	return view->reservation.held && view->reservation.key == key &&
	       view->reservation.type == type && view->keys.matching == 1;
}

enum nexus_error handover_probe(struct handover *handover, enum record_step step, uint64_t key,
				bool *ret_registered, uint32_t *ret_moved,
				struct pr_keys *ret_after)
{
	struct pr_keys before, after;
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;

	if (!handover->ops->read_keys(handover->user, key, &before))
		return handover_fail_lun(handover, "reading the LUN's keys");
	error = handover_register(handover, step, key, key, &wire);
	if (error != NEXUS_OK)
		return error;
	if (wire == HANDOVER_REFUSED)
		return handover_fail_lun(handover, "registering the same key again");
	if (!handover->ops->read_keys(handover->user, key, &after))
		return handover_fail_lun(handover, "reading the LUN's keys");
	*ret_moved = after.generation - before.generation;
	*ret_after = after;
	handover->record->generation = after.generation;
	switch (wire) {
	case HANDOVER_GOOD:
		*ret_registered = true;
		/* What came between may have ended it: the proof is of no generation that is known. */
		if (*ret_moved == 1)
			handover->record->proven = after.generation;
		return NEXUS_OK;
	case HANDOVER_CONFLICT:
		*ret_registered = false;
		return NEXUS_OK;
	default:
		break;
	}
	/*
	 * NOT READY, as LIO answers when it cannot write its APTPL file, or no answer: a REGISTER that was refused moves
	 * nothing; one that took effect moves PRGENERATION by one.
	 */
	if (*ret_moved == 1 && after.matching > 0) {
		*ret_registered = true;
		handover->record->proven = after.generation;
		return NEXUS_OK;
	}
	if (after.matching == 0) {
		*ret_registered = false;
		return NEXUS_OK;
	}
	return handover_fail_lun(handover, "asking the LUN whether this nexus is registered");
}

void handover_learn_transport_id(struct handover *handover, uint64_t key)
{
	struct handover_registrants registrants;

	if (!handover->ops->read_full_status(handover->user, key, &registrants) ||
	    registrants.count != 1 || registrants.generation != handover->record->generation)
		return;
	record_add_transport_id(handover->record, registrants.with_key[0].transport_id, true);
	handover->record->relative_target_port = registrants.with_key[0].relative_target_port;
}

void handover_set_unregistered(struct record *record)
{
	record->key = 0;
	record->holder = false;
	record->type = PR_TYPE_NONE;
}

void handover_set_fenced(struct record *record, uint64_t key)
{
	handover_set_unregistered(record);
	record->fenced = true;
	record->fenced_key = key;
}

void handover_note_holder(struct record *record, uint64_t key, const struct handover_view *view)
{
	if (!view->reservation.held)
		record->holder = false;
	else if (pr_type_all_registrants(view->reservation.type))
		record->holder = true;
	else if (view->reservation.key != key)
		record->holder = false;
	else if (view->keys.matching == 1)
		record->holder = true;
	record->type = record->holder ? view->reservation.type : PR_TYPE_NONE;
}

bool handover_gate_open(const struct record *record)
{
	return record->state == NEXUS_ACTIVE && !record->in_loaded && !record->away;
}

bool handover_import_unfinished(const struct record *record)
{
	return record->in_registered || record->in_arrived;
}

/* The reservation would be free, or might be, if this nexus unregistered key. */
static bool may_hold(const struct handover_view *view, uint64_t key, bool preempted)
{
	if (!view->reservation.held)
		return false;
	if (pr_type_all_registrants(view->reservation.type))
		return view->keys.count == 1;
	return view->reservation.key == key && (view->keys.matching == 1 || preempted);
}

/* Where the LUN and a known TransportID tell: this nexus does not hold. */
static bool holder_is_another(struct handover *handover, const struct handover_view *view,
			      uint64_t key)
{
	const struct record *record = handover->record;
	struct handover_registrants registrants;

	if (!record->own_transport_id ||
	    !handover->ops->read_full_status(handover->user, key, &registrants) ||
	    registrants.generation != view->keys.generation)
		return false;
	for (size_t i = 0; i < registrants.count && i < HANDOVER_REGISTRANTS; i++)
		if (registrants.with_key[i].holder)
			return registrants.with_key[i].relative_target_port !=
				       record->relative_target_port ||
			       strcmp(registrants.with_key[i].transport_id,
				      record->transport_ids[0]) != 0;
	return false;
}

enum nexus_error handover_undo(struct handover *handover, enum record_step step, uint64_t key,
			       bool preempted, bool *ret_holds)
{
	uint32_t proven = handover->record->proven;
	struct handover_view view = {0};
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;
	bool registered = false;
	uint32_t moved;
	struct pr_keys after;

	*ret_holds = false;
	error = handover_look(handover, key, &view);
	if (error != NEXUS_OK)
		return error;
	if (view.keys.matching == 0)
		return handover_conclude(handover);
	if (may_hold(&view, key, preempted) &&
	    (view.keys.matching == 1 || !holder_is_another(handover, &view, key))) {
		registered = true;
		/* A proof more would move the generation, from which the source tells who holds. */
		if (view.keys.matching > 1 || view.keys.generation != proven) {
			error = handover_probe(handover, step, key, &registered, &moved, &after);
			if (error != NEXUS_OK)
				return error;
		}
		*ret_holds = registered;
		return handover_conclude(handover);
	}
	error = handover_register(handover, step, key, 0, &wire);
	if (error != NEXUS_OK)
		return error;
	if (wire == HANDOVER_GOOD || wire == HANDOVER_CONFLICT)
		return handover_conclude(handover);
	/* The answer does not tell: the step stays in the journal until a probe does. */
	error = handover_probe(handover, step, key, &registered, &moved, &after);
	if (error != NEXUS_OK)
		return error;
	if (registered)
		return handover_fail_lun(handover, "taking back this nexus's own registration");
	return handover_conclude(handover);
}

enum nexus_error handover_settle_first(struct handover *handover)
{
	enum record_step step = handover->record->step;
	enum nexus_error error;

	if (step == RECORD_STEP_NONE)
		return NEXUS_OK;
	error = handover_settle(handover);
	/* Its Export ended without a word about that. */
	if (error == NEXUS_OK && step == RECORD_STEP_EXPORT_LEAVE &&
	    handover_gate_open(handover->record))
		handover->ops->open_gate(handover->user);
	return error;
}
