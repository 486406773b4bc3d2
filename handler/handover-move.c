/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REGISTER AND MOVE, where the key is a stranger's too and nobody may be PREEMPTed (design section 7, row 3): Prepare at the destination, the
 * move by Export, and the way back.
 */
#include "handover-internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void set_port(struct record_port *port, const struct handover_registrants *registrants,
		     size_t i)
{
	memcpy(port->transport_id, registrants->with_key[i].raw, registrants->with_key[i].raw_len);
	port->transport_id_len = registrants->with_key[i].raw_len;
	port->relative_target_port = registrants->with_key[i].relative_target_port;
}

/* Which of the registrants is that port, or -1. */
static int find_port(const struct handover_registrants *registrants, const struct record_port *port)
{
	char text[PR_TRANSPORT_ID_TEXT_MAX];

	if (!pr_transport_id_text(port->transport_id, port->transport_id_len, text))
		return -1;
	for (size_t i = 0; i < registrants->count && i < HANDOVER_REGISTRANTS; i++)
		if (registrants->with_key[i].relative_target_port == port->relative_target_port &&
		    strcmp(registrants->with_key[i].transport_id, text) == 0)
			return (int)i;
	return -1;
}

/* ---- Prepare ---- */

static enum nexus_error drop_prepare_key(struct handover *handover)
{
	struct record *record = handover->record;
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;

	error = handover_register(handover, RECORD_STEP_PREPARE_UNREGISTER, record->prepare_key, 0,
				  &wire);
	if (error != NEXUS_OK)
		return error;
	/* CONFLICT: it does not stand (any more). */
	if (wire == HANDOVER_REFUSED)
		return handover_fail_lun(handover, "unregistering the key of Prepare");
	if (wire == HANDOVER_UNKNOWN) {
		struct pr_keys keys;

		if (!handover->ops->read_keys(handover->user, record->prepare_key, &keys) ||
		    keys.matching != 0)
			return handover_fail_lun(handover, "unregistering the key of Prepare");
	}
	record->prepare_key = 0;
	return handover_conclude(handover);
}

enum nexus_error handover_settle_prepare(struct handover *handover)
{
	return drop_prepare_key(handover);
}

enum nexus_error handover_prepare(struct handover *handover, char *ret_line)
{
	struct record *record = handover->record;
	struct handover_registrants registrants;
	struct record_port port = {0};
	char id[NEXUS_ID_LEN + 1];
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;
	bool known;

	error = handover_check_state(handover, NULL, false);
	if (error != NEXUS_OK)
		return error;
	if (handover->ops->moves(handover->user))
		return handover_fail(
			handover, NEXUS_ERROR_UNSUPPORTED,
			"nexus '%s' moves whole: Export needs to know nothing of its destination",
			handover->name);
	if (record->in_registered || record->key != 0 || record->state == NEXUS_EXPORTED)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is registered or exported: Prepare is for a destination that "
			"waits for its guest",
			handover->name);
	handover->ops->new_id(handover->user, id);
	id[16] = '\0';
	record->prepare_key = strtoull(id, NULL, 16) | 1;
	error = handover_register(handover, RECORD_STEP_PREPARE_REGISTER, 0, record->prepare_key,
				  &wire);
	if (error != NEXUS_OK)
		return error;
	if (wire == HANDOVER_CONFLICT) {
		record->prepare_key = 0;
		handover_conclude(handover);
		return handover_fail(handover, NEXUS_ERROR_WRONG_STATE,
				     "nexus '%s' is registered on the LUN already, by another "
				     "guest or program on "
				     "this host that uses the same path",
				     handover->name);
	}
	known = wire != HANDOVER_REFUSED &&
		handover->ops->read_full_status(handover->user, record->prepare_key,
						&registrants) &&
		registrants.count == 1;
	if (known) {
		set_port(&port, &registrants, 0);
		record_add_transport_id(record, registrants.with_key[0].transport_id, true);
		record->relative_target_port = port.relative_target_port;
	}
	error = drop_prepare_key(handover);
	if (error != NEXUS_OK)
		return error;
	if (!known)
		return handover_fail(
			handover, NEXUS_ERROR_UNSUPPORTED,
			"the LUN does not tell who is registered (READ FULL STATUS): Export and "
			"Import "
			"without Prepare; only a key that several nodes share needs it");
	if (!prepare_line_format(record->lun, &port, ret_line))
		return handover_fail(handover, NEXUS_ERROR_UNSUPPORTED,
				     "the line of Prepare is too long");
	return NEXUS_OK;
}

/* ---- Export ---- */

/* After a move whose answer did not come: it is done when this nexus is unregistered and the destination is there. */
static enum nexus_error find_out(struct handover *handover)
{
	struct record *record = handover->record;
	struct handover_registrants registrants;
	struct pr_keys after;
	enum nexus_error error;
	bool registered = false;
	uint32_t moved;

	error = handover_probe(handover, record->step, record->out.key, &registered, &moved,
			       &after);
	if (error != NEXUS_OK)
		return error;
	record->out.moved = false;
	if (!registered) {
		if (!handover->ops->read_full_status(handover->user, record->out.key, &registrants))
			return handover_fail_lun(
				handover, "asking the LUN whether the reservation was moved");
		record->out.moved = find_port(&registrants, &record->out_destination) >= 0;
	}
	return handover_conclude(handover);
}

