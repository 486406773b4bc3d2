/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A nexus that is to move whole (move=) at a target that forgets registrations when their session ends, as tgtd does: found out before
 * anything is risked. And the destination, which has the same definition, leaves the session of the source alone while it waits.
 */
#include "check.h"
#include "machine.h"
#include "target.h"

#include <stdio.h>

#define KEY 0x1111
#define REGISTER 0
#define RESERVE 1
#define TYPE_WRITE_EXCLUSIVE 1
#define PR_IN 0x5e
#define PR_OUT 0x5f
#define READ_10 0x28
#define WRITE_10 0x2a
#define BLOCK 512
#define SETTLE_MS 20000

static struct target *target;
static struct machine *source, *destination;

/* Unit attentions are taken, and the command is sent again. */
static uint8_t execute(struct machine *machine, struct machine_io *command)
{
	struct machine_io io;

	for (unsigned int i = 0; i < 6; i++) {
		io = *command;
		snprintf(io.name, sizeof(io.name), "vm1");
		if (!machine_execute(machine, &io))
			return 0xff;
		if (io.status != HOST_CHECK_CONDITION || io.sense >> 16 != 6)
			break;
	}
	*command = io;
	return io.status;
}

static uint8_t pr_out(struct machine *machine, uint8_t action, uint8_t type, uint64_t key,
		      uint64_t new_key)
{
	struct machine_io io = {
		.cdb = {PR_OUT, action, type, [8] = 24}, .direction = HOST_OUT, .data_len = 24};

	for (int i = 0; i < 8; i++) {
		io.data[i] = (uint8_t)(key >> (56 - 8 * i));
		io.data[8 + i] = (uint8_t)(new_key >> (56 - 8 * i));
	}
	return execute(machine, &io);
}

static uint8_t write_block(struct machine *machine)
{
	struct machine_io io = {
		.cdb = {WRITE_10, [8] = 1}, .direction = HOST_OUT, .data_len = BLOCK};

	return execute(machine, &io);
}

static uint8_t read_block(struct machine *machine)
{
	struct machine_io io = {.cdb = {READ_10, [8] = 1}, .direction = HOST_IN, .data_len = BLOCK};

	return execute(machine, &io);
}

/* The bytes of the keys that READ KEYS lists. */
static unsigned int listed_bytes(struct machine *machine)
{
	struct machine_io io = {.cdb = {PR_IN, [8] = 64}, .direction = HOST_IN, .data_len = 64};

	if (execute(machine, &io) != HOST_GOOD)
		return UINT32_MAX;
	return (unsigned int)io.data[4] << 24 | (unsigned int)io.data[5] << 16 |
	       (unsigned int)io.data[6] << 8 | io.data[7];
}

static bool is(struct machine *machine, const char *property, const char *text)
{
	return bus_wait_property(machine_bus(machine), "vm1", property, text, SETTLE_MS);
}

static void define(struct machine *machine, const char *initiator, const char *more)
{
	target_define(machine_root(machine), "disk1",
		      "[lun]\nbackend=iscsi\nportal=%s\ntarget=" TARGET_NAME
		      "\nlun=1\ninitiator=iqn.2026-11.com.example:%s\n%s",
		      target_portal(target), initiator, more);
}

/* tgtd would forget the source's registration if another login took its session. */
static void test_waiting_takes_no_session(void)
{
	define(source, "vm1", "move=iqn.2026-11.com.example:prmig\n");
	define(destination, "vm1", "move=iqn.2026-11.com.example:prmig\n");
	CHECK(machine_add(source, "vm1", "prmig/disk1"));
	CHECK_INT(pr_out(source, REGISTER, 0, 0, KEY), HOST_GOOD);
	CHECK_INT(pr_out(source, RESERVE, TYPE_WRITE_EXCLUSIVE, KEY, 0), HOST_GOOD);
	CHECK(machine_add(destination, "vm1", "prmig/disk1;incoming=on"));
	CHECK(is(destination, "State", "'incoming'"));
	CHECK_INT(read_block(destination), HOST_GOOD);
	CHECK_INT(write_block(source), HOST_GOOD);
	machine_kill(destination);
	CHECK(machine_boot(destination));
	CHECK(is(destination, "Failure", "''"));
	CHECK_INT(read_block(destination), HOST_GOOD);
	CHECK_INT(write_block(source), HOST_GOOD);
	CHECK(is(source, "Holder", "true"));
}

static void test_target_forgets(void)
{
	struct bus_reply reply;

	CHECK_INT(listed_bytes(source), 8);
	CHECK(!machine_bus_call(source, "vm1", "Export", NULL, NULL, &reply));
	CHECK_STR(reply.error, "Unsupported");
	CHECK_CONTAINS(reply.message, "forgets a registration when its session ends");
	CHECK_CONTAINS(reply.message, "take move= out of the definitions");
	/* The guest goes on as it was, and nothing of prmig's is left. */
	CHECK_INT(write_block(source), HOST_GOOD);
	CHECK(is(source, "State", "'active'"));
	CHECK(is(source, "Holder", "true"));
	CHECK(is(source, "Fenced", "false"));
	CHECK_INT(listed_bytes(source), 8);
}

static void test_abort_while_waiting(void)
{
	struct bus_reply reply;

	CHECK(!machine_bus_call(destination, "vm1", "Abort", NULL, NULL, &reply));
	CHECK_STR(reply.error, "WrongState");
	CHECK_CONTAINS(reply.message, "would end the session of another host");
	CHECK_INT(write_block(source), HOST_GOOD);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
	target = target_start();
	if (!target)
		return CHECK_EXIT_SKIPPED;
	source = machine_new(NULL, 0);
	destination = machine_new(NULL, 0);
	if (!machine_boot(source) || !machine_boot(destination))
		return 1;
	CHECK_RUN(test_waiting_takes_no_session);
	CHECK_RUN(test_target_forgets);
	CHECK_RUN(test_abort_while_waiting);
	CHECK(machine_stop(source));
	CHECK(machine_stop(destination));
	machine_free(source);
	machine_free(destination);
	target_stop(target);
	return check_summary();
}
