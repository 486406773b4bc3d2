/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REPORT SUPPORTED OPERATION CODES rewritten, for the filter and for reservations that prmig decides on. The input: a byte of switches, of
 * which some say how much room there is behind the answer, bytes 2 to 5 of the CDB, and the LUN's answer.
 */
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "fuzz.h"
#include "pr.h"
#include "scsi-cdb-table.h"
#include "scsi.h"

#define HEADER_LEN 4

/* Of a descriptor with len bytes left; 0: not there in full. */
static size_t descriptor_len(const uint8_t *descriptor, size_t left)
{
	size_t len = 8;

	if (left < len)
		return 0;
	if (descriptor[5] & 0x02)
		len += 12;
	return left < len ? 0 : len;
}

static bool may_be_shown(const uint8_t *descriptor, bool filter, bool mask)
{
	uint16_t action = descriptor[5] & 0x01 ? be_get16(descriptor + 2) : 0;
	uint8_t cdb[SCSI_CDB_MAX] = {descriptor[0], action & 0x1f};
	struct scsi_cdb_info info;

	if (descriptor[0] == 0x7f) {
		cdb[1] = 0;
		cdb[7] = SCSI_CDB_ADDITIONAL_LEN_32;
		be_put16(cdb + 8, action);
	}
	scsi_cdb_describe(cdb, &info);
	if (mask && cdb[0] == SCSI_PR_OUT && cdb[1] == PR_OUT_REGISTER_AND_MOVE)
		return false;
	return info.listed || !filter;
}

/* The rewritten list is the LUN's without what may not be shown, in its order. */
static void check_all(const uint8_t *before, size_t before_len, const uint8_t *after,
		      size_t after_len, bool filter, bool mask)
{
	size_t end = before_len, to = HEADER_LEN, from = HEADER_LEN, size;
	uint32_t dropped = 0;

	if (before_len < HEADER_LEN) {
		FUZZ_CHECK(after_len == before_len && memcmp(before, after, after_len) == 0);
		return;
	}
	if (end - HEADER_LEN > be_get32(before))
		end = HEADER_LEN + be_get32(before);
	for (; (size = descriptor_len(before + from, end - from)) > 0; from += size) {
		if (!may_be_shown(before + from, filter, mask)) {
			dropped += (uint32_t)size;
			continue;
		}
		FUZZ_CHECK(to + size <= after_len);
		FUZZ_CHECK(memcmp(before + from, after + to, size) == 0);
		to += size;
		fuzz_deep();
	}
	FUZZ_CHECK(to == after_len);
	FUZZ_CHECK(be_get32(before) - dropped == be_get32(after));
}

/* Of all commands: the engine's reservation commands, each once, and no others. */
static void check_emulated_all(const uint8_t *data, size_t len, bool room)
{
	size_t size, at = HEADER_LEN;
	uint32_t in = 0, out = 0;

	FUZZ_CHECK(be_get32(data) == len - HEADER_LEN);
	for (; (size = descriptor_len(data + at, len - at)) > 0; at += size) {
		const uint8_t *descriptor = data + at;

		FUZZ_CHECK(descriptor[0] != SCSI_RESERVE_6 && descriptor[0] != SCSI_RELEASE_6 &&
			   descriptor[0] != SCSI_RESERVE_10 && descriptor[0] != SCSI_RELEASE_10);
		if (descriptor[0] == SCSI_PR_IN)
			FUZZ_CHECK(be_get16(descriptor + 2) == in++);
		if (descriptor[0] == SCSI_PR_OUT)
			FUZZ_CHECK(be_get16(descriptor + 2) == out++);
	}
	FUZZ_CHECK(at == len && in <= 4 && out <= 8);
	FUZZ_CHECK(!room || (in == 4 && out == 8));
}

static void check_emulated_one(const uint8_t *cdb, const uint8_t *data, size_t len)
{
	uint16_t action = be_get16(cdb + 4);

	if (cdb[3] != SCSI_PR_IN && cdb[3] != SCSI_PR_OUT)
		return;
	if (action >= (cdb[3] == SCSI_PR_IN ? 4 : 8)) {
		FUZZ_CHECK(len <= 4 && (len < 2 || data[1] == 1));
		return;
	}
	FUZZ_CHECK(len < 2 || (data[1] & 7) == 3);
	FUZZ_CHECK(len < 6 || (data[4] == cdb[3] && data[5] == action));
}

static void check_emulate(const uint8_t *cdb, const uint8_t *before, size_t before_len, size_t room)
{
	size_t size = before_len + room, len;
	uint8_t *data = malloc(size > 0 ? size : 1), *again;

	if (data == NULL)
		fuzz_fail(__FILE__, __LINE__, "no memory");
	memcpy(data, before, before_len);
	len = scsi_rsoc_emulate(cdb, data, before_len, size);
	FUZZ_CHECK(len <= size);
	if ((cdb[2] & 7) == 0 && len >= HEADER_LEN)
		check_emulated_all(data, len, room >= (size_t)12 * 20);
	else if ((cdb[2] & 7) != 0)
		check_emulated_one(cdb, data, len);
	again = malloc(size > 0 ? size : 1);
	if (again == NULL)
		fuzz_fail(__FILE__, __LINE__, "no memory");
	memcpy(again, data, len);
	FUZZ_CHECK(scsi_rsoc_emulate(cdb, again, len, size) == len &&
		   memcmp(data, again, len) == 0);
	free(again);
	free(data);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_source source = {data, size};
	uint8_t switches = fuzz_byte(&source);
	uint8_t cdb[12] = {SCSI_MAINTENANCE_IN, 0x0c};
	bool filter = switches & 1, mask = switches & 2;
	uint8_t *before, *after;
	size_t before_len, len, again;

	fuzz_fill(&source, cdb + 2, 4);
	before = fuzz_rest(&source, &before_len);
	check_emulate(cdb, before, before_len, (size_t)(switches >> 2) * 4);
	after = fuzz_copy(before, before_len);
	len = scsi_rsoc_rewrite(cdb, after, before_len, filter, mask);
	FUZZ_CHECK(len <= before_len);
	if ((cdb[2] & 7) == 0)
		check_all(before, before_len, after, len, filter, mask);
	else if (!filter && !mask)
		FUZZ_CHECK(len == before_len && memcmp(before, after, len) == 0);
	else if (len == before_len && len > 4)
		FUZZ_CHECK(memcmp(before, after, len) == 0);
	/* Once is enough. */
	memcpy(before, after, len);
	again = scsi_rsoc_rewrite(cdb, after, len, filter, mask);
	FUZZ_CHECK(again == len && memcmp(before, after, len) == 0);
	free(before);
	free(after);
}
