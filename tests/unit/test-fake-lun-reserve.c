/* SPDX-License-Identifier: Apache-2.0 */
/* The fake LUN against the conformance checklist: RESERVE, RELEASE, CLEAR, unregistering (29 to
 * 49). */
#include "lun-steps.h"

static const uint8_t types[] = {WE, EA, WERO, EARO, WEAR, EAAR};

static unsigned int move_to(unsigned int nexus, uint64_t key, uint64_t service_key, unsigned int to)
{
	uint8_t list[24 + 256] = {0}, id[256];
	size_t len = fake_lun_transport_id(lun, to, id);

	be64_put(list, key);
	be64_put(list + 8, service_key);
	list[19] = 1;
	be32_put(list + 20, (uint32_t)len);
	memcpy(list + 24, id, len);
	return pr_out_list(nexus, MOVE, 0, list, 24 + (uint32_t)len);
}

static void case_29_unregistered(void)
{
	for (int reserved = 0; reserved < 2; reserved++) {
		setup(2, reserved ? WE : 0);
		CHECK_INT(pr_out(C, RESERVE, WE, 0, 0, 0), CF);
		CHECK_INT(pr_out(C, RELEASE, WE, 0, 0, 0), CF);
		CHECK_INT(pr_out(C, CLEAR, 0, 0, 0, 0), CF);
		CHECK_INT(pr_out(C, PREEMPT, WE, 0, KA, 0), CF);
		CHECK_INT(move_to(C, 0, KX, B), CF);
		CHECK_INT(state.generation, 2);
	}
}

static void case_30_31_reserve_refused(void)
{
	static const uint8_t bad[] = {0x0, 0x2, 0x4, 0x9, 0xf, 0x11};

	setup(1, 0);
	CHECK_INT(pr_out(A, RESERVE, WE, KX, 0, 0), CF);
	for (unsigned int i = 0; i < sizeof(bad); i++)
		CHECK_INT(pr_out(A, RESERVE, bad[i], KA, 0, 0), BAD_CDB);
	CHECK(!state.held);
}

static void case_32_reserve_types(void)
{
	for (unsigned int i = 0; i < sizeof(types); i++) {
		setup(1, types[i]);
		CHECK_INT(pr_in(B, READ_RESERVATION, 24), OK);
		CHECK_INT(data_len, 24);
		CHECK_INT(data[21], types[i]);
		CHECK_INT(be64(data + 8), types[i] < WEAR ? KA : 0);
		CHECK_INT(state.generation, 1);
	}
}

static void case_33_to_35_reserve_again(void)
{
	setup(1, WERO);
	CHECK_INT(pr_out(A, RESERVE, WERO, KA, 0, 0), OK);
	CHECK_INT(pr_out(A, RESERVE, EARO, KA, 0, 0), CF);
	CHECK(held(WERO, A));
	setup(2, WE);
	CHECK_INT(pr_out(B, RESERVE, WE, KB, 0, 0), CF);
	setup(2, WEAR);
	CHECK_INT(pr_out(B, RESERVE, WEAR, KB, 0, 0), OK);
	CHECK_INT(pr_out(B, RESERVE, EAAR, KB, 0, 0), CF);
}

static void case_36_to_39_release(void)
{
	setup(2, 0);
	CHECK_INT(pr_out(A, RELEASE, WE, KA, 0, 0), OK);
	CHECK_INT(pr_out(A, RELEASE, WE, KX, 0, 0), CF);
	setup(2, WE);
	CHECK_INT(pr_out(B, RELEASE, WE, KB, 0, 0), OK);
	CHECK_INT(pr_out(A, RELEASE, EA, KA, 0, 0), NO_RELEASE);
	CHECK_INT(pr_out(A, RELEASE, WE, KX, 0, 0), CF);
	CHECK(held(WE, A));
	CHECK_INT(pr_out(A, RELEASE, WE, KA, 0, 0), OK);
	CHECK(!state.held);
	CHECK_INT(state.registrations, 2);
	CHECK_INT(state.generation, 2);
	CHECK(quiet());
}

static void case_40_41_release_announced(void)
{
	setup(2, WERO);
	CHECK_INT(pr_out(A, RELEASE, WERO, KA, 0, 0), OK);
	CHECK_INT(tur(A), OK);
	CHECK_INT(tur(C), OK);
	CHECK_INT(tur(B), UA4);
	CHECK_INT(tur(B), OK);
	setup(2, EAAR);
	CHECK_INT(pr_out(B, RELEASE, EAAR, KB, 0, 0), OK);
	CHECK(!state.held);
	CHECK_INT(tur(A), UA4);
	CHECK(quiet());
}

static void case_42_to_44_unregister(void)
{
	setup(2, EA);
	CHECK_INT(pr_out(A, REGISTER, 0, KA, 0, 0), OK);
	CHECK(!state.held);
	CHECK(quiet());
	CHECK_INT(state.generation, 3);
	setup(2, EARO);
	CHECK_INT(pr_out(B, REGISTER, 0, KB, 0, 0), OK);
	CHECK(held(EARO, A));
	CHECK(quiet());
	setup(2, EARO);
	CHECK_INT(pr_out(A, REGISTER, 0, KA, 0, 0), OK);
	CHECK(!state.held);
	CHECK_INT(tur(B), UA4);
	CHECK(quiet());
}

