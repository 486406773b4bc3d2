/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPC-4, SBC-3 and SBC-4, SAT-3, ZBC; the obsolete commands of SCSI-2 and SBC-2 where they move
 * data. A disk's own commands only.
 *
 * Why some are refused by filter=on, though a disk knows them:
 * - FORMAT UNIT, FORMAT WITH PRESET, SANITIZE: the whole LUN is NOT READY for hours, for every host
 *   that shares it, and comes back with another block length or protection type. A guest that wants
 *   its data gone has WRITE SAME and UNMAP.
 * - WRITE BUFFER, READ BUFFER: microcode, and error history that may show other hosts' data.
 * - SEND DIAGNOSTIC, RECEIVE DIAGNOSTIC RESULTS: self-tests may take other logical units offline
 *   (DEVOFFL); enclosure control.
 * - EXTENDED COPY, POPULATE and WRITE USING TOKEN, RECEIVE COPY RESULTS: the copy manager works
 *   with the array's rights, and past the gate.
 * - SECURITY PROTOCOL, ATA PASS-THROUGH, ACCESS CONTROL, MANAGEMENT PROTOCOL: lock, erase or
 *   reconfigure the device; nothing in them is seen by the reservation's rules.
 * - LOG SELECT, SET IDENTIFYING INFORMATION, SET PRIORITY, CHANGE ALIASES, REMOVE I_T NEXUS,
 *   STREAM CONTROL, BACKGROUND CONTROL: change what all initiators share, and none needs them.
 * SET TARGET PORT GROUPS is listed: RTPG shows explicit ALUA, and a guest's multipath uses it.
 */
#include "scsi-cdb-table.h"

#include "be.h"

enum { NONE = SCSI_DIR_NONE, IN = SCSI_DIR_IN, OUT = SCSI_DIR_OUT };
enum { U = SCSI_CLASS_U, R = SCSI_CLASS_R, W = SCSI_CLASS_W };
enum { REFUSED = false, LISTED = true };
enum { NORMAL = SCSI_CDB_WAIT_NORMAL, LONG = SCSI_CDB_WAIT_LONG, HOURS = SCSI_CDB_WAIT_HOURS };

static const struct scsi_cdb_row unknown = {"unknown operation code", IN, W, REFUSED, LONG};

