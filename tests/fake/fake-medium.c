/* SPDX-License-Identifier: Apache-2.0 */
/* What reads and writes the medium (SBC-3). */
#include "fake-internal.h"

#include <string.h>

#define COMPARE_BLOCKS_MAX 8

struct extent {
	uint64_t lba;
	uint64_t blocks;
	uint8_t *bytes;
	size_t len;
};

static uint8_t *medium(struct fake_exec *exec, uint64_t lba)
{
	return (uint8_t *)exec->lun + exec->lun->medium_offset + lba * exec->lun->block_len;
}

static bool extent_in_range(struct fake_exec *exec, struct extent *extent)
{
	uint64_t blocks = exec->lun->blocks;

	if (extent->lba > blocks || extent->blocks > blocks - extent->lba ||
	    (extent->lba == blocks && extent->blocks == 0)) {
		fake_illegal(exec, ASC_LBA_RANGE);
		return false;
	}
	extent->bytes = medium(exec, extent->lba);
	extent->len = extent->blocks * exec->lun->block_len;
	return true;
}

/* LBA and length of the CDB, by its size. False: answered. */
static bool extent_parse(struct fake_exec *exec, struct extent *ret_extent)
{
	const uint8_t *cdb = exec->cdb;

	if (cdb[0] == 0x7f) {
		ret_extent->lba = get64(cdb + 12);
		ret_extent->blocks = get32(cdb + 28);
	} else if (cdb[0] < 0x20) {
		ret_extent->lba = get32(cdb) & 0x1fffff;
		ret_extent->blocks = cdb[4] ? cdb[4] : 256;
	} else if (cdb[0] < 0x80) {
		ret_extent->lba = get32(cdb + 2);
		ret_extent->blocks = get16(cdb + 7);
	} else if (cdb[0] < 0xa0) {
		ret_extent->lba = get64(cdb + 2);
		ret_extent->blocks = get32(cdb + 10);
	} else {
		ret_extent->lba = get32(cdb + 2);
		ret_extent->blocks = get32(cdb + 6);
	}
	return extent_in_range(exec, ret_extent);
}

/* RDPROTECT, WRPROTECT, VRPROTECT: the medium has no protection information. */
static bool protection_wanted(struct fake_exec *exec)
{
	uint8_t byte = exec->cdb[0] == 0x7f ? exec->cdb[10] : exec->cdb[1];

	if (exec->cdb[0] < 0x20 || (byte & 0xe0) == 0)
		return false;
	fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
	return true;
}

/* False: fewer bytes arrived than the command needs; answered. */
static bool data_out_whole(struct fake_exec *exec, size_t len)
{
	if (exec->out_len >= len)
		return true;
	fake_sense(exec->result, KEY_ABORTED_COMMAND, ASC_DATA_PHASE);
	return false;
}

void fake_read(struct fake_exec *exec)
{
	struct extent extent;

	if (!protection_wanted(exec) && extent_parse(exec, &extent))
		fake_reply(exec, extent.bytes, extent.len, SIZE_MAX);
}

void fake_write(struct fake_exec *exec)
{
	struct extent extent;

	if (protection_wanted(exec) || !extent_parse(exec, &extent) ||
	    !data_out_whole(exec, extent.len))
		return;
	if (extent.len > 0)
		memcpy(extent.bytes, exec->out, extent.len);
	exec->medium_changed = extent.len > 0;
}

void fake_in_range(struct fake_exec *exec)
{
	struct extent extent;

	extent_parse(exec, &extent);
}

static void miscompare(struct fake_exec *exec, size_t offset)
{
	fake_sense(exec->result, KEY_MISCOMPARE, ASC_MISCOMPARE);
	exec->result->sense[0] |= 0x80; /* INFORMATION: where */
	put32(exec->result->sense + 3, (uint32_t)offset);
}

static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	return i;
}

