/* SPDX-License-Identifier: Apache-2.0 */
/* Which way a command takes to a multipath map, and what a LUN with several paths offers. */
#include <stdalign.h>

#include "be.h"
#include "check.h"
#include "lun-mpath-cdb.h"
#include "pr.h"

#define BLOCK_LEN 512
#define BLOCKS 0x200000

static alignas(4096) uint8_t buffer[256 * BLOCK_LEN + BLOCK_LEN];
static struct mpath_command command;

static enum mpath_operation parse(const uint8_t *cdb, enum scsi_direction direction, void *data,
				  uint32_t len)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct lun_io io = {
		.cdb = cdb,
		.cdb_len = scsi_cdb_length(cdb),
		.direction = len > 0 ? direction : SCSI_DIR_NONE,
		.iov = &iov,
		.iov_cnt = len > 0 ? 1 : 0,
		.data_len = len,
	};

	mpath_command_parse(&io, BLOCK_LEN, BLOCKS, &command);
	return command.operation;
}

static void test_reads_and_writes(void)
{
	static const uint8_t read_6[6] = {0x08, 0xe1, 0x02, 0x03, 2};
	static const uint8_t write_6_of_256[6] = {0x0a, 0, 0, 1, 0};
	static const uint8_t read_10[10] = {0x28, 0, 0, 0x12, 0x34, 0x56, 0, 0, 3};
	static const uint8_t write_10_fua[10] = {0x2a, 0x18, 0, 0, 0, 1, 0, 0, 1};
	static const uint8_t read_12[12] = {0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 4};
	static const uint8_t write_12[12] = {0xaa, 0, 0, 0, 0, 7, 0, 0, 0, 4};
	static const uint8_t read_16[16] = {0x88, [9] = 9, [13] = 1};
	static const uint8_t write_16[16] = {0x8a, [7] = 0x1f, [8] = 0xff, [9] = 0xff, [13] = 1};

	CHECK_INT(parse(read_6, SCSI_DIR_IN, buffer, 2 * BLOCK_LEN), MPATH_READ);
	CHECK_INT(command.offset_bytes, 0x10203 * BLOCK_LEN);
	CHECK_INT(parse(write_6_of_256, SCSI_DIR_OUT, buffer, 256 * BLOCK_LEN), MPATH_WRITE);
	CHECK_INT(command.offset_bytes, BLOCK_LEN);
	CHECK(!command.durable);
	CHECK_INT(parse(read_10, SCSI_DIR_IN, buffer, 3 * BLOCK_LEN), MPATH_READ);
	CHECK_INT(command.offset_bytes, 0x123456L * BLOCK_LEN);
	CHECK_INT(parse(write_10_fua, SCSI_DIR_OUT, buffer, BLOCK_LEN), MPATH_WRITE);
	CHECK(command.durable);
	CHECK_INT(parse(read_12, SCSI_DIR_IN, buffer, 4 * BLOCK_LEN), MPATH_READ);
	CHECK_INT(parse(write_12, SCSI_DIR_OUT, buffer, 4 * BLOCK_LEN), MPATH_WRITE);
	CHECK_INT(parse(read_16, SCSI_DIR_IN, buffer, BLOCK_LEN), MPATH_READ);
	CHECK_INT(command.offset_bytes, 9 * BLOCK_LEN);
	CHECK_INT(parse(write_16, SCSI_DIR_OUT, buffer, BLOCK_LEN), MPATH_WRITE);
	CHECK_INT(command.offset_bytes, (BLOCKS - 1L) * BLOCK_LEN);
}

