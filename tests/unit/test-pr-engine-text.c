/* SPDX-License-Identifier: Apache-2.0 */
/* The engine as fields: there and back, damaged, and what makes no sense. */
#include "check.h"
#include "unit/engine-world.h"

#define ENVELOPE_MAX 32 /* the version in front, the checksum behind */

static char text[PR_ENGINE_FIELDS_MAX + ENVELOPE_MAX + 1];

static void write_text(const struct pr_engine *engine, char separator)
{
	struct fields_writer writer;

	fields_begin(&writer, text, sizeof(text), separator, "1.0");
	pr_engine_add_fields(&writer, engine);
	CHECK(fields_finish(&writer));
}

static void golden(void)
{
	BEGIN("A:a B:b P:p 5/B");
	w->engine.generation = 4711;
	w->engine.aptpl = true;
	CHECK(pr_engine_add_unit_attention(&w->engine, engine_slot(w, 'D'), 0x2900));
	CHECK(pr_engine_add_unit_attention(&w->engine, engine_slot(w, 'D'), 0x2a05));
	CHECK(pr_engine_add_unit_attention(&w->engine, engine_slot(w, 'B'), 0x2a03));
	write_text(&w->engine, ',');
	CHECK_STR(text, "prmig=1.0,generation=4711,aptpl=1,type=5,holder=1,"
			"nexuses=vm-a:6161616161616161:/vm-b:6262626262626262:b/VM_D:0:ad/"
			"vm-a:7070707070707070::2,crc=2eca622d");
}

static void there_and_back(void)
{
	static const char separators[] = {'\n', ','};

	for (size_t i = 0; i < sizeof(separators); i++) {
		struct pr_engine back;
		char reason[NEXUS_MESSAGE_MAX];
		const struct pr_engine_nexus *c, *p;

		BEGIN("B:b C:c P:p 6/C");
		CHECK_INT(OUT('B', REGISTER, .key = 'b', .new_key = 'x', .aptpl = true), GOOD);
		CHECK(pr_engine_add_unit_attention(&w->engine, engine_slot(w, 'C'), 0x2a09));
		CHECK(pr_engine_add_unit_attention(&w->engine, engine_slot(w, 'C'), 0x2a01));
		write_text(&w->engine, separators[i]);
		CHECK(pr_engine_get_fields(text, separators[i], true, &back, reason));
		CHECK_INT(back.generation, 1);
		CHECK(back.aptpl && back.ptpl_c);
		CHECK_INT(back.type, 6);
		CHECK_INT(pr_engine_registrations(&back), 3);
		CHECK_INT(pr_engine_find(&back, "vm-a", 1),
			  -1); /* A is neither registered nor told */
		CHECK_INT(pr_engine_find(&back, "VM_D", 1), -1);
		c = &back.nexuses[back.holder];
		CHECK_STR(c->name, "vm-c.example");
		CHECK_INT(c->key, engine_key('c'));
		CHECK(!c->open);
		CHECK_INT(c->unit_attention_count, 2);
		CHECK_INT(c->unit_attentions[0], 0x2a09);
		CHECK_INT(c->unit_attentions[1], 0x2a01);
		p = &back.nexuses[pr_engine_find(&back, "vm-a", 2)];
		CHECK_INT(p->key, engine_key('p'));
		CHECK_INT(p->relative_target_port, 2);
	}
}

static void nothing(void)
{
	struct pr_engine back;
	char reason[NEXUS_MESSAGE_MAX];

	BEGIN("");
	write_text(&w->engine, '\n');
	CHECK(pr_engine_get_fields(text, '\n', false, &back, reason));
	CHECK_INT(pr_engine_registrations(&back), 0);
	CHECK_INT(back.type, PR_TYPE_NONE);
	CHECK(!back.ptpl_c);
}

