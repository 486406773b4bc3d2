/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi.h"

#include "be.h"
#include "scsi-cdb-table.h"

#define TIMEOUT_NORMAL_MS (60 * 1000u)
#define TIMEOUT_LONG_MS (15 * 60 * 1000u)
#define TIMEOUT_HOURS_MS (24 * 60 * 60 * 1000u)

#define CDB_LEN_UNKNOWN 16

#define VARIABLE_LENGTH 0x7f
#define VERIFY_32 0x000a
#define WRITE_SAME_32 0x000d
#define ATA_PASS_THROUGH_32 0x1ff0
#define REPORT_SUPPORTED_OPERATION_CODES 0x0c
#define REPORT_CAPABILITIES 0x02
#define VPD_BLOCK_LIMITS 0xb0

static uint8_t service_action(const uint8_t *cdb)
{
	return cdb[1] & 0x1f;
}

bool scsi_cdb_sized_by_libtcmu(uint8_t opcode)
{
	return opcode < 0x60 || (opcode >= 0x7f && opcode < 0xc0);
}

size_t scsi_cdb_length(const uint8_t *cdb)
{
	/* SPC-4, Operation code: the GROUP CODE. */
	static const uint8_t lengths[8] = {
		6, 10, 10, CDB_LEN_UNKNOWN, 16, 12, CDB_LEN_UNKNOWN, CDB_LEN_UNKNOWN};

	if (cdb[0] == VARIABLE_LENGTH)
		return 8 + (size_t)cdb[7];
	return lengths[cdb[0] >> 5];
}

static enum scsi_direction out_if(bool out)
{
	return out ? SCSI_DIR_OUT : SCSI_DIR_NONE;
}

/* BYTCHK 00b compares nothing; 01b and 11b compare with data-out; 10b is reserved. */
static enum scsi_direction verify_direction(uint8_t byte)
{
	return out_if(byte & 0x02);
}

/* SAT-3: protocol is the byte with T_LENGTH (0: no data) and T_DIR (1: from the device). */
static enum scsi_direction ata_direction(uint8_t byte)
{
	if (!(byte & 0x03))
		return SCSI_DIR_NONE;
	return byte & 0x08 ? SCSI_DIR_IN : SCSI_DIR_OUT;
}

static enum scsi_direction variable_length_direction(const uint8_t *cdb,
						     enum scsi_direction direction)
{
	if (cdb[7] != SCSI_CDB_ADDITIONAL_LEN_32)
		return direction;
	switch (be_get16(cdb + 8)) {
	case VERIFY_32:
		return verify_direction(cdb[10]);
	case WRITE_SAME_32: /* NDOB */
		return out_if(!(cdb[10] & 0x01));
	case ATA_PASS_THROUGH_32:
		return ata_direction(cdb[11]);
	default:
		return direction;
	}
}

/* direction: the table's. */
static enum scsi_direction cdb_direction(const uint8_t *cdb, enum scsi_direction direction)
{
	switch (cdb[0]) {
	case 0x04: /* FORMAT UNIT: FMTDATA */
		return out_if(cdb[1] & 0x10);
	case 0x15: /* MODE SELECT (6): PARAMETER LIST LENGTH, and so below */
		return out_if(cdb[4]);
	case SCSI_RESERVE_6:
	case 0x1d: /* SEND DIAGNOSTIC */
		return out_if(be_get16(cdb + 3));
	case 0x4c: /* LOG SELECT */
	case 0x55: /* MODE SELECT (10) */
	case SCSI_RESERVE_10:
	case SCSI_RELEASE_10:
		return out_if(be_get16(cdb + 7));
	case 0x2f: /* VERIFY (10), (16), (12) */
	case 0x8f:
	case 0xaf:
		return verify_direction(cdb[1]);
	case 0x3b: /* WRITE BUFFER: activating deferred microcode moves none */
		return out_if(cdb[6] || be_get16(cdb + 7));
	case 0x3f: /* WRITE LONG (10): WR_UNCOR */
		return out_if(!(cdb[1] & 0x40));
	case 0x93: /* WRITE SAME (16): NDOB */
		return out_if(!(cdb[1] & 0x01));
	case 0x9f: /* WRITE LONG (16): WR_UNCOR */
		return service_action(cdb) == 0x11 ? out_if(!(cdb[1] & 0x40)) : direction;
	case 0x85: /* ATA PASS-THROUGH (16), (12) */
	case 0xa1:
		return ata_direction(cdb[2]);
	case VARIABLE_LENGTH:
		return variable_length_direction(cdb, direction);
	default:
		return direction;
	}
}

static enum scsi_class cdb_class(const uint8_t *cdb, enum scsi_class class)
{
	switch (cdb[0]) {
	case 0x1b: /* START STOP UNIT: START 1 and POWER CONDITION 0 */
		return (cdb[4] & 0xf1) == 0x01 ? SCSI_CLASS_U : class;
	case 0x1e: /* PREVENT ALLOW MEDIUM REMOVAL: PREVENT 0 */
		return cdb[4] & 0x03 ? class : SCSI_CLASS_U;
	default:
		return class;
	}
}

bool scsi_cdb_is_rsoc(const uint8_t *cdb)
{
	return cdb[0] == SCSI_MAINTENANCE_IN &&
	       service_action(cdb) == REPORT_SUPPORTED_OPERATION_CODES;
}

static bool cdb_rewrite(const uint8_t *cdb)
{
	switch (cdb[0]) {
	case SCSI_INQUIRY: /* EVPD */
		return (cdb[1] & 0x01) && cdb[2] == VPD_BLOCK_LIMITS;
	case SCSI_PR_IN:
		return service_action(cdb) == REPORT_CAPABILITIES;
	case SCSI_MAINTENANCE_IN:
		return scsi_cdb_is_rsoc(cdb);
	default:
		return false;
	}
}

void scsi_cdb_describe(const uint8_t *cdb, struct scsi_cdb_info *ret_info)
{
	static const uint32_t timeouts_ms[] = {
		[SCSI_CDB_WAIT_NORMAL] = TIMEOUT_NORMAL_MS,
		[SCSI_CDB_WAIT_LONG] = TIMEOUT_LONG_MS,
		[SCSI_CDB_WAIT_HOURS] = TIMEOUT_HOURS_MS,
	};
	const struct scsi_cdb_row *row = scsi_cdb_row(cdb);

	*ret_info = (struct scsi_cdb_info){
		.name = row->name,
		.direction = cdb_direction(cdb, (enum scsi_direction)row->direction),
		.class = cdb_class(cdb, (enum scsi_class)row->class),
		.listed = row->listed,
		.rewrite = cdb_rewrite(cdb),
		.timeout_ms = timeouts_ms[row->wait],
	};
}

bool scsi_cdb_passes_closed_gate(const uint8_t *cdb)
{
	enum scsi_class class = cdb_class(cdb, (enum scsi_class)scsi_cdb_row(cdb)->class);

	return class == SCSI_CLASS_U || class == SCSI_CLASS_R ||
	       cdb[0] == SCSI_SYNCHRONIZE_CACHE_10 || cdb[0] == SCSI_SYNCHRONIZE_CACHE_16;
}

bool scsi_cdb_ignores_unit_attention(uint8_t opcode)
{
	return opcode == SCSI_INQUIRY || opcode == SCSI_REPORT_LUNS || opcode == SCSI_REQUEST_SENSE;
}
