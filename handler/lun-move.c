/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-move.h"

#include <stdio.h>

bool lun_moves(struct lun *lun)
{
	return lun->ops->move != NULL && lun->ops->move->offered(lun);
}

bool lun_ticket_fits(struct lun *lun, const char *ticket, char *reason)
{
	if (lun_moves(lun))
		return lun->ops->move->fits(lun, ticket, reason);
	snprintf(
		reason, LUN_REASON_MAX,
		"the nexus leaves its other host whole, and this one's %s LUN cannot take it as it "
		"is set up: give both hosts the same kind of LUN, with the same definition",
		lun->ops->name);
	return false;
}

enum lun_move lun_ticket_look(struct lun *lun, const char *ticket, char *reason)
{
	return lun_moves(lun) && lun->ops->move->look != NULL
		       ? lun->ops->move->look(lun, ticket, reason)
		       : LUN_MOVE_DONE;
}

void lun_stay_away(struct lun *lun, const char *id)
{
	if (lun_moves(lun) && lun->ops->move->stay_away != NULL)
		lun->ops->move->stay_away(lun, id);
}

static enum lun_move cannot_move(const struct lun *lun, char *reason)
{
	snprintf(reason, LUN_REASON_MAX, "a nexus on this %s LUN does not move whole",
		 lun->ops->name);
	return LUN_MOVE_REFUSED;
}

enum lun_move lun_leave(struct lun *lun, const char *id, char *ret_ticket, char *reason)
{
	return lun_moves(lun) ? lun->ops->move->leave(lun, id, ret_ticket, reason)
			      : cannot_move(lun, reason);
}

enum lun_move lun_arrive(struct lun *lun, const char *id, const char *ticket, char *reason)
{
	return lun_moves(lun) ? lun->ops->move->arrive(lun, id, ticket, reason)
			      : cannot_move(lun, reason);
}

enum lun_move lun_come_back(struct lun *lun, const char *id, bool force, char *reason)
{
	return lun_moves(lun) ? lun->ops->move->come_back(lun, id, force, reason)
			      : cannot_move(lun, reason);
}

enum lun_move lun_unleave(struct lun *lun, const char *id, char *reason)
{
	if (lun_moves(lun) && lun->ops->move->unleave != NULL)
		return lun->ops->move->unleave(lun, id, reason);
	return lun_come_back(lun, id, true, reason);
}

enum lun_move lun_hand_back(struct lun *lun, const char *id, bool force, char *reason)
{
	return lun_moves(lun) ? lun->ops->move->hand_back(lun, id, force, reason)
			      : cannot_move(lun, reason);
}

enum lun_move lun_left(struct lun *lun, const char *id, bool force, char *reason)
{
	return lun_moves(lun) ? lun->ops->move->left(lun, id, force, reason)
			      : cannot_move(lun, reason);
}

void lun_tidy(struct lun *lun, const char *id)
{
	if (lun_moves(lun) && lun->ops->move->tidy != NULL)
		lun->ops->move->tidy(lun, id);
}
