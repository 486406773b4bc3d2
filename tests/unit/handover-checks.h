/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold at the end of every run in the world; included by the tests, whose checks count for themselves. */
#ifndef PRMIG_TEST_HANDOVER_CHECKS_H
#define PRMIG_TEST_HANDOVER_CHECKS_H

#include "check.h"
#include "unit/handover-world.h"

/* Those that are led are where the first one is. */
static inline void world_check_siblings_at(const struct side *side)
{
	const struct group_host *here = world_host(side);
	const struct group_host *there =
		side == &world.source ? &world.destination_host : &world.source_host;
	const struct world_row *row = world.row;
	struct fake_state state;

	fake_lun_get_state(world.lun, &state);
	for (unsigned int i = 1; i <= world.siblings; i++) {
		const struct side *sibling = here->sides[i], *other = there->sides[i];
		uint64_t key = row->row > 1 ? world_key(i) : 0;

		CHECK_INT(state.nexus[sibling->nexus].key, key);
		CHECK_INT(state.nexus[other->nexus].key, 0);
		CHECK_INT(sibling->record.state, NEXUS_ACTIVE);
		CHECK(sibling->gate_open);
		CHECK_INT(sibling->record.key, key);
		CHECK(!sibling->record.fenced && !other->record.fenced);
		CHECK_INT(sibling->record.step, RECORD_STEP_NONE);
		CHECK_INT(other->record.key, 0);
		CHECK_INT(other->record.in_registered, 0);
		CHECK_INT(sibling->unjournalled + other->unjournalled, 0);
	}
}

/* The guest's registration and reservation are at side, once, its gate is open, and memory agrees. */
static inline void world_check_at(const struct side *side)
{
	const struct side *other = side == &world.source ? &world.destination : &world.source;
	const struct world_row *row = world.row;
	uint64_t key = row->row > 1 ? KEY_S : 0;
	struct fake_state state;

	fake_lun_get_state(world.lun, &state);
	CHECK_INT(state.nexus[side->nexus].key, key);
	CHECK_INT(state.nexus[other->nexus].key, 0);
	CHECK_INT(state.held, row->type != 0);
	CHECK_INT(state.type, row->type);
	if (row->row == 3)
		CHECK_INT(state.holder, (int)side->nexus);
	CHECK_INT(side->record.state, NEXUS_ACTIVE);
	CHECK(side->gate_open);
	CHECK_INT(side->record.key, key);
	CHECK_INT(side->record.holder, row->row >= 3);
	CHECK_INT(side->record.type, row->row >= 3 ? row->type : 0);
	CHECK(!side->record.fenced);
	CHECK_INT(side->record.step, RECORD_STEP_NONE);
	CHECK_INT(other->record.key, 0);
	CHECK_INT(other->record.in_registered, 0);
	CHECK(!other->record.fenced);
	world_check_siblings_at(side);
}

/* No gap of prmig's making, the stranger unharmed, never two doors, nothing sent that is not journalled. */
static inline void world_check_invariants(uint64_t gaps_of_others, bool stranger_stays)
{
	struct fake_monitor monitor;

	fake_lun_get_monitor(world.lun, &monitor);
	CHECK_INT(monitor.gaps, gaps_of_others);
	if (stranger_stays && world.kind != WORLD_NO_STRANGER)
		CHECK_INT(fake_lun_count_key(world.lun, KEY_X), 1);
	CHECK(!world.doors);
	CHECK_INT(world.source.unjournalled + world.destination.unjournalled, 0);
}

#endif
