/* SPDX-License-Identifier: Apache-2.0 */
/* RESERVE, RELEASE, the holder's unregistration, CLEAR. */
#include "check.h"
#include "unit/engine-cases.h"
#include "unit/engine-world.h"

static const uint8_t types[] = {1, 3, 5, 6, 7, 8};

static void case_29_unregistered(void)
{
	static const char *const states[] = {"", "B:b", "B:b 1/B", "B:b 8/all"};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		BEGIN(states[i]);
		CHECK_NOTE(states[i]);
		for (unsigned int key = 0; key < 2; key++) {
			char of = key ? 'a' : 0;

			CHECK_INT(OUT('A', RESERVE, .key = of, .type = 1), CONFLICT);
			CHECK_INT(OUT('A', RELEASE, .key = of, .type = 1), CONFLICT);
			CHECK_INT(OUT('A', CLEAR, .key = of), CONFLICT);
			CHECK_INT(OUT('A', PREEMPT, .key = of, .new_key = 'b', .type = 1),
				  CONFLICT);
			CHECK_INT(OUT('A', PREEMPT_AND_ABORT, .key = of, .new_key = 'b', .type = 1),
				  CONFLICT);
			CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = of, .new_key = 'c', .to = 'C'),
				  CONFLICT);
		}
		STATE(states[i]);
		MOVED(0);
		ATTENTIONS("");
	}
}

static void case_30_reserve_wrong_key(void)
{
	BEGIN("A:a");
	CHECK_INT(OUT('A', RESERVE, .key = 'x', .type = 1), CONFLICT);
	CHECK_INT(OUT('A', RESERVE, .type = 1), CONFLICT);
	STATE("A:a");
	MOVED(0);
}

static void case_31_reserve_bad_type_or_scope(void)
{
	BEGIN("A:a");
	for (uint8_t type = 0; type < 16; type++)
		if (!memchr(types, type, sizeof(types)))
			CHECK_INT(OUT('A', RESERVE, .key = 'a', .type = type),
				  INVALID_FIELD_IN_CDB);
	for (uint8_t scope = 1; scope < 16; scope++)
		CHECK_INT(OUT('A', RESERVE, .key = 'a', .type = 1, .scope = scope),
			  INVALID_FIELD_IN_CDB);
	STATE("A:a");
	MOVED(0);
}

static void case_32_reserve_each_type(void)
{
	for (size_t i = 0; i < sizeof(types); i++) {
		char want[32];

		BEGIN("A:a");
		CHECK_INT(OUT('A', RESERVE, .key = 'a', .type = types[i]), GOOD);
		snprintf(want, sizeof(want), "A:a %u/%s", types[i], types[i] >= 7 ? "all" : "A");
		STATE(want);
		MOVED(0);
		ATTENTIONS("");
	}
}

static void case_33_reserve_again(void)
{
	BEGIN("A:a B:b 5/A");
	CHECK_INT(OUT('A', RESERVE, .key = 'a', .type = 5), GOOD);
	CHECK(!w->change.changed);
	STATE("A:a B:b 5/A");
	CHECK_INT(OUT('A', RESERVE, .key = 'a', .type = 6), CONFLICT);
	STATE("A:a B:b 5/A");
	MOVED(0);
	ATTENTIONS("");
}

static void case_34_reserve_held_by_another(void)
{
	BEGIN("A:a B:b 1/A");
	CHECK_INT(OUT('B', RESERVE, .key = 'b', .type = 1), CONFLICT);
	CHECK_INT(OUT('B', RESERVE, .key = 'b', .type = 5), CONFLICT);
	STATE("A:a B:b 1/A");
	MOVED(0);
}

