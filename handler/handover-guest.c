/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's own PERSISTENT RESERVE OUT: journalled, observed, and settled when its outcome is not known. */
#include "handover-internal.h"

#include <string.h>

static size_t kept(size_t list_len)
{
	return list_len < PR_OUT_LIST_LEN ? list_len : PR_OUT_LIST_LEN;
}

/*
 * QEMU's own migrate-pr, above prmig, sends REGISTER (0 -> K) once when the guest has arrived: K stands, by Import.
 */
static bool repeats_import(const struct record *record, const uint8_t *cdb, const uint8_t *list,
			   size_t list_len)
{
	struct pr_out out;

	return record->in_register_due && pr_out_parse(cdb, list, list_len, &out) &&
	       out.action == PR_OUT_REGISTER && out.key == 0 && out.new_key != 0 &&
	       out.new_key == record->key;
}

bool handover_guest_repeats(struct handover *handover, const uint8_t *cdb, const uint8_t *list,
			    size_t list_len)
{
	struct record *record = handover->record;
	bool same;

	if (repeats_import(record, cdb, list, list_len)) {
		record->in_register_due = false;
		handover_save(handover);
		return true;
	}
	if (!record->pending || !record->pending_stands)
		return false;
	same = memcmp(record->pending_cdb, cdb, PR_CDB_LEN) == 0 &&
	       record->pending_list_len == kept(list_len) &&
	       memcmp(record->pending_list, list, kept(list_len)) == 0;
	record->pending = record->pending_stands = false;
	/* Lost with the daemon, it would only be answered GOOD once more. */
	if (same)
		handover_save(handover);
	return same;
}

enum nexus_error handover_guest_begin(struct handover *handover, const uint8_t *cdb,
				      const uint8_t *list, size_t list_len)
{
	struct record *record = handover->record;
	enum nexus_error error;

	record->pending = true;
	record->pending_stands = false;
	record->in_register_due = false;
	memcpy(record->pending_cdb, cdb, PR_CDB_LEN);
	record->pending_list_len = kept(list_len);
	memcpy(record->pending_list, list, record->pending_list_len);
	error = handover_save(handover);
	if (error != NEXUS_OK)
		record->pending = false;
	return error;
}

/* Holder or not, as the LUN shows it; this nexus is known to be registered with key unless the LUN lists it nowhere. */
static enum nexus_error ask(struct handover *handover, uint64_t key)
{
	struct record *record = handover->record;
	struct handover_view view = {0};
	enum nexus_error error;

	if (key == 0)
		return NEXUS_OK;
	error = handover_look(handover, key, &view);
	if (error != NEXUS_OK)
		return error;
	if (view.keys.matching == 0) {
		handover_set_unregistered(record);
		return NEXUS_OK;
	}
	handover_note_holder(record, key, &view);
	return NEXUS_OK;
}

static void observe(struct record *record, const struct pr_out *out)
{
	switch (out->action) {
	case PR_OUT_REGISTER:
	case PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY:
		if (out->new_key == 0) {
			handover_set_unregistered(record);
			break;
		}
		record->key = out->new_key;
		record->ptpl = out->aptpl;
		record->fenced = false;
		record->fenced_key = 0;
		break;
	case PR_OUT_RESERVE:
		record->holder = true;
		record->type = out->type;
		break;
	case PR_OUT_RELEASE:
		/* By a holder; GOOD and nothing else for any other registrant. */
		break;
	case PR_OUT_CLEAR:
		handover_set_unregistered(record);
		break;
	case PR_OUT_PREEMPT:
	case PR_OUT_PREEMPT_AND_ABORT:
		/* Of the holder's key: this nexus holds; with a key shared by others only the success of the command tells. */
		record->holder = true;
		record->type = out->type;
		break;
	case PR_OUT_REPLACE_LOST_RESERVATION:
		record->key = out->new_key;
		record->ptpl = out->aptpl;
		record->holder = true;
		record->type = out->type;
		break;
	case PR_OUT_REGISTER_AND_MOVE:
		record->holder = false;
		record->type = PR_TYPE_NONE;
		break;
	}
}