void fake_verify(struct fake_exec *exec)
{
	uint8_t bytchk = exec->cdb[1] >> 1 & 3;
	struct extent extent;
	size_t at;

	if (protection_wanted(exec) || !extent_parse(exec, &extent) || bytchk == 0)
		return;
	if (bytchk == 2) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
		return;
	}
	if (!data_out_whole(exec, bytchk == 3 ? exec->lun->block_len : extent.len))
		return;
	for (uint64_t block = 0; block < extent.blocks; block++) {
		size_t offset = block * exec->lun->block_len;

		at = first_difference(extent.bytes + offset, exec->out + (bytchk == 3 ? 0 : offset),
				      exec->lun->block_len);
		if (at < exec->lun->block_len) {
			miscompare(exec, offset + at);
			return;
		}
	}
}

void fake_compare_and_write(struct fake_exec *exec)
{
	struct extent extent = {.lba = get64(exec->cdb + 2), .blocks = exec->cdb[13]};
	size_t at;

	if (protection_wanted(exec))
		return;
	if (extent.blocks > COMPARE_BLOCKS_MAX) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
		return;
	}
	if (!extent_in_range(exec, &extent) || !data_out_whole(exec, 2 * extent.len))
		return;
	at = first_difference(extent.bytes, exec->out, extent.len);
	if (at < extent.len) {
		miscompare(exec, at);
		return;
	}
	if (extent.len > 0)
		memcpy(extent.bytes, exec->out + extent.len, extent.len);
	exec->medium_changed = extent.len > 0;
}

void fake_write_same(struct fake_exec *exec)
{
	bool ndob = exec->cdb[0] == 0x93 && (exec->cdb[1] & 1);
	struct extent extent;

	if (protection_wanted(exec) || !extent_parse(exec, &extent))
		return;
	/* WSNZ of VPD B0h; ANCHOR is not supported. */
	if (extent.blocks == 0 || (exec->cdb[1] & 0x10)) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
		return;
	}
	if (!ndob && !data_out_whole(exec, exec->lun->block_len))
		return;
	for (uint64_t i = 0; i < extent.blocks; i++) {
		if (ndob)
			memset(extent.bytes + i * exec->lun->block_len, 0, exec->lun->block_len);
		else
			memcpy(extent.bytes + i * exec->lun->block_len, exec->out,
			       exec->lun->block_len);
	}
	exec->medium_changed = true;
}

void fake_unmap(struct fake_exec *exec)
{
	size_t list_len = get16(exec->cdb + 7), descriptors;

	if (list_len == 0)
		return;
	if (!data_out_whole(exec, list_len))
		return;
	if (list_len < 8) {
		fake_illegal(exec, ASC_LIST_LENGTH);
		return;
	}
	descriptors = get16(exec->out + 2);
	if (descriptors > list_len - 8)
		descriptors = list_len - 8;
	for (int change = 0; change < 2; change++) { /* all of it, or nothing */
		for (size_t i = 8; i + 16 <= 8 + descriptors; i += 16) {
			struct extent extent = {.lba = get64(exec->out + i),
						.blocks = get32(exec->out + i + 8)};

			if (!extent_in_range(exec, &extent))
				return;
			if (change)
				memset(extent.bytes, 0, extent.len);
			exec->medium_changed |= change && extent.len > 0;
		}
	}
}

void fake_get_lba_status(struct fake_exec *exec)
{
	struct extent extent = {.lba = get64(exec->cdb + 2)};
	uint8_t data[24] = {0};
	uint64_t rest;

	if (!extent_in_range(exec, &extent))
		return;
	rest = exec->lun->blocks - extent.lba;
	put32(data, sizeof(data) - 4);
	put64(data + 8, extent.lba);
	put32(data + 16, rest > UINT32_MAX ? UINT32_MAX : (uint32_t)rest); /* mapped */
	fake_reply(exec, data, sizeof(data), get32(exec->cdb + 10));
}
