/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of the guest's PERSISTENT RESERVE OUT: with answers that are lost or lie, with a kill in between, without a disk to
 * write to, from a file that is damaged; and nothing at all with migrate-pr=off.
 */
#include "check.h"
#include "pair.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#define PR_IN 0x5e
#define PR_OUT 0x5f
#define RESERVE_6 0x16
#define RELEASE_6 0x17
#define REPORT_CAPABILITIES 2
#define NO_RESOURCES 0x55504
#define NOT_READY_HARDWARE 0x20800
#define OTHER_KEY 0x6161

#define S PAIR_SOURCE
#define D PAIR_DESTINATION

static const struct pair_row *const holder = &pair_rows[0];
static const struct pair_row *const registered = &pair_rows[1];
static const struct pair_row *const unregistered = &pair_rows[3];
static char note[128];

/* ---- in the machine: a disk that is full ---- */

static bool disk_full;

int fsync(int fd)
{
	(void)fd;
	if (!__atomic_load_n(&disk_full, __ATOMIC_ACQUIRE))
		return 0;
	errno = ENOSPC;
	return -1;
}

static void set_disk_full(void *arg)
{
	__atomic_store_n(&disk_full, *(bool *)arg, __ATOMIC_RELEASE);
}

/* ---- the test ---- */

static void call(unsigned int side, const char *method, const char *state,
		 struct bus_reply *ret_reply)
{
	if (!CHECK(pair_call(side, method, state, false, ret_reply)))
		printf("%s: %s: %s\n", method, ret_reply->error, ret_reply->message);
}

/* Memory is what the LUN has. */
static void check_memory(void)
{
	struct fake_state state;
	char key[32];

	fake_lun_get_state(pair.lun, &state);
	snprintf(key, sizeof(key), "%llu", (unsigned long long)state.nexus[S].key);
	CHECK(pair_property_is(S, "Key", key));
	CHECK(pair_property_is(S, "Holder", state.holder == S ? "true" : "false"));
	CHECK(pair_property_is(S, "Fenced", "false"));
}

struct action {
	enum pair_action action;
	uint8_t type;
	uint64_t key, new_key;
	const struct pair_row *from;
};

static const struct action actions[] = {
	{PAIR_REGISTER, 0, 0, PAIR_KEY, &pair_rows[3]},
	{PAIR_REGISTER, 0, PAIR_KEY, OTHER_KEY, &pair_rows[0]},
	{PAIR_REGISTER, 0, PAIR_KEY, 0, &pair_rows[1]},
	{PAIR_REGISTER_AND_IGNORE, 0, 0, PAIR_KEY, &pair_rows[3]},
	{PAIR_REGISTER_AND_IGNORE, 0, 0, OTHER_KEY, &pair_rows[1]},
	{PAIR_RESERVE, 5, PAIR_KEY, 0, &pair_rows[1]},
	{PAIR_RELEASE, 5, PAIR_KEY, 0, &pair_rows[0]},
	{PAIR_PREEMPT, 5, PAIR_KEY, PAIR_STRANGER_KEY, &pair_rows[4]},
	{PAIR_PREEMPT_AND_ABORT, 5, PAIR_KEY, PAIR_STRANGER_KEY, &pair_rows[4]},
	{PAIR_CLEAR, 0, PAIR_KEY, 0, &pair_rows[0]},
};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static void note_action(const struct action *action, const char *what)
{
	snprintf(note, sizeof(note), "service action %u (%llx, %llx) %s", action->action,
		 (unsigned long long)action->key, (unsigned long long)action->new_key, what);
	CHECK_NOTE(note);
}

static void lose(const struct action *action, enum fake_outcome outcome)
{
	struct fake_fault fault = fake_fault(S, PR_OUT, (int)action->action);
	struct bus_reply reply;

	note_action(action, outcome == FAKE_LOSE_ANSWER ? "lost its answer" : "was lost");
	CHECK(pair_set_up(action->from, NULL, ""));
	fault.outcome = outcome;
	fault.host_status = FAKE_DID_TIME_OUT;
	fake_lun_add_fault(pair.lun, &fault);
	CHECK(pair_guest(S, action->action, action->type, action->key, action->new_key) !=
	      HOST_GOOD);
	call(S, "Resync", NULL, &reply);
	check_memory();
	call(S, "Export", NULL, &reply);
	call(S, "Abort", NULL, &reply);
	check_memory();
}

static void test_lost_answers(void)
{
	size_t i;

	for (i = 0; i < ACTIONS; i++) {
		lose(&actions[i], FAKE_LOSE_ANSWER);
		lose(&actions[i], FAKE_LOSE_COMMAND);
	}
}

