/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE IN. */
#include "be.h"
#include "check.h"
#include "unit/engine-cases.h"
#include "unit/engine-world.h"

static void case_1_fresh_lu(void)
{
	static const uint8_t nothing[8] = {0};

	BEGIN("");
	for (uint8_t action = 0; action < 4; action++) {
		struct engine_in in = engine_in(w, action, UINT16_MAX);

		CHECK_INT(in.end, GOOD);
		CHECK_INT(in.len, 8);
		if (action != PR_IN_REPORT_CAPABILITIES)
			CHECK_BYTES(in.data, nothing, sizeof(nothing));
	}
}

static void case_2_capabilities(void)
{
	/* LENGTH 8; PTPL_C; TMV, ALLOW COMMANDS 100b; all six types. */
	static const uint8_t able[8] = {0, 8, 0x01, 0xc0, 0xea, 0x01, 0, 0};
	static const uint8_t without_ptpl[8] = {0, 8, 0x00, 0xc0, 0xea, 0x01, 0, 0};
	struct engine_in in;

	BEGIN("");
	in = engine_in(w, PR_IN_REPORT_CAPABILITIES, 8);
	CHECK_INT(in.end, GOOD);
	CHECK_INT(in.len, 8);
	CHECK_BYTES(in.data, able, 8);
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a', .aptpl = true), GOOD);
	CHECK_INT(engine_in(w, PR_IN_REPORT_CAPABILITIES, 8).data[3], 0xc1);
	engine_world_begin(w, false, "");
	in = engine_in(w, PR_IN_REPORT_CAPABILITIES, 8);
	CHECK_BYTES(in.data, without_ptpl, 8);
}

static void case_3_reserved_service_actions(void)
{
	BEGIN("A:a 1/A");
	for (uint8_t action = 4; action < 0x20; action++) {
		struct engine_in in = engine_in(w, action, 255);

		CHECK_INT(in.end, INVALID_FIELD_IN_CDB);
		CHECK_INT(in.len, 0);
	}
}

/* Data cut at each length: what is there is the beginning of the whole, ADDITIONAL LENGTH included. */
static void check_cut(const struct engine_world *w, uint8_t action, size_t want_len)
{
	struct engine_in whole = engine_in(w, action, UINT16_MAX);

	CHECK_INT(whole.len, want_len);
	for (size_t len = 0; len <= want_len + 3; len++) {
		struct engine_in in = engine_in(w, action, (uint16_t)len);

		CHECK_INT(in.end, GOOD);
		CHECK_INT(in.len, len < want_len ? len : want_len);
		CHECK_BYTES(in.data, whole.data, in.len);
	}
}

static void case_4_allocation_8(void)
{
	struct engine_in in;

	BEGIN("A:a B:b");
	in = engine_in(w, PR_IN_READ_KEYS, 8);
	CHECK_INT(in.end, GOOD);
	CHECK_INT(in.len, 8);
	CHECK_INT(be_get32(in.data + 4), 16);
}

static void case_5_allocation_12(void)
{
	struct engine_in in;

	BEGIN("A:a B:b");
	in = engine_in(w, PR_IN_READ_KEYS, 12);
	CHECK_INT(in.end, GOOD);
	CHECK_INT(in.len, 12);
	CHECK_INT(be_get32(in.data + 4), 16);
	CHECK_INT(be_get32(in.data + 8), 0x61616161);
	check_cut(w, PR_IN_READ_KEYS, 24);
}

static void case_6_allocation_0_3_5(void)
{
	static const uint16_t lens[] = {0, 3, 5};

	BEGIN("A:a");
	for (size_t i = 0; i < 3; i++) {
		struct engine_in in = engine_in(w, PR_IN_READ_KEYS, lens[i]);

		CHECK_INT(in.end, GOOD);
		CHECK_INT(in.len, lens[i]);
	}
}

static void case_7_cut_reservation_and_capabilities(void)
{
	struct engine_in in;

	BEGIN("A:a 1/A");
	in = engine_in(w, PR_IN_READ_RESERVATION, 8);
	CHECK_INT(in.len, 8);
	CHECK_INT(be_get32(in.data + 4), 16);
	in = engine_in(w, PR_IN_REPORT_CAPABILITIES, 4);
	CHECK_INT(in.len, 4);
	CHECK_INT(be_get16(in.data), 8);
	check_cut(w, PR_IN_READ_RESERVATION, 24);
	check_cut(w, PR_IN_REPORT_CAPABILITIES, 8);
}

