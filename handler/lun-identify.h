/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which logical unit is at the end of a way to one: INQUIRY, VPD 83h, READ CAPACITY. For the
 * backends; how a command gets there is theirs.
 */
#ifndef PRMIG_LUN_IDENTIFY_H
#define PRMIG_LUN_IDENTIFY_H

#include "lun.h"

struct lun_way {
	/* Sends io and waits; io->done is not called. */
	void (*execute)(void *user, struct lun_io *io);
	void *user;
	const char *node; /* for people: what answers */
	/* What somebody has learnt earlier; 0: not known. */
	uint64_t size_bytes;
	uint32_t block_len_bytes;
	bool capacity_may_wait; /* a reservation that keeps it back leaves blocks 0 */
};

/*
 * INQUIRY alone (which no reservation and no unit attention touches): a disk, and its designator.
 * designator: SCSI_DESIGNATOR_MAX bytes. False: reason (LUN_REASON_MAX), and whether it may just not
 * be there now.
 */
bool lun_identify(const struct lun_way *way, char *ret_designator, bool *ret_missing, char *reason);
/* identify, and the capacity; fills all of ret_identity but device and max_transfer_bytes. */
bool lun_identify_fully(const struct lun_way *way, struct lun_identity *ret_identity,
			bool *ret_missing, char *reason);
/* The relative target port identifier of this way; 0: the LUN does not tell (now). */
uint16_t lun_identify_target_port(const struct lun_way *way);

#endif
