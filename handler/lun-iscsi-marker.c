/* SPDX-License-Identifier: Apache-2.0 */
/* The session by which the iscsi backend asks for the marker, and changes it. */
#include "lun-iscsi-marker.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "pr.h"

_Static_assert(LUN_REASON_MAX <= MOVE_MARKER_REASON_MAX, "one reason for both");

#define MARKER_MS 5000
#define LOGOUT_MS 1000
#define CAPABILITIES_BYTES 8

/* ---- the marker's session ---- */

static void marker_serve(struct lun_iscsi_marker *marker)
{
	struct pollfd fd = {.fd = lun_iscsi_session_fd(marker->session),
			    .events = lun_iscsi_session_events(marker->session)};

	if (poll(&fd, 1, 100) < 0)
		fd.revents = 0;
	lun_iscsi_session_service(marker->session, fd.revents);
}

static bool marker_in_time(const struct lun_iscsi_marker *marker)
{
	return lun_iscsi_now_ms() < marker->until_ms;
}

static void marker_close(struct lun_iscsi_marker *marker)
{
	lun_iscsi_session_close(marker->session);
	marker->session = NULL;
}

void lun_iscsi_marker_log_out(struct lun_iscsi_marker *marker)
{
	uint64_t until_ms = lun_iscsi_now_ms() + LOGOUT_MS;

	if (marker->session == NULL)
		return;
	if (lun_iscsi_session_state(marker->session) == LUN_ISCSI_LOGGED_IN)
		lun_iscsi_session_logout(marker->session);
	while (lun_iscsi_session_state(marker->session) == LUN_ISCSI_LOGGED_IN &&
	       lun_iscsi_now_ms() < until_ms)
		marker_serve(marker);
	marker_close(marker);
}

static bool marker_log_in(struct lun_iscsi_marker *marker)
{
	struct lun_iscsi_definition definition;
	uint8_t isid[LUN_ISCSI_ISID_LEN];

	if (marker->session != NULL &&
	    lun_iscsi_session_state(marker->session) == LUN_ISCSI_LOGGED_IN)
		return true;
	marker_close(marker);
	pthread_mutex_lock(&marker->iscsi->lock);
	definition = marker->iscsi->definition;
	pthread_mutex_unlock(&marker->iscsi->lock);
	lun_iscsi_definition_marker_isid(&definition, isid);
	memcpy(definition.initiator, definition.move, sizeof(definition.initiator));
	marker->session = lun_iscsi_session_open(&definition, isid, marker->error);
	explicit_bzero(&definition, sizeof(definition));
	if (marker->session == NULL)
		return false;
	while (lun_iscsi_session_state(marker->session) == LUN_ISCSI_CONNECTING &&
	       marker_in_time(marker))
		marker_serve(marker);
	if (lun_iscsi_session_state(marker->session) == LUN_ISCSI_LOGGED_IN)
		return true;
	snprintf(marker->error, sizeof(marker->error), "%s",
		 lun_iscsi_session_state(marker->session) == LUN_ISCSI_CONNECTING
			 ? "the portal does not answer in time"
			 : lun_iscsi_session_error(marker->session));
	marker_close(marker);
	return false;
}

struct marker_command {
	struct lun_iscsi_command command; /* first */
	bool answered;
};

static void marker_answered(struct lun_iscsi_command *command)
{
	((struct marker_command *)command)->answered = true;
}

/* False: no answer, and no session any more. */
static bool marker_send(struct lun_iscsi_marker *marker, const uint8_t *cdb,
			enum lun_iscsi_transfer transfer, void *data, uint32_t len,
			struct marker_command *ret)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};

	*ret = (struct marker_command){
		.command = {.cdb = cdb,
			    .cdb_len = PR_CDB_LEN,
			    .transfer = transfer,
			    .iov = &iov,
			    .iov_cnt = 1,
			    .data_len = len,
			    .done = marker_answered},
	};
	if (!marker_log_in(marker))
		return false;
	if (lun_iscsi_session_send(marker->session, &ret->command))
		while (!ret->answered && marker_in_time(marker) &&
		       lun_iscsi_session_state(marker->session) == LUN_ISCSI_LOGGED_IN)
			marker_serve(marker);
	ret->command.iov = NULL;
	if (ret->answered)
		return true;
	marker_close(marker);
	lun_iscsi_command_drop(&ret->command);
	snprintf(marker->error, sizeof(marker->error),
		 "the target does not answer PERSISTENT RESERVE, or ends the session");
	return false;
}