static void case_8_one_key_twice(void)
{
	struct engine_in in;

	BEGIN("A:k B:k");
	in = engine_in(w, PR_IN_READ_KEYS, 255);
	CHECK_INT(in.len, 24);
	CHECK_INT(be_get64(in.data + 8), engine_key('k'));
	CHECK_INT(be_get64(in.data + 16), engine_key('k'));
}

static struct pr_full_status status_of(const struct engine_in *in, unsigned int number)
{
	struct pr_full_status status = {0};
	size_t offset = 0;
	bool malformed;

	for (unsigned int i = 0; i <= number; i++)
		CHECK(pr_full_status_next(in->data, in->len, &offset, &status, &malformed));
	return status;
}

static void case_77_full_status_holder(void)
{
	struct engine_in in;
	struct pr_full_status a, b;

	BEGIN("A:a B:b 5/A");
	in = engine_in(w, PR_IN_READ_FULL_STATUS, UINT16_MAX);
	a = status_of(&in, 0);
	b = status_of(&in, 1);
	CHECK(a.holder && !b.holder);
	CHECK_INT(a.type, 5);
	CHECK_INT(b.type, 0);
	CHECK(!a.all_tg_pt && !b.all_tg_pt);
	CHECK_INT(a.relative_target_port, 1);
	check_cut(w, PR_IN_READ_FULL_STATUS, in.len);

	engine_world_begin(w, true, "A:a B:b 7/all");
	in = engine_in(w, PR_IN_READ_FULL_STATUS, UINT16_MAX);
	a = status_of(&in, 0);
	b = status_of(&in, 1);
	CHECK(a.holder && b.holder);
	CHECK_INT(a.type, 7);
	CHECK_INT(b.type, 7);
}

static void case_78_transport_ids(void)
{
	static const char *const ports[] = {
		"iqn.2026-11.org.prmig:vm-a,i,0x000000000000",
		"iqn.2026-11.org.prmig:vm-b,i,0x000000000000",
		"iqn.2026-11.org.prmig:vm-c.example,i,0x000000000000",
		"iqn.2026-11.org.prmig:vm_d,i,0x000000000000", /* VM_D: such names are in lower case */
		"iqn.2026-11.org.prmig:vm-a,i,0x000000000000",
	};
	struct engine_in in;

	BEGIN("A:a B:b C:c D:d P:p");
	in = engine_in(w, PR_IN_READ_FULL_STATUS, UINT16_MAX);
	for (unsigned int i = 0; i < 5; i++) {
		struct pr_full_status status = status_of(&in, i);
		const uint8_t *id = status.transport_id;
		size_t len = strlen(ports[i]);

		CHECK(status.transport_id_len >= 24 && status.transport_id_len % 4 == 0);
		CHECK_INT(status.transport_id_len, 4 + be_get16(id + 2));
		CHECK_INT(id[0], 0x45);
		CHECK_INT(id[1], 0);
		CHECK(be_get16(id + 2) > len && be_get16(id + 2) < len + 5);
		CHECK_BYTES(id + 4, ports[i], len);
		for (size_t at = 4 + len; at < status.transport_id_len; at++)
			CHECK_INT(id[at], 0);
		CHECK_INT(status.relative_target_port, i == 4 ? 2 : 1);
	}
}

const struct engine_case engine_cases_in[] = {
	ENGINE_CASE(1, fresh_lu),
	ENGINE_CASE(2, capabilities),
	ENGINE_CASE(3, reserved_service_actions),
	ENGINE_CASE(4, allocation_8),
	ENGINE_CASE(5, allocation_12),
	ENGINE_CASE(6, allocation_0_3_5),
	ENGINE_CASE(7, cut_reservation_and_capabilities),
	ENGINE_CASE(8, one_key_twice),
	ENGINE_CASE(77, full_status_holder),
	ENGINE_CASE(78, transport_ids),
	ENGINE_CASES_END,
};
