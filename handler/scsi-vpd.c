/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi.h"

#include <string.h>

#include "be.h"
#include "percent.h"

#define PAGE_HEADER_LEN 4
#define PAGE_DEVICE_IDENTIFICATION 0x83
#define PAGE_BLOCK_LIMITS 0xb0

/* ---- device identification, SPC-4 7.8.5 ---- */

#define DESCRIPTOR_HEADER_LEN 4

enum code_set { CODE_SET_BINARY = 1, CODE_SET_ASCII = 2, CODE_SET_UTF8 = 3 };
enum designator_type {
	DESIGNATOR_T10 = 1,
	DESIGNATOR_EUI_64 = 2,
	DESIGNATOR_NAA = 3,
	DESIGNATOR_RELATIVE_TARGET_PORT = 4,
	DESIGNATOR_NAME_STRING = 8,
};

enum association { ASSOCIATION_LUN = 0, ASSOCIATION_TARGET_PORT = 1 };

struct designator {
	unsigned int rank; /* 0: cannot be used; the more, the better */
	enum designator_type type;
	const uint8_t *bytes;
	size_t len;
};

static unsigned int naa_rank(const uint8_t *bytes, size_t len)
{
	if (len < 1)
		return 0;
	switch (bytes[0] >> 4) {
	case 0x6:
		return len == 16 ? 9 : 0;
	case 0x5:
		return len == 8 ? 8 : 0;
	case 0x2:
		return len == 8 ? 7 : 0;
	case 0x3: /* locally assigned: unique at one site only */
		return len == 8 ? 3 : 0;
	default:
		return 0;
	}
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static unsigned int eui_rank(const uint8_t *bytes, size_t len)
{
	if (all_zero(bytes, len))
		return 0;
	return len == 16 ? 6 : len == 12 ? 5 : len == 8 ? 4 : 0;
}

/* Text is padded with NUL or spaces, not always the same way on every port. */
static size_t text_len(const uint8_t *bytes, size_t len)
{
	while (len > 0 && (bytes[len - 1] == '\0' || bytes[len - 1] == ' '))
		len--;
	return len;
}

/* descriptor: its header and the designator that the header says. */
static struct designator designator_read(const uint8_t *descriptor)
{
	struct designator designator = {
		.type = (enum designator_type)(descriptor[1] & 0x0f),
		.bytes = descriptor + DESCRIPTOR_HEADER_LEN,
		.len = descriptor[3],
	};
	uint8_t code_set = descriptor[0] & 0x0f;
	uint8_t association = descriptor[1] >> 4 & 0x03;

	if (association != ASSOCIATION_LUN)
		return designator;
	if (code_set == CODE_SET_ASCII || code_set == CODE_SET_UTF8)
		designator.len = text_len(designator.bytes, designator.len);

	switch (designator.type) {
	case DESIGNATOR_NAA:
		if (code_set == CODE_SET_BINARY)
			designator.rank = naa_rank(designator.bytes, designator.len);
		break;
	case DESIGNATOR_EUI_64:
		if (code_set == CODE_SET_BINARY)
			designator.rank = eui_rank(designator.bytes, designator.len);
		break;
	case DESIGNATOR_T10: /* a vendor alone names nothing */
		designator.rank = designator.len > 8 ? 2 : 0;
		break;
	case DESIGNATOR_NAME_STRING:
		designator.rank = designator.len > 0 ? 1 : 0;
		break;
	default:
		break;
	}
	return designator;
}

static bool designator_text(const struct designator *designator, char *ret)
{
	char text[SCSI_DESIGNATOR_MAX] = "";
	bool fits;

	switch (designator->type) {
	case DESIGNATOR_NAA:
		strcpy(text, "naa.");
		fits = percent_append_hex(text, sizeof(text), designator->bytes, designator->len);
		break;
	case DESIGNATOR_EUI_64:
		strcpy(text, "eui.");
		fits = percent_append_hex(text, sizeof(text), designator->bytes, designator->len);
		break;
	case DESIGNATOR_T10:
		strcpy(text, "t10.");
		fits = percent_append(text, sizeof(text), designator->bytes, designator->len);
		break;
	default:
		strcpy(text, "name.");
		fits = percent_append(text, sizeof(text), designator->bytes, designator->len);
		break;
	}
	if (fits)
		memcpy(ret, text, strlen(text) + 1);
	return fits;
}

/* Of two of one rank the same one on every port and host, whatever their order in the page. */
static bool designator_better(const struct designator *a, const struct designator *b)
{
	size_t len = a->len < b->len ? a->len : b->len;
	int order;

	if (a->rank != b->rank)
		return a->rank > b->rank;
	order = memcmp(a->bytes, b->bytes, len);
	return order < 0 || (order == 0 && a->len < b->len);
}

bool scsi_vpd_designator(const uint8_t *page, size_t len, char *ret)
{
	struct designator best = {.rank = 0};
	char text[SCSI_DESIGNATOR_MAX];
	bool found = false;
	size_t end;

	if (len < PAGE_HEADER_LEN || page[1] != PAGE_DEVICE_IDENTIFICATION)
		return false;
	end = PAGE_HEADER_LEN + (size_t)be_get16(page + 2);
	if (end > len)
		return false;

	for (size_t at = PAGE_HEADER_LEN; at < end;) {
		struct designator designator;

		if (end - at < DESCRIPTOR_HEADER_LEN ||
		    end - at - DESCRIPTOR_HEADER_LEN < page[at + 3])
			return false;
		designator = designator_read(page + at);
		at += DESCRIPTOR_HEADER_LEN + (size_t)page[at + 3];

		if (designator.rank && (!found || designator_better(&designator, &best)) &&
		    designator_text(&designator, text)) {
			best = designator;
			found = true;
		}
	}
	if (found)
		memcpy(ret, text, strlen(text) + 1);
	return found;
}

uint16_t scsi_vpd_relative_target_port(const uint8_t *page, size_t len)
{
	size_t end, next;

	if (len < PAGE_HEADER_LEN || page[1] != PAGE_DEVICE_IDENTIFICATION)
		return 0;
	end = PAGE_HEADER_LEN + (size_t)be_get16(page + 2);
	if (end > len)
		end = len;
	for (size_t at = PAGE_HEADER_LEN; end - at >= DESCRIPTOR_HEADER_LEN; at = next) {
		next = at + DESCRIPTOR_HEADER_LEN + (size_t)page[at + 3];
		if (next > end)
			break;
		if ((page[at + 1] >> 4 & 0x03) == ASSOCIATION_TARGET_PORT &&
		    (page[at + 1] & 0x0f) == DESIGNATOR_RELATIVE_TARGET_PORT && page[at + 3] == 4)
			return be_get16(page + at + DESCRIPTOR_HEADER_LEN + 2);
	}
	return 0;
}

/* ---- block limits, SBC-4 6.6.4 ---- */

#define MAXIMUM_COMPARE_AND_WRITE_LENGTH 5
#define MAXIMUM_TRANSFER_LENGTH 8
#define OPTIMAL_TRANSFER_LENGTH 12
#define MAXIMUM_PREFETCH_LENGTH 16
#define MAXIMUM_ATOMIC_TRANSFER_LENGTH 44
#define MAXIMUM_ATOMIC_TRANSFER_LENGTH_WITH_BOUNDARY 56

static void clamp32(uint8_t *page, size_t len, size_t at, uint32_t max)
{
	if (len >= at + 4 && be_get32(page + at) > max)
		be_put32(page + at, max);
}

void scsi_vpd_clamp_block_limits(uint8_t *page, size_t len, uint32_t max_blocks)
{
	size_t end;

	if (len < PAGE_HEADER_LEN || page[1] != PAGE_BLOCK_LIMITS || !max_blocks)
		return;
	end = PAGE_HEADER_LEN + (size_t)be_get16(page + 2);
	if (len > end)
		len = end;

	/* Its data-out holds each block twice. */
	if (len > MAXIMUM_COMPARE_AND_WRITE_LENGTH &&
	    page[MAXIMUM_COMPARE_AND_WRITE_LENGTH] > max_blocks / 2)
		page[MAXIMUM_COMPARE_AND_WRITE_LENGTH] = (uint8_t)(max_blocks / 2);
	if (len >= MAXIMUM_TRANSFER_LENGTH + 4 && !be_get32(page + MAXIMUM_TRANSFER_LENGTH))
		be_put32(page + MAXIMUM_TRANSFER_LENGTH, max_blocks);
	clamp32(page, len, MAXIMUM_TRANSFER_LENGTH, max_blocks);
	if (len >= OPTIMAL_TRANSFER_LENGTH + 4 &&
	    be_get32(page + OPTIMAL_TRANSFER_LENGTH) > max_blocks)
		be_put32(page + OPTIMAL_TRANSFER_LENGTH, 0);
	clamp32(page, len, MAXIMUM_PREFETCH_LENGTH, max_blocks);
	clamp32(page, len, MAXIMUM_ATOMIC_TRANSFER_LENGTH, max_blocks);
	clamp32(page, len, MAXIMUM_ATOMIC_TRANSFER_LENGTH_WITH_BOUNDARY, max_blocks);
}
