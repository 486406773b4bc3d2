/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To leave is done once for all nexuses of an emulated LUN that are inside, when each of them has been asked for it. The members of a group are
 * asked at the same time, on a thread each; the last that comes does it for all. For lun-emulate*.c.
 */
#ifndef PRMIG_LUN_EMULATE_LEAVE_H
#define PRMIG_LUN_EMULATE_LEAVE_H

#include "lun-emulate-internal.h"

/*
 * act is called under change_lock, with nothing unfinished, for whoever came last. REFUSED, with reason: another nexus of the LUN is in no
 * group with this one, or was not asked in time. id: this nexus's hand-over.
 */
enum lun_move emulate_leave(struct lun_emulate *instance, const char *id,
			    enum lun_move (*act)(struct emulation *emulation,
						 struct lun_emulate *instance, char *reason),
			    char *reason);
/* In act: those that leave become the movers of registry. False: too many. */
bool emulate_leave_add_movers(struct emulation *emulation, struct registry *registry);

#endif
