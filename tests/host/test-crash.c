/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill -9 at every named point of Export, Import, Abort and Release, on source and destination: the daemon is started again, and the
 * hand-over is then finished by Import again, or taken back by Abort. By default each point once; PRMIG_FULL=1: each point in each row of
 * the table, on two kinds of LUN, both ways.
 */
#include "check.h"
#include "pair.h"

#include <unistd.h>

#define ROUNDS 6
#define DEATH_MS 10000
#define HELD_MS 30
#define STEPS_MAX 5

struct step {
	unsigned int side;
	const char *method;
	const char *refusal; /* that is due, in row 3 at least */
};

struct story {
	const char *name;
	struct step steps[STEPS_MAX];
	size_t count;
	bool stale;  /* the stranger moves the generation just before Import's REGISTER */
	bool fenced; /* ... removes the key just before Abort's */
	unsigned int row_least, row_most;
};

#define S PAIR_SOURCE
#define D PAIR_DESTINATION

static const struct story stories[] = {
	{"handed over",
	 {{S, "Export", 0}, {D, "Import", 0}, {S, "Release", 0}},
	 3,
	 false,
	 false,
	 2,
	 4},
	{"aborted before Import", {{S, "Export", 0}, {S, "Abort", 0}}, 2, false, false, 2, 4},
	{"aborted after Import",
	 {{S, "Export", 0},
	  {D, "Import", 0},
	  {D, "Abort", "WrongState"},
	  {S, "Abort", 0},
	  {D, "Abort", 0}},
	 5,
	 false,
	 false,
	 2,
	 4},
	{"Import stale", {{S, "Export", 0}, {D, "Import", "Stale"}}, 2, true, false, 2, 4},
	{"fenced during Abort",
	 {{S, "Export", 0}, {D, "Import", 0}, {S, "Abort", "Fenced"}},
	 3,
	 false,
	 true,
	 3,
	 3},
};
#define STORIES (sizeof(stories) / sizeof(stories[0]))

enum finish { FINISH_IMPORT, FINISH_ABORT };

static struct fake_quirks quirks;
static const struct pair_row *row;
static const struct story *story;
static char line[BUS_STATE_MAX], note[256];
static int fence; /* the fault that removes the key; -1: none */
static unsigned int points_tried, kills, runs, forced;

/* ---- the story ---- */

static void stranger_comes_in(size_t at)
{
	bool moves = story->stale && !strcmp(story->steps[at].method, "Import");
	bool removes = story->fenced && !strcmp(story->steps[at].method, "Abort");
	struct fake_fault fault = fake_fault((int)story->steps[at].side, 0x5f, PAIR_REGISTER);
	struct fake_command *command = &fault.before.commands[0];

	if (!moves && !removes)
		return;
	fault.before.count = 1;
	*command = (struct fake_command){.nexus = PAIR_STRANGER, .cdb_len = 10, .list_len = 24};
	if (moves)
		pair_build(PAIR_REGISTER, 0, PAIR_STRANGER_KEY, PAIR_STRANGER_KEY, command->cdb,
			   command->list);
	else
		pair_build(PAIR_PREEMPT, row->type, PAIR_STRANGER_KEY, PAIR_KEY, command->cdb,
			   command->list);
	*(removes ? &fence : &(int){0}) = fake_lun_add_fault(pair.lun, &fault);
}

/* False: the machine died in it. */
static bool tell(size_t at)
{
	const struct step *step = &story->steps[at];
	struct bus_reply reply;
	bool refused = step->refusal && (row->row == 3 || story->stale);

	stranger_comes_in(at);
	/* The guest has arrived. */
	if (!strcmp(step->method, "Release"))
		pair_write(D, 5000);
	pair_call(step->side, step->method, line, false, &reply);
	if (reply.ok && reply.state[0])
		memcpy(line, reply.state, sizeof(line));
	if (!reply.ok && machine_wait_death(pair.machine[step->side],
					    strstr(reply.error, "NoReply") ? DEATH_MS : 0))
		return false;
	if (!CHECK(reply.ok == !refused) || (refused && !CHECK_STR(reply.error, step->refusal)))
		printf("%s: %s: %s\n", step->method, reply.error, reply.message);
	return true;
}

