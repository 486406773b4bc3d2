/* SPDX-License-Identifier: Apache-2.0 */
/* The iscsi backend against a real target: data, answers unchanged, definitions that are wrong. */
#include "check.h"
#include "fixture.h"
#include "target.h"

#include <sys/stat.h>

#define INITIATOR "iqn.2026-11.com.example:vm1"
#define SECRET "quite-secret-word"
#define IN_FLIGHT 200
#define TEST_UNIT_READY 0x00
#define POWER_ON 0x62900

static struct target *target;
static char reason[HOST_REASON_MAX];

/*
 * The power on that every command of a new session meets first is the guest's, and one of an earlier
 * session may be in the state on disk.
 */
static struct host_device *guest_starts(const struct host_device_config *config)
{
	struct host_device *device = host_add_device(config, reason);
	uint8_t status = HOST_CHECK_CONDITION;
	unsigned int told = 0;

	if (!device)
		return NULL;
	/* A write: it waits for the gate to open. */
	while (status == HOST_CHECK_CONDITION && told < 4) {
		struct host_io *io = io_write(0, 1, 0);

		CHECK(host_execute(device, io));
		status = io->status;
		if (status == HOST_CHECK_CONDITION) {
			CHECK_INT(host_sense(io), POWER_ON);
			told++;
		}
		io_free(io);
	}
	CHECK_INT(status, HOST_GOOD);
	CHECK(told > 0);
	return device;
}

static struct host_device *guest(const char *name, const char *cfgstring)
{
	struct host_device_config config = {.name = name, .cfgstring = cfgstring};

	return guest_starts(&config);
}

/* ---- data ---- */

static void data_by(const char *portal)
{
	struct host_device *device;
	uint16_t blocks;

	target_define_lun(fixture.root, "disk", portal, INITIATOR);
	if (!CHECK(host_check_config("prmig/disk", reason)))
		printf("%s\n", reason);
	device = guest("vm1", "prmig/disk");
	if (!CHECK(device))
		return;
	CHECK_INT(host_num_lbas(device), TARGET_BYTES / FIXTURE_BLOCK);
	CHECK_INT(host_block_size(device), FIXTURE_BLOCK);
	/* From one block to more than fits in the bursts that are negotiated. */
	for (blocks = 1; blocks <= 2048; blocks = (uint16_t)(blocks * 2 + (blocks == 1))) {
		CHECK(run_write(device, blocks, blocks, (uint8_t)blocks));
		CHECK(run_read(device, blocks, blocks, (uint8_t)blocks));
	}
	CHECK(device_end(device));
}

static void test_ipv4(void)
{
	data_by(target_portal(target));
}

static void test_ipv6(void)
{
	data_by(target_portal_ipv6(target));
}

static void test_header_digest(void)
{
	struct host_device *device;

	CHECK(target_add(target, 2, TARGET_NAME "2"));
	CHECK(target_admin(target, "--op update --mode target --tid 2 -n HeaderDigest -v CRC32C"));
	target_define(fixture.root, "disk",
		      "[lun]\nbackend=iscsi\nportal=%s\ntarget=" TARGET_NAME "2\nlun=1\n"
		      "initiator=" INITIATOR "\n",
		      target_portal(target));
	device = guest("vm2", "prmig/disk");
	if (!CHECK(device))
		return;
	CHECK(run_write(device, 3, 700, 5));
	CHECK(run_read(device, 3, 700, 5));
	CHECK(device_end(device));
}

/* More than libiscsi gets at a time, and more than the target's window. */
static void test_many_in_flight(void)
{
	struct host_device_config config = {
		.name = "vm1", .cfgstring = "prmig/disk", .ring_bytes = 1 << 20};
	struct host_io *ios[IN_FLIGHT];
	struct host_device *device;
	unsigned int round, i;

	target_define_lun(fixture.root, "disk", target_portal(target), INITIATOR);
	device = guest_starts(&config);
	if (!CHECK(device))
		return;
	for (round = 0; round < 4; round++) {
		for (i = 0; i < IN_FLIGHT; i++) {
			uint16_t blocks = (uint16_t)(1 + i % 37);

			ios[i] = round % 2 ? io_read(i * 40, blocks)
					   : io_write(i * 40, blocks, (uint8_t)round);
			host_submit(device, ios[i]);
		}
		for (i = 0; i < IN_FLIGHT; i++) {
			CHECK(io_answered_with(device, ios[i], HOST_GOOD));
			CHECK(io_data_is(ios[i], i * 40, (uint8_t)(round & ~1u)));
			io_free(ios[i]);
		}
	}
	CHECK(device_end(device));
}

/* A buffer in parts that are no blocks. */
static void test_split_buffer(void)
{
	static const uint32_t split[] = {1, 511, 100, 3000, 4096, 7};
	struct host_device *device = guest("vm1", "prmig/disk");
	struct host_io *io;

	if (!CHECK(device))
		return;
	io = io_write(9, 64, 3);
	io->split = split;
	io->split_cnt = 6;
	CHECK(host_execute(device, io));
	CHECK_INT(io->status, HOST_GOOD);
	io_free(io);
	CHECK(run_read(device, 9, 64, 3));
	io = io_read(9, 64);
	io->split = split;
	io->split_cnt = 6;
	CHECK(host_execute(device, io));
	CHECK(io_data_is(io, 9, 3));
	io_free(io);
	CHECK(device_end(device));
}

/* ---- answers ---- */

