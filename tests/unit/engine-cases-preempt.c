/* SPDX-License-Identifier: Apache-2.0 */
/* PREEMPT and PREEMPT AND ABORT, which differs by what it aborts alone: each case is run with both. */
#include "check.h"
#include "unit/engine-cases.h"
#include "unit/engine-world.h"

#define BOTH(action) for (int action = PR_OUT_PREEMPT; action <= PR_OUT_PREEMPT_AND_ABORT; action++)

/* The command; and that it aborts those of the nexuses in aborted ("AC"), PREEMPT AND ABORT alone. */
static uint32_t preempt_from(struct engine_world *w, int action, char nexus, char key, char new_key,
			     uint8_t type, const char *aborted)
{
	const struct engine_out out = {
		.nexus = nexus,
		.action = (enum pr_out_action)action,
		.key = key,
		.new_key = new_key,
		.type = type,
	};
	uint32_t end = engine_out(w, &out);
	uint64_t want = 0;

	for (; action == PR_OUT_PREEMPT_AND_ABORT && *aborted != '\0'; aborted++)
		want |= 1ull << engine_slot(w, *aborted);
	CHECK_INT(w->change.aborted, want);
	return end;
}

/* By a nexus whose key is its own letter. */
static uint32_t preempt(struct engine_world *w, int action, char nexus, char new_key, uint8_t type,
			const char *aborted)
{
	return preempt_from(w, action, nexus, (char)(nexus - 'A' + 'a'), new_key, type, aborted);
}

/* Of the key k, which some share. */
static uint32_t preempt_k(struct engine_world *w, int action, char nexus, char key, uint8_t type,
			  const char *aborted)
{
	return preempt_from(w, action, nexus, key, 'k', type, aborted);
}

static void case_50_nothing_reserved(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b C:c");
		CHECK_INT(preempt(w, action, 'B', 'a', 3, "A"), GOOD);
		STATE("B:b C:c"); /* and no reservation */
		MOVED(1);
		ATTENTIONS("A:2a05");
		/* TYPE and SCOPE are not used, so not looked at. */
		CHECK_INT(OUT('B', PREEMPT, .key = 'b', .new_key = 'c', .type = 15, .scope = 2),
			  GOOD);
		STATE("B:b");
		ATTENTIONS("C:2a05");
	}
}

static void case_51_nothing_reserved_unknown_key(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b");
		CHECK_INT(preempt(w, action, 'B', 'x', 1, ""), CONFLICT);
		CHECK_INT(preempt(w, action, 'B', 0, 1, ""), CONFLICT);
		STATE("A:a B:b");
		MOVED(0);
		ATTENTIONS("");
	}
}

static void case_52_own_key_nothing_reserved(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b");
		CHECK_INT(preempt(w, action, 'B', 'b', 1, "B"), GOOD);
		STATE("A:a");
		MOVED(1);
		ATTENTIONS("");
	}
}

static void case_53_holder(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b 1/A");
		CHECK_INT(preempt(w, action, 'B', 'a', 1, "A"), GOOD);
		STATE("B:b 1/B");
		MOVED(1);
		ATTENTIONS("A:2a05");
	}
}

static void case_54_holder_other_type(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b C:c 1/A");
		CHECK_INT(preempt(w, action, 'B', 'a', 3, "A"), GOOD);
		STATE("B:b C:c 3/B");
		MOVED(1);
		ATTENTIONS("A:2a05 C:2a04");
		engine_world_begin(w, true, "A:a B:b C:c 1/A");
		CHECK_INT(preempt(w, action, 'B', 'a', 1, "A"), GOOD);
		STATE("B:b C:c 1/B");
		ATTENTIONS("A:2a05");
		/* To all registrants. */
		engine_world_begin(w, true, "A:a B:b C:c 6/A");
		CHECK_INT(preempt(w, action, 'B', 'a', 8, "A"), GOOD);
		STATE("B:b C:c 8/all");
		ATTENTIONS("A:2a05 C:2a04");
	}
}

static void case_55_not_the_holder(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b C:c 1/A");
		CHECK_INT(preempt(w, action, 'B', 'c', 3, "C"), GOOD);
		STATE("A:a B:b 1/A");
		MOVED(1);
		ATTENTIONS("C:2a05");
	}
}

static void case_56_zero_unknown_wrong(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b 1/A");
		CHECK_INT(preempt(w, action, 'B', 0, 1, ""), INVALID_FIELD_IN_LIST);
		CHECK_INT(preempt(w, action, 'B', 'x', 1, ""), CONFLICT);
		CHECK_INT(OUT('B', PREEMPT, .key = 'x', .new_key = 'a', .type = 1), CONFLICT);
		STATE("A:a B:b 1/A");
		MOVED(0);
		ATTENTIONS("");
	}
}

static void case_57_self(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b 5/A");
		CHECK_INT(preempt(w, action, 'A', 'a', 6, ""), GOOD);
		STATE("A:a B:b 6/A");
		MOVED(1);
		ATTENTIONS("B:2a04");
		CHECK_INT(preempt(w, action, 'A', 'a', 6, ""), GOOD);
		STATE("A:a B:b 6/A");
		MOVED(2);
		ATTENTIONS("");
	}
}

static void case_58_shared_key(void)
{
	BOTH(action)
	{
		BEGIN("A:k B:k C:c 5/A");
		CHECK_INT(preempt_k(w, action, 'C', 'c', 5, "AB"), GOOD);
		STATE("C:c 5/C");
		MOVED(1);
		ATTENTIONS("A:2a05 B:2a05");
	}
}