enum nexus_error handover_export_move(struct handover *handover,
				      const struct record_port *destination)
{
	struct record *record = handover->record;
	struct handover_registrants registrants;
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;
	int own = -1;

	if (!handover->ops->read_full_status(handover->user, record->out.key, &registrants))
		return NEXUS_OK;
	/* This nexus holds, by its own memory and the barrier; were it wrong, the LUN would refuse the move. */
	for (size_t i = 0; i < registrants.count && i < HANDOVER_REGISTRANTS; i++)
		if (registrants.with_key[i].holder)
			own = (int)i;
	if (own < 0)
		return NEXUS_OK;
	record_add_transport_id(record, registrants.with_key[own].transport_id, true);
	record->relative_target_port = registrants.with_key[own].relative_target_port;
	set_port(&record->out_origin, &registrants, (size_t)own);
	error = handover_move(handover, RECORD_STEP_EXPORT_MOVE, record->out.key, destination,
			      &wire);
	if (error != NEXUS_OK)
		return error;
	if (wire == HANDOVER_UNKNOWN)
		return find_out(handover);
	/* REFUSED: the LUN does not have it. CONFLICT: the guest was fenced just now, as Import will find. */
	record->out.moved = wire == HANDOVER_GOOD;
	return handover_conclude(handover);
}

/* ---- Import ---- */

enum nexus_error handover_import_moved(struct handover *handover, const struct state_line *line)
{
	struct record *record = handover->record;
	const struct record_terms *terms = &record->in;
	struct handover_view view = {0};
	struct pr_keys after;
	enum nexus_error error;
	uint32_t moved;

	record->in_origin = line->origin;
	record->in_moves = 0;
	error = handover_probe(handover, RECORD_STEP_IMPORT_REREGISTER, terms->key,
			       &record->in_registered, &moved, &after);
	if (error == NEXUS_OK) {
		record->in_moves += moved;
		error = handover_conclude(handover);
	}
	if (error == NEXUS_OK)
		error = handover_look(handover, terms->key, &view);
	if (error != NEXUS_OK)
		return error;
	if (record->in_registered && view.reservation.held && view.reservation.key == terms->key &&
	    view.reservation.type == terms->type)
		return NEXUS_OK;
	if (!record->in_registered && view.reservation.held && view.reservation.key == terms->key)
		return handover_fail(handover, NEXUS_ERROR_WRONG_STATE,
				     "the reservation was moved to the nexus that was prepared, "
				     "which is not '%s', "
				     "or it was fenced there: Import where Prepare was called",
				     handover->name);
	return handover_fail(handover, NEXUS_ERROR_FENCED,
			     "another initiator has taken the reservation (type %u, key 0x%" PRIx64
			     " holds now) after it was moved to nexus '%s'",
			     view.reservation.type, view.reservation.key, handover->name);
}

/* ---- Abort ---- */

bool handover_destination_holds(struct handover *handover)
{
	const struct record *record = handover->record;
	struct handover_registrants registrants;
	int at;

	if (record->out_destination.transport_id_len == 0 ||
	    !handover->ops->read_full_status(handover->user, record->out.key, &registrants))
		return false;
	at = find_port(&registrants, &record->out_destination);
	return at >= 0 && registrants.with_key[at].holder;
}

enum nexus_error handover_move_back(struct handover *handover)
{
	struct record *record = handover->record;
	enum handover_wire wire = HANDOVER_UNKNOWN;
	enum nexus_error error;
	struct pr_keys after;
	uint32_t moved;

	error = handover_move(handover, RECORD_STEP_ABORT_MOVE, record->in.key, &record->in_origin,
			      &wire);
	if (error != NEXUS_OK)
		return error;
	record->in_registered = false;
	if (wire != HANDOVER_GOOD) {
		/* Not the holder any more, or no answer. */
		error = handover_probe(handover, RECORD_STEP_ABORT_MOVE, record->in.key,
				       &record->in_registered, &moved, &after);
		if (error == NEXUS_OK)
			error = handover_conclude(handover);
		if (error != NEXUS_OK)
			return error;
		if (record->in_registered)
			return handover_fail_lun(handover,
						 "moving the reservation back to the source");
	}
	record->in = (struct record_terms){0};
	record->in_origin = (struct record_port){0};
	return handover_conclude(handover);
}

enum nexus_error handover_abort_moved_source(struct handover *handover)
{
	struct record *record = handover->record;
	const struct record_terms *out = &record->out;
	struct handover_registrants registrants;
	struct pr_keys keys;
	enum nexus_error error;
	bool registered = false;
	uint32_t moved;

	error = handover_probe(handover, RECORD_STEP_ABORT_BARRIER, out->key, &registered, &moved,
			       &keys);
	if (error != NEXUS_OK)
		return error;
	if (registered) {
		record->out.moved = false;
		return handover_reopened(handover);
	}
	error = handover_conclude(handover);
	if (error != NEXUS_OK)
		return error;
	if (!handover->ops->read_full_status(handover->user, out->key, &registrants))
		return handover_fail_lun(handover, "asking the LUN where the reservation is");
	if (find_port(&registrants, &record->out_destination) < 0)
		return handover_fenced_at_source(handover);
	return handover_fail(handover, NEXUS_ERROR_WRONG_STATE,
			     "the reservation was moved to the destination, since key 0x%" PRIx64
			     " is another node's too: Import the line there and Abort there, which "
			     "moves it back, "
			     "then Abort here",
			     out->key);
}

enum nexus_error handover_settle_move(struct handover *handover)
{
	struct record *record = handover->record;
	struct pr_keys after;
	enum nexus_error error;
	uint32_t moved;

	if (record->step == RECORD_STEP_EXPORT_MOVE)
		return find_out(handover);
	error = handover_probe(handover, RECORD_STEP_ABORT_MOVE, record->in.key,
			       &record->in_registered, &moved, &after);
	return error != NEXUS_OK ? error : handover_conclude(handover);
}