/* Returns the step that a machine died in, or the story's length. */
static size_t play(void)
{
	size_t at;

	line[0] = '\0';
	fence = -1;
	for (at = 0; at < story->count; at++)
		if (!tell(at))
			break;
	return at;
}

/* ---- the end ---- */

static void report(const char *what, const struct bus_reply *reply)
{
	if (!reply->ok)
		printf("  %s: %s: %s\n", what, reply->error, reply->message);
}

/* Import again; where that is not taken, Export again and Import that. */
static void finish_by_import(void)
{
	struct bus_reply imported = {0}, exported = {0}, reply;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		if (line[0] && pair_call(D, "Import", line, false, &imported))
			break;
		if (pair_call(S, "Export", NULL, false, &exported))
			memcpy(line, exported.state, sizeof(line));
	}
	if (!CHECK(imported.ok)) {
		report("Import", &imported);
		report("Export", &exported);
		return;
	}
	if (!CHECK(pair_call(S, "Release", NULL, true, &reply)))
		report("Release", &reply);
}

/* There, here, there. */
static void finish_by_abort(bool guest_has_arrived)
{
	struct bus_reply there, here, reply;

	pair_call(D, "Abort", NULL, false, &there);
	if (guest_has_arrived) {
		/* Refused, and nothing is lost by having asked. */
		CHECK_STR(there.error, "WrongState");
		if (!CHECK(pair_call(S, "Release", NULL, true, &reply)))
			report("Release", &reply);
		return;
	}
	/* It holds there, and says so: what the generation does not prove any more is known by that. */
	if (!pair_call(S, "Abort", NULL, false, &here) && !strcmp(here.error, "WrongState") &&
	    strstr(there.message, "Abort at the source now") &&
	    CHECK(pair_call(S, "Abort", NULL, true, &here)))
		forced++;
	if (!CHECK(here.ok))
		report("Abort here", &here);
	if (!CHECK(pair_call(D, "Abort", NULL, false, &reply)))
		report("Abort there", &reply);
}

static void check_fenced(void)
{
	struct fake_state state;

	fake_lun_get_state(pair.lun, &state);
	CHECK_INT(fake_lun_count_key(pair.lun, PAIR_KEY), 0);
	CHECK_INT(state.nexus[PAIR_STRANGER].key, PAIR_STRANGER_KEY);
	CHECK_INT(state.holder, PAIR_STRANGER);
}

/* With a key that the stranger had removed: it stays removed, whatever is called. */
static void finish_fenced(enum finish finish)
{
	struct bus_reply reply;
	int round;

	for (round = 0; round < 2; round++) {
		if (finish == FINISH_IMPORT) {
			pair_call(D, "Import", line, false, &reply);
			if (pair_call(S, "Export", NULL, false, &reply))
				memcpy(line, reply.state, sizeof(line));
		} else {
			pair_call(D, "Abort", NULL, false, &reply);
			pair_call(S, "Abort", NULL, false, &reply);
		}
		check_fenced();
	}
}

/* What a closed gate holds does not get to the LUN. */
static void check_gate(unsigned int side)
{
	struct fake_monitor before, after;
	char state[BUS_TEXT_MAX];

	bus_property(machine_bus(pair.machine[side]), PAIR_NAME, "State", state);
	if (!strcmp(state, "'active'"))
		return;
	fake_lun_get_monitor(pair.lun, &before);
	CHECK(pair_write(side, HELD_MS) != HOST_GOOD);
	fake_lun_get_monitor(pair.lun, &after);
	CHECK_INT(after.writes[side], before.writes[side]);
}