static void case_59_sender_shares_holders_key(void)
{
	BOTH(action)
	{
		BEGIN("A:k B:k 5/A");
		CHECK_INT(preempt_k(w, action, 'B', 'k', 5, "A"), GOOD);
		STATE("B:k 5/B");
		MOVED(1);
		ATTENTIONS("A:2a05");
	}
}

static void case_60_self_with_shared_key(void)
{
	BOTH(action)
	{
		BEGIN("A:k B:k 5/A");
		CHECK_INT(preempt_k(w, action, 'A', 'k', 5, "B"), GOOD);
		STATE("A:k 5/A");
		MOVED(1);
		ATTENTIONS("B:2a05");
	}
}

static void case_61_own_key_not_the_holders(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:k C:k 5/A");
		CHECK_INT(preempt_k(w, action, 'B', 'k', 5, "BC"), GOOD);
		STATE("A:a 5/A");
		MOVED(1);
		ATTENTIONS("C:2a05");
	}
}

static void case_62_all_registrants(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b C:c 7/all");
		CHECK_INT(preempt(w, action, 'B', 0, 3, "AC"), GOOD);
		STATE("B:b 3/B");
		MOVED(1);
		ATTENTIONS("A:2a05 C:2a05");
		engine_world_begin(w, true, "A:a B:b 8/all");
		CHECK_INT(preempt(w, action, 'B', 0, 4, ""), INVALID_FIELD_IN_CDB);
		STATE("A:a B:b 8/all");
		ATTENTIONS("");
	}
}

static void case_63_one_of_all_registrants(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b C:c 8/all");
		CHECK_INT(preempt(w, action, 'B', 'c', 8, "C"), GOOD);
		STATE("A:a B:b 8/all");
		MOVED(1);
		ATTENTIONS("C:2a05");
		/* The sender's own key: it goes; and with the last registration the reservation. */
		CHECK_INT(preempt(w, action, 'B', 'b', 8, "B"), GOOD);
		STATE("A:a 8/all");
		CHECK_INT(preempt(w, action, 'A', 'a', 8, "A"), GOOD);
		STATE("");
		MOVED(3);
		ATTENTIONS("");
	}
}

static void case_64_all_registrants_unknown_key(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b 7/all");
		CHECK_INT(preempt(w, action, 'B', 'x', 7, ""), CONFLICT);
		STATE("A:a B:b 7/all");
		MOVED(0);
		ATTENTIONS("");
	}
}

static void case_65_bad_type_or_scope(void)
{
	BOTH(action)
	{
		BEGIN("A:a B:b 1/A");
		CHECK_INT(preempt(w, action, 'B', 'a', 4, ""), INVALID_FIELD_IN_CDB);
		CHECK_INT(preempt(w, action, 'B', 'a', 0, ""), INVALID_FIELD_IN_CDB);
		CHECK_INT(OUT('B', PREEMPT, .key = 'b', .new_key = 'a', .type = 1, .scope = 2),
			  INVALID_FIELD_IN_CDB);
		STATE("A:a B:b 1/A");
		MOVED(0);
		ATTENTIONS("");
	}
}

/* Here: whose commands. That they end with TASK ABORTED is told of the emulated LUN. */
static void case_66_abort(void)
{
	BEGIN("A:a B:b C:c 1/A");
	CHECK_INT(preempt(w, PR_OUT_PREEMPT_AND_ABORT, 'B', 'a', 1, "A"), GOOD);
	CHECK(w->change.aborts);
	STATE("B:b C:c 1/B");
	MOVED(1);
	ATTENTIONS("A:2a05");
	CHECK_INT(preempt(w, PR_OUT_PREEMPT, 'B', 'c', 1, ""), GOOD);
	CHECK(!w->change.aborts);
}

static void case_67_abort_unknown_key(void)
{
	BEGIN("A:a B:b 1/A");
	CHECK_INT(preempt(w, PR_OUT_PREEMPT_AND_ABORT, 'B', 'x', 1, ""), CONFLICT);
	CHECK(!w->change.aborts);
	STATE("A:a B:b 1/A");
	MOVED(0);
	ATTENTIONS("");
}

const struct engine_case engine_cases_preempt[] = {
	ENGINE_CASE(50, nothing_reserved),
	ENGINE_CASE(51, nothing_reserved_unknown_key),
	ENGINE_CASE(52, own_key_nothing_reserved),
	ENGINE_CASE(53, holder),
	ENGINE_CASE(54, holder_other_type),
	ENGINE_CASE(55, not_the_holder),
	ENGINE_CASE(56, zero_unknown_wrong),
	ENGINE_CASE(57, self),
	ENGINE_CASE(58, shared_key),
	ENGINE_CASE(59, sender_shares_holders_key),
	ENGINE_CASE(60, self_with_shared_key),
	ENGINE_CASE(61, own_key_not_the_holders),
	ENGINE_CASE(62, all_registrants),
	ENGINE_CASE(63, one_of_all_registrants),
	ENGINE_CASE(64, all_registrants_unknown_key),
	ENGINE_CASE(65, bad_type_or_scope),
	ENGINE_CASE(66, abort),
	ENGINE_CASE(67, abort_unknown_key),
	ENGINE_CASES_END,
};
