/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reservation engine and the reference model in every state that three nexuses with two keys can be in, at every command that they can
 * send: what a fuzzer may miss.
 */
#include "be.h"
#include "check.h"
#include "pr-engine.h"
#include "reference-model.h"

#define NEXUSES 3
#define KEYS 3 /* and 0 is none */
#define HOLDERS NEXUSES
#define TYPES 7
#define STATES (KEYS * KEYS * KEYS * HOLDERS * TYPES)
#define LIST_MAX 128

static const uint8_t types[TYPES] = {0, 1, 3, 5, 6, 7, 8};
static const char *const names[NEXUSES] = {"a", "b", "c"};

static struct pr_engine empty_engine; /* with the nexuses open, in this order */
static struct model empty_model;
static bool seen[STATES];
static unsigned int queue[STATES], queued;
static unsigned long long commands;

/* ---- states ---- */

static unsigned int state_of(const struct model *model)
{
	unsigned int state = 0, type = 0;

	for (int i = 0; i < NEXUSES; i++)
		state = state * KEYS + (unsigned int)model->nexuses[i].key;
	while (types[type] != model->type)
		type++;
	state = state * TYPES + type;
	return state * HOLDERS +
	       (model->type != 0 && model->type < 7 ? (unsigned int)model->holder : 0);
}

/* PRGENERATION is about to wrap. */
static void enter_state(unsigned int state, bool aptpl, struct model *model,
			struct pr_engine *engine)
{
	*model = empty_model;
	*engine = empty_engine;
	model->generation = engine->generation = UINT32_MAX;
	model->aptpl = engine->aptpl = aptpl;
	model->holder = (int)(state % HOLDERS);
	state /= HOLDERS;
	model->type = engine->type = types[state % TYPES];
	engine->holder = model->type != 0 && model->type < 7 ? (uint8_t)model->holder : 0;
	state /= TYPES;
	for (int i = NEXUSES - 1; i >= 0; i--) {
		model->nexuses[i].key = engine->nexuses[i].key = state % KEYS;
		state /= KEYS;
	}
}

static void reach(unsigned int state)
{
	if (seen[state])
		return;
	seen[state] = true;
	queue[queued++] = state;
}

/* ---- one command ---- */

static bool same(const struct model *model, const struct pr_engine *engine)
{
	bool good = model->generation == engine->generation && model->type == engine->type &&
		    model->aptpl == engine->aptpl;

	for (int i = 0; i < NEXUSES; i++) {
		const struct model_nexus *expected = &model->nexuses[i];
		const struct pr_engine_nexus *got = &engine->nexuses[i];

		good = good && expected->key == got->key &&
		       expected->attention_count == got->unit_attention_count &&
		       (expected->attention_count == 0 ||
			expected->attentions[0] == got->unit_attentions[0]) &&
		       model_is_holder(model, i) == pr_engine_is_holder(engine, (unsigned int)i);
	}
	return good;
}

static void send(unsigned int state, bool aptpl, int sender, const uint8_t *cdb,
		 const uint8_t *list)
{
	static struct pr_engine engine;
	static struct pr_engine_change change;
	static struct model model;
	struct model_answer expected;
	uint64_t removed;
	char note[128];

	commands++;
	enter_state(state, aptpl, &model, &engine);
	expected = model_out(&model, sender, cdb, list, cdb[8], &removed);
	pr_engine_out(&engine, (unsigned int)sender, cdb, list, cdb[8], &change);
	snprintf(note, sizeof(note), "state %u, nexus %d, %s, type %02xh, keys %u %u", state,
		 sender, pr_out_action_name(cdb[1]), cdb[2], list[7], list[15]);
	CHECK_NOTE(note);
	CHECK_INT(change.answer.status, expected.status);
	CHECK(expected.status != SCSI_CHECK_CONDITION ||
	      ((uint32_t)change.answer.sense_key << 16 | change.answer.asc_ascq) == expected.sense);
	CHECK(same(&model, &change.next));
	CHECK(!change.aborts || change.aborted == removed);
	CHECK_INT(change.aborts, cdb[1] == PR_OUT_PREEMPT_AND_ABORT && expected.status == 0);
	CHECK_NOTE("");
	if (expected.status == SCSI_GOOD)
		reach(state_of(&model));
}

