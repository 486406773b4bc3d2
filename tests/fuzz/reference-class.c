/* SPDX-License-Identifier: Apache-2.0 */
#include "reference-class.h"

#include <stdbool.h>
#include <stddef.h>

#define NO_ACTION 0xff /* the operation code has no service actions */

struct listed {
	uint8_t operation_code;
	uint8_t action;
};

/* Class U. START STOP UNIT and PREVENT ALLOW MEDIUM REMOVAL: below. */
static const struct listed unrestricted[] = {
	{0x00, NO_ACTION},		 /* TEST UNIT READY */
	{0x03, NO_ACTION},		 /* REQUEST SENSE */
	{0x12, NO_ACTION},		 /* INQUIRY */
	{0x4d, NO_ACTION},		 /* LOG SENSE */
	{0xa0, NO_ACTION},		 /* REPORT LUNS */
	{0x5e, NO_ACTION},		 /* PERSISTENT RESERVE IN */
	{0x25, NO_ACTION},		 /* READ CAPACITY */
	{0x9e, 0x10},	   {0x9e, 0x13}, /* REPORT REFERRALS */
	{0xa3, 0x0a},			 /* REPORT TARGET PORT GROUPS */
	{0xa3, 0x0b},			 /* REPORT ALIASES */
	{0xa3, 0x05},			 /* REPORT IDENTIFYING INFORMATION */
	{0xa3, 0x0e},			 /* REPORT PRIORITY */
	{0xa3, 0x0f},			 /* REPORT TIMESTAMP */
	{0x86, NO_ACTION},		 /* ACCESS CONTROL IN and OUT */
	{0x87, NO_ACTION}, {0xab, 0x01}, /* READ MEDIA SERIAL NUMBER */
	{0x84, 0x00},			 /* RECEIVE COPY RESULTS and what it grew to */
	{0x84, 0x01},	   {0x84, 0x03}, {0x84, 0x04}, {0x84, 0x05},
	{0x84, 0x06},	   {0x84, 0x07}, {0x84, 0x08},
};

/* Class R. */
static const struct listed reading[] = {
	{0x08, NO_ACTION},							    /* READ */
	{0x28, NO_ACTION}, {0xa8, NO_ACTION}, {0x88, NO_ACTION}, {0x34, NO_ACTION}, /* PRE-FETCH */
	{0x90, NO_ACTION}, {0x2f, NO_ACTION},					    /* VERIFY */
	{0xaf, NO_ACTION}, {0x8f, NO_ACTION}, {0x9e, 0x12}, /* GET LBA STATUS */
	{0x9e, 0x17},					    /* GET PHYSICAL ELEMENT STATUS */
	{0x9e, 0x16},					    /* GET STREAM STATUS */
	{0x83, 0x10},					    /* POPULATE TOKEN */
	{0x37, NO_ACTION},				    /* READ DEFECT DATA */
	{0xb7, NO_ACTION}, {0x1a, NO_ACTION},		    /* MODE SENSE */
	{0x5a, NO_ACTION}, {0x3c, NO_ACTION},		    /* READ BUFFER */
	{0x9b, NO_ACTION}, {0x8c, NO_ACTION},		    /* READ ATTRIBUTE */
	{0x1c, NO_ACTION},				    /* RECEIVE DIAGNOSTIC RESULTS */
	{0xa3, 0x0c},					    /* REPORT SUPPORTED OPERATION CODES */
	{0xa3, 0x0d},	   /* REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS */
	{0xa3, 0x10},	   /* MANAGEMENT PROTOCOL IN */
	{0xa2, NO_ACTION}, /* SECURITY PROTOCOL IN */
};

static bool is_listed(const struct listed *list, size_t count, const uint8_t *cdb)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].operation_code == cdb[0] &&
		    (list[i].action == NO_ACTION || list[i].action == (cdb[1] & 0x1f)))
			return true;
	return false;
}

/* READ (32), VERIFY (32) and GET LBA STATUS (32), in CDBs of 32 bytes. */
static bool reads_32(const uint8_t *cdb)
{
	return cdb[0] == 0x7f && cdb[7] == 32 - 8 && cdb[8] == 0 &&
	       (cdb[9] == 0x09 || cdb[9] == 0x0a || cdb[9] == 0x12);
}

enum reference_class reference_class(const uint8_t *cdb)
{
	switch (cdb[0]) {
	case 0x5f:
		return REFERENCE_PR_OUT;
	case 0x16:
	case 0x17:
	case 0x56:
	case 0x57:
		return REFERENCE_RESERVE;
	case 0x1b: /* START STOP UNIT: to start, by the START bit alone */
		return (cdb[4] & 0x01) == 1 && cdb[4] >> 4 == 0 ? REFERENCE_U : REFERENCE_W;
	case 0x1e: /* PREVENT ALLOW MEDIUM REMOVAL: to allow */
		return (cdb[4] & 0x03) == 0 ? REFERENCE_U : REFERENCE_W;
	default:
		break;
	}
	if (is_listed(unrestricted, sizeof(unrestricted) / sizeof(unrestricted[0]), cdb))
		return REFERENCE_U;
	if (is_listed(reading, sizeof(reading) / sizeof(reading[0]), cdb) || reads_32(cdb))
		return REFERENCE_R;
	return REFERENCE_W;
}
