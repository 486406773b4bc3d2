/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-over of a nexus that moves whole, over the marker as the iscsi backend has it: no key of the guest's is touched on any row, a
 * kill at every event of every operation leaves what Import again or Abort (never with force) ends, and late, repeated and stale calls change nothing.
 */
#include <limits.h>
#include <string.h>

#include "unit/handover-checks.h"
#include "unit/sides-whole.h"

static unsigned int reached[RECORD_STEP_COUNT][HANDOVER_ANSWERED + 1];
static unsigned int kills, full_disks;

static struct side *const s = &world.source, *const d = &world.destination;

static void set_up(const struct world_row *row, enum world_kind kind)
{
	world_whole = true;
	world_set_up(row, kind);
	fake_lun_reset_monitor(world.lun);
}

static uint64_t marker_key(void)
{
	struct fake_state state;

	fake_lun_get_state(world.lun, &state);
	return state.nexus[WHOLE_MARKER].key;
}

/* The guest's nexus is as it was on the LUN, and side has it. */
static void check_at(const struct side *side)
{
	const struct side *other = side == s ? d : s;
	uint64_t key = world.row->row > 1 ? KEY_S : 0;
	struct fake_state state;

	fake_lun_get_state(world.lun, &state);
	CHECK_INT(state.nexus[SOURCE].key, key);
	CHECK_INT(state.held, world.row->type != 0);
	CHECK_INT(state.type, world.row->type);
	if (world.row->row == 3)
		CHECK_INT(state.holder, SOURCE);
	CHECK_INT(side->record.state, NEXUS_ACTIVE);
	CHECK(side->gate_open && side->logged_in && !side->record.away);
	CHECK(!other->gate_open && !other->logged_in && other->record.away);
	CHECK_INT(side->record.key, key);
	CHECK_INT(side->record.holder, world.row->row >= 3);
	CHECK(!side->record.fenced);
	CHECK_INT(side->record.step, RECORD_STEP_NONE);
	CHECK_INT(s->misplaced + d->misplaced, 0);
	CHECK_INT(whole_target.stolen, 0);
	world_check_invariants(0, true);
}

static void check_fenced_at_source(void)
{
	CHECK_INT(s->record.state, NEXUS_ACTIVE);
	CHECK(s->record.fenced && s->gate_open && s->logged_in);
	CHECK(!d->gate_open && !d->logged_in);
	CHECK_INT(fake_lun_count_key(world.lun, KEY_S), 0);
	CHECK(!world.doors);
}

/* ---- every row, there and back ---- */

static void moves_on_every_row(void)
{
	for (int kind = 0; kind < WORLD_KINDS; kind++)
		for (size_t i = 0; i < world_row_count; i++) {
			if (kind == WORLD_NO_STRANGER && world_rows[i].type != 0 &&
			    !world_rows[i].source_holds)
				continue;
			set_up(&world_rows[i], kind);
			CHECK_NOTE(world_rows[i].name);
			CHECK_INT(side_check(d, ""), NEXUS_OK);
			CHECK_INT(side_export(s, world.line), NEXUS_OK);
			CHECK(!s->gate_open && !s->logged_in);
			CHECK_INT(side_check(d, world.line), NEXUS_OK);
			CHECK_INT(side_import(d, world.line), NEXUS_OK);
			CHECK_INT(side_import(d, world.line), NEXUS_OK);
			CHECK_INT(side_release(s, false), NEXUS_OK);
			check_at(d);
			CHECK_INT(marker_key(), 0);
			/* And back, onto the source that has been Released, and whose closed gate was written to. */
			s->written = true;
			CHECK_INT(side_export(d, world.line), NEXUS_OK);
			CHECK_INT(side_import(s, world.line), NEXUS_OK);
			CHECK_INT(side_release(d, false), NEXUS_OK);
			check_at(s);
			CHECK_INT(marker_key(), 0);
			/* And with the older hand-over not Released. */
			CHECK_INT(side_export(s, world.line), NEXUS_OK);
			CHECK_INT(side_import(d, world.line), NEXUS_OK);
			CHECK_INT(side_export(d, world.line), NEXUS_OK);
			CHECK_INT(side_import(s, world.line), NEXUS_OK);
			check_at(s);
			world_tear_down();
		}
}

