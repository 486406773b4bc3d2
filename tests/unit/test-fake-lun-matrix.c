/* SPDX-License-Identifier: Apache-2.0 */
/* The fake LUN against the conformance checklist: the command matrix, SPC-2 reservations, what
 * survives what (79 to 83, 87 to 91). */
#include "lun-steps.h"

static void case_79_grid(void)
{
	static const struct {
		uint8_t type;
		unsigned int registered_read, registered_write, stranger_read;
	} rows[] = {
		{WE, OK, CF, OK},   {EA, CF, CF, CF},	{WERO, OK, OK, OK},
		{EARO, OK, OK, CF}, {WEAR, OK, OK, OK}, {EAAR, OK, OK, CF},
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(2, rows[i].type);
		CHECK_INT(read_block(A), OK);
		CHECK_INT(write_block(A), OK);
		CHECK_INT(read_block(B), rows[i].registered_read);
		CHECK_INT(write_block(B), rows[i].registered_write);
		CHECK_INT(read_block(C), rows[i].stranger_read);
		CHECK_INT(write_block(C), CF);
	}
}

static const uint8_t always[][16] = {
	{0x12, 0, 0, 0, 36},
	{0xa0, [9] = 16},
	{0x03, [4] = 18},
	{0x00},
	{0x25},
	{0x9e, 0x10, [13] = 32},
	{0x4d, [8] = 16},
	{0x5e, 0, [8] = 16},
	{0xa3, 0x0a, [9] = 32},
	{0x1b, [4] = 1},
	{0x1e},
};

static const uint8_t reads[][16] = {
	{0x2f, 0x00, [8] = 1},	   {0x2f, 0x02, [8] = 1},   {0x1a, 0, 0x3f, 0, 64},
	{0x5a, 0, 0x3f, [8] = 64}, {0x9e, 0x12, [13] = 24}, {0x3c, 0x03, [8] = 4},
	{0x37, [8] = 4},	   {0xa3, 0x0c, [9] = 16},  {0x88, [13] = 1},
	{0x08, [4] = 1},	   {0xa8, [9] = 1},
};

static const uint8_t writes[][16] = {
	{0x35},
	{0x91},
	{0x42},
	{0x41, [8] = 1},
	{0x93, [13] = 1},
	{0x89, [13] = 1},
	{0x04},
	{0x15, 0x10},
	{0x55, 0x10},
	{0x4c},
	{0xa4, 0x0a},
	{0x1b, [4] = 0},
	{0x1b, [4] = 0x11},
	{0x1e, [4] = 1},
	{0x83},
	{0x2e, [8] = 1},
	{0x0a, [4] = 1},
	{0xaa, [9] = 1},
	{0x8a, [13] = 1},
	{0x48},
	{0xc0},
	{0x9e, 0x1f},
};

#define SEND_ROW(nexus, row) send(nexus, row, 16, zeros, sizeof(zeros))

static void case_80_to_82_classes(void)
{
	static const uint8_t zeros[1024];

	for (unsigned int i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
		setup(1, EA);
		CHECK_INT(SEND_ROW(B, always[i]), OK);
	}
	for (unsigned int i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		setup(1, WE);
		CHECK(SEND_ROW(B, reads[i]) != CF);
		setup(1, EA);
		CHECK_INT(SEND_ROW(B, reads[i]), CF);
	}
	for (unsigned int i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		setup(1, WE);
		CHECK_INT(SEND_ROW(B, writes[i]), CF);
		CHECK(SEND_ROW(A, writes[i]) != CF);
	}
}

static void case_83_conflict_changes_nothing(void)
{
	setup(1, WE);
	CHECK_INT(write_block(B), CF); /* and send() checks that there is no sense data */
	CHECK_INT(read_block(B), OK);
	CHECK_INT(data[0], 0);
}

static unsigned int reserve_6(unsigned int nexus)
{
	return SEND(nexus, 0x16);
}

static unsigned int release_6(unsigned int nexus)
{
	return SEND(nexus, 0x17);
}

