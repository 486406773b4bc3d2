/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "scsi.h"

#define N SCSI_DIR_NONE
#define I SCSI_DIR_IN
#define O SCSI_DIR_OUT
#define U SCSI_CLASS_U
#define R SCSI_CLASS_R
#define W SCSI_CLASS_W

#define CDB32(action, byte10, byte11)                                                              \
	{                                                                                          \
		0x7f, 0, 0, 0, 0, 0, 0, 0x18, (action) >> 8, (action)&0xff, byte10, byte11         \
	}

struct row {
	uint8_t cdb[32];
	const char *name;
	enum scsi_direction direction;
	enum scsi_class class;
	bool listed;
};

/* clang-format off */
/* What fields other than operation code and service action decide stands here in each form. */
static const struct row rows[] = {
	{{0x00}, "TEST UNIT READY", N, U, true},
	{{0x03}, "REQUEST SENSE", I, U, true},
	{{0x04}, "FORMAT UNIT", N, W, false},
	{{0x04, 0x10}, "FORMAT UNIT", O, W, false},
	{{0x04, 0x0f}, "FORMAT UNIT", N, W, false},
	{{0x07}, "REASSIGN BLOCKS", O, W, true},
	{{0x08}, "READ (6)", I, R, true},
	{{0x0a}, "WRITE (6)", O, W, true},
	{{0x12}, "INQUIRY", I, U, true},
	{{0x15}, "MODE SELECT (6)", N, W, true},
	{{0x15, 0x10, 0, 0, 24}, "MODE SELECT (6)", O, W, true},
	{{0x16}, "RESERVE (6)", N, SCSI_CLASS_RESERVE, true},
	{{0x16, 0x01, 0, 0, 8}, "RESERVE (6)", O, SCSI_CLASS_RESERVE, true},
	{{0x17}, "RELEASE (6)", N, SCSI_CLASS_RESERVE, true},
	{{0x1a}, "MODE SENSE (6)", I, R, true},
	{{0x1b}, "START STOP UNIT", N, W, true},
	{{0x1b, 0, 0, 0, 0x01}, "START STOP UNIT", N, U, true},
	{{0x1b, 1, 0, 0, 0x05}, "START STOP UNIT", N, U, true},
	{{0x1b, 0, 0, 0, 0x11}, "START STOP UNIT", N, W, true},
	{{0x1b, 0, 0, 0, 0x81}, "START STOP UNIT", N, W, true},
	{{0x1b, 0, 0, 0, 0x02}, "START STOP UNIT", N, W, true},
	{{0x1c}, "RECEIVE DIAGNOSTIC RESULTS", I, R, false},
	{{0x1d}, "SEND DIAGNOSTIC", N, W, false},
	{{0x1d, 0x04}, "SEND DIAGNOSTIC", N, W, false},
	{{0x1d, 0x10, 0, 1, 0}, "SEND DIAGNOSTIC", O, W, false},
	{{0x1e}, "PREVENT ALLOW MEDIUM REMOVAL", N, U, true},
	{{0x1e, 0, 0, 0, 1}, "PREVENT ALLOW MEDIUM REMOVAL", N, W, true},
	{{0x1e, 0, 0, 0, 2}, "PREVENT ALLOW MEDIUM REMOVAL", N, W, true},
	{{0x25}, "READ CAPACITY (10)", I, U, true},
	{{0x28}, "READ (10)", I, R, true},
	{{0x2a}, "WRITE (10)", O, W, true},
	{{0x2e}, "WRITE AND VERIFY (10)", O, W, true},
	{{0x2e, 2}, "WRITE AND VERIFY (10)", O, W, true},
	{{0x2f}, "VERIFY (10)", N, R, true},
	{{0x2f, 0x10}, "VERIFY (10)", N, R, true},
	{{0x2f, 2}, "VERIFY (10)", O, R, true},
	{{0x2f, 6}, "VERIFY (10)", O, R, true},
	{{0x34}, "PRE-FETCH (10)", N, R, true},
	{{0x35}, "SYNCHRONIZE CACHE (10)", N, W, true},
	{{0x37}, "READ DEFECT DATA (10)", I, R, true},
	{{0x38}, "FORMAT WITH PRESET", N, W, false},
	{{0x3b, 0x0f}, "WRITE BUFFER", N, W, false},
	{{0x3b, 0x05, 0, 0, 0, 0, 1}, "WRITE BUFFER", O, W, false},
	{{0x3b, 0x05, 0, 0, 0, 0, 0, 0, 1}, "WRITE BUFFER", O, W, false},
	{{0x3c}, "READ BUFFER (10)", I, R, false},
	{{0x3e}, "READ LONG (10)", I, W, false},
	{{0x3f}, "WRITE LONG (10)", O, W, false},
	{{0x3f, 0x40}, "WRITE LONG (10)", N, W, false},
	{{0x41}, "WRITE SAME (10)", O, W, true},
	{{0x41, 0x01}, "WRITE SAME (10)", O, W, true}, /* no NDOB in this one */
	{{0x42}, "UNMAP", O, W, true},
	{{0x48, 0x01}, "SANITIZE, OVERWRITE", O, W, false},
	{{0x48, 0x02}, "SANITIZE", N, W, false},
	{{0x48, 0x83}, "SANITIZE", N, W, false},
	{{0x48, 0x1f}, "SANITIZE", N, W, false},
	{{0x4c}, "LOG SELECT", N, W, false},
	{{0x4c, 0, 0, 0, 0, 0, 0, 0, 4}, "LOG SELECT", O, W, false},
	{{0x4d}, "LOG SENSE", I, U, true},
	{{0x55}, "MODE SELECT (10)", N, W, true},
	{{0x55, 0, 0, 0, 0, 0, 0, 1, 0}, "MODE SELECT (10)", O, W, true},
	{{0x56}, "RESERVE (10)", N, SCSI_CLASS_RESERVE, true},
	{{0x56, 2, 0, 0, 0, 0, 0, 0, 8}, "RESERVE (10)", O, SCSI_CLASS_RESERVE, true},
	{{0x57}, "RELEASE (10)", N, SCSI_CLASS_RESERVE, true},
	{{0x57, 2, 0, 0, 0, 0, 0, 0, 8}, "RELEASE (10)", O, SCSI_CLASS_RESERVE, true},
	{{0x5a}, "MODE SENSE (10)", I, R, true},
	{{0x5e, 0x00}, "PERSISTENT RESERVE IN", I, U, true},
	{{0x5e, 0x1f}, "PERSISTENT RESERVE IN", I, U, true},
	{{0x5f, 0x00}, "PERSISTENT RESERVE OUT", O, SCSI_CLASS_PR_OUT, true},
	{{0x5f, 0x07}, "PERSISTENT RESERVE OUT", O, SCSI_CLASS_PR_OUT, true},
	{CDB32(0x0009, 0, 0), "READ (32)", I, R, true},
	{CDB32(0x000a, 0, 0), "VERIFY (32)", N, R, true},
	{CDB32(0x000a, 2, 0), "VERIFY (32)", O, R, true},
	{CDB32(0x000b, 0, 0), "WRITE (32)", O, W, true},
	{CDB32(0x000c, 0, 0), "WRITE AND VERIFY (32)", O, W, true},
	{CDB32(0x000d, 0, 0), "WRITE SAME (32)", O, W, true},
	{CDB32(0x000d, 1, 0), "WRITE SAME (32)", N, W, true},
	{CDB32(0x000e, 0, 0), "ORWRITE (32)", O, W, true},
	{CDB32(0x000f, 0, 0), "WRITE ATOMIC (32)", O, W, true},
	{CDB32(0x0010, 0, 0), "WRITE STREAM (32)", O, W, true},
	{CDB32(0x0011, 0, 0), "WRITE SCATTERED (32)", O, W, true},
	{CDB32(0x0012, 0, 0), "GET LBA STATUS (32)", I, R, true},
	{CDB32(0x0109, 0, 0), "variable length CDB", I, W, false},
	{CDB32(0x1ff0, 0, 0x0e), "ATA PASS-THROUGH (32)", I, W, false},
	{CDB32(0x1ff0, 0, 0x06), "ATA PASS-THROUGH (32)", O, W, false},
	{CDB32(0x1ff0, 0, 0x08), "ATA PASS-THROUGH (32)", N, W, false},
	{CDB32(0x8801, 0, 0), "variable length CDB", I, W, false},
	/* another ADDITIONAL CDB LENGTH than the service action has */
	{{0x7f, 0, 0, 0, 0, 0, 0, 0x17, 0, 0x09}, "variable length CDB", I, W, false},
	{{0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0x09}, "variable length CDB", I, W, false},
	{{0x83, 0x00}, "EXTENDED COPY (LID1)", O, W, false},
	{{0x83, 0x01}, "EXTENDED COPY (LID4)", O, W, false},
	{{0x83, 0x10}, "POPULATE TOKEN", O, R, false},
	{{0x83, 0x11}, "WRITE USING TOKEN", O, W, false},
	{{0x83, 0x1c}, "COPY OPERATION ABORT", N, W, false},
	{{0x83, 0x02}, "third-party copy out", O, W, false},
	{{0x84, 0x00}, "RECEIVE COPY STATUS (LID1)", I, U, false},
	{{0x84, 0x03}, "RECEIVE COPY OPERATING PARAMETERS", I, U, false},
	{{0x84, 0x07}, "RECEIVE ROD TOKEN INFORMATION", I, U, false},
	{{0x84, 0x08}, "REPORT ALL ROD TOKENS", I, U, false},
	{{0x85, 0x08, 0x0e}, "ATA PASS-THROUGH (16)", I, W, false},
	{{0x85, 0x0a, 0x06}, "ATA PASS-THROUGH (16)", O, W, false},
	{{0x85, 0x06, 0x20}, "ATA PASS-THROUGH (16)", N, W, false},
	{{0xa1, 0x08, 0x0e}, "ATA PASS-THROUGH (12)", I, W, false},
	{{0x86}, "ACCESS CONTROL IN", I, U, false},
	{{0x87}, "ACCESS CONTROL OUT", O, U, false},
	{{0x88}, "READ (16)", I, R, true},
	{{0x89}, "COMPARE AND WRITE", O, W, true},
	{{0x8a}, "WRITE (16)", O, W, true},
	{{0x8b}, "ORWRITE (16)", O, W, true},
	{{0x8c}, "READ ATTRIBUTE", I, R, false},
	{{0x8d}, "WRITE ATTRIBUTE", O, W, false},
	{{0x8e}, "WRITE AND VERIFY (16)", O, W, true},
	{{0x8f}, "VERIFY (16)", N, R, true},
	{{0x8f, 2}, "VERIFY (16)", O, R, true},
	{{0x90}, "PRE-FETCH (16)", N, R, true},
	{{0x91}, "SYNCHRONIZE CACHE (16)", N, W, true},
	{{0x93}, "WRITE SAME (16)", O, W, true},
	{{0x93, 0x08}, "WRITE SAME (16)", O, W, true},
	{{0x93, 0x09}, "WRITE SAME (16)", N, W, true},
	{{0x94, 0x04}, "RESET WRITE POINTER", N, W, true},
	{{0x95, 0x00}, "REPORT ZONES", I, W, true},
	{{0x9a}, "WRITE STREAM (16)", O, W, true},
	{{0x9b}, "READ BUFFER (16)", I, R, false},
	{{0x9c}, "WRITE ATOMIC (16)", O, W, true},
	{{0x9e, 0x10}, "READ CAPACITY (16)", I, U, true},
	{{0x9e, 0xf0}, "READ CAPACITY (16)", I, U, true}, /* the service action is five bits */
	{{0x9e, 0x11}, "READ LONG (16)", I, W, false},
	{{0x9e, 0x12}, "GET LBA STATUS (16)", I, R, true},
	{{0x9e, 0x13}, "REPORT REFERRALS", I, U, true},
	{{0x9e, 0x14}, "STREAM CONTROL", I, W, false},
	{{0x9e, 0x15}, "BACKGROUND CONTROL", N, W, false},
	{{0x9e, 0x16}, "GET STREAM STATUS", I, R, true},
	{{0x9e, 0x17}, "GET PHYSICAL ELEMENT STATUS", I, R, false},
	{{0x9e, 0x00}, "SERVICE ACTION IN (16)", I, W, false},
	{{0x9f, 0x11}, "WRITE LONG (16)", O, W, false},
	{{0x9f, 0x51}, "WRITE LONG (16)", N, W, false},
	{{0x9f, 0x12}, "WRITE SCATTERED (16)", O, W, true},
	{{0xa0}, "REPORT LUNS", I, U, true},
	{{0xa2}, "SECURITY PROTOCOL IN", I, R, false},
	{{0xa3, 0x05}, "REPORT IDENTIFYING INFORMATION", I, U, true},
	{{0xa3, 0x0a}, "REPORT TARGET PORT GROUPS", I, U, true},
	{{0xa3, 0x2a}, "REPORT TARGET PORT GROUPS", I, U, true}, /* extended header */
	{{0xa3, 0x0b}, "REPORT ALIASES", I, U, false},
	{{0xa3, 0x0c}, "REPORT SUPPORTED OPERATION CODES", I, R, true},
	{{0xa3, 0x0d}, "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", I, R, true},
	{{0xa3, 0x0e}, "REPORT PRIORITY", I, U, false},
	{{0xa3, 0x0f}, "REPORT TIMESTAMP", I, U, true},
	{{0xa3, 0x10}, "MANAGEMENT PROTOCOL IN", I, R, false},
	{{0xa3, 0x1f}, "MAINTENANCE IN", I, W, false},
	{{0xa4, 0x06}, "SET IDENTIFYING INFORMATION", O, W, false},
	{{0xa4, 0x0a}, "SET TARGET PORT GROUPS", O, W, true},
	{{0xa4, 0x0b}, "CHANGE ALIASES", O, W, false},
	{{0xa4, 0x0c}, "REMOVE I_T NEXUS", O, W, false},
	{{0xa4, 0x0e}, "SET PRIORITY", O, W, false},
	{{0xa4, 0x0f}, "SET TIMESTAMP", O, W, true},
	{{0xa4, 0x10}, "MANAGEMENT PROTOCOL OUT", O, W, false},
	{{0xa8}, "READ (12)", I, R, true},
	{{0xaa}, "WRITE (12)", O, W, true},
	{{0xab, 0x01}, "READ MEDIA SERIAL NUMBER", I, U, true},
	{{0xab, 0x02}, "SERVICE ACTION IN (12)", I, W, false},
	{{0xae}, "WRITE AND VERIFY (12)", O, W, true},
	{{0xaf}, "VERIFY (12)", N, R, true},
	{{0xaf, 2}, "VERIFY (12)", O, R, true},
	{{0xb5}, "SECURITY PROTOCOL OUT", O, W, false},
	{{0xb7}, "READ DEFECT DATA (12)", I, R, true},
	{{0x02}, "unknown operation code", I, W, false},
	{{0x60}, "unknown operation code", I, W, false},
	{{0x7e}, "unknown operation code", I, W, false},
	{{0xc0}, "unknown operation code", I, W, false},
	{{0xff}, "unknown operation code", I, W, false},
};
/* clang-format on */

