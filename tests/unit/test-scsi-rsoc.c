/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "be.h"
#include "scsi.h"

#define RSOC(options, opcode, action)                                                              \
	{                                                                                          \
		0xa3, 0x0c, options, opcode, 0, action, 0, 0, 0xff, 0xff                           \
	}
#define ALL RSOC(0, 0, 0)

/* SERVACTV 01h, CTDP 02h in byte 5 */
#define D_READ 0x88, 0, 0, 0, 0, 0x00, 0, 16
#define D_WRITE_T 0x8a, 0, 0, 0, 0, 0x02, 0, 16, 0, 0x0a, 0, 0, 0, 0, 0, 30, 0, 0, 0, 60
#define D_FORMAT 0x04, 0, 0, 0, 0, 0x00, 0, 6
#define D_FORMAT_T 0x04, 0, 0, 0, 0, 0x02, 0, 6, 0, 0x0a, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2
#define D_REGISTER 0x5f, 0, 0, 0, 0, 0x01, 0, 10
#define D_MOVE 0x5f, 0, 0, 7, 0, 0x01, 0, 10
#define D_MOVE_T 0x5f, 0, 0, 7, 0, 0x03, 0, 10, 0, 0x0a, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2
#define D_EXTENDED_COPY 0x83, 0, 0, 0, 0, 0x01, 0, 16
#define D_READ_CAPACITY 0x9e, 0, 0, 0x10, 0, 0x01, 0, 16
#define D_READ_32 0x7f, 0, 0, 0x09, 0, 0x01, 0, 32
#define D_XDREAD_32 0x7f, 0, 0, 0x03, 0, 0x01, 0, 32
#define D_VENDOR 0xc0, 0, 0, 0, 0, 0x00, 0, 10

struct bytes {
	uint8_t data[160];
	size_t len;
};
#define BYTES(...)                                                                                 \
	{                                                                                          \
		{__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})                                    \
	}

static const uint8_t one_supported[] = {0, 0x03, 0,    10,   0x5f, 0x1f, 0xff,
					0, 0,	 0xff, 0xff, 0xff, 0xff, 0x07};
static const uint8_t not_supported[] = {0, 0x01, 0, 0};

static uint8_t *all_new(const struct bytes *descriptors, size_t *ret_len)
{
	uint8_t data[164];

	be_put32(data, (uint32_t)descriptors->len);
	memcpy(data + 4, descriptors->data, descriptors->len);
	*ret_len = 4 + descriptors->len;
	return check_copy(data, *ret_len);
}

static void check_all(const struct bytes *have, bool filter, bool mask_pr, const struct bytes *want)
{
	static const uint8_t cdb[12] = ALL;
	size_t len;
	uint8_t *data = all_new(have, &len);

	CHECK_INT(scsi_rsoc_rewrite(cdb, data, len, filter, mask_pr), 4 + want->len);
	CHECK_INT(be_get32(data), want->len);
	CHECK_BYTES(data + 4, want->data, want->len);
	free(data);
}

static void all_commands(void)
{
	static const struct bytes have =
		BYTES(D_READ, D_WRITE_T, D_FORMAT, D_REGISTER, D_FORMAT_T, D_MOVE, D_MOVE_T,
		      D_EXTENDED_COPY, D_READ_CAPACITY, D_READ_32, D_XDREAD_32, D_VENDOR);
	static const struct bytes filtered =
		BYTES(D_READ, D_WRITE_T, D_REGISTER, D_MOVE, D_MOVE_T, D_READ_CAPACITY, D_READ_32);
	static const struct bytes masked =
		BYTES(D_READ, D_WRITE_T, D_FORMAT, D_REGISTER, D_FORMAT_T, D_EXTENDED_COPY,
		      D_READ_CAPACITY, D_READ_32, D_XDREAD_32, D_VENDOR);
	static const struct bytes both =
		BYTES(D_READ, D_WRITE_T, D_REGISTER, D_READ_CAPACITY, D_READ_32);
	static const struct bytes none = {{0}, 0};
	static const struct bytes only_vendor = BYTES(D_VENDOR);

	check_all(&have, false, false, &have);
	check_all(&have, true, false, &filtered);
	check_all(&have, false, true, &masked);
	check_all(&have, true, true, &both);
	check_all(&none, true, true, &none);
	check_all(&only_vendor, true, true, &none);
}