/* Where service_actions has a table, this row stands for the service actions that it lacks. */
static const struct scsi_cdb_row operation_codes[256] = {
	[0x00] = {"TEST UNIT READY", NONE, U, LISTED, NORMAL},
	[0x01] = {"REZERO UNIT", NONE, W, REFUSED, LONG},
	[0x03] = {"REQUEST SENSE", IN, U, LISTED, NORMAL},
	[0x04] = {"FORMAT UNIT", OUT, W, REFUSED, HOURS},
	[0x07] = {"REASSIGN BLOCKS", OUT, W, LISTED, LONG},
	[0x08] = {"READ (6)", IN, R, LISTED, NORMAL},
	[0x0a] = {"WRITE (6)", OUT, W, LISTED, NORMAL},
	[0x0b] = {"SEEK (6)", NONE, W, REFUSED, NORMAL},
	[0x12] = {"INQUIRY", IN, U, LISTED, NORMAL},
	[0x15] = {"MODE SELECT (6)", OUT, W, LISTED, NORMAL},
	[0x16] = {"RESERVE (6)", OUT, SCSI_CLASS_RESERVE, LISTED, NORMAL},
	[0x17] = {"RELEASE (6)", NONE, SCSI_CLASS_RESERVE, LISTED, NORMAL},
	[0x18] = {"COPY", OUT, W, REFUSED, LONG},
	[0x1a] = {"MODE SENSE (6)", IN, R, LISTED, NORMAL},
	[0x1b] = {"START STOP UNIT", NONE, W, LISTED, LONG},
	[0x1c] = {"RECEIVE DIAGNOSTIC RESULTS", IN, R, REFUSED, NORMAL},
	[0x1d] = {"SEND DIAGNOSTIC", OUT, W, REFUSED, HOURS},
	[0x1e] = {"PREVENT ALLOW MEDIUM REMOVAL", NONE, W, LISTED, NORMAL},
	[0x25] = {"READ CAPACITY (10)", IN, U, LISTED, NORMAL},
	[0x28] = {"READ (10)", IN, R, LISTED, NORMAL},
	[0x2a] = {"WRITE (10)", OUT, W, LISTED, NORMAL},
	[0x2b] = {"SEEK (10)", NONE, W, REFUSED, NORMAL},
	[0x2e] = {"WRITE AND VERIFY (10)", OUT, W, LISTED, LONG},
	[0x2f] = {"VERIFY (10)", OUT, R, LISTED, LONG},
	[0x30] = {"SEARCH DATA HIGH (10)", OUT, W, REFUSED, LONG},
	[0x31] = {"SEARCH DATA EQUAL (10)", OUT, W, REFUSED, LONG},
	[0x32] = {"SEARCH DATA LOW (10)", OUT, W, REFUSED, LONG},
	[0x33] = {"SET LIMITS (10)", NONE, W, REFUSED, NORMAL},
	[0x34] = {"PRE-FETCH (10)", NONE, R, LISTED, NORMAL},
	[0x35] = {"SYNCHRONIZE CACHE (10)", NONE, W, LISTED, LONG},
	[0x36] = {"LOCK UNLOCK CACHE (10)", NONE, W, REFUSED, NORMAL},
	[0x37] = {"READ DEFECT DATA (10)", IN, R, LISTED, NORMAL},
	[0x38] = {"FORMAT WITH PRESET", NONE, W, REFUSED, HOURS},
	[0x39] = {"COMPARE", OUT, W, REFUSED, LONG},
	[0x3a] = {"COPY AND VERIFY", OUT, W, REFUSED, LONG},
	[0x3b] = {"WRITE BUFFER", OUT, W, REFUSED, LONG},
	[0x3c] = {"READ BUFFER (10)", IN, R, REFUSED, NORMAL},
	[0x3d] = {"UPDATE BLOCK", OUT, W, REFUSED, NORMAL},
	[0x3e] = {"READ LONG (10)", IN, W, REFUSED, NORMAL},
	[0x3f] = {"WRITE LONG (10)", OUT, W, REFUSED, NORMAL},
	[0x40] = {"CHANGE DEFINITION", OUT, W, REFUSED, NORMAL},
	[0x41] = {"WRITE SAME (10)", OUT, W, LISTED, LONG},
	[0x42] = {"UNMAP", OUT, W, LISTED, LONG},
	[0x48] = {"SANITIZE", NONE, W, REFUSED, HOURS},
	[0x4c] = {"LOG SELECT", OUT, W, REFUSED, NORMAL},
	[0x4d] = {"LOG SENSE", IN, U, LISTED, NORMAL},
	[0x50] = {"XDWRITE (10)", OUT, W, REFUSED, NORMAL},
	[0x51] = {"XPWRITE (10)", OUT, W, REFUSED, NORMAL},
	[0x52] = {"XDREAD (10)", IN, W, REFUSED, NORMAL},
	/* Bidirectional; TCMU's single buffer cannot carry it. */
	[0x53] = {"XDWRITEREAD (10)", OUT, W, REFUSED, NORMAL},
	[0x55] = {"MODE SELECT (10)", OUT, W, LISTED, NORMAL},
	[0x56] = {"RESERVE (10)", OUT, SCSI_CLASS_RESERVE, LISTED, NORMAL},
	[0x57] = {"RELEASE (10)", OUT, SCSI_CLASS_RESERVE, LISTED, NORMAL},
	[0x5a] = {"MODE SENSE (10)", IN, R, LISTED, NORMAL},
	[0x5e] = {"PERSISTENT RESERVE IN", IN, U, LISTED, NORMAL},
	[0x5f] = {"PERSISTENT RESERVE OUT", OUT, SCSI_CLASS_PR_OUT, LISTED, NORMAL},
	[0x7f] = {"variable length CDB", IN, W, REFUSED, LONG},
	[0x80] = {"XDWRITE EXTENDED (16)", OUT, W, REFUSED, LONG},
	[0x81] = {"REBUILD (16)", OUT, W, REFUSED, LONG},
	[0x82] = {"REGENERATE (16)", OUT, W, REFUSED, LONG},
	[0x83] = {"third-party copy out", OUT, W, REFUSED, LONG},
	[0x84] = {"third-party copy in", IN, W, REFUSED, NORMAL},
	[0x85] = {"ATA PASS-THROUGH (16)", IN, W, REFUSED, LONG},
	[0x86] = {"ACCESS CONTROL IN", IN, U, REFUSED, NORMAL},
	[0x87] = {"ACCESS CONTROL OUT", OUT, U, REFUSED, NORMAL},
	[0x88] = {"READ (16)", IN, R, LISTED, NORMAL},
	[0x89] = {"COMPARE AND WRITE", OUT, W, LISTED, NORMAL},
	[0x8a] = {"WRITE (16)", OUT, W, LISTED, NORMAL},
	[0x8b] = {"ORWRITE (16)", OUT, W, LISTED, NORMAL},
	[0x8c] = {"READ ATTRIBUTE", IN, R, REFUSED, NORMAL},
	[0x8d] = {"WRITE ATTRIBUTE", OUT, W, REFUSED, NORMAL},
	[0x8e] = {"WRITE AND VERIFY (16)", OUT, W, LISTED, LONG},
	[0x8f] = {"VERIFY (16)", OUT, R, LISTED, LONG},
	[0x90] = {"PRE-FETCH (16)", NONE, R, LISTED, NORMAL},
	[0x91] = {"SYNCHRONIZE CACHE (16)", NONE, W, LISTED, LONG},
	[0x92] = {"LOCK UNLOCK CACHE (16)", NONE, W, REFUSED, NORMAL},
	[0x93] = {"WRITE SAME (16)", OUT, W, LISTED, LONG},
	[0x94] = {"ZBC OUT", NONE, W, REFUSED, LONG},
	[0x95] = {"ZBC IN", IN, W, REFUSED, NORMAL},
	[0x9a] = {"WRITE STREAM (16)", OUT, W, LISTED, NORMAL},
	[0x9b] = {"READ BUFFER (16)", IN, R, REFUSED, NORMAL},
	[0x9c] = {"WRITE ATOMIC (16)", OUT, W, LISTED, NORMAL},
	[0x9d] = {"SERVICE ACTION BIDIRECTIONAL", OUT, W, REFUSED, LONG},
	[0x9e] = {"SERVICE ACTION IN (16)", IN, W, REFUSED, NORMAL},
	[0x9f] = {"SERVICE ACTION OUT (16)", OUT, W, REFUSED, LONG},
	[0xa0] = {"REPORT LUNS", IN, U, LISTED, NORMAL},
	[0xa1] = {"ATA PASS-THROUGH (12)", IN, W, REFUSED, LONG},
	[0xa2] = {"SECURITY PROTOCOL IN", IN, R, REFUSED, NORMAL},
	[0xa3] = {"MAINTENANCE IN", IN, W, REFUSED, NORMAL},
	[0xa4] = {"MAINTENANCE OUT", OUT, W, REFUSED, LONG},
	[0xa7] = {"MOVE MEDIUM ATTACHED", NONE, W, REFUSED, LONG},
	[0xa8] = {"READ (12)", IN, R, LISTED, NORMAL},
	[0xa9] = {"SERVICE ACTION OUT (12)", OUT, W, REFUSED, LONG},
	[0xaa] = {"WRITE (12)", OUT, W, LISTED, NORMAL},
	[0xab] = {"SERVICE ACTION IN (12)", IN, W, REFUSED, NORMAL},
	[0xae] = {"WRITE AND VERIFY (12)", OUT, W, LISTED, LONG},
	[0xaf] = {"VERIFY (12)", OUT, R, LISTED, LONG},
	[0xb0] = {"SEARCH DATA HIGH (12)", OUT, W, REFUSED, LONG},
	[0xb1] = {"SEARCH DATA EQUAL (12)", OUT, W, REFUSED, LONG},
	[0xb2] = {"SEARCH DATA LOW (12)", OUT, W, REFUSED, LONG},
	[0xb3] = {"SET LIMITS (12)", NONE, W, REFUSED, NORMAL},
	[0xb4] = {"READ ELEMENT STATUS ATTACHED", IN, W, REFUSED, LONG},
	[0xb5] = {"SECURITY PROTOCOL OUT", OUT, W, REFUSED, LONG},
	[0xb7] = {"READ DEFECT DATA (12)", IN, R, LISTED, NORMAL},
	[0xba] = {"REDUNDANCY GROUP (IN)", IN, W, REFUSED, NORMAL},
	[0xbb] = {"REDUNDANCY GROUP (OUT)", OUT, W, REFUSED, LONG},
	[0xbc] = {"SPARE (IN)", IN, W, REFUSED, NORMAL},
	[0xbd] = {"SPARE (OUT)", OUT, W, REFUSED, LONG},
	[0xbe] = {"VOLUME SET (IN)", IN, W, REFUSED, NORMAL},
	[0xbf] = {"VOLUME SET (OUT)", OUT, W, REFUSED, LONG},
};