/* What the block layer cannot say goes to the LUN as it is. */
static void test_passed(void)
{
	static const uint8_t read_fua[10] = {0x28, 0x08, 0, 0, 0, 0, 0, 0, 1};
	static const uint8_t read_protect[10] = {0x28, 0x20, 0, 0, 0, 0, 0, 0, 1};
	static const uint8_t write_protect[10] = {0x2a, 0x20, 0, 0, 0, 0, 0, 0, 1};
	static const uint8_t read_none[10] = {0x28};
	static const uint8_t read_one[10] = {0x28, 0, 0, 0, 0, 0, 0, 0, 1};
	static const uint8_t beyond[10] = {0x28, 0, 0, 0x20, 0, 0, 0, 0, 1};
	static const uint8_t across[10] = {0x28, 0, 0, 0x1f, 0xff, 0xff, 0, 0, 2};
	static const uint8_t far[16] = {0x88, 0,    0xff, 0xff, 0xff,	 0xff,
					0xff, 0xff, 0xff, 0xff, [13] = 1};
	static const uint8_t inquiry[6] = {0x12, 0, 0, 0, 36};
	static const uint8_t compare[16] = {0x89, [13] = 1};
	struct iovec iov[2] = {{buffer, 100}, {buffer + 100, BLOCK_LEN - 100}};
	struct lun_io split = {
		.cdb = read_one,
		.cdb_len = 10,
		.direction = SCSI_DIR_IN,
		.iov = iov,
		.iov_cnt = 2,
		.data_len = BLOCK_LEN,
	};

	CHECK_INT(parse(read_fua, SCSI_DIR_IN, buffer, BLOCK_LEN), MPATH_PASS);
	CHECK_INT(parse(read_protect, SCSI_DIR_IN, buffer, BLOCK_LEN), MPATH_PASS);
	CHECK_INT(parse(write_protect, SCSI_DIR_OUT, buffer, BLOCK_LEN), MPATH_PASS);
	CHECK_INT(parse(read_none, SCSI_DIR_IN, buffer, 0), MPATH_PASS);
	CHECK_INT(parse(read_one, SCSI_DIR_IN, buffer, 0), MPATH_PASS);
	CHECK_INT(parse(read_one, SCSI_DIR_IN, buffer, BLOCK_LEN / 2), MPATH_PASS);
	CHECK_INT(parse(read_one, SCSI_DIR_IN, buffer, 2 * BLOCK_LEN), MPATH_PASS);
	CHECK_INT(parse(read_one, SCSI_DIR_IN, buffer + 4, BLOCK_LEN), MPATH_PASS);
	CHECK_INT(parse(read_one, SCSI_DIR_OUT, buffer, BLOCK_LEN), MPATH_PASS);
	CHECK_INT(parse(beyond, SCSI_DIR_IN, buffer, BLOCK_LEN), MPATH_PASS);
	CHECK_INT(parse(across, SCSI_DIR_IN, buffer, 2 * BLOCK_LEN), MPATH_PASS);
	CHECK_INT(parse(far, SCSI_DIR_IN, buffer, BLOCK_LEN), MPATH_PASS);
	CHECK_INT(parse(inquiry, SCSI_DIR_IN, buffer, 36), MPATH_PASS);
	CHECK_INT(parse(compare, SCSI_DIR_OUT, buffer, 2 * BLOCK_LEN), MPATH_PASS);
	mpath_command_parse(&split, BLOCK_LEN, BLOCKS, &command);
	CHECK_INT(command.operation, MPATH_PASS);
}

static void test_others(void)
{
	static const uint8_t flushes[] = {SCSI_SYNCHRONIZE_CACHE_10, SCSI_SYNCHRONIZE_CACHE_16};
	static const uint8_t reservations[] = {SCSI_PR_IN,	SCSI_PR_OUT,	SCSI_RESERVE_6,
					       SCSI_RESERVE_10, SCSI_RELEASE_6, SCSI_RELEASE_10};
	uint8_t cdb[16] = {0};

	for (size_t i = 0; i < sizeof(flushes); i++) {
		cdb[0] = flushes[i];
		CHECK_INT(parse(cdb, SCSI_DIR_NONE, NULL, 0), MPATH_FLUSH);
	}
	for (size_t i = 0; i < sizeof(reservations); i++) {
		cdb[0] = reservations[i];
		CHECK_INT(parse(cdb, SCSI_DIR_NONE, NULL, 0), MPATH_RESERVATION);
	}
}