/* Each byte replaced by each other one; and the text cut at each length. */
static void damaged(void)
{
	static char good[sizeof(text)];
	size_t len;

	BEGIN("A:a B:b C:c 5/A");
	CHECK(pr_engine_add_unit_attention(&w->engine, engine_slot(w, 'C'), 0x2a04));
	write_text(&w->engine, '\n');
	len = strlen(text);
	memcpy(good, text, len + 1);
	for (size_t at = 0; at < len; at++) {
		for (unsigned int byte = 0; byte < 256; byte++) {
			if ((char)byte == good[at])
				continue;
			text[at] = (char)byte;
			if (!CHECK(fields_check(text, '\n', 1) != FIELDS_GOOD))
				return;
		}
		text[at] = '\0';
		CHECK(fields_check(text, '\n', 1) != FIELDS_GOOD);
		text[at] = good[at];
	}
	CHECK_INT(fields_check(text, '\n', 1), FIELDS_GOOD);
}

/* An engine with as many nexuses as there may be: names of the full length, everything waiting. */
static void fill(struct pr_engine *engine, unsigned int nexuses, unsigned int registrations)
{
	static const uint16_t all[] = {0x2900, 0x2a03, 0x2a04, 0x2a05,
				       0x2a09, 0x2a01, 0x2f00, 0x3f03};
	char reason[NEXUS_MESSAGE_MAX], name[CFGSTRING_NAME_MAX + 1];

	pr_engine_init(engine, true);
	for (unsigned int i = 0; i < nexuses; i++) {
		int slot;

		memset(name, 'n', sizeof(name) - 1);
		name[sizeof(name) - 1] = '\0';
		memcpy(name + CFGSTRING_NAME_MAX - 4, "_.", 2);
		name[CFGSTRING_NAME_MAX - 2] = (char)('0' + i / 10);
		name[CFGSTRING_NAME_MAX - 1] = (char)('0' + i % 10);
		slot = pr_engine_open(engine, name, 1, reason);
		CHECK_INT(slot, i);
		for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++)
			CHECK(pr_engine_add_unit_attention(engine, i, all[j]));
		CHECK_INT(engine->nexuses[i].unit_attention_count, PR_ENGINE_UNIT_ATTENTIONS);
		if (i < registrations)
			engine->nexuses[i].key = UINT64_MAX - i;
	}
	engine->generation = UINT32_MAX;
	engine->aptpl = true;
	engine->type = 5;
	engine->holder = (uint8_t)(registrations - 1);
}

static void check_length(unsigned int nexuses, size_t max)
{
	struct pr_engine engine, back;
	char reason[NEXUS_MESSAGE_MAX];

	fill(&engine, nexuses, PR_ENGINE_REGISTRATIONS);
	write_text(&engine, ',');
	CHECK(strlen(text) <= max + ENVELOPE_MAX);
	for (const char *at = text; *at != '\0'; at++)
		CHECK(*at > ' ' && *at < 0x7f && !strchr("\"'\\;+", *at));
	CHECK(pr_engine_get_fields(text, ',', true, &back, reason));
	CHECK_INT(pr_engine_registrations(&back), PR_ENGINE_REGISTRATIONS);
	CHECK_INT(back.nexuses[31].key, UINT64_MAX - 31);
	CHECK_INT(back.nexuses[31].unit_attention_count, PR_ENGINE_UNIT_ATTENTIONS);
	CHECK_INT(back.holder, 31);
	CHECK_INT(back.generation, UINT32_MAX);
}

/* What a ticket has room for: 32 registrations, and 3 KiB in all. */
static void longest(void)
{
	CHECK(PR_ENGINE_FIELDS_REGISTRATIONS + ENVELOPE_MAX <= 3072 - 64);
	check_length(PR_ENGINE_REGISTRATIONS, PR_ENGINE_FIELDS_REGISTRATIONS);
	check_length(PR_ENGINE_NEXUSES, PR_ENGINE_FIELDS_MAX);
}

static void check_refused(const char *fields, bool ptpl_c, const char *want)
{
	struct pr_engine back, before;
	char reason[NEXUS_MESSAGE_MAX] = "";

	memset(&back, 0x5a, sizeof(back));
	before = back;
	CHECK_NOTE(strlen(fields) < 200 ? fields : "long");
	CHECK(!pr_engine_get_fields(fields, ',', ptpl_c, &back, reason));
	CHECK_CONTAINS(reason, want);
	CHECK_BYTES(&back, &before, sizeof(back));
}

