/* SPDX-License-Identifier: Apache-2.0 */
/* Emulated reservations on one host: two guests on one LUN, kills, boots, a registry that is damaged or cannot be written; and who may share the LUN. */
#include "check.h"
#include "emulated.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST 0
#define OTHER 1
#define WRITE_EXCLUSIVE 1
#define WERO 5
#define RESERVATION_CONFLICT 0x18
#define TASK_ABORTED 0x40
#define UA_POWER_ON 0x62900
#define UA_RESERVATIONS_PREEMPTED 0x62a03
#define UA_REGISTRATIONS_PREEMPTED 0x62a05
#define NOT_STORED 0x55504
#define WRITE_10 0x2a
#define SLOW_MS 1500

static uint32_t sense;
static char text[256], reason[HOST_REASON_MAX], path[512];

static void check_keys(unsigned int host, const char *name, const char *want)
{
	emulated_keys(host, name, text);
	CHECK_STR(text, want);
}

static void check_reservation(unsigned int host, const char *name, const char *want)
{
	emulated_reservation(host, name, text);
	CHECK_STR(text, want);
}

/* Registers vm1 with a1, which holds WERO, and vm2 with b2. */
static void reserve(bool aptpl)
{
	/* APTPL is bit 0 of byte 20. */
	CHECK_INT(aptpl ? emulated_register_aptpl(HOST, "vm1", 0xa1)
			: emulated_pr(HOST, "vm1", EMULATED_REGISTER, 0, 0, 0xa1, NULL),
		  HOST_GOOD);
	CHECK_INT(aptpl ? emulated_register_aptpl(HOST, "vm2", 0xb2)
			: emulated_pr(HOST, "vm2", EMULATED_REGISTER, 0, 0, 0xb2, NULL),
		  HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_RESERVE, WERO, 0xa1, 0, NULL), HOST_GOOD);
}

static void set_up(bool aptpl)
{
	CHECK(emulated_reset());
	CHECK(emulated_add(HOST, "vm1", ""));
	CHECK(emulated_add(HOST, "vm2", ""));
	reserve(aptpl);
}

static void two_guests(void)
{
	CHECK(emulated_add(HOST, "vm1", ""));
	CHECK(emulated_add(HOST, "vm2", ""));
	CHECK(emulated_property_is(HOST, "vm1", "Emulated", "true"));
	CHECK(emulated_property_is(HOST, "vm1", "Backend", "'file'"));
	CHECK_INT(emulated_write(HOST, "vm1", NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_REGISTER, 0, 0, 0xa1, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_RESERVE, WRITE_EXCLUSIVE, 0xa1, 0, NULL),
		  HOST_GOOD);
	CHECK_INT(emulated_write(HOST, "vm1", NULL), HOST_GOOD);
	CHECK_INT(emulated_write(HOST, "vm2", &sense), RESERVATION_CONFLICT);
	CHECK_INT(sense, 0);
	CHECK_INT(emulated_read(HOST, "vm2", NULL), HOST_GOOD);
	check_keys(HOST, "vm2", "1: a1");
	check_reservation(HOST, "vm2", "1 a1");
	CHECK(emulated_property_is(HOST, "vm1", "Holder", "true"));
}

static void fenced(void)
{
	set_up(false);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_PREEMPT, WERO, 0xb2, 0xa1, NULL), HOST_GOOD);
	CHECK_INT(emulated_write(HOST, "vm1", NULL), RESERVATION_CONFLICT);
	CHECK(emulated_property_is(HOST, "vm1", "Fenced", "true"));
	/* Resynchronising met it; it is the guest's all the same, and comes once. */
	CHECK_INT(emulated_test_unit_ready(HOST, "vm1", &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense, UA_REGISTRATIONS_PREEMPTED);
	CHECK_INT(emulated_test_unit_ready(HOST, "vm1", NULL), HOST_GOOD);
	CHECK_INT(emulated_write(HOST, "vm2", NULL), HOST_GOOD);
}

