/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill -9 at every event of every operation (each named point, each command sent and answered, each save), on every row and kind of LUN;
 * then a new start, and the end that an orchestrator makes of it, forwards or backwards.
 */
#include <limits.h>
#include <stdlib.h>

#include "unit/handover-checks.h"

static unsigned int runs, kills, second_kills, forced, turned, full_disks;
static unsigned int reached[RECORD_STEP_COUNT][HANDOVER_ANSWERED + 1];

/*
 * The default run goes through a matrix of runs in steps of 1 to 15 events; with PRMIG_FULL=1, and where all is set, event by
 * event.
 */
static unsigned int next(unsigned int event, bool all)
{
	static unsigned int steps;
	const char *full = getenv("PRMIG_FULL");

	return event + (all || (full != NULL && full[0] == '1') ? 1 : 1 + steps++ * 7 % 15);
}

static void note_at(enum world_op op, unsigned int event, const char *how)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s, %u siblings%s, %s, %s, event %u (%s %d), %s",
		 world.row->name, world.siblings, world_siblings.own_keys ? " with own keys" : "",
		 world_kind_names[world.kind], world_op_names[op], event,
		 record_step_name(world.acted_step), world.acted_moment, how);
	CHECK_NOTE(text);
}

/* The guest belongs to the source where Release has not ended there; else an Abort makes no sense any more. */
static bool may_go_back(enum world_op op)
{
	for (size_t i = 0; op == WORLD_RELEASE && i < world.source_host.count; i++) {
		const struct record *record = &world.source_host.sides[i]->record;

		if (record->state != NEXUS_EXPORTED ||
		    record->step == RECORD_STEP_RELEASE_UNREGISTER)
			return false;
	}
	return true;
}

static bool imported_back(enum world_op op)
{
	return op == WORLD_IMPORT_BACK;
}

/* The guest was at the destination, exported there, and comes back to the source. */
static enum nexus_error finish_back_import(bool forward)
{
	struct side *s = &world.source, *d = &world.destination;
	enum nexus_error error = NEXUS_OK;

	for (int i = 0; forward && i < 6; i++) {
		error = world_import(s, world.line);
		if (error == NEXUS_OK)
			return world_release(d, true);
		if (error == NEXUS_ERROR_STALE)
			world_export(d, world.line);
	}
	if (forward)
		return error;
	world_abort(s, d->record.out.id, false);
	error = world_abort(d, "", false);
	if (error == NEXUS_ERROR_WRONG_STATE) {
		world.forced++;
		error = world_abort(d, "", true);
	}
	world_abort(s, d->record.out.id, false);
	/* The older hand-over of the source ends now. */
	world_release(s, true);
	return error;
}

static void finish(enum world_op op, bool forward, unsigned int event)
{
	struct side *end = forward ? &world.destination : &world.source;
	enum nexus_error error;

	if (!forward && !may_go_back(op))
		return;
	/* Abort of a group has no id, by which the two hand-overs of that nexus would be told apart. */
	if (imported_back(op) && world.siblings > 0 &&
	    (!forward || (world_siblings.own_keys && world.row->row == 3)))
		return;
	if (imported_back(op)) {
		error = finish_back_import(forward);
		end = forward ? &world.source : &world.destination;
	} else {
		error = forward ? world_forward() : world_back();
		if (forward && error == NEXUS_ERROR_WRONG_STATE && world.kind == WORLD_TGT &&
		    world.source.record.take_back_sent) {
			/* No READ FULL STATUS: only Abort can end an Abort that may have taken effect. */
			turned++;
			end = &world.source;
			error = world_back();
		}
	}
	/* What has taken the reservation is not exported once more, and without that the other key's line stays Stale. */
	if (forward && !imported_back(op) && world_siblings.own_keys && world.row->row == 3 &&
	    (error == NEXUS_ERROR_WRONG_STATE || error == NEXUS_ERROR_STALE)) {
		turned++;
		end = &world.source;
		error = world_back();
	}
	forced += world.forced;
	note_at(op, event, forward ? "finished by Import" : "finished by Abort");
	if (error != NEXUS_OK)
		check_report(__FILE__, __LINE__, "not finished: %d %s / %s", error,
			     world.source.message, world.destination.message);
	world_check_at(end);
	world_check_invariants(0, true);
}

/* False: op has no such event. */
static bool kill_once(const struct world_row *row, enum world_kind kind, enum world_op op,
		      unsigned int event, unsigned int second, bool forward, bool *ret_second)
{
	bool killed = false;

	*ret_second = false;
	world_set_up(row, kind);
	if (!world_prepare(op)) {
		world_tear_down();
		return false;
	}
	world.act = world_kill;
	world.act_at = event;
	world_run(op, &killed);
	if (killed) {
		bool again;

		runs++;
		kills++;
		reached[world.acted_step][world.acted_moment]++;
		again = second != UINT_MAX && world_killed_settling(world_side(op), second);
		second_kills += again;
		*ret_second = again;
		if (second == UINT_MAX || again) {
			CHECK_INT(world_restart(world_side(op)), NEXUS_OK);
			finish(op, forward, event);
		}
	}
	world_tear_down();
	return killed;
}

