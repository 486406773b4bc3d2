/* SPDX-License-Identifier: Apache-2.0 */
/* INQUIRY: who the disk is (SPC-4), and its limits (SBC-3). */
#include "disk-internal.h"

#include <string.h>

#include "be.h"

#define STANDARD_LEN 74
#define VERSION_SPC_4 0x06
#define PAGE_HEADER_LEN 4
#define BLOCK_LIMITS_LEN 64
#define CHARACTERISTICS_LEN 64
#define PROVISIONING_LEN 8
#define OPTIMAL_TRANSFER_BYTES 65536u /* a multiple of every physical block */
#define PORT_DESCRIPTOR_LEN 8

enum vpd_page {
	PAGE_SUPPORTED = 0x00,
	PAGE_SERIAL = 0x80,
	PAGE_IDENTIFICATION = 0x83,
	PAGE_BLOCK_LIMITS = 0xb0,
	PAGE_CHARACTERISTICS = 0xb1,
	PAGE_PROVISIONING = 0xb2,
};

static void standard(struct disk_command *command)
{
	uint8_t *data = command->reply;

	data[2] = VERSION_SPC_4;
	data[3] = 0x12; /* HISUP, response data format 2 */
	data[4] = STANDARD_LEN - 5;
	data[7] = 0x02; /* CMDQUE */
	memcpy(data + 8, "PRMIG   ", 8);
	memcpy(data + 16, "DISK            ", 16);
	memcpy(data + 32, "0001", 4);
	be_put16(data + 58, 0x00a0); /* SAM-5 */
	be_put16(data + 60, 0x0460); /* SPC-4 */
	be_put16(data + 62, 0x04c0); /* SBC-3 */
	disk_reply(command, STANDARD_LEN);
}

static size_t put_supported(uint8_t *page)
{
	static const uint8_t pages[] = {PAGE_SUPPORTED,	      PAGE_SERIAL,
					PAGE_IDENTIFICATION,  PAGE_BLOCK_LIMITS,
					PAGE_CHARACTERISTICS, PAGE_PROVISIONING};

	memcpy(page + PAGE_HEADER_LEN, pages, sizeof(pages));
	return PAGE_HEADER_LEN + sizeof(pages);
}

static size_t put_serial(const struct disk *disk, uint8_t *page)
{
	size_t len = strlen(disk->serial);

	memcpy(page + PAGE_HEADER_LEN, disk->serial, len);
	return PAGE_HEADER_LEN + len;
}

/* The one port is relative target port 1, on every host. */
static size_t put_identification(const struct disk *disk, uint8_t *page)
{
	uint8_t *at = page + PAGE_HEADER_LEN;

	memcpy(at, disk->designator, disk->designator_len);
	at += disk->designator_len;
	at[0] = 0x01; /* binary */
	at[1] = 0x14; /* of the target port: relative target port identifier */
	at[3] = PORT_DESCRIPTOR_LEN - 4;
	be_put16(at + 6, 1);
	return (size_t)(at + PORT_DESCRIPTOR_LEN - page);
}

static size_t put_block_limits(const struct disk *disk, uint8_t *page)
{
	page[4] = 0x01; /* WSNZ: WRITE SAME says how many blocks it means */
	page[5] = DISK_COMPARE_MAX;
	be_put16(page + 6, (uint16_t)(1u << disk->granularity_exponent));
	be_put32(page + 8, DISK_TRANSFER_MAX);
	be_put32(page + 12, OPTIMAL_TRANSFER_BYTES / disk->block_len_bytes);
	if (disk->thin) {
		be_put32(page + 20, UINT32_MAX);
		be_put32(page + 24, DISK_EXTENTS_MAX);
		be_put32(page + 28, 1u << disk->granularity_exponent);
		page[32] = 0x80; /* UGAVALID: aligned with LBA 0 */
	}
	be_put64(page + 36, DISK_WRITE_SAME_MAX);
	return BLOCK_LIMITS_LEN;
}

static size_t put_provisioning(const struct disk *disk, uint8_t *page)
{
	if (disk->thin) {
		page[5] = 0x80 | 0x40 | 0x20 | 0x04; /* LBPU, LBPWS, LBPWS10, LBPRZ */
		page[6] = 0x02;			     /* thin provisioned */
	}
	return PROVISIONING_LEN;
}

static void vpd_page(const struct disk *disk, uint8_t code, struct disk_command *command)
{
	uint8_t *page = command->reply;
	size_t len;

	switch (code) {
	case PAGE_SUPPORTED:
		len = put_supported(page);
		break;
	case PAGE_SERIAL:
		len = put_serial(disk, page);
		break;
	case PAGE_IDENTIFICATION:
		len = put_identification(disk, page);
		break;
	case PAGE_BLOCK_LIMITS:
		len = put_block_limits(disk, page);
		break;
	case PAGE_CHARACTERISTICS:
		be_put16(page + 4, 1); /* MEDIUM ROTATION RATE: none */
		len = CHARACTERISTICS_LEN;
		break;
	case PAGE_PROVISIONING:
		len = put_provisioning(disk, page);
		break;
	default:
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 2);
		return;
	}
	page[1] = code;
	be_put16(page + 2, (uint16_t)(len - PAGE_HEADER_LEN));
	disk_reply(command, len);
}

void disk_inquiry(const struct disk *disk, const uint8_t *cdb, struct disk_command *command)
{
	command->allocation_len = be_get16(cdb + 3);
	if (cdb[1] & 0x01) /* EVPD */
		vpd_page(disk, cdb[2], command);
	else if (cdb[2] != 0)
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 2);
	else
		standard(command);
}
