/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the disk answers, and which bits of each CDB it looks at. What is not looked at must be zero;
 * so RDPROTECT, WRPROTECT and VRPROTECT (there is no protection information), GROUP NUMBER, ANCHOR
 * and NACA are refused where the standard wants it. RARC and FUA_NV are taken: the one asks for nothing
 * that is not so, the other for less than FUA.
 */
#include "disk-internal.h"

#define LBA_32 0xff, 0xff, 0xff, 0xff
#define LBA_64 LBA_32, LBA_32
#define LEN_16 0xff, 0xff
#define LEN_32 0xff, 0xff, 0xff, 0xff

/* By operation code and service action: the order in which they are reported. */
const struct disk_row disk_rows[] = {
	{6, false, DISK_DO_TEST_UNIT_READY, {0x00}},
	{6, false, DISK_DO_REQUEST_SENSE, {0x03, 0x01, 0, 0, 0xff}},
	{6, false, DISK_DO_READ, {0x08, 0x1f, 0xff, 0xff, 0xff}},
	{6, false, DISK_DO_WRITE, {0x0a, 0x1f, 0xff, 0xff, 0xff}},
	{6, false, DISK_DO_INQUIRY, {0x12, 0x01, 0xff, LEN_16}},
	{6, false, DISK_DO_MODE_SELECT, {0x15, 0x11, 0, 0, 0xff}},
	{6, false, DISK_DO_MODE_SENSE, {0x1a, 0x08, 0xff, 0xff, 0xff}},
	{6, false, DISK_DO_START_STOP, {0x1b, 0x01, 0, 0x0f, 0xf7}},
	{10, false, DISK_DO_READ_CAPACITY_10, {0x25, 0, LBA_32, 0, 0, 0x01}},
	{10, false, DISK_DO_READ, {0x28, 0x1e, LBA_32, 0, LEN_16}},
	{10, false, DISK_DO_WRITE, {0x2a, 0x1a, LBA_32, 0, LEN_16}},
	{10, false, DISK_DO_VERIFY, {0x2f, 0x16, LBA_32, 0, LEN_16}},
	{10, false, DISK_DO_SYNCHRONIZE_CACHE, {0x35, 0x06, LBA_32, 0, LEN_16}},
	{10, false, DISK_DO_WRITE_SAME, {0x41, 0x08, LBA_32, 0, LEN_16}},
	{10, false, DISK_DO_UNMAP, {0x42, 0, 0, 0, 0, 0, 0, LEN_16}},
	{10, false, DISK_DO_MODE_SELECT, {0x55, 0x11, 0, 0, 0, 0, 0, LEN_16}},
	{10, false, DISK_DO_MODE_SENSE, {0x5a, 0x18, 0xff, 0xff, 0, 0, 0, LEN_16}},
	{16, false, DISK_DO_READ, {0x88, 0x1e, LBA_64, LEN_32}},
	{16, false, DISK_DO_COMPARE_AND_WRITE, {0x89, 0x1a, LBA_64, 0, 0, 0, 0xff}},
	{16, false, DISK_DO_WRITE, {0x8a, 0x1a, LBA_64, LEN_32}},
	{16, false, DISK_DO_VERIFY, {0x8f, 0x16, LBA_64, LEN_32}},
	{16, false, DISK_DO_SYNCHRONIZE_CACHE, {0x91, 0x06, LBA_64, LEN_32}},
	{16, false, DISK_DO_WRITE_SAME, {0x93, 0x09, LBA_64, LEN_32}},
	{16, true, DISK_DO_READ_CAPACITY_16, {0x9e, 0x10, LBA_64, LEN_32, 0x01}},
	{16, true, DISK_DO_GET_LBA_STATUS, {0x9e, 0x12, LBA_64, LEN_32}},
	{12, false, DISK_DO_REPORT_LUNS, {0xa0, 0, 0xff, 0, 0, 0, LEN_32}},
	{12, true, DISK_DO_REPORT_OPERATION_CODES, {0xa3, 0x0c, 0x87, 0xff, LEN_16, LEN_32}},
	{12, false, DISK_DO_READ, {0xa8, 0x1e, LBA_32, LEN_32}},
	{12, false, DISK_DO_WRITE, {0xaa, 0x1a, LBA_32, LEN_32}},
	{12, false, DISK_DO_VERIFY, {0xaf, 0x16, LBA_32, LEN_32}},
};

const size_t disk_row_count = sizeof(disk_rows) / sizeof(disk_rows[0]);

bool disk_row_offered(const struct disk *disk, const struct disk_row *row)
{
	return disk->thin || row->verb != DISK_DO_UNMAP;
}

const struct disk_row *disk_row_find(const struct disk *disk, uint8_t operation_code,
				     uint16_t service_action, bool *ret_has_service_actions)
{
	*ret_has_service_actions = false;
	for (size_t i = 0; i < disk_row_count; i++) {
		const struct disk_row *row = &disk_rows[i];

		if (row->usage[0] != operation_code || !disk_row_offered(disk, row))
			continue;
		*ret_has_service_actions = row->has_service_action;
		if (!row->has_service_action || row->usage[1] == service_action)
			return row;
	}
	return NULL;
}
