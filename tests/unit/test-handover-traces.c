/* SPDX-License-Identifier: Apache-2.0 */
/* The traces that lost data under earlier wordings of the protocol, each by its number. */
#include "unit/handover-checks.h"

#define REGISTERED 1
#define HOLDER 6 /* type 5 */
#define ALL_REGISTRANTS 8

static struct side *s = &world.source, *d = &world.destination;
static struct fake_state state;

static void begin(size_t row)
{
	world_set_up(&world_rows[row], WORLD_STANDARD);
	CHECK_NOTE(world_rows[row].name);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
}

static void look(void)
{
	fake_lun_get_state(world.lun, &state);
}

static void end(bool stranger_stays)
{
	world_check_invariants(0, stranger_stays);
	world_tear_down();
}

static void preempt_k(void)
{
	CHECK_INT(side_stranger(world.lun, STRANGER, PR_OUT_PREEMPT, KEY_X, KEY_S, 5, false),
		  SCSI_GOOD);
}

static enum nexus_error during(struct side *side, enum record_step step,
			       enum handover_moment moment, void (*deed)(struct side *side),
			       enum nexus_error (*call)(void))
{
	enum nexus_error error;

	side->at = deed;
	side->at_step = step;
	side->at_moment = moment;
	side->at_skip = 0;
	error = call();
	side->at = NULL;
	return error;
}

static enum nexus_error import_there(void)
{
	return side_import(d, world.line);
}

static enum nexus_error abort_here(void)
{
	return side_abort(s, false);
}

static void abort_at_source(struct side *side)
{
	side->at = NULL;
	side_abort(s, false);
}

static void fence(struct side *side)
{
	side->at = NULL;
	preempt_k();
}

static void kill_during(struct side *side, enum record_step step, enum handover_moment moment,
			enum nexus_error (*call)(void))
{
	jmp_buf killed;

	side->killed = &killed;
	if (setjmp(killed) == 0)
		during(side, step, moment, side_kill, call);
	CHECK_INT(side_restart(side), NEXUS_OK);
}

static void trace_1_abort_after_import_counts_the_key(void)
{
	static const size_t rows[] = {REGISTERED, ALL_REGISTRANTS};

	for (size_t i = 0; i < 2; i++) {
		begin(rows[i]);
		CHECK_INT(import_there(), NEXUS_OK);
		CHECK_INT(abort_here(), NEXUS_ERROR_WRONG_STATE);
		CHECK(!s->gate_open && d->gate_open);
		end(true);
	}
}

/* At each of Import's points. */
static void trace_2_abort_while_import_is_between_its_steps(void)
{
	static const enum record_step steps[] = {RECORD_STEP_IMPORT_REGISTER,
						 RECORD_STEP_IMPORT_PREEMPT};

	for (size_t i = 0; i < 2; i++)
		for (int moment = 0; moment <= HANDOVER_ANSWERED; moment++) {
			bool taken_back;

			begin(HOLDER);
			during(d, steps[i], moment, abort_at_source, import_there);
			taken_back = s->gate_open;
			CHECK(taken_back);
			side_resync(d);
			CHECK(!d->gate_open && d->record.key == 0);
			CHECK(import_there() != NEXUS_OK);
			/* What it registered too late is kept for a while, behind its gate. */
			CHECK(!d->gate_open);
			d->clock_s += 61;
			side_resync(d);
			world_check_at(s);
			end(true);
		}
}

static void trace_3_an_unfinished_take_back_is_settled_first(void)
{
	begin(HOLDER);
	CHECK_INT(import_there(), NEXUS_OK);
	kill_during(s, RECORD_STEP_ABORT_REGISTER, HANDOVER_ANSWERED, abort_here);
	CHECK(s->record.take_back && !s->gate_open);
	CHECK_INT(abort_here(), NEXUS_OK);
	side_resync(d);
	world_check_at(s);
	end(true);
}

static void trace_4_a_fence_before_a_late_register(void)
{
	static const size_t rows[] = {REGISTERED, ALL_REGISTRANTS};

	for (size_t i = 0; i < 2; i++) {
		begin(rows[i]);
		CHECK_INT(during(d, RECORD_STEP_IMPORT_REGISTER, HANDOVER_JOURNALLED, fence,
				 import_there),
			  NEXUS_ERROR_FENCED);
		CHECK_INT(abort_here(), NEXUS_ERROR_FENCED);
		CHECK_INT(fake_lun_count_key(world.lun, KEY_S), 0);
		end(true);
	}
}

static void trace_5_the_holder_is_not_undone(void)
{
	begin(HOLDER);
	CHECK_INT(import_there(), NEXUS_OK);
	kill_during(s, RECORD_STEP_ABORT_TAKE_BACK, HANDOVER_ANSWERED, abort_here);
	CHECK_INT(abort_here(), NEXUS_OK);
	side_resync(d);
	world_check_at(s);
	end(true);

	begin(HOLDER);
	kill_during(d, RECORD_STEP_IMPORT_PREEMPT, HANDOVER_ANSWERED, import_there);
	CHECK_INT(import_there(), NEXUS_OK);
	CHECK_INT(side_release(s, false), NEXUS_OK);
	world_check_at(d);
	end(true);
}