/* An answer cut by the allocation length: what is there in full is judged, COMMAND DATA LENGTH
 * still counts what is not. */
static void all_commands_cut(void)
{
	static const uint8_t cdb[12] = ALL;
	static const struct bytes have = BYTES(D_READ, D_FORMAT_T, D_MOVE, D_WRITE_T);

	for (size_t cut = 0; cut <= 4 + have.len; cut++) {
		size_t full, len;
		uint8_t *all = all_new(&have, &full);
		uint8_t *data = check_copy(all, cut);
		size_t gone = (cut >= 32 ? 20u : 0u) + (cut >= 40 ? 8u : 0u);

		len = scsi_rsoc_rewrite(cdb, data, cut, true, true);
		CHECK(len <= cut);
		if (cut < 4)
			CHECK_INT(len, cut);
		else
			CHECK_INT(be_get32(data), have.len - gone);
		CHECK_INT(len, cut < 4 ? cut : cut < 12 ? 4 : cut < 60 ? 12 : 32);
		free(data);
		free(all);
	}
}

/* COMMAND DATA LENGTH less than what arrived, or no multiple of a descriptor. */
static void all_commands_lying(void)
{
	static const uint8_t cdb[12] = ALL;
	static const struct bytes have = BYTES(D_READ, D_READ, D_FORMAT);

	for (uint32_t lie = 0; lie < 40; lie++) {
		size_t len;
		uint8_t *data = all_new(&have, &len);

		be_put32(data, lie);
		CHECK_INT(scsi_rsoc_rewrite(cdb, data, len, true, true), lie < 8    ? 4
									 : lie < 16 ? 12
										    : 20);
		free(data);
	}
}

static void one_command(void)
{
	static const struct {
		uint8_t cdb[12];
		bool filter, mask_pr, supported;
	} cases[] = {
		{RSOC(0x01, 0x28, 0), true, true, true},
		{RSOC(0x81, 0x28, 0), true, true, true},
		{RSOC(0x01, 0x28, 9), true, true, true},
		{RSOC(0x01, 0x04, 0), true, true, false},
		{RSOC(0x01, 0x04, 0), false, true, true},
		{RSOC(0x02, 0x5f, 0), true, true, true},
		{RSOC(0x02, 0x5f, 7), true, true, false},
		{RSOC(0x02, 0x5f, 7), true, false, true},
		{RSOC(0x82, 0x5f, 7), false, true, false},
		{RSOC(0x02, 0x83, 0), true, true, false},
		{RSOC(0x02, 0x9e, 0x10), true, true, true},
		{RSOC(0x02, 0x9e, 0x14), true, true, false},
		{RSOC(0x02, 0x7f, 0x09), true, true, true},
		{RSOC(0x02, 0x7f, 0x03), true, true, false},
		{RSOC(0x03, 0x28, 0), true, true, true},
		{RSOC(0x03, 0x3b, 5), true, true, false},
		{RSOC(0x03, 0x5f, 7), true, true, false},
		{RSOC(0x01, 0xc0, 0), true, true, false},
		/* reserved reporting options: the LUN's affair */
		{RSOC(0x04, 0xc0, 0), true, true, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool supported = cases[i].supported;

		for (size_t cut = 0; cut <= sizeof(one_supported); cut++) {
			uint8_t *data = check_copy(one_supported, cut);
			size_t want = supported || cut < 4 ? cut : 4;

			CHECK_INT(scsi_rsoc_rewrite(cases[i].cdb, data, cut, cases[i].filter,
						    cases[i].mask_pr),
				  want);
			CHECK_BYTES(data, supported ? one_supported : not_supported, want);
			free(data);
		}
	}
}

int main(void)
{
	CHECK_RUN(all_commands);
	CHECK_RUN(all_commands_cut);
	CHECK_RUN(all_commands_lying);
	CHECK_RUN(one_command);
	return check_summary();
}
