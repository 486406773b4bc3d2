/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-over's decisions over the fake LUN: every row of design section 7's table, and every refusal. */
#include "check.h"
#include "unit/sides.h"

#define KEY_S 0x5151u
#define KEY_X 0x7878u
#define SOURCE 0
#define DESTINATION 1
#define STRANGER 2

struct row {
	const char *name;
	uint8_t row;
	uint8_t type; /* of the reservation; 0: none */
	bool source_holds;
};

static const struct row rows[] = {
	{"not registered", 1, 0, false},
	{"registered", 2, 0, false},
	{"registered, another holds type 5", 2, 5, false},
	{"registered, another holds type 1", 2, 1, false},
	{"holder, type 1", 3, 1, true},
	{"holder, type 3", 3, 3, true},
	{"holder, type 5", 3, 5, true},
	{"holder, type 6", 3, 6, true},
	{"all registrants, type 7", 4, 7, true},
	{"all registrants, type 8", 4, 8, true},
};

static const char *const lun_names[] = {"standard", "lio", "tgt", "lio without its APTPL folder"};
#define LUNS (sizeof(lun_names) / sizeof(lun_names[0]))

static char note[128];
static struct fake_lun *lun;
static struct side s, d;
static char line[NEXUS_STATE_LINE_MAX];

/* The source's guest and a stranger as the row says; both gates as they start. */
static void set_up(const struct row *row, size_t lun_kind)
{
	struct fake_quirks quirks = {0};

	lun = fake_lun_create(NULL, NULL);
	if (lun_kind == 1 || lun_kind == 3)
		fake_quirks_lio(&quirks);
	if (lun_kind == 2)
		fake_quirks_tgt(&quirks);
	quirks.register_not_ready = false;
	fake_lun_set_quirks(lun, &quirks);
	side_init(&s, lun, SOURCE, "vm1", NEXUS_ACTIVE);
	side_init(&d, lun, DESTINATION, "vm1", NEXUS_INCOMING);
	CHECK_INT(side_stranger(lun, STRANGER, PR_OUT_REGISTER, 0, KEY_X, 0, false), SCSI_GOOD);
	if (row->type != 0 && !row->source_holds)
		CHECK_INT(side_stranger(lun, STRANGER, PR_OUT_RESERVE, KEY_X, 0, row->type, false),
			  SCSI_GOOD);
	if (row->row > 1)
		CHECK_INT(side_guest(&s, PR_OUT_REGISTER, 0, KEY_S, 0), SCSI_GOOD);
	if (row->source_holds)
		CHECK_INT(side_guest(&s, PR_OUT_RESERVE, KEY_S, 0, row->type), SCSI_GOOD);
	if (lun_kind == 3) {
		quirks.register_not_ready = true;
		fake_lun_set_quirks(lun, &quirks);
	}
	fake_lun_reset_monitor(lun);
	snprintf(note, sizeof(note), "%s, %s", row->name, lun_names[lun_kind]);
	CHECK_NOTE(note);
}

static void tear_down(void)
{
	struct fake_monitor monitor;

	fake_lun_get_monitor(lun, &monitor);
	CHECK_INT(monitor.gaps, 0);
	CHECK_INT(fake_lun_count_key(lun, KEY_X), 1);
	/* After Release the source is open again, with nothing registered. */
	CHECK(!(s.gate_open && s.record.key != 0 && d.gate_open && d.record.key != 0));
	fake_lun_detach(lun);
}

