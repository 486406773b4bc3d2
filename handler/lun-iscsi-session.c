/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-iscsi-session.h"

#include <fcntl.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was sent and not acknowledged by the peer's TCP for so long: the connection is dead. */
#define TCP_DEAD_MS 10000
#define TCP_DEAD_S 10
#define FLAT_ADDRESSING 0x4000
#define SENSE_HEADER_LEN 2 /* SenseLength */

_Static_assert(sizeof(struct scsi_iovec) == sizeof(struct iovec), "scsi_iovec and iovec");
_Static_assert(offsetof(struct scsi_iovec, iov_base) == offsetof(struct iovec, iov_base), "base");
_Static_assert(offsetof(struct scsi_iovec, iov_len) == offsetof(struct iovec, iov_len), "len");
_Static_assert(LUN_ISCSI_CDB_MAX == SCSI_CDB_MAX_SIZE, "CDB");

struct lun_iscsi_session {
	struct iscsi_context *iscsi;
	enum lun_iscsi_session_state state;
	int lun; /* as the header of a command has it */
	bool chap;
	bool pinging;
	char portal[LUN_ISCSI_PORTAL_MAX + 1];
	char target[LUN_ISCSI_NAME_MAX + 1];
	char initiator[LUN_ISCSI_NAME_MAX + 1];
	char error[CFGSTRING_REASON_MAX];
};

#define fail(session, ...)                                                                         \
	(snprintf((session)->error, sizeof((session)->error), __VA_ARGS__),                        \
	 (session)->state = LUN_ISCSI_ENDED)

/* ---- login ---- */

/* RFC 7143, 11.13.5: Status-Class and Status-Detail, which libiscsi shows in its text alone. */
enum login_status {
	LOGIN_MOVED_TEMPORARILY = 0x0101,
	LOGIN_MOVED = 0x0102,
	LOGIN_AUTHENTICATION = 0x0201,
	LOGIN_AUTHORIZATION = 0x0202,
	LOGIN_NOT_FOUND = 0x0203,
	LOGIN_UNAVAILABLE = 0x0301, /* LIO's for a name that it does not know, too */
};

static unsigned int login_status(const char *text)
{
	const char *at = strrchr(text, '(');
	unsigned int status;

	return strstr(text, "Status:") != NULL && at != NULL && sscanf(at, "(%u)", &status) == 1
		       ? status
		       : 0;
}

static void login_failed(struct lun_iscsi_session *session)
{
	const char *text = iscsi_get_error(session->iscsi);
	unsigned int status = login_status(text);

	if (status == LOGIN_AUTHENTICATION && session->chap)
		fail(session,
		     "target %.120s at %s refuses the CHAP user or password of %.120s: [chap] must "
		     "have what the target has for this initiator",
		     session->target, session->portal, session->initiator);
	else if (status == LOGIN_AUTHENTICATION)
		fail(session,
		     "target %.120s at %s asks initiator %.120s for CHAP: write [chap] with user "
		     "and password",
		     session->target, session->portal, session->initiator);
	else if (status == LOGIN_AUTHORIZATION)
		fail(session,
		     "target %.120s at %s does not let initiator %.120s in: give it an ACL there, "
		     "or correct initiator=",
		     session->target, session->portal, session->initiator);
	else if (status == LOGIN_NOT_FOUND)
		fail(session,
		     "there is no target %.120s at %s (for initiator %.120s): correct "
		     "target= or portal=",
		     session->target, session->portal, session->initiator);
	else if (status == LOGIN_UNAVAILABLE)
		fail(session,
		     "target %.120s at %s is not there or is not enabled: correct target= or "
		     "portal=, or enable it",
		     session->target, session->portal);
	else if (status == LOGIN_MOVED_TEMPORARILY || status == LOGIN_MOVED)
		fail(session,
		     "target %.120s at %s sends its initiators on to %.79s: write that address as "
		     "portal=",
		     session->target, session->portal, iscsi_get_target_address(session->iscsi));
	else
		fail(session, "the login to target %.120s at %s failed: %.200s", session->target,
		     session->portal,
		     strstr(text, "reconnect") != NULL ? "the target has closed the connection"
						       : text);
}

static void logged_in(struct iscsi_context *iscsi, int status, void *data, void *user)
{
	struct lun_iscsi_session *session = user;

	(void)iscsi;
	(void)data;
	if (status == SCSI_STATUS_GOOD)
		session->state = LUN_ISCSI_LOGGED_IN;
	else
		login_failed(session);
}

