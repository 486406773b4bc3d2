/* SPDX-License-Identifier: Apache-2.0 */
/* REPORT SUPPORTED OPERATION CODES, SPC-4: from the table by which CDBs are checked. */
#include "disk-internal.h"

#include <string.h>

#include "be.h"

#define ALL_HEADER_LEN 4
#define ALL_DESCRIPTOR_LEN 8
#define ONE_HEADER_LEN 4
#define TIMEOUTS_LEN 12
#define SERVACTV 0x01
#define CTDP_ALL 0x02
#define CTDP_ONE 0x80
#define SUPPORTED 0x03
#define NOT_SUPPORTED 0x01

enum reporting_options {
	REPORT_ALL = 0,
	REPORT_OPERATION_CODE = 1,
	REPORT_SERVICE_ACTION = 2,
	REPORT_EITHER = 3, /* SPC-5: the service action counts where the operation code has them */
};

/* A command timeouts descriptor that says nothing of times. */
static size_t put_timeouts(uint8_t *at)
{
	be_put16(at, TIMEOUTS_LEN - 2);
	return TIMEOUTS_LEN;
}

static void report_all(const struct disk *disk, bool timeouts, struct disk_command *command)
{
	uint8_t *data = command->reply;
	size_t len = ALL_HEADER_LEN;

	for (size_t i = 0; i < disk_row_count; i++) {
		const struct disk_row *row = &disk_rows[i];
		uint8_t *at = data + len;

		if (!disk_row_offered(disk, row))
			continue;
		at[0] = row->usage[0];
		if (row->has_service_action) {
			be_put16(at + 2, row->usage[1]);
			at[5] |= SERVACTV;
		}
		be_put16(at + 6, row->len);
		len += ALL_DESCRIPTOR_LEN;
		if (timeouts) {
			at[5] |= CTDP_ALL;
			len += put_timeouts(data + len);
		}
	}
	be_put32(data, (uint32_t)(len - ALL_HEADER_LEN));
	disk_reply(command, len);
}

static void report_one(const struct disk_row *row, bool timeouts, struct disk_command *command)
{
	uint8_t *data = command->reply;
	size_t len = ONE_HEADER_LEN;

	if (row == NULL) {
		data[1] = NOT_SUPPORTED;
		disk_reply(command, len);
		return;
	}
	data[1] = SUPPORTED;
	be_put16(data + 2, row->len);
	memcpy(data + len, row->usage, row->len);
	len += row->len;
	if (timeouts) {
		data[1] |= CTDP_ONE;
		len += put_timeouts(data + len);
	}
	disk_reply(command, len);
}

void disk_report_operation_codes(const struct disk *disk, const uint8_t *cdb,
				 struct disk_command *command)
{
	bool timeouts = cdb[2] & 0x80; /* RCTD */
	bool has_service_actions;
	const struct disk_row *row;

	command->allocation_len = be_get32(cdb + 6);
	row = disk_row_find(disk, cdb[3], be_get16(cdb + 4), &has_service_actions);
	switch (cdb[2] & 0x07) {
	case REPORT_ALL:
		report_all(disk, timeouts, command);
		return;
	case REPORT_OPERATION_CODE:
		if (has_service_actions) {
			disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 2);
			return;
		}
		break;
	case REPORT_SERVICE_ACTION:
		if (row != NULL && !has_service_actions) {
			disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 2);
			return;
		}
		break;
	case REPORT_EITHER:
		if (row != NULL && !has_service_actions && be_get16(cdb + 4) != 0)
			row = NULL;
		break;
	default:
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 2);
		return;
	}
	report_one(row, timeouts, command);
}
