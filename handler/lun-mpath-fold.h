/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One registrant in place of the paths of a nexus: what PERSISTENT RESERVE IN says, rewritten for the guest. Pure. Each takes
 * parameter data, len bytes, and returns the new length; ADDITIONAL LENGTH agrees. What is not all of it (ADDITIONAL LENGTH says more) or
 * is malformed stays as it is.
 */
#ifndef PRMIG_LUN_MPATH_FOLD_H
#define PRMIG_LUN_MPATH_FOLD_H

#include "pr.h"

/* READ KEYS: drops count of the descriptors with key, but never the last. */
size_t mpath_keys_drop(uint8_t *data, size_t len, uint64_t key, size_t count);

/* A port on the LUN that is the nexus's own. */
struct mpath_port {
	char transport_id
		[PR_TRANSPORT_ID_TEXT_MAX]; /* as pr_transport_id_text has it; empty: not known */
	char beginning[PR_TRANSPORT_ID_TEXT_MAX]; /* what is known of it then; empty: nothing */
	uint16_t relative_target_port;		  /* 0: not known */
};

/*
 * READ FULL STATUS: fills in the TransportIDs and ports that are not known, where there are just as many descriptors with key that
 * could be theirs, and are not of a port that is known, as there are such ports.
 */
void mpath_status_learn(const uint8_t *data, size_t len, uint64_t key, struct mpath_port *ports,
			size_t port_count);

/*
 * READ FULL STATUS: of the descriptors with key whose ports are own ones, one stays: that of ports[0] where it is listed. It is
 * the holder where one of them is. *ret_dropped: how many went.
 */
size_t mpath_status_fold(uint8_t *data, size_t len, uint64_t key, const struct mpath_port *ports,
			 size_t port_count, size_t *ret_dropped);

#endif
