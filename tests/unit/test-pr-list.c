/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "be.h"
#include "pr.h"

static const uint8_t golden_cdb[PR_CDB_LEN] = {0x5f, 0x04, 0x05, 0, 0, 0, 0, 0, 24, 0};
static const uint8_t golden_list[PR_OUT_LIST_LEN] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
						     0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x01,
						     0,	   0,	 0,    0,    0x01, 0,	 0,    0};

static void build(void)
{
	static const struct pr_out out = {
		.action = PR_OUT_PREEMPT,
		.type = PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY,
		.key = 0x1122334455667788,
		.new_key = 0xaabbccddeeff0001,
		.aptpl = true,
	};
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];

	memset(cdb, 0xee, sizeof(cdb));
	memset(list, 0xee, sizeof(list));
	pr_out_build(&out, cdb, list);
	CHECK_BYTES(cdb, golden_cdb, sizeof(cdb));
	CHECK_BYTES(list, golden_list, sizeof(list));
}

static void build_in(void)
{
	static const uint8_t want[PR_CDB_LEN] = {0x5e, 0x03, 0, 0, 0, 0, 0, 0x12, 0x34, 0};
	uint8_t cdb[PR_CDB_LEN];

	memset(cdb, 0xee, sizeof(cdb));
	pr_in_build(PR_IN_READ_FULL_STATUS, 0x1234, cdb);
	CHECK_BYTES(cdb, want, sizeof(want));
}

static void parse(void)
{
	struct pr_out out;

	CHECK(pr_out_parse(golden_cdb, golden_list, sizeof(golden_list), &out));
	CHECK_INT(out.action, PR_OUT_PREEMPT);
	CHECK_INT(out.scope, 0);
	CHECK_INT(out.type, 5);
	CHECK_INT(out.key, 0x1122334455667788);
	CHECK_INT(out.new_key, 0xaabbccddeeff0001);
	CHECK(out.aptpl && !out.all_tg_pt && !out.spec_i_pt);
	CHECK_INT(out.list_len, 24);
}

/* Each action with each flag, there and back; every bit of the list that is not a flag is set. */
static void parse_flags(void)
{
	for (uint8_t action = 0; action < 32; action++)
		for (unsigned int flags = 0; flags < 256; flags++) {
			uint8_t cdb[PR_CDB_LEN] = {0x5f, (uint8_t)(0xe0 | action), 0xf8};
			uint8_t list[PR_OUT_LIST_LEN];
			bool move = action == PR_OUT_REGISTER_AND_MOVE;
			struct pr_out out;

			be_put32(cdb + 5, 24);
			memset(list, 0xff, sizeof(list));
			list[20] = move ? 0xff : (uint8_t)flags;
			list[17] = move ? (uint8_t)flags : 0xff;
			CHECK(pr_out_parse(cdb, list, sizeof(list), &out));
			CHECK_INT(out.action, action);
			CHECK_INT(out.scope, 15);
			CHECK_INT(out.type, 8);
			CHECK_INT(out.aptpl, flags & 1);
			CHECK_INT(out.all_tg_pt, !move && (flags & 4));
			CHECK_INT(out.spec_i_pt, !move && (flags & 8));
		}
}

static void build_then_parse(void)
{
	for (unsigned int action = 0; action <= PR_OUT_REPLACE_LOST_RESERVATION; action++)
		for (unsigned int flags = 0; flags < 8; flags++) {
			struct pr_out out = {
				.action = (enum pr_out_action)action,
				.type = action,
				.key = 1,
				.new_key = UINT64_MAX,
				.aptpl = flags & 1,
				.all_tg_pt = flags & 2,
				.spec_i_pt = flags & 4,
			};
			struct pr_out back;
			uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];

			if (action == PR_OUT_REGISTER_AND_MOVE)
				continue;
			pr_out_build(&out, cdb, list);
			CHECK(pr_out_parse(cdb, list, sizeof(list), &back));
			CHECK_INT(back.action, out.action);
			CHECK_INT(back.type, out.type);
			CHECK_INT(back.key, out.key);
			CHECK_INT(back.new_key, out.new_key);
			CHECK_INT(back.aptpl, out.aptpl);
			CHECK_INT(back.all_tg_pt, out.all_tg_pt);
			CHECK_INT(back.spec_i_pt, out.spec_i_pt);
		}
}

static void parse_short(void)
{
	for (size_t len = 0; len <= 32; len++) {
		uint8_t bytes[32] = {0}, *list, *cdb = check_copy(golden_cdb, PR_CDB_LEN);
		struct pr_out out;

		memcpy(bytes, golden_list, sizeof(golden_list));
		list = check_copy(bytes, len);
		be_put32(cdb + 5, (uint32_t)len);
		CHECK_INT(pr_out_parse(cdb, list, len, &out), len >= 24);
		CHECK_INT(out.action, PR_OUT_PREEMPT);
		CHECK_INT(out.type, 5);
		CHECK_INT(out.list_len, len);
		if (len < 24)
			CHECK(!out.key && !out.new_key && !out.aptpl);

		/* a buffer longer than PARAMETER LIST LENGTH is no list */
		be_put32(cdb + 5, 23);
		CHECK(!pr_out_parse(cdb, list, len, &out));
		free(list);
		free(cdb);
	}
}

