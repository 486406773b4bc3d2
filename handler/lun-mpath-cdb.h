/* SPDX-License-Identifier: Apache-2.0 */
/* Which way a command takes to a multipath map: pure. */
#ifndef PRMIG_LUN_MPATH_CDB_H
#define PRMIG_LUN_MPATH_CDB_H

#include "lun.h"

enum mpath_operation {
	MPATH_PASS, /* by SG_IO on a path */
	MPATH_READ,
	MPATH_WRITE,
	MPATH_FLUSH,
	MPATH_RESERVATION, /* PERSISTENT RESERVE IN and OUT, RESERVE, RELEASE: on the main path */
};

struct mpath_command {
	enum mpath_operation operation;
	uint64_t offset_bytes; /* READ and WRITE */
	bool durable;	       /* WRITE with FUA */
};

/*
 * What the block layer can say as the CDB says it: READ and WRITE of 6, 10, 12 and 16 bytes inside the
 * blocks that the map has, with a data buffer of just that length, aligned to blocks, and no protection
 * information; READ without FUA.
 */
void mpath_command_parse(const struct lun_io *io, uint32_t block_len_bytes, uint64_t blocks,
			 struct mpath_command *ret_command);

/* Whether a command whose outcome is not known may be sent once more on another path. */
bool mpath_command_repeatable(const uint8_t *cdb);

/* What a LUN with several paths cannot offer; 0: nothing, else the ASC/ASCQ of an ILLEGAL REQUEST. */
uint16_t mpath_command_refusal(const uint8_t *cdb);

/* Takes the types 1 and 3 out of REPORT CAPABILITIES, where len reaches them. */
void mpath_capabilities_mask(uint8_t *data, size_t len);

#endif
