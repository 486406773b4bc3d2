/* SPDX-License-Identifier: Apache-2.0 */
/* The fake LUN against the conformance checklist: PERSISTENT RESERVE IN, REGISTER (1 to 28, 76 to
 * 78). */
#include "lun-steps.h"

static void case_01_fresh(void)
{
	static const uint8_t actions[] = {READ_KEYS, READ_RESERVATION, READ_FULL_STATUS};

	fresh();
	for (unsigned int i = 0; i < sizeof(actions); i++) {
		CHECK_INT(pr_in(A, actions[i], 256), OK);
		CHECK_INT(data_len, 8);
		CHECK_INT(be64(data), 0);
	}
}

static void case_02_capabilities(void)
{
	static const uint8_t want[] = {0, 8, 0x1d, 0xc0, 0xea, 0x01, 0, 0};

	fresh();
	CHECK_INT(pr_in(A, REPORT_CAPABILITIES, 8), OK);
	CHECK_BYTES(data, want, sizeof(want));
}

static void case_03_unknown_in(void)
{
	fresh();
	for (uint8_t action = 4; action < 0x20; action++)
		CHECK_INT(pr_in(A, action, 256), BAD_CDB);
}

static void case_04_to_06_truncated(void)
{
	setup(2, 0);
	CHECK_INT(pr_in(A, READ_KEYS, 8), OK);
	CHECK_INT(data_len, 8);
	CHECK_INT(be32(data + 4), 16);
	CHECK_INT(pr_in(A, READ_KEYS, 12), OK);
	CHECK_INT(data_len, 12);
	CHECK_INT(be32(data + 4), 16);
	for (uint16_t len = 0; len < 6; len++) {
		CHECK_INT(pr_in(A, READ_KEYS, len), OK);
		CHECK_INT(data_len, len);
	}
}

static void case_07_truncated(void)
{
	setup(1, WE);
	CHECK_INT(pr_in(A, READ_RESERVATION, 8), OK);
	CHECK_INT(data_len, 8);
	CHECK_INT(be32(data + 4), 16);
	CHECK_INT(pr_in(A, REPORT_CAPABILITIES, 4), OK);
	CHECK_INT(data_len, 4);
	CHECK_INT(data[1], 8);
}

static void case_08_same_key(void)
{
	fresh();
	CHECK_INT(reg(A, KX), OK);
	CHECK_INT(reg(B, KX), OK);
	CHECK_INT(pr_in(A, READ_KEYS, 256), OK);
	CHECK_INT(data_len, 24);
	CHECK_INT(be64(data + 8), KX);
	CHECK_INT(be64(data + 16), KX);
}

static void case_09_to_11_unregistered(void)
{
	fresh();
	CHECK_INT(pr_out(A, REGISTER, 0, KA, KA, 0), CF);
	CHECK_INT(state.registrations, 0);
	CHECK_INT(state.generation, 0);
	CHECK_INT(pr_out(A, REGISTER, 0, 0, 0, 0), OK);
	CHECK_INT(state.registrations, 0);
	CHECK_INT(state.generation, 1);
	CHECK_INT(reg(A, KA), OK);
	CHECK_INT(state.nexus[A].key, KA);
	CHECK_INT(state.generation, 2);
}

static void case_12_to_15_registered(void)
{
	setup(1, 0);
	CHECK_INT(pr_out(A, REGISTER, 0, 0, KX, 0), CF);
	CHECK_INT(state.nexus[A].key, KA);
	CHECK_INT(state.generation, 1);
	CHECK_INT(pr_out(A, REGISTER, 0, KA, KX, 0), OK);
	CHECK_INT(state.nexus[A].key, KX);
	CHECK_INT(state.generation, 2);
	CHECK_INT(pr_out(A, REGISTER, 0, KX, KX, 0), OK);
	CHECK_INT(state.generation, 3);
	CHECK_INT(pr_out(A, REGISTER, 0, KX, 0, 0), OK);
	CHECK_INT(state.registrations, 0);
	CHECK_INT(state.generation, 4);
}

static void case_16_to_18_ignore(void)
{
	fresh();
	CHECK_INT(pr_out(A, RAIEK, 0, 0x999, KA, 0), OK);
	CHECK_INT(state.nexus[A].key, KA);
	CHECK_INT(pr_out(A, RAIEK, 0, 0x999, KX, 0), OK);
	CHECK_INT(state.nexus[A].key, KX);
	CHECK_INT(pr_out(A, RAIEK, 0, 0, 0, 0), OK);
	CHECK_INT(state.registrations, 0);
	CHECK_INT(pr_out(A, RAIEK, 0, 0, 0, 0), OK);
	CHECK_INT(state.registrations, 0);
}

static void case_19_two_ports(void)
{
	fresh();
	fake_lun_set_nexus(lun, B, "iqn.2026-11.org.example:host0", 0x00023d000000, 2);
	CHECK_INT(reg(A, KA), OK);
	CHECK_INT(reg(B, KA), OK);
	CHECK_INT(state.registrations, 2);
}

static void case_20_21_reserved(void)
{
	setup(1, EA);
	CHECK_INT(reg(B, KB), OK);
	setup(1, WE);
	CHECK_INT(pr_out(A, REGISTER, 0, KA, KX, 0), OK);
	CHECK_INT(pr_in(B, READ_RESERVATION, 24), OK);
	CHECK_INT(be64(data + 8), KX);
	CHECK(held(WE, A));
}

