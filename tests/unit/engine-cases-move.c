/* SPDX-License-Identifier: Apache-2.0 */
/* REGISTER AND MOVE; SPEC_I_PT and ALL_TG_PT, which are refused: SIP_C and ATP_C are 0. */
#include "be.h"
#include "check.h"
#include "unit/engine-cases.h"
#include "unit/engine-world.h"

static void case_68_nothing_reserved(void)
{
	BEGIN("A:a");
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'b', .to = 'B'),
		  INVALID_FIELD_IN_CDB);
	STATE("A:a");
	MOVED(0);
}

static void case_69_not_the_holder(void)
{
	BEGIN("A:a B:b 1/A");
	CHECK_INT(OUT('B', REGISTER_AND_MOVE, .key = 'b', .new_key = 'c', .to = 'C'), CONFLICT);
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'x', .new_key = 'c', .to = 'C'), CONFLICT);
	STATE("A:a B:b 1/A");
	MOVED(0);
}

static void case_70_all_registrants(void)
{
	for (unsigned int type = 7; type <= 8; type++) {
		BEGIN(type == 7 ? "A:a B:b 7/all" : "A:a B:b 8/all");
		CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'b', .to = 'B'),
			  CONFLICT);
		STATE(type == 7 ? "A:a B:b 7/all" : "A:a B:b 8/all");
		MOVED(0);
	}
}

/* A move of A's to B, with its list as given. */
static uint32_t move_raw(struct engine_world *w, const uint8_t *id, uint32_t id_len,
			 uint32_t said_id_len, uint32_t list_len)
{
	const struct pr_move move = {
		.key = engine_key('a'),
		.new_key = engine_key('b'),
		.relative_target_port = 1,
		.transport_id = id,
		.transport_id_len = id_len,
	};
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_MAX + 4] = {0}, *copy;
	uint32_t end;

	pr_move_build(&move, cdb, list);
	be_put32(cdb + 5, list_len);
	be_put32(list + 20, said_id_len);
	copy = check_copy(list, list_len);
	end = engine_out_raw(w, 'A', cdb, copy, list_len);
	free(copy);
	return end;
}

/* B's TransportID, as READ FULL STATUS has it: 68 bytes at most. */
static uint32_t id_of_b(uint8_t *id)
{
	static const char text[] = "iqn.2026-11.org.prmig:vm-b,i,0x000000000000";

	memset(id, 0, 68);
	id[0] = 0x45;
	be_put16(id + 2, 44);
	memcpy(id + 4, text, sizeof(text) - 1);
	return 48;
}

static void case_71_bad_lists(void)
{
	uint8_t id[68];
	uint32_t len = id_of_b(id);

	BEGIN("A:a P:p 5/A");
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .to = 'B'), INVALID_FIELD_IN_LIST);
	/* The sender's own port, on its own target port and on another. */
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'x', .to = 'A'),
		  INVALID_FIELD_IN_LIST);
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'x', .to = 'P'),
		  INVALID_FIELD_IN_LIST);
	/* A target port that B is not known at. */
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'b', .to = 'B', .port = 2),
		  INVALID_FIELD_IN_LIST);
	CHECK_INT(move_raw(w, id, len, len, 20), LENGTH_ERROR);
	CHECK_INT(move_raw(w, id, len, 20, 24 + len), INVALID_FIELD_IN_LIST);
	CHECK_INT(move_raw(w, id, len, 26, 24 + len), INVALID_FIELD_IN_LIST);
	/* Found before it is asked who sends it. */
	w->engine.nexuses[engine_slot(w, 'A')].key = 0;
	CHECK_INT(move_raw(w, id, len, 20, 24 + len), INVALID_FIELD_IN_LIST);
	CHECK_INT(move_raw(w, id, len, 26, 24 + len), INVALID_FIELD_IN_LIST);
	CHECK_INT(move_raw(w, id, len, 24, 24 + len), CONFLICT);
	w->engine.nexuses[engine_slot(w, 'A')].key = engine_key('a');
	CHECK_INT(move_raw(w, id, len, len, 24 + len - 1), LENGTH_ERROR);
	CHECK_INT(move_raw(w, id, len, UINT32_MAX, 24 + len), LENGTH_ERROR);
	/* A TransportID that says it is longer than its length. */
	be_put16(id + 2, 48);
	CHECK_INT(move_raw(w, id, len, len, 24 + len), INVALID_FIELD_IN_LIST);
	/* By the initiator's name alone, and of another protocol. */
	id_of_b(id);
	id[0] = 0x05;
	memset(id + 4 + strlen("iqn.2026-11.org.prmig:vm-b"), 0, strlen(",i,0x000000000000"));
	CHECK_INT(move_raw(w, id, len, len, 24 + len), INVALID_FIELD_IN_LIST);
	/* As that name's own end what would be the ISID. */
	id_of_b(id);
	id[0] = 0x05;
	CHECK_INT(move_raw(w, id, len, len, 24 + len), INVALID_FIELD_IN_LIST);
	id_of_b(id);
	id[0] = 0x06;
	CHECK_INT(move_raw(w, id, len, len, 24 + len), INVALID_FIELD_IN_LIST);
	/* A nexus that the LUN does not know. */
	id_of_b(id);
	id[4 + strlen("iqn.2026-11.org.prmig:vm-")] = 'z';
	CHECK_INT(move_raw(w, id, len, len, 24 + len), INVALID_FIELD_IN_LIST);
	/* More than is taken. */
	id_of_b(id);
	CHECK_INT(move_raw(w, id, len, len, PR_OUT_LIST_MAX + 4), LENGTH_ERROR);
	STATE("A:a P:p 5/A");
	MOVED(0);
	/* In upper case it is the same port; what follows the TransportID is not looked at. */
	id_of_b(id);
	memcpy(id + 4, "IQN", 3);
	CHECK_INT(move_raw(w, id, len, len, PR_OUT_LIST_MAX), GOOD);
	STATE("A:a B:b P:p 5/B");
}

