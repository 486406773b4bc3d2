/* SPDX-License-Identifier: Apache-2.0 */
/* Which commands pass a reservation, and in which order what stands in their way is reported. */
#include "be.h"
#include "check.h"
#include "unit/engine-cases.h"
#include "unit/engine-world.h"

struct row {
	uint8_t cdb[SCSI_CDB_MAX];
};

/* SPC-4 table 65, SBC-4 table 13. */
static const struct row class_u[] = {
	{{0x00}},		 /* TEST UNIT READY */
	{{0x03}},		 /* REQUEST SENSE */
	{{0x12}},		 /* INQUIRY */
	{{0x1b, 0, 0, 0, 0x01}}, /* START STOP UNIT, to start */
	{{0x1b, 1, 0, 0, 0x07}}, /* the same, IMMED, NO_FLUSH, LOEJ */
	{{0x1e, 0, 0, 0, 0x00}}, /* PREVENT ALLOW MEDIUM REMOVAL, to allow */
	{{0x25}},		 /* READ CAPACITY (10) */
	{{0x4d}},		 /* LOG SENSE */
	{{0x5e, 0x00}},		 /* PERSISTENT RESERVE IN */
	{{0x5e, 0x01}},
	{{0x5e, 0x02}},
	{{0x5e, 0x03}},
	{{0x84, 0x00}}, /* RECEIVE COPY RESULTS */
	{{0x84, 0x01}},
	{{0x84, 0x03}},
	{{0x84, 0x04}},
	{{0x84, 0x05}},
	{{0x84, 0x06}},
	{{0x84, 0x07}}, /* RECEIVE ROD TOKEN INFORMATION */
	{{0x84, 0x08}}, /* REPORT ALL ROD TOKENS */
	{{0x86}},	/* ACCESS CONTROL IN */
	{{0x87}},	/* ACCESS CONTROL OUT */
	{{0x9e, 0x10}}, /* READ CAPACITY (16) */
	{{0x9e, 0x13}}, /* REPORT REFERRALS */
	{{0xa0}},	/* REPORT LUNS */
	{{0xa3, 0x05}}, /* REPORT IDENTIFYING INFORMATION */
	{{0xa3, 0x0a}}, /* REPORT TARGET PORT GROUPS */
	{{0xa3, 0x0b}}, /* REPORT ALIASES */
	{{0xa3, 0x0e}}, /* REPORT PRIORITY */
	{{0xa3, 0x0f}}, /* REPORT TIMESTAMP */
	{{0xab, 0x01}}, /* READ MEDIA SERIAL NUMBER */
};

static const struct row class_r[] = {
	{{0x08}},
	{{0x28}},
	{{0xa8}},
	{{0x88}},
	{{0x7f, 0, 0, 0, 0, 0, 0, 0x18, 0, 0x09}}, /* READ */
	{{0x34}},
	{{0x90}}, /* PRE-FETCH */
	{{0x2f}},
	{{0x2f, 0x02}},
	{{0x2f, 0x06}},
	{{0xaf}},
	{{0xaf, 0x02}},
	{{0x8f}}, /* VERIFY */
	{{0x8f, 0x02}},
	{{0x9e, 0x12}}, /* GET LBA STATUS */
	{{0x9e, 0x17}}, /* GET PHYSICAL ELEMENT STATUS */
	{{0x9e, 0x16}}, /* GET STREAM STATUS */
	{{0x83, 0x10}}, /* POPULATE TOKEN */
	{{0x37}},
	{{0xb7}}, /* READ DEFECT DATA */
	{{0x1a}},
	{{0x5a}}, /* MODE SENSE */
	{{0x3c}},
	{{0x9b}},	/* READ BUFFER */
	{{0x8c}},	/* READ ATTRIBUTE */
	{{0x1c}},	/* RECEIVE DIAGNOSTIC RESULTS */
	{{0xa3, 0x0c}}, /* REPORT SUPPORTED OPERATION CODES */
	{{0xa3, 0x0d}}, /* REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS */
	{{0xa3, 0x10}}, /* MANAGEMENT PROTOCOL IN */
	{{0xa2}},	/* SECURITY PROTOCOL IN */
};

