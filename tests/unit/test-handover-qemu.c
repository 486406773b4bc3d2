/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-over when QEMU drives it by dbus-vmstate: the guest's own first write says where it runs. */
#include "check.h"
#include "sides.h"

#define KEY 0x5151u
#define KEY_X 0x7878u
#define SOURCE 0
#define DESTINATION 1
#define STRANGER 2

struct row {
	uint8_t row;
	uint8_t type;
};

static const struct row rows[] = {{1, 0}, {2, 0}, {2, 5}, {3, 1}, {3, 5}, {3, 6}, {4, 7}, {4, 8}};

static struct fake_lun *lun;
static struct side s, d;
static char line[NEXUS_STATE_LINE_MAX], note[64];

static void set_up(const struct row *row)
{
	lun = fake_lun_create(NULL, NULL);
	side_init(&s, lun, SOURCE, "vm1", NEXUS_ACTIVE);
	side_init(&d, lun, DESTINATION, "vm1", NEXUS_INCOMING);
	s.by_qemu = d.by_qemu = true;
	side_stranger(lun, STRANGER, PR_OUT_REGISTER, 0, KEY_X, 0, false);
	if (row->row > 1)
		CHECK_INT(side_guest(&s, PR_OUT_REGISTER, 0, KEY, 0), SCSI_GOOD);
	if (row->row > 2)
		CHECK_INT(side_guest(&s, PR_OUT_RESERVE, KEY, 0, row->type), SCSI_GOOD);
	else if (row->type != 0)
		side_stranger(lun, STRANGER, PR_OUT_RESERVE, KEY_X, 0, row->type, false);
	fake_lun_reset_monitor(lun);
	snprintf(note, sizeof(note), "row %u, type %u", row->row, row->type);
	CHECK_NOTE(note);
}

static void tear_down(void)
{
	struct fake_monitor monitor;

	fake_lun_get_monitor(lun, &monitor);
	CHECK_INT(monitor.gaps, 0);
	CHECK_INT(fake_lun_count_key(lun, KEY_X), 1);
	fake_lun_detach(lun);
}

/* The guest runs at side, with what it had; other is shut, or has nothing. */
static void check_runs_at(const struct row *row, struct side *side, struct side *other)
{
	struct fake_state state;

	CHECK(side->gate_open);
	CHECK(!other->gate_open || other->record.key == 0);
	fake_lun_get_state(lun, &state);
	CHECK_INT(state.nexus[side->nexus].key, row->row > 1 ? KEY : 0);
	if (row->row == 3)
		CHECK_INT(state.holder, (int)side->nexus);
	CHECK_INT(side->record.key, row->row > 1 ? KEY : 0);
	CHECK_INT(side->record.holder, row->row > 2);
}

#define FOR_EACH_ROW(row)                                                                          \
	for (const struct row *row = rows; row < rows + sizeof(rows) / sizeof(rows[0]); row++)

static void save_and_load(const struct row *row)
{
	CHECK_INT(side_export(&s, line), NEXUS_OK);
	CHECK(!s.gate_open);
	CHECK_INT(side_import(&d, line), NEXUS_OK);
	CHECK_INT(d.gate_open, row->row == 1);
}

static void migrates(void)
{
	FOR_EACH_ROW(row)
	{
		set_up(row);
		save_and_load(row);
		CHECK_INT(side_guest_runs(&d), NEXUS_OK);
		check_runs_at(row, &d, &s);
		/* md, LVM or another program of the source's host. */
		if (row->row > 1) {
			CHECK_INT(side_guest_runs(&s), NEXUS_ERROR_WRONG_STATE);
			check_runs_at(row, &d, &s);
		}
		CHECK_INT(side_saver_gone(&s), NEXUS_OK);
		check_runs_at(row, &d, &s);
		CHECK_INT(side_loader_gone(&d), NEXUS_OK);
		check_runs_at(row, &d, &s);
		/* And back. */
		CHECK_INT(side_export(&d, line), NEXUS_OK);
		CHECK_INT(side_import(&s, line), NEXUS_OK);
		CHECK_INT(side_guest_runs(&s), NEXUS_OK);
		check_runs_at(row, &s, &d);
		tear_down();
	}
}

static void back_without_release(void)
{
	FOR_EACH_ROW(row)
	{
		set_up(row);
		save_and_load(row);
		CHECK_INT(side_guest_runs(&d), NEXUS_OK);
		CHECK_INT(side_export(&d, line), NEXUS_OK);
		/* Rows 2 and 4: the source's stale registration is counted, and is the guest's own. */
		CHECK_INT(side_import(&s, line), NEXUS_OK);
		CHECK_INT(side_guest_runs(&s), NEXUS_OK);
		CHECK(s.gate_open);
		tear_down();
	}
}

static void cancelled_before_load(void)
{
	FOR_EACH_ROW(row)
	{
		set_up(row);
		CHECK_INT(side_export(&s, line), NEXUS_OK);
		CHECK_INT(side_guest_runs(&s), NEXUS_OK);
		check_runs_at(row, &s, &d);
		if (row->row > 1)
			CHECK_INT(side_import(&d, line), NEXUS_ERROR_STALE);
		tear_down();
	}
}

static void destination_dies_after_load(void)
{
	FOR_EACH_ROW(row)
	{
		if (row->row == 1)
			continue;
		set_up(row);
		save_and_load(row);
		/* Row 3: it alone holds and keeps it until the source takes it back. */
		CHECK_INT(side_loader_gone(&d), row->row == 3 ? NEXUS_ERROR_WRONG_STATE : NEXUS_OK);
		CHECK(!d.gate_open);
		CHECK_INT(side_guest_runs(&s), NEXUS_OK);
		check_runs_at(row, &s, &d);
		side_resync(&d);
		CHECK(!d.gate_open && d.record.key == 0);
		tear_down();
	}
}

/* Rows 2 and 4: as long as the destination is registered the guest may run there. */
static void both_write(void)
{
	FOR_EACH_ROW(row)
	{
		if (row->row == 1)
			continue;
		set_up(row);
		save_and_load(row);
		if (row->row == 3) {
			CHECK_INT(side_guest_runs(&s), NEXUS_OK);
			CHECK_INT(side_guest_runs(&d), NEXUS_ERROR_WRONG_STATE);
			CHECK_INT(d.record.state, NEXUS_INCOMING);
			check_runs_at(row, &s, &d);
		} else {
			CHECK_INT(side_guest_runs(&s), NEXUS_ERROR_WRONG_STATE);
			CHECK_INT(side_guest_runs(&d), NEXUS_OK);
			check_runs_at(row, &d, &s);
		}
		tear_down();
	}
}

static void fenced_in_between(void)
{
	FOR_EACH_ROW(row)
	{
		if (row->row == 1)
			continue;
		set_up(row);
		CHECK_INT(side_export(&s, line), NEXUS_OK);
		CHECK_INT(side_stranger(lun, STRANGER, PR_OUT_PREEMPT, KEY_X, KEY,
					row->type != 0 ? row->type : 5, false),
			  SCSI_GOOD);
		CHECK_INT(side_guest_runs(&s), NEXUS_ERROR_FENCED);
		CHECK(s.record.fenced && s.gate_open);
		CHECK_INT(fake_lun_count_key(lun, KEY), 0);
		tear_down();
	}
}

int main(void)
{
	CHECK_RUN(migrates);
	CHECK_RUN(back_without_release);
	CHECK_RUN(cancelled_before_load);
	CHECK_RUN(destination_dies_after_load);
	CHECK_RUN(both_write);
	CHECK_RUN(fenced_in_between);
	return check_summary();
}