static void case_87_spc_2(void)
{
	fresh();
	CHECK_INT(reserve_6(A), OK);
	CHECK_INT(reserve_6(A), OK);
	CHECK_INT(reserve_6(B), CF);
	CHECK_INT(release_6(B), OK);
	CHECK_INT(pr_in(A, READ_KEYS, 8), CF);
	CHECK_INT(pr_in(B, READ_KEYS, 8), CF);
	CHECK_INT(reg(A, KA), CF);
	CHECK_INT(tur(B), CF);
	CHECK_INT(read_block(B), CF);
	CHECK_INT(SEND(B, 0x12, 0, 0, 0, 36), OK);
	CHECK_INT(SEND(B, 0x25), OK);
	CHECK_INT(write_block(A), OK);
	CHECK_INT(release_6(A), OK);
	CHECK_INT(reg(A, KA), OK);
	fresh();
	CHECK_INT(reserve_6(A), OK);
	fake_lun_set_connected(lun, A, false);
	CHECK_INT(tur(A), HOST(FAKE_DID_NO_CONNECT));
	CHECK_INT(tur(B), OK);
}

static void case_88_crh(void)
{
	struct fake_quirks quirks = {.no_crh = true};

	setup(1, 0);
	CHECK_INT(reserve_6(A), CF);
	setup(2, WE);
	CHECK_INT(reserve_6(A), OK);
	CHECK_INT(release_6(A), OK);
	CHECK_INT(reserve_6(B), CF);
	CHECK(held(WE, A));
	CHECK_INT(state.reserve_holder, FAKE_ANY);
	CHECK_INT(write_block(B), CF);
	setup(2, WERO);
	CHECK_INT(reserve_6(B), OK);
	CHECK_INT(reserve_6(C), CF);
	fake_lun_set_quirks(lun, &quirks);
	CHECK_INT(reserve_6(A), CF);
}

static void case_89_reset(void)
{
	setup(2, WERO);
	fake_lun_reset(lun);
	CHECK_INT(tur(A), UA(0x2903));
	CHECK_INT(tur(B), UA(0x2903));
	fake_lun_set_connected(lun, A, false);
	fake_lun_set_connected(lun, A, true);
	CHECK_INT(tur(A), OK);
	CHECK(held(WERO, A));
	CHECK_INT(state.registrations, 2);
	CHECK_INT(state.generation, 2);
}

static void case_90_power_loss(void)
{
	setup(2, 0);
	CHECK_INT(pr_out(A, REGISTER, 0, KA, KA, APTPL), OK);
	CHECK_INT(pr_out(A, RESERVE, WERO, KA, 0, 0), OK);
	fake_lun_set_connected(lun, A, false);
	fake_lun_power_loss(lun);
	CHECK_INT(pr_in(B, READ_KEYS, 256), UA(0x2900));
	CHECK_INT(pr_in(B, READ_KEYS, 256), OK);
	CHECK_INT(be32(data), 0);
	CHECK_INT(be64(data + 8), KA);
	CHECK_INT(pr_in(B, REPORT_CAPABILITIES, 8), OK);
	CHECK_INT(data[3] & 1, 1);
	CHECK(held(WERO, A));
	CHECK_INT(pr_out(B, PREEMPT, WERO, KB, KA, 0), OK);
	CHECK(held(WERO, B));
	CHECK_INT(pr_out(B, REGISTER, 0, KB, KB, 0), OK);
	CHECK(!state.aptpl);
	fake_lun_power_loss(lun);
	look();
	CHECK_INT(state.registrations, 0);
	CHECK(!state.held);
	CHECK_INT(state.generation, 0);
}

static void case_91_store_fails(void)
{
	struct fake_quirks quirks = {.aptpl_store_fails = true};

	fresh();
	fake_lun_set_quirks(lun, &quirks);
	CHECK_INT(pr_out(A, REGISTER, 0, 0, KA, APTPL), CC(5, 0x5504));
	CHECK_INT(state.registrations, 0);
	CHECK_INT(state.generation, 0);
	/* LIO without its folder: it says so, and has done it. */
	quirks = (struct fake_quirks){.register_not_ready = true};
	fake_lun_set_quirks(lun, &quirks);
	CHECK_INT(reg(A, KA), CC(2, 0x0800));
	CHECK_INT(state.nexus[A].key, KA);
	CHECK_INT(state.generation, 1);
}

int main(void)
{
	CHECK_RUN(case_79_grid);
	CHECK_RUN(case_80_to_82_classes);
	CHECK_RUN(case_83_conflict_changes_nothing);
	CHECK_RUN(case_87_spc_2);
	CHECK_RUN(case_88_crh);
	CHECK_RUN(case_89_reset);
	CHECK_RUN(case_90_power_loss);
	CHECK_RUN(case_91_store_fails);
	fake_lun_detach(lun);
	return check_summary();
}