/* Without the names of libiscsi's functions. */
static const char *connect_error(struct iscsi_context *iscsi)
{
	const char *text = iscsi_get_error(iscsi), *socket = strstr(text, "socket error ");

	return socket != NULL ? socket + strlen("socket error ") : text;
}

static void connected(struct iscsi_context *iscsi, int status, void *data, void *user)
{
	struct lun_iscsi_session *session = user;

	(void)data;
	if (status != SCSI_STATUS_GOOD)
		fail(session, "portal %s cannot be reached: %.200s", session->portal,
		     connect_error(iscsi));
	else if (iscsi_login_async(iscsi, logged_in, session) != 0)
		fail(session, "the login to target %.120s at %s failed: %.200s", session->target,
		     session->portal, iscsi_get_error(iscsi));
}

static void set_up(struct lun_iscsi_session *session, const struct lun_iscsi_definition *definition,
		   const uint8_t *isid)
{
	struct iscsi_context *iscsi = session->iscsi;

	/* LIBISCSI_DEBUG in the environment would have it write to stderr. */
	iscsi_set_log_level(iscsi, 0);
	iscsi_set_noautoreconnect(iscsi, 1);
	iscsi_set_isid_random(iscsi, (uint32_t)isid[1] << 16 | (uint32_t)isid[2] << 8 | isid[3],
			      (uint32_t)isid[4] << 8 | isid[5]);
	iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_targetname(iscsi, definition->target);
	iscsi_set_header_digest(iscsi, ISCSI_HEADER_DIGEST_NONE_CRC32C);
	iscsi_set_initiator_username_pwd(iscsi, definition->user, definition->password);
	iscsi_set_tcp_user_timeout(iscsi, TCP_DEAD_MS);
	iscsi_set_tcp_keepidle(iscsi, TCP_DEAD_S / 2);
	iscsi_set_tcp_keepintvl(iscsi, 1);
	iscsi_set_tcp_keepcnt(iscsi, TCP_DEAD_S / 2);
}

struct lun_iscsi_session *lun_iscsi_session_open(const struct lun_iscsi_definition *definition,
						 const uint8_t isid[LUN_ISCSI_ISID_LEN],
						 char *reason)
{
	struct lun_iscsi_session *session = calloc(1, sizeof(*session));
	int fd;

	if (session != NULL)
		session->iscsi = iscsi_create_context(definition->initiator);
	if (session == NULL || session->iscsi == NULL) {
		free(session);
		snprintf(reason, CFGSTRING_REASON_MAX, "out of memory");
		return NULL;
	}
	snprintf(session->portal, sizeof(session->portal), "%s", definition->portal);
	snprintf(session->target, sizeof(session->target), "%s", definition->target);
	snprintf(session->initiator, sizeof(session->initiator), "%s", definition->initiator);
	session->lun = definition->lun < 256 ? definition->lun : FLAT_ADDRESSING | definition->lun;
	session->chap = definition->user[0] != '\0';
	set_up(session, definition, isid);
	if (iscsi_connect_async(session->iscsi, definition->portal, connected, session) != 0) {
		snprintf(reason, CFGSTRING_REASON_MAX, "portal %s cannot be reached: %.200s",
			 session->portal, connect_error(session->iscsi));
		lun_iscsi_session_close(session);
		return NULL;
	}
	fd = iscsi_get_fd(session->iscsi);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return session;
}

void lun_iscsi_session_close(struct lun_iscsi_session *session)
{
	if (session == NULL)
		return;
	session->state = LUN_ISCSI_ENDED;
	/* Its callbacks see the end, and leave the commands alone. */
	iscsi_destroy_context(session->iscsi);
	free(session);
}

/* ---- life ---- */

enum lun_iscsi_session_state lun_iscsi_session_state(const struct lun_iscsi_session *session)
{
	return session->state;
}

const char *lun_iscsi_session_error(const struct lun_iscsi_session *session)
{
	return session->error;
}

int lun_iscsi_session_fd(struct lun_iscsi_session *session)
{
	return iscsi_get_fd(session->iscsi);
}

short lun_iscsi_session_events(struct lun_iscsi_session *session)
{
	return (short)iscsi_which_events(session->iscsi);
}

void lun_iscsi_session_service(struct lun_iscsi_session *session, short found)
{
	int result = iscsi_service(session->iscsi, found);

	if (session->state == LUN_ISCSI_ENDED)
		return;
	if (result != 0 && session->state == LUN_ISCSI_CONNECTING)
		login_failed(session);
	else if (result != 0 && session->state == LUN_ISCSI_LOGGED_IN)
		fail(session, "the connection to %s was lost", session->portal);
}