static void describe(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = scsi_cdb_length(rows[i].cdb);
		uint8_t *cdb = check_copy(rows[i].cdb, len);
		struct scsi_cdb_info info;

		CHECK_NOTE(rows[i].name);
		scsi_cdb_describe(cdb, &info);
		CHECK_STR(info.name, rows[i].name);
		CHECK_INT(info.direction, rows[i].direction);
		CHECK_INT(info.class, rows[i].class);
		CHECK_INT(info.listed, rows[i].listed);
		free(cdb);
	}
}

/* Every operation code and service action, in a buffer as long as the CDB, all other bytes 0 or
 * FFh: nothing beyond it is read, and nothing unheard of is listed or passes a closed gate. */
static void describe_everything(void)
{
	for (unsigned int opcode = 0; opcode < 256; opcode++)
		for (unsigned int action = 0; action < 256; action++)
			for (unsigned int fill = 0; fill < 2; fill++) {
				uint8_t bytes[SCSI_CDB_MAX], *cdb;
				struct scsi_cdb_info info;
				bool passes;

				memset(bytes, fill ? 0xff : 0, sizeof(bytes));
				bytes[0] = (uint8_t)opcode;
				bytes[opcode == 0x7f ? 7 : 1] = (uint8_t)action;
				cdb = check_copy(bytes, scsi_cdb_length(bytes));
				scsi_cdb_describe(cdb, &info);
				passes = scsi_cdb_passes_closed_gate(cdb);
				free(cdb);

				CHECK_NOTE(info.name);
				CHECK(info.name && info.name[0]);
				CHECK(info.direction <= SCSI_DIR_OUT);
				CHECK(info.class <= SCSI_CLASS_RESERVE);
				CHECK(info.timeout_ms >= 30000);
				CHECK_INT(passes, info.class == SCSI_CLASS_U ||
							  info.class == SCSI_CLASS_R ||
							  opcode == 0x35 || opcode == 0x91);
				if (!scsi_cdb_sized_by_libtcmu((uint8_t)opcode)) {
					CHECK_STR(info.name, "unknown operation code");
					CHECK(!info.listed && !passes);
				}
				CHECK(!info.rewrite || info.direction == SCSI_DIR_IN);
			}
}

