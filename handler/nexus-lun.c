/* SPDX-License-Identifier: Apache-2.0 */
/* prmig's own commands to the LUN, on the nexus's own thread. */
#include "nexus-internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define OWN_TIMEOUT_MS 7000
#define BUSY_PAUSE_MS 50
#define STATUS_BYTES 32760 /* READ KEYS and READ FULL STATUS: 4,094 keys */

static void pause_ms(unsigned int ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&pause, NULL);
}

static bool is_unit_attention(const struct lun_result *result, uint16_t *ret_asc_ascq)
{
	uint8_t key;

	return result->status == SCSI_CHECK_CONDITION &&
	       scsi_sense_parse(result->sense, result->sense_len, &key, ret_asc_ascq) &&
	       key == SCSI_UNIT_ATTENTION;
}

void nexus_execute(struct nexus *nexus, const uint8_t *cdb, enum scsi_direction direction,
		   uint8_t *data, size_t len, struct lun_result *ret_result)
{
	for (;;) {
		struct iovec iov = {.iov_base = data, .iov_len = len};
		struct lun_io io = {
			.cdb = cdb,
			.cdb_len = scsi_cdb_length(cdb),
			.direction = direction,
			.iov = len > 0 ? &iov : NULL,
			.iov_cnt = len > 0 ? 1 : 0,
			.data_len = (uint32_t)len,
			.timeout_ms = OWN_TIMEOUT_MS,
		};
		uint16_t asc_ascq;
		bool again = false;

		lun_execute(nexus->lun, &io);
		nexus_watch_result(nexus, &io.result, false);
		if (is_unit_attention(&io.result, &asc_ascq)) {
			if (asc_ascq >> 8 == 0x29) {
				nexus->reset_seen = true;
				nexus->record.scsi2 = false;
			}
			again = true;
		} else if (io.result.status == SCSI_BUSY ||
			   io.result.status == SCSI_TASK_SET_FULL) {
			pause_ms(BUSY_PAUSE_MS);
			again = true;
		}
		if (!again || nexus_now_ms() >= nexus->deadline_ms) {
			*ret_result = io.result;
			return;
		}
	}
}

static void describe(struct nexus *nexus, const char *command, const struct lun_result *result)
{
	uint16_t asc_ascq;
	uint8_t key;

	if (result->unknown)
		snprintf(nexus->lun_error, sizeof(nexus->lun_error),
			 "%s got no answer from the LUN in time or lost its path", command);
	else if (result->status == SCSI_CHECK_CONDITION &&
		 scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq))
		snprintf(nexus->lun_error, sizeof(nexus->lun_error),
			 "the LUN answered %s with CHECK CONDITION, sense key %Xh, ASC %02Xh, ASCQ "
			 "%02Xh",
			 command, key, asc_ascq >> 8, asc_ascq & 0xff);
	else
		snprintf(nexus->lun_error, sizeof(nexus->lun_error),
			 "the LUN answered %s with status %02Xh%s", command, result->status,
			 result->status == SCSI_RESERVATION_CONFLICT ? " RESERVATION CONFLICT"
								     : "");
}

enum handover_wire nexus_wire(const struct lun_result *result)
{
	uint16_t asc_ascq;
	uint8_t key;

	if (result->unknown)
		return HANDOVER_UNKNOWN;
	switch (result->status) {
	case SCSI_GOOD:
		return HANDOVER_GOOD;
	case SCSI_RESERVATION_CONFLICT:
		return HANDOVER_CONFLICT;
	case SCSI_BUSY:
	case SCSI_TASK_SET_FULL:
		return HANDOVER_REFUSED;
	case SCSI_CHECK_CONDITION:
		if (!scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq))
			return HANDOVER_UNKNOWN;
		if (key == SCSI_ILLEGAL_REQUEST || key == SCSI_UNIT_ATTENTION)
			return HANDOVER_REFUSED;
		/* NOT READY above all: LIO answers it to a REGISTER that took effect. */
		return HANDOVER_UNKNOWN;
	default:
		return HANDOVER_UNKNOWN;
	}
}

enum handover_wire nexus_lun_pr_out(void *user, const struct pr_out *out)
{
	struct nexus *nexus = user;
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];
	struct lun_result result;

	pr_out_build(out, cdb, list);
	nexus_execute(nexus, cdb, SCSI_DIR_OUT, list, sizeof(list), &result);
	if (result.status != SCSI_GOOD)
		describe(nexus, pr_out_action_name((uint8_t)out->action), &result);
	return nexus_wire(&result);
}