/* ---- commands ---- */

static void command_answered(struct iscsi_context *iscsi, int status, void *data, void *user)
{
	struct lun_iscsi_command *command = user;
	struct scsi_task *task = command->task;

	(void)iscsi;
	(void)data;
	/* More than a byte: libiscsi's own. What the target has rejected it may have begun. */
	if (status < 0 || status > 0xff) {
		if (command->session->state == LUN_ISCSI_LOGGED_IN)
			fail(command->session, "the connection to %s was lost",
			     command->session->portal);
		return;
	}
	command->status = (uint8_t)status;
	command->residual_bytes = 0;
	if (task->residual_status == SCSI_RESIDUAL_UNDERFLOW)
		command->residual_bytes = task->residual < command->data_len
						  ? (uint32_t)task->residual
						  : command->data_len;
	command->sense_len = 0;
	if (status == SCSI_STATUS_CHECK_CONDITION && task->datain.size > SENSE_HEADER_LEN) {
		size_t len = (size_t)task->datain.data[0] << 8 | task->datain.data[1];

		if (len > (size_t)task->datain.size - SENSE_HEADER_LEN)
			len = (size_t)task->datain.size - SENSE_HEADER_LEN;
		if (len > LUN_ISCSI_SENSE_MAX)
			len = LUN_ISCSI_SENSE_MAX;
		command->sense_len = (uint8_t)len;
		memcpy(command->sense, task->datain.data + SENSE_HEADER_LEN, len);
	}
	command->task = NULL;
	scsi_free_scsi_task(task);
	command->done(command);
}

bool lun_iscsi_session_send(struct lun_iscsi_session *session, struct lun_iscsi_command *command)
{
	static const int directions[] = {
		[LUN_ISCSI_NONE] = SCSI_XFER_NONE,
		[LUN_ISCSI_IN] = SCSI_XFER_READ,
		[LUN_ISCSI_OUT] = SCSI_XFER_WRITE,
	};
	struct scsi_iovec *iov = (struct scsi_iovec *)command->iov;
	struct scsi_task *task;

	if (session->state != LUN_ISCSI_LOGGED_IN)
		return false;
	task = scsi_create_task((int)command->cdb_len, (unsigned char *)command->cdb,
				directions[command->transfer], (int)command->data_len);
	if (task == NULL)
		return false;
	if (command->transfer == LUN_ISCSI_IN)
		scsi_task_set_iov_in(task, iov, (int)command->iov_cnt);
	else if (command->transfer == LUN_ISCSI_OUT)
		scsi_task_set_iov_out(task, iov, (int)command->iov_cnt);
	command->session = session;
	command->task = task;
	if (iscsi_scsi_command_async(session->iscsi, session->lun, task, command_answered, NULL,
				     command) == 0)
		return true;
	command->task = NULL;
	scsi_free_scsi_task(task);
	return false;
}

void lun_iscsi_command_drop(struct lun_iscsi_command *command)
{
	if (command->task != NULL)
		scsi_free_scsi_task(command->task);
	command->task = NULL;
}

/* ---- is it still there ---- */

static void ping_answered(struct iscsi_context *iscsi, int status, void *data, void *user)
{
	struct lun_iscsi_session *session = user;

	(void)iscsi;
	(void)data;
	if (status == SCSI_STATUS_GOOD)
		session->pinging = false;
}

bool lun_iscsi_session_ping(struct lun_iscsi_session *session)
{
	/* Behind commands that the target does not take now, it tells nothing. */
	if (session->pinging)
		return iscsi_out_queue_length(session->iscsi) > 0;
	session->pinging = true;
	return iscsi_nop_out_async(session->iscsi, ping_answered, NULL, 0, session) == 0;
}

static void logged_out(struct iscsi_context *iscsi, int status, void *data, void *user)
{
	struct lun_iscsi_session *session = user;

	(void)iscsi;
	(void)data;
	if (session->state != LUN_ISCSI_ENDED && status == SCSI_STATUS_GOOD)
		session->state = LUN_ISCSI_LOGGED_OUT;
}

void lun_iscsi_session_logout(struct lun_iscsi_session *session)
{
	if (iscsi_logout_async(session->iscsi, logged_out, session) != 0)
		fail(session, "the logout failed: %.200s", iscsi_get_error(session->iscsi));
}