static void send_moves(unsigned int state, int sender, uint8_t *cdb, uint8_t *list)
{
	static const char *const to[] = {"a", "b", "c", "nobody"};

	cdb[8] = 24 + 48;
	list[23] = 48;
	list[24] = 0x45;
	list[27] = 44;
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++)
		for (uint8_t flags = 0; flags < 4; flags++)
			for (uint8_t port = 1; port <= 2; port++) {
				list[17] = flags;
				list[19] = port;
				memset(list + 28, 0, 44);
				snprintf((char *)list + 28, 44,
					 PR_ENGINE_PORT_PREFIX "%s" PR_ENGINE_PORT_SUFFIX, to[i]);
				send(state, flags & 2, sender, cdb, list);
			}
}

static void send_basic(unsigned int state, int sender, uint8_t *cdb, uint8_t *list)
{
	/* SCOPE, which is 0, and TYPE */
	static const uint8_t second[] = {0, 1, 3, 4, 5, 6, 7, 8, 0x0f, 0x15};

	for (size_t i = 0; i < sizeof(second); i++)
		for (uint8_t flags = 0; flags < 2; flags++) {
			cdb[2] = second[i];
			cdb[8] = 24;
			list[20] = flags;
			send(state, i % 2 == 0, sender, cdb, list);
		}
}

static void send_all(unsigned int state)
{
	for (int sender = 0; sender < NEXUSES; sender++)
		for (int action = 0; action <= PR_OUT_REPLACE_LOST_RESERVATION; action++)
			for (unsigned int keys = 0; keys < KEYS * KEYS; keys++) {
				uint8_t cdb[PR_CDB_LEN] = {SCSI_PR_OUT, (uint8_t)action};
				uint8_t list[LIST_MAX] = {[7] = (uint8_t)(keys / KEYS),
							  [15] = (uint8_t)(keys % KEYS)};

				if (action == PR_OUT_REGISTER_AND_MOVE)
					send_moves(state, sender, cdb, list);
				else
					send_basic(state, sender, cdb, list);
			}
}

/* ---- the command matrix ---- */

static void ask_all(unsigned int state)
{
	static struct pr_engine engine;
	static struct model model;
	struct pr_engine_answer answer;

	enter_state(state, false, &model, &engine);
	for (int nexus = 0; nexus < NEXUSES; nexus++)
		for (unsigned int code = 0; code < 0x100; code++)
			for (uint8_t action = 0; action < 0x20; action++) {
				uint8_t cdb[SCSI_CDB_MAX] = {
					(uint8_t)code, action, [4] = action & 0x13, [9] = action};
				struct scsi_cdb_info info;
				bool conflicts, admitted;

				cdb[7] = code == 0x7f ? 0x18 : 0;
				scsi_cdb_describe(cdb, &info);
				if (info.class == SCSI_CLASS_RESERVE)
					continue;
				conflicts = model_conflicts(&model, nexus, cdb);
				admitted = pr_engine_admits(&engine, (unsigned int)nexus, cdb,
							    &answer);
				CHECK_INT(admitted, !conflicts);
				CHECK(admitted || answer.status == SCSI_RESERVATION_CONFLICT);
			}
}

static void every_state(void)
{
	unsigned int asked = 0;

	reach(state_of(&empty_model));
	while (asked < queued) {
		send_all(queue[asked]);
		ask_all(queue[asked++]);
	}
	printf("%u states, %llu commands\n", queued, commands);
	/* 27 ways to be registered; with each reservation of one holder, and of all registrants where there is one. */
	CHECK_INT(queued, 27 + 4 * 3 * 18 + 2 * 26);
}

int main(void)
{
	char reason[NEXUS_MESSAGE_MAX];

	pr_engine_init(&empty_engine, true);
	empty_model.ptpl_c = true;
	empty_model.count = NEXUSES;
	for (int i = 0; i < NEXUSES; i++) {
		strcpy(empty_model.nexuses[i].name, names[i]);
		empty_model.nexuses[i].port = 1;
		empty_model.nexuses[i].known = true;
		if (pr_engine_open(&empty_engine, names[i], 1, reason) != i)
			return EXIT_FAILURE;
	}
	CHECK_RUN(every_state);
	return check_summary();
}
