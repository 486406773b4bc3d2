/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The iscsi backend's nexus moves whole (move= in its definition): it leaves with a logout and arrives with a login of the same initiator
 * name and ISID, on a target that keeps registrations beyond the session. While it is away another session looks at the LUN for
 * whoever inquires and reads: by the name that move= gives, with an ISID made up for it. The marker (move-marker.h) has that name too, and an ISID
 * that is the same on every host; its session lives for one call, on the caller's thread. A name of its own, since LIO
 * has one flag "registered" and one queue of unit attentions for all sessions of a name: a marker that unregisters under the guest's name takes
 * the guest's rights with it (seen with kernel 6.1, type 5).
 */
#include "lun-iscsi-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "move-marker.h"
#include "paths.h"
#include "pr.h"

_Static_assert(LUN_REASON_MAX <= MOVE_MARKER_REASON_MAX, "one reason for both");

#define MARKER_MS 5000
#define LOGOUT_MS 1000
#define TICKET_FORM "iscsi.%12[0-9a-f].%16[0-9a-f]"
#define CAPABILITIES_BYTES 8

struct marker {
	struct lun_iscsi *iscsi;
	struct lun_iscsi_session *session; /* NULL: none */
	uint64_t until_ms;
	char error[LUN_REASON_MAX];
};

/* ---- the marker's session ---- */

static void marker_serve(struct marker *marker)
{
	struct pollfd fd = {.fd = lun_iscsi_session_fd(marker->session),
			    .events = lun_iscsi_session_events(marker->session)};

	if (poll(&fd, 1, 100) < 0)
		fd.revents = 0;
	lun_iscsi_session_service(marker->session, fd.revents);
}

static bool marker_in_time(const struct marker *marker)
{
	return lun_iscsi_now_ms() < marker->until_ms;
}

static void marker_close(struct marker *marker)
{
	lun_iscsi_session_close(marker->session);
	marker->session = NULL;
}

static void marker_log_out(struct marker *marker)
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

static bool marker_log_in(struct marker *marker)
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
static bool marker_send(struct marker *marker, const uint8_t *cdb, enum lun_iscsi_transfer transfer,
			void *data, uint32_t len, struct marker_command *ret)
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
static bool marker_execute(struct marker *marker, const uint8_t *cdb,
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

static bool marker_in(struct marker *marker, enum pr_in_action action, uint8_t *data, size_t size,
		      size_t *ret_len)
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

static enum move_marker_wire marker_out(struct marker *marker, struct pr_out *out)
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
	struct marker *marker = user;

	marker_log_out(marker);
	return marker_log_in(marker);
}

static const char *op_error(void *user)
{
	return ((struct marker *)user)->error;
}

static const struct move_marker_ops marker_ops = {
	.put = op_put,
	.preempt = op_preempt,
	.read_keys = op_read_keys,
	.log_in_again = op_log_in_again,
	.error = op_error,
};

static struct marker marker_of(struct lun_iscsi *iscsi)
{
	return (struct marker){.iscsi = iscsi, .until_ms = lun_iscsi_now_ms() + MARKER_MS};
}

/* ---- who and where ---- */

static struct lun_iscsi *to_iscsi(struct lun *lun)
{
	return (struct lun_iscsi *)lun;
}

/* This host and LUN, among the hosts that one line may reach. */
static uint32_t host_number(const struct lun_iscsi *iscsi)
{
	uint32_t hash = 0x811c9dc5;
	char text[256];

	if (!paths_read_attribute(text, sizeof(text), "/etc/machine-id") &&
	    gethostname(text, sizeof(text)) != 0)
		text[0] = '\0';
	text[sizeof(text) - 1] = '\0';
	for (const char *at = text; *at != '\0'; at++)
		hash = (hash ^ (uint8_t)*at) * 0x01000193;
	for (const char *at = iscsi->name; *at != '\0'; at++)
		hash = (hash ^ (uint8_t)*at) * 0x01000193;
	return hash ^ hash >> 20;
}

static void isid_text(struct lun_iscsi *iscsi, char ret[2 * LUN_ISCSI_ISID_LEN + 1])
{
	uint8_t isid[LUN_ISCSI_ISID_LEN];

	pthread_mutex_lock(&iscsi->lock);
	lun_iscsi_definition_marker_isid(&iscsi->definition, isid);
	pthread_mutex_unlock(&iscsi->lock);
	for (unsigned int i = 0; i < LUN_ISCSI_ISID_LEN; i++)
		snprintf(ret + 2 * (size_t)i, 3, "%02x", isid[i]);
}

/* False: it is none of this backend's. */
static bool ticket_parse(const char *ticket, char ret_isid[2 * LUN_ISCSI_ISID_LEN + 1],
			 uint64_t *ret_key)
{
	char key[17] = "";

	if (strlen(ticket) != 6 + 12 + 1 + 16 || sscanf(ticket, TICKET_FORM, ret_isid, key) != 2 ||
	    strlen(key) != 16)
		return false;
	*ret_key = strtoull(key, NULL, 16);
	return true;
}

static bool is_away(struct lun_iscsi *iscsi)
{
	bool away;

	pthread_mutex_lock(&iscsi->lock);
	away = iscsi->away;
	pthread_mutex_unlock(&iscsi->lock);
	return away;
}

/* ---- struct lun_move_ops ---- */

static bool iscsi_offered(struct lun *lun)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct lun_iscsi_definition definition;
	char reason[LUN_REASON_MAX];
	bool known, move;

	pthread_mutex_lock(&iscsi->lock);
	known = iscsi->definition.target[0] != '\0';
	move = iscsi->definition.move[0] != '\0';
	pthread_mutex_unlock(&iscsi->lock);
	if (known)
		return move;
	if (!lun_iscsi_read_definition(iscsi->name, &definition, reason))
		return false;
	explicit_bzero(definition.password, sizeof(definition.password));
	return definition.move[0] != '\0';
}