static void test_repeatable(void)
{
	static const uint8_t yes[] = {0x00, 0x08, 0x0a, 0x12, 0x1a, 0x25, 0x28, 0x2a,
				      0x35, 0x41, 0x42, 0x88, 0x8a, 0x93, 0x91};
	/* MODE SELECT, START STOP UNIT, PERSISTENT RESERVE OUT, COMPARE AND WRITE, ORWRITE, and what nobody knows. */
	static const uint8_t no[] = {0x15, 0x1b, 0x5f, 0x89, 0x8b, 0xd0};
	uint8_t cdb[16] = {0};

	for (size_t i = 0; i < sizeof(yes); i++) {
		cdb[0] = yes[i];
		CHECK(mpath_command_repeatable(cdb));
	}
	for (size_t i = 0; i < sizeof(no); i++) {
		cdb[0] = no[i];
		CHECK(!mpath_command_repeatable(cdb));
	}
}

/* Types that let one nexus write, which is one path. */
static void test_refusal(void)
{
	static const uint8_t actions[] = {PR_OUT_RESERVE, PR_OUT_PREEMPT, PR_OUT_PREEMPT_AND_ABORT};
	uint8_t cdb[10] = {SCSI_PR_OUT};

	for (size_t i = 0; i < sizeof(actions); i++) {
		cdb[1] = actions[i];
		for (uint8_t type = 5; type <= 8; type++) {
			cdb[2] = type;
			CHECK_INT(mpath_command_refusal(cdb), 0);
		}
		cdb[2] = PR_TYPE_WRITE_EXCLUSIVE;
		CHECK_INT(mpath_command_refusal(cdb), SCSI_ASC_INVALID_FIELD_IN_CDB);
		cdb[2] = PR_TYPE_EXCLUSIVE_ACCESS;
		CHECK_INT(mpath_command_refusal(cdb), SCSI_ASC_INVALID_FIELD_IN_CDB);
	}
	/* The field is not looked at by these. */
	cdb[1] = PR_OUT_REGISTER;
	CHECK_INT(mpath_command_refusal(cdb), 0);
	cdb[1] = PR_OUT_CLEAR;
	CHECK_INT(mpath_command_refusal(cdb), 0);
	cdb[0] = SCSI_RESERVE_6;
	CHECK_INT(mpath_command_refusal(cdb), SCSI_ASC_INVALID_OPERATION_CODE);
	cdb[0] = SCSI_RELEASE_10;
	CHECK_INT(mpath_command_refusal(cdb), SCSI_ASC_INVALID_OPERATION_CODE);
	cdb[0] = SCSI_PR_IN;
	CHECK_INT(mpath_command_refusal(cdb), 0);
}

static void test_capabilities(void)
{
	uint8_t all[8] = {0, 8, 0x11, 0x81, 0xea, 0x01};
	uint8_t cut[4] = {0, 8, 0x11, 0x81};
	struct pr_capabilities capabilities;

	mpath_capabilities_mask(all, sizeof(all));
	CHECK(pr_capabilities_parse(all, sizeof(all), &capabilities));
	CHECK_INT(capabilities.type_mask, 0xe001);
	CHECK(capabilities.ptpl_a);
	mpath_capabilities_mask(cut, sizeof(cut));
	CHECK_INT(cut[3], 0x81);
}

int main(void)
{
	CHECK_RUN(test_reads_and_writes);
	CHECK_RUN(test_passed);
	CHECK_RUN(test_others);
	CHECK_RUN(test_repeatable);
	CHECK_RUN(test_refusal);
	CHECK_RUN(test_capabilities);
	return check_summary();
}