#define LENGTH_ERROR 0x1a00
#define FIELD_IN_CDB 0x2400
#define FIELD_IN_LIST 0x2600

static void refusal(void)
{
	for (uint8_t action = 0; action < 32; action++)
		for (unsigned int flags = 0; flags < 256; flags++) {
			uint8_t cdb[PR_CDB_LEN] = {0x5f, action};
			uint8_t list[PR_OUT_LIST_LEN] = {0};
			bool registers = action == 0 || action == 6;
			uint16_t want = 0;

			be_put32(cdb + 5, 24);
			list[20] = (uint8_t)flags;
			if (action == 7)
				want = FIELD_IN_CDB;
			else if (registers && (flags & 0x0c))
				want = FIELD_IN_LIST;
			CHECK_INT(pr_out_refusal(cdb, list, sizeof(list), true), want);
			CHECK_INT(pr_out_refusal(cdb, list, sizeof(list), false), 0);
		}
}

static void refusal_of_lengths(void)
{
	static const struct {
		uint32_t list_len;
		size_t buffer_len;
		uint16_t want;
	} cases[] = {
		{0, 0, 0},
		{0, 24, 0},
		{23, 23, 0},
		{24, 24, 0},
		{24, 512, 0},
		{24, 23, LENGTH_ERROR},
		{24, 0, LENGTH_ERROR},
		{1, 0, LENGTH_ERROR},
		{0xffffffff, 24, LENGTH_ERROR},
		{0x80000018, 24, LENGTH_ERROR},
		{0x00010018, 24, LENGTH_ERROR},
		{8192, 8192, 0},
		{8193, 8193, LENGTH_ERROR},
		{8193, 65536, LENGTH_ERROR},
	};
	static const uint8_t zeros[65536];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t cdb[PR_CDB_LEN] = {0x5f, PR_OUT_REGISTER};
		uint8_t *list = check_copy(zeros, cases[i].buffer_len);

		be_put32(cdb + 5, cases[i].list_len);
		for (int migrate_pr = 0; migrate_pr < 2; migrate_pr++)
			CHECK_INT(pr_out_refusal(cdb, list, cases[i].buffer_len, migrate_pr),
				  cases[i].want);
		free(list);
	}
}

/* The flags count wherever the list reaches them, and are not looked for where it does not. */
static void refusal_of_short_lists(void)
{
	uint8_t bytes[32];

	memset(bytes, 0xff, sizeof(bytes));
	for (size_t len = 0; len <= 32; len++) {
		uint8_t cdb[PR_CDB_LEN] = {0x5f, PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY};
		uint8_t *list = check_copy(bytes, len);

		be_put32(cdb + 5, (uint32_t)len);
		CHECK_INT(pr_out_refusal(cdb, list, len, true), len > 20 ? FIELD_IN_LIST : 0);
		CHECK_INT(pr_out_refusal(cdb, list, len, false), 0);
		free(list);
	}
}

static void names(void)
{
	static const char *const types[16] = {
		[0] = "none",
		[1] = "Write Exclusive",
		[3] = "Exclusive Access",
		[5] = "Write Exclusive, registrants only",
		[6] = "Exclusive Access, registrants only",
		[7] = "Write Exclusive, all registrants",
		[8] = "Exclusive Access, all registrants",
	};

	for (unsigned int type = 0; type < 256; type++) {
		const char *want = type < 16 && types[type] ? types[type] : "reserved";

		CHECK_STR(pr_type_name((uint8_t)type), want);
		CHECK_INT(pr_type_valid((uint8_t)type), type && type < 16 && types[type]);
		CHECK_INT(pr_type_all_registrants((uint8_t)type), type == 7 || type == 8);
	}
	for (unsigned int action = 0; action < 256; action++)
		CHECK(pr_out_action_name((uint8_t)action));
	CHECK_STR(pr_out_action_name(PR_OUT_REGISTER), "REGISTER");
	CHECK_STR(pr_out_action_name(PR_OUT_PREEMPT_AND_ABORT), "PREEMPT AND ABORT");
	CHECK_STR(pr_out_action_name(8), "REPLACE LOST RESERVATION");
	CHECK_STR(pr_out_action_name(9), "reserved");
}

int main(void)
{
	CHECK_RUN(build);
	CHECK_RUN(build_in);
	CHECK_RUN(parse);
	CHECK_RUN(parse_flags);
	CHECK_RUN(build_then_parse);
	CHECK_RUN(parse_short);
	CHECK_RUN(refusal);
	CHECK_RUN(refusal_of_lengths);
	CHECK_RUN(refusal_of_short_lists);
	CHECK_RUN(names);
	return check_summary();
}