static const struct row class_w[] = {
	{{0x0a}},
	{{0x2a}},
	{{0xaa}},
	{{0x8a}},
	{{0x7f, 0, 0, 0, 0, 0, 0, 0x18, 0, 0x0b}}, /* WRITE */
	{{0x2e}},
	{{0xae}},
	{{0x8e}}, /* WRITE AND VERIFY */
	{{0x41}},
	{{0x93}},
	{{0x7f, 0, 0, 0, 0, 0, 0, 0x18, 0, 0x0d}}, /* WRITE SAME */
	{{0x3f}},
	{{0x9f, 0x11}}, /* WRITE LONG */
	{{0x9c}},
	{{0x9a}},
	{{0x9f, 0x12}}, /* WRITE ATOMIC, STREAM, SCATTERED */
	{{0x89}},
	{{0x8b}},
	{{0x42}}, /* COMPARE AND WRITE, ORWRITE, UNMAP */
	{{0x35}},
	{{0x91}}, /* SYNCHRONIZE CACHE */
	{{0x04}},
	{{0x38}},
	{{0x48, 0x02}},		 /* FORMAT UNIT, FORMAT WITH PRESET, SANITIZE */
	{{0x07}},		 /* REASSIGN BLOCKS */
	{{0x1b, 0, 0, 0, 0x00}}, /* START STOP UNIT, to stop */
	{{0x1b, 0, 0, 0, 0x31}}, /* the same, POWER CONDITION */
	{{0x1e, 0, 0, 0, 0x01}},
	{{0x1e, 0, 0, 0, 0x02}}, /* PREVENT ALLOW MEDIUM REMOVAL */
	{{0x15}},
	{{0x55}},
	{{0x4c}}, /* MODE SELECT, LOG SELECT */
	{{0x1d}},
	{{0x3b}},
	{{0x8d}}, /* SEND DIAGNOSTIC, WRITE BUFFER, WRITE ATTRIBUTE */
	{{0x83, 0x00}},
	{{0x83, 0x01}}, /* EXTENDED COPY */
	{{0x83, 0x11}},
	{{0x83, 0x1c}}, /* WRITE USING TOKEN, COPY OPERATION ABORT */
	{{0xa4, 0x06}},
	{{0xa4, 0x0a}},
	{{0xa4, 0x0b}},
	{{0xa4, 0x0c}}, /* MAINTENANCE OUT */
	{{0xa4, 0x0e}},
	{{0xa4, 0x0f}},
	{{0xa4, 0x10}},
	{{0xb5}}, /* SECURITY PROTOCOL OUT */
	{{0x9e, 0x15}},
	{{0x9e, 0x14}}, /* BACKGROUND CONTROL, STREAM CONTROL */
	{{0x3e}},
	{{0x9e, 0x11}}, /* READ LONG */
	{{0x50}},
	{{0x51}},
	{{0x52}},
	{{0x53}},
	{{0x80}}, /* XDWRITE and its kin */
	{{0x02}},
	{{0x9e, 0x1f}},
	{{0xa3, 0x1f}},
	{{0xc1}},
	{{0x7f}}, /* listed nowhere */
};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void check_rows(struct engine_world *w, char nexus, const struct row *rows, size_t count,
		       bool conflicts)
{
	for (size_t i = 0; i < count; i++) {
		char note[32];

		snprintf(note, sizeof(note), "%02x %02x %c", rows[i].cdb[0], rows[i].cdb[1], nexus);
		CHECK_NOTE(note);
		CHECK_INT(engine_command(w, nexus, rows[i].cdb), conflicts ? CONFLICT : GOOD);
	}
}

