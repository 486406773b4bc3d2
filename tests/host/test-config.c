/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration as the daemon and the kernel bring it: CheckConfig, attributes, sizes, restarts. */
#include "check.h"
#include "fixture.h"

#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define LUN_BYTES (8 * MIB)
#define TEST_UNIT_READY 0x00
#define NOT_READY_CAUSE_UNKNOWN 0x20400
#define CAPACITY_DATA_CHANGED 0x62a09

static char reason[HOST_REASON_MAX];

static bool refused(const char *cfgstring, const char *text)
{
	reason[0] = '\0';
	return CHECK(!host_check_config(cfgstring, reason)) && CHECK_CONTAINS(reason, text);
}

static void test_check_config(void)
{
	CHECK(host_check_config("prmig//dev/fake/0/0", reason));
	CHECK(host_check_config("prmig//dev/fake/0/3;group=vm;hold-timeout=5", reason));
	refused("prmig//dev/fake/0/0;tcmur_cmd_time_out=3", "tcmur_cmd_time_out");
	refused("prmig//dev/fake/0/0;tcmur_cmd_time_out=3;group=a", "tcmur_cmd_time_out");
	refused("prmig//dev/fake/0/0;colour=red", "colour");
	refused("prmig//dev/fake/9/0", "/dev/fake/9/0");
	refused("prmig/", "");
	refused("", "");
}

static void test_attributes(void)
{
	struct host_device *device = host_add("vm1", "prmig//dev/fake/0/0");
	char text[256];

	if (!CHECK(device))
		return;
	host_read_configfs("vm1", "attrib/pgr_support", text);
	CHECK_STR(text, "0");
	host_read_configfs("vm1", "attrib/cmd_time_out", text);
	CHECK_INT(text[0], '0');
	host_read_configfs("vm1", "attrib/emulate_pr", text);
	CHECK_STR(text, "1");
	CHECK(device_end(device));
}

static void test_exported(void)
{
	struct host_device_config config = {
		.name = "new", .cfgstring = "prmig//dev/fake/0/0", .exported = true};

	host_clear_log();
	CHECK(!host_add_device(&config, reason));
	CHECK(host_logged("attrib/pgr_support is 1"));
	CHECK(host_logged("delete the LUNs"));
	/* The refusal leaves nothing behind that would make it a known one. */
	CHECK(!host_add_device(&config, reason));
}

static void test_old_kernel(void)
{
	struct host_device_config config = {
		.name = "old", .cfgstring = "prmig//dev/fake/0/0", .no_pgr_support = true};

	host_clear_log();
	CHECK(!host_add_device(&config, reason));
	CHECK(host_logged("kernel 5.8 or newer"));
}

/* The LUN could not tell their guests apart. */
static void test_same_nexus_twice(void)
{
	struct host_device *first = host_add("vm1", "prmig//dev/fake/0/0");
	struct host_device_config config = {.name = "vm2", .cfgstring = "prmig//dev/fake/0/0"};

	host_clear_log();
	CHECK(first != NULL);
	CHECK(!host_add_device(&config, reason));
	CHECK(host_logged("nexus 'vm1' is on "));
	CHECK(host_logged("by the same I_T nexus already (/dev/fake/0/0)"));
	CHECK(device_end(first));
}

static bool unit_is_ready(struct host_device *device, uint32_t *ret_sense)
{
	struct host_io *io = io_opcode(TEST_UNIT_READY, HOST_NONE, 0);
	bool ready;

	host_execute(device, io);
	ready = io->status == HOST_GOOD;
	*ret_sense = ready ? 0 : host_sense(io);
	io_free(io);
	return ready;
}

static bool wait_ready(struct host_device *device)
{
	uint32_t sense;
	int tries;

	for (tries = 0; tries < 300; tries++) {
		if (unit_is_ready(device, &sense))
			return true;
		usleep(100000);
	}
	return false;
}

/* A unit attention that meets the one that is refused is the other guest's. */
static void test_attention_of_the_first(void)
{
	struct host_device *first = host_add("vm1", "prmig//dev/fake/0/0");
	struct host_device_config config = {.name = "vm2", .cfgstring = "prmig//dev/fake/0/0"};
	uint32_t sense;

	if (!CHECK(first))
		return;
	fake_lun_set_capacity(fixture.lun, LUN_BYTES / FIXTURE_BLOCK);
	CHECK(!host_add_device(&config, reason));
	CHECK(!unit_is_ready(first, &sense));
	CHECK_INT(sense, CAPACITY_DATA_CHANGED);
	CHECK(unit_is_ready(first, &sense));
	CHECK(device_end(first));
}

