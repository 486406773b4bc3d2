/* SPDX-License-Identifier: Apache-2.0 */
/* State files and state lines: what goes in comes out, and what is not whole is refused. */
#include "check.h"
#include "fields.h"
#include "record.h"

static void fill(struct record *record, struct unit_attentions *queue)
{
	*record = (struct record){
		.state = NEXUS_EXPORTED,
		.key = 0xabcdef0123456789u,
		.holder = true,
		.type = 5,
		.ptpl = true,
		.fenced_key = 7,
		.generation = 0xffffffffu,
		.out = {.row = 3,
			.key = 0xabcdef0123456789u,
			.type = 5,
			.generation = 9,
			.count = 2,
			.time_s = 1795000000},
		.in = {.row = 1, .fenced = true},
		.in_moves = 3,
		.step = RECORD_STEP_ABORT_TAKE_BACK,
		.pending = true,
		.pending_cdb = {0x5f, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		.pending_list = {1, 2, 3},
		.pending_list_len = 24,
		.own_transport_id = true,
		.relative_target_port = 2,
	};
	snprintf(record->out.id, sizeof(record->out.id), "%032x", 0x1234);
	snprintf(record->in.id, sizeof(record->in.id), "%032x", 0x9876);
	snprintf(record->lun, sizeof(record->lun), "t10.%%20odd+\"name\";x");
	snprintf(record->group, sizeof(record->group), "vms");
	record_add_transport_id(record, "iscsi:iqn.2026-11.org.example:a%2Ci%2C0x00023d000001",
				true);
	record_add_transport_id(record, "sas:5001405", false);
	*queue = (struct unit_attentions){.asc_ascq = {0x2900, 0x2a05}, .count = 2};
}

static void file_round_trip(void)
{
	struct record record, read = {0};
	struct unit_attentions queue, read_queue = {0};
	char text[RECORD_TEXT_MAX], again[RECORD_TEXT_MAX], reason[NEXUS_MESSAGE_MAX] = "";

	fill(&record, &queue);
	CHECK(record_format(&record, &queue, text));
	CHECK(record_parse(text, &read, &read_queue, reason));
	CHECK_STR(reason, "");
	CHECK(record_format(&read, &read_queue, again));
	CHECK_STR(again, text);
	CHECK_STR(read.lun, record.lun);
	CHECK_INT(read.key, record.key);
	CHECK_INT(read.step, RECORD_STEP_ABORT_TAKE_BACK);
	CHECK_INT(read_queue.asc_ascq[1], 0x2a05);
	CHECK_BYTES(read.pending_cdb, record.pending_cdb, PR_CDB_LEN);
	CHECK(record_knows_transport_id(&read, "sas:5001405"));
	CHECK(!record_knows_transport_id(&read, "sas:5001406"));
	CHECK(!record_knows_transport_id(&read, ""));
}

/* A file that was torn or changed anywhere is never half believed. */
static void every_torn_file_is_refused(void)
{
	struct record record, read;
	struct unit_attentions queue, read_queue;
	char text[RECORD_TEXT_MAX], reason[NEXUS_MESSAGE_MAX];
	size_t len;

	fill(&record, &queue);
	CHECK(record_format(&record, &queue, text));
	len = strlen(text);
	for (size_t cut = 0; cut < len; cut++) {
		char *torn = (char *)check_copy(text, cut + 1);

		torn[cut] = '\0';
		if (record_parse(torn, &read, &read_queue, reason))
			check_report(__FILE__, __LINE__, "cut at %zu of %zu is taken", cut, len);
		free(torn);
	}
	for (size_t at = 0; at < len; at++) {
		text[at] ^= 1;
		if (record_parse(text, &read, &read_queue, reason))
			check_report(__FILE__, __LINE__, "changed at %zu is taken", at);
		text[at] ^= 1;
	}
	CHECK(record_parse(text, &read, &read_queue, reason));
}

static void every_step_has_a_name(void)
{
	for (int a = 0; a < RECORD_STEP_COUNT; a++) {
		CHECK(record_step_name((enum record_step)a) != NULL);
		for (int b = 0; b < a; b++)
			CHECK(strcmp(record_step_name((enum record_step)a),
				     record_step_name((enum record_step)b)) != 0);
	}
}

static void line_round_trip(void)
{
	struct record record;
	struct unit_attentions queue;
	struct state_line line = {0};
	char text[NEXUS_STATE_LINE_MAX], reason[NEXUS_MESSAGE_MAX] = "";

	fill(&record, &queue);
	CHECK(state_line_format(&record, &queue, "vm1", text));
	CHECK(strlen(text) < 1024);
	/* Through a shell, and through the quotes that busctl prints. */
	for (const char *c = text; *c != '\0'; c++)
		CHECK(*c > ' ' && *c < 0x7f && strchr("\"'\\;`$&|<>()*?[]#~!{}+", *c) == NULL);
	CHECK(state_line_parse(text, &line, reason));
	CHECK_STR(reason, "");
	CHECK_STR(line.lun, record.lun);
	CHECK_STR(line.source, "vm1");
	CHECK_STR(line.terms.id, record.out.id);
	CHECK_INT(line.terms.generation, 9);
	CHECK_INT(line.terms.count, 2);
	CHECK_INT(line.unit_attentions.count, 2);
	CHECK_STR(line.transport_ids[1], "sas:5001405");
}

/* A newer minor version brings fields that this one does not know. */
static void newer_minor_version_is_read(void)
{
	struct record record;
	struct unit_attentions queue;
	struct state_line line;
	char text[NEXUS_STATE_LINE_MAX], newer[NEXUS_STATE_LINE_MAX + 64],
		reason[NEXUS_MESSAGE_MAX];
	char *crc;

	fill(&record, &queue);
	CHECK(state_line_format(&record, &queue, "vm1", text));
	crc = strstr(text, ",crc=");
	*crc = '\0';
	snprintf(newer, sizeof(newer), "prmig=1.7%s,flavour=new", text + strlen("prmig=1.0"));
	snprintf(newer + strlen(newer), sizeof(newer) - strlen(newer), ",crc=%08x",
		 fields_crc32(newer, strlen(newer)));
	CHECK(state_line_parse(newer, &line, reason));
	newer[6] = '3';
	CHECK(!state_line_parse(newer, &line, reason));
	CHECK_CONTAINS(reason, "version 3.7");
}

/* Whole, and yet it says what cannot be: made by hand, or by something else. */
static void contradictions_are_refused(void)
{
	static const struct record_terms bad[] = {
		{.row = 0},
		{.row = 2, .key = 0, .count = 1},
		{.row = 2, .key = 1, .count = 0},
		{.row = 3, .key = 1, .count = 1, .type = 7},
		{.row = 3, .key = 1, .count = 1, .type = 0},
		{.row = 4, .key = 1, .count = 1, .type = 5},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct unit_attentions none = {0};
		struct record record = {.lun = "naa.1", .out = bad[i]};
		struct state_line line;
		char text[NEXUS_STATE_LINE_MAX], reason[NEXUS_MESSAGE_MAX] = "";

		snprintf(record.out.id, sizeof(record.out.id), "%032x", 1);
		CHECK(state_line_format(&record, &none, "vm1", text));
		CHECK(!state_line_parse(text, &line, reason));
		CHECK_CONTAINS(reason, "contradicts itself");
	}
}

/* A refusal always says why: the caller shows it. */
static void moved_from_nowhere_is_refused(void)
{
	struct unit_attentions none = {0};
	struct record record = {.lun = "naa.1",
				.out = {.row = 3, .key = 1, .count = 1, .type = 5, .moved = true}};
	struct state_line line;
	char text[NEXUS_STATE_LINE_MAX], reason[NEXUS_MESSAGE_MAX] = "";

	snprintf(record.out.id, sizeof(record.out.id), "%032x", 1);
	CHECK(state_line_format(&record, &none, "vm1", text));
	CHECK(!state_line_parse(text, &line, reason));
	CHECK_STR(reason, "field 'origin' has no TransportID");
}

/* The longest iSCSI names: as many as fit go along. */
static void long_transport_ids(void)
{
	struct unit_attentions none = {0};
	struct record record = {.lun = "naa.1", .out = {.row = 1}};
	struct state_line line = {0};
	char text[NEXUS_STATE_LINE_MAX], file[RECORD_TEXT_MAX], reason[NEXUS_MESSAGE_MAX];

	snprintf(record.out.id, sizeof(record.out.id), "%032x", 1);
	for (int i = 0; i < RECORD_TRANSPORT_IDS; i++) {
		memset(record.transport_ids[i], '%', PR_TRANSPORT_ID_TEXT_MAX - 1);
		record.transport_ids[i][0] = (char)('a' + i);
	}
	CHECK(record_format(&record, &none, file));
	CHECK(state_line_format(&record, &none, "vm1", text));
	CHECK(state_line_parse(text, &line, reason));
	CHECK_INT(line.transport_ids[0][0], 'a');
	CHECK_INT(line.transport_ids[RECORD_TRANSPORT_IDS - 1][0], '\0');
}

static void unit_attentions_queue(void)
{
	struct unit_attentions queue = {0};

	for (uint16_t i = 0; i < 12; i++)
		unit_attentions_add(&queue, (uint16_t)(0x2a00 + i % 10));
	CHECK_INT(queue.count, RECORD_UNIT_ATTENTIONS);
	/* The oldest have made room; none stands twice. */
	CHECK_INT(unit_attentions_take(&queue), 0x2a04);
	CHECK_INT(unit_attentions_take(&queue), 0x2a05);
	unit_attentions_add(&queue, 0x2a07);
	CHECK_INT(queue.count, RECORD_UNIT_ATTENTIONS - 2);
}

/* There is none behind one that is empty: written again, the line would not have it. */
static void empty_transport_id(void)
{
	static const char bytes[] = "prmig=1.0,id=0123456789abcdef0123456789abcdef,row=1,key=0x0,"
				    "type=0,fenced=0,ptpl=0,moved=0,generation=0,count=0,"
				    "siblings=0,led=0,time=0,lun=naa.6001405,source=vm1,ua=,"
				    "nexus0=,nexus1=sas:5001405";
	struct state_line line;
	char text[NEXUS_STATE_LINE_MAX], reason[NEXUS_MESSAGE_MAX] = "";

	snprintf(text, sizeof(text), "%s,crc=%08x", bytes, fields_crc32(bytes, strlen(bytes)));
	CHECK(state_line_parse(text, &line, reason));
	CHECK_STR(reason, "");
	CHECK_STR(line.transport_ids[1], "");
}

static void own_transport_id_stays_first(void)
{
	struct record record = {0};

	record_add_transport_id(&record, "old", false);
	record_add_transport_id(&record, "own", true);
	record_add_transport_id(&record, "older", false);
	record_add_transport_id(&record, "own", false);
	record_add_transport_id(&record, "older", false);
	CHECK_STR(record.transport_ids[0], "own");
	CHECK_STR(record.transport_ids[1], "older");
	CHECK_STR(record.transport_ids[2], "old");
	CHECK_STR(record.transport_ids[3], "");
	record_add_transport_id(&record, "new", true);
	CHECK_STR(record.transport_ids[0], "new");
	CHECK(record_knows_transport_id(&record, "own"));
}

static void line_garbage(void)
{
	static const char *const garbage[] = {
		"",	     "prmig",	    "prmig=",	      "prmig=1",
		"prmig=1.",  "prmig=1.0",   "prmig=1.0,crc=", "prmig=1.0,id=%,crc=00000000",
		"PRMIG=1.0", "prmig=1.0\n", "prmig=x.0"};
	struct state_line line;
	char reason[NEXUS_MESSAGE_MAX];
	char *huge = malloc(NEXUS_STATE_LINE_MAX + 1);

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		reason[0] = '\0';
		CHECK(!state_line_parse(garbage[i], &line, reason));
		CHECK(reason[0] != '\0');
	}
	memset(huge, 'x', NEXUS_STATE_LINE_MAX);
	huge[NEXUS_STATE_LINE_MAX] = '\0';
	CHECK(!state_line_parse(huge, &line, reason));
	CHECK_CONTAINS(reason, "4096 bytes");
	free(huge);
}

int main(void)
{
	CHECK_RUN(file_round_trip);
	CHECK_RUN(every_torn_file_is_refused);
	CHECK_RUN(every_step_has_a_name);
	CHECK_RUN(line_round_trip);
	CHECK_RUN(newer_minor_version_is_read);
	CHECK_RUN(contradictions_are_refused);
	CHECK_RUN(moved_from_nowhere_is_refused);
	CHECK_RUN(long_transport_ids);
	CHECK_RUN(unit_attentions_queue);
	CHECK_RUN(empty_transport_id);
	CHECK_RUN(own_transport_id_stays_first);
	CHECK_RUN(line_garbage);
	return check_summary();
}
