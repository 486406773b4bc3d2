/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "be.h"
#include "scsi.h"

#define NAA6_BYTES                                                                                 \
	0x60, 0x01, 0x40, 0x5a, 0xbc, 0xde, 0xf0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,  \
		0x99
#define NAA6 0x01, 0x03, 0, 16, NAA6_BYTES
#define NAA5 0x01, 0x03, 0, 8, 0x50, 0x01, 0x40, 0x51, 0x22, 0x33, 0x44, 0x55
#define NAA3 0x01, 0x03, 0, 8, 0x30, 0x01, 0x40, 0x51, 0x22, 0x33, 0x44, 0x55
#define NAA2 0x01, 0x03, 0, 8, 0x20, 0x01, 0x40, 0x51, 0x22, 0x33, 0x44, 0x55
#define EUI8 0x01, 0x02, 0, 8, 0x00, 0x25, 0x38, 0x11, 0x22, 0x33, 0x44, 0x55
#define EUI0 0x01, 0x02, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0
#define T10 0x02, 0x01, 0, 12, 'A', 'C', 'M', 'E', ' ', ' ', ' ', ' ', 'v', ',', '1', 0
#define T10_BARE 0x02, 0x01, 0, 8, 'A', 'C', 'M', 'E', ' ', ' ', ' ', ' '
#define NAME 0x03, 0x08, 0, 8, 'i', 'q', 'n', '.', 'x', ':', 'y', 0
#define TARGET_PORT_NAA 0x61, 0x93, 0, 8, 0x50, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01
#define RELATIVE_TARGET_PORT 0x61, 0x94, 0, 4, 0, 0, 0, 1
#define VENDOR 0x02, 0x00, 0, 4, 'a', 'b', 'c', 'd'

struct page_row {
	uint8_t descriptors[64];
	size_t len;
	const char *want; /* NULL: none */
};

#define ROW(want, ...)                                                                             \
	{                                                                                          \
		{__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}), want                              \
	}

static const struct page_row rows[] = {
	ROW("naa.6001405abcdef0112233445566778899", NAA6),
	ROW("naa.6001405abcdef0112233445566778899", TARGET_PORT_NAA, NAA6, EUI8),
	ROW("naa.6001405abcdef0112233445566778899", NAA5, NAA6),
	ROW("naa.5001405122334455", NAA5, NAA2, NAA3),
	ROW("naa.2001405122334455", NAA3, NAA2, EUI8),
	ROW("eui.0025381122334455", NAA3, EUI8, T10),
	ROW("naa.3001405122334455", T10, NAA3, EUI0),
	ROW("t10.ACME%20%20%20%20v%2C1", NAME, T10, VENDOR),
	ROW("name.iqn.x:y", T10_BARE, NAME, RELATIVE_TARGET_PORT),
	ROW(NULL, T10_BARE, VENDOR, RELATIVE_TARGET_PORT, TARGET_PORT_NAA),
	/* of equals the same one whatever their order */
	ROW("naa.5000000000000001", NAA5, 0x01, 0x03, 0, 8, 0x50, 0, 0, 0, 0, 0, 0, 1),
	ROW("naa.5000000000000001", 0x01, 0x03, 0, 8, 0x50, 0, 0, 0, 0, 0, 0, 1, NAA5),
	/* lengths that no NAA designator of the kind has, and an unknown kind */
	ROW(NULL, 0x01, 0x03, 0, 8, 0x60, 1, 2, 3, 4, 5, 6, 7),
	ROW(NULL, 0x01, 0x03, 0, 16, 0x50, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
	ROW(NULL, 0x01, 0x03, 0, 8, 0x70, 1, 2, 3, 4, 5, 6, 7),
	ROW(NULL, 0x01, 0x03, 0, 0),
	/* NAA not as binary */
	ROW(NULL, 0x02, 0x03, 0, 8, 0x50, 1, 2, 3, 4, 5, 6, 7),
};

static uint8_t *page_new(const struct page_row *row, size_t *ret_len)
{
	uint8_t page[4 + sizeof(row->descriptors)] = {0, 0x83};

	be_put16(page + 2, (uint16_t)row->len);
	memcpy(page + 4, row->descriptors, row->len);
	*ret_len = 4 + row->len;
	return check_copy(page, *ret_len);
}

static void best_designator(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[SCSI_DESIGNATOR_MAX] = "untouched";
		size_t len;
		uint8_t *page = page_new(&rows[i], &len);

		CHECK_INT(scsi_vpd_designator(page, len, text), rows[i].want != NULL);
		CHECK_STR(text, rows[i].want ? rows[i].want : "untouched");
		free(page);
	}
}

