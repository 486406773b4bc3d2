/* SPDX-License-Identifier: Apache-2.0 */
/* The claim on a SCSI LUN: its own reservation, by PERSISTENT RESERVE. */
#include "lun-claim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_MS 4000
#define ATTEMPTS 20
#define PAUSE_MS 50
#define STATUS_BYTES 8192
#define CLAIM_TYPE PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY

enum wire { WIRE_GOOD, WIRE_CONFLICT, WIRE_UNSUPPORTED, WIRE_FAILED, WIRE_UNKNOWN };

/* What the LUN's reservation is now. */
struct view {
	bool held;
	uint64_t key;
	uint8_t type;
	uint32_t registrations;
	uint32_t own; /* of these, with the key asked for */
};

static void pause_a_while(void)
{
	struct timespec pause = {.tv_nsec = (long)PAUSE_MS * 1000000};

	nanosleep(&pause, NULL);
}

/* The claim's own making: not for a guest. */
static bool is_of_claim(uint16_t asc_ascq)
{
	return asc_ascq == SCSI_ASC_RESERVATIONS_PREEMPTED ||
	       asc_ascq == SCSI_ASC_RESERVATIONS_RELEASED ||
	       asc_ascq == SCSI_ASC_REGISTRATIONS_PREEMPTED;
}

static enum wire judge(struct lun_claim_way *way, const struct lun_result *result, bool *ret_again,
		       char *reason)
{
	uint16_t asc_ascq = 0;
	uint8_t key = 0;

	*ret_again = false;
	if (result->unknown) {
		snprintf(reason, LUN_REASON_MAX,
			 "the LUN gave no answer to PERSISTENT RESERVE in time");
		return WIRE_UNKNOWN;
	}
	if (result->status == SCSI_GOOD)
		return WIRE_GOOD;
	if (result->status == SCSI_RESERVATION_CONFLICT)
		return WIRE_CONFLICT;
	if (result->status == SCSI_CHECK_CONDITION)
		scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq);
	snprintf(reason, LUN_REASON_MAX,
		 "the LUN answers PERSISTENT RESERVE with status %02Xh (sense key %Xh, %04Xh)",
		 result->status, key, asc_ascq);
	if (result->status == SCSI_BUSY || result->status == SCSI_TASK_SET_FULL) {
		pause_a_while();
		*ret_again = true;
		return WIRE_FAILED;
	}
	if (key == SCSI_UNIT_ATTENTION) {
		if (!is_of_claim(asc_ascq))
			unit_attentions_add(&way->unit_attentions, asc_ascq);
		*ret_again = true;
		return WIRE_FAILED;
	}
	if (key == SCSI_ILLEGAL_REQUEST)
		return WIRE_UNSUPPORTED;
	/* NOT READY above all: LIO answers it to a REGISTER that took effect. */
	return WIRE_UNKNOWN;
}

static enum wire execute(struct lun_claim_way *way, const uint8_t *cdb,
			 enum scsi_direction direction, uint8_t *data, size_t len, size_t *ret_len,
			 char *reason)
{
	enum wire wire = WIRE_FAILED;
	bool again = true;

	for (int i = 0; again && i < ATTEMPTS; i++) {
		struct iovec iov = {.iov_base = data, .iov_len = len};
		struct lun_io io = {
			.cdb = cdb,
			.cdb_len = PR_CDB_LEN,
			.direction = direction,
			.iov = &iov,
			.iov_cnt = 1,
			.data_len = (uint32_t)len,
			.timeout_ms = TIMEOUT_MS,
		};

		lun_execute(way->lun, &io);
		wire = judge(way, &io.result, &again, reason);
		*ret_len = io.result.residual_bytes <= len ? len - io.result.residual_bytes : 0;
	}
	return wire;
}

static enum wire pr_out(struct lun_claim_way *way, enum pr_out_action action, uint64_t key,
			uint64_t new_key, bool aptpl, char *reason)
{
	struct pr_out out = {
		.action = action,
		.type = CLAIM_TYPE,
		.key = key,
		.new_key = new_key,
		.aptpl = aptpl,
		.list_len = PR_OUT_LIST_LEN,
	};
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];
	size_t len;

	pr_out_build(&out, cdb, list);
	return execute(way, cdb, SCSI_DIR_OUT, list, sizeof(list), &len, reason);
}

