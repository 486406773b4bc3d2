/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two guests of one host on one LUN, each by an iSCSI session of its own: the LUN tells them apart. The one
 * moves to another host, and the other, still on the first, keeps what it has.
 */
#include "check.h"
#include "machine.h"
#include "target.h"

#include <stdio.h>

#define KEY_1 0x1111
#define KEY_2 0x2222
#define REGISTER 0
#define RESERVE 1
#define RELEASE 2
#define TYPE_WERO 5
#define TYPE_WRITE_EXCLUSIVE 1
#define PR_OUT 0x5f
#define READ_10 0x28
#define WRITE_10 0x2a
#define BLOCK 512
#define CONFLICT 0x18
#define SETTLE_MS 20000
#define SECRET "quite-secret-word"

static struct target *target;
static struct machine *source, *destination;

/* Unit attentions are taken, and the command is sent again. */
static uint8_t execute(struct machine *machine, const struct machine_io *command)
{
	struct machine_io io;
	unsigned int i;

	for (i = 0; i < 6; i++) {
		io = *command;
		if (!machine_execute(machine, &io))
			return 0xff;
		if (io.status != HOST_CHECK_CONDITION || io.sense >> 16 != 6)
			break;
	}
	return io.status;
}

static uint8_t pr_out(struct machine *machine, const char *name, uint8_t action, uint8_t type,
		      uint64_t key, uint64_t new_key)
{
	struct machine_io io = {
		.cdb = {PR_OUT, action, type, [8] = 24}, .direction = HOST_OUT, .data_len = 24};
	int i;

	snprintf(io.name, sizeof(io.name), "%s", name);
	for (i = 0; i < 8; i++) {
		io.data[i] = (uint8_t)(key >> (56 - 8 * i));
		io.data[8 + i] = (uint8_t)(new_key >> (56 - 8 * i));
	}
	return execute(machine, &io);
}

static uint8_t write_block(struct machine *machine, const char *name)
{
	struct machine_io io = {
		.cdb = {WRITE_10, [8] = 1}, .direction = HOST_OUT, .data_len = BLOCK};

	snprintf(io.name, sizeof(io.name), "%s", name);
	return execute(machine, &io);
}

static bool has(struct machine *machine, const char *name, const char *property, const char *text)
{
	if (bus_wait_property(machine_bus(machine), name, property, text, SETTLE_MS))
		return true;
	printf("%s of %s is not %s\n", property, name, text);
	return false;
}

static bool call(struct machine *machine, const char *method, const char *state,
		 struct bus_reply *reply)
{
	bool ok = machine_bus_call(machine, "vm1", method, state, NULL, reply);

	if (!ok)
		printf("%s: %s: %s\n", method, reply->error, reply->message);
	return ok;
}

/* Everything with CHAP: the password is to be found nowhere in the end. */
static void define(struct machine *machine, const char *name, const char *initiator)
{
	target_define(machine_root(machine), name,
		      "[lun]\nbackend=iscsi\nportal=%s\ntarget=" TARGET_NAME
		      "\nlun=1\ninitiator=iqn.2026-11.com.example:%s\n[chap]\nuser=guest\n"
		      "password=" SECRET "\n",
		      target_portal(target), initiator);
}

static void test_two_guests(void)
{
	CHECK(target_admin(target, "--op new --mode account --user guest --password " SECRET));
	CHECK(target_admin(target, "--op bind --mode account --tid 1 --user guest"));
	define(source, "disk1", "vm1-a");
	define(source, "disk2", "vm2-a");
	define(destination, "disk1", "vm1-b");
	CHECK(machine_add(source, "vm1", "prmig/disk1"));
	CHECK(machine_add(source, "vm2", "prmig/disk2"));
	CHECK(machine_add(destination, "vm1", "prmig/disk1;incoming=on"));
	CHECK(has(source, "vm1", "Backend", "'iscsi'"));
	CHECK(has(source, "vm1", "Device", "'" TARGET_NAME "/1 by iqn.2026-11.com.example:vm1-a'"));
	CHECK_INT(pr_out(source, "vm1", REGISTER, 0, 0, KEY_1), HOST_GOOD);
	CHECK_INT(pr_out(source, "vm2", REGISTER, 0, 0, KEY_2), HOST_GOOD);
	CHECK_INT(pr_out(source, "vm1", RESERVE, TYPE_WRITE_EXCLUSIVE, KEY_1, 0), HOST_GOOD);
	CHECK_INT(write_block(source, "vm1"), HOST_GOOD);
	CHECK_INT(write_block(source, "vm2"), CONFLICT);
	CHECK(has(source, "vm1", "Holder", "true"));
	CHECK(has(source, "vm2", "Holder", "false"));
	CHECK(has(source, "vm2", "Key", "8738"));
}

