/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VPD pages of a LUN. The input: four bytes, the most blocks that a transfer may have, and a page:
 * 83h is read for its designator, B0h is clamped; each also read as if it were the other.
 */
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "fuzz.h"
#include "scsi.h"

#define HEADER_LEN 4

static bool designator_clean(const char *text)
{
	static const char *const kinds[] = {"naa.", "eui.", "t10.", "name."};
	bool known = false;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		known = known || (strncmp(text, kinds[i], strlen(kinds[i])) == 0 &&
				  text[strlen(kinds[i])] != '\0');
	return known && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789-_.:%") == strlen(text);
}

/* The page with its descriptors the other way round. */
static uint8_t *reversed(const uint8_t *page, size_t end)
{
	uint8_t *other = fuzz_copy(page, end);
	size_t to = end;

	for (size_t at = HEADER_LEN; at < end;) {
		size_t len = 4 + (size_t)page[at + 3];

		to -= len;
		memcpy(other + to, page + at, len);
		at += len;
	}
	return other;
}

static void check_designator(const uint8_t *page, size_t len)
{
	char text[SCSI_DESIGNATOR_MAX], again[SCSI_DESIGNATOR_MAX];
	uint8_t *other;
	size_t end;

	memset(text, 'x', sizeof(text));
	if (!scsi_vpd_designator(page, len, text)) {
		for (size_t i = 0; i < sizeof(text); i++)
			FUZZ_CHECK(text[i] == 'x');
		return;
	}
	fuzz_deep();
	FUZZ_CHECK(memchr(text, '\0', sizeof(text)) != NULL && designator_clean(text));
	end = HEADER_LEN + (size_t)be_get16(page + 2);
	other = reversed(page, end);
	FUZZ_CHECK(scsi_vpd_designator(other, end, again));
	FUZZ_CHECK(strcmp(text, again) == 0);
	free(other);
}

static bool clamped_field(size_t at)
{
	return at == 5 || (at >= 8 && at < 20) || (at >= 44 && at < 48) || (at >= 56 && at < 60);
}

static void check_clamp(const uint8_t *page, size_t len, uint32_t max_blocks)
{
	static const size_t fields[] = {8, 12, 16, 44, 56};
	uint8_t *after = fuzz_copy(page, len), *again;
	size_t end = len;

	scsi_vpd_clamp_block_limits(after, len, max_blocks);
	for (size_t i = 0; i < len; i++)
		FUZZ_CHECK(page[i] == after[i] || clamped_field(i));
	if (len >= HEADER_LEN && page[1] == 0xb0 && max_blocks > 0) {
		if (HEADER_LEN + (size_t)be_get16(page + 2) < end)
			end = HEADER_LEN + (size_t)be_get16(page + 2);
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			FUZZ_CHECK(end < fields[i] + 4 ||
				   be_get32(after + fields[i]) <= max_blocks);
		FUZZ_CHECK(end < 12 || be_get32(after + 8) > 0);
		FUZZ_CHECK(end < 6 || after[5] <= max_blocks / 2);
		for (size_t i = end; i < len; i++)
			FUZZ_CHECK(page[i] == after[i]);
		fuzz_deep();
	} else {
		FUZZ_CHECK(memcmp(page, after, len) == 0);
	}
	again = fuzz_copy(after, len);
	scsi_vpd_clamp_block_limits(again, len, max_blocks);
	FUZZ_CHECK(memcmp(after, again, len) == 0);
	free(again);
	free(after);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_source source = {data, size};
	uint32_t max_blocks = fuzz_u32(&source);
	size_t len;
	uint8_t *page = fuzz_rest(&source, &len);

	check_designator(page, len);
	check_clamp(page, len, max_blocks);
	free(page);
}