struct service_action {
	uint8_t operation_code;
	uint16_t action;
	struct scsi_cdb_row row;
};

static const struct service_action service_actions[] = {
	{0x48, 0x01, {"SANITIZE, OVERWRITE", OUT, W, REFUSED, HOURS}},
	{0x7f, 0x03, {"XDREAD (32)", IN, W, REFUSED, NORMAL}},
	{0x7f, 0x04, {"XDWRITE (32)", OUT, W, REFUSED, NORMAL}},
	{0x7f, 0x06, {"XPWRITE (32)", OUT, W, REFUSED, NORMAL}},
	{0x7f, 0x07, {"XDWRITEREAD (32)", OUT, W, REFUSED, NORMAL}},
	{0x7f, 0x09, {"READ (32)", IN, R, LISTED, NORMAL}},
	{0x7f, 0x0a, {"VERIFY (32)", OUT, R, LISTED, LONG}},
	{0x7f, 0x0b, {"WRITE (32)", OUT, W, LISTED, NORMAL}},
	{0x7f, 0x0c, {"WRITE AND VERIFY (32)", OUT, W, LISTED, LONG}},
	{0x7f, 0x0d, {"WRITE SAME (32)", OUT, W, LISTED, LONG}},
	{0x7f, 0x0e, {"ORWRITE (32)", OUT, W, LISTED, NORMAL}},
	{0x7f, 0x0f, {"WRITE ATOMIC (32)", OUT, W, LISTED, NORMAL}},
	{0x7f, 0x10, {"WRITE STREAM (32)", OUT, W, LISTED, NORMAL}},
	{0x7f, 0x11, {"WRITE SCATTERED (32)", OUT, W, LISTED, NORMAL}},
	{0x7f, 0x12, {"GET LBA STATUS (32)", IN, R, LISTED, NORMAL}},
	{0x7f, 0x1ff0, {"ATA PASS-THROUGH (32)", IN, W, REFUSED, LONG}},
	{0x83, 0x00, {"EXTENDED COPY (LID1)", OUT, W, REFUSED, LONG}},
	{0x83, 0x01, {"EXTENDED COPY (LID4)", OUT, W, REFUSED, LONG}},
	{0x83, 0x10, {"POPULATE TOKEN", OUT, R, REFUSED, LONG}},
	{0x83, 0x11, {"WRITE USING TOKEN", OUT, W, REFUSED, LONG}},
	{0x83, 0x1c, {"COPY OPERATION ABORT", NONE, W, REFUSED, LONG}},
	{0x84, 0x00, {"RECEIVE COPY STATUS (LID1)", IN, U, REFUSED, NORMAL}},
	{0x84, 0x01, {"RECEIVE COPY DATA (LID1)", IN, U, REFUSED, NORMAL}},
	{0x84, 0x03, {"RECEIVE COPY OPERATING PARAMETERS", IN, U, REFUSED, NORMAL}},
	{0x84, 0x04, {"RECEIVE COPY FAILURE DETAILS (LID1)", IN, U, REFUSED, NORMAL}},
	{0x84, 0x05, {"RECEIVE COPY STATUS (LID4)", IN, U, REFUSED, NORMAL}},
	{0x84, 0x06, {"RECEIVE COPY DATA (LID4)", IN, U, REFUSED, NORMAL}},
	{0x84, 0x07, {"RECEIVE ROD TOKEN INFORMATION", IN, U, REFUSED, NORMAL}},
	{0x84, 0x08, {"REPORT ALL ROD TOKENS", IN, U, REFUSED, NORMAL}},
	{0x94, 0x01, {"CLOSE ZONE", NONE, W, LISTED, LONG}},
	{0x94, 0x02, {"FINISH ZONE", NONE, W, LISTED, LONG}},
	{0x94, 0x03, {"OPEN ZONE", NONE, W, LISTED, LONG}},
	{0x94, 0x04, {"RESET WRITE POINTER", NONE, W, LISTED, LONG}},
	{0x95, 0x00, {"REPORT ZONES", IN, W, LISTED, NORMAL}},
	{0x9e, 0x10, {"READ CAPACITY (16)", IN, U, LISTED, NORMAL}},
	{0x9e, 0x11, {"READ LONG (16)", IN, W, REFUSED, NORMAL}},
	{0x9e, 0x12, {"GET LBA STATUS (16)", IN, R, LISTED, NORMAL}},
	{0x9e, 0x13, {"REPORT REFERRALS", IN, U, LISTED, NORMAL}},
	{0x9e, 0x14, {"STREAM CONTROL", IN, W, REFUSED, NORMAL}},
	{0x9e, 0x15, {"BACKGROUND CONTROL", NONE, W, REFUSED, NORMAL}},
	{0x9e, 0x16, {"GET STREAM STATUS", IN, R, LISTED, NORMAL}},
	{0x9e, 0x17, {"GET PHYSICAL ELEMENT STATUS", IN, R, REFUSED, NORMAL}},
	{0x9e, 0x18, {"REMOVE ELEMENT AND TRUNCATE", NONE, W, REFUSED, HOURS}},
	{0x9e, 0x19, {"RESTORE ELEMENTS AND REBUILD", NONE, W, REFUSED, HOURS}},
	{0x9f, 0x11, {"WRITE LONG (16)", OUT, W, REFUSED, NORMAL}},
	{0x9f, 0x12, {"WRITE SCATTERED (16)", OUT, W, LISTED, NORMAL}},
	{0xa3, 0x05, {"REPORT IDENTIFYING INFORMATION", IN, U, LISTED, NORMAL}},
	{0xa3, 0x0a, {"REPORT TARGET PORT GROUPS", IN, U, LISTED, NORMAL}},
	{0xa3, 0x0b, {"REPORT ALIASES", IN, U, REFUSED, NORMAL}},
	{0xa3, 0x0c, {"REPORT SUPPORTED OPERATION CODES", IN, R, LISTED, NORMAL}},
	{0xa3, 0x0d, {"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", IN, R, LISTED, NORMAL}},
	{0xa3, 0x0e, {"REPORT PRIORITY", IN, U, REFUSED, NORMAL}},
	{0xa3, 0x0f, {"REPORT TIMESTAMP", IN, U, LISTED, NORMAL}},
	{0xa3, 0x10, {"MANAGEMENT PROTOCOL IN", IN, R, REFUSED, NORMAL}},
	{0xa4, 0x06, {"SET IDENTIFYING INFORMATION", OUT, W, REFUSED, NORMAL}},
	{0xa4, 0x0a, {"SET TARGET PORT GROUPS", OUT, W, LISTED, LONG}},
	{0xa4, 0x0b, {"CHANGE ALIASES", OUT, W, REFUSED, NORMAL}},
	{0xa4, 0x0c, {"REMOVE I_T NEXUS", OUT, W, REFUSED, NORMAL}},
	{0xa4, 0x0e, {"SET PRIORITY", OUT, W, REFUSED, NORMAL}},
	{0xa4, 0x0f, {"SET TIMESTAMP", OUT, W, LISTED, NORMAL}},
	{0xa4, 0x10, {"MANAGEMENT PROTOCOL OUT", OUT, W, REFUSED, NORMAL}},
	{0xab, 0x01, {"READ MEDIA SERIAL NUMBER", IN, U, LISTED, NORMAL}},
};

static bool has_service_actions(uint8_t operation_code)
{
	switch (operation_code) {
	case 0x48:
	case 0x7f:
	case 0x83:
	case 0x84:
	case 0x94:
	case 0x95:
	case 0x9e:
	case 0x9f:
	case 0xa3:
	case 0xa4:
	case 0xab:
		return true;
	default:
		return false;
	}
}

const struct scsi_cdb_row *scsi_cdb_row(const uint8_t *cdb)
{
	const struct scsi_cdb_row *row = &operation_codes[cdb[0]];
	uint16_t action = cdb[1] & 0x1f;

	if (!row->name)
		return &unknown;
	if (!has_service_actions(cdb[0]))
		return row;
	if (cdb[0] == 0x7f) {
		if (cdb[7] != SCSI_CDB_ADDITIONAL_LEN_32)
			return row;
		action = be_get16(cdb + 8);
	}
	for (size_t i = 0; i < sizeof(service_actions) / sizeof(service_actions[0]); i++)
		if (service_actions[i].operation_code == cdb[0] &&
		    service_actions[i].action == action)
			return &service_actions[i].row;
	return row;
}
