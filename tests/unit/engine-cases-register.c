/* SPDX-License-Identifier: Apache-2.0 */
/* REGISTER, REGISTER AND IGNORE EXISTING KEY, and what is wrong with lists and flags. */
#include "be.h"
#include "check.h"
#include "unit/engine-cases.h"
#include "unit/engine-world.h"

static void case_9_register(void)
{
	BEGIN("");
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a'), GOOD);
	STATE("A:a");
	MOVED(1);
	ATTENTIONS("");
}

static void case_10_register_unregistered_with_key(void)
{
	BEGIN("");
	CHECK_INT(OUT('A', REGISTER, .key = 'a', .new_key = 'a'), CONFLICT);
	STATE("");
	MOVED(0);
}

static void case_11_register_nothing(void)
{
	BEGIN("");
	CHECK_INT(OUT('A', REGISTER), GOOD);
	STATE("");
	MOVED(1); /* the letter; 0 with some targets */
	/* A REGISTER that succeeds says what APTPL is to be. */
	CHECK_INT(OUT('A', REGISTER, .aptpl = true), GOOD);
	STATE("aptpl");
	ATTENTIONS("");
}

static void case_12_register_registered_without_key(void)
{
	BEGIN("A:a");
	CHECK_INT(OUT('A', REGISTER, .new_key = 'x'), CONFLICT);
	CHECK_INT(OUT('A', REGISTER, .key = 'y', .new_key = 'x'), CONFLICT);
	STATE("A:a");
	MOVED(0);
}

static void case_13_register_another_key(void)
{
	BEGIN("A:a B:b");
	CHECK_INT(OUT('A', REGISTER, .key = 'a', .new_key = 'x'), GOOD);
	STATE("A:x B:b");
	MOVED(1);
	ATTENTIONS("");
}

static void case_14_register_same_key(void)
{
	BEGIN("A:a");
	CHECK_INT(OUT('A', REGISTER, .key = 'a', .new_key = 'a'), GOOD);
	STATE("A:a");
	MOVED(1);
	ATTENTIONS("");
}

static void case_15_unregister(void)
{
	BEGIN("A:a B:b");
	CHECK_INT(OUT('A', REGISTER, .key = 'a'), GOOD);
	STATE("B:b");
	MOVED(1);
	ATTENTIONS("");
}

static void case_16_ignore_key_unregistered(void)
{
	BEGIN("");
	CHECK_INT(OUT('A', REGISTER_AND_IGNORE_EXISTING_KEY, .key = 'g', .new_key = 'a'), GOOD);
	STATE("A:a");
	MOVED(1);
}

static void case_17_ignore_key_registered(void)
{
	BEGIN("A:a");
	CHECK_INT(OUT('A', REGISTER_AND_IGNORE_EXISTING_KEY, .key = 'g', .new_key = 'x'), GOOD);
	STATE("A:x");
	MOVED(1);
}

static void case_18_ignore_key_unregister(void)
{
	BEGIN("A:a B:b 6/A");
	CHECK_INT(OUT('A', REGISTER_AND_IGNORE_EXISTING_KEY, .key = 'g'), GOOD);
	STATE("B:b");
	ATTENTIONS("B:2a04");
	CHECK_INT(OUT('A', REGISTER_AND_IGNORE_EXISTING_KEY, .key = 'g'), GOOD);
	STATE("B:b");
	MOVED(2);
	ATTENTIONS("");
}

static void case_19_two_target_ports(void)
{
	BEGIN("A:a");
	CHECK_INT(OUT('P', REGISTER, .key = 'a', .new_key = 'a'), CONFLICT);
	CHECK_INT(OUT('P', REGISTER, .new_key = 'p'), GOOD);
	STATE("A:a P:p");
	MOVED(1);
}

static void case_20_register_although_reserved(void)
{
	BEGIN("A:a 3/A");
	CHECK_INT(OUT('B', REGISTER, .new_key = 'b'), GOOD);
	CHECK_INT(OUT('C', REGISTER_AND_IGNORE_EXISTING_KEY, .new_key = 'c'), GOOD);
	STATE("A:a B:b C:c 3/A");
	MOVED(2);
	ATTENTIONS("");
}