static bool iscsi_fits(struct lun *lun, const char *ticket, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	char isid[2 * LUN_ISCSI_ISID_LEN + 1] = "", own[2 * LUN_ISCSI_ISID_LEN + 1];
	uint64_t key;

	isid_text(iscsi, own);
	if (!ticket_parse(ticket, isid, &key))
		snprintf(reason, LUN_REASON_MAX,
			 "it is of another kind of LUN than %s.conf describes", iscsi->name);
	else if (strcmp(isid, own) != 0)
		snprintf(reason, LUN_REASON_MAX,
			 "initiator, target, lun or move in %s.conf are not what they are on the "
			 "host "
			 "that "
			 "it comes from: give both the same definition",
			 iscsi->name);
	else
		return true;
	return false;
}

static enum lun_move iscsi_look(struct lun *lun, const char *ticket, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct marker marker = marker_of(iscsi);
	char isid[2 * LUN_ISCSI_ISID_LEN + 1];
	enum lun_move result;
	uint64_t key = 0;

	ticket_parse(ticket, isid, &key);
	result = move_marker_look(&marker_ops, &marker, key, host_number(iscsi), reason);
	marker_log_out(&marker);
	return result;
}

static void iscsi_stay_away(struct lun *lun, const char *id)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);

	(void)id;
	pthread_mutex_lock(&iscsi->lock);
	iscsi->away = true;
	pthread_mutex_unlock(&iscsi->lock);
}

static enum lun_move iscsi_leave(struct lun *lun, const char *id, char *ret_ticket, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct marker marker = marker_of(iscsi);
	char isid[2 * LUN_ISCSI_ISID_LEN + 1], why[LUN_REASON_MAX];
	uint64_t key;
	uint32_t nonce = (uint32_t)lun_iscsi_now_ms();
	enum lun_move result =
		move_marker_leave(&marker_ops, &marker, id, !is_away(iscsi), nonce, &key, reason);

	marker_log_out(&marker);
	if (result != LUN_MOVE_DONE)
		return result;
	/* Whether the session that looks is there already is of no importance: the nexus has gone. */
	lun_iscsi_place(iscsi, true, why);
	isid_text(iscsi, isid);
	snprintf(ret_ticket, LUN_TICKET_MAX, "iscsi.%s.%016" PRIx64, isid, key);
	return LUN_MOVE_DONE;
}

/* The nexus is this host's. UNKNOWN: it cannot log in now, and does so when it can. */
static enum lun_move take(struct lun_iscsi *iscsi, char *reason)
{
	return lun_iscsi_place(iscsi, false, reason) ? LUN_MOVE_DONE : LUN_MOVE_UNKNOWN;
}

static enum lun_move iscsi_arrive(struct lun *lun, const char *id, const char *ticket, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct marker marker = marker_of(iscsi);
	char isid[2 * LUN_ISCSI_ISID_LEN + 1];
	enum lun_move result;
	uint64_t key = 0;

	(void)id;
	ticket_parse(ticket, isid, &key);
	result = move_marker_arrive(&marker_ops, &marker, key, host_number(iscsi), reason);
	marker_log_out(&marker);
	return result == LUN_MOVE_DONE ? take(iscsi, reason) : result;
}

static enum lun_move iscsi_come_back(struct lun *lun, const char *id, bool force, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct marker marker = marker_of(iscsi);
	enum lun_move result;

	if (!is_away(iscsi))
		return LUN_MOVE_DONE;
	if (id[0] == '\0') {
		if (force)
			return take(iscsi, reason);
		snprintf(reason, LUN_REASON_MAX,
			 "a login with the definition's initiator name would end the session of "
			 "another host that uses the same nexus now");
		return LUN_MOVE_REFUSED;
	}
	result = move_marker_come_back(&marker_ops, &marker, id, force, reason);
	marker_log_out(&marker);
	return result == LUN_MOVE_DONE ? take(iscsi, reason) : result;
}

static enum lun_move iscsi_hand_back(struct lun *lun, const char *id, bool force, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct marker marker = marker_of(iscsi);
	char why[LUN_REASON_MAX];
	enum lun_move result;

	(void)force;
	/* Out of the way before anybody may come. */
	lun_iscsi_place(iscsi, true, why);
	result = move_marker_hand_back(&marker_ops, &marker, id, host_number(iscsi), reason);
	marker_log_out(&marker);
	return result;
}

static enum lun_move iscsi_left(struct lun *lun, const char *id, bool force, char *reason)
{
	struct marker marker = marker_of(to_iscsi(lun));
	enum lun_move result = move_marker_left(&marker_ops, &marker, id, force, reason);

	marker_log_out(&marker);
	return result;
}

static void iscsi_tidy(struct lun *lun, const char *id)
{
	struct marker marker = marker_of(to_iscsi(lun));

	move_marker_tidy(&marker_ops, &marker, id);
	marker_log_out(&marker);
}

const struct lun_move_ops lun_iscsi_move = {
	.offered = iscsi_offered,
	.fits = iscsi_fits,
	.look = iscsi_look,
	.stay_away = iscsi_stay_away,
	.leave = iscsi_leave,
	.arrive = iscsi_arrive,
	.come_back = iscsi_come_back,
	.hand_back = iscsi_hand_back,
	.left = iscsi_left,
	.tidy = iscsi_tidy,
};