/* Each was alone once. The LUN comes for both: who connects first has it, the other waits. */
static void test_same_nexus_when_the_lun_comes(void)
{
	static const char *const names[] = {"one", "two"};
	struct host_device *devices[2];
	unsigned int winner;
	uint32_t sense;

	for (size_t i = 0; i < 2; i++) {
		devices[i] = host_add(names[i], "prmig//dev/fake/0/0");
		CHECK(devices[i] && run_write(devices[i], 0, 1, 1));
		CHECK(host_remove_device(devices[i], HOST_BLOCK));
	}
	host_set_lun_present(0, false);
	for (size_t i = 0; i < 2; i++)
		devices[i] = host_add(names[i], "prmig//dev/fake/0/0");
	host_clear_log();
	host_set_lun_present(0, true);
	if (!CHECK(devices[0] && devices[1]))
		return;
	for (int tries = 0; tries < 300 && !host_logged("by the same I_T nexus already"); tries++)
		usleep(100000);
	winner = host_logged("nexus 'one' is on ") ? 0 : 1;
	CHECK(wait_ready(devices[winner]));
	CHECK(!unit_is_ready(devices[!winner], &sense));
	CHECK_INT(sense, NOT_READY_CAUSE_UNKNOWN);
	CHECK(run_read(devices[winner], 0, 1, 1));
	CHECK(device_end(devices[winner]));
	CHECK(wait_ready(devices[!winner]));
	CHECK(run_read(devices[!winner], 0, 1, 1));
	CHECK(device_end(devices[!winner]));
}

static void test_bad_name(void)
{
	struct host_device_config config = {.name = "vm one", .cfgstring = "prmig//dev/fake/0/0"};

	host_clear_log();
	CHECK(!host_add_device(&config, reason));
	CHECK(host_logged("'vm one' cannot be the name"));
}

static void test_size(void)
{
	struct host_device_config config = {
		.name = "vm1", .cfgstring = "prmig//dev/fake/0/0", .dev_size = 4 * MIB};
	struct host_device *device = host_add_device(&config, reason);
	char text[256];

	if (!CHECK(device))
		return;
	CHECK_INT(host_num_lbas(device), LUN_BYTES / FIXTURE_BLOCK);
	CHECK_INT(host_block_size(device), FIXTURE_BLOCK);
	host_read_configfs("vm1", "control", text);
	CHECK_STR(text, "dev_size=8388608");
	CHECK_INT(host_reconfig_size(device, LUN_BYTES), 0);
	CHECK(host_reconfig_size(device, 4 * MIB) < 0);
	CHECK_INT(host_num_lbas(device), LUN_BYTES / FIXTURE_BLOCK);
	CHECK_INT(host_reconfig_cfgstring(device, "prmig//dev/fake/0/0"), 0);
	CHECK_INT(host_reconfig_cfgstring(device, "prmig//dev/fake/0/0\n"), 0);
	CHECK(host_reconfig_cfgstring(device, "prmig//dev/fake/0/1") < 0);
	CHECK_INT(host_reconfig_write_cache(device, true), 0);
	CHECK(device_end(device));
}

static void test_block_size(void)
{
	struct fake_lun_config lun_config = {.block_len_bytes = 4096};
	struct fake_lun *lun = fake_lun_create(NULL, &lun_config);
	char cfgstring[64], text[256];
	struct host_device *device;

	snprintf(cfgstring, sizeof(cfgstring), "prmig//dev/fake/%u/0", host_add_lun(lun));
	device = host_add("vm4k", cfgstring);
	if (!CHECK(device))
		return;
	CHECK_INT(host_block_size(device), 4096);
	CHECK_INT(host_num_lbas(device), LUN_BYTES / 4096);
	host_read_configfs("vm4k", "control", text);
	CHECK_STR(text, "hw_block_size=4096");
	CHECK(device_end(device));
	fake_lun_detach(lun);
}

/* A daemon that starts while the SAN is away: a backstore that is known gets its handler. */
static void test_lun_missing_at_restart(void)
{
	struct host_device *device = host_add("vm1", "prmig//dev/fake/0/0");
	struct host_io *io;

	if (!CHECK(device))
		return;
	CHECK(run_write(device, 0, 1, 1));
	CHECK(host_remove_device(device, HOST_BLOCK));
	host_set_lun_present(0, false);
	device = host_add("vm1", "prmig//dev/fake/0/0");
	if (CHECK(device)) {
		io = io_opcode(TEST_UNIT_READY, HOST_NONE, 0);
		host_submit(device, io);
		CHECK(io_answered_with(device, io, HOST_CHECK_CONDITION));
		CHECK_INT(host_sense(io), NOT_READY_CAUSE_UNKNOWN);
		io_free(io);
	}
	/* Another one, that nothing is on disk of. */
	CHECK(!host_add("vm2", "prmig//dev/fake/0/1"));
	host_set_lun_present(0, true);
	CHECK(device && wait_ready(device));
	CHECK(device && run_read(device, 0, 1, 1));
	CHECK(device && device_end(device));
}

int main(void)
{
	fixture_start();
	CHECK_RUN(test_check_config);
	CHECK_RUN(test_attributes);
	CHECK_RUN(test_exported);
	CHECK_RUN(test_old_kernel);
	CHECK_RUN(test_same_nexus_twice);
	CHECK_RUN(test_attention_of_the_first);
	CHECK_RUN(test_same_nexus_when_the_lun_comes);
	CHECK_RUN(test_bad_name);
	CHECK_RUN(test_size);
	CHECK_RUN(test_block_size);
	CHECK_RUN(test_lun_missing_at_restart);
	fixture_stop();
	return check_summary();
}
