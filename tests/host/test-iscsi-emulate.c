/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emulated reservations on a LUN of a real target, each nexus by a session of its own. A target that starts anew has forgotten the
 * claim: it is then made again, or the LUN is another host's.
 */
#include "check.h"
#include "emulated.h"
#include "target.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define HOST 0
#define OTHER 1
#define KEY_1 0x1111
#define KEY_2 0x2222
#define TYPE_WRITE_EXCLUSIVE 1
#define CONFLICT 0x18
#define SETTLE_MS 30000
#define DEFINITION                                                                                 \
	"[lun]\nbackend=iscsi\nportal=%s\ntarget=" TARGET_NAME                                     \
	"\nlun=1\ninitiator=iqn.2026-11.com.example:%s\n%s"

static struct target *target;
static struct relay *relay; /* of vm1, by whose session the claim stands */
static char reason[HOST_REASON_MAX];

static void define(unsigned int host, const char *name, const char *portal, const char *initiator,
		   const char *more)
{
	target_define(machine_root(emulated.machine[host]), name, DEFINITION, portal, initiator,
		      more);
}

/* Unit attentions are taken; BUSY and NOT READY are waited out, as a guest does. */
static uint8_t write_by(unsigned int host, const char *name)
{
	struct timespec pause = {.tv_nsec = 100000000};
	uint8_t status = EMULATED_UNANSWERED;
	uint32_t sense;

	for (unsigned int i = 0; i < SETTLE_MS / 100; i++) {
		status = emulated_write(host, name, &sense);
		if (status != 0x08 &&
		    (status != HOST_CHECK_CONDITION || (sense >> 16 != 6 && sense >> 16 != 2)))
			break;
		nanosleep(&pause, NULL);
	}
	return status;
}

static bool failure_contains(unsigned int host, const char *name, const char *text)
{
	struct timespec pause = {.tv_nsec = 100000000};
	char failure[BUS_TEXT_MAX] = "";

	for (unsigned int i = 0; i < SETTLE_MS / 100; i++) {
		if (bus_property(machine_bus(emulated.machine[host]), name, "Failure", failure) &&
		    strstr(failure, text) != NULL)
			return true;
		nanosleep(&pause, NULL);
	}
	printf("Failure of %s is %s\n", name, failure);
	return false;
}

static bool is_claimed(const char *probe)
{
	char text[64];

	emulated_reservation(OTHER, probe, text);
	return strncmp(text, "5 ", 2) == 0;
}

/* At the LUN, by a nexus of the other host's that passes reservations through. And nobody else gets it. */
static void expect_claimed(void)
{
	struct timespec pause = {.tv_nsec = 100000000};
	unsigned int i;

	CHECK(emulated_try(OTHER, "probe", "prmig/disk3;pr=passthrough", reason));
	for (i = 0; i < SETTLE_MS / 100 && !is_claimed("probe"); i++)
		nanosleep(&pause, NULL);
	CHECK(i < SETTLE_MS / 100);
	CHECK(machine_remove(emulated.machine[OTHER], "probe", HOST_DRAIN));
	CHECK(!emulated_try(OTHER, "vm3", "prmig/disk3;pr=emulate", reason));
}

/* To the LUN the claim is a reservation; data of both passes it, and the guests are told apart by prmig. */
static void test_one_registry(void)
{
	define(HOST, "disk1", relay_portal(relay), "vm1-a", "");
	define(HOST, "disk2", target_portal(target), "vm2-a", "");
	define(OTHER, "disk3", target_portal(target), "vm3-b", "");
	CHECK(emulated_try(HOST, "vm1", "prmig/disk1;pr=emulate", reason));
	CHECK(emulated_try(HOST, "vm2", "prmig/disk2;pr=emulate", reason));
	CHECK_INT(write_by(HOST, "vm1"), HOST_GOOD);
	CHECK_INT(write_by(HOST, "vm2"), HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_REGISTER, 0, 0, KEY_1, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_REGISTER, 0, 0, KEY_2, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_RESERVE, TYPE_WRITE_EXCLUSIVE, KEY_1, 0, NULL),
		  HOST_GOOD);
	CHECK_INT(write_by(HOST, "vm1"), HOST_GOOD);
	CHECK_INT(write_by(HOST, "vm2"), CONFLICT);
	expect_claimed();
}

/* The holder's session is lost, and made again. */
static void test_connection_lost(void)
{
	unsigned int before = relay_connections(relay);

	relay_cut(relay);
	CHECK_INT(write_by(HOST, "vm1"), HOST_GOOD);
	CHECK(relay_connections(relay) > before);
	CHECK(emulated_property_is(HOST, "vm1", "Failure", "''"));
	CHECK_INT(write_by(HOST, "vm2"), CONFLICT);
	CHECK(emulated_property_is(HOST, "vm2", "Failure", "''"));
	expect_claimed();
}

/* Nothing of the claim is left at the LUN. */
static void test_target_restarts(void)
{
	target_kill(target);
	CHECK(target_restart(target));
	CHECK_INT(write_by(HOST, "vm1"), HOST_GOOD);
	CHECK_INT(write_by(HOST, "vm2"), CONFLICT);
	CHECK(emulated_property_is(HOST, "vm1", "Failure", "''"));
	CHECK(emulated_property_is(HOST, "vm2", "Failure", "''"));
	expect_claimed();
}

/* While the host is away another takes the LUN, which is free: the first one's guests write nothing, and prmig says why. */
static void test_taken_meanwhile(void)
{
	machine_kill(emulated.machine[HOST]);
	target_kill(target);
	CHECK(target_restart(target));
	CHECK(emulated_try(OTHER, "vm3", "prmig/disk3;pr=emulate", reason));
	CHECK_INT(write_by(OTHER, "vm3"), HOST_GOOD);
	CHECK(machine_boot(emulated.machine[HOST]));
	CHECK(failure_contains(HOST, "vm1", "is claimed by"));
	CHECK(failure_contains(HOST, "vm2", "is claimed by"));
	CHECK(emulated_write(HOST, "vm1", NULL) != HOST_GOOD);
	CHECK(emulated_write(HOST, "vm2", NULL) != HOST_GOOD);
	CHECK_INT(write_by(OTHER, "vm3"), HOST_GOOD);
}

/* A session of one name on two hosts is not for an emulated LUN. */
static void test_moving_session_refused(void)
{
	define(OTHER, "disk4", target_portal(target), "vm4",
	       "move=iqn.2026-11.com.example:prmig\n");
	CHECK(!emulated_try(OTHER, "vm4", "prmig/disk4;pr=emulate", reason));
	CHECK_INT(write_by(OTHER, "vm3"), HOST_GOOD);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
	target = target_start();
	if (!target)
		return CHECK_EXIT_SKIPPED;
	relay = relay_start(target);
	if (!relay)
		return 1;
	emulated_start();
	CHECK_RUN(test_one_registry);
	CHECK_RUN(test_connection_lost);
	CHECK_RUN(test_target_restarts);
	CHECK_RUN(test_taken_meanwhile);
	CHECK_RUN(test_moving_session_refused);
	CHECK(emulated_stop());
	relay_stop(relay);
	target_stop(target);
	return check_summary();
}
