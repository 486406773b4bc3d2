/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of each operation code and service action; scsi-cdb.c adds what other fields of the
 * CDB decide. */
#ifndef PRMIG_SCSI_CDB_TABLE_H
#define PRMIG_SCSI_CDB_TABLE_H

#include "scsi.h"

struct scsi_cdb_row {
	const char *name;
	uint8_t direction; /* enum scsi_direction */
	uint8_t class;	   /* enum scsi_class */
	bool listed;
	uint8_t wait; /* enum scsi_cdb_wait */
};

enum scsi_cdb_wait {
	SCSI_CDB_WAIT_NORMAL,
	SCSI_CDB_WAIT_LONG,  /* may work through much of the medium, or move the LUN */
	SCSI_CDB_WAIT_HOURS, /* works through all of it */
};

/* The ADDITIONAL CDB LENGTH of every 7Fh command that the table knows. */
#define SCSI_CDB_ADDITIONAL_LEN_32 0x18

/* cdb: at least scsi_cdb_length() bytes. Never NULL. */
const struct scsi_cdb_row *scsi_cdb_row(const uint8_t *cdb);

#endif
