/* SPDX-License-Identifier: Apache-2.0 */
/* REPORT SUPPORTED OPERATION CODES, SPC-4 6.35. */
#include "scsi.h"

#include <string.h>

#include "be.h"
#include "scsi-cdb-table.h"

#define REPORTING_OPTIONS_MASK 0x07
#define REGISTER_AND_MOVE 7

enum reporting_options {
	REPORT_ALL = 0,
	REPORT_OPERATION_CODE = 1,
	REPORT_SERVICE_ACTION = 2,
	REPORT_EITHER = 3, /* SPC-5: the service action counts where the operation code has them */
};

#define ALL_HEADER_LEN 4
#define ALL_DESCRIPTOR_LEN 8
#define TIMEOUTS_DESCRIPTOR_LEN 12
#define ALL_SERVACTV 0x01
#define ALL_CTDP 0x02

#define ONE_NOT_SUPPORTED 0x01
#define ONE_LEN_NOT_SUPPORTED 4

static bool reported(uint8_t operation_code, uint16_t service_action, bool filter, bool mask_pr)
{
	uint8_t cdb[SCSI_CDB_MAX] = {operation_code};

	if (operation_code == 0x7f) {
		cdb[7] = SCSI_CDB_ADDITIONAL_LEN_32;
		be_put16(cdb + 8, service_action);
	} else {
		cdb[1] = service_action & 0x1f;
	}
	if (mask_pr && operation_code == SCSI_PR_OUT && cdb[1] == REGISTER_AND_MOVE)
		return false;
	return !filter || scsi_cdb_row(cdb)->listed;
}

/* len is less than COMMAND DATA LENGTH says where the LUN's answer was cut. A descriptor that is
 * not there in full goes, but stays in COMMAND DATA LENGTH. */
static size_t rewrite_all(uint8_t *data, size_t len, bool filter, bool mask_pr)
{
	uint32_t command_data_len;
	size_t end, to = ALL_HEADER_LEN, from = ALL_HEADER_LEN;

	if (len < ALL_HEADER_LEN)
		return len;
	command_data_len = be_get32(data);
	end = len;
	if (len - ALL_HEADER_LEN > command_data_len)
		end = ALL_HEADER_LEN + command_data_len;

	while (end - from >= ALL_DESCRIPTOR_LEN) {
		const uint8_t *descriptor = data + from;
		size_t size = ALL_DESCRIPTOR_LEN;
		uint16_t service_action = 0;

		if (descriptor[5] & ALL_CTDP)
			size += TIMEOUTS_DESCRIPTOR_LEN;
		if (end - from < size)
			break;
		if (descriptor[5] & ALL_SERVACTV)
			service_action = be_get16(descriptor + 2);
		if (reported(descriptor[0], service_action, filter, mask_pr)) {
			memmove(data + to, descriptor, size);
			to += size;
		} else {
			command_data_len -= (uint32_t)size;
		}
		from += size;
	}
	be_put32(data, command_data_len);
	return to;
}

static size_t rewrite_one(uint8_t *data, size_t len)
{
	static const uint8_t not_supported[ONE_LEN_NOT_SUPPORTED] = {0, ONE_NOT_SUPPORTED, 0, 0};

	if (len > ONE_LEN_NOT_SUPPORTED)
		len = ONE_LEN_NOT_SUPPORTED;
	memcpy(data, not_supported, len);
	return len;
}

size_t scsi_rsoc_rewrite(const uint8_t *cdb, uint8_t *data, size_t len, bool filter, bool mask_pr)
{
	uint8_t operation_code = cdb[3];
	uint16_t service_action = be_get16(cdb + 4);

	switch (cdb[2] & REPORTING_OPTIONS_MASK) {
	case REPORT_ALL:
		return rewrite_all(data, len, filter, mask_pr);
	case REPORT_OPERATION_CODE:
		service_action = 0;
		break;
	case REPORT_SERVICE_ACTION:
	case REPORT_EITHER:
		break;
	default:
		return len;
	}
	if (reported(operation_code, service_action, filter, mask_pr))
		return len;
	return rewrite_one(data, len);
}