/* The guest's registration and reservation are at nexus, and nowhere else. */
static void check_at(const struct row *row, const struct side *side)
{
	struct fake_state state;
	unsigned int other = side->nexus == SOURCE ? DESTINATION : SOURCE;

	fake_lun_get_state(lun, &state);
	CHECK_INT(state.nexus[side->nexus].key, row->row > 1 ? KEY_S : 0);
	CHECK_INT(state.nexus[other].key, 0);
	CHECK_INT(state.held, row->type != 0);
	CHECK_INT(state.type, row->type);
	if (row->row == 3)
		CHECK_INT(state.holder, (int)side->nexus);
	CHECK_INT(side->record.key, row->row > 1 ? KEY_S : 0);
	CHECK_INT(side->record.holder, row->row >= 3);
	CHECK_INT(side->record.type, row->row >= 3 ? row->type : 0);
	CHECK(side->gate_open);
	CHECK_INT(side->record.state, NEXUS_ACTIVE);
}

#define FOR_EACH_CASE(row, kind)                                                                   \
	for (size_t kind = 0; kind < LUNS; kind++)                                                 \
		for (const struct row *row = rows; row < rows + sizeof(rows) / sizeof(rows[0]);    \
		     row++)

#define CHECK_OK(call, side)                                                                       \
	do {                                                                                       \
		int check_error = (call);                                                          \
		if (check_error != NEXUS_OK)                                                       \
			check_report(__FILE__, __LINE__, "%s: %d %s", #call, check_error,          \
				     (side).message);                                              \
	} while (0)

static void forth_and_back(void)
{
	FOR_EACH_CASE(row, kind)
	{
		set_up(row, kind);
		CHECK_OK(side_export(&s, line), s);
		CHECK(!s.gate_open);
		CHECK_INT(s.record.out.row, row->row);
		CHECK_OK(side_check(&d, line), d);
		CHECK(!d.gate_open);
		CHECK_OK(side_import(&d, line), d);
		CHECK(d.gate_open);
		CHECK(!s.gate_open);
		CHECK_OK(side_release(&s, false), s);
		check_at(row, &d);
		CHECK_INT(s.record.key, 0);
		CHECK_OK(side_release(&s, false), s);
		CHECK_OK(side_import(&d, line), d);
		check_at(row, &d);
		/* Back: the source is active with nothing registered. */
		CHECK_OK(side_export(&d, line), d);
		CHECK_OK(side_import(&s, line), s);
		CHECK_OK(side_release(&d, false), d);
		check_at(row, &s);
		tear_down();
	}
}

static void abort_before_import(void)
{
	FOR_EACH_CASE(row, kind)
	{
		set_up(row, kind);
		CHECK_OK(side_export(&s, line), s);
		CHECK_OK(side_abort(&s, false), s);
		check_at(row, &s);
		CHECK_OK(side_abort(&s, false), s);
		CHECK_OK(side_abort(&d, false), d);
		if (row->row > 1) {
			side_init(&d, lun, DESTINATION, "vm1", NEXUS_INCOMING);
			CHECK_INT(side_import(&d, line), NEXUS_ERROR_STALE);
			CHECK(!d.gate_open);
		}
		check_at(row, &s);
		tear_down();
	}
}

/* Import on a LUN whose answers cannot be trusted takes a REGISTER more, and with it the exact generation. */
static void take_back_at_source(const struct row *row, size_t kind)
{
	if (row->row == 3 && kind == 3) {
		CHECK_INT(side_abort(&s, false), NEXUS_ERROR_WRONG_STATE);
		CHECK_OK(side_abort(&s, true), s);
	} else {
		CHECK_OK(side_abort(&s, false), s);
	}
	check_at(row, &s);
}

static void abort_after_import(void)
{
	FOR_EACH_CASE(row, kind)
	{
		set_up(row, kind);
		CHECK_OK(side_export(&s, line), s);
		CHECK_OK(side_import(&d, line), d);
		/* There, here, there: as an orchestrator does it. Row 3 holds alone there, and says so. */
		if (row->row == 3)
			CHECK_INT(side_abort(&d, false), NEXUS_ERROR_WRONG_STATE);
		else
			CHECK_OK(side_abort(&d, false), d);
		CHECK(!d.gate_open);
		take_back_at_source(row, kind);
		/* The K that stands is the source's now, whether the unit attention was met before or not. */
		CHECK_OK(side_abort(&d, false), d);
		CHECK_INT(d.record.in_registered, 0);
		check_at(row, &s);
		tear_down();
	}
}