static enum wire pr_in(struct lun_claim_way *way, enum pr_in_action action, uint8_t *data,
		       size_t *ret_len, char *reason)
{
	uint8_t cdb[PR_CDB_LEN];

	memset(data, 0, STATUS_BYTES);
	pr_in_build(action, STATUS_BYTES, cdb);
	return execute(way, cdb, SCSI_DIR_IN, data, STATUS_BYTES, ret_len, reason);
}

static bool look(struct lun_claim_way *way, uint64_t own_key, struct view *ret_view, char *reason)
{
	struct pr_reservation reservation;
	uint8_t data[STATUS_BYTES];
	struct pr_keys keys;
	size_t len;

	if (pr_in(way, PR_IN_READ_KEYS, data, &len, reason) != WIRE_GOOD ||
	    !pr_keys_parse(data, len, own_key, &keys))
		return false;
	if (pr_in(way, PR_IN_READ_RESERVATION, data, &len, reason) != WIRE_GOOD ||
	    !pr_reservation_parse(data, len, &reservation))
		return false;
	*ret_view = (struct view){
		.held = reservation.held,
		.key = reservation.key,
		.type = reservation.type,
		.registrations = keys.count,
		.own = keys.matching,
	};
	return true;
}

bool lun_claim_reserve_open(struct lun_claim_way *way, bool *ret_can, char *reason)
{
	uint8_t data[STATUS_BYTES];
	size_t len;

	switch (pr_in(way, PR_IN_READ_RESERVATION, data, &len, reason)) {
	case WIRE_GOOD:
		*ret_can = true;
		return true;
	case WIRE_UNSUPPORTED:
		*ret_can = false;
		return true;
	default:
		return false;
	}
}

/* By its TransportID, where the LUN has READ FULL STATUS. */
static void name_holder(struct lun_claim_way *way, uint64_t key, char *who, size_t size)
{
	char reason[LUN_REASON_MAX], text[PR_TRANSPORT_ID_TEXT_MAX];
	struct pr_full_status status;
	uint8_t data[STATUS_BYTES];
	size_t len, offset = 0;
	bool bad;

	snprintf(who, size, "whoever has registered the key 0x%" PRIx64, key);
	if (pr_in(way, PR_IN_READ_FULL_STATUS, data, &len, reason) != WIRE_GOOD)
		return;
	while (pr_full_status_next(data, len, &offset, &status, &bad))
		if (status.key == key && status.holder &&
		    pr_transport_id_text(status.transport_id, status.transport_id_len, text))
			snprintf(who, size, "initiator %.120s (key 0x%" PRIx64 ")", text, key);
}

static void tell(struct lun_claim_way *way, const struct view *view,
		 struct lun_claim_owner *ret_owner)
{
	struct lun_claim_owner owner = {0};

	if (view->held && view->type == CLAIM_TYPE) {
		owner.token = view->key;
		name_holder(way, view->key, owner.who, sizeof(owner.who));
	} else if (view->held) {
		owner.foreign = true;
		snprintf(owner.who, sizeof(owner.who), "a reservation of another type (%s)",
			 pr_type_name(view->type));
	} else if (view->registrations > view->own) {
		owner.foreign = true;
		snprintf(owner.who, sizeof(owner.who), "%u registrations of other initiators",
			 view->registrations - view->own);
	}
	*ret_owner = owner;
}

bool lun_claim_reserve_read(struct lun_claim_way *way, struct lun_claim_owner *ret_owner,
			    char *reason)
{
	struct view view;

	if (!look(way, 0, &view, reason))
		return false;
	tell(way, &view, ret_owner);
	return true;
}

static bool is_claimed_by(const struct view *view, uint64_t token)
{
	return view->held && view->type == CLAIM_TYPE && view->key == token;
}

