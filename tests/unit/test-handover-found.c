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

int main(void)
{
	CHECK_RUN(settling_knows_that_the_take_back_was_sent);
	return check_summary();
}