static void makes_no_sense(void)
{
	static const struct {
		const char *fields, *reason;
	} bad[] = {
		{"aptpl=0,type=0,holder=0,nexuses=", "'generation'"},
		{"generation=4294967296,aptpl=0,type=0,holder=0,nexuses=", "'generation'"},
		{"generation=-1,aptpl=0,type=0,holder=0,nexuses=", "'generation'"},
		{"generation=0,type=0,holder=0,nexuses=", "'aptpl'"},
		{"generation=0,aptpl=2,type=0,holder=0,nexuses=", "'aptpl'"},
		{"generation=0,aptpl=0,holder=0,nexuses=", "'type'"},
		{"generation=0,aptpl=0,type=16,holder=0,nexuses=vm:1:", "'type'"},
		{"generation=0,aptpl=0,type=4,holder=0,nexuses=vm:1:", "4 is no type"},
		{"generation=0,aptpl=0,type=2,holder=0,nexuses=vm:1:", "2 is no type"},
		{"generation=0,aptpl=0,type=0,nexuses=", "'holder'"},
		{"generation=0,aptpl=0,type=0,holder=64,nexuses=", "'holder'"},
		{"generation=0,aptpl=0,type=0,holder=1,nexuses=", "nexus 1 cannot hold"},
		{"generation=0,aptpl=0,type=1,holder=1,nexuses=vm:1:", "nexus 1 cannot hold"},
		{"generation=0,aptpl=0,type=1,holder=0,nexuses=vm:0:a", "nexus 0 cannot hold"},
		{"generation=0,aptpl=0,type=7,holder=1,nexuses=vm:1:/wm:1:", "nexus 1 cannot hold"},
		{"generation=0,aptpl=0,type=8,holder=0,nexuses=vm:0:a", "nobody is registered"},
		{"generation=0,aptpl=0,type=0,holder=0", "'nexuses' is missing"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=/", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1:/", "entry 1"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=:1:", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=..:1:", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=v%20m:1:", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm::", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:0:", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:01:", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1A:", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:10000000000000000:", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1:i", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1:A", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1:aba", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1:abb", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1::0", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1::1", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1::65536", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1::2:3", "entry 0"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1:/vm:2:", "'vm' already"},
		{"generation=0,aptpl=0,type=0,holder=0,nexuses=vm:1:/VM:2:",
		 "upper and lower case"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_refused(bad[i].fields, true, bad[i].reason);
	check_refused("generation=0,aptpl=1,type=0,holder=0,nexuses=", false, "'aptpl'");
}

static void too_many(void)
{
	static char beyond[2 * PR_ENGINE_FIELDS_MAX];
	struct pr_engine engine;
	char *end;

	fill(&engine, 33, 33);
	write_text(&engine, ',');
	check_refused(text, true, "more than 32 keys");
	fill(&engine, PR_ENGINE_NEXUSES, 1);
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++)
		snprintf(engine.nexuses[i].name, sizeof(engine.nexuses[i].name), "n%u", i);
	write_text(&engine, ',');
	end = strstr(text, ",crc=");
	CHECK(end != NULL);
	strcpy(end, "/one-more:0:a");
	check_refused(text, true, "more than 64 nexuses");
	memcpy(beyond, "generation=0,aptpl=0,type=0,holder=0,nexuses=", 45);
	memset(beyond + 45, 'n', sizeof(beyond) - 46);
	check_refused(beyond, true, "too long");
}

int main(void)
{
	CHECK_RUN(golden);
	CHECK_RUN(there_and_back);
	CHECK_RUN(nothing);
	CHECK_RUN(damaged);
	CHECK_RUN(longest);
	CHECK_RUN(makes_no_sense);
	CHECK_RUN(too_many);
	return check_summary();
}