static void lose_power(struct side *side)
{
	uint32_t generation;

	side->at = NULL;
	look();
	generation = state.generation;
	side_stranger(world.lun, STRANGER, PR_OUT_REGISTER, KEY_X, KEY_X, 0, true);
	fake_lun_power_loss(world.lun);
	for (look(); state.generation < generation; look())
		side_stranger(world.lun, STRANGER, PR_OUT_REGISTER, KEY_X, KEY_X, 0, true);
}

static void trace_6_power_loss_and_a_generation_that_comes_back(void)
{
	begin(HOLDER);
	CHECK_INT(during(d, RECORD_STEP_IMPORT_REGISTER, HANDOVER_JOURNALLED, lose_power,
			 import_there),
		  NEXUS_ERROR_STALE);
	CHECK(!d->gate_open);
	end(true);
	/* A line that is older than ten minutes, of any row. */
	for (size_t i = 0; i < world_row_count; i++) {
		begin(i);
		d->clock_s += 601;
		CHECK_INT(import_there(), NEXUS_ERROR_STALE);
		end(true);
	}
}

static void trace_7_a_late_import_after_abort(void)
{
	static const size_t rows[] = {REGISTERED, HOLDER, ALL_REGISTRANTS};

	for (size_t i = 0; i < 3; i++) {
		begin(rows[i]);
		CHECK_INT(abort_here(), NEXUS_OK);
		CHECK(import_there() != NEXUS_OK);
		CHECK(!d->gate_open);
		CHECK(import_there() != NEXUS_OK);
		CHECK(!d->gate_open);
		end(true);
	}
}

