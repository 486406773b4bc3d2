/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving a nexus whole: it leaves the LUN on one host and arrives on another with whatever is registered on it, so that no key is
 * registered, removed or changed. What a backend offers for it, beside what lun.h has; handover-whole*.c decides when.
 *
 * At any moment at most one host has the nexus. Whoever takes it does so by one compare and swap that all hosts see (at the LUN, or
 * in a file beside it), against the ticket: a secret that leave makes, anew each time, and that goes to the destination in the state line.
 *
 *     here --leave--> away --left--> away, for good          away --arrive--> here --hand_back--> away
 *       ^               |                                (the ticket's compare and swap)    (and swapped back)
 *       +---come_back---+
 *
 * A nexus that is away answers what inquires and reads (a QEMU starts on it before the guest arrives), and never
 * changes or takes a reservation. All block, up to some seconds; they are called by one thread, one after the other, beside submit(). Each can
 * be called again, after a kill of the daemon too, and means the same then: what has been done already is DONE.
 * id is the hand-over's; reason: LUN_REASON_MAX bytes, set with every answer but DONE.
 */
#ifndef PRMIG_LUN_MOVE_H
#define PRMIG_LUN_MOVE_H

#include <stdbool.h>

#include "lun.h"
#include "move.h"

struct lun_move_ops {
	/* Whether this LUN's nexus moves whole, as it is set up. Known without I/O, before the first connect too. */
	bool (*offered)(struct lun *lun);
	/* Whether ticket is one that arrive could take here: of this kind, of this nexus. Sends nothing that changes anything. */
	bool (*fits)(struct lun *lun, const char *ticket, char *reason);
	/* Check: what arrive would answer to a ticket that fits, nothing being sent that changes anything. May be NULL: fits has told. */
	enum lun_move (*look)(struct lun *lun, const char *ticket, char *reason);
	/*
	 * Before the first connect: the state on disk says that the nexus is away (incoming, or left by the
	 * hand-over id, or gone with it), and connect must not take it. Without this call it is here. May be NULL: connect takes nothing (lun_hold does).
	 */
	void (*stay_away)(struct lun *lun, const char *id);
	/*
	 * Export: the gate is closed and nothing of the guest's is at the LUN. Again while away: a fresh ticket, unless it has arrived elsewhere
	 * (TAKEN). After DONE no older ticket can arrive. REFUSED from here: the nexus is here and goes on. ret_ticket: LUN_TICKET_MAX bytes.
	 */
	enum lun_move (*leave)(struct lun *lun, const char *id, char *ret_ticket, char *reason);
	/* Import. TAKEN: the source has made a newer ticket or come back, or another host has used this one. Nothing forces it. */
	enum lun_move (*arrive)(struct lun *lun, const char *id, const char *ticket, char *reason);
	/*
	 * Abort at the source; TAKEN where it has arrived elsewhere. With id "": an incoming nexus without a hand-over is to be used here. force: takes
	 * it from a host that is known dead.
	 */
	enum lun_move (*come_back)(struct lun *lun, const char *id, bool force, char *reason);
	/* Nobody has a ticket of this leave, whose outcome is not known, or not on disk. NULL: come_back by force. */
	enum lun_move (*unleave)(struct lun *lun, const char *id, char *reason);
	/* Abort at the destination, whose gate is closed: away again, and the ticket is good again. DONE too where it never arrived here. */
	enum lun_move (*hand_back)(struct lun *lun, const char *id, bool force, char *reason);
	/* Release: it has gone for good. REFUSED: it has not arrived elsewhere, or nothing tells (force: it is known to have). */
	enum lun_move (*left)(struct lun *lun, const char *id, bool force, char *reason);
	/*
	 * The outcome of come_back (the nexus is here) or of left (it is away) is on disk: what stood for that alone goes, as
	 * far as it can be done now. May be NULL.
	 */
	void (*tidy)(struct lun *lun, const char *id);
};

/* The wrappers: what a backend without them answers is false, or REFUSED. */
bool lun_moves(struct lun *lun);
bool lun_ticket_fits(struct lun *lun, const char *ticket, char *reason);
enum lun_move lun_ticket_look(struct lun *lun, const char *ticket, char *reason);
void lun_stay_away(struct lun *lun, const char *id);
enum lun_move lun_leave(struct lun *lun, const char *id, char *ret_ticket, char *reason);
enum lun_move lun_arrive(struct lun *lun, const char *id, const char *ticket, char *reason);
enum lun_move lun_come_back(struct lun *lun, const char *id, bool force, char *reason);
enum lun_move lun_unleave(struct lun *lun, const char *id, char *reason);
enum lun_move lun_hand_back(struct lun *lun, const char *id, bool force, char *reason);
enum lun_move lun_left(struct lun *lun, const char *id, bool force, char *reason);
void lun_tidy(struct lun *lun, const char *id);

#endif