/* A hand-over that a guest came by is over when it is exported: no late or repeated call means that one. */
static void older_hand_over_is_over(void)
{
	FOR_EACH_CASE(row, kind)
	{
		char first[NEXUS_STATE_LINE_MAX];

		if (row->row == 1)
			continue;
		set_up(row, kind);
		CHECK_OK(side_export(&s, first), s);
		CHECK_OK(side_import(&d, first), d);
		CHECK_OK(side_release(&s, false), s);
		CHECK_OK(side_export(&d, line), d);
		CHECK_OK(side_abort(&d, false), d);
		CHECK_OK(side_abort(&d, false), d);
		check_at(row, &d);
		CHECK_OK(side_export(&d, line), d);
		CHECK_OK(side_import(&s, line), s);
		CHECK_OK(side_release(&d, false), d);
		CHECK_INT(side_import(&d, first), NEXUS_ERROR_STALE);
		CHECK_OK(side_abort(&d, false), d);
		CHECK_INT(d.record.key, 0);
		check_at(row, &s);
		tear_down();
	}
}

static void abort_at_source_after_import(void)
{
	FOR_EACH_CASE(row, kind)
	{
		if (row->row == 1)
			continue;
		set_up(row, kind);
		CHECK_OK(side_export(&s, line), s);
		CHECK_OK(side_import(&d, line), d);
		if (row->row == 3) {
			/* Taken back in one step; the destination learns it from its unit attention. */
			take_back_at_source(row, kind);
			CHECK_OK(side_resync(&d), d);
			CHECK_INT(d.record.state, NEXUS_INCOMING);
			CHECK(!d.gate_open && !d.record.fenced && d.record.key == 0);
		} else {
			CHECK_INT(side_abort(&s, false), NEXUS_ERROR_WRONG_STATE);
			CHECK(!s.gate_open);
			CHECK_OK(side_release(&s, false), s);
			check_at(row, &d);
		}
		tear_down();
	}
}

static void export_twice(void)
{
	FOR_EACH_CASE(row, kind)
	{
		char first[NEXUS_STATE_LINE_MAX];

		set_up(row, kind);
		CHECK_OK(side_export(&s, first), s);
		CHECK_OK(side_export(&s, line), s);
		if (row->row > 1)
			CHECK_INT(side_import(&d, first), NEXUS_ERROR_STALE);
		CHECK(!d.gate_open);
		CHECK_OK(side_import(&d, line), d);
		if (row->row == 3)
			CHECK_INT(side_export(&s, first), NEXUS_ERROR_WRONG_STATE);
		CHECK_OK(side_release(&s, false), s);
		check_at(row, &d);
		tear_down();
	}
}

static void release_before_import(void)
{
	FOR_EACH_CASE(row, kind)
	{
		if (row->row == 1)
			continue;
		set_up(row, kind);
		CHECK_OK(side_export(&s, line), s);
		CHECK_INT(side_release(&s, false), NEXUS_ERROR_WRONG_STATE);
		CHECK(!s.gate_open);
		/* The line is still good. */
		CHECK_OK(side_import(&d, line), d);
		CHECK_OK(side_release(&s, false), s);
		check_at(row, &d);
		tear_down();
	}
}

static void import_elsewhere(void)
{
	FOR_EACH_CASE(row, kind)
	{
		struct side other;

		if (row->row == 1)
			continue;
		set_up(row, kind);
		side_init(&other, lun, 3, "vm1", NEXUS_INCOMING);
		CHECK_OK(side_export(&s, line), s);
		CHECK_OK(side_import(&d, line), d);
		CHECK_INT(side_import(&other, line), NEXUS_ERROR_STALE);
		CHECK(!other.gate_open);
		CHECK_OK(side_release(&s, false), s);
		check_at(row, &d);
		tear_down();
	}
}