static void killed_and_restarted(void)
{
	set_up(false);
	CHECK(emulated_restart(HOST));
	CHECK(emulated_property_is(HOST, "vm1", "Key", "161"));
	check_keys(HOST, "vm2", "2: a1 b2");
	check_reservation(HOST, "vm2", "5 a1");
	CHECK_INT(emulated_write(HOST, "vm1", NULL), HOST_GOOD);
}

/* As a LUN that lost power: without APTPL nothing is left, and everybody is told. */
static void booted(void)
{
	set_up(false);
	CHECK(emulated_reboot(HOST));
	CHECK(emulated_property_is(HOST, "vm1", "Fenced", "true"));
	CHECK_INT(emulated_test_unit_ready(HOST, "vm2", &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense, UA_POWER_ON);
	check_keys(HOST, "vm2", "0:");
	check_reservation(HOST, "vm2", "none");
}

static void booted_with_aptpl(void)
{
	set_up(true);
	CHECK(emulated_reboot(HOST));
	CHECK_INT(emulated_test_unit_ready(HOST, "vm2", &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense, UA_POWER_ON);
	check_reservation(HOST, "vm2", "5 a1");
	CHECK_INT(emulated_test_unit_ready(HOST, "vm1", &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense, UA_POWER_ON);
	CHECK_INT(emulated_write(HOST, "vm1", NULL), HOST_GOOD);
	CHECK(emulated_property_is(HOST, "vm1", "Fenced", "false"));
}

/* The only file of /var/lib/prmig/lun. */
static void registry_path(void)
{
	char command[640];
	FILE *found;

	snprintf(command, sizeof(command), "ls -d %s/var/lib/prmig/lun/naa.*",
		 machine_root(emulated.machine[HOST]));
	found = popen(command, "r");
	if (!CHECK(found != NULL && fgets(path, sizeof(path), found) != NULL))
		exit(1);
	path[strcspn(path, "\n")] = '\0';
	pclose(found);
}

static void damaged(const char *command_format)
{
	char command[640];

	set_up(true);
	registry_path();
	machine_kill(emulated.machine[HOST]);
	snprintf(command, sizeof(command), command_format, path);
	CHECK_INT(system(command), 0);
	CHECK(machine_boot(emulated.machine[HOST]));
	CHECK(emulated_property_is(HOST, "vm1", "Fenced", "true"));
	CHECK_INT(emulated_test_unit_ready(HOST, "vm1", &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense, UA_RESERVATIONS_PREEMPTED);
	CHECK_INT(emulated_test_unit_ready(HOST, "vm2", &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense, UA_RESERVATIONS_PREEMPTED);
	check_keys(HOST, "vm1", "0:");
	snprintf(command, sizeof(command), "test -f '%s,damaged'", path);
	CHECK_INT(system(command), 0);
	reserve(true);
	CHECK_INT(emulated_write(HOST, "vm1", NULL), HOST_GOOD);
}

static void registry_damaged(void)
{
	damaged("sed -i 's/generation=2/generation=7/' '%s'");
}

static void registry_lost(void)
{
	damaged("cp /dev/null '%s'");
}

/* A registration that cannot be remembered does not happen. */
static void registry_not_written(void)
{
	char command[1200];

	set_up(false);
	registry_path();
	snprintf(
		command, sizeof(command),
		"mv '%s' '%s/kept' && rmdir '%s/var/lib/prmig/lun' && touch '%s/var/lib/prmig/lun'",
		path, emulated.directory, machine_root(emulated.machine[HOST]),
		machine_root(emulated.machine[HOST]));
	CHECK_INT(system(command), 0);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_PREEMPT, WERO, 0xb2, 0xa1, &sense),
		  HOST_CHECK_CONDITION);
	CHECK_INT(sense, NOT_STORED);
	check_keys(HOST, "vm2", "2: a1 b2");
	check_reservation(HOST, "vm2", "5 a1");
	CHECK_INT(emulated_write(HOST, "vm1", NULL), HOST_GOOD);
	snprintf(command, sizeof(command),
		 "cd '%s/var/lib/prmig' && rm lun && mkdir -m 700 lun && mv '%s/kept' '%s'",
		 machine_root(emulated.machine[HOST]), emulated.directory, path);
	CHECK_INT(system(command), 0);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_PREEMPT, WERO, 0xb2, 0xa1, NULL), HOST_GOOD);
	check_keys(HOST, "vm2", "3: b2");
}

/* ---- on a SCSI LUN ---- */

static void scsi_lun(void)
{
	struct fake_state state;

	CHECK(emulated_reset());
	CHECK(emulated_try(HOST, "vm1", "prmig//dev/fake/0/0;pr=emulate", reason));
	/* The same physical nexus serves both. */
	CHECK(emulated_try(HOST, "vm2", "prmig//dev/fake/0/0;pr=emulate", reason));
	reserve(false);
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_RELEASE, WERO, 0xa1, 0, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_RESERVE, WRITE_EXCLUSIVE, 0xa1, 0, NULL),
		  HOST_GOOD);
	CHECK_INT(emulated_test_unit_ready(HOST, "vm2", NULL), HOST_CHECK_CONDITION);
	CHECK_INT(emulated_write(HOST, "vm2", NULL), RESERVATION_CONFLICT);
	CHECK_INT(emulated_write(HOST, "vm1", NULL), HOST_GOOD);
	/* On the LUN there is the claim, and nothing of the guests. */
	fake_lun_get_state(emulated.lun, &state);
	CHECK_INT(state.registrations, 1);
	CHECK(state.held);
	CHECK_INT(state.type, WERO);
	CHECK_INT(state.holder, 0);
	CHECK(state.nexus[0].key != 0xa1 && state.nexus[0].key != 0);
	/* Another host is refused, and has registered nothing. */
	CHECK(!emulated_try(OTHER, "vm3", "prmig//dev/fake/0/1;pr=emulate", reason));
	fake_lun_get_state(emulated.lun, &state);
	CHECK_INT(state.registrations, 1);
	CHECK(emulated_restart(HOST));
	CHECK_INT(emulated_write(HOST, "vm1", NULL), HOST_GOOD);
	/* What was told before the kill may be told again. */
	emulated_test_unit_ready(HOST, "vm2", NULL);
	check_reservation(HOST, "vm2", "1 a1");
}