static void short_and_lying(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[SCSI_DESIGNATOR_MAX] = "untouched";
		size_t len;
		uint8_t *page = page_new(&rows[i], &len);

		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *copy = check_copy(page, cut);

			CHECK(!scsi_vpd_designator(copy, cut, text));
			/* and a PAGE LENGTH that agrees with the cut: the descriptors lie then */
			if (cut >= 4) {
				be_put16(copy + 2, (uint16_t)(cut - 4));
				scsi_vpd_designator(copy, cut, text);
			}
			free(copy);
		}
		/* every descriptor length */
		for (unsigned int lie = 0; len > 7 && lie < 256; lie++) {
			uint8_t *copy = check_copy(page, len);

			copy[7] = (uint8_t)lie;
			scsi_vpd_designator(copy, len, text);
			free(copy);
		}
		page[2] = 0xff;
		page[3] = 0xff;
		CHECK(!scsi_vpd_designator(page, len, text));
		page[2] = 0;
		page[1] = 0x80;
		CHECK(!scsi_vpd_designator(page, len, text));
		free(page);
	}
}

static void name_that_is_too_long(void)
{
	uint8_t page[4 + 4 + 252 + 4 + 8] = {0, 0x83};
	uint8_t *name = page + 4, *t10 = page + 4 + 4 + 252;
	char text[SCSI_DESIGNATOR_MAX] = "untouched";

	be_put16(page + 2, 4 + 252 + 4 + 8);
	name[0] = 3;
	name[1] = 8;
	name[3] = 252;
	memset(name + 4, 'n', 252);
	t10[0] = 2;
	t10[1] = 0;
	t10[3] = 8;
	CHECK(!scsi_vpd_designator(page, sizeof(page), text));
	CHECK_STR(text, "untouched");

	memset(name + 4, 'n', 250);
	memset(name + 4 + 250, 0, 2);
	CHECK(scsi_vpd_designator(page, sizeof(page), text));
	CHECK_INT(strlen(text), SCSI_DESIGNATOR_MAX - 1);
}

/* ---- block limits ---- */

static void limits_page(uint8_t *page)
{
	memset(page, 0, 64);
	page[1] = 0xb0;
	page[3] = 0x3c;
	page[4] = 1;
	page[5] = 255;
	be_put16(page + 6, 8);
	be_put32(page + 8, 0x10000);
	be_put32(page + 12, 0x2000);
	be_put32(page + 16, 0x3000);
	be_put32(page + 20, 0x40000);
	be_put32(page + 24, 64);
	be_put64(page + 36, 0x80000);
	be_put32(page + 44, 0x4000);
	be_put32(page + 56, 0x5000);
}

