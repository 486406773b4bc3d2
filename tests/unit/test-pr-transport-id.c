/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "be.h"
#include "pr.h"

/* An iSCSI TransportID of the length that SPC-4 7.6.4.6 gives it; returns the length. */
static size_t iscsi_id(uint8_t first, const char *name, uint8_t *id)
{
	size_t additional = (strlen(name) + 1 + 3) / 4 * 4;

	if (additional < 20)
		additional = 20;
	memset(id, 0, 4 + additional);
	id[0] = first;
	be_put16(id + 2, (uint16_t)additional);
	memcpy(id + 4, name, strlen(name));
	return 4 + additional;
}

static bool text_of(const uint8_t *id, size_t len, char *ret)
{
	uint8_t *copy = check_copy(id, len);
	bool good = pr_transport_id_text(copy, len, ret);

	free(copy);
	return good;
}

static void iscsi(void)
{
	static const struct {
		uint8_t first;
		const char *name, *want;
	} cases[] = {
		{0x45, "iqn.2026-11.com.example:vm1,i,0x00023d000001",
		 "iscsi:iqn.2026-11.com.example:vm1%2Ci%2C0x00023d000001"},
		{0x45, "IQN.2026-11.com.Example:VM1,i,0x00023D000001",
		 "iscsi:iqn.2026-11.com.example:vm1%2Ci%2C0x00023d000001"},
		{0x05, "iqn.2026-11.com.example:vm1", "iscsi:iqn.2026-11.com.example:vm1"},
		{0x05, "iqn.x", "iscsi:iqn.x"},
		{0x05, "a b\"c;d\\e+f%g", "iscsi:a%20b%22c%3Bd%5Ce%2Bf%25g"},
		{0x05, "\xc3\xa4", "iscsi:%C3%A4"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t id[PR_TRANSPORT_ID_MAX];
		char text[PR_TRANSPORT_ID_TEXT_MAX] = "";
		size_t len = iscsi_id(cases[i].first, cases[i].name, id);

		CHECK(text_of(id, len, text));
		CHECK_STR(text, cases[i].want);
	}
}

/* LIO before the fix put a NUL before ",i,0x": two ports of one initiator must still differ. */
static void iscsi_port_without_isid(void)
{
	static const uint8_t id[] = {0x45, 0, 0, 20, 'i', 'q', 'n', '.', 'x', 0, 0,    0,
				     0,	   0, 0, 0,  0,	  0,   0,   0,	 0,   0, 0x3d, 0x01};
	char text[PR_TRANSPORT_ID_TEXT_MAX] = "";

	CHECK(text_of(id, sizeof(id), text));
	CHECK_STR(text, "id:4500001469716e2e780000000000000000000000"
			"00003d01");
}

static void iscsi_longest(void)
{
	uint8_t id[PR_TRANSPORT_ID_MAX + 8];
	char name[300], text[PR_TRANSPORT_ID_TEXT_MAX] = "";
	size_t len;

	memset(name, 'n', 223);
	strcpy(name + 223, ",i,0x00023d000001");
	len = iscsi_id(0x45, name, id);
	CHECK_INT(len, PR_TRANSPORT_ID_MAX);
	CHECK(text_of(id, len, text));
	CHECK_INT(strlen(text), 6 + 223 + 17 + 4);

	name[223] = '\0';
	len = iscsi_id(0x05, name, id);
	CHECK_INT(len, 228);
	CHECK(text_of(id, len, text));
	CHECK_INT(strlen(text), 6 + 223);

	/* what no name may be: the text has room for it */
	memset(name, ' ', 243);
	name[243] = '\0';
	len = iscsi_id(0x05, name, id);
	CHECK_INT(len, PR_TRANSPORT_ID_MAX);
	CHECK(text_of(id, len, text));
	CHECK_INT(strlen(text), 6 + 3 * 243);
	memset(name, 'n', 247);
	name[247] = '\0';
	len = iscsi_id(0x05, name, id);
	CHECK(!text_of(id, len, text));
}

static void iscsi_malformed(void)
{
	uint8_t good[PR_TRANSPORT_ID_MAX], id[PR_TRANSPORT_ID_MAX];
	char text[PR_TRANSPORT_ID_TEXT_MAX] = "untouched";
	size_t len = iscsi_id(0x45, "iqn.2026-11.com.example:vm1,i,0x00023d000001", good);

	for (size_t cut = 0; cut < len; cut++)
		CHECK(!text_of(good, cut, text));
	/* every ADDITIONAL LENGTH */
	for (uint32_t lie = 0; lie < 0x10000; lie++) {
		memcpy(id, good, len);
		be_put16(id + 2, (uint16_t)lie);
		if (lie < 20 || lie % 4 || lie + 4 > len)
			CHECK(!text_of(id, len, text));
	}
	/* no NUL */
	memset(id, 'x', 24);
	id[0] = 0x05;
	be_put16(id + 2, 20);
	CHECK(!text_of(id, 24, text));
	/* no name */
	memset(id + 4, 0, 20);
	CHECK(!text_of(id, 24, text));
	/* FORMAT CODE 10b, 11b */
	for (unsigned int first = 0x85; first <= 0xc5; first += 0x40) {
		memcpy(id, good, len);
		id[0] = (uint8_t)first;
		CHECK(!text_of(id, len, text));
	}
	CHECK_STR(text, "untouched");
}

static void other_protocols(void)
{
	static const struct {
		uint8_t id[24];
		const char *want;
	} cases[] = {
		{{0x00, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0x24, 0xff, 1, 2, 3},
		 "fc:21000024ff010203"},
		{{0x06, 0, 0, 0, 0x50, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0xff},
		 "sas:50010203040506ff"},
		{{0x04, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		 "srp:0102030405060708090a0b0c0d0e0f10"},
		{{0x0a, 0, 0x12, 0x34}, "id:0a0012340000000000000000000000000000000000000000"},
		{{0x01, 0, 0, 7}, "id:010000070000000000000000000000000000000000000000"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[PR_TRANSPORT_ID_TEXT_MAX] = "untouched";
		uint8_t id[24];

		for (size_t cut = 0; cut < 24; cut++)
			CHECK(!text_of(cases[i].id, cut, text));
		memcpy(id, cases[i].id, sizeof(id));
		for (unsigned int format = 0x40; format <= 0xc0; format += 0x40) {
			id[0] = (uint8_t)(cases[i].id[0] | format);
			CHECK(!text_of(id, 24, text));
		}
		CHECK_STR(text, "untouched");
		CHECK(text_of(cases[i].id, 24, text));
		CHECK_STR(text, cases[i].want);
	}
}

/* Whatever it is, the text fits and has no other byte than an encoded one. */
static void every_first_byte(void)
{
	for (unsigned int first = 0; first < 256; first++)
		for (size_t len = 0; len <= 1024; len += 4) {
			uint8_t *id = check_copy("", 0);
			char text[PR_TRANSPORT_ID_TEXT_MAX] = "";

			free(id);
			id = (uint8_t *)calloc(1, len ? len : 1);
			if (!id)
				abort();
			memset(id, 0xa5, len);
			id[0] = (uint8_t)first;
			if (pr_transport_id_text(id, len, text))
				CHECK_INT(strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEF0123456789"
						       ":%-_."),
					  strlen(text));
			free(id);
		}
}

int main(void)
{
	CHECK_RUN(iscsi);
	CHECK_RUN(iscsi_port_without_isid);
	CHECK_RUN(iscsi_longest);
	CHECK_RUN(iscsi_malformed);
	CHECK_RUN(other_protocols);
	CHECK_RUN(every_first_byte);
	return check_summary();
}
