/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another initiator, or the LUN itself, comes in at every event of every operation: before and after each command that prmig sends (the world has one
 * thread, so this is the same instant), each save and each named point. Then an orchestrator ends it, forwards or backwards.
 */
#include <limits.h>

#include "unit/handover-checks.h"

enum deed {
	PREEMPTS,
	PREEMPTS_AND_ABORTS,
	PREEMPTS_ALL, /* key 0: types 7 and 8 */
	CLEARS,
	REGISTERS_SAME_KEY,
	MOVES_GENERATION,
	RESERVES,
	RESETS,
	LOSES_POWER, /* APTPL 1 */
	LOSES_POWER_AND_KEYS,
	GIVES_UNIT_ATTENTION,
	DEEDS,
};

static const char *const deed_names[DEEDS] = {
	[PREEMPTS] = "PREEMPT",
	[PREEMPTS_AND_ABORTS] = "PREEMPT AND ABORT",
	[PREEMPTS_ALL] = "PREEMPT of all",
	[CLEARS] = "CLEAR",
	[REGISTERS_SAME_KEY] = "REGISTER of the same key",
	[MOVES_GENERATION] = "REGISTER of its own key again",
	[RESERVES] = "RESERVE",
	[RESETS] = "LUN reset",
	[LOSES_POWER] = "power loss, APTPL",
	[LOSES_POWER_AND_KEYS] = "power loss, no APTPL",
	[GIVES_UNIT_ATTENTION] = "unit attention",
};

static enum deed deed;
static uint64_t gaps_of_others;
static bool fenced; /* K was registered, and the deed removed it */
static bool newcomer;
static unsigned int runs, newcomers_lost, refused, forced;
static unsigned int answers[NEXUS_ERROR_LUN + 1];
static unsigned int reached[RECORD_STEP_COUNT][HANDOVER_ANSWERED + 1];

static uint64_t gaps(void)
{
	struct fake_monitor monitor;

	fake_lun_get_monitor(world.lun, &monitor);
	return monitor.gaps;
}

static void act(struct side *side, enum side_event event)
{
	uint8_t type = world.row->type != 0 ? world.row->type : 5;
	unsigned int keys = fake_lun_count_key(world.lun, KEY_S);
	uint64_t before = gaps();

	(void)event;
	switch (deed) {
	case PREEMPTS:
		side_stranger(world.lun, STRANGER, PR_OUT_PREEMPT, KEY_X, KEY_S, type, false);
		break;
	case PREEMPTS_AND_ABORTS:
		side_stranger(world.lun, STRANGER, PR_OUT_PREEMPT_AND_ABORT, KEY_X, KEY_S, type,
			      false);
		break;
	case PREEMPTS_ALL:
		side_stranger(world.lun, STRANGER, PR_OUT_PREEMPT, KEY_X, 0, 5, false);
		break;
	case CLEARS:
		side_stranger(world.lun, STRANGER, PR_OUT_CLEAR, KEY_X, 0, 0, false);
		break;
	case REGISTERS_SAME_KEY:
		side_stranger(world.lun, NEWCOMER, PR_OUT_REGISTER, 0, KEY_S, 0, false);
		newcomer = fake_lun_count_key(world.lun, KEY_S) > keys;
		break;
	case MOVES_GENERATION:
		side_stranger(world.lun, STRANGER, PR_OUT_REGISTER, KEY_X, KEY_X, 0, false);
		break;
	case RESERVES:
		side_stranger(world.lun, STRANGER, PR_OUT_RESERVE, KEY_X, 0, 5, false);
		break;
	case RESETS:
		fake_lun_reset(world.lun);
		break;
	case LOSES_POWER:
		side_stranger(world.lun, STRANGER, PR_OUT_REGISTER, KEY_X, KEY_X, 0, true);
		fake_lun_power_loss(world.lun);
		break;
	case LOSES_POWER_AND_KEYS:
		fake_lun_power_loss(world.lun);
		break;
	case GIVES_UNIT_ATTENTION:
		fake_lun_add_unit_attention(world.lun, side->nexus, 0x3f0e);
		break;
	case DEEDS:
		break;
	}
	gaps_of_others += gaps() - before;
	if (deed != REGISTERS_SAME_KEY)
		fenced = keys > 0 && fake_lun_count_key(world.lun, KEY_S) == 0;
}

static void note_run(enum world_op op, unsigned int event, enum nexus_error error, bool forward)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s, %u siblings, %s, %s, event %u (%s %d), %s %d %s",
		 world.row->name, world.siblings, world_kind_names[world.kind], world_op_names[op],
		 event, record_step_name(world.acted_step), world.acted_moment, deed_names[deed],
		 error, forward ? "finished by Import" : "finished by Abort");
	CHECK_NOTE(text);
}

