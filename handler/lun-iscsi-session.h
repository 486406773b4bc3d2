/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One iSCSI session by libiscsi: from the connection to its end, which is final (whoever wants another
 * opens one). Knows neither lun.h nor scsi.h, whose names libiscsi has, too. All of a session on one
 * thread, which takes no signal.
 *
 * What libiscsi would do by itself is off: connecting again (it would send commands again whose outcome
 * is not known), following redirections, taking unit attentions.
 */
#ifndef PRMIG_LUN_ISCSI_SESSION_H
#define PRMIG_LUN_ISCSI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lun-iscsi-definition.h"

#define LUN_ISCSI_SENSE_MAX 96
#define LUN_ISCSI_CDB_MAX 16 /* libiscsi's */

struct lun_iscsi_session;
struct scsi_task;

enum lun_iscsi_transfer { LUN_ISCSI_NONE, LUN_ISCSI_IN, LUN_ISCSI_OUT };

/* One command; it and its buffers are the session's until done() or lun_iscsi_session_close. */
struct lun_iscsi_command {
	const uint8_t *cdb;
	size_t cdb_len; /* up to LUN_ISCSI_CDB_MAX */
	enum lun_iscsi_transfer transfer;
	struct iovec *iov; /* libiscsi changes it for the time of a system call */
	size_t iov_cnt;
	uint32_t data_len;
	/* In lun_iscsi_session_service: the target has answered. */
	void (*done)(struct lun_iscsi_command *command);

	uint8_t status;
	uint8_t sense_len;
	uint8_t sense[LUN_ISCSI_SENSE_MAX];
	uint32_t residual_bytes;

	/* The session's. */
	struct lun_iscsi_session *session;
	struct scsi_task *task;
};

enum lun_iscsi_session_state {
	LUN_ISCSI_CONNECTING, /* and logging in */
	LUN_ISCSI_LOGGED_IN,
	LUN_ISCSI_LOGGED_OUT,
	LUN_ISCSI_ENDED, /* lun_iscsi_session_error says why */
};

/* Begins to connect and log in; never waits. NULL: reason (CFGSTRING_REASON_MAX bytes). */
struct lun_iscsi_session *lun_iscsi_session_open(const struct lun_iscsi_definition *definition,
						 const uint8_t isid[LUN_ISCSI_ISID_LEN],
						 char *reason);
/*
 * Ends it at once, without a logout: commands that were not answered never will be, and done() is not
 * called; each of them is to be given to lun_iscsi_command_drop afterwards. NULL is taken.
 */
void lun_iscsi_session_close(struct lun_iscsi_session *session);
void lun_iscsi_command_drop(struct lun_iscsi_command *command);

enum lun_iscsi_session_state lun_iscsi_session_state(const struct lun_iscsi_session *session);
/* For people: why it ended, or was never there. Never shows the password. */
const char *lun_iscsi_session_error(const struct lun_iscsi_session *session);

/* What to poll for; afterwards, and at least once a second, service with what was found. */
int lun_iscsi_session_fd(struct lun_iscsi_session *session);
short lun_iscsi_session_events(struct lun_iscsi_session *session);
void lun_iscsi_session_service(struct lun_iscsi_session *session, short found);

/* False: not sent (no memory, or the session has ended). */
bool lun_iscsi_session_send(struct lun_iscsi_session *session, struct lun_iscsi_command *command);

/*
 * A NOP-Out, to see whether the target still answers. False: it has not answered the one before, or the
 * session has ended.
 */
bool lun_iscsi_session_ping(struct lun_iscsi_session *session);

/* LUN_ISCSI_LOGGED_OUT follows, or the end. */
void lun_iscsi_session_logout(struct lun_iscsi_session *session);

#endif
