/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/handover-world.h"

#include <limits.h>
#include <stdio.h>

#include "unit/sides-whole.h"

const struct world_row world_rows[] = {
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
const size_t world_row_count = sizeof(world_rows) / sizeof(world_rows[0]);

const char *const world_kind_names[WORLD_KINDS] = {
	[WORLD_STANDARD] = "standard",
	[WORLD_LIO] = "lio",
	[WORLD_TGT] = "tgt",
	[WORLD_LIO_NO_APTPL_FOLDER] = "lio without its APTPL folder",
	[WORLD_NO_STRANGER] = "nobody else registered",
};

const char *const world_op_names[WORLD_OPS] = {
	[WORLD_EXPORT] = "Export",
	[WORLD_EXPORT_AGAIN] = "Export again",
	[WORLD_IMPORT] = "Import",
	[WORLD_IMPORT_AGAIN] = "Import again",
	[WORLD_IMPORT_LATER_LINE] = "Import of a later line",
	[WORLD_IMPORT_BACK] = "Import back",
	[WORLD_RELEASE] = "Release",
	[WORLD_RELEASE_EARLY] = "Release before Import",
	[WORLD_ABORT] = "Abort",
	[WORLD_ABORT_REGISTERED] = "Abort, registered there",
	[WORLD_ABORT_PREEMPTED] = "Abort, preempted there",
	[WORLD_ABORT_IMPORTED] = "Abort, imported there",
	[WORLD_ABORT_THERE_REGISTERED] = "Abort there, registered",
	[WORLD_ABORT_THERE_PREEMPTED] = "Abort there, preempted",
	[WORLD_ABORT_THERE] = "Abort there, imported",
	[WORLD_ABORT_TAKE_BACK] = "Abort, take-back begun",
	[WORLD_ABORT_THERE_TAKE_BACK] = "Abort there, take-back begun",
};

struct world world = {.act_at = UINT_MAX};
struct world_siblings world_siblings;
bool world_whole;

static void every(struct side *side, enum side_event event);

uint64_t world_key(unsigned int number)
{
	return world_siblings.own_keys ? KEY_S + number : KEY_S;
}

/* The one that reserves is in the middle by name. */
static void set_up_siblings(void)
{
	static const char *const names[WORLD_SIBLINGS_MAX] = {"vm0", "vm2"};

	world.siblings = world_siblings.count;
	world.source_host.sides[0] = &world.source;
	world.destination_host.sides[0] = &world.destination;
	world.source_host.count = world.destination_host.count = 1 + world.siblings;
	for (unsigned int i = 0; i < world.siblings && i < WORLD_SIBLINGS_MAX; i++) {
		struct side *s = &world.source_siblings[i], *d = &world.destination_siblings[i];

		side_init(s, world.lun, LED + 2 * i, names[i], NEXUS_ACTIVE);
		side_init(d, world.lun, LED + 2 * i + 1, names[i], NEXUS_INCOMING);
		world.source_host.sides[1 + i] = s;
		world.destination_host.sides[1 + i] = d;
	}
}

void world_set_up(const struct world_row *row, enum world_kind kind)
{
	static const struct fake_lun_config config = {.blocks = 8};
	struct fake_quirks quirks = {0};

	world = (struct world){.row = row, .kind = kind, .act_at = UINT_MAX};
	world.lun = fake_lun_create(NULL, &config);
	if (kind == WORLD_LIO || kind == WORLD_LIO_NO_APTPL_FOLDER)
		fake_quirks_lio(&quirks);
	if (kind == WORLD_TGT)
		fake_quirks_tgt(&quirks);
	fake_lun_set_quirks(world.lun, &quirks);
	side_init(&world.source, world.lun, SOURCE, "vm1", NEXUS_ACTIVE);
	side_init(&world.destination, world.lun, world_whole ? SOURCE : DESTINATION, "vm1",
		  NEXUS_INCOMING);
	whole_target = (struct whole_target){0};
	if (world_whole) {
		side_make_whole(&world.source, false);
		side_make_whole(&world.destination, true);
	}
	set_up_siblings();
	if (kind != WORLD_NO_STRANGER)
		side_stranger(world.lun, STRANGER, PR_OUT_REGISTER, 0, KEY_X, 0, false);
	if (row->type != 0 && !row->source_holds)
		side_stranger(world.lun, STRANGER, PR_OUT_RESERVE, KEY_X, 0, row->type, false);
	for (unsigned int i = 0; row->row > 1 && i <= world.siblings; i++)
		side_guest(world.source_host.sides[i], PR_OUT_REGISTER, 0, world_key(i), 0);
	if (row->source_holds)
		side_guest(&world.source, PR_OUT_RESERVE, KEY_S, 0, row->type);
	quirks.register_not_ready = kind == WORLD_LIO_NO_APTPL_FOLDER;
	fake_lun_set_quirks(world.lun, &quirks);
	fake_lun_reset_monitor(world.lun);
	for (unsigned int i = 0; i <= world.siblings; i++) {
		world.source_host.sides[i]->every = world.destination_host.sides[i]->every = every;
		world.source_host.sides[i]->unjournalled =
			world.destination_host.sides[i]->unjournalled = 0;
	}
}

void world_tear_down(void)
{
	fake_lun_detach(world.lun);
	world.lun = NULL;
}

/* ---- events ---- */

/* Whether a gate of the host is open for a guest whose key stands there. */
static bool door_open(const struct group_host *host, const struct fake_state *state)
{
	for (size_t i = 0; i < host->count; i++)
		if (host->sides[i]->gate_open &&
		    state->nexus[host->sides[i]->nexus].key == world_key((unsigned int)i))
			return true;
	return false;
}

static void look_at_doors(void)
{
	struct fake_state state;

	fake_lun_get_state(world.lun, &state);
	if (door_open(&world.source_host, &state) && door_open(&world.destination_host, &state))
		world.doors = true;
}

static void every(struct side *side, enum side_event event)
{
	look_at_doors();
	if (world.act_at == UINT_MAX || world.events++ != world.act_at)
		return;
	world.act_at = UINT_MAX;
	world.acted_step = side->step;
	world.acted_moment = side->moment;
	world.act(side, event);
}

/* ---- calls: of the side, or of its group ---- */

struct group_host *world_host(const struct side *side)
{
	return side == &world.source ? &world.source_host : &world.destination_host;
}

static enum nexus_error call(struct side *side, enum nexus_method method, char *state, bool force)
{
	enum nexus_error error = group_host_call(world_host(side), method, state, force);

	snprintf(side->message, sizeof(side->message), "%s", world_host(side)->message);
	return error;
}

enum nexus_error world_export(struct side *side, char *line)
{
	return world.siblings == 0 ? side_export(side, line)
				   : call(side, NEXUS_EXPORT, line, false);
}

enum nexus_error world_import(struct side *side, char *line)
{
	return world.siblings == 0 ? side_import(side, line)
				   : call(side, NEXUS_IMPORT, line, false);
}

enum nexus_error world_abort(struct side *side, const char *id, bool force)
{
	return world.siblings == 0 ? side_abort_id(side, id, force)
				   : call(side, NEXUS_ABORT, NULL, force);
}

enum nexus_error world_release(struct side *side, bool force)
{
	return world.siblings == 0 ? side_release(side, force)
				   : call(side, NEXUS_RELEASE, NULL, force);
}

enum nexus_error world_restart(struct side *side)
{
	struct group_host *host = world_host(side);
	enum nexus_error error = NEXUS_OK;

	for (size_t i = 0; i < host->count; i++) {
		enum nexus_error own = side_restart(host->sides[i]);

		error = error == NEXUS_OK ? own : error;
	}
	return error;
}

void world_resync(struct side *side)
{
	for (size_t i = 0; i < world_host(side)->count; i++)
		side_resync(world_host(side)->sides[i]);
}

void world_set_killed(struct side *side, jmp_buf *killed)
{
	for (size_t i = 0; i < world_host(side)->count; i++)
		world_host(side)->sides[i]->killed = killed;
}

bool world_killed_settling(struct side *side, unsigned int event)
{
	volatile bool killed = false;
	jmp_buf dead;

	world.events = 0;
	world.act_at = event;
	world_set_killed(side, &dead);
	if (setjmp(dead) == 0)
		world_restart(side);
	else
		killed = true;
	world.act_at = UINT_MAX;
	return killed;
}

void world_kill(struct side *side, enum side_event event)
{
	(void)event;
	side_kill(side);
}

/* Kills the destination's Import, or the source's Abort, at a named point and starts it again. */
static void interrupted(struct side *side, enum record_step step, enum handover_moment moment)
{
	jmp_buf killed;

	side->at = side_kill;
	side->at_step = step;
	side->at_moment = moment;
	side->at_skip = 0;
	world_set_killed(side, &killed);
	if (setjmp(killed) == 0) {
		if (side == &world.destination)
			world_import(side, world.line);
		else
			world_abort(side, "", false);
	}
	side->at = NULL;
	world_restart(side);
}

/* ---- operations ---- */

static void export_and_import(void)
{
	world_export(&world.source, world.line);
	world.imported = world_import(&world.destination, world.line) == NEXUS_OK;
}

static enum record_step register_or_arrive(void)
{
	return world_whole ? RECORD_STEP_IMPORT_ARRIVE : RECORD_STEP_IMPORT_REGISTER;
}

bool world_prepare(enum world_op op)
{
	struct side *s = &world.source, *d = &world.destination;
	uint8_t row = world.row->row;

	if (world.kind == WORLD_NO_STRANGER && world.row->type != 0 && !world.row->source_holds)
		return false;
	switch (op) {
	case WORLD_EXPORT:
		return true;
	case WORLD_EXPORT_AGAIN:
	case WORLD_IMPORT:
	case WORLD_ABORT:
		world_export(s, world.line);
		return true;
	case WORLD_IMPORT_AGAIN:
	case WORLD_ABORT_PREEMPTED:
	case WORLD_ABORT_THERE_PREEMPTED:
		world_export(s, world.line);
		interrupted(d,
			    world_whole ? RECORD_STEP_CONFIRM_BARRIER
			    : row == 3	? RECORD_STEP_IMPORT_PREEMPT
					: RECORD_STEP_IMPORT_REGISTER,
			    HANDOVER_ANSWERED);
		return row > 2;
	case WORLD_IMPORT_LATER_LINE:
		world_export(s, world.line);
		interrupted(d, register_or_arrive(), HANDOVER_ANSWERED);
		world_export(s, world.line);
		return row > 1;
	case WORLD_ABORT_REGISTERED:
	case WORLD_ABORT_THERE_REGISTERED:
		world_export(s, world.line);
		interrupted(d, register_or_arrive(), HANDOVER_ANSWERED);
		return row > 1;
	case WORLD_IMPORT_BACK:
		export_and_import();
		world_export(d, world.line);
		return row > 1;
	case WORLD_RELEASE:
	case WORLD_ABORT_IMPORTED:
	case WORLD_ABORT_THERE:
		export_and_import();
		return true;
	case WORLD_RELEASE_EARLY:
		world_export(s, world.line);
		side_stranger(world.lun, STRANGER, PR_OUT_REGISTER, KEY_X, KEY_X, 0, false);
		return row > 1;
	case WORLD_ABORT_TAKE_BACK:
	case WORLD_ABORT_THERE_TAKE_BACK:
		export_and_import();
		interrupted(s, RECORD_STEP_ABORT_REGISTER, HANDOVER_ANSWERED);
		return row == 3 && !world_whole;
	case WORLD_OPS:
		break;
	}
	return false;
}

struct side *world_side(enum world_op op)
{
	switch (op) {
	case WORLD_IMPORT:
	case WORLD_IMPORT_AGAIN:
	case WORLD_IMPORT_LATER_LINE:
	case WORLD_ABORT_THERE:
	case WORLD_ABORT_THERE_REGISTERED:
	case WORLD_ABORT_THERE_PREEMPTED:
	case WORLD_ABORT_THERE_TAKE_BACK:
		return &world.destination;
	default:
		return &world.source;
	}
}

static enum nexus_error run(enum world_op op)
{
	struct side *side = world_side(op);
	enum nexus_error error;

	switch (op) {
	case WORLD_EXPORT:
	case WORLD_EXPORT_AGAIN:
		return world_export(side, world.line);
	case WORLD_IMPORT:
	case WORLD_IMPORT_AGAIN:
	case WORLD_IMPORT_LATER_LINE:
	case WORLD_IMPORT_BACK:
		error = world_import(side, world.line);
		if (error == NEXUS_OK)
			world.imported = op != WORLD_IMPORT_BACK;
		return error;
	case WORLD_RELEASE:
	case WORLD_RELEASE_EARLY:
		return world_release(side, false);
	default:
		return world_abort(side, "", false);
	}
}

enum nexus_error world_run(enum world_op op, bool *ret_killed)
{
	volatile enum nexus_error error = NEXUS_OK;
	struct side *side = world_side(op);
	jmp_buf killed;

	*ret_killed = false;
	world.events = 0;
	world_set_killed(side, &killed);
	if (setjmp(killed) == 0)
		error = run(op);
	else
		*ret_killed = true;
	world.act_at = UINT_MAX;
	world_set_killed(side, NULL);
	return error;
}

/* ---- how it ends ---- */

/* Export was not done, or not by all. */
static bool is_to_export(const struct group_host *host)
{
	for (size_t i = 0; i < host->count; i++)
		if (host->sides[i]->record.state == NEXUS_ACTIVE)
			return true;
	return false;
}

enum nexus_error world_forward(void)
{
	struct side *s = &world.source, *d = &world.destination;
	enum nexus_error error = NEXUS_OK;

	for (int i = 0; i < 6; i++) {
		if (is_to_export(&world.source_host) && !world.imported) {
			error = world_export(s, world.line);
			if (error != NEXUS_OK)
				continue;
		}
		error = world_import(d, world.line);
		if (error == NEXUS_OK) {
			world.imported = true;
			return world_release(s, true);
		}
		/* BadState: there is no line, since the answer of Export was lost. */
		if (error == NEXUS_ERROR_STALE || error == NEXUS_ERROR_BAD_STATE)
			world_export(s, world.line);
		else if (error == NEXUS_ERROR_WRONG_STATE)
			world_abort(d, "", false);
		else if (error == NEXUS_ERROR_FENCED || error == NEXUS_ERROR_KEY_SHARED)
			break;
	}
	return error;
}

static bool knows_import(const struct group_host *host)
{
	for (size_t i = 0; i < host->count; i++)
		if (host->sides[i]->record.in.id[0] != '\0')
			return true;
	return false;
}

enum nexus_error world_back(void)
{
	struct side *s = &world.source, *d = &world.destination;
	enum nexus_error error;

	if (knows_import(&world.destination_host))
		world_abort(d, "", false);
	error = world_abort(s, "", false);
	if (error == NEXUS_ERROR_WRONG_STATE) {
		world.forced++;
		error = world_abort(s, "", true);
	}
	if (knows_import(&world.destination_host))
		world_abort(d, "", false);
	world.imported = false;
	return error;
}
