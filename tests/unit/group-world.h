/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nexus.h over sides, for the group's own code: one host at a time, whose nexuses are sides, and each call is answered before it
 * returns. A side that dies in a call takes the call with it.
 */
#ifndef PRMIG_TEST_GROUP_WORLD_H
#define PRMIG_TEST_GROUP_WORLD_H

#include "group.h"
#include "unit/sides.h"

#define GROUP_WORLD_SIDES 4

struct group_host {
	struct side *sides[GROUP_WORLD_SIDES];
	size_t count;
	char destination[GROUP_STATE_MAX]; /* what Export is told; "": nothing */
	char message[NEXUS_MESSAGE_MAX];   /* of the last call */
};

/* A call of the group of all nexuses of that host. state: what goes in, or (Export, Prepare) where what comes out is put. */
enum nexus_error group_host_call(struct group_host *host, enum nexus_method method, char *state,
				 bool force);

void group_host_set_destination(struct group_host *host, const char *destination);

#endif