static void case_21_holder_changes_key(void)
{
	struct engine_in in;

	BEGIN("A:a 1/A");
	CHECK_INT(OUT('A', REGISTER, .key = 'a', .new_key = 'x'), GOOD);
	STATE("A:x 1/A");
	in = engine_in(w, PR_IN_READ_RESERVATION, 24);
	CHECK_INT(be_get64(in.data + 8), engine_key('x'));
	MOVED(1);
	ATTENTIONS("");
	CHECK_INT(OUT('A', RELEASE, .key = 'x', .type = 1), GOOD);
	STATE("A:x");
}

/* Each service action, with a list that is exactly as long as the CDB says; and with one that is cut. */
static void case_22_list_length(void)
{
	static const uint32_t lens[] = {0, 16, 23, 25, 28};

	BEGIN("A:a B:b 5/A");
	for (unsigned int action = 0; action < PR_OUT_REGISTER_AND_MOVE; action++) {
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			const struct pr_out out = {
				.action = (enum pr_out_action)action,
				.type = 5,
				.key = engine_key('a'),
				.new_key = engine_key('b'),
			};
			uint8_t cdb[PR_CDB_LEN], list[64] = {0}, *copy;

			pr_out_build(&out, cdb, list);
			be_put32(cdb + 5, lens[i]);
			copy = check_copy(list, lens[i]);
			CHECK_INT(engine_out_raw(w, 'A', cdb, copy, lens[i]), LENGTH_ERROR);
			free(copy);
			/* Less arrives than was said. */
			be_put32(cdb + 5, PR_OUT_LIST_LEN);
			if (lens[i] < PR_OUT_LIST_LEN) {
				copy = check_copy(list, lens[i]);
				CHECK_INT(engine_out_raw(w, 'A', cdb, copy, lens[i]), LENGTH_ERROR);
				free(copy);
			}
		}
	}
	STATE("A:a B:b 5/A");
	MOVED(0);
	ATTENTIONS("");
}

/* REPLACE LOST RESERVATION, too: RLR_C is 0. */
static void case_23_reserved_service_actions(void)
{
	BEGIN("A:a 5/A");
	for (uint8_t action = PR_OUT_REPLACE_LOST_RESERVATION; action < 0x20; action++)
		CHECK_INT(engine_out(w, &(struct engine_out){.nexus = 'A',
							     .action = (enum pr_out_action)action,
							     .key = 'a'}),
			  INVALID_FIELD_IN_CDB);
	STATE("A:a 5/A");
	MOVED(0);
}

static void case_24_spec_i_pt_elsewhere(void)
{
	static const enum pr_out_action actions[] = {
		PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY,
		PR_OUT_RESERVE,
		PR_OUT_RELEASE,
		PR_OUT_CLEAR,
		PR_OUT_PREEMPT,
		PR_OUT_PREEMPT_AND_ABORT,
	};

	BEGIN("A:a B:b 1/A");
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		CHECK_INT(engine_out(w, &(struct engine_out){.nexus = 'A',
							     .action = actions[i],
							     .key = 'a',
							     .new_key = 'b',
							     .type = 1,
							     .spec_i_pt = true}),
			  INVALID_FIELD_IN_LIST);
	STATE("A:a B:b 1/A");
	MOVED(0);
}

static void case_25_spec_i_pt_registered(void)
{
	BEGIN("A:a");
	CHECK_INT(OUT('A', REGISTER, .key = 'a', .new_key = 'a', .spec_i_pt = true),
		  INVALID_FIELD_IN_LIST);
	STATE("A:a");
	MOVED(0);
}

static void case_26_ptpl_c_0(void)
{
	BEGIN("");
	engine_world_begin(w, false, "");
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a', .aptpl = true), INVALID_FIELD_IN_LIST);
	CHECK_INT(OUT('A', REGISTER_AND_IGNORE_EXISTING_KEY, .new_key = 'a', .aptpl = true),
		  INVALID_FIELD_IN_LIST);
	STATE("");
	MOVED(0);
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a'), GOOD);
	CHECK_INT(OUT('A', RESERVE, .key = 'a', .type = 1, .aptpl = true), GOOD);
	STATE("A:a 1/A");
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'b', .to = 'B', .aptpl = true),
		  INVALID_FIELD_IN_LIST);
	STATE("A:a 1/A");
	MOVED(1);
}

