/* SPDX-License-Identifier: Apache-2.0 */
/* A guest with several nexuses on one LUN, with one key or with one each: its group moves whole, there and back. */
#include "unit/handover-checks.h"

static struct fake_state state_now(void)
{
	struct fake_state state;

	fake_lun_get_state(world.lun, &state);
	return state;
}

static void set_up(size_t row, enum world_kind kind, unsigned int siblings, bool own_keys)
{
	world_siblings = (struct world_siblings){.count = siblings, .own_keys = own_keys};
	world_set_up(&world_rows[row], kind);
}

static void tear_down(void)
{
	world_check_invariants(0, true);
	world_tear_down();
}

static void moves_there_and_back(void)
{
	for (int kind = 0; kind < WORLD_KINDS; kind++)
		for (size_t i = 0; i < world_row_count; i++)
			for (int variant = 0; variant < 3; variant++) {
				CHECK_NOTE(world_rows[i].name);
				if (kind == WORLD_NO_STRANGER && world_rows[i].type != 0 &&
				    !world_rows[i].source_holds)
					continue;
				set_up(i, kind, 1 + variant % 2, variant == 2);
				CHECK_INT(world_export(&world.source, world.line), NEXUS_OK);
				CHECK_INT(world_export(&world.source, world.line), NEXUS_OK);
				CHECK_INT(group_host_call(&world.destination_host, NEXUS_CHECK,
							  world.line, false),
					  NEXUS_OK);
				CHECK_INT(world_import(&world.destination, world.line), NEXUS_OK);
				CHECK_INT(world_import(&world.destination, world.line), NEXUS_OK);
				CHECK_INT(world_release(&world.source, false), NEXUS_OK);
				world_check_at(&world.destination);
				CHECK_INT(world_export(&world.destination, world.line), NEXUS_OK);
				CHECK_INT(world_import(&world.source, world.line), NEXUS_OK);
				CHECK_INT(world_release(&world.destination, false), NEXUS_OK);
				world_check_at(&world.source);
				tear_down();
			}
}

static void aborts_give_all_back(void)
{
	for (size_t i = 0; i < world_row_count; i++)
		for (unsigned int siblings = 1; siblings <= WORLD_SIBLINGS_MAX; siblings++)
			for (int imported = 0; imported < 2; imported++) {
				CHECK_NOTE(world_rows[i].name);
				set_up(i, WORLD_STANDARD, siblings, false);
				CHECK_INT(world_export(&world.source, world.line), NEXUS_OK);
				if (imported)
					CHECK_INT(world_import(&world.destination, world.line),
						  NEXUS_OK);
				CHECK_INT(world_back(), NEXUS_OK);
				world_check_at(&world.source);
				/* Its lines are of no use any more. */
				if (world_rows[i].row > 1)
					CHECK_INT(world_import(&world.destination, world.line),
						  NEXUS_ERROR_STALE);
				tear_down();
			}
}

/* Before Import nobody is to be removed: those that are led keep their keys all the while. */
static void an_early_abort_removes_nobody(void)
{
	struct fake_monitor before, after;

	set_up(6, WORLD_STANDARD, 2, false);
	CHECK_INT(world_export(&world.source, world.line), NEXUS_OK);
	fake_lun_get_monitor(world.lun, &before);
	CHECK_INT(world_abort(&world.source, "", false), NEXUS_OK);
	fake_lun_get_monitor(world.lun, &after);
	CHECK_INT(after.gaps, before.gaps);
	for (unsigned int i = 0; i <= world.siblings; i++)
		CHECK(!world.source_host.sides[i]->record.take_back_sent &&
		      !world.source_host.sides[i]->record.take_back);
	world_check_at(&world.source);
	tear_down();
}

static void a_stranger_with_the_key_is_not_thrown_out(void)
{
	for (int kind = 0; kind < 3; kind++) {
		set_up(6, kind, 1, false);
		CHECK_INT(side_stranger(world.lun, NEWCOMER, PR_OUT_REGISTER, 0, KEY_S, 0, false),
			  SCSI_GOOD);
		CHECK_INT(world_export(&world.source, world.line), NEXUS_OK);
		CHECK_INT(world_import(&world.destination, world.line), NEXUS_ERROR_KEY_SHARED);
		CHECK_INT(state_now().nexus[NEWCOMER].key, KEY_S);
		CHECK_INT(world_back(), NEXUS_OK);
		CHECK_INT(side_stranger(world.lun, NEWCOMER, PR_OUT_REGISTER, KEY_S, 0, 0, false),
			  SCSI_GOOD);
		world_check_at(&world.source);
		tear_down();
	}
}

/* REGISTER AND MOVE for the one that leads; those that are led register. */
static void a_shared_key_is_moved(void)
{
	char prepared[sizeof(world.line)];

	for (int back = 0; back < 2; back++) {
		set_up(6, WORLD_STANDARD, 1, false);
		side_stranger(world.lun, NEWCOMER, PR_OUT_REGISTER, 0, KEY_S, 0, false);
		CHECK_INT(group_host_call(&world.destination_host, NEXUS_PREPARE, prepared, false),
			  NEXUS_OK);
		group_host_set_destination(&world.source_host, prepared);
		CHECK_INT(world_export(&world.source, world.line), NEXUS_OK);
		CHECK(world.source.record.out.moved);
		CHECK_INT(world_import(&world.destination, world.line), NEXUS_OK);
		CHECK_INT(back ? world_back() : world_release(&world.source, false), NEXUS_OK);
		CHECK_INT(state_now().nexus[NEWCOMER].key, KEY_S);
		world_check_at(back ? &world.source : &world.destination);
		tear_down();
	}
}

