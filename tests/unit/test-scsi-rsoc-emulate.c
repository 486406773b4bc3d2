/* SPDX-License-Identifier: Apache-2.0 */
/* REPORT SUPPORTED OPERATION CODES of a LUN whose reservations are prmig's own. */
#include "be.h"
#include "check.h"
#include "scsi.h"

#define ALL_LEN 1024

static uint8_t data[ALL_LEN];

static void cdb_of(uint8_t *cdb, uint8_t options, uint8_t opcode, uint16_t action)
{
	memset(cdb, 0, 12);
	cdb[0] = 0xa3;
	cdb[1] = 0x0c;
	cdb[2] = options;
	cdb[3] = opcode;
	be_put16(cdb + 4, action);
	be_put32(cdb + 6, ALL_LEN);
}

/* Descriptors of the LUN: READ (10), RESERVE (6), PERSISTENT RESERVE OUT, REGISTER, WRITE (10). */
static size_t put_lun(bool timeouts)
{
	static const uint8_t opcodes[] = {0x28, 0x16, 0x5f, 0x2a};
	size_t len = 4;

	memset(data, 0xee, sizeof(data));
	for (size_t i = 0; i < sizeof(opcodes); i++) {
		memset(data + len, 0, 20);
		data[len] = opcodes[i];
		data[len + 5] = (uint8_t)((opcodes[i] == 0x5f) | (timeouts ? 2 : 0));
		data[len + 7] = opcodes[i] == 0x16 ? 6 : 10;
		if (timeouts)
			data[len + 9] = 10;
		len += timeouts ? 20 : 8;
	}
	be_put32(data, (uint32_t)(len - 4));
	return len;
}

static void check_all(bool timeouts)
{
	size_t each = timeouts ? 20 : 8, len;
	uint8_t cdb[12];

	cdb_of(cdb, timeouts ? 0x80 : 0, 0, 0);
	len = scsi_rsoc_emulate(cdb, data, put_lun(timeouts), ALL_LEN);
	CHECK_INT(len, 4 + (2 + 4 + 8) * each);
	CHECK_INT(be_get32(data), len - 4);
	CHECK_INT(data[4], 0x28);
	CHECK_INT(data[4 + each], 0x2a);
	for (size_t i = 0; i < 12; i++) {
		const uint8_t *descriptor = data + 4 + (2 + i) * each;

		CHECK_INT(descriptor[0], i < 4 ? 0x5e : 0x5f);
		CHECK_INT(be_get16(descriptor + 2), i < 4 ? i : i - 4);
		CHECK_INT(descriptor[5], timeouts ? 0x03 : 0x01);
		CHECK_INT(be_get16(descriptor + 6), 10);
		if (timeouts)
			CHECK_BYTES(descriptor + 8, "\0\x0a\0\0\0\0\0\0\0\0\0\0", 12);
	}
}

static void test_all(void)
{
	uint8_t cdb[12];

	check_all(false);
	check_all(true);
	/* Only whole descriptors. */
	cdb_of(cdb, 0x80, 0, 0);
	CHECK_INT(scsi_rsoc_emulate(cdb, data, put_lun(true), 4 + 5 * 20 + 19), 4 + 5 * 20);
}

static void test_one(void)
{
	static const uint8_t in[] = {0, 3, 0, 10, 0x5e, 2, 0, 0, 0, 0, 0, 0xff, 0xff, 0};
	uint8_t cdb[12];

	cdb_of(cdb, 2, 0x5e, 2);
	CHECK_INT(scsi_rsoc_emulate(cdb, data, 4, ALL_LEN), sizeof(in));
	CHECK_BYTES(data, in, sizeof(in));
	cdb_of(cdb, 0x83, 0x5e, 2);
	CHECK_INT(scsi_rsoc_emulate(cdb, data, 4, ALL_LEN), sizeof(in) + 12);
	CHECK_INT(data[1], 0x83);
	CHECK_BYTES(data + 2, in + 2, sizeof(in) - 2);
	CHECK_BYTES(data + sizeof(in), "\0\x0a\0\0\0\0\0\0\0\0\0\0", 12);
	cdb_of(cdb, 2, 0x5f, 8);
	CHECK_INT(scsi_rsoc_emulate(cdb, data, 14, ALL_LEN), 4);
	CHECK_INT(data[1], 1);
	cdb_of(cdb, 1, 0x16, 0);
	CHECK_INT(scsi_rsoc_emulate(cdb, data, 10, ALL_LEN), 4);
	CHECK_INT(data[1], 1);
	cdb_of(cdb, 1, 0x28, 0);
	CHECK_INT(scsi_rsoc_emulate(cdb, data, 14, ALL_LEN), 14);
}

static void test_refused(void)
{
	const uint8_t port_groups[12] = {0xa3, 0x0a, 1, 0x5e};
	uint8_t cdb[12];

	cdb_of(cdb, 1, 0x5e, 0);
	CHECK(scsi_rsoc_emulate_refuses(cdb));
	cdb_of(cdb, 0x81, 0x5f, 0);
	CHECK(scsi_rsoc_emulate_refuses(cdb));
	cdb_of(cdb, 2, 0x5e, 0);
	CHECK(!scsi_rsoc_emulate_refuses(cdb));
	cdb_of(cdb, 1, 0x28, 0);
	CHECK(!scsi_rsoc_emulate_refuses(cdb));
	CHECK(!scsi_rsoc_emulate_refuses(port_groups));
	CHECK(scsi_cdb_is_rsoc(cdb));
	CHECK(!scsi_cdb_is_rsoc(port_groups));
}

int main(void)
{
	CHECK_RUN(test_all);
	CHECK_RUN(test_one);
	CHECK_RUN(test_refused);
	return check_summary();
}
