/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk as SPC-4 and SBC-3 have it: what a CDB asks for, and what is answered to those that need no
 * medium. Pure: whoever has the medium does what disk_begin says is to be done. Knows no
 * reservations.
 *
 * What it is: one logical unit, fixed format sense data, no protection information, thin where the
 * medium can give blocks back. Its mode parameters cannot be changed: the write cache is on, and a
 * MODE SELECT that says what is so is GOOD.
 * Each field of a CDB that a command does not have must be zero: the same table says so to
 * REPORT SUPPORTED OPERATION CODES.
 */
#ifndef PRMIG_DISK_H
#define PRMIG_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi.h"

#define DISK_CDB_MAX 16
#define DISK_REPLY_MAX 2048
#define DISK_LIST_MAX 2056 /* the longest parameter list that is looked at: UNMAP's */
#define DISK_EXTENTS_MAX 128
#define DISK_LBA_STATUS_MAX 32	/* descriptors in one answer */
#define DISK_TRANSFER_MAX 32768 /* blocks of one command */
#define DISK_WRITE_SAME_MAX 65535
#define DISK_COMPARE_MAX 64 /* blocks of COMPARE AND WRITE */
#define DISK_SERIAL_MAX 64
#define DISK_DESIGNATOR_MAX 160

/* What does not change while a command is looked at. */
struct disk {
	uint64_t blocks;
	uint32_t block_len_bytes;
	uint8_t physical_exponent;    /* logical blocks in a physical one: 2 to this */
	uint8_t granularity_exponent; /* as many are best written or given back together: 2 to this */
	bool thin;		      /* blocks can be given back, and are zeros then */
	char serial[DISK_SERIAL_MAX + 1];
	uint8_t designator
		[DISK_DESIGNATOR_MAX]; /* a designation descriptor of VPD 83h, of the logical unit */
	size_t designator_len;
};

enum disk_action {
	DISK_ANSWER, /* nothing more: the answer is there */
	DISK_READ,
	DISK_WRITE,
	DISK_VERIFY,  /* the blocks can be read */
	DISK_COMPARE, /* with data-out; data_blocks 1: each with the same block */
	DISK_COMPARE_AND_WRITE,
	DISK_WRITE_SAME, /* data_blocks 0: zeros; unmap: may give them back instead, if they are zeros */
	DISK_FLUSH,
	DISK_UNMAP,	  /* disk_take_list reads the extents */
	DISK_MODE_SELECT, /* disk_take_list reads the parameters */
	DISK_LBA_STATUS,  /* disk_put_lba_status makes the answer */
};

struct disk_extent {
	uint64_t lba;
	uint32_t blocks;
};

struct disk_command {
	enum disk_action action;
	uint64_t lba;
	uint32_t blocks;
	uint32_t data_blocks; /* of data-out */
	bool data_exact; /* more of it than that is no mere excess: the CDB means something else */
	uint32_t list_len; /* of a parameter list */
	uint32_t allocation_len;
	bool fua;
	bool unmap;

	/* The answer. */
	uint8_t status;
	uint8_t key;
	uint16_t asc_ascq;
	bool has_information;
	uint32_t information;
	bool has_field; /* SKSV: where the fault is */
	bool field_in_cdb;
	uint16_t field;
	size_t reply_len; /* of data-in, allocation_len obeyed */
	uint8_t reply[DISK_REPLY_MAX];

	size_t extent_count;
	struct disk_extent extents[DISK_EXTENTS_MAX];
};

/* cdb: cdb_len bytes. sense_asc_ascq: what REQUEST SENSE shows as a unit attention; 0: none. */
void disk_begin(const struct disk *disk, const uint8_t *cdb, size_t cdb_len,
		uint16_t sense_asc_ascq, struct disk_command *ret_command);

/* The parameter list of DISK_UNMAP and DISK_MODE_SELECT: the first len bytes of list_len, which are
 * all, or DISK_LIST_MAX. */
void disk_take_list(const struct disk *disk, const uint8_t *cdb, const uint8_t *list, size_t len,
		    struct disk_command *command);

struct disk_lba_status {
	uint64_t blocks; /* as many from where the last one ended */
	bool mapped;
};

/* The answer to DISK_LBA_STATUS: runs from command->lba on. */
void disk_put_lba_status(struct disk_command *command, const struct disk_lba_status *runs,
			 size_t count);

/* Answers CHECK CONDITION; what was to be done is not. */
void disk_refuse(struct disk_command *command, enum scsi_sense_key key, uint16_t asc_ascq);
void disk_refuse_field(struct disk_command *command, uint16_t asc_ascq, uint16_t field);
/* MISCOMPARE, with INFORMATION: the first byte of data-out that differs. */
void disk_miscompare(struct disk_command *command, uint32_t offset);
/* sense: SCSI_SENSE_MAX bytes; returns how many count. Of a status that has no sense data: 0. */
size_t disk_sense(const struct disk_command *command, uint8_t *sense);

#endif