/* A peer fences the guest between Export and Import, and in between Abort. */
static void fenced_in_between(void)
{
	FOR_EACH_CASE(row, kind)
	{
		struct fake_state state;

		if (row->row == 1)
			continue;
		set_up(row, kind);
		CHECK_OK(side_export(&s, line), s);
		CHECK_INT(side_stranger(lun, STRANGER, PR_OUT_PREEMPT, KEY_X, KEY_S,
					row->type != 0 ? row->type : 5, false),
			  SCSI_GOOD);
		CHECK_INT(side_import(&d, line), NEXUS_ERROR_FENCED);
		CHECK(!d.gate_open);
		CHECK_INT(side_abort(&s, false), NEXUS_ERROR_FENCED);
		CHECK(s.record.fenced);
		CHECK(s.gate_open);
		CHECK_INT(s.queue.asc_ascq[s.queue.count - 1], SCSI_ASC_REGISTRATIONS_PREEMPTED);
		fake_lun_get_state(lun, &state);
		CHECK_INT(state.nexus[SOURCE].key, 0);
		CHECK_INT(state.nexus[DESTINATION].key, 0);
		/* Its next hand-over delivers the fence. */
		CHECK_OK(side_export(&s, line), s);
		CHECK_INT(s.record.out.row, 1);
		CHECK_OK(side_import(&d, line), d);
		CHECK(d.record.fenced);
		CHECK_INT(d.record.key, 0);
		CHECK_OK(side_release(&s, false), s);
		CHECK(!s.record.fenced);
		tear_down();
	}
}

static void key_shared(void)
{
	struct fake_state state;

	set_up(&rows[6], 0);
	CHECK_INT(side_stranger(lun, 4, PR_OUT_REGISTER, 0, KEY_S, 0, false), SCSI_GOOD);
	CHECK_OK(side_export(&s, line), s);
	CHECK_INT(s.record.out.row, 3);
	CHECK_INT(side_import(&d, line), NEXUS_ERROR_KEY_SHARED);
	CHECK_OK(side_abort(&s, false), s);
	fake_lun_get_state(lun, &state);
	CHECK_INT(state.nexus[4].key, KEY_S);
	CHECK_INT(state.nexus[SOURCE].key, KEY_S);
	CHECK_INT(state.holder, SOURCE);
	tear_down();
}

