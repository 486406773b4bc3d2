/* SPDX-License-Identifier: Apache-2.0 */
/* REPORT SUPPORTED OPERATION CODES of a LUN whose reservations prmig decides on. */
#include "check.h"
#include "scsi.h"

#define RSOC                                                                                       \
	{                                                                                          \
		0xa3, 0x0c                                                                         \
	}

static uint8_t data[512];

static size_t put(size_t len, uint8_t operation_code, uint8_t service_action)
{
	memset(data + len, 0, 8);
	data[len] = operation_code;
	data[len + 3] = service_action;
	data[len + 5] = service_action != 0;
	data[3] = (uint8_t)(len + 4);
	return len + 8;
}

static unsigned int count(size_t len, uint8_t operation_code)
{
	unsigned int found = 0;

	for (size_t at = 4; at < len; at += 8)
		found += data[at] == operation_code;
	return found;
}

static void all(void)
{
	uint8_t cdb[12] = RSOC;
	size_t len = 4;

	len = put(len, SCSI_INQUIRY, 0);
	len = put(len, SCSI_RESERVE_6, 0);
	len = put(len, SCSI_PR_OUT, 8); /* REPLACE LOST RESERVATION */
	len = put(len, SCSI_RELEASE_10, 0);
	len = scsi_rsoc_emulate(cdb, data, len, sizeof(data));
	CHECK_INT(len, 4 + 8 * (1 + 4 + 8));
	CHECK_INT(data[2] << 8 | data[3], len - 4);
	CHECK_INT(count(len, SCSI_INQUIRY), 1);
	CHECK_INT(count(len, SCSI_PR_IN), 4);
	CHECK_INT(count(len, SCSI_PR_OUT), 8);
	CHECK_INT(count(len, SCSI_RESERVE_6) + count(len, SCSI_RELEASE_10), 0);
}

static void one(void)
{
	uint8_t cdb[12] = {0xa3, 0x0c, 2, SCSI_PR_OUT, 0, 7};

	memset(data, 0, sizeof(data));
	data[1] = 1;
	CHECK_INT(scsi_rsoc_emulate(cdb, data, 4, sizeof(data)), 14);
	CHECK_INT(data[1], 3);
	CHECK_INT(data[4], SCSI_PR_OUT);
	CHECK_INT(data[5], 7);
	cdb[5] = 8;
	CHECK_INT(scsi_rsoc_emulate(cdb, data, 14, sizeof(data)), 4);
	CHECK_INT(data[1], 1);
	cdb[2] = 1;
	cdb[3] = SCSI_RESERVE_10;
	data[1] = 3;
	CHECK_INT(scsi_rsoc_emulate(cdb, data, 14, sizeof(data)), 4);
	CHECK_INT(data[1], 1);
	/* What is not of reservations is the LUN's answer. */
	cdb[3] = SCSI_INQUIRY;
	data[1] = 3;
	CHECK_INT(scsi_rsoc_emulate(cdb, data, 10, sizeof(data)), 10);
	CHECK_INT(data[1], 3);
}

int main(void)
{
	CHECK_RUN(all);
	CHECK_RUN(one);
	return check_summary();
}