static void lengths(void)
{
	for (unsigned int opcode = 0; opcode < 256; opcode++) {
		uint8_t cdb[8] = {(uint8_t)opcode};
		size_t want = opcode < 0x20   ? 6
			      : opcode < 0x60 ? 10
			      : opcode < 0x7f ? 16
			      : opcode < 0x80 ? 8
			      : opcode < 0xa0 ? 16
			      : opcode < 0xc0 ? 12
					      : 16;

		CHECK_INT(scsi_cdb_length(cdb), want);
		CHECK_INT(scsi_cdb_sized_by_libtcmu((uint8_t)opcode),
			  opcode < 0x60 || opcode == 0x7f || (opcode >= 0x80 && opcode < 0xc0));
		/* byte 7 is 7Fh's alone */
		if (opcode != 0x7f) {
			uint8_t *one = check_copy(cdb, 1);

			CHECK_INT(scsi_cdb_length(one), want);
			free(one);
		}
	}
	for (unsigned int additional = 0; additional < 256; additional++) {
		uint8_t cdb[8] = {0x7f, 0, 0, 0, 0, 0, 0, (uint8_t)additional};

		CHECK_INT(scsi_cdb_length(cdb), 8 + additional);
		CHECK(scsi_cdb_length(cdb) <= SCSI_CDB_MAX);
	}
}

