/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest with two backstores on one LUN, each a nexus of its own, with one key: its group moves whole, over D-Bus, there and back, aborted, and with
 * kill -9 at each named point on either host. By default each point once; PRMIG_FULL=1: each time that it is reached, both ways.
 */
#include "check.h"
#include "pair.h"

#include <unistd.h>

#define S PAIR_SOURCE
#define D PAIR_DESTINATION
#define GROUP "vm"
#define SECOND "vm2"
#define DEATH_MS 10000
#define SETTLE_MS 20000
#define ROUNDS 6
#define STEPS_MAX 5

struct step {
	unsigned int side;
	const char *method;
};

static const struct story {
	const char *name;
	struct step steps[STEPS_MAX];
	size_t count;
} stories[] = {
	{"handed over", {{S, "Export"}, {D, "Import"}, {S, "Release"}}, 3},
	{"aborted before Import", {{S, "Export"}, {S, "Abort"}}, 2},
	{"aborted after Import",
	 {{S, "Export"}, {D, "Import"}, {D, "Abort"}, {S, "Abort"}, {D, "Abort"}},
	 5},
};
#define STORIES (sizeof(stories) / sizeof(stories[0]))

static const struct pair_row *row;
static const struct story *story;
static char line[BUS_STATE_MAX], note[256];
static unsigned int points_tried, kills, forced;

static bool call(unsigned int side, const char *method, bool force, struct bus_reply *reply)
{
	struct bus_options options = {.force = force};

	bus_call_group(machine_bus(pair.machine[side]), GROUP, method, line, &options, reply);
	if (reply->ok && reply->state[0])
		memcpy(line, reply->state, sizeof(line));
	return reply->ok;
}

static uint8_t second_execute(unsigned int side, struct machine_io *io)
{
	do {
		if (!machine_execute(pair.machine[side], io))
			return PAIR_UNANSWERED;
	} while (io->status == HOST_CHECK_CONDITION && io->sense >> 16 == 6);
	return io->status;
}

static uint8_t second_register(void)
{
	struct machine_io io = {.name = SECOND, .direction = HOST_OUT, .data_len = 24};

	pair_build(PAIR_REGISTER, 0, 0, PAIR_KEY, io.cdb, io.data);
	return second_execute(S, &io);
}

static uint8_t second_write(unsigned int side)
{
	struct machine_io io = {.name = SECOND,
				.cdb = {0x2a, [8] = 1},
				.direction = HOST_OUT,
				.data_len = 512,
				.timeout_ms = 5000};

	return second_execute(side, &io);
}

static bool add(unsigned int side, const char *name, const char *cfgstring)
{
	machine_remove(pair.machine[side], name, HOST_NOW);
	return machine_add(pair.machine[side], name, cfgstring);
}

static bool set_up(void)
{
	static const char *const cfgstrings[2][2] = {
		{"prmig//dev/fake/0/0;group=" GROUP, "prmig//dev/fake/0/4;group=" GROUP},
		{"prmig//dev/fake/0/1;incoming=on;group=" GROUP,
		 "prmig//dev/fake/0/5;incoming=on;group=" GROUP}};
	unsigned int side;
	char path[256];

	line[0] = '\0';
	for (side = 0; side < 2; side++) {
		machine_remove(pair.machine[side], SECOND, HOST_NOW);
		snprintf(path, sizeof(path), "%s/var/lib/prmig/nexus/" SECOND,
			 machine_root(pair.machine[side]));
		unlink(path);
	}
	if (!pair_set_up(row, NULL, ""))
		return false;
	for (side = 0; side < 2; side++)
		if (!add(side, PAIR_NAME, cfgstrings[side][0]) ||
		    !add(side, SECOND, cfgstrings[side][1]))
			return false;
	if (row->row > 1 && second_register() != HOST_GOOD)
		return false;
	fake_lun_reset_monitor(pair.lun);
	return true;
}

static void check_at(unsigned int side)
{
	struct fake_state state;

	CHECK(pair_is_at(row, side));
	fake_lun_get_state(pair.lun, &state);
	CHECK_INT(state.nexus[side == S ? 4 : 5].key, PAIR_KEY);
	CHECK_INT(state.nexus[side == S ? 5 : 4].key, 0);
	CHECK_INT(second_write(side), HOST_GOOD);
}