static void not_mixed(void)
{
	struct fake_state state;

	CHECK(emulated_reset());
	CHECK(emulated_try(HOST, "vm1", "prmig//dev/fake/0/0", reason));
	CHECK(!emulated_try(HOST, "vm2", "prmig//dev/fake/0/1;pr=emulate", reason));
	fake_lun_get_state(emulated.lun, &state);
	CHECK_INT(state.registrations, 0);
	CHECK(!state.held);
	CHECK(machine_remove(emulated.machine[HOST], "vm1", HOST_DRAIN));
	CHECK(emulated_try(HOST, "vm2", "prmig//dev/fake/0/1;pr=emulate", reason));
	CHECK(!emulated_try(HOST, "vm3", "prmig//dev/fake/0/0", reason));
}

/* Who uses the LUN's own reservations is not locked out by a claim. */
static void used_by_others(void)
{
	struct fake_result result;
	uint8_t cdb[10] = {0x5f, [8] = 24}, list[24] = {[15] = 0x77};
	struct fake_state state;

	CHECK(emulated_reset());
	fake_lun_execute(emulated.lun, 5, cdb, sizeof(cdb), list, sizeof(list), NULL, 0, &result);
	CHECK_INT(result.status, HOST_GOOD);
	CHECK(!emulated_try(HOST, "vm1", "prmig//dev/fake/0/0;pr=emulate", reason));
	fake_lun_get_state(emulated.lun, &state);
	CHECK_INT(state.registrations, 1);
	CHECK_INT(state.nexus[5].key, 0x77);
	CHECK(!state.held);
}