static void case_35_reserve_all_registrants(void)
{
	BEGIN("A:a B:b 7/all");
	CHECK_INT(OUT('B', RESERVE, .key = 'b', .type = 7), GOOD);
	CHECK(!w->change.changed);
	CHECK_INT(OUT('B', RESERVE, .key = 'b', .type = 8), CONFLICT);
	STATE("A:a B:b 7/all");
	/* Who registers later holds, too. */
	CHECK_INT(OUT('C', REGISTER, .new_key = 'c'), GOOD);
	CHECK_INT(OUT('C', RESERVE, .key = 'c', .type = 7), GOOD);
	STATE("A:a B:b C:c 7/all");
	MOVED(1);
}

static void case_36_release_nothing(void)
{
	BEGIN("A:a B:b");
	CHECK_INT(OUT('A', RELEASE, .key = 'a', .type = 1), GOOD);
	CHECK_INT(OUT('A', RELEASE, .key = 'a', .type = 0), GOOD); /* TYPE is not looked at */
	CHECK(!w->change.changed);
	CHECK_INT(OUT('A', RELEASE, .key = 'x', .type = 1), CONFLICT);
	STATE("A:a B:b");
	MOVED(0);
	ATTENTIONS("");
}

static void case_37_release_of_non_holder(void)
{
	BEGIN("A:a B:b 1/A");
	CHECK_INT(OUT('B', RELEASE, .key = 'b', .type = 1), GOOD);
	CHECK_INT(OUT('B', RELEASE, .key = 'b', .type = 3), GOOD);
	CHECK_INT(OUT('B', RELEASE, .key = 'a', .type = 1), CONFLICT);
	STATE("A:a B:b 1/A");
	MOVED(0);
	ATTENTIONS("");
}

static void case_38_release_other_type(void)
{
	BEGIN("A:a B:b 1/A");
	CHECK_INT(OUT('A', RELEASE, .key = 'a', .type = 3), INVALID_RELEASE);
	CHECK_INT(OUT('A', RELEASE, .key = 'a', .type = 1, .scope = 1), INVALID_RELEASE);
	CHECK_INT(OUT('A', RELEASE, .key = 'x', .type = 1), CONFLICT);
	STATE("A:a B:b 1/A");
	MOVED(0);
	ATTENTIONS("");
}

static void case_39_release(void)
{
	for (uint8_t type = 1; type <= 3; type += 2) {
		BEGIN(type == 1 ? "A:a B:b 1/A" : "A:a B:b 3/A");
		CHECK_INT(OUT('A', RELEASE, .key = 'a', .type = type), GOOD);
		STATE("A:a B:b");
		MOVED(0);
		ATTENTIONS("");
	}
}

static void case_40_release_registrants_only(void)
{
	for (uint8_t type = 5; type <= 6; type++) {
		BEGIN(type == 5 ? "A:a B:b 5/A" : "A:a B:b 6/A");
		CHECK_INT(OUT('A', RELEASE, .key = 'a', .type = type), GOOD);
		STATE("A:a B:b");
		MOVED(0);
		CHECK_INT(COMMAND('B', WRITE_10), UA4);
		ATTENTIONS("");
	}
}

static void case_41_release_all_registrants(void)
{
	for (uint8_t type = 7; type <= 8; type++) {
		BEGIN(type == 7 ? "A:a B:b 7/all" : "A:a B:b 8/all");
		CHECK_INT(OUT('B', RELEASE, .key = 'b', .type = type), GOOD);
		STATE("A:a B:b");
		MOVED(0);
		ATTENTIONS("A:2a04");
	}
}

static void case_42_holder_unregisters(void)
{
	for (uint8_t type = 1; type <= 3; type += 2) {
		BEGIN(type == 1 ? "A:a B:b 1/A" : "A:a B:b 3/A");
		CHECK_INT(OUT('A', REGISTER, .key = 'a'), GOOD);
		STATE("B:b");
		MOVED(1);
		ATTENTIONS("");
	}
}

static void case_43_holder_unregisters_registrants_only(void)
{
	for (uint8_t type = 5; type <= 6; type++) {
		BEGIN(type == 5 ? "A:a B:b 5/A" : "A:a B:b 6/A");
		CHECK_INT(OUT('A', REGISTER, .key = 'a'), GOOD);
		STATE("B:b");
		MOVED(1);
		ATTENTIONS("B:2a04");
	}
}