static void refusals(void)
{
	struct side other_lun;
	struct fake_lun *second;
	struct fake_lun_config config = {.naa = 0x6001405999999999u};
	char bad[NEXUS_STATE_LINE_MAX];

	set_up(&rows[6], 0);
	CHECK_INT(side_export(&d, line), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(side_release(&s, false), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(side_release(&d, false), NEXUS_ERROR_WRONG_STATE);
	CHECK_OK(side_export(&s, line), s);
	second = fake_lun_create(NULL, &config);
	side_init(&other_lun, second, 0, "vm1", NEXUS_INCOMING);
	CHECK_INT(side_import(&other_lun, line), NEXUS_ERROR_WRONG_LUN);
	CHECK_CONTAINS(other_lun.message, d.record.lun);
	fake_lun_detach(second);
	snprintf(bad, sizeof(bad), "%s", line);
	bad[40] ^= 1;
	CHECK_INT(side_import(&d, bad), NEXUS_ERROR_BAD_STATE);
	CHECK_CONTAINS(d.message, "damaged");
	snprintf(bad, sizeof(bad), "prmig=3.0%s", line + 9);
	CHECK_INT(side_import(&d, bad), NEXUS_ERROR_BAD_STATE);
	CHECK_CONTAINS(d.message, "version 3.0");
	CHECK_INT(side_import(&d, "hello"), NEXUS_ERROR_BAD_STATE);
	CHECK_INT(side_import(&d, ""), NEXUS_ERROR_BAD_STATE);
	d.clock_s += 601;
	CHECK_INT(side_import(&d, line), NEXUS_ERROR_STALE);
	CHECK_CONTAINS(d.message, "1000601");
	d.clock_s -= 601;
	/* Onto a guest that runs. */
	d.record.state = NEXUS_ACTIVE;
	d.written = true;
	CHECK_INT(side_import(&d, line), NEXUS_ERROR_WRONG_STATE);
	d.record.key = KEY_X;
	CHECK_INT(side_import(&d, line), NEXUS_ERROR_WRONG_STATE);
	d.record.key = 0;
	d.record.state = NEXUS_INCOMING;
	/* The destination's path is registered by somebody else on that host. */
	CHECK_INT(side_stranger(lun, DESTINATION, PR_OUT_REGISTER, 0, 0x99, 0, false), SCSI_GOOD);
	CHECK_OK(side_export(&s, line), s);
	CHECK_INT(side_import(&d, line), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(side_stranger(lun, DESTINATION, PR_OUT_REGISTER, 0x99, 0, 0, false), SCSI_GOOD);
	CHECK_OK(side_export(&s, line), s);
	/* The exporter's own line brings the guest back. */
	CHECK_OK(side_import(&s, line), s);
	check_at(&rows[6], &s);
	tear_down();
}

static void generation_quirks(void)
{
	static const enum fake_generation kinds[] = {FAKE_GENERATION_STILL, FAKE_GENERATION_BY_TWO};

	for (size_t i = 0; i < 2; i++) {
		struct fake_quirks quirks = {.generation = kinds[i]};

		set_up(&rows[6], 0);
		fake_lun_set_quirks(lun, &quirks);
		CHECK_INT(side_export(&s, line), NEXUS_ERROR_UNSUPPORTED);
		check_at(&rows[6], &s);
		tear_down();
	}
}

/* A guest that comes back to a source that was never released. */
static void return_to_exported(void)
{
	FOR_EACH_CASE(row, kind)
	{
		char back[NEXUS_STATE_LINE_MAX];

		if (row->row == 1)
			continue;
		set_up(row, kind);
		CHECK_OK(side_export(&s, line), s);
		CHECK_OK(side_import(&d, line), d);
		if (kind == 0) {
			CHECK_INT(side_guest(&d, PR_OUT_REGISTER, KEY_S, 0x6161, 0), SCSI_GOOD);
			CHECK_OK(side_export(&d, back), d);
			CHECK_OK(side_import(&s, back), s);
			CHECK_INT(s.record.key, 0x6161);
		} else {
			CHECK_OK(side_export(&d, back), d);
		}
		fake_lun_detach(lun);
	}
}

static void aptpl_is_kept(void)
{
	FOR_EACH_CASE(row, kind)
	{
		struct fake_state state;

		if (kind != 0 || row->row == 1)
			continue;
		set_up(row, kind);
		CHECK_INT(side_stranger(lun, STRANGER, PR_OUT_REGISTER, KEY_X, KEY_X, 0, true),
			  SCSI_GOOD);
		CHECK_OK(side_export(&s, line), s);
		CHECK_OK(side_import(&d, line), d);
		CHECK_OK(side_release(&s, false), s);
		fake_lun_get_state(lun, &state);
		CHECK(state.aptpl);
		tear_down();
	}
}

/* Peers that change their registrations all the time do not starve a hand-over. */
static void moving_generation_does_not_starve(void)
{
	FOR_EACH_CASE(row, kind)
	{
		struct fake_fault busy = fake_fault(DESTINATION, SCSI_PR_OUT, PR_OUT_REGISTER);
		struct pr_out again = {.action = PR_OUT_REGISTER,
				       .key = KEY_X,
				       .new_key = KEY_X,
				       .list_len = PR_OUT_LIST_LEN};
		int tries;

		if (row->row == 1 || kind > 1)
			continue;
		set_up(row, kind);
		/* X registers its key again just before each REGISTER of the destination. */
		busy.times = 0;
		busy.before.count = 1;
		busy.before.commands[0] = (struct fake_command){
			.nexus = STRANGER, .cdb_len = PR_CDB_LEN, .list_len = PR_OUT_LIST_LEN};
		pr_out_build(&again, busy.before.commands[0].cdb, busy.before.commands[0].list);
		fake_lun_add_fault(lun, &busy);
		for (tries = 0; tries < 10; tries++) {
			CHECK_OK(side_export(&s, line), s);
			if (side_import(&d, line) == NEXUS_OK)
				break;
		}
		CHECK_INT(tries, 1);
		fake_lun_clear_faults(lun);
		/* Its Import is known to have succeeded. */
		CHECK_OK(side_release(&s, true), s);
		check_at(row, &d);
		tear_down();
	}
}

/* The K that a Stale Import kept goes when no fresh line comes. */
static void kept_registration_expires(void)
{
	struct fake_fault busy = fake_fault(DESTINATION, SCSI_PR_OUT, PR_OUT_REGISTER);
	struct pr_out again = {.action = PR_OUT_REGISTER,
			       .key = KEY_X,
			       .new_key = KEY_X,
			       .list_len = PR_OUT_LIST_LEN};

	set_up(&rows[6], 0);
	busy.before.count = 1;
	busy.before.commands[0] = (struct fake_command){
		.nexus = STRANGER, .cdb_len = PR_CDB_LEN, .list_len = PR_OUT_LIST_LEN};
	pr_out_build(&again, busy.before.commands[0].cdb, busy.before.commands[0].list);
	fake_lun_add_fault(lun, &busy);
	CHECK_OK(side_export(&s, line), s);
	CHECK_INT(side_import(&d, line), NEXUS_ERROR_STALE);
	CHECK_INT(fake_lun_count_key(lun, KEY_S), 2);
	CHECK_OK(side_resync(&d), d);
	CHECK_INT(fake_lun_count_key(lun, KEY_S), 2);
	d.clock_s += 60;
	CHECK_OK(side_resync(&d), d);
	CHECK_INT(fake_lun_count_key(lun, KEY_S), 1);
	CHECK_OK(side_abort(&s, false), s);
	check_at(&rows[6], &s);
	tear_down();
}

/* QEMU 11 above prmig sends this after Import, and its PREEMPT of its own key. */
static void qemu_registers_after_import(void)
{
	set_up(&rows[6], 0);
	CHECK_OK(side_export(&s, line), s);
	CHECK_OK(side_import(&d, line), d);
	CHECK_INT(side_guest(&d, PR_OUT_REGISTER, 0, KEY_S, 0), SCSI_GOOD);
	CHECK_INT(side_guest(&d, PR_OUT_PREEMPT, KEY_S, KEY_S, 5), SCSI_GOOD);
	CHECK_OK(side_release(&s, false), s);
	check_at(&rows[6], &d);
	/* Once: the guest's own is the LUN's to judge. */
	CHECK_INT(side_guest(&d, PR_OUT_REGISTER, 0, KEY_S, 0), SCSI_RESERVATION_CONFLICT);
	tear_down();
}

int main(void)
{
	CHECK_RUN(moving_generation_does_not_starve);
	CHECK_RUN(kept_registration_expires);
	CHECK_RUN(qemu_registers_after_import);
	CHECK_RUN(forth_and_back);
	CHECK_RUN(abort_before_import);
	CHECK_RUN(abort_after_import);
	CHECK_RUN(older_hand_over_is_over);
	CHECK_RUN(abort_at_source_after_import);
	CHECK_RUN(export_twice);
	CHECK_RUN(release_before_import);
	CHECK_RUN(import_elsewhere);
	CHECK_RUN(fenced_in_between);
	CHECK_RUN(key_shared);
	CHECK_RUN(refusals);
	CHECK_RUN(generation_quirks);
	CHECK_RUN(return_to_exported);
	CHECK_RUN(aptpl_is_kept);
	return check_summary();
}
