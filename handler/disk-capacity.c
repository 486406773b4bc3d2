/* SPDX-License-Identifier: Apache-2.0 */
/* READ CAPACITY and GET LBA STATUS, SBC-3. */
#include "disk-internal.h"

#include <string.h>

#include "be.h"

#define CAPACITY_10_LEN 8
#define CAPACITY_16_LEN 32
#define LBPME 0x8000 /* with LBPRZ and the lowest aligned LBA */
#define LBPRZ 0x4000
#define LBA_STATUS_HEADER_LEN 8
#define LBA_STATUS_DESCRIPTOR_LEN 16
#define DEALLOCATED 1

/* Without PMI an LBA means nothing, and must be zero. */
static bool lba_allowed(const struct disk *disk, uint64_t lba, bool pmi,
			struct disk_command *command)
{
	if (!pmi && lba != 0) {
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 2);
		return false;
	}
	if (lba >= disk->blocks) {
		disk_refuse(command, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
		return false;
	}
	return true;
}

void disk_capacity_10(const struct disk *disk, const uint8_t *cdb, struct disk_command *command)
{
	uint64_t last = disk->blocks - 1;

	if (!lba_allowed(disk, be_get32(cdb + 2), cdb[8] & 0x01, command))
		return;
	be_put32(command->reply, last < UINT32_MAX ? (uint32_t)last : UINT32_MAX);
	be_put32(command->reply + 4, disk->block_len_bytes);
	command->allocation_len = CAPACITY_10_LEN;
	disk_reply(command, CAPACITY_10_LEN);
}

void disk_capacity_16(const struct disk *disk, const uint8_t *cdb, struct disk_command *command)
{
	if (!lba_allowed(disk, be_get64(cdb + 2), cdb[14] & 0x01, command))
		return;
	be_put64(command->reply, disk->blocks - 1);
	be_put32(command->reply + 8, disk->block_len_bytes);
	command->reply[13] = disk->physical_exponent;
	be_put16(command->reply + 14, disk->thin ? LBPME | LBPRZ : 0);
	command->allocation_len = be_get32(cdb + 10);
	disk_reply(command, CAPACITY_16_LEN);
}

void disk_lba_status(const struct disk *disk, const uint8_t *cdb, struct disk_command *command)
{
	command->lba = be_get64(cdb + 2);
	command->allocation_len = be_get32(cdb + 10);
	if (command->lba >= disk->blocks)
		disk_refuse(command, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
	else
		command->action = DISK_LBA_STATUS;
}

void disk_put_lba_status(struct disk_command *command, const struct disk_lba_status *runs,
			 size_t count)
{
	uint8_t *at = command->reply + LBA_STATUS_HEADER_LEN;
	uint64_t lba = command->lba;

	for (size_t i = 0; i < count; i++) {
		/* The field's limit: the next command goes on from there. */
		uint32_t blocks =
			runs[i].blocks < UINT32_MAX ? (uint32_t)runs[i].blocks : UINT32_MAX;

		be_put64(at, lba);
		be_put32(at + 8, blocks);
		at[12] = runs[i].mapped ? 0 : DEALLOCATED;
		at += LBA_STATUS_DESCRIPTOR_LEN;
		lba += blocks;
		if (blocks == UINT32_MAX)
			break;
	}
	/* What follows the length itself: four reserved bytes, the descriptors. */
	be_put32(command->reply, (uint32_t)(at - command->reply - 4));
	disk_reply(command, (size_t)(at - command->reply));
}
