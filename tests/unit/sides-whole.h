/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A nexus that moves whole, for the hosts of sides.h: one nexus of the fake LUN that both sides can log in as (the later login ends the
 * earlier session), one for each that only looks, and the marker's (move-marker.h), as the iscsi backend has them.
 */
#ifndef PRMIG_TEST_SIDES_WHOLE_H
#define PRMIG_TEST_SIDES_WHOLE_H

#include "unit/sides.h"

#define WHOLE_MARKER 15
#define WHOLE_LOOKS 14 /* and 13 */

struct whole_target {
	bool forgets;	      /* registrations end with their session */
	struct side *session; /* who is logged in as the nexus that moves; NULL: nobody */
	unsigned int stolen;  /* a login has ended another side's session */
};
extern struct whole_target whole_target;

/* side's nexus moves whole. away: it waits for its Import. */
void side_make_whole(struct side *side, bool away);
/* After a start: as the record says. */
void side_whole_restart(struct side *side);
/* The nexus by which side's own commands go now. */
unsigned int side_nexus(const struct side *side);
/* A command of side's that only the nexus itself may send. */
void side_whole_sends_pr_out(struct side *side);

bool side_whole_moves(void *user);
bool side_whole_ticket_fits(void *user, const char *ticket);
enum lun_move side_whole_look(void *user, const char *ticket);
enum lun_move side_whole_leave(void *user, const char *id, char *ret_ticket);
enum lun_move side_whole_arrive(void *user, const char *id, const char *ticket);
enum lun_move side_whole_come_back(void *user, const char *id, bool force);
enum lun_move side_whole_unleave(void *user, const char *id);
enum lun_move side_whole_hand_back(void *user, const char *id, bool force);
enum lun_move side_whole_left(void *user, const char *id, bool force);
void side_whole_tidy(void *user, const char *id);

#endif