static bool had_fence(void)
{
	return fence >= 0 && fake_lun_fault_hits(pair.lun, fence) > 0;
}

static void run(unsigned int side, const char *point, enum finish finish)
{
	bool arrived, there;
	size_t at;

	snprintf(note, sizeof(note), "%s, %s, killed at %s of the %s, then %s", row->name,
		 story->name, point, side == S ? "source" : "destination",
		 finish == FINISH_IMPORT ? "Import" : "Abort");
	CHECK_NOTE(note);
	runs++;
	if (!CHECK(pair_set_up(row, &quirks, "")) || !CHECK(pair_arm(side, point)))
		return;
	at = play();
	if (!CHECK(at < story->count))
		return;
	kills++;
	arrived = !strcmp(story->steps[at].method, "Release");
	if (!CHECK(pair_restart(side)))
		return;
	check_gate(side);
	if (had_fence()) {
		finish_fenced(finish);
		return;
	}
	fake_lun_clear_faults(pair.lun);
	there = finish == FINISH_IMPORT || arrived;
	if (finish == FINISH_IMPORT)
		finish_by_import();
	else
		finish_by_abort(arrived);
	CHECK(pair_is_at(row, there ? D : S));
}

/* ---- all of them ---- */

/* The story without a kill, for what points it has. */
static void record_points(void)
{
	char path[PAIR_PATH_MAX];

	snprintf(note, sizeof(note), "%s, %s", row->name, story->name);
	CHECK_NOTE(note);
	CHECK(pair_set_up(row, &quirks, ""));
	pair_points_path(S, path);
	unlink(path);
	pair_points_path(D, path);
	unlink(path);
	CHECK_INT(play(), story->count);
	pair_read_points(S);
	pair_read_points(D);
}

static void kill_at_each_point(unsigned int side, bool full)
{
	char point[PAIR_POINT_MAX + 16];
	size_t i, j, skip;

	for (i = 0; i < pair_points[side].count; i++) {
		for (j = skip = 0; j < i; j++)
			skip += !strcmp(pair_points[side].names[j], pair_points[side].names[i]);
		snprintf(point, sizeof(point), "%s:%zu", pair_points[side].names[i], skip);
		if (!full && pair_point_tried(pair_points[side].names[i]))
			continue;
		points_tried++;
		if (full || story->fenced || points_tried % 2)
			run(side, point, FINISH_IMPORT);
		if (full || story->fenced || points_tried % 2 == 0)
			run(side, point, FINISH_ABORT);
	}
}

static void tell_stories(bool full)
{
	size_t i, j;

	for (i = 0; i < (full ? PAIR_ROWS : 3); i++) {
		for (j = 0; j < STORIES; j++) {
			row = &pair_rows[i];
			story = &stories[j];
			/* Where the LUN can tell who has the key, Import keeps it. */
			quirks.no_read_full_status = story->stale;
			if (row->row < story->row_least || row->row > story->row_most)
				continue;
			record_points();
			kill_at_each_point(S, full);
			kill_at_each_point(D, full);
		}
	}
}

static void test_points(void)
{
	const char *full = getenv("PRMIG_FULL");

	pair_start();
	if (full && full[0] == '1') {
		tell_stories(true);
		fake_quirks_lio(&quirks);
		quirks.register_not_ready = false;
		tell_stories(true);
	} else {
		tell_stories(false);
	}
	CHECK_NOTE("");
	CHECK(pair_stop());
	printf("%u points, %u runs, killed %u times; Abort was forced %u times\n", points_tried,
	       runs, kills, forced);
	CHECK_INT(kills, runs);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
#ifdef PRMIG_POINTS
	CHECK_RUN(test_points);
	return check_summary();
#else
	(void)test_points;
	printf("skipped: built without PRMIG_POINTS\n");
	return CHECK_EXIT_SKIPPED;
#endif
}