static void case_45_unregister_all_registrants(void)
{
	setup(2, WEAR);
	CHECK_INT(pr_out(A, REGISTER, 0, KA, 0, 0), OK);
	CHECK(held(WEAR, FAKE_ANY));
	CHECK_INT(pr_in(A, READ_RESERVATION, 24), OK);
	CHECK_INT(be64(data + 8), 0);
	CHECK_INT(write_block(B), OK);
	CHECK_INT(write_block(A), CF);
	CHECK(quiet());
	CHECK_INT(pr_out(B, REGISTER, 0, KB, 0, 0), OK);
	CHECK(!state.held);
}

static void case_46_to_49_clear(void)
{
	setup(3, WERO);
	CHECK_INT(pr_out(A, CLEAR, 0, KX, 0, 0), CF);
	CHECK_INT(state.registrations, 3);
	CHECK_INT(pr_out(A, CLEAR, 0, KA, 0, 0), OK);
	CHECK_INT(state.registrations, 0);
	CHECK(!state.held);
	CHECK_INT(state.generation, 4);
	CHECK_INT(tur(B), UA3);
	CHECK_INT(tur(C), UA3);
	CHECK(quiet());
	setup(2, 0);
	CHECK_INT(pr_out(B, CLEAR, 0, KB, 0, 0), OK);
	CHECK_INT(tur(A), UA3);
	setup(2, EA);
	CHECK_INT(pr_out(B, CLEAR, 0, KB, 0, 0), OK);
	CHECK_INT(tur(A), UA3);
}

static void case_68_to_70_move_refused(void)
{
	setup(1, 0);
	CHECK_INT(move_to(A, KA, KX, B), BAD_CDB);
	setup(2, WE);
	CHECK_INT(move_to(B, KB, KX, C), CF);
	setup(2, WEAR);
	CHECK_INT(move_to(A, KA, KX, B), CF);
}

static void case_71_move_bad_list(void)
{
	uint8_t list[52] = {[7] = KA, [15] = KX, [19] = 1};

	setup(1, WERO);
	CHECK_INT(move_to(A, KA, 0, B), BAD_LIST);
	CHECK_INT(move_to(A, KA, KX, A), BAD_LIST);
	list[23] = 20;
	CHECK_INT(pr_out_list(A, MOVE, 0, list, 44), BAD_LIST);
	list[23] = 26;
	CHECK_INT(pr_out_list(A, MOVE, 0, list, 50), BAD_LIST);
	list[23] = 28;
	CHECK_INT(pr_out_list(A, MOVE, 0, list, 48), BAD_LENGTH);
	/* A Fibre Channel port whose reserved bytes look like a length. */
	list[23] = 24;
	list[26] = list[27] = 0xff;
	CHECK_INT(pr_out_list(A, MOVE, 0, list, 48), BAD_LIST);
	CHECK(held(WERO, A));
	CHECK_INT(state.generation, 1);
}

static void case_72_73_move(void)
{
	uint8_t list[24 + 256] = {[7] = KA, [15] = KX, [17] = 2, [19] = 1};
	size_t len;

	setup(1, WERO);
	CHECK_INT(move_to(A, KA, KB, B), OK);
	CHECK(held(WERO, B));
	CHECK_INT(state.nexus[A].key, KA);
	CHECK_INT(state.nexus[B].key, KB);
	CHECK_INT(state.generation, 2);
	CHECK(quiet());
	setup(2, WERO);
	len = fake_lun_transport_id(lun, B, list + 24);
	be32_put(list + 20, (uint32_t)len);
	CHECK_INT(pr_out_list(A, MOVE, 0, list, 24 + (uint32_t)len), OK);
	CHECK(held(WERO, B));
	CHECK_INT(state.registrations, 1);
	CHECK_INT(state.nexus[B].key, KX);
}

static void case_74_75_spec_i_pt(void)
{
	uint8_t list[28 + 512] = {[15] = KX, [20] = SPEC_I_PT};
	uint32_t len = 28;

	fresh();
	len += fake_lun_transport_id(lun, B, list + len);
	len += fake_lun_transport_id(lun, C, list + len);
	be32_put(list + 24, len - 28);
	CHECK_INT(pr_out_list(A, REGISTER, 0, list, len), OK);
	CHECK_INT(fake_lun_count_key(lun, KX), 3);
	CHECK_INT(state.generation, 1);
	CHECK_INT(pr_out_list(D, REGISTER, 0, list, len), BAD_LIST);
	CHECK_INT(state.nexus[D].key, 0);

	fresh();
	CHECK_INT(pr_out_list(A, REGISTER, 0, list, len - 4), BAD_LENGTH);
	list[28 + 3] = 200; /* the first TransportID says that it is longer than the list */
	CHECK_INT(pr_out_list(A, REGISTER, 0, list, len), BAD_LIST);
	CHECK_INT(state.registrations, 0);
}

int main(void)
{
	CHECK_RUN(case_29_unregistered);
	CHECK_RUN(case_30_31_reserve_refused);
	CHECK_RUN(case_32_reserve_types);
	CHECK_RUN(case_33_to_35_reserve_again);
	CHECK_RUN(case_36_to_39_release);
	CHECK_RUN(case_40_41_release_announced);
	CHECK_RUN(case_42_to_44_unregister);
	CHECK_RUN(case_45_unregister_all_registrants);
	CHECK_RUN(case_46_to_49_clear);
	CHECK_RUN(case_68_to_70_move_refused);
	CHECK_RUN(case_71_move_bad_list);
	CHECK_RUN(case_72_73_move);
	CHECK_RUN(case_74_75_spec_i_pt);
	fake_lun_detach(lun);
	return check_summary();
}