/* Only one of the two hosts has the guest, and what that one remembers is so. */
static void check_end(enum world_op op)
{
	unsigned int registered_here = world.row->row > 1;
	struct fake_state state;

	fake_lun_get_state(world.lun, &state);
	for (unsigned int i = 0; i < 2 * (1 + world.siblings); i++) {
		const struct group_host *host =
			i % 2 == 0 ? &world.source_host : &world.destination_host;
		const struct side *side = host->sides[i / 2];
		bool key = state.nexus[side->nexus].key == KEY_S;

		if (fenced)
			CHECK(!key);
		/* A gate that is open for a guest with a key: the key stands. */
		if (side->gate_open && side->record.key != 0 && !fenced)
			CHECK(key);
	}
	if (fenced || newcomer || deed == LOSES_POWER_AND_KEYS)
		return;
	for (unsigned int i = 0; i <= world.siblings; i++)
		CHECK_INT(
			(state.nexus[world.source_host.sides[i]->nexus].key == KEY_S) +
				(state.nexus[world.destination_host.sides[i]->nexus].key == KEY_S),
			registered_here);
	if (world.row->row == 3)
		CHECK(state.held && (state.holder == SOURCE || state.holder == DESTINATION));
	if (world.row->row == 3 && op != WORLD_IMPORT_BACK)
		CHECK(state.nexus[state.holder].key == KEY_S);
}

static void check_newcomer(void)
{
	struct fake_state state;

	if (!newcomer)
		return;
	fake_lun_get_state(world.lun, &state);
	if (state.nexus[NEWCOMER].key == KEY_S)
		return;
	/* It came with K between the last look and the PREEMPT, or while K stood on one nexus more anyway. */
	CHECK_INT(world.row->row, 3);
	newcomers_lost++;
}

static bool run_once(const struct world_row *row, enum world_kind kind, enum world_op op,
		     unsigned int event, bool forward)
{
	enum nexus_error error;
	bool killed, acted;

	world_set_up(row, kind);
	fenced = newcomer = false;
	gaps_of_others = 0;
	if (!world_prepare(op)) {
		world_tear_down();
		return false;
	}
	world.act = act;
	world.act_at = event;
	error = world_run(op, &killed);
	acted = world.events > event;
	if (acted) {
		struct fake_state state;

		runs++;
		answers[error]++;
		refused += error != NEXUS_OK;
		reached[world.acted_step][world.acted_moment]++;
		note_run(op, event, error, forward);
		/* Nothing but success at the destination opens a gate there with a key. */
		fake_lun_get_state(world.lun, &state);
		if ((op == WORLD_IMPORT || op == WORLD_IMPORT_AGAIN ||
		     op == WORLD_IMPORT_LATER_LINE) &&
		    error != NEXUS_OK && world.siblings == 0)
			CHECK(!world.destination.gate_open);
		if (error == NEXUS_OK && !fenced && world_side(op)->gate_open &&
		    world_side(op)->record.key == KEY_S)
			CHECK_INT(state.nexus[world_side(op)->nexus].key, KEY_S);
		world_resync(&world.source);
		world_resync(&world.destination);
		if (op != WORLD_IMPORT_BACK) {
			error = forward ? world_forward() : NEXUS_OK;
			/* After Release the guest is there, and nobody aborts. */
			if ((!forward && world.source.record.state == NEXUS_EXPORTED) ||
			    error != NEXUS_OK)
				world_back();
		} else {
			if (world_import(&world.source, world.line) != NEXUS_OK) {
				world_abort(&world.source, world.destination.record.out.id, false);
				world_abort(&world.destination, "", true);
			}
			world_release(&world.destination, true);
			world_release(&world.source, true);
		}
		forced += world.forced;
		world_resync(&world.source);
		world_resync(&world.destination);
		check_end(op);
		check_newcomer();
		world_check_invariants(gaps_of_others,
				       deed != CLEARS && deed != LOSES_POWER_AND_KEYS);
	}
	world_tear_down();
	return acted;
}

/* The default run takes every third case (with siblings every ninth), in long steps but for one row; with PRMIG_FULL=1 all, event by event. */
static bool full(void)
{
	const char *text = getenv("PRMIG_FULL");

	return text != NULL && text[0] == '1';
}

static unsigned int next(unsigned int event, bool all)
{
	static unsigned int steps;

	return event + (all || full() ? 1 : 1 + steps++ * 7 % 53);
}

static bool left_out(bool all)
{
	static unsigned int cases;

	return !all && !full() && cases++ % (world_siblings.count > 0 ? 9 : 3) != 0;
}

static void in_world(void)
{
	for (int kind = 0; kind < WORLD_KINDS; kind++)
		for (size_t i = 0; i < world_row_count; i++)
			for (int op = 0; op < WORLD_OPS; op++)
				for (int j = 0; j < DEEDS; j++)
					for (int forward = 0; forward < 2; forward++) {
						/* Nobody there, or a REGISTER with APTPL that has no effect. */
						if (kind == WORLD_NO_STRANGER &&
						    j != REGISTERS_SAME_KEY && j < RESETS)
							continue;
						if (j == LOSES_POWER && (kind == WORLD_TGT ||
									 kind == WORLD_NO_STRANGER))
							continue;
						if (left_out(kind == WORLD_STANDARD && i == 6 &&
							     world_siblings.count == 0))
							continue;
						deed = j;
						for (unsigned int event = 0;
						     run_once(&world_rows[i], kind, op, event,
							      forward);)
							event = next(event,
								     kind == WORLD_STANDARD &&
									     i == 6 && forward &&
									     world_siblings.count ==
										     0);
					}
}

