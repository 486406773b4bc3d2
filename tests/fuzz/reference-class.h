/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a command stands to reservations, once more and apart from the handler's own table: written from
 * the list of operation codes in SPC-4 table 65 and SBC-4 table 13.
 */
#ifndef PRMIG_FUZZ_REFERENCE_CLASS_H
#define PRMIG_FUZZ_REFERENCE_CLASS_H

#include <stdint.h>

enum reference_class {
	REFERENCE_U, /* passes every reservation */
	REFERENCE_R, /* passes the write exclusive kinds */
	REFERENCE_W,
	REFERENCE_PR_OUT,
	REFERENCE_RESERVE,
};

/* cdb: at least scsi_cdb_length() bytes. */
enum reference_class reference_class(const uint8_t *cdb);

#endif