static void case_72_move_to_unregistered(void)
{
	static const char *const before[] = {"A:a C:c 1/A", "A:a C:c 3/A", "A:a C:c 5/A",
					     "A:a C:c 6/A"};
	static const char *const after[] = {"A:a B:b C:c 1/B", "A:a B:b C:c 3/B", "A:a B:b C:c 5/B",
					    "A:a B:b C:c 6/B"};

	for (unsigned int i = 0; i < 4; i++) {
		BEGIN(before[i]);
		CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'b', .to = 'B'), GOOD);
		STATE(after[i]);
		MOVED(1);
		ATTENTIONS("");
	}
}

static void case_73_move_to_registered(void)
{
	BEGIN("A:a B:b 5/A");
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'x', .to = 'B',
		      .unregister = true, .aptpl = true),
		  GOOD);
	STATE("B:x 5/B aptpl");
	MOVED(1);
	ATTENTIONS("");
	CHECK_INT(OUT('B', REGISTER_AND_MOVE, .key = 'x', .new_key = 'a', .to = 'A'), GOOD);
	STATE("A:a B:x 5/A");
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'x', .to = 'B',
		      .unregister = true, .aptpl = true),
		  GOOD);
	STATE("B:x 5/B aptpl");
	MOVED(3);
	/* To a nexus that is not open, and to one that the LUN knows no more. */
	engine_world_begin(w, true, "A:a B:b 1/A");
	pr_engine_close(&w->engine, engine_slot(w, 'B'));
	pr_engine_close(&w->engine, engine_slot(w, 'C'));
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'c', .to = 'C'),
		  INVALID_FIELD_IN_LIST);
	CHECK_INT(OUT('A', REGISTER_AND_MOVE, .key = 'a', .new_key = 'x', .to = 'B'), GOOD);
	STATE("A:a B:x 1/B");
}

/* SPEC_I_PT with a list of TransportIDs: B's and C's, of which the first says said_len for its length. */
static uint32_t register_for(struct engine_world *w, uint32_t said_list_len, uint16_t said_len,
			     uint32_t list_len)
{
	const struct pr_out out = {
		.action = PR_OUT_REGISTER,
		.new_key = engine_key('k'),
		.spec_i_pt = true,
	};
	uint8_t cdb[PR_CDB_LEN], list[256] = {0}, *copy;
	uint32_t end, len = 28;

	pr_out_build(&out, cdb, list);
	be_put32(cdb + 5, list_len);
	be_put32(list + 24, said_list_len);
	for (unsigned int i = 0; i < 2; i++) {
		len += id_of_b(list + len);
		list[len - 48 + 4 + strlen("iqn.2026-11.org.prmig:vm-")] = i ? 'c' : 'b';
	}
	be_put16(list + 30, said_len);
	copy = check_copy(list, list_len);
	end = engine_out_raw(w, 'A', cdb, copy, list_len);
	free(copy);
	return end;
}

static void case_74_spec_i_pt(void)
{
	BEGIN("");
	CHECK_INT(register_for(w, 96, 44, 124), INVALID_FIELD_IN_LIST);
	STATE("");
	MOVED(0);
	engine_world_begin(w, true, "B:b");
	CHECK_INT(register_for(w, 96, 44, 124), INVALID_FIELD_IN_LIST);
	STATE("B:b");
	MOVED(0);
}

static void case_75_spec_i_pt_cut(void)
{
	BEGIN("");
	CHECK_INT(register_for(w, 96, 200, 124), INVALID_FIELD_IN_LIST);
	CHECK_INT(register_for(w, UINT32_MAX, 44, 124), INVALID_FIELD_IN_LIST);
	for (uint32_t len = 24; len < 124; len++)
		CHECK_INT(register_for(w, 96, 44, len), INVALID_FIELD_IN_LIST);
	STATE("");
	MOVED(0);
}

static void case_76_all_tg_pt(void)
{
	BEGIN("");
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a', .all_tg_pt = true), INVALID_FIELD_IN_LIST);
	STATE("");
	MOVED(0);
	/* Port by port both are there, each with ALL_TG_PT 0. */
	CHECK_INT(OUT('A', REGISTER, .new_key = 'a'), GOOD);
	CHECK_INT(OUT('P', REGISTER, .new_key = 'a'), GOOD);
	STATE("A:a P:a");
	MOVED(2);
}

const struct engine_case engine_cases_move[] = {
	ENGINE_CASE(68, nothing_reserved),
	ENGINE_CASE(69, not_the_holder),
	ENGINE_CASE(70, all_registrants),
	ENGINE_CASE(71, bad_lists),
	ENGINE_CASE(72, move_to_unregistered),
	ENGINE_CASE(73, move_to_registered),
	ENGINE_CASE(74, spec_i_pt),
	ENGINE_CASE(75, spec_i_pt_cut),
	ENGINE_CASE(76, all_tg_pt),
	ENGINE_CASES_END,
};