static void test_one_moves(void)
{
	struct bus_reply exported, reply;

	if (!CHECK(call(source, "Export", NULL, &exported)))
		return;
	CHECK(call(destination, "Import", exported.state, &reply));
	CHECK(call(source, "Release", NULL, &reply));
	CHECK_INT(write_block(destination, "vm1"), HOST_GOOD);
	CHECK(has(destination, "vm1", "Holder", "true"));
	CHECK(has(source, "vm1", "Key", "0"));
	/* The other has its own registration, and is shut out as before. */
	CHECK_INT(write_block(source, "vm2"), CONFLICT);
	CHECK(has(source, "vm2", "Key", "8738"));
	CHECK(has(source, "vm2", "Fenced", "false"));
	CHECK_INT(pr_out(destination, "vm1", RELEASE, TYPE_WRITE_EXCLUSIVE, KEY_1, 0), HOST_GOOD);
	CHECK_INT(pr_out(source, "vm2", RESERVE, TYPE_WERO, KEY_2, 0), HOST_GOOD);
	CHECK_INT(write_block(source, "vm2"), HOST_GOOD);
	CHECK_INT(write_block(destination, "vm1"), HOST_GOOD);
}

/* And back, each with the session that it had. */
static void test_and_back(void)
{
	struct bus_reply exported, reply;

	if (!CHECK(call(destination, "Export", NULL, &exported)))
		return;
	CHECK(call(source, "Import", exported.state, &reply));
	CHECK(call(destination, "Release", NULL, &reply));
	CHECK_INT(write_block(source, "vm1"), HOST_GOOD);
	CHECK_INT(write_block(source, "vm2"), HOST_GOOD);
	CHECK_INT(write_block(destination, "vm1"), CONFLICT);
	CHECK(has(source, "vm2", "Holder", "true"));
}

/*
 * tgtd forgets the registration of a session that ends: what the LUN says then counts, not what is
 * remembered.
 */
static void test_registration_looked_up(void)
{
	machine_kill(source);
	CHECK(machine_boot(source));
	CHECK(has(source, "vm1", "Failure", "''"));
	CHECK_INT(write_block(source, "vm1"), CONFLICT);
	CHECK(has(source, "vm1", "Fenced", "true"));
	CHECK(has(source, "vm2", "Key", "0"));
}

/* The password is in the definition, and in no property, state file or cfgstring. */
static void test_secret(void)
{
	static const char *const properties[] = {"Name",  "Device",  "Lun",   "Backend",
						 "State", "Failure", "Paths", "Group"};
	char text[BUS_TEXT_MAX], command[256];
	size_t i;

	for (i = 0; i < sizeof(properties) / sizeof(properties[0]); i++) {
		CHECK(bus_property(machine_bus(source), "vm1", properties[i], text));
		CHECK(!strstr(text, SECRET));
	}
	snprintf(command, sizeof(command),
		 "test \"$(grep -rl %s %s | sort)\" = \"$(echo %s/etc/prmig/disk1.conf; "
		 "echo %s/etc/prmig/disk2.conf)\"",
		 SECRET, machine_root(source), machine_root(source), machine_root(source));
	CHECK_INT(system(command), 0);
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
	CHECK_RUN(test_two_guests);
	CHECK_RUN(test_one_moves);
	CHECK_RUN(test_and_back);
	CHECK_RUN(test_registration_looked_up);
	CHECK_RUN(test_secret);
	CHECK(machine_stop(source));
	CHECK(machine_stop(destination));
	machine_free(source);
	machine_free(destination);
	target_stop(target);
	return check_summary();
}
