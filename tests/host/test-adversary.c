/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another initiator comes in at a named point of Export, Import, Abort or Release, while the daemon stands still there: it preempts,
 * clears, takes the reservation, or resets the LUN. The guest's key that it has removed stays removed, whatever is called afterwards;
 * what it has not removed is where it belongs. By default each point once; PRMIG_FULL=1: each with each adversary, in each row.
 */
#include "check.h"
#include "pair.h"

#include <pthread.h>
#include <unistd.h>

#define STOP_MS 20000
#define S PAIR_SOURCE
#define D PAIR_DESTINATION

struct step {
	unsigned int side;
	const char *method;
};

static const struct step stories[][5] = {
	{{S, "Export"}, {D, "Import"}, {S, "Release"}, {0}},
	{{S, "Export"}, {S, "Abort"}, {0}},
	{{S, "Export"}, {D, "Import"}, {D, "Abort"}, {S, "Abort"}, {0}},
};
#define STORIES 3

enum adversary { PREEMPTS, PREEMPTS_AND_ABORTS, CLEARS, REGISTERS, RESETS, ADVERSARIES };
static const char *const adversary_names[] = {"preempts", "preempts and aborts", "clears",
					      "registers its own key again", "resets the LUN"};

static const struct pair_row *row;
static char line[BUS_STATE_MAX], note[256];
static unsigned int runs, fences;

static void come_in(enum adversary adversary)
{
	uint8_t type = row->type ? row->type : 5;

	switch (adversary) {
	case PREEMPTS:
		pair_stranger(PAIR_PREEMPT, type, PAIR_STRANGER_KEY, PAIR_KEY);
		break;
	case PREEMPTS_AND_ABORTS:
		pair_stranger(PAIR_PREEMPT_AND_ABORT, type, PAIR_STRANGER_KEY, PAIR_KEY);
		break;
	case CLEARS:
		pair_stranger(PAIR_CLEAR, 0, PAIR_STRANGER_KEY, 0);
		pair_stranger(PAIR_REGISTER, 0, 0, PAIR_STRANGER_KEY);
		break;
	case REGISTERS:
		pair_stranger(PAIR_REGISTER, 0, PAIR_STRANGER_KEY, PAIR_STRANGER_KEY);
		break;
	case RESETS:
		fake_lun_reset(pair.lun);
		break;
	case ADVERSARIES:
		break;
	}
}

static bool call(const struct step *step)
{
	struct bus_reply reply;

	/* The guest has arrived, and Abort there is refused from now on. */
	if (!strcmp(step->method, "Release"))
		pair_write(D, 5000);
	pair_call(step->side, step->method, line, false, &reply);
	if (reply.ok && reply.state[0])
		memcpy(line, reply.state, sizeof(line));
	return reply.ok;
}

/* Release says that the guest runs at the destination: not after an Import that was refused. */
static void *play(void *user)
{
	const struct step *step;
	bool done = true;

	line[0] = '\0';
	for (step = user; step->method; step++)
		if (done || strcmp(step->method, "Release") != 0)
			done = call(step);
	return NULL;
}

/* All that may be called now, in the order of an orchestrator that gives up, and of one that does not. */
static void call_everything(void)
{
	static const struct step steps[] = {{D, "Import"}, {S, "Export"}, {D, "Import"},
					    {D, "Abort"},  {S, "Abort"},  {D, "Abort"},
					    {S, "Resync"}, {D, "Resync"}};
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		call(&steps[i]);
}

static void check_end(enum adversary adversary)
{
	bool removes = adversary <= CLEARS && row->row > 1;
	struct fake_monitor monitor;
	struct fake_state state;

	fake_lun_get_state(pair.lun, &state);
	fake_lun_get_monitor(pair.lun, &monitor);
	CHECK_INT(state.nexus[PAIR_STRANGER].key, PAIR_STRANGER_KEY);
	if (adversary != CLEARS)
		CHECK_INT(monitor.gaps, 0);
	if (removes) {
		fences++;
		CHECK_INT(fake_lun_count_key(pair.lun, PAIR_KEY), 0);
		return;
	}
	CHECK(state.nexus[S].key == PAIR_KEY || state.nexus[D].key == PAIR_KEY);
	CHECK_INT(state.held, row->type != 0);
	if (row->row == 3)
		CHECK(state.holder == S || state.holder == D);
}

static void run(size_t story, unsigned int side, const char *point, enum adversary adversary)
{
	pthread_t thread;
	bool stopped;

	snprintf(note, sizeof(note), "%s, story %zu, at %s of the %s another %s", row->name, story,
		 point, side == S ? "source" : "destination", adversary_names[adversary]);
	CHECK_NOTE(note);
	runs++;
	if (!CHECK(pair_set_up(row, NULL, "")) || !CHECK(pair_arm(side, point)))
		return;
	pthread_create(&thread, NULL, play, (void *)stories[story]);
	stopped = CHECK(machine_wait_stopped(pair.machine[side], STOP_MS));
	pair_arm(side, NULL);
	if (stopped) {
		come_in(adversary);
		machine_continue(pair.machine[side]);
	}
	/* One that stopped too late must not stand still for good. */
	while (pthread_tryjoin_np(thread, NULL) != 0) {
		machine_continue(pair.machine[side]);
		usleep(10000);
	}
	check_end(adversary);
	call_everything();
	check_end(adversary);
}

static void at_each_point(size_t story, unsigned int side, bool full)
{
	enum adversary adversary;
	size_t i;

	for (i = 0; i < pair_points[side].count; i++) {
		if (!full && pair_point_tried(pair_points[side].names[i]))
			continue;
		for (adversary = PREEMPTS; adversary < ADVERSARIES; adversary++)
			if (full || adversary == runs % ADVERSARIES) {
				run(story, side, pair_points[side].names[i], adversary);
				if (!full)
					break;
			}
	}
}

static void test_points(void)
{
	const char *text = getenv("PRMIG_FULL");
	bool full = text && text[0] == '1';
	size_t i, story;

	pair.stops = true;
	pair_start();
	for (i = 0; i < (full ? PAIR_ROWS : 3); i++) {
		for (story = 0; story < STORIES; story++) {
			row = &pair_rows[i];
			if (row->row == 1)
				continue;
			CHECK(pair_set_up(row, NULL, ""));
			pair_read_points(S);
			pair_read_points(D);
			play((void *)stories[story]);
			pair_read_points(S);
			pair_read_points(D);
			at_each_point(story, S, full);
			at_each_point(story, D, full);
		}
	}
	CHECK_NOTE("");
	CHECK(pair_stop());
	printf("%u runs, %u looks at a fenced key\n", runs, fences);
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
