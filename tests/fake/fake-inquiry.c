/* SPDX-License-Identifier: Apache-2.0 */
/* What tells an initiator who the LUN is (SPC-4, SBC-3). */
#include "fake-internal.h"

#include <stdio.h>
#include <string.h>

#define VERSION_SPC_4 0x06
#define MAX_TRANSFER_BLOCKS 2048
#define COMPARE_BLOCKS_MAX 8

static void standard(struct fake_exec *exec)
{
	uint8_t data[74] = {0};

	data[2] = VERSION_SPC_4;
	data[3] = 0x12; /* HISUP, response data format 2 */
	data[4] = sizeof(data) - 5;
	data[5] = 0x10; /* TPGS implicit */
	data[7] = 0x02; /* CMDQUE */
	memcpy(data + 8, "PRMIG   ", 8);
	memcpy(data + 16, "FAKE LUN        ", 16);
	memcpy(data + 32, "0001", 4);
	put16(data + 58, 0x0460); /* SPC-4 */
	put16(data + 60, 0x04c0); /* SBC-3 */
	put16(data + 62, 0x00a0); /* SAM-5 */
	fake_reply(exec, data, sizeof(data), get16(exec->cdb + 3));
}

static size_t page_device_identification(struct fake_exec *exec, uint8_t *page)
{
	const struct fake_nexus *nexus = &exec->lun->nexus[exec->nexus];
	uint8_t *at = page + 4;

	at[0] = 0x01; /* binary */
	at[1] = 0x03; /* NAA, of the logical unit */
	at[3] = 16;
	put64(at + 4, exec->lun->naa);
	put64(at + 12, 1);
	at += 20;
	at[0] = 0x51; /* iSCSI, binary */
	at[1] = 0x94; /* PIV, of the target port: relative target port identifier */
	at[3] = 4;
	put16(at + 6, nexus->port);
	at += 8;
	at[0] = 0x51;
	at[1] = 0x95; /* PIV, target port group */
	at[3] = 4;
	put16(at + 6, 1);
	at += 8;
	return (size_t)(at - page);
}

static size_t page_block_limits(uint8_t *page)
{
	page[4] = 1; /* WSNZ */
	page[5] = COMPARE_BLOCKS_MAX;
	put16(page + 6, 8);
	put32(page + 8, MAX_TRANSFER_BLOCKS);
	put32(page + 12, 128);
	put32(page + 20, UINT32_MAX); /* UNMAP: blocks, descriptors */
	put32(page + 24, 255);
	put64(page + 36, UINT32_MAX); /* WRITE SAME */
	return 64;
}

static void vital_product_data(struct fake_exec *exec)
{
	static const uint8_t pages[] = {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2};
	uint8_t page[256] = {0};
	size_t len;

	switch (exec->cdb[2]) {
	case 0x00:
		memcpy(page + 4, pages, sizeof(pages));
		len = 4 + sizeof(pages);
		break;
	case 0x80:
		len = 4 + (size_t)snprintf((char *)page + 4, 20, "%016llx",
					   (unsigned long long)exec->lun->naa);
		break;
	case 0x83:
		len = page_device_identification(exec, page);
		break;
	case 0xb0:
		len = page_block_limits(page);
		break;
	case 0xb1:
		put16(page + 4, 1); /* does not turn */
		len = 64;
		break;
	case 0xb2:
		page[5] = 0xe4; /* LBPU, LBPWS, LBPWS10, LBPRZ */
		page[6] = 0x02; /* thin */
		len = 8;
		break;
	default:
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
		return;
	}
	page[1] = exec->cdb[2];
	put16(page + 2, (uint16_t)(len - 4));
	fake_reply(exec, page, len, get16(exec->cdb + 3));
}

void fake_inquiry(struct fake_exec *exec)
{
	if (exec->cdb[1] & 1)
		vital_product_data(exec);
	else if (exec->cdb[2] != 0)
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
	else
		standard(exec);
}

void fake_read_capacity_10(struct fake_exec *exec)
{
	uint64_t last = exec->lun->blocks - 1;
	uint8_t data[8];

	put32(data, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	put32(data + 4, exec->lun->block_len);
	fake_reply(exec, data, sizeof(data), SIZE_MAX);
}

void fake_read_capacity_16(struct fake_exec *exec)
{
	uint8_t data[32] = {0};

	put64(data, exec->lun->blocks - 1);
	put32(data + 8, exec->lun->block_len);
	data[14] = 0xc0; /* LBPME, LBPRZ */
	fake_reply(exec, data, sizeof(data), get32(exec->cdb + 10));
}

void fake_report_luns(struct fake_exec *exec)
{
	uint8_t data[16] = {0};

	put32(data, 8);
	fake_reply(exec, data, sizeof(data), get32(exec->cdb + 6));
}

/* A unit attention that waits is the data here, and is gone then. */
void fake_request_sense(struct fake_exec *exec)
{
	struct fake_result sense = {0};
	uint16_t asc_ascq;

	if (fake_ua_take(&exec->pr, exec->nexus, &asc_ascq))
		fake_sense(&sense, KEY_UNIT_ATTENTION, asc_ascq);
	else
		fake_sense(&sense, KEY_NONE, 0);
	fake_reply(exec, sense.sense, sense.sense_len, exec->cdb[4]);
}

void fake_report_target_port_groups(struct fake_exec *exec)
{
	bool extended = exec->cdb[1] >> 5 == 1;
	uint8_t data[64] = {0};
	size_t len = extended ? 8 : 4;

	if (extended)
		data[4] = 0x10;
	data[len + 1] = 0x01; /* active/optimized alone */
	put16(data + len + 2, 1);
	data[len + 7] = 1;
	put16(data + len + 10, exec->lun->nexus[exec->nexus].port);
	len += 12;
	put32(data, (uint32_t)len - 4);
	fake_reply(exec, data, len, get32(exec->cdb + 6));
}
