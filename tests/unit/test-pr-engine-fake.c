/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine beside the fake LUN, which was written from the standard and without it: the same commands to both, and every answer the same:
 * status, sense data, PERSISTENT RESERVE IN byte by byte, unit attentions. The commands are random; each run has its own fixed seed.
 */
#include "be.h"
#include "check.h"
#include "fake-lun.h"
#include "pr-engine.h"

#define RUNS 40
#define STEPS 2500
#define NEXUSES 5
#define ANSWER_MAX 512

static const struct {
	const char *name;
	uint16_t port;
} who[NEXUSES] = {{"vm-a", 1}, {"vm-b", 1}, {"vm-c", 1}, {"vm-d", 1}, {"vm-a", 2}};

static struct fake_lun *lun;
static struct pr_engine engine;
static uint64_t seed;

static unsigned int any(unsigned int below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)((seed >> 20) % below);
}

struct command {
	unsigned int nexus;
	uint8_t cdb[16];
	size_t cdb_len;
	uint8_t list[256];
	size_t list_len;
};

struct answered {
	uint8_t status;
	uint8_t sense_key;
	uint16_t asc_ascq;
	size_t len;
	uint8_t data[ANSWER_MAX];
};

static void ask_fake(const struct command *command, struct answered *ret)
{
	struct fake_result result;

	fake_lun_execute(lun, command->nexus, command->cdb, command->cdb_len, command->list,
			 command->list_len, ret->data, sizeof(ret->data), &result);
	CHECK_INT(result.host_status, 0);
	ret->status = result.status;
	ret->len = result.data_in_len;
	if (result.sense_len > 0)
		CHECK(scsi_sense_parse(result.sense, result.sense_len, &ret->sense_key,
				       &ret->asc_ascq));
}

static void ask_engine(const struct command *command, struct answered *ret)
{
	static uint8_t data[PR_ENGINE_IN_MAX];
	static struct pr_engine_change change;
	struct pr_engine_answer answer = {.status = SCSI_GOOD};

	if (pr_engine_admits(&engine, command->nexus, command->cdb, &answer)) {
		answer = (struct pr_engine_answer){.status = SCSI_GOOD};
		if (command->cdb[0] == SCSI_PR_OUT) {
			pr_engine_out(&engine, command->nexus, command->cdb, command->list,
				      command->list_len, &change);
			pr_engine_commit(&engine, &change);
			answer = change.answer;
		} else if (command->cdb[0] == SCSI_PR_IN) {
			answer = pr_engine_in(&engine, command->cdb, data, &ret->len);
			if (CHECK(ret->len <= sizeof(ret->data)))
				memcpy(ret->data, data, ret->len);
		}
	}
	ret->status = answer.status;
	ret->sense_key = answer.sense_key;
	ret->asc_ascq = answer.asc_ascq;
}

/* A key that means something to the nexus: its own, another's, one that nobody may have, none. */
static uint64_t any_key(unsigned int nexus)
{
	switch (any(8)) {
	case 0:
		return 0;
	case 1:
	case 2:
		return 1 + any(4);
	case 3:
		return engine.nexuses[any(NEXUSES)].key;
	default:
		return engine.nexuses[nexus].key;
	}
}

/* One fault at the most: the standard does not say which is found first. */
static void make_pr_out(struct command *command)
{
	static const uint8_t types[] = {1, 3, 5, 6, 7, 8, 1, 3, 5, 6, 7, 8, 0, 2, 4, 15};
	struct pr_out out = {
		.action = (enum pr_out_action)(any(20) ? any(7) : 8 + any(24)),
		.scope = any(30) ? 0 : 1,
		.type = any(3) && engine.type ? engine.type : types[any(sizeof(types))],
		.key = any_key(command->nexus),
		.new_key = any(3) ? 1 + any(4) : any_key(any(NEXUSES)),
		.aptpl = any(3) == 0,
		.all_tg_pt = any(30) == 0,
		.spec_i_pt = any(30) == 0,
	};

	command->cdb_len = PR_CDB_LEN;
	pr_out_build(&out, command->cdb, command->list);
	command->list_len = PR_OUT_LIST_LEN;
	if (out.spec_i_pt) /* and no TransportID */
		command->list_len += 4;
	else if (any(40) == 0)
		command->list_len = any(64);
	be_put32(command->cdb + 5, (uint32_t)command->list_len);
}

static void make_move(struct command *command)
{
	uint8_t id[256];
	unsigned int to = any(NEXUSES);

	/* Nobody else can. */
	if (engine.type != PR_TYPE_NONE && any(4))
		command->nexus = engine.holder;
	const struct pr_move move = {
		.key = any_key(command->nexus),
		.new_key = 1 + any(4),
		.unregister = any(2),
		.aptpl = any(2),
		.relative_target_port = any(10) ? who[to].port : 3,
		.transport_id = id,
		.transport_id_len = (uint32_t)fake_lun_transport_id(lun, to, id),
	};

	if (any(20) == 0)
		id[4 + strlen(PR_ENGINE_PORT_PREFIX)] = 'x';
	command->cdb_len = PR_CDB_LEN;
	command->list_len = pr_move_build(&move, command->cdb, command->list);
}