struct writer {
	pthread_t thread;
	uint8_t status;
};

static void *write_slowly(void *user)
{
	struct writer *writer = user;

	writer->status = emulated_write(HOST, "vm1", NULL);
	return NULL;
}

static void aborted(void)
{
	struct fake_fault slow = fake_fault(0, WRITE_10, FAKE_ANY);
	struct writer writer = {.status = 0};
	int fault;

	CHECK(emulated_reset());
	CHECK(emulated_try(HOST, "vm1", "prmig//dev/fake/0/0;pr=emulate", reason));
	CHECK(emulated_try(HOST, "vm2", "prmig//dev/fake/0/0;pr=emulate", reason));
	reserve(false);
	slow.delay_before_ms = SLOW_MS;
	fault = fake_lun_add_fault(emulated.lun, &slow);
	CHECK_INT(pthread_create(&writer.thread, NULL, write_slowly, &writer), 0);
	for (int i = 0; i < 1000 && fake_lun_fault_hits(emulated.lun, fault) == 0; i++)
		usleep(10000);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_PREEMPT_AND_ABORT, WERO, 0xb2, 0xa1, NULL),
		  HOST_GOOD);
	/* GOOD came after the last of the aborted commands. */
	fake_lun_clear_faults(emulated.lun);
	CHECK_INT(emulated_write(HOST, "vm2", NULL), HOST_GOOD);
	pthread_join(writer.thread, NULL);
	CHECK_INT(writer.status, TASK_ABORTED);
}

/* A claim that the LUN lost with its power is made again; one that another host has taken is not. */
static void claim_lost(void)
{
	struct fake_state state;
	struct fake_quirks quirks = {.no_aptpl = true};

	CHECK(emulated_reset());
	fake_lun_set_quirks(emulated.lun, &quirks);
	CHECK(emulated_try(HOST, "vm1", "prmig//dev/fake/0/0;pr=emulate", reason));
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_REGISTER, 0, 0, 0xa1, NULL), HOST_GOOD);
	fake_lun_power_loss(emulated.lun);
	CHECK(emulated_restart(HOST));
	CHECK_INT(emulated_test_unit_ready(HOST, "vm1", &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense, UA_POWER_ON);
	check_keys(HOST, "vm1", "1: a1");
	fake_lun_get_state(emulated.lun, &state);
	CHECK_INT(state.registrations, 1);
	CHECK(state.held);
	machine_kill(emulated.machine[HOST]);
	CHECK(emulated_try(OTHER, "vm1", "prmig//dev/fake/0/1;pr=emulate;incoming=on", reason));
	CHECK(emulated_call(OTHER, "vm1", "Abort", NULL, true, NULL, &(struct bus_reply){0}));
	fake_lun_get_state(emulated.lun, &state);
	CHECK_INT(state.holder, 1);
	CHECK_INT(state.nexus[0].key, 0);
	CHECK(machine_boot(emulated.machine[HOST]));
	CHECK(emulated_write(HOST, "vm1", NULL) != HOST_GOOD);
	fake_lun_get_state(emulated.lun, &state);
	CHECK_INT(state.holder, 1);
	CHECK_INT(state.nexus[0].key, 0);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
	emulated_start();
	CHECK_RUN(two_guests);
	CHECK_RUN(fenced);
	CHECK_RUN(killed_and_restarted);
	CHECK_RUN(booted);
	CHECK_RUN(booted_with_aptpl);
	CHECK_RUN(registry_damaged);
	CHECK_RUN(registry_lost);
	CHECK_RUN(registry_not_written);
	CHECK_RUN(scsi_lun);
	CHECK_RUN(not_mixed);
	CHECK_RUN(used_by_others);
	CHECK_RUN(aborted);
	CHECK_RUN(claim_lost);
	CHECK(emulated_stop());
	return check_summary();
}
