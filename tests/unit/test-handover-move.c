/* SPDX-License-Identifier: Apache-2.0 */
/* REGISTER AND MOVE: a key that another node has too is no reason to throw that node out. */
#include "check.h"
#include "sides.h"

#define KEY 0x5151u
#define SOURCE 0
#define DESTINATION 1
#define PEER 2 /* has the same key */

static struct fake_lun *lun;
static struct side s, d;
static char line[NEXUS_STATE_LINE_MAX];

static void set_up(const struct fake_quirks *quirks)
{
	lun = fake_lun_create(NULL, NULL);
	if (quirks != NULL)
		fake_lun_set_quirks(lun, quirks);
	side_init(&s, lun, SOURCE, "vm1", NEXUS_ACTIVE);
	side_init(&d, lun, DESTINATION, "vm1", NEXUS_INCOMING);
	side_stranger(lun, PEER, PR_OUT_REGISTER, 0, KEY, 0, false);
	CHECK_INT(side_guest(&s, PR_OUT_REGISTER, 0, KEY, 0), SCSI_GOOD);
	CHECK_INT(side_guest(&s, PR_OUT_RESERVE, KEY, 0, 5), SCSI_GOOD);
	fake_lun_reset_monitor(lun);
}

static void tear_down(void)
{
	struct fake_monitor monitor;
	struct fake_state state;

	fake_lun_get_monitor(lun, &monitor);
	CHECK_INT(monitor.gaps, 0);
	fake_lun_get_state(lun, &state);
	CHECK_INT(state.nexus[PEER].key, KEY);
	fake_lun_detach(lun);
}

static void check_at(const struct side *side)
{
	unsigned int other = side->nexus == SOURCE ? DESTINATION : SOURCE;
	struct fake_state state;

	fake_lun_get_state(lun, &state);
	CHECK_INT(state.nexus[side->nexus].key, KEY);
	CHECK_INT(state.nexus[other].key, 0);
	CHECK_INT(state.holder, (int)side->nexus);
	CHECK_INT(state.registrations, 2);
	CHECK(side->gate_open);
	CHECK_INT(side->record.key, KEY);
	CHECK(side->record.holder);
}

static void moves_and_comes_back(void)
{
	set_up(NULL);
	CHECK_INT(side_prepare(&d, s.destination), NEXUS_OK);
	CHECK_INT(side_export(&s, line), NEXUS_OK);
	CHECK(s.record.out.moved);
	/* Again: the same, and the same line but for its time. */
	CHECK_INT(side_export(&s, line), NEXUS_OK);
	CHECK_INT(side_check(&d, line), NEXUS_OK);
	CHECK_INT(side_import(&d, line), NEXUS_OK);
	CHECK_INT(side_import(&d, line), NEXUS_OK);
	CHECK_INT(side_release(&s, false), NEXUS_OK);
	check_at(&d);
	CHECK_INT(side_prepare(&s, d.destination), NEXUS_OK);
	CHECK_INT(side_export(&d, line), NEXUS_OK);
	CHECK_INT(side_import(&s, line), NEXUS_OK);
	CHECK_INT(side_release(&d, false), NEXUS_OK);
	check_at(&s);
	tear_down();
}

static void aborted_after_import(void)
{
	set_up(NULL);
	CHECK_INT(side_prepare(&d, s.destination), NEXUS_OK);
	CHECK_INT(side_export(&s, line), NEXUS_OK);
	CHECK_INT(side_import(&d, line), NEXUS_OK);
	CHECK_INT(side_abort(&s, false), NEXUS_ERROR_WRONG_STATE);
	CHECK_CONTAINS(s.message, "Abort there, which moves it back");
	CHECK_INT(side_abort(&d, false), NEXUS_OK);
	CHECK(!d.gate_open);
	CHECK_INT(side_abort(&s, false), NEXUS_OK);
	check_at(&s);
	tear_down();
}

static void not_shared_needs_no_move(void)
{
	set_up(NULL);
	side_stranger(lun, PEER, PR_OUT_REGISTER, KEY, 0x99, 0, false);
	CHECK_INT(side_prepare(&d, s.destination), NEXUS_OK);
	CHECK_INT(side_export(&s, line), NEXUS_OK);
	CHECK(!s.record.out.moved);
	CHECK_INT(side_import(&d, line), NEXUS_OK);
	CHECK_INT(side_release(&s, false), NEXUS_OK);
	CHECK_INT(side_stranger(lun, PEER, PR_OUT_REGISTER, 0x99, KEY, 0, false), SCSI_GOOD);
	check_at(&d);
	tear_down();
}