enum handover_wire nexus_lun_pr_move(void *user, const struct pr_move *move)
{
	struct nexus *nexus = user;
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN + PR_TRANSPORT_ID_MAX];
	size_t len = pr_move_build(move, cdb, list);
	struct lun_result result;

	nexus_execute(nexus, cdb, SCSI_DIR_OUT, list, len, &result);
	if (result.status != SCSI_GOOD)
		describe(nexus, pr_out_action_name(PR_OUT_REGISTER_AND_MOVE), &result);
	return nexus_wire(&result);
}

/* *ret_len: how much came. */
static bool pr_in(struct nexus *nexus, enum pr_in_action action, const char *name, size_t *ret_len)
{
	uint8_t cdb[PR_CDB_LEN];
	struct lun_result result;

	pr_in_build(action, STATUS_BYTES, cdb);
	memset(nexus->scratch, 0, STATUS_BYTES);
	nexus_execute(nexus, cdb, SCSI_DIR_IN, nexus->scratch, STATUS_BYTES, &result);
	if (result.status == SCSI_GOOD && !result.unknown &&
	    result.residual_bytes <= STATUS_BYTES) {
		*ret_len = STATUS_BYTES - result.residual_bytes;
		return true;
	}
	describe(nexus, name, &result);
	return false;
}

static bool malformed(struct nexus *nexus, const char *name, size_t len)
{
	snprintf(nexus->lun_error, sizeof(nexus->lun_error),
		 "the LUN's answer to %s is malformed (%zu bytes)", name, len);
	return false;
}

bool nexus_lun_read_keys(void *user, uint64_t key, struct pr_keys *ret_keys)
{
	struct nexus *nexus = user;
	struct pr_keys keys;
	size_t len;

	if (!pr_in(nexus, PR_IN_READ_KEYS, "READ KEYS", &len))
		return false;
	if (!pr_keys_parse(nexus->scratch, len, key, &keys) || keys.truncated)
		return malformed(nexus, "READ KEYS", len);
	*ret_keys = keys;
	return true;
}

bool nexus_lun_read_reservation(void *user, struct pr_reservation *ret_reservation)
{
	struct nexus *nexus = user;
	size_t len;

	if (!pr_in(nexus, PR_IN_READ_RESERVATION, "READ RESERVATION", &len))
		return false;
	if (!pr_reservation_parse(nexus->scratch, len, ret_reservation))
		return malformed(nexus, "READ RESERVATION", len);
	return true;
}

bool nexus_lun_read_capabilities(void *user, struct pr_capabilities *ret_capabilities)
{
	struct nexus *nexus = user;
	size_t len;

	if (!pr_in(nexus, PR_IN_REPORT_CAPABILITIES, "REPORT CAPABILITIES", &len))
		return false;
	if (!pr_capabilities_parse(nexus->scratch, len, ret_capabilities))
		return malformed(nexus, "REPORT CAPABILITIES", len);
	return true;
}

bool nexus_lun_read_full_status(void *user, uint64_t key, struct handover_registrants *ret)
{
	struct nexus *nexus = user;
	struct pr_full_status status;
	size_t len, offset = 0;
	bool bad = false;

	if (!pr_in(nexus, PR_IN_READ_FULL_STATUS, "READ FULL STATUS", &len) ||
	    !pr_full_status_generation(nexus->scratch, len, &ret->generation))
		return false;
	ret->count = 0;
	while (pr_full_status_next(nexus->scratch, len, &offset, &status, &bad)) {
		if (status.key != key)
			continue;
		if (ret->count < HANDOVER_REGISTRANTS) {
			size_t i = ret->count;

			if (!pr_transport_id_text(status.transport_id, status.transport_id_len,
						  ret->with_key[i].transport_id) ||
			    status.transport_id_len > PR_TRANSPORT_ID_MAX)
				return false;
			memcpy(ret->with_key[i].raw, status.transport_id, status.transport_id_len);
			ret->with_key[i].raw_len = status.transport_id_len;
			ret->with_key[i].relative_target_port = status.relative_target_port;
			ret->with_key[i].holder = status.holder;
		}
		ret->count++;
	}
	/* Which of them is this nexus is not known any more. */
	return !bad && lun_nexus_changes(nexus->lun) == nexus->nexus_changes;
}