static bool in_short_run(int kind, size_t row)
{
	const char *full = getenv("PRMIG_FULL");

	return (full != NULL && full[0] == '1') ||
	       ((kind == WORLD_LIO || kind == WORLD_NO_STRANGER ||
		 (kind == WORLD_TGT && world_siblings.own_keys)) &&
		(row == 1 || row > 5));
}

static void kill_in_world(void)
{
	bool second;

	for (int kind = 0; kind < WORLD_KINDS; kind++)
		for (size_t i = 0; i < world_row_count; i++)
			for (int op = 0; op < WORLD_OPS; op++)
				for (int forward = 0; forward < 2; forward++)
					for (unsigned int event = 0;
					     (world_siblings.count == 0 || in_short_run(kind, i)) &&
					     kill_once(&world_rows[i], kind, op, event, UINT_MAX,
						       forward, &second);)
						event = next(event,
							     world_siblings.count == 0 &&
								     kind == WORLD_STANDARD &&
								     (i == 1 || i == 6 || i == 8));
}

static void kill_at_every_event(void)
{
	kill_in_world();
}

/* The guest has several nexuses on the LUN, with its key or each with its own, and the group moves whole. */
static void kill_with_siblings(void)
{
	static const struct world_siblings variants[] = {{1, false}, {2, false}, {1, true}};

	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		unsigned int before = kills;

		world_siblings = variants[i];
		kill_in_world();
		printf("%u siblings%s: %u kills\n", world_siblings.count,
		       world_siblings.own_keys ? " with keys of their own" : "", kills - before);
	}
	world_siblings = (struct world_siblings){0};
}

/* The guest at the destination has taken another key: what Abort has registered at the source has to go again. */
static void kill_while_giving_up(void)
{
	bool killed = true;

	for (unsigned int event = 0; killed; event++) {
		struct fake_state state;
		enum nexus_error error;

		world_set_up(&world_rows[6], WORLD_STANDARD);
		world_prepare(WORLD_ABORT_TAKE_BACK);
		side_guest(&world.destination, PR_OUT_REGISTER, KEY_S, KEY_S + 1, 0);
		world.act = world_kill;
		world.act_at = event;
		error = world_run(WORLD_ABORT_TAKE_BACK, &killed);
		note_at(WORLD_ABORT_TAKE_BACK, event, "the key is another now");
		if (killed) {
			runs++;
			kills++;
			reached[world.acted_step][world.acted_moment]++;
			CHECK_INT(world_restart(&world.source), NEXUS_OK);
			error = world.source.record.state == NEXUS_EXPORTED
					? world_abort(&world.source, "", false)
					: NEXUS_ERROR_FENCED;
		}
		CHECK_INT(error, NEXUS_ERROR_FENCED);
		fake_lun_get_state(world.lun, &state);
		CHECK_INT(state.nexus[SOURCE].key, 0);
		CHECK_INT(state.nexus[DESTINATION].key, KEY_S + 1);
		CHECK_INT(state.holder, DESTINATION);
		world_check_invariants(0, true);
		world_tear_down();
	}
}

static void killed_at_point(struct side *side, enum record_step step)
{
	jmp_buf killed;

	side->at = side_kill;
	side->at_step = step;
	side->at_moment = HANDOVER_ANSWERED;
	side->at_skip = 0;
	side->killed = &killed;
	if (setjmp(killed) == 0) {
		if (side == &world.destination)
			world_import(side, world.line);
		else
			world_abort(side, "", false);
		check_report(__FILE__, __LINE__, "not killed at %s", record_step_name(step));
	}
	CHECK_INT(world_restart(side), NEXUS_OK);
}

/* Both were killed, each behind its own step: whoever goes on first has it, and the other does not open. */
static void killed_on_both_sides(void)
{
	for (int import_first = 0; import_first < 2; import_first++) {
		struct side *s = &world.source, *d = &world.destination;

		world_set_up(&world_rows[6], WORLD_STANDARD);
		world_prepare(WORLD_IMPORT);
		killed_at_point(d, RECORD_STEP_IMPORT_PREEMPT);
		/* The kill has taken a REGISTER more, and with it the exact generation. */
		s->record.out.generation++;
		killed_at_point(s, RECORD_STEP_ABORT_REGISTER);
		CHECK_INT(fake_lun_count_key(world.lun, KEY_S), 2);
		CHECK_NOTE(import_first ? "Import first" : "Abort first");
		if (import_first) {
			CHECK_INT(world_import(d, world.line), NEXUS_OK);
			CHECK_INT(world_abort(s, "", false), NEXUS_ERROR_WRONG_STATE);
			CHECK(!s->gate_open);
			CHECK_INT(world_release(s, false), NEXUS_OK);
			world_check_at(d);
		} else {
			CHECK_INT(world_abort(d, "", false), NEXUS_ERROR_WRONG_STATE);
			CHECK_INT(world_abort(s, "", false), NEXUS_OK);
			CHECK_INT(world_import(d, world.line), NEXUS_ERROR_STALE);
			world_check_at(s);
		}
		world_check_invariants(0, true);
		world_tear_down();
	}
}