static void luns_without_it(void)
{
	struct fake_quirks no_move = {.no_register_and_move = true};
	struct fake_quirks no_status = {.no_read_full_status = true};

	set_up(&no_move);
	CHECK_INT(side_prepare(&d, s.destination), NEXUS_OK);
	CHECK_INT(side_export(&s, line), NEXUS_OK);
	CHECK_INT(side_import(&d, line), NEXUS_ERROR_KEY_SHARED);
	CHECK_INT(side_abort(&s, false), NEXUS_OK);
	check_at(&s);
	tear_down();
	set_up(&no_status);
	CHECK_INT(side_prepare(&d, s.destination), NEXUS_ERROR_UNSUPPORTED);
	CHECK_INT(fake_lun_count_key(lun, KEY), 2);
	tear_down();
}

static void bad_destinations(void)
{
	set_up(NULL);
	snprintf(s.destination, sizeof(s.destination), "nonsense");
	CHECK_INT(side_export(&s, line), NEXUS_ERROR_BAD_STATE);
	CHECK_CONTAINS(s.message, "Prepare");
	CHECK_INT(side_prepare(&d, s.destination), NEXUS_OK);
	s.destination[20] ^= 1;
	CHECK_INT(side_export(&s, line), NEXUS_ERROR_BAD_STATE);
	snprintf(d.record.lun, sizeof(d.record.lun), "naa.other");
	CHECK_INT(side_prepare(&d, s.destination), NEXUS_OK);
	CHECK_INT(side_export(&s, line), NEXUS_ERROR_WRONG_LUN);
	check_at(&s);
	tear_down();
}

/* A fence before the move: a source that is not registered cannot move anything. */
static void fenced_source_moves_nothing(void)
{
	struct fake_state state;

	set_up(NULL);
	side_stranger(lun, PEER, PR_OUT_REGISTER, KEY, 0x99, 0, false);
	side_stranger(lun, 4, PR_OUT_REGISTER, 0, KEY, 0, false);
	CHECK_INT(side_prepare(&d, s.destination), NEXUS_OK);
	CHECK_INT(side_stranger(lun, PEER, PR_OUT_PREEMPT, 0x99, KEY, 5, false), SCSI_GOOD);
	CHECK_INT(side_export(&s, line), NEXUS_OK);
	CHECK_INT(s.record.out.row, 1);
	CHECK(s.record.fenced);
	fake_lun_get_state(lun, &state);
	CHECK_INT(state.nexus[DESTINATION].key, 0);
	fake_lun_detach(lun);
}

static void die(struct side *side)
{
	side_kill(side);
}

/* kill -9 at each moment of each step; then Import again, or Abort there and here. */
static void killed_at_every_step(void)
{
	static const enum record_step steps[] = {
		RECORD_STEP_PREPARE_REGISTER, RECORD_STEP_PREPARE_UNREGISTER,
		RECORD_STEP_EXPORT_MOVE,      RECORD_STEP_IMPORT_REREGISTER,
		RECORD_STEP_ABORT_MOVE,	      RECORD_STEP_ABORT_BARRIER};
	static jmp_buf killed;
	volatile unsigned int kills = 0;

	for (volatile size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		for (volatile int moment = HANDOVER_BEFORE_JOURNAL; moment <= HANDOVER_ANSWERED;
		     moment++) {
			char prepared[NEXUS_STATE_LINE_MAX];

			set_up(NULL);
			s.killed = d.killed = &killed;
			s.at = d.at = die;
			s.at_step = d.at_step = steps[i];
			s.at_moment = d.at_moment = (enum handover_moment)moment;
			if (setjmp(killed) == 0) {
				side_prepare(&d, s.destination);
				side_export(&s, line);
				side_import(&d, line);
				side_abort(&d, false);
				side_abort(&s, false);
			} else {
				kills++;
			}
			CHECK_INT(side_restart(&s), NEXUS_OK);
			CHECK_INT(side_restart(&d), NEXUS_OK);
			/* Refused where K has come to the destination already. */
			s.destination[0] = '\0';
			if (side_prepare(&d, prepared) == NEXUS_OK)
				snprintf(s.destination, sizeof(s.destination), "%s", prepared);
			if (s.record.state == NEXUS_EXPORTED) {
				/* Where it was moved, the line brings it home by way of the destination. */
				if (side_export(&s, line) == NEXUS_OK &&
				    side_import(&d, line) == NEXUS_OK)
					CHECK_INT(side_abort(&d, false), NEXUS_OK);
				CHECK_INT(side_abort(&s, false), NEXUS_OK);
			}
			check_at(&s);
			tear_down();
		}
	}
	CHECK(kills >= 15);
}

int main(void)
{
	CHECK_RUN(moves_and_comes_back);
	CHECK_RUN(aborted_after_import);
	CHECK_RUN(not_shared_needs_no_move);
	CHECK_RUN(luns_without_it);
	CHECK_RUN(bad_destinations);
	CHECK_RUN(fenced_source_moves_nothing);
	CHECK_RUN(killed_at_every_step);
	return check_summary();
}