static void case_22_list_lengths(void)
{
	static const uint32_t lens[] = {0, 16, 23, 25, 28};
	static const uint8_t list[32] = {[15] = KA};

	fresh();
	for (unsigned int i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		for (unsigned int action = REGISTER; action <= RAIEK; action++)
			CHECK_INT(pr_out_list(A, (uint8_t)action, WE, list, lens[i]), BAD_LENGTH);
	}
	CHECK_INT(state.registrations, 0);
	/* A length that lies: more than arrived. */
	CHECK_INT(send(A, (uint8_t[]){0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0}, 10, list, 23), BAD_LENGTH);
}

static void case_23_to_25_flags(void)
{
	static const uint8_t actions[] = {RAIEK, RESERVE, CLEAR, PREEMPT};
	uint8_t list[28] = {[7] = KA, [15] = KA, [20] = SPEC_I_PT};

	setup(1, 0);
	CHECK_INT(pr_out(A, 0x09, WE, KA, 0, 0), BAD_CDB);
	CHECK_INT(pr_out(A, 0x1f, WE, KA, 0, 0), BAD_CDB);
	for (unsigned int i = 0; i < sizeof(actions); i++)
		CHECK_INT(pr_out_list(A, actions[i], WE, list, sizeof(list)), BAD_LIST);
	CHECK_INT(pr_out_list(A, REGISTER, 0, list, sizeof(list)), BAD_LIST);
	CHECK_INT(state.generation, 1);
}

static void case_26_27_not_capable(void)
{
	struct fake_quirks quirks = {.no_aptpl = true, .no_all_tg_pt = true};

	fresh();
	fake_lun_set_quirks(lun, &quirks);
	CHECK_INT(pr_out(A, REGISTER, 0, 0, KA, APTPL), BAD_LIST);
	CHECK_INT(pr_out(A, REGISTER, 0, 0, KA, ALL_TG_PT), BAD_LIST);
	CHECK_INT(state.registrations, 0);
	CHECK_INT(reg(A, KA), OK);
	CHECK_INT(pr_out(A, RESERVE, WE, KA, 0, APTPL), OK);
	CHECK_INT(pr_out(A, CLEAR, 0, KA, 0, ALL_TG_PT), OK);
	CHECK_INT(pr_in(A, REPORT_CAPABILITIES, 8), OK);
	CHECK_INT(data[2], 0x18);
}

static void case_28_full(void)
{
	struct fake_quirks quirks = {.registrations_max = 2};

	setup(2, 0);
	fake_lun_set_quirks(lun, &quirks);
	CHECK_INT(reg(C, KC), CC(5, 0x5504));
	CHECK_INT(state.registrations, 2);
	CHECK_INT(state.generation, 2);
	CHECK_INT(pr_out(A, REGISTER, 0, KA, KX, 0), OK);
}

static void case_76_all_target_ports(void)
{
	fresh();
	fake_lun_set_nexus(lun, B, "iqn.2026-11.org.example:host0", 0x00023d000000, 2);
	CHECK_INT(pr_out(A, REGISTER, 0, 0, KA, ALL_TG_PT), OK);
	CHECK_INT(state.registrations, 2);
	CHECK_INT(state.generation, 1);
	CHECK_INT(pr_in(A, READ_FULL_STATUS, 512), OK);
	CHECK_INT(data[8 + 19], 1);
	CHECK_INT(data[8 + 24 + be32(data + 28) + 19], 2);
}

static void case_77_78_full_status(void)
{
	static const char port[] = "iqn.2026-11.org.example:host0,i,0x00023d000000";
	const uint8_t *a, *b;

	setup(2, WERO);
	CHECK_INT(pr_in(C, READ_FULL_STATUS, 512), OK);
	a = data + 8;
	b = a + 24 + be32(a + 20);
	CHECK_INT(be64(a), KA);
	CHECK_INT(a[12], 1);
	CHECK_INT(a[13], WERO);
	CHECK_INT(be64(b), KB);
	CHECK_INT(b[12], 0);
	CHECK_INT(b[13], 0);
	CHECK_INT(be32(a + 20) % 4, 0);
	CHECK_INT(be32(a + 20), 4 + (uint32_t)(a[26] << 8 | a[27]));
	CHECK_INT(a[24], 0x45);
	CHECK_BYTES(a + 28, port, sizeof(port));
	CHECK_INT(be32(data + 4), data_len - 8);

	setup(2, WEAR);
	CHECK_INT(pr_in(C, READ_FULL_STATUS, 512), OK);
	CHECK_INT(a[12], 1);
	CHECK_INT(b[12], 1);
	CHECK_INT(b[13], WEAR);
}

int main(void)
{
	CHECK_RUN(case_01_fresh);
	CHECK_RUN(case_02_capabilities);
	CHECK_RUN(case_03_unknown_in);
	CHECK_RUN(case_04_to_06_truncated);
	CHECK_RUN(case_07_truncated);
	CHECK_RUN(case_08_same_key);
	CHECK_RUN(case_09_to_11_unregistered);
	CHECK_RUN(case_12_to_15_registered);
	CHECK_RUN(case_16_to_18_ignore);
	CHECK_RUN(case_19_two_ports);
	CHECK_RUN(case_20_21_reserved);
	CHECK_RUN(case_22_list_lengths);
	CHECK_RUN(case_23_to_25_flags);
	CHECK_RUN(case_26_27_not_capable);
	CHECK_RUN(case_28_full);
	CHECK_RUN(case_76_all_target_ports);
	CHECK_RUN(case_77_78_full_status);
	fake_lun_detach(lun);
	return check_summary();
}