/* As LIO answers when it cannot write its APTPL file. */
static void test_not_ready_that_took_effect(void)
{
	struct machine_io io = {.name = PAIR_NAME, .direction = HOST_OUT, .data_len = 24};
	struct fake_quirks quirks = {.register_not_ready = true};
	struct bus_reply exported, reply;

	CHECK(pair_set_up(unregistered, NULL, ""));
	fake_lun_set_quirks(pair.lun, &quirks);
	CHECK_INT(pair_write(S, 0), HOST_GOOD);
	pair_build(PAIR_REGISTER, 0, 0, PAIR_KEY, io.cdb, io.data);
	CHECK(machine_execute(pair.machine[S], &io));
	CHECK_INT(io.status, HOST_CHECK_CONDITION);
	CHECK_INT(io.sense, NOT_READY_HARDWARE);
	check_memory();
	call(S, "Export", NULL, &exported);
	call(D, "Import", exported.state, &reply);
	CHECK(pair_call(S, "Release", NULL, true, &reply));
	CHECK(pair_is_at(registered, D));
}

/* ---- a kill in between ---- */

static void *send_it(void *user)
{
	const struct action *action = user;

	pair_guest(S, action->action, action->type, action->key, action->new_key);
	return NULL;
}

/* The LUN has executed it, and the daemon dies before it can say so; the kernel answers BUSY, and the guest repeats. */
static void kill_in_flight(const struct action *action, bool executed)
{
	struct fake_fault fault = fake_fault(S, PR_OUT, (int)action->action);
	struct fake_state before, after;
	pthread_t thread;
	int number;

	note_action(action, executed ? "killed after it" : "killed before it");
	CHECK(pair_set_up(action->from, NULL, ""));
	*(executed ? &fault.delay_after_ms : &fault.delay_before_ms) = 300;
	number = fake_lun_add_fault(pair.lun, &fault);
	pthread_create(&thread, NULL, send_it, (void *)action);
	while (fake_lun_fault_hits(pair.lun, number) == 0)
		usleep(1000);
	usleep(20000);
	CHECK(pair_restart(S));
	pthread_join(thread, NULL);
	fake_lun_get_state(pair.lun, &before);
	CHECK_INT(pair_guest(S, action->action, action->type, action->key, action->new_key),
		  HOST_GOOD);
	fake_lun_get_state(pair.lun, &after);
	if (executed)
		CHECK_INT(after.nexus[S].key, before.nexus[S].key);
	check_memory();
}

static void test_killed_in_flight(void)
{
	size_t i;

	for (i = 0; i < ACTIONS; i++)
		kill_in_flight(&actions[i], i % 2 == 0 || actions[i].action != PAIR_REGISTER);
}

/* ---- the disk ---- */

static void state_path(char *path, const char *suffix)
{
	snprintf(path, 256, "%s/var/lib/prmig/nexus%s", machine_root(pair.machine[S]), suffix);
}

static void check_refused_without_disk(void)
{
	struct machine_io io = {.name = PAIR_NAME, .direction = HOST_OUT, .data_len = 24};
	uint64_t before = fake_lun_log_end(pair.lun);
	struct bus_reply reply;

	pair_build(PAIR_RESERVE, 5, PAIR_KEY, 0, io.cdb, io.data);
	CHECK(machine_execute(pair.machine[S], &io));
	CHECK_INT(io.status, HOST_CHECK_CONDITION);
	CHECK_INT(io.sense, NO_RESOURCES);
	CHECK(!pair_call(S, "Export", NULL, false, &reply));
	CHECK_STR(reply.error, "Lun");
	CHECK_CONTAINS(reply.message, "cannot be written to disk");
	CHECK_INT(fake_lun_log_count(pair.lun, before, S, PR_OUT, FAKE_ANY), 0);
	/* The guest goes on. */
	CHECK_INT(pair_write(S, 0), HOST_GOOD);
}

static void test_disk_full(void)
{
	bool full = true;

	CHECK(pair_set_up(registered, NULL, ""));
	CHECK(machine_call(pair.machine[S], set_disk_full, &full, sizeof(full)));
	check_refused_without_disk();
	full = false;
	CHECK(machine_call(pair.machine[S], set_disk_full, &full, sizeof(full)));
	CHECK_INT(pair_guest(S, PAIR_RESERVE, 5, PAIR_KEY, 0), HOST_GOOD);
	CHECK(pair_is_at(holder, S));
}

static void test_directory_lost(void)
{
	char directory[256], aside[256];
	FILE *file;

	CHECK(pair_set_up(registered, NULL, ""));
	state_path(directory, "");
	state_path(aside, ".aside");
	CHECK(rename(directory, aside) == 0);
	file = fopen(directory, "we");
	CHECK(file && fclose(file) == 0);
	check_refused_without_disk();
	CHECK(unlink(directory) == 0 && rename(aside, directory) == 0);
	CHECK_INT(pair_guest(S, PAIR_RESERVE, 5, PAIR_KEY, 0), HOST_GOOD);
	CHECK(pair_is_at(holder, S));
}

