/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PR_OUT 0x5f
#define WRITE_10 0x2a
#define CDB_LEN 10
#define LIST_LEN 24
#define CONFLICT 0x18
#define UNIT_ATTENTION 6
#define SETTLE_MS 20000

static void point_path(unsigned int side, const char *file, char *path);

struct pair pair;
struct pair_points pair_points[2];

const struct pair_row pair_rows[PAIR_ROWS] = {
	{"holder, type 5", 3, 5, true},
	{"registered", 2, 0, false},
	{"all registrants, type 8", 4, 8, true},
	{"not registered", 1, 0, false},
	{"registered, another holds type 5", 2, 5, false},
	{"registered, another holds type 1", 2, 1, false},
	{"holder, type 1", 3, 1, true},
	{"holder, type 3", 3, 3, true},
	{"holder, type 6", 3, 6, true},
	{"all registrants, type 7", 4, 7, true},
};

static const char *const cfgstrings[] = {"prmig//dev/fake/0/0%s",
					 "prmig//dev/fake/0/1;incoming=on%s"};

void pair_start(void)
{
	const char *paths[] = {pair.lun_path};
	char path[PAIR_PATH_MAX];
	unsigned int i;

	snprintf(pair.lun_path, sizeof(pair.lun_path), "/tmp/prmig-lun-%d", getpid());
	pair.lun = fake_lun_create(pair.lun_path, NULL);
	if (!pair.lun)
		exit(1);
	for (i = 0; i < 2; i++) {
		pair.machine[i] = machine_new(paths, 1);
		point_path(i, "point", path);
		machine_setenv(pair.machine[i], "PRMIG_POINT", path);
		point_path(i, "points", path);
		machine_setenv(pair.machine[i], "PRMIG_POINT_LOG", path);
		if (pair.stops)
			machine_setenv(pair.machine[i], "PRMIG_POINT_STOP", "1");
		if (!machine_boot(pair.machine[i]))
			exit(1);
	}
}

bool pair_stop(void)
{
	bool ok = true;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		ok = machine_stop(pair.machine[i]) && ok;
		machine_free(pair.machine[i]);
	}
	fake_lun_detach(pair.lun);
	unlink(pair.lun_path);
	return ok;
}

/* ---- commands ---- */

static void put64(uint8_t *p, uint64_t value)
{
	int i;

	for (i = 0; i < 8; i++)
		p[i] = (uint8_t)(value >> (56 - 8 * i));
}

void pair_build(enum pair_action action, uint8_t type, uint64_t key, uint64_t new_key, uint8_t *cdb,
		uint8_t *list)
{
	memset(cdb, 0, CDB_LEN);
	memset(list, 0, LIST_LEN);
	cdb[0] = PR_OUT;
	cdb[1] = (uint8_t)action;
	cdb[2] = type;
	cdb[8] = LIST_LEN;
	put64(list, key);
	put64(list + 8, new_key);
}

static uint8_t execute(unsigned int side, struct machine_io *io)
{
	do {
		if (!machine_execute(pair.machine[side], io))
			return PAIR_UNANSWERED;
	} while (io->status == HOST_CHECK_CONDITION && io->sense >> 16 == UNIT_ATTENTION);
	return io->status;
}

uint8_t pair_guest(unsigned int side, enum pair_action action, uint8_t type, uint64_t key,
		   uint64_t new_key)
{
	struct machine_io io = {.name = PAIR_NAME, .direction = HOST_OUT, .data_len = LIST_LEN};

	pair_build(action, type, key, new_key, io.cdb, io.data);
	return execute(side, &io);
}

uint8_t pair_write(unsigned int side, uint32_t timeout_ms)
{
	struct machine_io io = {.name = PAIR_NAME,
				.cdb = {WRITE_10, [8] = 1},
				.direction = HOST_OUT,
				.data_len = 512,
				.timeout_ms = timeout_ms};

	return execute(side, &io);
}

uint8_t pair_stranger(enum pair_action action, uint8_t type, uint64_t key, uint64_t new_key)
{
	uint8_t cdb[CDB_LEN], list[LIST_LEN];
	struct fake_result result;

	pair_build(action, type, key, new_key, cdb, list);
	do {
		fake_lun_execute(pair.lun, PAIR_STRANGER, cdb, sizeof(cdb), list, sizeof(list),
				 NULL, 0, &result);
	} while (result.status == HOST_CHECK_CONDITION && result.sense_len > 2 &&
		 (result.sense[2] & 0xf) == UNIT_ATTENTION);
	return result.status;
}

bool pair_call(unsigned int side, const char *method, const char *state, bool force,
	       struct bus_reply *ret_reply)
{
	struct bus_options options = {.force = force};

	return machine_bus_call(pair.machine[side], PAIR_NAME, method, state, &options, ret_reply);
}

bool pair_property_is(unsigned int side, const char *property, const char *text)
{
	char now[BUS_TEXT_MAX];

	bus_property(machine_bus(pair.machine[side]), PAIR_NAME, property, now);
	if (!strcmp(now, text))
		return true;
	printf("%s: %s is %s, not %s\n", side == PAIR_SOURCE ? "source" : "destination", property,
	       now, text);
	return false;
}

/* ---- a case ---- */

static void clean_lun(const struct fake_quirks *quirks)
{
	static const struct fake_quirks standard;

	fake_lun_clear_faults(pair.lun);
	fake_lun_set_quirks(pair.lun, &standard);
	pair_stranger(PAIR_REGISTER_AND_IGNORE, 0, 0, PAIR_STRANGER_KEY);
	pair_stranger(PAIR_CLEAR, 0, PAIR_STRANGER_KEY, 0);
	fake_lun_power_loss(pair.lun);
	fake_lun_set_quirks(pair.lun, quirks ? quirks : &standard);
}