/* A holds or is a registrant as B is; C is not registered. */
static void case_79_grid(void)
{
	static const struct {
		const char *state;
		bool b_restricted, write_exclusive;
	} grid[] = {
		{"A:a B:b 1/A", true, true},	{"A:a B:b 3/A", true, false},
		{"A:a B:b 5/A", false, true},	{"A:a B:b 6/A", false, false},
		{"A:a B:b 7/all", false, true}, {"A:a B:b 8/all", false, false},
	};

	for (size_t i = 0; i < COUNT(grid); i++) {
		bool reads = grid[i].write_exclusive;
		bool b = grid[i].b_restricted;

		BEGIN(grid[i].state);
		CHECK_INT(COMMAND('A', READ_10), GOOD);
		CHECK_INT(COMMAND('A', WRITE_10), GOOD);
		CHECK_INT(COMMAND('B', READ_10), b && !reads ? CONFLICT : GOOD);
		CHECK_INT(COMMAND('B', WRITE_10), b ? CONFLICT : GOOD);
		CHECK_INT(COMMAND('C', READ_10), reads ? GOOD : CONFLICT);
		CHECK_INT(COMMAND('C', WRITE_10), CONFLICT);
		/* And so every command of its class. */
		check_rows(w, 'A', class_u, COUNT(class_u), false);
		check_rows(w, 'A', class_r, COUNT(class_r), false);
		check_rows(w, 'A', class_w, COUNT(class_w), false);
		check_rows(w, 'B', class_u, COUNT(class_u), false);
		check_rows(w, 'B', class_r, COUNT(class_r), b && !reads);
		check_rows(w, 'B', class_w, COUNT(class_w), b);
		check_rows(w, 'C', class_u, COUNT(class_u), false);
		check_rows(w, 'C', class_r, COUNT(class_r), !reads);
		check_rows(w, 'C', class_w, COUNT(class_w), true);
		STATE(grid[i].state);
	}
}

static void case_80_class_u_under_exclusive_access(void)
{
	BEGIN("A:a 3/A");
	check_rows(w, 'B', class_u, COUNT(class_u), false);
	STATE("A:a 3/A");
}

static void case_81_class_w_under_write_exclusive(void)
{
	BEGIN("A:a 1/A");
	check_rows(w, 'B', class_w, COUNT(class_w), true);
	STATE("A:a 1/A");
}

static void case_82_class_r(void)
{
	BEGIN("A:a 1/A");
	check_rows(w, 'B', class_r, COUNT(class_r), false);
	engine_world_begin(w, true, "A:a 3/A");
	check_rows(w, 'B', class_r, COUNT(class_r), true);
}

static void case_83_conflict_says_nothing_more(void)
{
	struct pr_engine_answer answer;
	uint8_t cdb[SCSI_CDB_MAX] = {WRITE_10};

	BEGIN("A:a B:b 1/A");
	CHECK(!pr_engine_admits(&w->engine, engine_slot(w, 'B'), cdb, &answer));
	CHECK_INT(answer.status, SCSI_RESERVATION_CONFLICT);
	CHECK_INT(answer.sense_key, 0);
	CHECK_INT(answer.asc_ascq, 0);
	STATE("A:a B:b 1/A");
	MOVED(0);
	ATTENTIONS("");
}

static void case_84_conflict_before_unit_attention(void)
{
	BEGIN("A:a B:b 3/A");
	CHECK_INT(OUT('B', PREEMPT, .key = 'b', .new_key = 'a', .type = 3), GOOD);
	CHECK_INT(COMMAND('A', WRITE_10), CONFLICT);
	CHECK_INT(COMMAND('A', WRITE_10), CONFLICT);
	CHECK_INT(COMMAND('A', SCSI_INQUIRY), GOOD); /* tells and clears none */
	CHECK_INT(COMMAND('A', SCSI_REPORT_LUNS), GOOD);
	CHECK_INT(COMMAND('A', SCSI_REQUEST_SENSE), GOOD);
	CHECK_INT(COMMAND('A', TEST_UNIT_READY), UA5);
	CHECK_INT(COMMAND('A', TEST_UNIT_READY), GOOD);
	/* POWER ON comes before the conflict, what waited longer or not. */
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a'), GOOD);
	CHECK_INT(OUT('B', CLEAR, .key = 'b'), GOOD);
	CHECK_INT(OUT('B', REGISTER, .new_key = 'b'), GOOD);
	CHECK_INT(OUT('B', RESERVE, .key = 'b', .type = 3), GOOD);
	CHECK(pr_engine_add_unit_attention(&w->engine, engine_slot(w, 'A'), 0x2900));
	CHECK_INT(COMMAND('A', WRITE_10), POWER_ON);
	CHECK_INT(COMMAND('A', WRITE_10), CONFLICT);
	CHECK_INT(COMMAND('A', TEST_UNIT_READY), UA3);
	ATTENTIONS("");
}