static void rewrite(void)
{
	static const struct {
		uint8_t cdb[16];
		bool want;
	} cases[] = {
		{{0x12, 1, 0xb0}, true}, {{0x12, 0, 0xb0}, false}, {{0x12, 1, 0x83}, false},
		{{0x5e, 2}, true},	 {{0x5e, 0xe2}, true},	   {{0x5e, 1}, false},
		{{0x5e, 3}, false},	 {{0xa3, 0x0c}, true},	   {{0xa3, 0x0d}, false},
		{{0xa4, 0x0c}, false},	 {{0x5f, 2}, false},	   {{0x28, 1, 0xb0}, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scsi_cdb_info info;

		scsi_cdb_describe(cases[i].cdb, &info);
		CHECK_NOTE(info.name);
		CHECK_INT(info.rewrite, cases[i].want);
	}
}

static uint32_t timeout_s(uint8_t opcode)
{
	uint8_t cdb[SCSI_CDB_MAX] = {opcode};
	struct scsi_cdb_info info;

	scsi_cdb_describe(cdb, &info);
	return info.timeout_ms / 1000;
}

static void timeouts(void)
{
	CHECK_INT(timeout_s(0x28), 60);
	CHECK_INT(timeout_s(0x8a), 60);
	CHECK_INT(timeout_s(0x5f), 60);
	CHECK(timeout_s(0x41) >= 600);
	CHECK(timeout_s(0x42) >= 600);
	CHECK(timeout_s(0x8f) >= 600);
	CHECK(timeout_s(0x35) >= 600);
	CHECK(timeout_s(0x04) >= 3 * 3600);
	CHECK(timeout_s(0x48) >= 3 * 3600);
}

static void closed_gate(void)
{
	static const uint8_t passing[][6] = {{0x00}, {0x12}, {0x28}, {0x88}, {0x2f, 2},
					     {0x35}, {0x91}, {0x5e}, {0xa0}, {0x1b, 0, 0, 0, 1},
					     {0x1e}};
	static const uint8_t held[][6] = {{0x2a}, {0x8a}, {0x42}, {0x5f}, {0x16},
					  {0x17}, {0x56}, {0x57}, {0x1b}, {0x1e, 0, 0, 0, 1},
					  {0xc1}, {0x60}, {0x15}};
	uint8_t cdb[SCSI_CDB_MAX] = {0};

	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		memcpy(cdb, passing[i], 6);
		CHECK(scsi_cdb_passes_closed_gate(cdb));
	}
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
		memcpy(cdb, held[i], 6);
		CHECK(!scsi_cdb_passes_closed_gate(cdb));
	}
}

static void unit_attentions(void)
{
	for (unsigned int opcode = 0; opcode < 256; opcode++)
		CHECK_INT(scsi_cdb_ignores_unit_attention((uint8_t)opcode),
			  opcode == 0x12 || opcode == 0xa0 || opcode == 0x03);
}

int main(void)
{
	CHECK_RUN(describe);
	CHECK_RUN(describe_everything);
	CHECK_RUN(lengths);
	CHECK_RUN(rewrite);
	CHECK_RUN(timeouts);
	CHECK_RUN(closed_gate);
	CHECK_RUN(unit_attentions);
	return check_summary();
}
