/* SPDX-License-Identifier: Apache-2.0 */
/* The table of nexuses, their unit attentions, and a change on its way from decision to commit. */
#include "check.h"
#include "unit/engine-world.h"

static void open_and_close(void)
{
	struct pr_engine engine;
	char reason[NEXUS_MESSAGE_MAX] = "";

	pr_engine_init(&engine, true);
	CHECK_INT(pr_engine_find(&engine, "vm", 1), -1);
	CHECK_INT(pr_engine_open(&engine, "vm", 1, reason), 0);
	CHECK_INT(pr_engine_open(&engine, "vm", 1, reason), -1);
	CHECK_CONTAINS(reason, "'vm' is open on this LUN already");
	CHECK_INT(pr_engine_open(&engine, "vm", 2, reason), 1); /* another target port */
	CHECK_INT(pr_engine_open(&engine, "VM", 1, reason), -1);
	CHECK_CONTAINS(reason, "'VM' by upper and lower case alone");
	CHECK_INT(pr_engine_find(&engine, "vm", 2), 1);
	CHECK_INT(pr_engine_open(&engine, "az", 1, reason), 2);
	CHECK_INT(pr_engine_open(&engine, "AZ", 1, reason), -1);
	pr_engine_close(&engine, 0);
	CHECK_INT(pr_engine_find(&engine, "vm", 1), -1); /* nothing to remember */
	pr_engine_close(&engine, 1);
	CHECK_INT(pr_engine_open(&engine, "VM", 1, reason), 0);
}

static void close_keeps(void)
{
	char reason[NEXUS_MESSAGE_MAX];
	unsigned int a, b;

	BEGIN("A:a B:b");
	a = engine_slot(w, 'A');
	b = engine_slot(w, 'B');
	pr_engine_close(&w->engine, b);
	STATE("A:a B:b");
	CHECK_INT(OUT('A', PREEMPT, .key = 'a', .new_key = 'b'), GOOD);
	CHECK_INT(pr_engine_open(&w->engine, "vm-b", 1, reason), b);
	CHECK_INT(w->engine.nexuses[b].unit_attention_count, 1);
	pr_engine_close(&w->engine, b);
	CHECK_INT(pr_engine_open(&w->engine, "vm-b", 1, reason), b);
	CHECK_INT(COMMAND('B', WRITE_10), UA5);
	CHECK_INT(COMMAND('B', WRITE_10), GOOD);
	CHECK(w->engine.nexuses[a].open);
}

/* 64 open; then one of which only a unit attention is left makes room, one that is registered does not. */
static void full_table(void)
{
	struct pr_engine engine;
	char reason[NEXUS_MESSAGE_MAX], name[32];

	pr_engine_init(&engine, true);
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		snprintf(name, sizeof(name), "vm-%u", i);
		CHECK_INT(pr_engine_open(&engine, name, 1, reason), i);
	}
	CHECK_INT(pr_engine_open(&engine, "more", 1, reason), -1);
	CHECK_CONTAINS(reason, "64 nexuses");
	engine.nexuses[5].key = 1;
	CHECK(pr_engine_add_unit_attention(&engine, 5, 0x2a04));
	CHECK(pr_engine_add_unit_attention(&engine, 9, 0x2a04));
	pr_engine_close(&engine, 5);
	CHECK_INT(pr_engine_open(&engine, "more", 1, reason), -1);
	pr_engine_close(&engine, 9);
	CHECK_INT(pr_engine_open(&engine, "more", 1, reason), 9);
	CHECK_INT(engine.nexuses[9].unit_attention_count, 0);
	CHECK_STR(engine.nexuses[9].name, "more");
	CHECK_INT(pr_engine_find(&engine, "vm-5", 1), 5);
}

static void rename_nexus(void)
{
	char reason[NEXUS_MESSAGE_MAX];
	unsigned int a;

	BEGIN("A:a B:b 5/A");
	a = engine_slot(w, 'A');
	CHECK(pr_engine_add_unit_attention(&w->engine, a, 0x2a09));
	CHECK(!pr_engine_rename(&w->engine, a, "vm-b", reason));
	CHECK_CONTAINS(reason, "'vm-a' cannot go on as 'vm-b'");
	CHECK(!pr_engine_rename(&w->engine, a, "vm_d", reason));
	CHECK_CONTAINS(reason, "'VM_D'");
	STATE("A:a B:b 5/A");
	CHECK(pr_engine_rename(&w->engine, a, "vm-a", reason));
	CHECK(pr_engine_rename(&w->engine, a, "arrived", reason));
	CHECK(pr_engine_rename(&w->engine, a, "Arrived",
			       reason)); /* by case alone: it is one nexus */
	CHECK_INT(pr_engine_find(&w->engine, "Arrived", 1), a);
	CHECK_INT(pr_engine_find(&w->engine, "vm-a", 1), -1);
	CHECK_INT(w->engine.nexuses[a].key, engine_key('a'));
	CHECK_INT(w->engine.nexuses[a].unit_attentions[0], 0x2a09);
	CHECK(pr_engine_is_holder(&w->engine, a));
	CHECK_INT(w->engine.type, 5);
	CHECK(!pr_engine_rename(&w->engine, engine_slot(w, 'B'), "Arrived", reason));
	CHECK_CONTAINS(reason, "'vm-b' cannot go on as 'Arrived'");
	/* Under its old name it was one initiator port with P. */
	CHECK(!pr_engine_rename(&w->engine, a, "VM-A", reason));
}

