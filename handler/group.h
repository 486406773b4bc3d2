/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nexuses that move together, usually those of one VM: one call for all of them, all or nothing as far as the LUNs allow (design section 7,
 * Groups). Knows nexuses by nexus.h alone.
 */
#ifndef PRMIG_GROUP_H
#define PRMIG_GROUP_H

#include <stdbool.h>

#include "nexus.h"

#define GROUP_STATE_MAX 98304 /* 96 KiB with NUL: state lines joined by '+' */

struct group_reply {
	enum nexus_error error;
	char message[NEXUS_MESSAGE_MAX];
	char state[GROUP_STATE_MAX]; /* Export, Prepare */
};

typedef void (*group_done)(void *user, const struct group_reply *reply);

/*
 * Export, Import, Abort, Release, Check or Prepare of every member: those open now with that group, and those whose state on disk says so (one that is not
 * open fails the call, before anything is done). state: Import and Check; copied. options: force, id empty.
 *
 * Export: a member that fails aborts the others, but for those that were exported already. Import: lines and members are matched by LUN designator, several on one LUN in the order of their names; gates
 * open when every member has taken over, or none does, and then the LUNs are left as they are for Abort there and here.
 *
 * done is called once, on a thread of its own. False: no thread could be made, and done is not called.
 */
bool group_call(const char *group, enum nexus_method method, const char *state,
		const struct nexus_options *options, group_done done, void *user);

#endif
