/* SPDX-License-Identifier: Apache-2.0 */
/* What the model of the protocol (tests/model) has found in the code, each as it happened there. */
#include "unit/handover-checks.h"

#define HOLDER 6 /* type 5 */

static struct side *s = &world.source, *d = &world.destination;

static enum nexus_error abort_here(void)
{
	return side_abort(s, false);
}

static enum nexus_error release_here(void)
{
	return side_release(s, false);
}

static void kill_during(struct side *side, enum record_step step, enum handover_moment moment,
			enum nexus_error (*call)(void))
{
	volatile bool died = true;
	jmp_buf killed;

	side->at = side_kill;
	side->at_step = step;
	side->at_moment = moment;
	side->at_skip = 0;
	side->killed = &killed;
	if (setjmp(killed) == 0) {
		call();
		died = false;
	}
	CHECK(died);
	side->at = NULL;
	side->killed = NULL;
	CHECK_INT(side_restart(side), NEXUS_OK);
}

/*
 * The source has taken the reservation back and died before it knew; then a stranger takes the guest's key, and Release gives the
 * Abort up, and dies. Settling must see that the source may be the holder, though its key is listed twice.
 */
static void settling_knows_that_the_take_back_was_sent(void)
{
	struct fake_state state;

	world_set_up(&world_rows[HOLDER], WORLD_STANDARD);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK_INT(side_import(d, world.line), NEXUS_OK);
	kill_during(s, RECORD_STEP_ABORT_TAKE_BACK, HANDOVER_ANSWERED, abort_here);
	side_stranger(world.lun, NEWCOMER, PR_OUT_REGISTER, 0, KEY_S, 0, false);
	kill_during(s, RECORD_STEP_ABORT_UNDO, HANDOVER_JOURNALLED, release_here);
	fake_lun_get_state(world.lun, &state);
	CHECK(state.held);
	CHECK_INT(state.holder, SOURCE);
	CHECK_INT(state.nexus[SOURCE].key, KEY_S);
	world_check_invariants(0, true);
	world_tear_down();
}

static void import_and_die(struct side *side)
{
	volatile bool died = true;
	jmp_buf killed;

	side->at = NULL;
	d->at = side_kill;
	d->at_step = RECORD_STEP_IMPORT_PREEMPT;
	d->at_moment = HANDOVER_JOURNALLED;
	d->at_skip = 0;
	d->killed = &killed;
	if (setjmp(killed) == 0) {
		side_import(d, world.line);
		died = false;
	}
	CHECK(died);
	d->at = NULL;
}

/*
 * Abort's PREEMPT is lost on its way, and Import has registered before the proof that follows: it is in time for its own PREEMPT, so the
 * guest must not run here.
 */
static void a_lost_preempt_removes_nobody(void)
{
	struct fake_fault fault = fake_fault(SOURCE, 0x5f, PR_OUT_PREEMPT);

	world_set_up(&world_rows[HOLDER], WORLD_STANDARD);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	fault.outcome = FAKE_LOSE_COMMAND;
	fault.host_status = FAKE_DID_TIME_OUT;
	fake_lun_add_fault(world.lun, &fault);
	s->at = import_and_die;
	s->at_step = RECORD_STEP_ABORT_PREEMPT;
	s->at_moment = HANDOVER_BEFORE_JOURNAL;
	s->at_skip = 1; /* the proof, not the PREEMPT */
	CHECK_INT(abort_here(), NEXUS_ERROR_WRONG_STATE);
	CHECK(!s->gate_open);
	CHECK_INT(side_restart(d), NEXUS_OK);
	CHECK_INT(side_import(d, world.line), NEXUS_OK);
	CHECK_INT(side_release(s, false), NEXUS_OK);
	world_check_at(d);
	world_check_invariants(0, true);
	world_tear_down();
}

static void import_is_done(struct side *side)
{
	side->at = NULL;
	CHECK_INT(side_restart(d), NEXUS_OK);
	CHECK_INT(side_import(d, world.line), NEXUS_OK);
}

static void import_is_begun(struct side *side)
{
	import_and_die(side);
	side->at = import_is_done;
	side->at_moment = HANDOVER_ANSWERED;
	side->at_skip = 0;
}

/* The same, and Import is done before Abort looks at the LUN again: the K that is listed once is the destination's. */
static void a_lost_preempt_and_an_import_that_is_done(void)
{
	struct fake_fault fault = fake_fault(SOURCE, 0x5f, PR_OUT_PREEMPT);

	world_set_up(&world_rows[HOLDER], WORLD_STANDARD);
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	fault.outcome = FAKE_LOSE_COMMAND;
	fault.host_status = FAKE_DID_TIME_OUT;
	fake_lun_add_fault(world.lun, &fault);
	s->at = import_is_begun;
	s->at_step = RECORD_STEP_ABORT_PREEMPT;
	s->at_moment = HANDOVER_BEFORE_JOURNAL;
	s->at_skip = 1;
	CHECK_INT(abort_here(), NEXUS_ERROR_WRONG_STATE);
	CHECK(!s->gate_open && d->gate_open);
	CHECK_INT(side_release(s, false), NEXUS_OK);
	world_check_at(d);
	world_check_invariants(0, true);
	world_tear_down();
}

static void take_back_behind(struct side *side)
{
	side->at = NULL;
	CHECK_INT(abort_here(), NEXUS_OK);
}

static void take_back_before(struct side *side)
{
	side->at_moment = HANDOVER_ANSWERED;
	side->at_skip = 0;
	side->at = take_back_behind;
	kill_during(s, RECORD_STEP_ABORT_TAKE_BACK, HANDOVER_JOURNALLED, abort_here);
}

/*
 * The guest's first write at a destination that QEMU has loaded, while Abort takes the reservation back: it registers again between
 * Abort's two commands, and finds K listed once after the second, which is the source's.
 */
static void the_k_that_is_listed_is_the_sources(void)
{
	world_set_up(&world_rows[HOLDER], WORLD_STANDARD);
	s->by_qemu = d->by_qemu = true;
	CHECK_INT(side_export(s, world.line), NEXUS_OK);
	CHECK_INT(side_import(d, world.line), NEXUS_OK);
	d->at = take_back_before;
	d->at_step = RECORD_STEP_CONFIRM_BARRIER;
	d->at_moment = HANDOVER_JOURNALLED;
	d->at_skip = 0;
	CHECK_INT(side_guest_runs(d), NEXUS_ERROR_WRONG_STATE);
	CHECK(s->gate_open && !d->gate_open);
	CHECK_INT(side_guest_runs(d), NEXUS_ERROR_WRONG_STATE);
	CHECK(!d->gate_open && !d->record.fenced);
	world_check_at(s);
	world_check_invariants(0, true);
	world_tear_down();
}

int main(void)
{
	CHECK_RUN(a_lost_preempt_removes_nobody);
	CHECK_RUN(a_lost_preempt_and_an_import_that_is_done);
	CHECK_RUN(the_k_that_is_listed_is_the_sources);
	CHECK_RUN(settling_knows_that_the_take_back_was_sent);
	return check_summary();
}