static void trace_8_export_again_after_import(void)
{
	char line[NEXUS_STATE_LINE_MAX];

	begin(HOLDER);
	CHECK_INT(import_there(), NEXUS_OK);
	CHECK_INT(side_export(s, line), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(side_resync(s), NEXUS_OK);
	CHECK(!s->record.fenced);
	end(true);
}

static void trace_9_the_last_registrant_stays_and_others_go(void)
{
	begin(ALL_REGISTRANTS);
	CHECK_INT(import_there(), NEXUS_OK);
	CHECK_INT(side_abort(d, false), NEXUS_OK);
	CHECK_INT(abort_here(), NEXUS_OK);
	world_check_at(s);
	end(true);

	world_set_up(&world_rows[ALL_REGISTRANTS], WORLD_NO_STRANGER);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK_INT(import_there(), NEXUS_OK);
	CHECK_INT(side_release(s, false), NEXUS_OK);
	CHECK_INT(side_abort(d, false), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(fake_lun_count_key(world.lun, KEY_S), 1);
	end(true);
}

static void trace_10_release_after_the_guest_has_gone_on(void)
{
	static const size_t rows[] = {REGISTERED, HOLDER, ALL_REGISTRANTS};

	for (size_t i = 0; i < 3; i++)
		for (int how = 0; how < 3; how++) {
			begin(rows[i]);
			CHECK_INT(import_there(), NEXUS_OK);
			if (how == 0)
				side_guest(d, PR_OUT_REGISTER, KEY_S, 0x6161, 0);
			else if (how == 1 && rows[i] != HOLDER)
				side_guest(d, PR_OUT_REGISTER, KEY_S, 0, 0);
			else
				preempt_k();
			CHECK_INT(side_release(s, true), NEXUS_OK);
			CHECK(s->gate_open && s->record.key == 0);
			end(true);
		}
}

static void trace_11_a_stranger_with_the_same_key(void)
{
	world_set_up(&world_rows[REGISTERED], WORLD_STANDARD);
	side_stranger(world.lun, NEWCOMER, PR_OUT_REGISTER, 0, KEY_S, 0, false);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK_INT(side_release(s, false), NEXUS_ERROR_WRONG_STATE);
	end(true);
	/* A peer fences, another takes key and reservation: as after an Import, but for the generation. */
	begin(HOLDER);
	preempt_k();
	side_stranger(world.lun, NEWCOMER, PR_OUT_REGISTER, 0, KEY_S + 1, 0, false);
	side_stranger(world.lun, NEWCOMER, PR_OUT_REGISTER, KEY_S + 1, KEY_S, 0, false);
	side_stranger(world.lun, NEWCOMER, PR_OUT_PREEMPT, KEY_S, KEY_X, 5, false);
	CHECK_INT(abort_here(), NEXUS_ERROR_WRONG_STATE);
	look();
	CHECK_INT(state.nexus[NEWCOMER].key, KEY_S);
	CHECK_INT(state.holder, NEWCOMER);
	end(false);
}

static void trace_12_the_guest_comes_back_with_a_new_key(void)
{
	begin(HOLDER);
	CHECK_INT(import_there(), NEXUS_OK);
	side_guest(d, PR_OUT_REGISTER, KEY_S, 0x6161, 0);
	CHECK_INT(side_export(d, world.line), NEXUS_OK);
	CHECK_INT(side_import(s, world.line), NEXUS_OK);
	CHECK_INT(s->record.key, 0x6161);
	CHECK_INT(side_release(d, false), NEXUS_OK);
	look();
	CHECK_INT(state.holder, SOURCE);
	end(true);
}

static void trace_13_a_program_writes_at_a_saved_source(void)
{
	world_set_up(&world_rows[HOLDER], WORLD_STANDARD);
	s->by_qemu = d->by_qemu = true;
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK_INT(import_there(), NEXUS_OK);
	CHECK_INT(side_guest_runs(d), NEXUS_OK);
	CHECK_INT(side_guest_runs(s), NEXUS_ERROR_WRONG_STATE);
	CHECK(d->gate_open && !s->gate_open);
	look();
	CHECK_INT(state.holder, DESTINATION);
	end(true);
}

static void trace_14_a_fence_just_before_the_register(void)
{
	for (int moment = 0; moment <= HANDOVER_ANSWERED; moment++) {
		begin(HOLDER);
		CHECK_INT(during(d, RECORD_STEP_IMPORT_REGISTER, moment, fence, import_there),
			  NEXUS_ERROR_FENCED);
		CHECK_INT(fake_lun_count_key(world.lun, KEY_S), 0);
		CHECK_INT(abort_here(), NEXUS_ERROR_FENCED);
		end(true);
	}
}

static void trace_15_two_imports_of_two_lines(void)
{
	char older[NEXUS_STATE_LINE_MAX];
	struct side other;

	begin(HOLDER);
	memcpy(older, world.line, sizeof(older));
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	side_init(&other, world.lun, NEWCOMER, "vm1", NEXUS_INCOMING);
	CHECK_INT(side_import(&other, older), NEXUS_ERROR_STALE);
	CHECK_INT(import_there(), NEXUS_OK);
	CHECK(side_import(&other, older) != NEXUS_OK);
	CHECK(!other.gate_open);
	CHECK_INT(side_release(s, false), NEXUS_OK);
	world_check_at(d);
	end(true);
}

static void take_over_for_all(struct side *side)
{
	side->at = NULL;
	preempt_k();
	side_stranger(world.lun, STRANGER, PR_OUT_PREEMPT, KEY_X, KEY_X, 7, false);
}

/* The limit: between its late REGISTER and the undo the destination is a holder, as every registrant; its gate is closed. */
static void trace_16_a_holder_until_it_undoes(void)
{
	begin(HOLDER);
	CHECK_INT(during(d, RECORD_STEP_IMPORT_REGISTER, HANDOVER_JOURNALLED, take_over_for_all,
			 import_there),
		  NEXUS_ERROR_FENCED);
	CHECK(!d->gate_open);
	CHECK_INT(fake_lun_count_key(world.lun, KEY_S), 0);
	end(true);
	/* Killed just there, K stays until the daemon is back and somebody calls, or a peer preempts it. */
	begin(HOLDER);
	preempt_k();
	side_stranger(world.lun, STRANGER, PR_OUT_PREEMPT, KEY_X, KEY_X, 7, false);
	side_stranger(world.lun, DESTINATION, PR_OUT_REGISTER, 0, KEY_S, 0, false);
	CHECK_INT(fake_lun_count_key(world.lun, KEY_S), 1);
	CHECK(!d->gate_open);
	preempt_k();
	CHECK_INT(fake_lun_count_key(world.lun, KEY_S), 0);
	end(true);
}

int main(void)
{
	CHECK_RUN(trace_1_abort_after_import_counts_the_key);
	CHECK_RUN(trace_2_abort_while_import_is_between_its_steps);
	CHECK_RUN(trace_3_an_unfinished_take_back_is_settled_first);
	CHECK_RUN(trace_4_a_fence_before_a_late_register);
	CHECK_RUN(trace_5_the_holder_is_not_undone);
	CHECK_RUN(trace_6_power_loss_and_a_generation_that_comes_back);
	CHECK_RUN(trace_7_a_late_import_after_abort);
	CHECK_RUN(trace_8_export_again_after_import);
	CHECK_RUN(trace_9_the_last_registrant_stays_and_others_go);
	CHECK_RUN(trace_10_release_after_the_guest_has_gone_on);
	CHECK_RUN(trace_11_a_stranger_with_the_same_key);
	CHECK_RUN(trace_12_the_guest_comes_back_with_a_new_key);
	CHECK_RUN(trace_13_a_program_writes_at_a_saved_source);
	CHECK_RUN(trace_14_a_fence_just_before_the_register);
	CHECK_RUN(trace_15_two_imports_of_two_lines);
	CHECK_RUN(trace_16_a_holder_until_it_undoes);
	return check_summary();
}
