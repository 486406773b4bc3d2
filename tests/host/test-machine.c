/* SPDX-License-Identifier: Apache-2.0 */
/* Two hosts, one LUN: the host's own processes, buses and restarts, with a hand-over through them. */
#include "check.h"
#include "machine.h"

#include <unistd.h>

#include "fake-lun.h"

#define KEY 0x1234
#define RESERVE 1
#define REGISTER 0
#define TYPE_WERO 5
#define PR_OUT 0x5f
#define WRITE_10 0x2a
#define TIMEOUT_MS 10000

static char lun_path[64];
static struct fake_lun *lun;
static struct machine *source, *destination;

static uint8_t pr_out(struct machine *machine, uint8_t action, uint8_t type, uint64_t key,
		      uint64_t new_key)
{
	struct machine_io io = {.name = "vm1", .direction = HOST_OUT, .data_len = 24};
	int i;

	io.cdb[0] = PR_OUT;
	io.cdb[1] = action;
	io.cdb[2] = type;
	io.cdb[8] = 24;
	for (i = 0; i < 8; i++) {
		io.data[i] = (uint8_t)(key >> (56 - 8 * i));
		io.data[8 + i] = (uint8_t)(new_key >> (56 - 8 * i));
	}
	return machine_execute(machine, &io) ? io.status : 0xff;
}

static uint8_t write_block(struct machine *machine, uint32_t timeout_ms)
{
	struct machine_io io = {.name = "vm1",
				.cdb = {WRITE_10, [8] = 1},
				.direction = HOST_OUT,
				.data_len = 512,
				.timeout_ms = timeout_ms};

	return machine_execute(machine, &io) ? io.status : 0xff;
}

static void test_boot(void)
{
	const char *paths[] = {lun_path};

	source = machine_new(paths, 1);
	destination = machine_new(paths, 1);
	CHECK(machine_boot(source));
	CHECK(machine_boot(destination));
	CHECK(machine_add(source, "vm1", "prmig//dev/fake/0/0"));
	CHECK(machine_add(destination, "vm1", "prmig//dev/fake/0/1;incoming=on"));
	CHECK_INT(write_block(source, 0), HOST_GOOD);
}

static void test_reserve_and_kill(void)
{
	struct fake_state state;

	CHECK_INT(pr_out(source, REGISTER, 0, 0, KEY), HOST_GOOD);
	CHECK_INT(pr_out(source, RESERVE, TYPE_WERO, KEY, 0), HOST_GOOD);
	machine_kill(source);
	CHECK_INT(write_block(source, 0), 0xff);
	CHECK(machine_boot(source));
	CHECK(bus_wait_property(machine_bus(source), "vm1", "Key", "4660", TIMEOUT_MS));
	CHECK(bus_wait_property(machine_bus(source), "vm1", "Holder", "true", TIMEOUT_MS));
	CHECK_INT(write_block(source, 0), HOST_GOOD);
	fake_lun_get_state(lun, &state);
	CHECK_INT(state.holder, 0);
}

static void test_hand_over(void)
{
	struct bus_reply exported, reply;
	struct fake_state state;

	if (!CHECK(machine_bus_call(source, "vm1", "Export", NULL, NULL, &exported)))
		printf("%s: %s\n", exported.error, exported.message);
	CHECK(exported.state[0]);
	if (!CHECK(machine_bus_call(destination, "vm1", "Import", exported.state, NULL, &reply)))
		printf("%s: %s\n", reply.error, reply.message);
	fake_lun_get_state(lun, &state);
	CHECK_INT(state.holder, 1);
	CHECK_INT(write_block(destination, 0), HOST_GOOD);
	CHECK(machine_bus_call(source, "vm1", "Release", NULL, NULL, &reply));
	CHECK(!machine_bus_call(source, "vm1", "Import", "nonsense", NULL, &reply));
	CHECK_STR(reply.error, "BadState");
	CHECK(!machine_bus_call(source, "no-such", "Resync", NULL, NULL, &reply));
}

static void test_stop(void)
{
	CHECK(machine_stop(source));
	CHECK(machine_boot(source));
	CHECK(machine_remove(source, "vm1", HOST_DRAIN));
	CHECK(machine_stop(source));
	CHECK(machine_stop(destination));
	machine_free(source);
	machine_free(destination);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
	snprintf(lun_path, sizeof(lun_path), "/tmp/prmig-lun-%d", getpid());
	lun = fake_lun_create(lun_path, NULL);
	if (!lun)
		return 1;
	CHECK_RUN(test_boot);
	CHECK_RUN(test_reserve_and_kill);
	CHECK_RUN(test_hand_over);
	CHECK_RUN(test_stop);
	fake_lun_detach(lun);
	unlink(lun_path);
	return check_summary();
}
