/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the iscsi backend's engine share; for lun-iscsi*.c alone.
 *
 * A LUN has one thread, which alone touches the session. A connection that is lost is made again by that
 * thread with the same initiator name and ISID (RFC 7143, 6.3.5: the target ends what was left of the old
 * session before the login succeeds); what was at the LUN then is sent once more where that makes no
 * difference, and is answered as of unknown outcome where it may. Nothing of the guest is sent on a new
 * session before it is known to reach the same LUN.
 */
#ifndef PRMIG_LUN_ISCSI_INTERNAL_H
#define PRMIG_LUN_ISCSI_INTERNAL_H

#include <pthread.h>

#include "lun-move.h"
#include "lun-iscsi-session.h"
#include "lun-iscsi.h"

#define LUN_ISCSI_DEPTH 128 /* commands that libiscsi has at a time */

enum lun_iscsi_link {
	LUN_ISCSI_GONE,	      /* no session, and nobody is making one: NOT READY */
	LUN_ISCSI_RECOVERING, /* lost: commands wait for the session to be made again */
	LUN_ISCSI_UP,
};

struct lun_iscsi_slot {
	struct lun_iscsi_command command; /* first: its done() finds the slot by it */
	struct lun_iscsi *owner;
	struct lun_io *io; /* NULL: free */
};

struct lun_iscsi_queue {
	struct lun_io *first, *last;
};

struct lun_iscsi {
	struct lun lun;			   /* first */
	char name[CFGSTRING_NAME_MAX + 1]; /* the definition's */
	char nexus[CFGSTRING_NAME_MAX + 1];
	bool probe; /* just to look: a nexus that nobody else has */
	pthread_t thread;
	int wake; /* eventfd */

	/* Under the lock of all claims (lun-iscsi.c). */
	struct lun_iscsi *next_claim;
	struct lun_iscsi_definition claim; /* without its password; target empty: none */

	pthread_mutex_t lock; /* of what follows; a leaf, never held over I/O or done() */
	pthread_cond_t concluded;
	struct lun_iscsi_queue submitted;
	bool stopping;
	enum lun_iscsi_link link;
	bool renewed; /* made again since the last lun_connect */
	struct lun_iscsi_definition definition;
	bool away;	   /* the nexus is not this host's: the session is one that looks */
	bool place_wanted; /* until away is what place_away says */
	bool place_away;
	bool place_good;
	bool connect_wanted; /* until the outcome is below */
	bool connect_good;
	bool missing;
	char reason[LUN_REASON_MAX];
	struct lun_identity identity;

	/* The thread's own. */
	struct lun_iscsi_session *session; /* NULL: none */
	struct lun_iscsi_slot slots[LUN_ISCSI_DEPTH];
	unsigned int busy;		/* slots */
	struct lun_iscsi_queue waiting; /* to be sent */
	struct lun_iscsi_queue lost;	/* were sent, and must not be again */
	uint64_t recover_until_ms;
	uint64_t retry_ms;
	uint64_t logged_in_ms;
	uint64_t pinged_ms;
	uint32_t block_len_bytes;	      /* when the LUN last told */
	uint64_t size_bytes;		      /* likewise */
	char designator[SCSI_DESIGNATOR_MAX]; /* of the first connect; empty: none yet */
};

uint64_t lun_iscsi_now_ms(void);
/*
 * lun-iscsi.c: the nexus is to be here, or away: ends the session that there is and logs in with the other. Away: when this returns no session of
 * the nexus is left, whether or not the other login succeeded (false).
 */
bool lun_iscsi_place(struct lun_iscsi *iscsi, bool away, char *reason);
/* lun-iscsi-move.c */
extern const struct lun_move_ops lun_iscsi_move;
void *lun_iscsi_run(void *lun_iscsi);
bool lun_iscsi_stopping(struct lun_iscsi *iscsi);

/* lun-iscsi-queue.c: commands between the caller and the session. */
void lun_iscsi_queue_put(struct lun_iscsi_queue *queue, struct lun_io *io);
struct lun_io *lun_iscsi_queue_take(struct lun_iscsi_queue *queue);
/* Sends what waits, as far as slots go. */
void lun_iscsi_send_waiting(struct lun_iscsi *iscsi);
/* The session has been closed: what it had waits again, or is lost. */
void lun_iscsi_take_back(struct lun_iscsi *iscsi);
/* Answers those whose time is up; whether one of them is at the LUN, which ends the session. */
bool lun_iscsi_expire(struct lun_iscsi *iscsi);
/* Recovered: the outcome of those that are lost is unknown. */
void lun_iscsi_answer_lost(struct lun_iscsi *iscsi);
/* There is no way to the LUN: NOT READY to all. */
void lun_iscsi_answer_not_ready(struct lun_iscsi *iscsi);

/* lun-iscsi-login.c: sessions made and identified; waits, and serves meanwhile. */
/* Waits for the session or a wake-up, up to until_ms and never longer than half a second, and serves. */
void lun_iscsi_serve(struct lun_iscsi *iscsi, uint64_t until_ms);
/* fully: with what lun_identity tells beside the designator; else that is as it was. */
bool lun_iscsi_log_in(struct lun_iscsi *iscsi, bool fully, struct lun_identity *ret_identity,
		      bool *ret_missing, char *reason);
/* Over the session that there is; where it does not answer the session is closed. */
bool lun_iscsi_identify(struct lun_iscsi *iscsi, bool fully, struct lun_identity *ret_identity,
			bool *ret_missing, char *reason);
void lun_iscsi_log_out(struct lun_iscsi *iscsi);

#endif