static void case_85_unit_attention_before_register(void)
{
	BEGIN("A:a B:b");
	CHECK_INT(OUT('A', PREEMPT, .key = 'a', .new_key = 'b'), GOOD);
	CHECK_INT(OUT('B', REGISTER, .new_key = 'b'), UA5);
	STATE("A:a");
	CHECK_INT(OUT('B', REGISTER, .new_key = 'b'), GOOD);
	STATE("A:a B:b");
	MOVED(2);
	ATTENTIONS("");
}

/* Both have been let in; one of them is decided first. */
static void case_86_preempt_each_other(void)
{
	for (unsigned int first = 0; first < 2; first++) {
		const struct pr_out by_a = {.action = PR_OUT_PREEMPT,
					    .key = engine_key('a'),
					    .new_key = engine_key('b')};
		const struct pr_out by_b = {.action = PR_OUT_PREEMPT,
					    .key = engine_key('b'),
					    .new_key = engine_key('a')};
		uint8_t cdb_a[PR_CDB_LEN], list_a[PR_OUT_LIST_LEN];
		uint8_t cdb_b[PR_CDB_LEN], list_b[PR_OUT_LIST_LEN];

		BEGIN("A:a B:b");
		pr_out_build(&by_a, cdb_a, list_a);
		pr_out_build(&by_b, cdb_b, list_b);
		if (first == 0) {
			CHECK_INT(engine_out_raw(w, 'A', cdb_a, list_a, sizeof(list_a)), GOOD);
			CHECK_INT(engine_out_raw(w, 'B', cdb_b, list_b, sizeof(list_b)), CONFLICT);
			STATE("A:a");
			ATTENTIONS("B:2a05");
		} else {
			CHECK_INT(engine_out_raw(w, 'B', cdb_b, list_b, sizeof(list_b)), GOOD);
			CHECK_INT(engine_out_raw(w, 'A', cdb_a, list_a, sizeof(list_a)), CONFLICT);
			STATE("B:b");
			ATTENTIONS("A:2a05");
		}
		MOVED(1);
	}
}

static const uint8_t reserve_and_release[] = {SCSI_RESERVE_6, SCSI_RELEASE_6, SCSI_RESERVE_10,
					      SCSI_RELEASE_10};

/* Refused, so that nothing is ever held by it and everything else goes on. */
static void case_87_reserve_refused(void)
{
	BEGIN("");
	for (size_t i = 0; i < COUNT(reserve_and_release); i++)
		CHECK_INT(COMMAND('A', reserve_and_release[i]), INVALID_OPERATION_CODE);
	CHECK_INT(COMMAND('B', SCSI_PR_IN), GOOD);
	CHECK_INT(COMMAND('A', SCSI_PR_IN), GOOD);
	CHECK_INT(COMMAND('B', WRITE_10), GOOD);
	CHECK_INT(OUT('B', REGISTER, .new_key = 'b'), GOOD);
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a'), GOOD);
	STATE("A:a B:b");
}

static void case_88_crh_0(void)
{
	static const char *const states[] = {"A:a", "A:a 1/A", "A:a B:b 5/A", "A:a B:b 8/all"};
	struct engine_in in;

	for (size_t state = 0; state < COUNT(states); state++) {
		BEGIN(states[state]);
		in = engine_in(w, PR_IN_REPORT_CAPABILITIES, 8);
		CHECK_INT(in.data[2] & 0x10, 0);
		for (size_t i = 0; i < COUNT(reserve_and_release); i++)
			for (const char *nexus = "ABC"; *nexus != '\0'; nexus++)
				CHECK_INT(COMMAND(*nexus, reserve_and_release[i]),
					  INVALID_OPERATION_CODE);
		CHECK_INT(COMMAND('C', WRITE_10), state == 0 ? GOOD : CONFLICT);
		STATE(states[state]);
		MOVED(0);
		ATTENTIONS("");
	}
}

const struct engine_case engine_cases_matrix[] = {
	ENGINE_CASE(79, grid),
	ENGINE_CASE(80, class_u_under_exclusive_access),
	ENGINE_CASE(81, class_w_under_write_exclusive),
	ENGINE_CASE(82, class_r),
	ENGINE_CASE(83, conflict_says_nothing_more),
	ENGINE_CASE(84, conflict_before_unit_attention),
	ENGINE_CASE(85, unit_attention_before_register),
	ENGINE_CASE(86, preempt_each_other),
	ENGINE_CASE(87, reserve_refused),
	ENGINE_CASE(88, crh_0),
	ENGINE_CASES_END,
};
