/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI as prmig needs it: what a CDB asks for, sense data, VPD pages. Pure functions over bytes; no
 * I/O, no locks. Does not know persistent reservation parameter lists (pr.h) nor any backend.
 */
#ifndef PRMIG_SCSI_H
#define PRMIG_SCSI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCSI_CDB_MAX 264  /* 7Fh: 8 + ADDITIONAL CDB LENGTH */
#define SCSI_SENSE_MAX 96 /* what a ring entry holds */
#define SCSI_DESIGNATOR_MAX                                                                        \
	256 /* "naa.", "eui.", "t10.", "name." and the designator, percent-encoded; with NUL */

/* SAM-5 status codes. */
enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_CONDITION_MET = 0x04,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_ACA_ACTIVE = 0x30,
	SCSI_TASK_ABORTED = 0x40,
};

enum scsi_sense_key {
	SCSI_NO_SENSE = 0x0,
	SCSI_NOT_READY = 0x2,
	SCSI_MEDIUM_ERROR = 0x3,
	SCSI_HARDWARE_ERROR = 0x4,
	SCSI_ILLEGAL_REQUEST = 0x5,
	SCSI_UNIT_ATTENTION = 0x6,
	SCSI_DATA_PROTECT = 0x7,
	SCSI_ABORTED_COMMAND = 0xb,
	SCSI_MISCOMPARE = 0xe,
};

/* ASC in the upper byte, ASCQ in the lower. */
enum scsi_asc {
	SCSI_ASC_LUN_NOT_READY_CAUSE_NOT_REPORTABLE = 0x0400,
	SCSI_ASC_LUN_COMMUNICATION_FAILURE = 0x0800,
	SCSI_ASC_LUN_COMMUNICATION_TIMEOUT = 0x0801,
	SCSI_ASC_WRITE_ERROR = 0x0c00,
	SCSI_ASC_UNRECOVERED_READ_ERROR = 0x1100,
	SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR = 0x1a00,
	SCSI_ASC_MISCOMPARE_DURING_VERIFY = 0x1d00,
	SCSI_ASC_INVALID_OPERATION_CODE = 0x2000,
	SCSI_ASC_LBA_OUT_OF_RANGE = 0x2100,
	SCSI_ASC_INVALID_FIELD_IN_CDB = 0x2400,
	SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST = 0x2600,
	SCSI_ASC_INVALID_RELEASE_OF_PERSISTENT_RESERVATION = 0x2604,
	SCSI_ASC_WRITE_PROTECTED = 0x2700,
	SCSI_ASC_SPACE_ALLOCATION_FAILED = 0x2707,
	SCSI_ASC_POWER_ON_OR_RESET = 0x2900,
	SCSI_ASC_MODE_PARAMETERS_CHANGED = 0x2a01,
	SCSI_ASC_RESERVATIONS_PREEMPTED = 0x2a03,
	SCSI_ASC_RESERVATIONS_RELEASED = 0x2a04,
	SCSI_ASC_REGISTRATIONS_PREEMPTED = 0x2a05,
	SCSI_ASC_CAPACITY_DATA_CHANGED = 0x2a09,
	SCSI_ASC_COMMANDS_CLEARED_BY_ANOTHER_INITIATOR = 0x2f00,
	SCSI_ASC_SAVING_PARAMETERS_NOT_SUPPORTED = 0x3900,
	SCSI_ASC_INQUIRY_DATA_CHANGED = 0x3f03,
	SCSI_ASC_DATA_PHASE_ERROR = 0x4b00,
	SCSI_ASC_INSUFFICIENT_REGISTRATION_RESOURCES = 0x5504,
};

enum scsi_opcode {
	SCSI_TEST_UNIT_READY = 0x00,
	SCSI_REQUEST_SENSE = 0x03,
	SCSI_INQUIRY = 0x12,
	SCSI_RESERVE_6 = 0x16,
	SCSI_RELEASE_6 = 0x17,
	SCSI_READ_CAPACITY_10 = 0x25,
	SCSI_SYNCHRONIZE_CACHE_10 = 0x35,
	SCSI_RESERVE_10 = 0x56,
	SCSI_RELEASE_10 = 0x57,
	SCSI_PR_IN = 0x5e,
	SCSI_PR_OUT = 0x5f,
	SCSI_SYNCHRONIZE_CACHE_16 = 0x91,
	SCSI_SERVICE_ACTION_IN_16 = 0x9e,
	SCSI_REPORT_LUNS = 0xa0,
	SCSI_MAINTENANCE_IN = 0xa3,
};

enum scsi_direction { SCSI_DIR_NONE, SCSI_DIR_IN, SCSI_DIR_OUT };

/* Classes of pr-reference section 4 (SPC-4 table 65, SBC-3 table 13): how a command stands to
 * reservations. */
enum scsi_class {
	SCSI_CLASS_U,	    /* allowed under every reservation */
	SCSI_CLASS_R,	    /* allowed under the write exclusive kinds */
	SCSI_CLASS_W,	    /* conflicts; everything unlisted */
	SCSI_CLASS_PR_OUT,  /* PERSISTENT RESERVE OUT */
	SCSI_CLASS_RESERVE, /* RESERVE and RELEASE, 6 and 10 */
};

