/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi.h"

#include <string.h>

#include "be.h"

#define FIXED_LEN 18
#define FIXED_HEADER_LEN 8 /* up to and with ADDITIONAL SENSE LENGTH */
#define FIXED_ASC 12
#define FIXED_SPECIFIC 15
#define DESCRIPTOR_ASC 2

size_t scsi_sense_build(uint8_t *sense, enum scsi_sense_key key, uint16_t asc_ascq)
{
	memset(sense, 0, SCSI_SENSE_MAX);
	sense[0] = 0x70;
	sense[2] = (uint8_t)key;
	sense[7] = FIXED_LEN - FIXED_HEADER_LEN;
	be_put16(sense + FIXED_ASC, asc_ascq);
	return FIXED_LEN;
}

void scsi_sense_point(uint8_t *sense, bool in_cdb, uint16_t field)
{
	sense[FIXED_SPECIFIC] = (uint8_t)(0x80 | (in_cdb ? 0x40 : 0)); /* SKSV, C/D */
	be_put16(sense + FIXED_SPECIFIC + 1, field);
}

bool scsi_sense_parse(const uint8_t *sense, size_t len, uint8_t *ret_key, uint16_t *ret_asc_ascq)
{
	if (len < 1)
		return false;

	switch (sense[0] & 0x7f) {
	case 0x70:
	case 0x71:
		if (len < FIXED_HEADER_LEN)
			return false;
		/* A device may end its sense data before the additional sense code. */
		if (FIXED_HEADER_LEN + sense[7] < FIXED_ASC + 2) {
			*ret_asc_ascq = 0;
		} else {
			if (len < FIXED_ASC + 2)
				return false;
			*ret_asc_ascq = be_get16(sense + FIXED_ASC);
		}
		*ret_key = sense[2] & 0x0f;
		return true;
	case 0x72:
	case 0x73:
		if (len < DESCRIPTOR_ASC + 2)
			return false;
		*ret_key = sense[1] & 0x0f;
		*ret_asc_ascq = be_get16(sense + DESCRIPTOR_ASC);
		return true;
	default:
		return false;
	}
}
