/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-mpath-cdb.h"

#include <string.h>

#include "be.h"
#include "pr.h"

enum {
	READ_6 = 0x08,
	WRITE_6 = 0x0a,
	READ_10 = 0x28,
	WRITE_10 = 0x2a,
	WRITE_SAME_10 = 0x41,
	UNMAP = 0x42,
	READ_16 = 0x88,
	WRITE_16 = 0x8a,
	WRITE_SAME_16 = 0x93,
	READ_12 = 0xa8,
	WRITE_12 = 0xaa,
};

#define PROTECT_MASK 0xe0
#define FUA 0x08
#define CAPABILITIES_TYPE_MASK 4
#define TYPE_MASK_1_AND_3 0x0a

struct extent {
	bool write;
	uint8_t flags; /* byte 1 as the 10-byte forms have it */
	uint64_t lba;
	uint32_t blocks;
};

static bool extent_parse(const uint8_t *cdb, struct extent *ret)
{
	switch (cdb[0]) {
	case READ_6:
	case WRITE_6:
		/* 21 bits of address; no flags, and 0 blocks mean 256. */
		*ret = (struct extent){.lba = (uint64_t)(cdb[1] & 0x1f) << 16 | be_get16(cdb + 2),
				       .blocks = cdb[4] != 0 ? cdb[4] : 256};
		break;
	case READ_10:
	case WRITE_10:
		*ret = (struct extent){
			.flags = cdb[1], .lba = be_get32(cdb + 2), .blocks = be_get16(cdb + 7)};
		break;
	case READ_12:
	case WRITE_12:
		*ret = (struct extent){
			.flags = cdb[1], .lba = be_get32(cdb + 2), .blocks = be_get32(cdb + 6)};
		break;
	case READ_16:
	case WRITE_16:
		*ret = (struct extent){
			.flags = cdb[1], .lba = be_get64(cdb + 2), .blocks = be_get32(cdb + 10)};
		break;
	default:
		return false;
	}
	ret->write =
		cdb[0] == WRITE_6 || cdb[0] == WRITE_10 || cdb[0] == WRITE_12 || cdb[0] == WRITE_16;
	return true;
}

/* O_DIRECT takes whole blocks at block boundaries of memory alone. */
static bool aligned(const struct lun_io *io, uint32_t block_len_bytes)
{
	for (size_t i = 0; i < io->iov_cnt; i++)
		if ((uintptr_t)io->iov[i].iov_base % block_len_bytes != 0 ||
		    io->iov[i].iov_len % block_len_bytes != 0)
			return false;
	return true;
}

void mpath_command_parse(const struct lun_io *io, uint32_t block_len_bytes, uint64_t blocks,
			 struct mpath_command *ret_command)
{
	struct extent extent;

	*ret_command = (struct mpath_command){.operation = MPATH_PASS};
	switch (io->cdb[0]) {
	case SCSI_PR_IN:
	case SCSI_PR_OUT:
	case SCSI_RESERVE_6:
	case SCSI_RESERVE_10:
	case SCSI_RELEASE_6:
	case SCSI_RELEASE_10:
		ret_command->operation = MPATH_RESERVATION;
		return;
	case SCSI_SYNCHRONIZE_CACHE_10:
	case SCSI_SYNCHRONIZE_CACHE_16:
		/* Of all blocks, whatever part is meant; IMMED is answered late. */
		ret_command->operation = MPATH_FLUSH;
		return;
	default:
		break;
	}
	if (!extent_parse(io->cdb, &extent) || extent.blocks == 0 || block_len_bytes == 0 ||
	    (extent.flags & PROTECT_MASK) != 0 || (!extent.write && (extent.flags & FUA) != 0) ||
	    io->direction != (extent.write ? SCSI_DIR_OUT : SCSI_DIR_IN) || extent.lba >= blocks ||
	    extent.blocks > blocks - extent.lba ||
	    (uint64_t)extent.blocks * block_len_bytes != io->data_len ||
	    !aligned(io, block_len_bytes))
		return;
	ret_command->operation = extent.write ? MPATH_WRITE : MPATH_READ;
	ret_command->offset_bytes = extent.lba * block_len_bytes;
	ret_command->durable = extent.write && (extent.flags & FUA) != 0;
}

bool mpath_command_repeatable(const uint8_t *cdb)
{
	struct scsi_cdb_info info;

	switch (cdb[0]) {
	/* To do it twice is to do it once, which the kernel's multipath relies on, too. */
	case WRITE_6:
	case WRITE_10:
	case WRITE_12:
	case WRITE_16:
	case WRITE_SAME_10:
	case WRITE_SAME_16:
	case UNMAP:
	case SCSI_SYNCHRONIZE_CACHE_10:
	case SCSI_SYNCHRONIZE_CACHE_16:
		return true;
	default:
		scsi_cdb_describe(cdb, &info);
		return info.class == SCSI_CLASS_U || info.class == SCSI_CLASS_R;
	}
}

static bool one_writer(uint8_t type)
{
	return type == PR_TYPE_WRITE_EXCLUSIVE || type == PR_TYPE_EXCLUSIVE_ACCESS;
}

uint16_t mpath_command_refusal(const uint8_t *cdb)
{
	uint8_t action = cdb[1] & 0x1f;

	switch (cdb[0]) {
	case SCSI_RESERVE_6:
	case SCSI_RESERVE_10:
	case SCSI_RELEASE_6:
	case SCSI_RELEASE_10:
		return SCSI_ASC_INVALID_OPERATION_CODE;
	case SCSI_PR_OUT:
		if ((action == PR_OUT_RESERVE || action == PR_OUT_PREEMPT ||
		     action == PR_OUT_PREEMPT_AND_ABORT ||
		     action == PR_OUT_REPLACE_LOST_RESERVATION) &&
		    one_writer(cdb[2] & 0x0f))
			return SCSI_ASC_INVALID_FIELD_IN_CDB;
		return 0;
	default:
		return 0;
	}
}

void mpath_capabilities_mask(uint8_t *data, size_t len)
{
	if (len > CAPABILITIES_TYPE_MASK)
		data[CAPABILITIES_TYPE_MASK] &= (uint8_t)~TYPE_MASK_1_AND_3;
}