struct scsi_cdb_info {
	const char *name; /* the standard's, "unknown operation code" where there is none */
	enum scsi_direction direction; /* of the data buffer; unlisted: IN */
	enum scsi_class class;
	bool listed;  /* filter=on forwards it (design: a disk's initiator needs it) */
	bool rewrite; /* prmig rewrites its data-in: INQUIRY B0h, REPORT CAPABILITIES, RSOC */
	uint32_t timeout_ms; /* how long the LUN may take: FORMAT UNIT and its kind far longer than
				READ */
};

/* Length of a CDB by its operation code; byte 7 is read for 7Fh only. Groups that no length is
 * known for (60h-7Eh, C0h-FFh): 16. */
size_t scsi_cdb_length(const uint8_t *cdb);
/* The same as libtcmu's tcmu_cdb_get_length: false for the groups that libtcmu drops. */
bool scsi_cdb_sized_by_libtcmu(uint8_t opcode);
/* cdb: at least scsi_cdb_length() bytes. */
void scsi_cdb_describe(const uint8_t *cdb, struct scsi_cdb_info *ret_info);
/* True for what a closed gate passes: classes U and R, and SYNCHRONIZE CACHE 10 and 16 (design
 * section 7). */
bool scsi_cdb_passes_closed_gate(const uint8_t *cdb);

/* Fixed format sense data, 18 bytes; returns 18. sense: SCSI_SENSE_MAX bytes, the rest zeroed. */
size_t scsi_sense_build(uint8_t *sense, enum scsi_sense_key key, uint16_t asc_ascq);
/* Adds where the fault is, to what scsi_sense_build made: a byte of the CDB or of the parameter list. */
void scsi_sense_point(uint8_t *sense, bool in_cdb, uint16_t field);
/* Reads fixed (70h, 71h) and descriptor (72h, 73h) format; false if neither or too short. */
bool scsi_sense_parse(const uint8_t *sense, size_t len, uint8_t *ret_key, uint16_t *ret_asc_ascq);

/*
 * The logical unit's designator from a VPD 83h page: the best of association LUN: NAA, EUI-64, T10
 * vendor ID, SCSI name string; of equally good ones the same whatever their order. Letters, digits,
 * '-', '_', '.' and ':' stand as they are, every other byte percent-encoded: "naa.6001405...". ret:
 * SCSI_DESIGNATOR_MAX bytes. False: no such designator or a malformed page.
 */
bool scsi_vpd_designator(const uint8_t *page, size_t len, char *ret);
/* The port that the page was asked for by, as READ FULL STATUS and REGISTER AND MOVE number it; 0: it does not say. */
uint16_t scsi_vpd_relative_target_port(const uint8_t *page, size_t len);

/*
 * Clamps the block limits page (VPD B0h) as returned for an INQUIRY to max_blocks logical blocks:
 * MAXIMUM TRANSFER LENGTH (0 = no limit stated, becomes max_blocks), OPTIMAL TRANSFER LENGTH,
 * MAXIMUM PREFETCH LENGTH, the two maximum atomic transfer lengths, and MAXIMUM COMPARE AND WRITE
 * LENGTH (to the half: it transfers each block twice). Only fields that are there in full (len) are
 * changed. OPTIMAL becomes 0 when it does not fit any more. max_blocks 0: no limit.
 */
void scsi_vpd_clamp_block_limits(uint8_t *page, size_t len, uint32_t max_blocks);

/*
 * REPORT SUPPORTED OPERATION CODES data-in, rewritten to agree with the filter and with pr_mask
 * (design section 6): with filter, what filter=on refuses is not reported; with mask_pr, REGISTER
 * AND MOVE is not. cdb is the command's. data holds the LUN's full answer (len bytes); returns the
 * new length (never longer). All-commands and every one-command format, with and without RCTD. Of
 * an answer that the allocation length cut, what cannot be judged goes: ask the LUN for all of it,
 * and cut afterwards.
 */
size_t scsi_rsoc_rewrite(const uint8_t *cdb, uint8_t *data, size_t len, bool filter, bool mask_pr);

/*
 * REPORT SUPPORTED OPERATION CODES data-in of a LUN in front of which prmig decides on reservations: PERSISTENT RESERVE IN and OUT as the
 * engine has them (pr-engine.h), no RESERVE and no RELEASE, whatever the LUN has. data: len bytes of answer in size bytes; returns the new
 * length. Of CDBs that scsi_rsoc_emulate_refuses there is none: INVALID FIELD IN CDB, as they ask for the whole of what has service actions.
 */
bool scsi_rsoc_emulate_refuses(const uint8_t *cdb);
size_t scsi_rsoc_emulate(const uint8_t *cdb, uint8_t *data, size_t len, size_t size);

/* REPORT SUPPORTED OPERATION CODES. */
bool scsi_cdb_is_rsoc(const uint8_t *cdb);

/* True: the command does not report (and clear) unit attentions: INQUIRY, REPORT LUNS, REQUEST
 * SENSE (SPC-4, SAM-5 5.14). */
bool scsi_cdb_ignores_unit_attention(uint8_t opcode);

#endif