/* Every claim outlives a power loss of the LUN where it can. */
static bool read_ptpl(struct lun_claim_way *way)
{
	char reason[LUN_REASON_MAX];
	struct pr_capabilities capabilities;
	uint8_t data[STATUS_BYTES];
	size_t len;

	return pr_in(way, PR_IN_REPORT_CAPABILITIES, data, &len, reason) == WIRE_GOOD &&
	       pr_capabilities_parse(data, len, &capabilities) && capabilities.ptpl_c;
}

/* Whatever this nexus was registered with. */
static enum lun_claim_result register_token(struct lun_claim_way *way, uint64_t token, char *reason)
{
	switch (pr_out(way, PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY, 0, token, read_ptpl(way),
		       reason)) {
	case WIRE_GOOD:
	case WIRE_UNKNOWN: /* what comes next fails unless it was executed */
		return LUN_CLAIM_DONE;
	case WIRE_CONFLICT:
		snprintf(reason, LUN_REASON_MAX, "the LUN refuses REGISTER: RESERVATION CONFLICT");
		return LUN_CLAIM_FAILED;
	default:
		return LUN_CLAIM_FAILED;
	}
}

/* With abort, where the LUN has it. */
static enum wire preempt(struct lun_claim_way *way, uint64_t token, uint64_t victim, char *reason)
{
	enum wire wire = WIRE_UNSUPPORTED;

	if (way->abort)
		wire = pr_out(way, PR_OUT_PREEMPT_AND_ABORT, token, victim, false, reason);
	return wire == WIRE_UNSUPPORTED ? pr_out(way, PR_OUT_PREEMPT, token, victim, false, reason)
					: wire;
}

enum lun_claim_result lun_claim_reserve_swap(struct lun_claim_way *way, uint64_t from, uint64_t to,
					     struct lun_claim_owner *ret_owner, char *reason)
{
	enum lun_claim_result result;
	struct view view;
	enum wire wire;

	if (!look(way, to, &view, reason))
		return LUN_CLAIM_FAILED;
	if (is_claimed_by(&view, to))
		return LUN_CLAIM_DONE;
	tell(way, &view, ret_owner);
	if (ret_owner->token != from || ret_owner->foreign)
		return LUN_CLAIM_DIFFERS;
	/* Where this nexus holds, that is the swap already. */
	result = register_token(way, to, reason);
	if (result != LUN_CLAIM_DONE)
		return result;
	if (!look(way, to, &view, reason))
		return LUN_CLAIM_UNKNOWN;
	if (is_claimed_by(&view, to))
		return LUN_CLAIM_DONE;
	if (from == 0)
		wire = pr_out(way, PR_OUT_RESERVE, to, 0, false, reason);
	else
		wire = preempt(way, to, from, reason);
	if (!look(way, to, &view, reason))
		return LUN_CLAIM_UNKNOWN;
	if (is_claimed_by(&view, to))
		return LUN_CLAIM_DONE;
	/* Another one was faster: nothing of this host's stays registered. */
	if (pr_out(way, PR_OUT_REGISTER, to, 0, false, reason) == WIRE_UNKNOWN ||
	    wire == WIRE_UNKNOWN)
		return LUN_CLAIM_UNKNOWN;
	tell(way, &view, ret_owner);
	return LUN_CLAIM_DIFFERS;
}

enum lun_claim_result lun_claim_reserve_join(struct lun_claim_way *way, uint64_t token,
					     struct lun_claim_owner *ret_owner, char *reason)
{
	enum lun_claim_result result;
	struct view view;

	if (!look(way, token, &view, reason))
		return LUN_CLAIM_FAILED;
	tell(way, &view, ret_owner);
	if (!is_claimed_by(&view, token))
		return LUN_CLAIM_DIFFERS;
	result = register_token(way, token, reason);
	if (result != LUN_CLAIM_DONE)
		return result;
	/* The claim may have gone between the two: then what is registered here must not stay. */
	if (!look(way, token, &view, reason))
		return LUN_CLAIM_UNKNOWN;
	if (is_claimed_by(&view, token))
		return view.own > 0 ? LUN_CLAIM_DONE : LUN_CLAIM_UNKNOWN;
	pr_out(way, PR_OUT_REGISTER, token, 0, false, reason);
	tell(way, &view, ret_owner);
	return LUN_CLAIM_DIFFERS;
}