/* Killed once more while what the first kill left is settled. */
static void kill_while_settling(void)
{
	static const size_t rows[] = {1, 6, 8};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int op = 0; op < WORLD_OPS; op++) {
			bool any = true;

			for (unsigned int event = 0; any; event = next(event, false)) {
				bool again = true;

				any = false;
				for (unsigned int second = 0; again; second++)
					for (int forward = 0; forward < 2; forward++)
						any |= kill_once(&world_rows[rows[i]],
								 WORLD_STANDARD, op, event, second,
								 forward, &again);
			}
		}
}

static void disk_fills(struct side *side, enum side_event event)
{
	(void)event;
	side->disk_full = true;
}

/* The disk is full from some event on: the operation fails or not, nothing is sent that is not journalled, and all can be finished. */
static void disk_full_at_every_event(void)
{
	for (int kind = 0; kind < WORLD_KINDS; kind++)
		for (size_t i = 0; i < world_row_count; i++)
			for (int op = 0; op < WORLD_OPS; op++)
				for (int how = 0; how < 4; how++)
					for (unsigned int event = 0; event < 200;
					     event = next(event, false)) {
						struct side *side = world_side(op);
						bool killed, filled;

						world_set_up(&world_rows[i], kind);
						if (!world_prepare(op)) {
							world_tear_down();
							break;
						}
						world.act = disk_fills;
						world.act_at = event;
						world_run(op, &killed);
						filled = side->disk_full;
						side->disk_full = false;
						if (filled) {
							runs++;
							full_disks++;
							/* With or without a kill before there is room again. */
							if (how & 2)
								world_restart(side);
							finish(op, how & 1, event);
						}
						world_tear_down();
						if (!filled)
							break;
					}
}

/* Every step of Export, Import, Release and Abort that a kill can meet, at each moment. */
static void every_point_was_reached(void)
{
	static const enum record_step not_here[] = {
		RECORD_STEP_NONE,
		RECORD_STEP_FORGET_UNREGISTER,
		RECORD_STEP_GUEST_PROBE,
		RECORD_STEP_RESYNC_PROBE,
		/* Of QEMU, Prepare and REGISTER AND MOVE, which have their own tests. */
		RECORD_STEP_CONFIRM_BARRIER,
		RECORD_STEP_PREPARE_REGISTER,
		RECORD_STEP_PREPARE_UNREGISTER,
		RECORD_STEP_EXPORT_MOVE,
		RECORD_STEP_ABORT_MOVE,
		/* test-handover-whole.c */
		RECORD_STEP_EXPORT_LEAVE,
		RECORD_STEP_EXPORT_LEAVE_AGAIN,
		RECORD_STEP_IMPORT_ARRIVE,
		RECORD_STEP_ABORT_COME_BACK,
		RECORD_STEP_ABORT_HAND_BACK,
		RECORD_STEP_RELEASE_LEFT,
	};
	unsigned int points = 0;

	for (int step = 0; step < RECORD_STEP_COUNT; step++) {
		bool due = true;

		for (size_t i = 0; i < sizeof(not_here) / sizeof(not_here[0]); i++)
			due &= not_here[i] != (enum record_step)step;
		for (int moment = 0; due && moment <= HANDOVER_ANSWERED; moment++) {
			points++;
			if (reached[step][moment] == 0)
				check_report(__FILE__, __LINE__, "never killed at %s, moment %d",
					     record_step_name(step), moment);
		}
	}
	printf("%u points, %u runs, %u kills (%u of them twice), %u full disks, %u Aborts with "
	       "force, %u that only Abort could end\n",
	       points, runs, kills, second_kills, full_disks, forced, turned);
}

int main(void)
{
	CHECK_RUN(kill_at_every_event);
	CHECK_RUN(kill_with_siblings);
	CHECK_RUN(kill_while_giving_up);
	CHECK_RUN(killed_on_both_sides);
	CHECK_RUN(kill_while_settling);
	CHECK_RUN(disk_full_at_every_event);
	CHECK_RUN(every_point_was_reached);
	return check_summary();
}