enum nexus_error handover_guest_end(struct handover *handover, enum handover_wire wire)
{
	struct record *record = handover->record;
	struct pr_out out;
	bool parsed = pr_out_parse(record->pending_cdb, record->pending_list,
				   record->pending_list_len, &out);

	record->pending = false;
	if (wire == HANDOVER_GOOD && parsed) {
		observe(record, &out);
		/* Where the LUN does not answer, the next resynchronisation asks. */
		if (ask(handover, record->key) == NEXUS_OK && record->key != 0 &&
		    !record->own_transport_id)
			handover_learn_transport_id(handover, record->key);
	}
	return handover_save(handover);
}

/* ---- settling ---- */

static enum nexus_error still_registered(struct handover *handover, uint64_t key, bool *ret)
{
	struct pr_keys after;
	enum nexus_error error;
	uint32_t moved;

	*ret = false;
	if (key == 0)
		return NEXUS_OK;
	error = handover_probe(handover, RECORD_STEP_GUEST_PROBE, key, ret, &moved, &after);
	return error != NEXUS_OK ? error : handover_conclude(handover);
}

static enum nexus_error settle_register(struct handover *handover, const struct pr_out *out,
					bool *ret_stands)
{
	struct record *record = handover->record;
	enum nexus_error error;
	bool registered = false;

	if (out->new_key != 0) {
		error = still_registered(handover, out->new_key, &registered);
		if (error != NEXUS_OK)
			return error;
	}
	/* With the key as it was, nothing tells; and the LUN answers GOOD to a repetition. */
	*ret_stands = registered && record->key != out->new_key;
	if (registered) {
		if (*ret_stands)
			observe(record, out);
		return NEXUS_OK;
	}
	if (record->key == 0 || record->key == out->new_key)
		return NEXUS_OK;
	error = still_registered(handover, record->key, &registered);
	if (error != NEXUS_OK || registered)
		return error;
	if (out->new_key == 0) {
		*ret_stands = true;
		handover_set_unregistered(record);
	} else {
		handover_set_fenced(record, record->key);
	}
	return NEXUS_OK;
}

static enum nexus_error settle_removal(struct handover *handover, const struct pr_out *out,
				       bool *ret_stands)
{
	struct record *record = handover->record;
	struct handover_view view = {0};
	enum nexus_error error;
	bool registered = false;

	if (record->key == 0)
		return NEXUS_OK;
	error = still_registered(handover, record->key, &registered);
	if (error == NEXUS_OK)
		error = handover_look(handover, out->new_key, &view);
	if (error != NEXUS_OK)
		return error;
	if (out->action == PR_OUT_CLEAR) {
		*ret_stands = !registered && view.keys.count == 0;
		if (*ret_stands)
			handover_set_unregistered(record);
	} else if (registered && out->new_key != record->key) {
		*ret_stands = view.keys.matching == 0;
	}
	if (!registered && !*ret_stands)
		handover_set_fenced(record, record->key);
	return NEXUS_OK;
}

enum nexus_error handover_guest_settle(struct handover *handover, bool told)
{
	struct record *record = handover->record;
	struct pr_out out;
	enum nexus_error error = NEXUS_OK;
	bool stands = false;

	if (!record->pending || record->pending_stands)
		return NEXUS_OK;
	if (pr_out_parse(record->pending_cdb, record->pending_list, record->pending_list_len,
			 &out)) {
		switch (out.action) {
		case PR_OUT_REGISTER:
		case PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY:
			error = settle_register(handover, &out, &stands);
			break;
		case PR_OUT_CLEAR:
		case PR_OUT_PREEMPT:
		case PR_OUT_PREEMPT_AND_ABORT:
			error = settle_removal(handover, &out, &stands);
			break;
		case PR_OUT_RESERVE:
		case PR_OUT_RELEASE:
		case PR_OUT_REGISTER_AND_MOVE:
		case PR_OUT_REPLACE_LOST_RESERVATION:
			/* A repetition is answered GOOD by the LUN itself where the effect stands. */
			break;
		}
		if (error == NEXUS_OK)
			error = ask(handover, record->key);
		if (error != NEXUS_OK)
			return error;
	}
	record->pending_stands = stands && !told;
	record->pending = record->pending_stands;
	return handover_save(handover);
}
