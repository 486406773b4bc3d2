/* SPDX-License-Identifier: Apache-2.0 */
/* REPORT SUPPORTED OPERATION CODES (SPC-4 6.35) where the reservations are prmig's own. */
#include "scsi.h"

#include <string.h>

#include "be.h"

#define CDB_LEN 10
#define ACTIONS_IN 4  /* READ KEYS to READ FULL STATUS */
#define ACTIONS_OUT 8 /* REGISTER to REGISTER AND MOVE */

#define RCTD 0x80
#define OPTIONS_MASK 0x07
#define OPTION_ALL 0
#define OPTION_OPERATION_CODE 1

#define ALL_HEADER_LEN 4
#define ALL_DESCRIPTOR_LEN 8
#define TIMEOUTS_DESCRIPTOR_LEN 12
#define ALL_SERVACTV 0x01
#define ALL_CTDP 0x02

#define ONE_HEADER_LEN 4
#define ONE_NOT_SUPPORTED 0x01
#define ONE_SUPPORTED 0x03
#define ONE_CTDP 0x80
#define ONE_LEN_MAX (ONE_HEADER_LEN + CDB_LEN + TIMEOUTS_DESCRIPTOR_LEN)

static bool is_reserve(uint8_t operation_code)
{
	return operation_code == SCSI_RESERVE_6 || operation_code == SCSI_RELEASE_6 ||
	       operation_code == SCSI_RESERVE_10 || operation_code == SCSI_RELEASE_10;
}

static bool is_pr(uint8_t operation_code)
{
	return operation_code == SCSI_PR_IN || operation_code == SCSI_PR_OUT;
}

/* A command timeouts descriptor that says nothing of times. */
static void put_timeouts(uint8_t *descriptor)
{
	memset(descriptor, 0, TIMEOUTS_DESCRIPTOR_LEN);
	be_put16(descriptor, TIMEOUTS_DESCRIPTOR_LEN - 2);
}

static size_t put_actions(uint8_t *data, size_t len, size_t size, uint8_t operation_code,
			  uint16_t actions, bool timeouts)
{
	size_t each = ALL_DESCRIPTOR_LEN + (timeouts ? TIMEOUTS_DESCRIPTOR_LEN : 0);

	for (uint16_t action = 0; action < actions && size - len >= each; action++) {
		uint8_t *descriptor = data + len;

		memset(descriptor, 0, ALL_DESCRIPTOR_LEN);
		descriptor[0] = operation_code;
		be_put16(descriptor + 2, action);
		descriptor[5] = ALL_SERVACTV;
		be_put16(descriptor + 6, CDB_LEN);
		if (timeouts) {
			descriptor[5] |= ALL_CTDP;
			put_timeouts(descriptor + ALL_DESCRIPTOR_LEN);
		}
		len += each;
	}
	return len;
}

static size_t emulate_all(uint8_t *data, size_t len, size_t size, bool timeouts)
{
	size_t end = len, to = ALL_HEADER_LEN, from = ALL_HEADER_LEN;

	if (len < ALL_HEADER_LEN)
		return len;
	if (len - ALL_HEADER_LEN > be_get32(data))
		end = ALL_HEADER_LEN + be_get32(data);
	while (end - from >= ALL_DESCRIPTOR_LEN) {
		size_t descriptor_len = ALL_DESCRIPTOR_LEN;

		if (data[from + 5] & ALL_CTDP)
			descriptor_len += TIMEOUTS_DESCRIPTOR_LEN;
		if (end - from < descriptor_len)
			break;
		if (!is_pr(data[from]) && !is_reserve(data[from])) {
			memmove(data + to, data + from, descriptor_len);
			to += descriptor_len;
		}
		from += descriptor_len;
	}
	to = put_actions(data, to, size, SCSI_PR_IN, ACTIONS_IN, timeouts);
	to = put_actions(data, to, size, SCSI_PR_OUT, ACTIONS_OUT, timeouts);
	be_put32(data, (uint32_t)(to - ALL_HEADER_LEN));
	return to;
}

/* The operation code and the service action as they are, and ones where the server looks. */
static size_t put_usage(uint8_t *answer, uint8_t operation_code, uint8_t action, bool timeouts)
{
	static const uint8_t in[CDB_LEN] = {[7] = 0xff, [8] = 0xff};
	static const uint8_t out[CDB_LEN] = {
		[2] = 0xff, [5] = 0xff, [6] = 0xff, [7] = 0xff, [8] = 0xff};

	answer[1] = ONE_SUPPORTED;
	be_put16(answer + 2, CDB_LEN);
	memcpy(answer + ONE_HEADER_LEN, operation_code == SCSI_PR_IN ? in : out, CDB_LEN);
	answer[ONE_HEADER_LEN] = operation_code;
	answer[ONE_HEADER_LEN + 1] = action;
	if (!timeouts)
		return ONE_HEADER_LEN + CDB_LEN;
	answer[1] |= ONE_CTDP;
	put_timeouts(answer + ONE_HEADER_LEN + CDB_LEN);
	return ONE_LEN_MAX;
}

bool scsi_rsoc_emulate_refuses(const uint8_t *cdb)
{
	return scsi_cdb_is_rsoc(cdb) && (cdb[2] & OPTIONS_MASK) == OPTION_OPERATION_CODE &&
	       is_pr(cdb[3]);
}

size_t scsi_rsoc_emulate(const uint8_t *cdb, uint8_t *data, size_t len, size_t size)
{
	uint8_t answer[ONE_LEN_MAX] = {[1] = ONE_NOT_SUPPORTED};
	uint8_t option = cdb[2] & OPTIONS_MASK, operation_code = cdb[3];
	uint16_t action = be_get16(cdb + 4);
	size_t answer_len = ONE_HEADER_LEN;
	bool timeouts = cdb[2] & RCTD;

	if (option == OPTION_ALL)
		return emulate_all(data, len, size, timeouts);
	if (is_pr(operation_code)) {
		if (action < (operation_code == SCSI_PR_IN ? ACTIONS_IN : ACTIONS_OUT))
			answer_len = put_usage(answer, operation_code, (uint8_t)action, timeouts);
	} else if (!is_reserve(operation_code)) {
		return len;
	}
	if (answer_len > size)
		answer_len = size;
	memcpy(data, answer, answer_len);
	return answer_len;
}