static void case_27_all_tg_pt(void)
{
	BEGIN("");
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a', .all_tg_pt = true), INVALID_FIELD_IN_LIST);
	CHECK_INT(OUT('A', REGISTER_AND_IGNORE_EXISTING_KEY, .new_key = 'a', .all_tg_pt = true),
		  INVALID_FIELD_IN_LIST);
	STATE("");
	MOVED(0);
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a'), GOOD);
	CHECK_INT(OUT('A', RESERVE, .key = 'a', .type = 1, .all_tg_pt = true), GOOD);
	STATE("A:a 1/A");
	CHECK_INT(OUT('A', CLEAR, .key = 'a', .all_tg_pt = true), GOOD);
	STATE("");
	MOVED(2);
}

/* PR_ENGINE_REGISTRATIONS of them, of which A's is one; B's would be one more. */
static void case_28_no_room(void)
{
	char reason[NEXUS_MESSAGE_MAX];
	int other = -1;

	BEGIN("A:a");
	for (unsigned int i = 1; i < PR_ENGINE_REGISTRATIONS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "other-%u", i);
		other = pr_engine_open(&w->engine, name, 1, reason);
		CHECK(other >= 0);
		w->engine.nexuses[other].key = i;
	}
	CHECK_INT(OUT('B', REGISTER, .new_key = 'b', .aptpl = true), NO_RESOURCES);
	CHECK_INT(OUT('B', REGISTER_AND_IGNORE_EXISTING_KEY, .new_key = 'b'), NO_RESOURCES);
	CHECK_INT(pr_engine_registrations(&w->engine), PR_ENGINE_REGISTRATIONS);
	MOVED(0);
	/* Who is registered goes on; and REGISTER AND MOVE needs room, unless the sender makes it. */
	CHECK_INT(OUT('A', RESERVE, .key = 'a', .type = 1), GOOD);
	CHECK_INT(OUT('A', REGISTER, .key = 'a', .new_key = 'x'), GOOD);
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'x', .new_key = 'b', .to = 'B'), NO_RESOURCES);
	CHECK_INT(w->engine.nexuses[engine_slot(w, 'A')].key, engine_key('x'));
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'x', .new_key = 'b', .to = 'B',
		      .unregister = true),
		  GOOD);
	CHECK_INT(pr_engine_registrations(&w->engine), PR_ENGINE_REGISTRATIONS);
	CHECK(pr_engine_is_holder(&w->engine, engine_slot(w, 'B')));
	CHECK_INT(OUT('B', REGISTER, .key = 'b'), GOOD);
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a'), GOOD);
	MOVED(4);
}

const struct engine_case engine_cases_register[] = {
	ENGINE_CASE(9, register),
	ENGINE_CASE(10, register_unregistered_with_key),
	ENGINE_CASE(11, register_nothing),
	ENGINE_CASE(12, register_registered_without_key),
	ENGINE_CASE(13, register_another_key),
	ENGINE_CASE(14, register_same_key),
	ENGINE_CASE(15, unregister),
	ENGINE_CASE(16, ignore_key_unregistered),
	ENGINE_CASE(17, ignore_key_registered),
	ENGINE_CASE(18, ignore_key_unregister),
	ENGINE_CASE(19, two_target_ports),
	ENGINE_CASE(20, register_although_reserved),
	ENGINE_CASE(21, holder_changes_key),
	ENGINE_CASE(22, list_length),
	ENGINE_CASE(23, reserved_service_actions),
	ENGINE_CASE(24, spec_i_pt_elsewhere),
	ENGINE_CASE(25, spec_i_pt_registered),
	ENGINE_CASE(26, ptpl_c_0),
	ENGINE_CASE(27, all_tg_pt),
	ENGINE_CASE(28, no_room),
	ENGINE_CASES_END,
};
