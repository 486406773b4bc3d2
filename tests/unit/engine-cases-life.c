/* SPDX-License-Identifier: Apache-2.0 */
/* What survives what. */
#include "check.h"
#include "unit/engine-cases.h"
#include "unit/engine-world.h"

/* A session's end and return is a nexus closed and opened again, or nothing at all; a reset is its unit attention. */
static void case_89_resets(void)
{
	char reason[NEXUS_MESSAGE_MAX];
	unsigned int slot;

	BEGIN("A:a B:b 5/A");
	slot = engine_slot(w, 'A');
	CHECK(pr_engine_add_unit_attention(&w->engine, engine_slot(w, 'B'), 0x2900));
	STATE("A:a B:b 5/A");
	ATTENTIONS("B:2900");
	pr_engine_close(&w->engine, slot);
	STATE("A:a B:b 5/A");
	CHECK_INT(COMMAND('C', WRITE_10), CONFLICT);
	CHECK_INT(pr_engine_open(&w->engine, "vm-a", 1, reason), slot);
	STATE("A:a B:b 5/A");
	CHECK_INT(COMMAND('A', WRITE_10), GOOD);
	MOVED(0);
	ATTENTIONS("");
}

static void power_loss(struct engine_world *w)
{
	for (const char *letter = ENGINE_LETTERS; *letter != '\0'; letter++)
		pr_engine_close(&w->engine, engine_slot(w, *letter));
	pr_engine_power_loss(&w->engine);
}

static void case_90_power_loss(void)
{
	char reason[NEXUS_MESSAGE_MAX];

	BEGIN("A:a B:b 5/A");
	CHECK_INT(OUT('B', REGISTER, .key = 'b', .new_key = 'b', .aptpl = true), GOOD);
	MOVED(1);
	power_loss(w);
	STATE("A:a B:b 5/A aptpl");
	MOVED(0);
	/* A is not open: listed, its reservation holds, and it can be preempted. */
	CHECK_INT(pr_engine_open(&w->engine, "vm-b", 1, reason), engine_slot(w, 'B'));
	CHECK_INT(pr_engine_open(&w->engine, "vm-d", 1, reason), 2); /* never seen before */
	CHECK_INT(OUT('B', PREEMPT, .key = 'b', .new_key = 'a', .type = 5), POWER_ON);
	CHECK_INT(OUT('B', PREEMPT, .key = 'b', .new_key = 'a', .type = 5), GOOD);
	STATE("B:b 5/B aptpl");
	MOVED(1);
	ATTENTIONS("A:2900 A:2a05");

	engine_world_begin(w, true, "A:a B:b 5/B");
	power_loss(w);
	STATE("");
	MOVED(0);
	CHECK_INT(w->engine.holder, 0);
	ATTENTIONS("A:2900 B:2900");

	engine_world_begin(w, true, "A:a B:b 5/A");
	CHECK_INT(OUT('A', CLEAR, .key = 'a'), GOOD);
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a'), GOOD);
	power_loss(w);
	STATE("");
	MOVED(0);
	ATTENTIONS("A:2900 B:2900"); /* not RESERVATIONS PREEMPTED, which B had waiting */
}

static void case_91_aptpl(void)
{
	BEGIN("");
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a', .aptpl = true), GOOD);
	STATE("A:a aptpl");
	CHECK_INT(OUT('B', REGISTER, .new_key = 'b'), GOOD);
	STATE("A:a B:b");
	/* What cannot be stored does not happen: no unit attention, no step of PRGENERATION. */
	w->store_fails = true;
	CHECK_INT(OUT('C', REGISTER, .new_key = 'c', .aptpl = true), NO_RESOURCES);
	CHECK_INT(OUT('A', RESERVE, .key = 'a', .type = 1), NO_RESOURCES);
	CHECK_INT(OUT('A', PREEMPT, .key = 'a', .new_key = 'b'), NO_RESOURCES);
	CHECK_INT(OUT('A', CLEAR, .key = 'a'), NO_RESOURCES);
	CHECK_INT(OUT('A', RELEASE, .key = 'a', .type = 1), GOOD); /* nothing to store */
	STATE("A:a B:b");
	MOVED(2);
	ATTENTIONS("");
	w->store_fails = false;
	CHECK_INT(OUT('C', REGISTER, .new_key = 'c', .aptpl = true), GOOD);
	STATE("A:a B:b C:c aptpl");
	MOVED(3);
}

const struct engine_case engine_cases_life[] = {
	ENGINE_CASE(89, resets),
	ENGINE_CASE(90, power_loss),
	ENGINE_CASE(91, aptpl),
	ENGINE_CASES_END,
};