/* Returns the step that a machine died in, or the story's length. */
static size_t play(void)
{
	struct bus_reply reply;
	size_t at;

	for (at = 0; at < story->count; at++) {
		const struct step *step = &story->steps[at];
		bool died, holds = step->side == D && !strcmp(step->method, "Abort") && at == 2;

		call(step->side, step->method, false, &reply);
		/* What has been imported has moved the generation: the destination has said that it holds. */
		if (!reply.ok && step->side == S && !strcmp(step->method, "Abort") && at == 3 &&
		    !strcmp(reply.error, "WrongState"))
			call(step->side, step->method, true, &reply);
		died = !reply.ok &&
		       machine_wait_death(pair.machine[step->side],
					  strstr(reply.error, "NoReply") ? DEATH_MS : 0);
		if (died)
			return at;
		if (holds && row->row == 3 ? !CHECK_STR(reply.error, "WrongState")
					   : !CHECK(reply.ok))
			printf("%s: %s: %s\n", step->method, reply.error, reply.message);
	}
	return at;
}

static void finish_by_import(void)
{
	struct bus_reply imported = {0}, exported = {0}, reply;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		if (line[0] && call(D, "Import", false, &imported))
			break;
		call(S, "Export", false, &exported);
	}
	if (!CHECK(imported.ok))
		printf("  Import: %s %s\n  Export: %s %s\n", imported.error, imported.message,
		       exported.error, exported.message);
	if (!CHECK(call(S, "Release", true, &reply)))
		printf("  Release: %s %s\n", reply.error, reply.message);
}

static void finish_by_abort(void)
{
	struct bus_reply here, reply;

	call(D, "Abort", false, &reply);
	if (!call(S, "Abort", false, &here) && !strcmp(here.error, "WrongState")) {
		forced++;
		call(S, "Abort", true, &here);
	}
	if (!CHECK(here.ok))
		printf("  Abort: %s %s\n", here.error, here.message);
	CHECK(call(D, "Abort", false, &reply));
}

static void run(unsigned int side, const char *point, bool forward)
{
	size_t at;

	snprintf(note, sizeof(note), "%s, %s, killed at %s of the %s, then %s", row->name,
		 story->name, point, side == S ? "source" : "destination",
		 forward ? "Import" : "Abort");
	CHECK_NOTE(note);
	if (!CHECK(set_up()) || !CHECK(pair_arm(side, point)))
		return;
	at = play();
	if (!CHECK(at < story->count))
		return;
	kills++;
	if (!CHECK(pair_restart(side)) ||
	    !CHECK(bus_wait_property(machine_bus(pair.machine[side]), SECOND, "Name",
				     "'" SECOND "'", SETTLE_MS)))
		return;
	/* The guest has arrived. */
	forward |= !strcmp(story->steps[at].method, "Release");
	if (forward)
		finish_by_import();
	else
		finish_by_abort();
	check_at(forward ? D : S);
}

static void tell(void)
{
	char path[PAIR_PATH_MAX];
	unsigned int side;

	snprintf(note, sizeof(note), "%s, %s", row->name, story->name);
	CHECK_NOTE(note);
	CHECK(set_up());
	for (side = 0; side < 2; side++) {
		pair_points_path(side, path);
		unlink(path);
	}
	CHECK_INT(play(), story->count);
	pair_read_points(S);
	pair_read_points(D);
	check_at(story == &stories[0] ? D : S);
}

static void kill_at_each_point(unsigned int side, bool full)
{
	char point[PAIR_POINT_MAX + 16];
	size_t i, j, skip;

	for (i = 0; i < pair_points[side].count; i++) {
		for (j = skip = 0; j < i; j++)
			skip += !strcmp(pair_points[side].names[j], pair_points[side].names[i]);
		if (!full && pair_point_tried(pair_points[side].names[i]))
			continue;
		/* In the short run the last time, when those that are led are at it. */
		for (j = i + 1; !full && j < pair_points[side].count; j++)
			skip += !strcmp(pair_points[side].names[j], pair_points[side].names[i]);
		snprintf(point, sizeof(point), "%s:%zu", pair_points[side].names[i], skip);
		points_tried++;
		if (full || points_tried % 2)
			run(side, point, true);
		if (full || points_tried % 2 == 0)
			run(side, point, false);
	}
}

static void test_siblings(void)
{
	const char *text = getenv("PRMIG_FULL");
	bool full = text && text[0] == '1';
	size_t i, j;

	pair_start();
	for (i = 0; i < 3; i++)
		for (j = 0; j < STORIES; j++) {
			row = &pair_rows[i];
			story = &stories[j];
			tell();
			if (!full && i == 2)
				continue;
			kill_at_each_point(S, full);
			kill_at_each_point(D, full);
		}
	CHECK_NOTE("");
	CHECK(pair_stop());
	printf("%u points, killed %u times; Abort was forced %u times\n", points_tried, kills,
	       forced);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
#ifdef PRMIG_POINTS
	CHECK_RUN(test_siblings);
	return check_summary();
#else
	(void)test_siblings;
	printf("skipped: built without PRMIG_POINTS\n");
	return CHECK_EXIT_SKIPPED;
#endif
}