/* What Abort ends without force, at each step. */
static void aborts_after_each_step(void)
{
	for (size_t i = 0; i < world_row_count; i++) {
		char late[NEXUS_STATE_LINE_MAX];

		set_up(&world_rows[i], WORLD_LIO);
		CHECK_NOTE(world_rows[i].name);
		CHECK_INT(side_export(s, world.line), NEXUS_OK);
		CHECK_INT(side_abort(s, false), NEXUS_OK);
		check_at(s);
		CHECK_INT(marker_key(), 0);
		/* The line is worth nothing any more, and the Import that comes late disturbs nobody. */
		CHECK_INT(side_check(d, world.line), NEXUS_ERROR_STALE);
		CHECK_INT(side_import(d, world.line), NEXUS_ERROR_STALE);
		check_at(s);
		CHECK_INT(side_export(s, late), NEXUS_OK);
		CHECK_INT(side_export(s, world.line), NEXUS_OK);
		CHECK_INT(side_import(d, late), NEXUS_ERROR_STALE);
		CHECK_INT(side_import(d, world.line), NEXUS_OK);
		/* Imported: the source does not come back before the destination has given it up. */
		CHECK_INT(side_abort(s, false), NEXUS_ERROR_WRONG_STATE);
		CHECK_INT(side_export(s, late), NEXUS_ERROR_WRONG_STATE);
		check_at(d);
		CHECK_INT(side_abort_id(d, d->record.in.id, false), NEXUS_OK);
		CHECK_INT(d->record.state, NEXUS_INCOMING);
		CHECK_INT(side_import(d, world.line), NEXUS_OK);
		check_at(d);
		CHECK_INT(side_abort_id(d, d->record.in.id, false), NEXUS_OK);
		CHECK_INT(side_abort(s, false), NEXUS_OK);
		check_at(s);
		CHECK_INT(marker_key(), 0);
		world_tear_down();
	}
}