static void case_44_other_unregisters(void)
{
	BEGIN("A:a B:b 6/A");
	CHECK_INT(OUT('B', REGISTER, .key = 'b'), GOOD);
	STATE("A:a 6/A");
	MOVED(1);
	ATTENTIONS("");
}

static void case_45_all_registrants_unregister(void)
{
	for (uint8_t type = 7; type <= 8; type++) {
		BEGIN(type == 7 ? "A:a B:b 7/all" : "A:a B:b 8/all");
		CHECK_INT(OUT('A', REGISTER, .key = 'a'), GOOD);
		STATE(type == 7 ? "B:b 7/all" : "B:b 8/all");
		ATTENTIONS("");
		CHECK_INT(COMMAND('B', WRITE_10), GOOD);
		CHECK_INT(COMMAND('A', WRITE_10), CONFLICT);
		CHECK_INT(OUT('B', REGISTER, .key = 'b'), GOOD);
		STATE("");
		MOVED(2);
		ATTENTIONS("");
		CHECK_INT(COMMAND('A', WRITE_10), GOOD);
	}
}

static void case_46_clear(void)
{
	BEGIN("A:a B:b C:c 5/A");
	CHECK_INT(OUT('A', CLEAR, .key = 'a'), GOOD);
	STATE("");
	MOVED(1);
	ATTENTIONS("B:2a03 C:2a03");
}

static void case_47_clear_nothing_reserved(void)
{
	BEGIN("A:a B:b");
	CHECK_INT(OUT('B', CLEAR, .key = 'b'), GOOD);
	STATE("");
	MOVED(1);
	ATTENTIONS("A:2a03");
}

static void case_48_clear_by_non_holder(void)
{
	BEGIN("A:a B:b 3/A");
	/* SCOPE, TYPE and SERVICE ACTION RESERVATION KEY are not looked at; APTPL is not touched. */
	w->engine.aptpl = true;
	CHECK_INT(OUT('B', CLEAR, .key = 'b', .new_key = 'y', .scope = 3, .type = 15), GOOD);
	STATE("aptpl");
	MOVED(1);
	ATTENTIONS("A:2a03");
}

static void case_49_clear_wrong_key(void)
{
	BEGIN("A:a B:b 1/B");
	CHECK_INT(OUT('A', CLEAR, .key = 'x'), CONFLICT);
	CHECK_INT(OUT('A', CLEAR, .key = 'b'), CONFLICT);
	STATE("A:a B:b 1/B");
	MOVED(0);
	ATTENTIONS("");
}

const struct engine_case engine_cases_reserve[] = {
	ENGINE_CASE(29, unregistered),
	ENGINE_CASE(30, reserve_wrong_key),
	ENGINE_CASE(31, reserve_bad_type_or_scope),
	ENGINE_CASE(32, reserve_each_type),
	ENGINE_CASE(33, reserve_again),
	ENGINE_CASE(34, reserve_held_by_another),
	ENGINE_CASE(35, reserve_all_registrants),
	ENGINE_CASE(36, release_nothing),
	ENGINE_CASE(37, release_of_non_holder),
	ENGINE_CASE(38, release_other_type),
	ENGINE_CASE(39, release),
	ENGINE_CASE(40, release_registrants_only),
	ENGINE_CASE(41, release_all_registrants),
	ENGINE_CASE(42, holder_unregisters),
	ENGINE_CASE(43, holder_unregisters_registrants_only),
	ENGINE_CASE(44, other_unregisters),
	ENGINE_CASE(45, all_registrants_unregister),
	ENGINE_CASE(46, clear),
	ENGINE_CASE(47, clear_nothing_reserved),
	ENGINE_CASE(48, clear_by_non_holder),
	ENGINE_CASE(49, clear_wrong_key),
	ENGINE_CASES_END,
};