/* Past unit attentions, which are of this nexus alone, and BUSY. *ret_key, *ret_asc: of a CHECK CONDITION. */
static bool marker_execute(struct lun_iscsi_marker *marker, const uint8_t *cdb,
			   enum lun_iscsi_transfer transfer, void *data, uint32_t len,
			   struct marker_command *ret, uint8_t *ret_key)
{
	for (;;) {
		uint16_t asc_ascq = 0;

		*ret_key = SCSI_NO_SENSE;
		if (!marker_send(marker, cdb, transfer, data, len, ret))
			return false;
		if (ret->command.status == SCSI_CHECK_CONDITION &&
		    !scsi_sense_parse(ret->command.sense, ret->command.sense_len, ret_key,
				      &asc_ascq))
			*ret_key = SCSI_HARDWARE_ERROR;
		if (*ret_key != SCSI_UNIT_ATTENTION && ret->command.status != SCSI_BUSY &&
		    ret->command.status != SCSI_TASK_SET_FULL) {
			snprintf(marker->error, sizeof(marker->error),
				 "PERSISTENT RESERVE is answered with status %02Xh, sense key %Xh, "
				 "ASC and ASCQ %04Xh",
				 ret->command.status, *ret_key, asc_ascq);
			return true;
		}
		if (!marker_in_time(marker)) {
			snprintf(marker->error, sizeof(marker->error),
				 "the target answers BUSY all the time");
			return false;
		}
	}
}

static bool marker_in(struct lun_iscsi_marker *marker, enum pr_in_action action, uint8_t *data,
		      size_t size, size_t *ret_len)
{
	struct marker_command own;
	uint8_t cdb[PR_CDB_LEN], key;

	pr_in_build(action, (uint16_t)size, cdb);
	memset(data, 0, size);
	if (!marker_execute(marker, cdb, LUN_ISCSI_IN, data, (uint32_t)size, &own, &key) ||
	    own.command.status != SCSI_GOOD || own.command.residual_bytes > size)
		return false;
	*ret_len = size - own.command.residual_bytes;
	return true;
}

static enum move_marker_wire marker_out(struct lun_iscsi_marker *marker, struct pr_out *out)
{
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN], data[CAPABILITIES_BYTES], key;
	struct pr_capabilities capabilities;
	struct marker_command own;
	size_t len;

	/* The last REGISTER decides for the whole LUN. */
	if (!marker_in(marker, PR_IN_REPORT_CAPABILITIES, data, sizeof(data), &len) ||
	    !pr_capabilities_parse(data, len, &capabilities))
		return MOVE_MARKER_LOST;
	out->aptpl = out->action != PR_OUT_PREEMPT && capabilities.ptpl_a;
	pr_out_build(out, cdb, list);
	if (!marker_execute(marker, cdb, LUN_ISCSI_OUT, list, sizeof(list), &own, &key))
		return MOVE_MARKER_LOST;
	switch (own.command.status) {
	case SCSI_GOOD:
		return MOVE_MARKER_GOOD;
	case SCSI_RESERVATION_CONFLICT:
		return MOVE_MARKER_CONFLICT;
	default:
		return key == SCSI_ILLEGAL_REQUEST ? MOVE_MARKER_REFUSED : MOVE_MARKER_DOUBTFUL;
	}
}

/* ---- as move-marker.h asks for it ---- */

static enum move_marker_wire op_put(void *user, uint64_t key, uint64_t new_key, bool ignore)
{
	struct pr_out out = {
		.action = ignore ? PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY : PR_OUT_REGISTER,
		.key = key,
		.new_key = new_key,
		.list_len = PR_OUT_LIST_LEN,
	};

	return marker_out(user, &out);
}

static enum move_marker_wire op_preempt(void *user, uint64_t key, uint64_t other)
{
	struct pr_out out = {
		.action = PR_OUT_PREEMPT,
		.type = PR_TYPE_WRITE_EXCLUSIVE,
		.key = key,
		.new_key = other,
		.list_len = PR_OUT_LIST_LEN,
	};

	return marker_out(user, &out);
}

static bool op_read_keys(void *user, uint8_t *data, size_t size, size_t *ret_len)
{
	return marker_in(user, PR_IN_READ_KEYS, data, size, ret_len);
}

static bool op_log_in_again(void *user)
{
	struct lun_iscsi_marker *marker = user;

	lun_iscsi_marker_log_out(marker);
	return marker_log_in(marker);
}

static const char *op_error(void *user)
{
	return ((struct lun_iscsi_marker *)user)->error;
}

const struct move_marker_ops lun_iscsi_marker_ops = {
	.put = op_put,
	.preempt = op_preempt,
	.read_keys = op_read_keys,
	.log_in_again = op_log_in_again,
	.error = op_error,
};

struct lun_iscsi_marker lun_iscsi_marker(struct lun_iscsi *iscsi)
{
	return (struct lun_iscsi_marker){.iscsi = iscsi,
					 .until_ms = lun_iscsi_now_ms() + MARKER_MS};
}
