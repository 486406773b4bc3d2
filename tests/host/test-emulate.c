/* SPDX-License-Identifier: Apache-2.0 */
/* Emulated reservations on one host: two guests on one file, kills, boots, a damaged registry, a full disk; and a second host. */
#include "check.h"
#include "emulated.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOST 0
#define OTHER 1
#define WRITE_EXCLUSIVE 1
#define WERO 5
#define UA_POWER_ON 0x62900
#define UA_RESERVATIONS_PREEMPTED 0x62a03
#define UA_REGISTRATIONS_PREEMPTED 0x62a05

static uint32_t sense;
static char text[256];

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

/* vm1 holds WERO with a1, vm2 is registered with b2. */
static void set_up(void)
{
	CHECK(emulated_reset());
	CHECK(emulated_add(HOST, "vm1", ""));
	CHECK(emulated_add(HOST, "vm2", ""));
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_REGISTER, 0, 0, 0xa1, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_REGISTER, 0, 0, 0xb2, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_RESERVE, WERO, 0xa1, 0, NULL), HOST_GOOD);
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
	CHECK_INT(emulated_write(HOST, "vm2", &sense), 0x18);
	CHECK_INT(sense, 0);
	CHECK_INT(emulated_read(HOST, "vm2", NULL), HOST_GOOD);
	check_keys(HOST, "vm2", "1: a1");
	check_reservation(HOST, "vm2", "1 a1");
	CHECK(emulated_property_is(HOST, "vm1", "Holder", "true"));
}

static void killed_and_restarted(void)
{
	set_up();
	CHECK(emulated_restart(HOST));
	CHECK(emulated_property_is(HOST, "vm1", "Key", "161"));
	check_keys(HOST, "vm2", "2: a1 b2");
	check_reservation(HOST, "vm2", "5 a1");
	CHECK_INT(emulated_write(HOST, "vm1", NULL), HOST_GOOD);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
	emulated_start();
	CHECK_RUN(two_guests);
	CHECK_RUN(killed_and_restarted);
	CHECK(emulated_stop());
	return check_summary();
}