static void unit_attentions(void)
{
	struct pr_engine *engine;
	uint16_t asc_ascq;
	unsigned int b;

	BEGIN("");
	engine = &w->engine;
	b = engine_slot(w, 'B');
	CHECK(!pr_engine_take_unit_attention(engine, b, &asc_ascq));
	CHECK(pr_engine_add_unit_attention(engine, b, 0x2a09));
	CHECK(pr_engine_add_unit_attention(engine, b, 0x2a03));
	CHECK(pr_engine_add_unit_attention(engine, b, 0x2a09)); /* waits already: keeps its place */
	CHECK(pr_engine_add_unit_attention(engine, b, 0x2a03));
	CHECK(pr_engine_add_unit_attention(engine, b, 0x2f00));
	CHECK(!pr_engine_add_unit_attention(engine, b, 0x2b00)); /* none that a queue holds */
	CHECK(!pr_engine_add_unit_attention(engine, b, 0));
	ATTENTIONS("B:2a09 B:2a03 B:2f00");
	CHECK(pr_engine_add_unit_attention(engine, b, 0x2a03));
	CHECK(pr_engine_add_unit_attention(engine, b, 0x2a04));
	CHECK(pr_engine_take_unit_attention(engine, b, &asc_ascq)); /* REQUEST SENSE */
	CHECK_INT(asc_ascq, 0x2a03);
	CHECK_INT(COMMAND('B', SCSI_INQUIRY), GOOD);
	CHECK_INT(COMMAND('B', SCSI_REPORT_LUNS), GOOD);
	CHECK_INT(COMMAND('B', SCSI_REQUEST_SENSE), GOOD);
	CHECK_INT(COMMAND('B', SCSI_PR_IN), UA4);
	ATTENTIONS("");
}

/* Two commands that tell one nexus the same, and one that tells it something else. */
static void told_once(void)
{
	BEGIN("A:a B:b C:c");
	CHECK_INT(OUT('A', PREEMPT, .key = 'a', .new_key = 'b'), GOOD);
	CHECK_INT(COMMAND('B', TEST_UNIT_READY), UA5);
	CHECK_INT(OUT('B', REGISTER, .new_key = 'b'), GOOD);
	CHECK_INT(OUT('A', PREEMPT, .key = 'a', .new_key = 'c'), GOOD);
	CHECK_INT(OUT('A', PREEMPT, .key = 'a', .new_key = 'b'), GOOD);
	w->engine.nexuses[engine_slot(w, 'B')].key = engine_key('b');
	w->engine.nexuses[engine_slot(w, 'C')].key = engine_key('c');
	CHECK_INT(OUT('A', RESERVE, .key = 'a', .type = 5), GOOD);
	CHECK_INT(OUT('A', RELEASE, .key = 'a', .type = 5), GOOD);
	CHECK_INT(OUT('A', CLEAR, .key = 'a'), GOOD);
	ATTENTIONS("B:2a05 B:2a04 B:2a03 C:2a05 C:2a04 C:2a03");
}

/* While a change is being stored other commands go on: what they were told stays told. */
static void told_before_commit(void)
{
	const struct pr_out out = {
		.action = PR_OUT_CLEAR,
		.key = engine_key('a'),
	};
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];

	BEGIN("A:a B:b C:c");
	CHECK(pr_engine_add_unit_attention(&w->engine, engine_slot(w, 'B'), 0x2a09));
	pr_out_build(&out, cdb, list);
	pr_engine_out(&w->engine, engine_slot(w, 'A'), cdb, list, sizeof(list), &w->change);
	CHECK_INT(w->change.answer.status, SCSI_GOOD);
	CHECK(w->change.changed);
	STATE("A:a B:b C:c");
	ATTENTIONS("B:2a09");
	pr_engine_commit(&w->engine, &w->change);
	STATE("");
	ATTENTIONS("B:2a03 C:2a03");
}

static void generation_wraps(void)
{
	BEGIN("A:a");
	w->engine.generation = UINT32_MAX;
	w->change.changed = false;
	CHECK_INT(OUT('A', REGISTER, .key = 'a', .new_key = 'a'), GOOD);
	MOVED(0);
}

int main(void)
{
	CHECK_RUN(open_and_close);
	CHECK_RUN(close_keeps);
	CHECK_RUN(full_table);
	CHECK_RUN(rename_nexus);
	CHECK_RUN(unit_attentions);
	CHECK_RUN(told_once);
	CHECK_RUN(told_before_commit);
	CHECK_RUN(generation_wraps);
	return check_summary();
}