static void at_every_event(void)
{
	in_world();
}

/* The guest has several nexuses with its key on the LUN, and its group moves. */
static void with_siblings(void)
{
	unsigned int before = runs;

	for (unsigned int count = 1; count <= WORLD_SIBLINGS_MAX; count++) {
		world_siblings.count = count;
		in_world();
	}
	world_siblings.count = 0;
	printf("%u runs with siblings\n", runs - before);
}

/*
 * The answer to the Nth PERSISTENT RESERVE OUT of a side is lost, or the command itself; all is called again until it is done.
 */
static void answers_are_lost(void)
{
	static const enum fake_outcome outcomes[] = {FAKE_LOSE_ANSWER, FAKE_LOSE_COMMAND};
	unsigned int lost = 0;

	for (int kind = 0; kind < WORLD_KINDS; kind++)
		for (size_t i = 0; i < world_row_count; i++)
			for (int op = 0; op < WORLD_OPS; op++)
				for (int how = 0; how < 4; how++)
					for (unsigned int skip = 0;; skip++) {
						struct fake_fault fault =
							fake_fault(FAKE_ANY, 0x5f, FAKE_ANY);
						enum nexus_error error;
						bool killed, forward = how & 2;
						int number;

						world_set_up(&world_rows[i], kind);
						if (op == WORLD_IMPORT_BACK || !world_prepare(op)) {
							world_tear_down();
							break;
						}
						fault.skip = skip;
						fault.outcome = outcomes[how & 1];
						fault.host_status = FAKE_DID_TIME_OUT;
						number = fake_lun_add_fault(world.lun, &fault);
						error = world_run(op, &killed);
						if (fake_lun_fault_hits(world.lun, number) == 0) {
							world_tear_down();
							break;
						}
						lost++;
						deed = DEEDS - 1;
						note_run(op, skip, error, forward);
						fenced = newcomer = false;
						forward |= op == WORLD_RELEASE;
						error = forward ? world_forward() : world_back();
						/* No READ FULL STATUS: only Abort ends what may have taken effect. */
						if (error == NEXUS_ERROR_WRONG_STATE &&
						    kind == WORLD_TGT &&
						    world.source.record.take_back_sent)
							error = world_back();
						CHECK_INT(error, NEXUS_OK);
						world_resync(&world.source);
						world_resync(&world.destination);
						check_end(op);
						world_check_invariants(0, true);
						world_tear_down();
					}
	printf("%u answers or commands lost\n", lost);
}

/* A generation that says nothing: Export refuses, and the guest goes on. */
static void generation_says_nothing(void)
{
	static const enum fake_generation kinds[] = {FAKE_GENERATION_STILL, FAKE_GENERATION_BY_TWO};

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 1; i < world_row_count; i++)
			for (int j = 0; j < RESETS; j++)
				for (unsigned int event = 0; event < 40; event++) {
					struct fake_quirks quirks = {.generation = kinds[k]};
					bool killed;

					world_set_up(&world_rows[i], WORLD_STANDARD);
					fake_lun_set_quirks(world.lun, &quirks);
					fenced = newcomer = false;
					gaps_of_others = 0;
					deed = j;
					world.act = act;
					world.act_at = event;
					note_run(WORLD_EXPORT, event, NEXUS_OK, false);
					if (world_run(WORLD_EXPORT, &killed) == NEXUS_OK)
						CHECK(fenced && world.source.record.out.row == 1);
					else
						CHECK(world.source.gate_open);
					world_check_invariants(gaps_of_others, j != CLEARS);
					world_tear_down();
				}
}

static void print_numbers(void)
{
	unsigned int points = 0;

	for (int step = 1; step < RECORD_STEP_COUNT; step++)
		for (int moment = 0; moment <= HANDOVER_ANSWERED; moment++)
			points += reached[step][moment] != 0;
	printf("%u points, %u runs, %u refused (", points, runs, refused);
	for (int i = 1; i <= NEXUS_ERROR_LUN; i++)
		printf("%s%u", i > 1 ? " " : "", answers[i]);
	printf("), %u Aborts with force; %u newcomers with the same key lost it\n", forced,
	       newcomers_lost);
	CHECK(points >= 36);
}

int main(void)
{
	CHECK_RUN(at_every_event);
	CHECK_RUN(with_siblings);
	CHECK_RUN(answers_are_lost);
	CHECK_RUN(generation_says_nothing);
	CHECK_RUN(print_numbers);
	return check_summary();
}