/* Set aside, and nothing guessed from it; the guest's own commands bring it back. */
static void test_damaged_file(void)
{
	char path[256], aside[256];
	struct bus_reply reply;
	FILE *file;

	CHECK(pair_set_up(holder, NULL, ""));
	machine_kill(pair.machine[S]);
	state_path(path, "/" PAIR_NAME);
	state_path(aside, "/" PAIR_NAME ",damaged");
	file = fopen(path, "r+e");
	CHECK(file && fseek(file, 40, SEEK_SET) == 0 && fputc('#', file) != EOF &&
	      fclose(file) == 0);
	CHECK(pair_restart(S));
	CHECK(access(aside, F_OK) == 0);
	CHECK(pair_property_is(S, "State", "'active'"));
	CHECK(pair_property_is(S, "Key", "0"));
	CHECK(pair_property_is(S, "Fenced", "false"));
	CHECK_INT(pair_write(S, 0), HOST_GOOD);
	/* As cluster software does when its node comes up. */
	CHECK_INT(pair_guest(S, PAIR_REGISTER_AND_IGNORE, 0, 0, PAIR_KEY), HOST_GOOD);
	call(S, "Resync", NULL, &reply);
	CHECK(pair_is_at(holder, S));
	unlink(aside);
}

/* ---- what is not followed ---- */

static void test_scsi_2_reserve(void)
{
	struct machine_io io = {.name = PAIR_NAME, .cdb = {RESERVE_6}};
	struct bus_reply reply;

	CHECK(pair_set_up(unregistered, NULL, ""));
	/* RESERVE and RELEASE conflict with any registration. */
	CHECK_INT(pair_stranger(PAIR_CLEAR, 0, PAIR_STRANGER_KEY, 0), HOST_GOOD);
	CHECK_INT(pair_write(S, 0), HOST_GOOD);
	CHECK(machine_execute(pair.machine[S], &io));
	CHECK_INT(io.status, HOST_GOOD);
	CHECK(!pair_call(S, "Export", NULL, false, &reply));
	CHECK_STR(reply.error, "Unsupported");
	CHECK_CONTAINS(reply.message, "RESERVE");
	io.cdb[0] = RELEASE_6;
	CHECK(machine_execute(pair.machine[S], &io));
	CHECK_INT(io.status, HOST_GOOD);
	call(S, "Export", NULL, &reply);
	call(S, "Abort", NULL, &reply);
}

static void test_migrate_pr_off(void)
{
	struct machine_io io = {.name = PAIR_NAME,
				.cdb = {PR_IN, REPORT_CAPABILITIES, [8] = 8},
				.direction = HOST_IN,
				.data_len = 8};
	struct fake_result result;
	uint8_t bare[8];
	struct bus_reply reply;

	CHECK(pair_set_up(unregistered, NULL, ";migrate-pr=off"));
	CHECK_INT(pair_write(S, 0), HOST_GOOD);
	fake_lun_execute(pair.lun, PAIR_STRANGER, io.cdb, 10, NULL, 0, bare, sizeof(bare), &result);
	CHECK(machine_execute(pair.machine[S], &io));
	CHECK_BYTES(io.data, bare, sizeof(bare));
	/* SPEC_I_PT: the LUN's to judge. */
	io = (struct machine_io){.name = PAIR_NAME, .direction = HOST_OUT, .data_len = 28};
	pair_build(PAIR_REGISTER, 0, 0, PAIR_KEY, io.cdb, io.data);
	io.cdb[8] = 28;
	io.data[20] = 0x08;
	CHECK(machine_execute(pair.machine[S], &io));
	CHECK_INT(io.status, HOST_GOOD);
	CHECK_INT(pair_guest(S, PAIR_RESERVE, 5, PAIR_KEY, 0), HOST_GOOD);
	CHECK(pair_property_is(S, "MigratePr", "false"));
	CHECK(pair_property_is(S, "Key", "0"));
	CHECK(!pair_call(S, "Export", NULL, false, &reply));
	CHECK_STR(reply.error, "Unsupported");
	CHECK_INT(pair_write(S, 0), HOST_GOOD);
	CHECK_INT(fake_lun_count_key(pair.lun, PAIR_KEY), 1);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
	pair_start();
	CHECK_RUN(test_lost_answers);
	CHECK_RUN(test_not_ready_that_took_effect);
	CHECK_RUN(test_killed_in_flight);
	CHECK_RUN(test_disk_full);
	CHECK_RUN(test_directory_lost);
	CHECK_RUN(test_damaged_file);
	CHECK_RUN(test_scsi_2_reserve);
	CHECK_RUN(test_migrate_pr_off);
	CHECK(pair_stop());
	return check_summary();
}