/* The generation says nothing any more, and the LUN says who holds: no force. */
static void a_prepared_destination_is_known_by_the_lun(void)
{
	char prepared[sizeof(world.line)];

	for (unsigned int siblings = 0; siblings <= WORLD_SIBLINGS_MAX; siblings++)
		for (int given = 0; given < 2; given++) {
			struct side *s = &world.source;

			set_up(6, WORLD_STANDARD, siblings, false);
			CHECK_INT(group_host_call(&world.destination_host, NEXUS_PREPARE, prepared,
						  false),
				  NEXUS_OK);
			group_host_set_destination(&world.source_host, given ? prepared : "");
			snprintf(s->destination, sizeof(s->destination), "%.4095s",
				 given ? prepared : "");
			CHECK_INT(world_export(s, world.line), NEXUS_OK);
			CHECK(!s->record.out.moved);
			CHECK_INT(world_import(&world.destination, world.line), NEXUS_OK);
			side_stranger(world.lun, STRANGER, PR_OUT_REGISTER, KEY_X, KEY_X, 0, false);
			world_abort(&world.destination, "", false);
			CHECK_INT(world_abort(s, "", false),
				  given ? NEXUS_OK : NEXUS_ERROR_WRONG_STATE);
			if (!given)
				CHECK_INT(world_abort(s, "", true), NEXUS_OK);
			world_abort(&world.destination, "", false);
			world_check_at(s);
			tear_down();
		}
}

/* One alone cannot go: half a set is no guest. */
static void a_line_of_a_set_is_the_groups(void)
{
	char *end;

	set_up(6, WORLD_STANDARD, 1, false);
	CHECK_INT(world_export(&world.source, world.line), NEXUS_OK);
	end = strchr(world.line, '+');
	*end = '\0';
	CHECK_INT(side_import(&world.destination_siblings[0], world.line), NEXUS_ERROR_WRONG_STATE);
	CHECK_CONTAINS(world.destination_siblings[0].message, "whole group");
	CHECK_INT(side_import(&world.destination, end + 1), NEXUS_ERROR_WRONG_STATE);
	CHECK_INT(world_import(&world.destination, end + 1), NEXUS_ERROR_WRONG_LUN);
	CHECK_INT(world_abort(&world.source, "", false), NEXUS_OK);
	world_check_at(&world.source);
	tear_down();
}

/* Lines of two Exports, of which one has a fence between. */
static void lines_of_one_export_belong_together(void)
{
	char mixed[sizeof(world.line)], *second;

	set_up(6, WORLD_STANDARD, 1, false);
	CHECK_INT(world_export(&world.source, mixed), NEXUS_OK);
	CHECK_INT(world_abort(&world.source, "", false), NEXUS_OK);
	CHECK_INT(side_guest(&world.source_siblings[0], PR_OUT_REGISTER, KEY_S, 0, 0), SCSI_GOOD);
	CHECK_INT(world_export(&world.source, world.line), NEXUS_OK);
	second = strchr(mixed, '+');
	snprintf(second, (size_t)(mixed + sizeof(mixed) - second), "%s", strchr(world.line, '+'));
	CHECK_INT(world_import(&world.destination, mixed), NEXUS_ERROR_BAD_STATE);
	CHECK_CONTAINS(world.destination.message, "not of one Export");
	world_tear_down();
}

/* The LUN's generation moves between the barriers of two keys: they are sent again. */
static unsigned int disturbances;

static void disturb(struct side *side, enum side_event event)
{
	if (event != SIDE_SENT || side->step != RECORD_STEP_EXPORT_BARRIER || disturbances == 0)
		return;
	disturbances--;
	side_stranger(world.lun, STRANGER, PR_OUT_REGISTER, KEY_X, KEY_X, 0, false);
}

static void barriers_of_two_keys_adjoin(void)
{
	set_up(6, WORLD_STANDARD, 1, true);
	for (unsigned int i = 0; i <= world.siblings; i++)
		world.source_host.sides[i]->every = disturb;
	disturbances = 3;
	CHECK_INT(world_export(&world.source, world.line), NEXUS_OK);
	CHECK_INT(disturbances, 0);
	CHECK_INT(world_import(&world.destination, world.line), NEXUS_OK);
	CHECK_INT(world_release(&world.source, false), NEXUS_OK);
	world_check_at(&world.destination);
	tear_down();
}

int main(void)
{
	CHECK_RUN(moves_there_and_back);
	CHECK_RUN(aborts_give_all_back);
	CHECK_RUN(an_early_abort_removes_nobody);
	CHECK_RUN(a_stranger_with_the_key_is_not_thrown_out);
	CHECK_RUN(a_shared_key_is_moved);
	CHECK_RUN(a_prepared_destination_is_known_by_the_lun);
	CHECK_RUN(a_line_of_a_set_is_the_groups);
	CHECK_RUN(lines_of_one_export_belong_together);
	CHECK_RUN(barriers_of_two_keys_adjoin);
	return check_summary();
}