static void test_answers(void)
{
	struct host_device_config config = {.name = "vm1", .cfgstring = "prmig/disk;filter=off"};
	struct host_device *device = guest_starts(&config);
	struct host_io *io;

	if (!CHECK(device))
		return;
	/* Sense data as the target has it. */
	io = io_read(TARGET_BYTES / FIXTURE_BLOCK, 1);
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_CHECK_CONDITION));
	CHECK_INT(host_sense(io), 0x52100); /* LOGICAL BLOCK ADDRESS OUT OF RANGE */
	io_free(io);
	io = io_opcode(0x84, HOST_IN, 512);
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_CHECK_CONDITION));
	CHECK_INT(host_sense(io), 0x52000);
	io_free(io);
	/* Less data than the buffer has. */
	io = io_inquiry(255, 255);
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_GOOD));
	CHECK_INT(io->transferred, 5 + ((uint8_t *)io->data)[4]);
	CHECK(!memcmp((char *)io->data + 8, "IET", 3));
	io_free(io);
	/* No data. */
	io = io_opcode(TEST_UNIT_READY, HOST_NONE, 0);
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_GOOD));
	io_free(io);
	/* A CDB that libiscsi has no room for. */
	io = io_opcode(0x7f, HOST_IN, 512);
	io->cdb[7] = 24;
	io->cdb_len = 32;
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_CHECK_CONDITION));
	CHECK_INT(host_sense(io), 0x52000);
	io_free(io);
	CHECK(device_end(device));
}

/* ---- what is wrong ---- */

static bool refused(const char *text)
{
	reason[0] = '\0';
	host_clear_log();
	return CHECK(!host_check_config("prmig/bad", reason)) && CHECK_CONTAINS(reason, text) &&
	       CHECK(!strstr(reason, SECRET)) && CHECK(!host_add("bad", "prmig/bad")) &&
	       CHECK(!host_logged(SECRET));
}

#define LINES(name, lun)                                                                           \
	"[lun]\nbackend=iscsi\nportal=%s\ntarget=" name "\nlun=" lun "\ninitiator=" INITIATOR "\n"

static void test_not_there(void)
{
	char portal[TARGET_PORTAL_MAX];

	refused("/etc/prmig/bad.conf is not there");
	target_define(fixture.root, "bad", LINES("iqn.2026-11.com.example:none", "1"),
		      target_portal(target));
	refused("there is no target iqn.2026-11.com.example:none at 127.");
	target_define(fixture.root, "bad", LINES(TARGET_NAME, "77"), target_portal(target));
	refused("LUN 77 (lun= in bad.conf) of target " TARGET_NAME);
	snprintf(portal, sizeof(portal), "%.*s:3259", (int)strcspn(target_portal(target), ":"),
		 target_portal(target));
	target_define(fixture.root, "bad", LINES(TARGET_NAME, "1"), portal);
	refused("cannot be reached");
	refused(portal);
}

static void test_chap(void)
{
	struct host_device *device;
	char path[160];

	CHECK(target_add(target, 3, TARGET_NAME "3"));
	CHECK(target_admin(target, "--op new --mode account --user vm1 --password " SECRET));
	CHECK(target_admin(target, "--op bind --mode account --tid 3 --user vm1"));
	target_define(fixture.root, "bad", LINES(TARGET_NAME "3", "1"), target_portal(target));
	refused("asks initiator " INITIATOR " for CHAP");
	target_define(fixture.root, "bad",
		      LINES(TARGET_NAME "3", "1") "[chap]\nuser=vm1\npassword=x" SECRET "\n",
		      target_portal(target));
	refused("refuses the CHAP user or password of " INITIATOR);
	target_define(fixture.root, "good",
		      LINES(TARGET_NAME "3", "1") "[chap]\nuser=vm1\npassword=" SECRET "\n",
		      target_portal(target));
	if (!CHECK(host_check_config("prmig/good", reason)))
		printf("%s\n", reason);
	device = guest("vm3", "prmig/good");
	CHECK(device && run_write(device, 0, 8, 1) && device_end(device));
	CHECK(!host_logged(SECRET));
	snprintf(path, sizeof(path), "%s/etc/prmig/good.conf", fixture.root);
	CHECK(chmod(path, 0640) == 0);
	CHECK(!host_check_config("prmig/good", reason));
	CHECK_CONTAINS(reason, "/etc/prmig/good.conf has a CHAP password");
	CHECK_CONTAINS(reason, "chmod 600");
	CHECK(!strstr(reason, SECRET));
}

/* Two backstores with one initiator name and LUN would be one nexus. */
static void test_same_nexus(void)
{
	struct host_device *device;

	target_define_lun(fixture.root, "disk", target_portal(target), INITIATOR);
	target_define_lun(fixture.root, "other", target_portal_ipv6(target), INITIATOR);
	device = guest("vm1", "prmig/disk");
	if (!CHECK(device))
		return;
	host_clear_log();
	CHECK(!host_add("vm4", "prmig/other"));
	CHECK(host_logged("other.conf and disk.conf, which nexus 'vm1' uses, name the same"));
	CHECK(!host_add("vm5", "prmig/disk"));
	CHECK(host_logged("disk.conf and disk.conf, which nexus 'vm1' uses, name the same"));
	/* Whose session was not touched. */
	CHECK(!host_logged("LUN 'disk': "));
	CHECK(run_write(device, 5, 5, 5));
	CHECK(device_end(device));
}

int main(void)
{
	target = target_start();
	if (!target)
		return CHECK_EXIT_SKIPPED;
	fixture_start();
	CHECK_RUN(test_ipv4);
	CHECK_RUN(test_ipv6);
	CHECK_RUN(test_header_digest);
	CHECK_RUN(test_many_in_flight);
	CHECK_RUN(test_split_buffer);
	CHECK_RUN(test_answers);
	CHECK_RUN(test_not_there);
	CHECK_RUN(test_chap);
	CHECK_RUN(test_same_nexus);
	fixture_stop();
	target_stop(target);
	return check_summary();
}