static void release_only_after_import(void)
{
	set_up(&world_rows[6], WORLD_LIO);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK_INT(side_release(s, false), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(s->record.state, NEXUS_EXPORTED);
	CHECK_INT(side_import(d, world.line), NEXUS_OK);
	/* Whatever the guest has done at the destination meanwhile. */
	side_guest(d, PR_OUT_REGISTER, KEY_S, KEY_S + 1, 0);
	d->record.in_ran = true;
	CHECK_INT(side_abort(d, false), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(side_release(s, false), NEXUS_OK);
	CHECK_INT(side_release(s, false), NEXUS_OK);
	CHECK(!s->gate_open && s->record.away);
	CHECK_INT(side_export(s, world.line), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(side_abort(s, false), NEXUS_ERROR_WRONG_STATE);
	CHECK_CONTAINS(s->message, "not on this host");
	CHECK_INT(world_restart(s), NEXUS_OK);
	CHECK(!s->logged_in && !s->gate_open);
	CHECK_INT(whole_target.stolen, 0);
	world_tear_down();
}

static void another_registers(struct side *side, enum side_event event)
{
	if (event == SIDE_POINT && side->moment == HANDOVER_ANSWERED)
		side_stranger(side->lun, STRANGER, PR_OUT_REGISTER, KEY_X, KEY_X, 0, false);
}

/* Others of the group, above all, which leave at the same time: no generation is exact then, and none needs to be. */
static void moves_while_others_register(void)
{
	for (size_t i = 0; i < world_row_count; i++) {
		set_up(&world_rows[i], WORLD_LIO);
		s->every = d->every = another_registers;
		CHECK_INT(side_export(s, world.line), NEXUS_OK);
		CHECK_INT(side_import(d, world.line), NEXUS_OK);
		check_at(d);
		s->every = d->every = NULL;
		CHECK_INT(side_release(s, false), NEXUS_OK);
		world_tear_down();
	}
}

/* ---- fences, and a target that does not keep what it is told ---- */

static void fence_is_delivered(void)
{
	set_up(&world_rows[1], WORLD_LIO);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	side_stranger(world.lun, STRANGER, PR_OUT_PREEMPT, KEY_X, KEY_S, 5, false);
	CHECK_INT(side_check(d, world.line), NEXUS_ERROR_FENCED);
	CHECK_INT(side_import(d, world.line), NEXUS_ERROR_FENCED);
	CHECK(!d->gate_open && !d->logged_in);
	CHECK_INT(side_abort(s, false), NEXUS_ERROR_FENCED);
	check_fenced_at_source();
	/* Nor after the Import. */
	side_guest(s, PR_OUT_REGISTER, 0, KEY_S, 0);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK_INT(side_import(d, world.line), NEXUS_OK);
	side_stranger(world.lun, STRANGER, PR_OUT_PREEMPT, KEY_X, KEY_S, 5, false);
	side_resync(d);
	CHECK(d->record.fenced && d->gate_open);
	CHECK_INT(side_abort(d, false), NEXUS_OK);
	CHECK_INT(side_abort(s, false), NEXUS_ERROR_FENCED);
	check_fenced_at_source();
	world_tear_down();
}

static void target_that_forgets(void)
{
	for (size_t i = 0; i < world_row_count; i++) {
		set_up(&world_rows[i], WORLD_STANDARD);
		whole_target.forgets = true;
		CHECK_INT(side_export(s, world.line), NEXUS_ERROR_UNSUPPORTED);
		CHECK_CONTAINS(s->message, "forgets a registration");
		check_at(s);
		CHECK_INT(marker_key(), 0);
		world_tear_down();
	}
}

/* The target keeps the marker's key and forgets the guest's: found out before the guest runs. */
static void key_gone_on_arrival(void)
{
	set_up(&world_rows[1], WORLD_STANDARD);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	side_stranger(world.lun, SOURCE, PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY, 0, 0, 0, false);
	CHECK_INT(side_import(d, world.line), NEXUS_ERROR_FENCED);
	CHECK(!d->gate_open && !d->logged_in);
	CHECK_INT(side_abort(s, false), NEXUS_ERROR_FENCED);
	check_fenced_at_source();
	world_tear_down();
}

/* A peer removes the marker's key: nothing moves without force, and nobody opens. */
static void marker_removed(void)
{
	set_up(&world_rows[1], WORLD_LIO);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	side_stranger(world.lun, STRANGER, PR_OUT_PREEMPT, KEY_X, marker_key(), 5, false);
	CHECK_INT(marker_key(), 0);
	CHECK_INT(side_import(d, world.line), NEXUS_ERROR_STALE);
	CHECK_INT(side_export(s, world.line), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(side_release(s, false), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(side_abort(s, false), NEXUS_ERROR_WRONG_STATE);
	CHECK(!s->gate_open && !d->gate_open);
	CHECK_INT(side_abort(s, true), NEXUS_OK);
	check_at(s);
	world_tear_down();
}

/* ---- who may take what ---- */

static void both_or_neither_move_whole(void)
{
	char table[NEXUS_STATE_LINE_MAX];

	world_whole = false;
	world_set_up(&world_rows[6], WORLD_LIO);
	CHECK_INT(side_export(s, table), NEXUS_OK);
	world_tear_down();

	set_up(&world_rows[6], WORLD_LIO);
	CHECK_INT(side_check(d, table), NEXUS_ERROR_UNSUPPORTED);
	CHECK_INT(side_import(d, table), NEXUS_ERROR_UNSUPPORTED);
	CHECK_CONTAINS(d->message, "same definition");
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK(strncmp(world.line, "prmig=2.", 8) == 0);
	d->whole = d->record.away = false;
	CHECK_INT(side_check(d, world.line), NEXUS_ERROR_UNSUPPORTED);
	CHECK_INT(side_import(d, world.line), NEXUS_ERROR_UNSUPPORTED);
	CHECK_CONTAINS(d->message, "same definition");
	d->whole = d->record.away = true;
	CHECK_INT(side_prepare(d, table), NEXUS_ERROR_UNSUPPORTED);
	CHECK_INT(side_abort(s, false), NEXUS_OK);
	check_at(s);
	/* One in use is no destination. */
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	d->record.away = false;
	d->record.state = NEXUS_ACTIVE;
	CHECK_INT(side_import(d, world.line), NEXUS_ERROR_WRONG_STATE);
	CHECK_CONTAINS(d->message, "incoming=on");
	world_tear_down();
}

/* One line on two hosts: the one that comes second gets nothing. */
static void one_line_on_two_hosts(void)
{
	static struct side third;

	set_up(&world_rows[6], WORLD_LIO);
	side_init(&third, world.lun, SOURCE, "vm1", NEXUS_INCOMING);
	side_make_whole(&third, true);
	third.looks = 12;
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK_INT(side_import(d, world.line), NEXUS_OK);
	CHECK_INT(side_import(&third, world.line), NEXUS_ERROR_STALE);
	CHECK_INT(side_abort(&third, false), NEXUS_OK);
	CHECK(!third.gate_open && !third.logged_in);
	check_at(d);
	world_tear_down();
}

static void incoming_is_used_here(void)
{
	set_up(&world_rows[0], WORLD_LIO);
	CHECK_INT(side_abort(d, false), NEXUS_ERROR_WRONG_STATE);
	CHECK(!d->gate_open && !d->logged_in);
	/* Of a hand-over that is not known here there is nothing to give up. */
	CHECK_INT(side_abort(d, true), NEXUS_OK);
	CHECK(d->gate_open && d->logged_in);
	CHECK_INT(d->record.state, NEXUS_ACTIVE);
	world_tear_down();
}

/* ---- QEMU drives it ---- */

static void qemu_drives(void)
{
	set_up(&world_rows[6], WORLD_LIO);
	s->by_qemu = d->by_qemu = true;
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK_INT(side_guest_runs(s), NEXUS_OK);
	check_at(s);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK_INT(side_import(d, world.line), NEXUS_OK);
	CHECK(!d->gate_open);
	/* A program at the source writes: the nexus is elsewhere. */
	CHECK_INT(side_guest_runs(s), NEXUS_ERROR_WRONG_STATE);
	CHECK(!s->gate_open && !s->logged_in);
	CHECK_INT(side_saver_gone(s), NEXUS_OK);
	CHECK_INT(side_guest_runs(d), NEXUS_OK);
	check_at(d);
	CHECK_INT(side_export(d, world.line), NEXUS_OK);
	CHECK_INT(side_saver_gone(d), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(side_import(s, world.line), NEXUS_OK);
	/* The QEMU that loaded is gone before its guest ran. */
	CHECK_INT(side_loader_gone(s), NEXUS_OK);
	CHECK_INT(side_guest_runs(d), NEXUS_OK);
	check_at(d);
	world_tear_down();
}

/* ---- kills ---- */

static enum nexus_error finish_import_back(bool forward)
{
	enum nexus_error error = NEXUS_OK;

	if (!forward) {
		if (s->record.in.id[0] != '\0')
			side_abort_id(s, d->record.out.id, false);
		return side_abort(d, false);
	}
	for (int i = 0; i < 3; i++) {
		error = side_import(s, world.line);
		if (error == NEXUS_OK)
			return side_release(d, false);
		side_export(d, world.line);
	}
	return error;
}

static void finish(enum world_op op, bool forward)
{
	struct side *end = forward == (op != WORLD_IMPORT_BACK) ? d : s;
	enum nexus_error error;

	if (op == WORLD_IMPORT_BACK)
		error = finish_import_back(forward);
	else if (forward)
		error = world_forward();
	else if (s->record.state == NEXUS_ACTIVE && s->record.away)
		return; /* Released */
	else
		error = world_back();
	if (error != NEXUS_OK)
		check_report(__FILE__, __LINE__, "not finished: %d %s / %s", error, s->message,
			     d->message);
	CHECK_INT(world.forced, 0);
	check_at(end);
}

static bool kill_once(const struct world_row *row, enum world_op op, unsigned int event,
		      unsigned int second, bool forward, bool *ret_second)
{
	static char text[128];
	bool killed = false;

	*ret_second = false;
	set_up(row, WORLD_LIO);
	if (!world_prepare(op)) {
		world_tear_down();
		return false;
	}
	world.act = world_kill;
	world.act_at = event;
	world_run(op, &killed);
	snprintf(text, sizeof(text), "%s, %s, event %u and %u (%s %d), %s", row->name,
		 world_op_names[op], event, second, record_step_name(world.acted_step),
		 world.acted_moment, forward ? "forward" : "back");
	CHECK_NOTE(text);
	if (killed) {
		bool again = second != UINT_MAX && world_killed_settling(world_side(op), second);

		kills++;
		reached[world.acted_step][world.acted_moment]++;
		*ret_second = again;
		if (second == UINT_MAX || again) {
			CHECK_INT(world_restart(world_side(op)), NEXUS_OK);
			finish(op, forward);
		}
	}
	world_tear_down();
	return killed;
}

static void kill_at_every_event(void)
{
	static const size_t rows[] = {0, 1, 2, 6, 8};
	bool second;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int op = 0; op < WORLD_OPS; op++)
			for (int forward = 0; forward < 2; forward++)
				for (unsigned int event = 0;
				     kill_once(&world_rows[rows[i]], op, event, UINT_MAX, forward,
					       &second);
				     event++)
					;
}

static void kill_while_settling(void)
{
	for (int op = 0; op < WORLD_OPS; op++)
		for (int forward = 0; forward < 2; forward++) {
			bool killed = true;

			for (unsigned int event = 0; killed; event += 3) {
				bool again = true;

				for (unsigned int second = 0; killed && again; second += 2)
					killed = kill_once(&world_rows[6], op, event, second,
							   forward, &again);
			}
		}
}

static void disk_fills(struct side *side, enum side_event event)
{
	(void)event;
	side->disk_full = true;
}

static void disk_full_at_every_event(void)
{
	for (int op = 0; op < WORLD_OPS; op++)
		for (int how = 0; how < 4; how++)
			for (unsigned int event = 0; event < 200; event++) {
				struct side *side = world_side(op);
				bool killed, filled;

				set_up(&world_rows[6], WORLD_LIO);
				if (!world_prepare(op)) {
					world_tear_down();
					break;
				}
				world.act = disk_fills;
				world.act_at = event;
				world_run(op, &killed);
				CHECK_NOTE(world_op_names[op]);
				filled = side->disk_full;
				side->disk_full = false;
				if (filled) {
					full_disks++;
					if (how & 2)
						world_restart(side);
					finish(op, how & 1);
				}
				world_tear_down();
				if (!filled)
					break;
			}
}

static void every_point_was_reached(void)
{
	for (int step = RECORD_STEP_EXPORT_LEAVE; step < RECORD_STEP_COUNT; step++)
		for (int moment = 0; moment <= HANDOVER_ANSWERED; moment++)
			if (reached[step][moment] == 0)
				check_report(__FILE__, __LINE__, "never killed at %s, moment %d",
					     record_step_name(step), moment);
	printf("%u kills, %u full disks\n", kills, full_disks);
}

int main(void)
{
	CHECK_RUN(moves_on_every_row);
	CHECK_RUN(aborts_after_each_step);
	CHECK_RUN(release_only_after_import);
	CHECK_RUN(moves_while_others_register);
	CHECK_RUN(fence_is_delivered);
	CHECK_RUN(target_that_forgets);
	CHECK_RUN(key_gone_on_arrival);
	CHECK_RUN(marker_removed);
	CHECK_RUN(both_or_neither_move_whole);
	CHECK_RUN(one_line_on_two_hosts);
	CHECK_RUN(incoming_is_used_here);
	CHECK_RUN(qemu_drives);
	CHECK_RUN(kill_at_every_event);
	CHECK_RUN(kill_while_settling);
	CHECK_RUN(disk_full_at_every_event);
	CHECK_RUN(every_point_was_reached);
	return check_summary();
}