static void clamp_block_limits(void)
{
	uint8_t page[64], want[64];

	limits_page(page);
	limits_page(want);
	scsi_vpd_clamp_block_limits(page, 64, 0x1000);
	be_put32(want + 8, 0x1000);
	be_put32(want + 12, 0);
	be_put32(want + 16, 0x1000);
	be_put32(want + 44, 0x1000);
	be_put32(want + 56, 0x1000);
	CHECK_BYTES(page, want, 64);

	limits_page(page);
	limits_page(want);
	scsi_vpd_clamp_block_limits(page, 64, 0x10000);
	CHECK_BYTES(page, want, 64);
	scsi_vpd_clamp_block_limits(page, 64, 0);
	CHECK_BYTES(page, want, 64);

	/* no limit stated; what states nothing else stays so */
	memset(page, 0, 64);
	memset(want, 0, 64);
	page[1] = want[1] = 0xb0;
	page[3] = want[3] = 0x3c;
	be_put32(want + 8, 100);
	scsi_vpd_clamp_block_limits(page, 64, 100);
	CHECK_BYTES(page, want, 64);
}

static void clamp_compare_and_write(void)
{
	static const struct {
		uint8_t blocks;
		uint32_t max;
		uint8_t want;
	} cases[] = {
		{255, 510, 255}, {255, 509, 254}, {255, 64, 32}, {1, 2, 1}, {1, 1, 0}, {0, 64, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t page[64];

		limits_page(page);
		page[5] = cases[i].blocks;
		scsi_vpd_clamp_block_limits(page, 64, cases[i].max);
		CHECK_INT(page[5], cases[i].want);
	}
}

static void clamp_what_is_there(void)
{
	uint8_t full[64];

	limits_page(full);
	for (size_t len = 0; len <= 64; len++) {
		uint8_t want[64], *page = check_copy(full, len);

		limits_page(want);
		if (len > 5)
			want[5] = 16;
		if (len >= 12)
			be_put32(want + 8, 32);
		if (len >= 16)
			be_put32(want + 12, 0);
		if (len >= 20)
			be_put32(want + 16, 32);
		if (len >= 48)
			be_put32(want + 44, 32);
		if (len >= 60)
			be_put32(want + 56, 32);
		scsi_vpd_clamp_block_limits(page, len, 32);
		CHECK_BYTES(page, want, len);
		free(page);
	}
}

static void clamp_keeps_to_the_page(void)
{
	uint8_t page[64] = {0, 0xb0, 0, 4}, want[64] = {0, 0xb0, 0, 4};

	memset(page + 8, 0xee, 56);
	memset(want + 8, 0xee, 56);
	scsi_vpd_clamp_block_limits(page, 64, 32);
	CHECK_BYTES(page, want, 64);

	limits_page(page);
	limits_page(want);
	page[1] = want[1] = 0xb1;
	scsi_vpd_clamp_block_limits(page, 64, 32);
	CHECK_BYTES(page, want, 64);
}

static void relative_target_port(void)
{
	uint8_t page[] = {0, 0x83, 0, 40, NAA6, RELATIVE_TARGET_PORT, TARGET_PORT_NAA};

	page[4 + 20 + 6] = 0x12;
	page[4 + 20 + 7] = 0x34;
	CHECK_INT(scsi_vpd_relative_target_port(page, sizeof(page)), 0x1234);
	/* Cut behind it, and inside it. */
	CHECK_INT(scsi_vpd_relative_target_port(page, 4 + 20 + 8), 0x1234);
	for (size_t len = 0; len < 4 + 20 + 8; len++)
		CHECK_INT(scsi_vpd_relative_target_port(page, len), 0);
	/* Of the LUN, not of a port; another page. */
	page[4 + 20 + 1] = 0x04;
	CHECK_INT(scsi_vpd_relative_target_port(page, sizeof(page)), 0);
	page[4 + 20 + 1] = 0x94;
	page[1] = 0x80;
	CHECK_INT(scsi_vpd_relative_target_port(page, sizeof(page)), 0);
}

int main(void)
{
	CHECK_RUN(best_designator);
	CHECK_RUN(short_and_lying);
	CHECK_RUN(name_that_is_too_long);
	CHECK_RUN(clamp_block_limits);
	CHECK_RUN(clamp_compare_and_write);
	CHECK_RUN(clamp_what_is_there);
	CHECK_RUN(clamp_keeps_to_the_page);
	CHECK_RUN(relative_target_port);
	return check_summary();
}