static void make_command(struct command *command)
{
	static const uint8_t others[][16] = {
		{0x00},
		{0x12},
		{0x28},
		{0x2a},
		{0x35},
		{0x1a, 0, 0x3f},
		{0x25},
		{0x16},
		{0x17},
		{0x56},
		{0x57},
		{0x9e, 0x10},
		{0xa0},
		{0xa3, 0x0c},
		{0x2f},
		{0x42},
		{0x04},
		{0x1b},
		{0x1b, 0, 0, 0, 1},
	};

	*command = (struct command){.nexus = any(NEXUSES)};
	switch (any(10)) {
	case 0:
	case 1:
		command->cdb_len = 16;
		memcpy(command->cdb, others[any(sizeof(others) / sizeof(others[0]))], 16);
		return;
	case 2:
		command->cdb_len = PR_CDB_LEN;
		pr_in_build((enum pr_in_action)any(any(10) ? 4 : 32),
			    (uint16_t)any(any(2) ? 40 : ANSWER_MAX), command->cdb);
		return;
	case 3:
		make_move(command);
		return;
	default:
		make_pr_out(command);
	}
}

/* What only the medium has an answer to, the engine has none to compare. */
static bool same(const struct command *command, const struct answered *by_fake,
		 const struct answered *by_engine)
{
	bool decided = command->cdb[0] == SCSI_PR_IN || command->cdb[0] == SCSI_PR_OUT;

	if (by_fake->status != by_engine->status || by_fake->sense_key != by_engine->sense_key ||
	    by_fake->asc_ascq != by_engine->asc_ascq)
		return false;
	return !decided || (by_fake->len == by_engine->len &&
			    memcmp(by_fake->data, by_engine->data, by_engine->len) == 0);
}

static bool state_is_same(void)
{
	struct fake_state state;
	bool held = engine.type != PR_TYPE_NONE;
	int holder = held && !pr_type_all_registrants(engine.type) ? engine.holder : FAKE_ANY;

	fake_lun_get_state(lun, &state);
	for (unsigned int i = 0; i < NEXUSES; i++)
		if (state.nexus[i].key != engine.nexuses[i].key ||
		    state.nexus[i].unit_attentions != engine.nexuses[i].unit_attention_count)
			return false;
	return state.generation == engine.generation && state.aptpl == engine.aptpl &&
	       state.held == held && state.type == engine.type && state.holder == holder;
}

static void power_loss(void)
{
	fake_lun_power_loss(lun);
	pr_engine_power_loss(&engine);
}

static void run(uint64_t number, unsigned int *good)
{
	for (unsigned int step = 0; step < STEPS; step++) {
		struct command command;
		struct answered by_fake = {0}, by_engine = {0};
		char note[96];

		if (any(300) == 0)
			power_loss();
		make_command(&command);
		snprintf(note, sizeof(note), "run %u, step %u: nexus %u, %02x %02x %02x",
			 (unsigned int)number, step, command.nexus, command.cdb[0], command.cdb[1],
			 command.cdb[2]);
		CHECK_NOTE(note);
		ask_fake(&command, &by_fake);
		ask_engine(&command, &by_engine);
		if (!CHECK(same(&command, &by_fake, &by_engine)) || !CHECK(state_is_same())) {
			CHECK_INT(by_engine.status, by_fake.status);
			CHECK_INT(by_engine.asc_ascq, by_fake.asc_ascq);
			return;
		}
		if (by_engine.status == SCSI_GOOD && command.cdb[0] == SCSI_PR_OUT)
			good[command.cdb[1]]++;
	}
}

static void same_answers(void)
{
	static const struct fake_quirks quirks = {
		.no_spec_i_pt = true,
		.no_all_tg_pt = true,
		.no_reserve_release = true,
	};
	unsigned int good[32] = {0};

	for (uint64_t number = 1; number <= RUNS; number++) {
		char reason[NEXUS_MESSAGE_MAX], name[128];

		seed = number * 0x9e3779b97f4a7c15u;
		lun = fake_lun_create(NULL, NULL);
		fake_lun_set_quirks(lun, &quirks);
		pr_engine_init(&engine, true);
		for (unsigned int i = 0; i < NEXUSES; i++) {
			snprintf(name, sizeof(name), "%s%s", PR_ENGINE_PORT_PREFIX, who[i].name);
			fake_lun_set_nexus(lun, i, name, 0, who[i].port);
			CHECK_INT(pr_engine_open(&engine, who[i].name, who[i].port, reason), i);
		}
		run(number, good);
		fake_lun_detach(lun);
	}
	/* Each service action has taken effect often. */
	for (unsigned int action = 0; action <= PR_OUT_REGISTER_AND_MOVE; action++) {
		CHECK_NOTE(pr_out_action_name((uint8_t)action));
		CHECK(good[action] > 300);
	}
}

int main(void)
{
	CHECK_RUN(same_answers);
	return check_summary();
}