static bool fresh_backstore(unsigned int side, const char *options)
{
	char path[256], cfgstring[128];

	machine_remove(pair.machine[side], PAIR_NAME, HOST_NOW);
	snprintf(path, sizeof(path), "%s/var/lib/prmig/nexus/" PAIR_NAME,
		 machine_root(pair.machine[side]));
	unlink(path);
	snprintf(cfgstring, sizeof(cfgstring), cfgstrings[side], options);
	return machine_add(pair.machine[side], PAIR_NAME, cfgstring);
}

bool pair_set_up(const struct pair_row *row, const struct fake_quirks *quirks, const char *options)
{
	clean_lun(quirks);
	if (!fresh_backstore(PAIR_SOURCE, options) || !fresh_backstore(PAIR_DESTINATION, ""))
		return false;
	if (pair_stranger(PAIR_REGISTER, 0, 0, PAIR_STRANGER_KEY) != HOST_GOOD)
		return false;
	if (row->type != 0 && !row->source_holds &&
	    pair_stranger(PAIR_RESERVE, row->type, PAIR_STRANGER_KEY, 0) != HOST_GOOD)
		return false;
	if (row->row > 1 && pair_guest(PAIR_SOURCE, PAIR_REGISTER, 0, 0, PAIR_KEY) != HOST_GOOD)
		return false;
	if (row->source_holds &&
	    pair_guest(PAIR_SOURCE, PAIR_RESERVE, row->type, PAIR_KEY, 0) != HOST_GOOD)
		return false;
	fake_lun_reset_monitor(pair.lun);
	return true;
}

bool pair_restart(unsigned int side)
{
	machine_kill(pair.machine[side]);
	pair_arm(side, NULL);
	return machine_boot(pair.machine[side]) &&
	       bus_wait_property(machine_bus(pair.machine[side]), PAIR_NAME, "Name",
				 "'" PAIR_NAME "'", SETTLE_MS);
}

static void point_path(unsigned int side, const char *file, char *path)
{
	snprintf(path, PAIR_PATH_MAX, "%s/%s", machine_root(pair.machine[side]), file);
}

bool pair_arm(unsigned int side, const char *point)
{
	char path[PAIR_PATH_MAX];
	FILE *file;

	point_path(side, "point", path);
	if (!point)
		return unlink(path) == 0;
	file = fopen(path, "we");
	return file && fputs(point, file) >= 0 && fclose(file) == 0;
}

void pair_points_path(unsigned int side, char *path)
{
	point_path(side, "points", path);
}

void pair_read_points(unsigned int side)
{
	struct pair_points *points = &pair_points[side];
	char path[PAIR_PATH_MAX];
	FILE *file;

	pair_points_path(side, path);
	file = fopen(path, "re");
	points->count = 0;
	while (file && points->count < PAIR_POINTS_MAX &&
	       fgets(points->names[points->count], PAIR_POINT_MAX, file)) {
		char *name = points->names[points->count++];

		name[strcspn(name, "\n")] = '\0';
	}
	if (file)
		fclose(file);
	unlink(path);
}

bool pair_point_tried(const char *point)
{
	static char names[128][PAIR_POINT_MAX];
	static size_t count;
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(names[i], point))
			return true;
	if (count < 128)
		snprintf(names[count++], PAIR_POINT_MAX, "%s", point);
	return false;
}

/* ---- where it is ---- */

static bool must_be(const char *what, uint64_t got, uint64_t want)
{
	if (got == want)
		return true;
	printf("%s: %llx, not %llx\n", what, (unsigned long long)got, (unsigned long long)want);
	return false;
}

static bool lun_is(const struct pair_row *row, unsigned int side)
{
	struct fake_monitor monitor;
	struct fake_state state;
	bool ok = true;

	fake_lun_get_state(pair.lun, &state);
	fake_lun_get_monitor(pair.lun, &monitor);
	ok &= must_be("key here", state.nexus[side].key, row->row > 1 ? PAIR_KEY : 0);
	ok &= must_be("key at the other side", state.nexus[!side].key, 0);
	ok &= must_be("key of the stranger", state.nexus[PAIR_STRANGER].key, PAIR_STRANGER_KEY);
	ok &= must_be("reservation", state.held, row->type != 0);
	ok &= must_be("its type", state.type, row->type);
	if (row->row == 3)
		ok &= must_be("its holder", (uint64_t)state.holder, side);
	else if (row->type != 0 && row->row < 4)
		ok &= must_be("its holder", (uint64_t)state.holder, PAIR_STRANGER);
	ok &= must_be("gaps", monitor.gaps, 0);
	return ok;
}

bool pair_is_at(const struct pair_row *row, unsigned int side)
{
	bool conflicts = row->row < 3 && (row->type == 1 || (row->row == 1 && row->type != 0));
	char key[32], type[32];
	bool ok = lun_is(row, side);

	snprintf(key, sizeof(key), "%d", row->row > 1 ? PAIR_KEY : 0);
	snprintf(type, sizeof(type), "0x%02x", row->row >= 3 ? row->type : 0);
	ok &= pair_property_is(side, "State", "'active'");
	ok &= pair_property_is(side, "Key", key);
	ok &= pair_property_is(side, "Holder", row->row >= 3 ? "true" : "false");
	ok &= pair_property_is(side, "Type", type);
	ok &= pair_property_is(side, "Fenced", "false");
	ok &= pair_property_is(side, "Failure", "''");
	ok &= pair_property_is(!side, "Key", "0");
	ok &= pair_property_is(!side, "Holder", "false");
	ok &= pair_property_is(!side, "Fenced", "false");
	ok &= must_be("a write", pair_write(side, 5000), conflicts ? CONFLICT : HOST_GOOD);
	return ok;
}
