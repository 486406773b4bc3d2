/* SPDX-License-Identifier: Apache-2.0 */
/* The iscsi backend when its connection is lost: mid-command, for a while, for good, in silence. */
#include "check.h"
#include "fixture.h"
#include "target.h"

#include <time.h>
#include <unistd.h>

#define INITIATOR "iqn.2026-11.com.example:vm1"
#define COMMAND_ABORTED 0xb0800 /* LUN COMMUNICATION FAILURE */
#define NOT_READY 0x20400
#define SETTLE_MS 20000
#define READS 32
#define PR_OUT 0x5f
#define PR_LIST_LEN 24

static struct target *target;
static struct relay *relay;
static struct host_device *device;
static char reason[HOST_REASON_MAX];

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Takes unit attentions until a write is GOOD. */
static bool guest_writes(uint32_t lba, uint8_t pattern)
{
	unsigned int i;

	for (i = 0; i < 6; i++) {
		struct host_io *io = io_write(lba, 4, pattern);
		uint8_t status;
		uint32_t sense;

		host_execute(device, io);
		status = io->status;
		sense = host_sense(io);
		io_free(io);
		if (status == HOST_GOOD)
			return true;
		if (status != HOST_CHECK_CONDITION || sense >> 16 != 6) {
			printf("status %02x, sense %06x\n", status, sense);
			return false;
		}
	}
	return false;
}

static void test_start(void)
{
	target_define_lun(fixture.root, "disk", relay_portal(relay), INITIATOR);
	device = host_add("vm1", "prmig/disk");
	if (!CHECK(device))
		exit(1);
	CHECK(guest_writes(0, 1));
	CHECK(guest_writes(100, 2));
}

/* The answers are lost on the way; and then the connection. */
static void lose_answers_of(struct host_io *const *ios, unsigned int count)
{
	uint64_t before = relay_sent(relay);
	unsigned int i;

	relay_mute(relay);
	for (i = 0; i < count; i++)
		host_submit(device, ios[i]);
	/* All of them are at the target. */
	while (relay_sent(relay) < before + (uint64_t)count * 48)
		usleep(1000);
	usleep(50000);
	relay_cut(relay);
}

/* All but the one that met the new session's power on. */
static void check_reads(struct host_io **ios, uint32_t lba, uint8_t pattern)
{
	unsigned int i, told = 0;

	for (i = 0; i < READS; i++) {
		CHECK(io_answered(device, ios[i]));
		if (ios[i]->status == HOST_GOOD) {
			CHECK(io_data_is(ios[i], lba, pattern));
		} else {
			CHECK_INT(host_sense(ios[i]), 0x62900);
			told++;
		}
		io_free(ios[i]);
	}
	CHECK(told <= 1);
}

static void test_reads_are_sent_again(void)
{
	struct host_io *ios[READS];
	unsigned int i, connections = relay_connections(relay);

	for (i = 0; i < READS; i++)
		ios[i] = io_read(100, 4);
	lose_answers_of(ios, READS);
	check_reads(ios, 100, 2);
	CHECK_INT(relay_connections(relay), connections + 1);
	CHECK(host_logged("the connection to"));
	CHECK(guest_writes(0, 1));
}

/* The outcome of a write is not known, and it is the guest's to send it again. */
static void test_write_is_not(void)
{
	struct host_io *io = io_write(200, 4, 7);

	lose_answers_of(&io, 1);
	CHECK(io_answered_with(device, io, HOST_CHECK_CONDITION));
	CHECK_INT(host_sense(io), COMMAND_ABORTED);
	io_free(io);
	CHECK(guest_writes(200, 8));
	CHECK(run_read(device, 200, 4, 8));
}

static struct host_io *register_and_ignore(uint8_t key)
{
	struct host_io *io = io_opcode(PR_OUT, HOST_OUT, PR_LIST_LEN);

	io->cdb[1] = 6; /* REGISTER AND IGNORE EXISTING KEY */
	io->cdb[8] = PR_LIST_LEN;
	((uint8_t *)io->data)[15] = key;
	return io;
}

/* It took effect or not: prmig does not send it again, and does not say that it did. */
static void test_registration_is_not(void)
{
	struct host_io *io = register_and_ignore(0x51);

	lose_answers_of(&io, 1);
	CHECK(io_answered_with(device, io, HOST_CHECK_CONDITION));
	CHECK_INT(host_sense(io), COMMAND_ABORTED);
	io_free(io);
	/* The guest's next try meets a LUN that answers. */
	CHECK(guest_writes(200, 8));
	io = register_and_ignore(0x51);
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_GOOD));
	io_free(io);
	io = register_and_ignore(0);
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_GOOD));
	io_free(io);
}

/* As two hosts do that log in with one initiator name: each login ends the other's session. */
static void test_not_in_a_loop(void)
{
	unsigned int connections, i;
	uint64_t begin;

	usleep(3100000);
	host_clear_log();
	connections = relay_connections(relay);
	begin = now_ms();
	for (i = 1; i <= 3; i++) {
		relay_cut(relay);
		while (relay_connections(relay) < connections + i && now_ms() < begin + SETTLE_MS)
			usleep(1000);
		CHECK(guest_writes(200, 8));
	}
	/* The first at once, the others a second later each. */
	CHECK_INT(relay_connections(relay), connections + 3);
	CHECK(now_ms() - begin >= 2000);
	CHECK(host_logged("does another host log in with this initiator name?"));
}

/* Commands of a while without a target wait for it. */
static void test_target_restarts(void)
{
	struct host_io *ios[READS];
	unsigned int i;

	target_kill(target);
	for (i = 0; i < READS; i++) {
		ios[i] = io_read(200, 4);
		host_submit(device, ios[i]);
	}
	usleep(2500000);
	CHECK_INT(ios[0]->answers, 0);
	CHECK(target_restart(target));
	check_reads(ios, 200, 8);
	CHECK(guest_writes(200, 9));
}

/* A peer whose TCP goes on, and who says nothing. */
static void test_silence(void)
{
	uint64_t begin = now_ms();

	host_clear_log();
	target_freeze(target, true);
	while (!host_logged("the target does not answer") && now_ms() < begin + SETTLE_MS)
		usleep(50000);
	CHECK(now_ms() - begin < 12000);
	target_freeze(target, false);
	CHECK(guest_writes(300, 3));
	CHECK(run_read(device, 300, 4, 3));
}

/* Until the LUN answers, be it with the power on. */
static bool wait_ready(void)
{
	uint64_t begin = now_ms();
	bool ready;

	do {
		struct host_io *io = io_opcode(0x00, HOST_NONE, 0);

		usleep(100000);
		CHECK(host_execute(device, io));
		ready = io->status == HOST_GOOD || host_sense(io) != NOT_READY;
		io_free(io);
	} while (!ready && now_ms() < begin + SETTLE_MS);
	return ready;
}

/* For longer than commands wait: NOT READY, at once from then on; and ready again by itself. */
static void test_gone_and_back(void)
{
	struct host_io *io = io_write(300, 4, 4);
	uint64_t begin;

	target_kill(target);
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_CHECK_CONDITION));
	CHECK_INT(host_sense(io), NOT_READY);
	io_free(io);
	begin = now_ms();
	io = io_read(300, 4);
	CHECK(host_execute(device, io));
	CHECK_INT(host_sense(io), NOT_READY);
	CHECK(now_ms() - begin < 3000);
	io_free(io);
	CHECK(target_restart(target));
	CHECK(wait_ready());
	CHECK(guest_writes(300, 5));
	CHECK(run_read(device, 300, 4, 5));
}

/* As at a restart of the daemon: the portal is there, and does not answer. */
static void test_known_opens_without_target(void)
{
	struct host_device_config config = {
		.name = "vm1", .cfgstring = "prmig/disk", .without_check = true};
	struct host_io *io;
	uint64_t begin;

	CHECK(device_end(device));
	target_freeze(target, true);
	begin = now_ms();
	device = host_add_device(&config, reason);
	/* A login alone waits for longer. */
	CHECK(now_ms() - begin < 4500);
	if (!CHECK(device))
		exit(1);
	io = io_read(300, 4);
	CHECK(host_execute(device, io));
	CHECK_INT(host_sense(io), NOT_READY);
	io_free(io);
	target_freeze(target, false);
	CHECK(wait_ready());
	CHECK(guest_writes(300, 7));
}

/* Under the same names there is another LUN now. */
static void test_another_lun(void)
{
	struct host_io *io;

	host_clear_log();
	CHECK(target_admin(target, "--op update --mode logicalunit --tid 1 --lun 1 "
				   "--params scsi_id=another,scsi_sn=another"));
	relay_cut(relay);
	io = io_write(300, 4, 6);
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_CHECK_CONDITION));
	CHECK_INT(host_sense(io), NOT_READY);
	io_free(io);
	CHECK(host_logged("is another logical unit now"));
	CHECK(host_logged("nothing is sent to it"));
}

static void test_end(void)
{
	CHECK(device_end(device));
	/* Removed while there is nobody to log out from. */
	target_kill(target);
	CHECK(!host_check_config("prmig/disk", reason) || host_find_device("vm1") == NULL);
	CHECK(target_restart(target));
	device = host_add("vm2", "prmig/disk");
	CHECK(device && guest_writes(1, 1));
	target_kill(target);
	CHECK(device_end(device));
}

int main(void)
{
	target = target_start();
	if (!target)
		return CHECK_EXIT_SKIPPED;
	relay = relay_start(target);
	fixture_start();
	CHECK_RUN(test_start);
	CHECK_RUN(test_reads_are_sent_again);
	CHECK_RUN(test_write_is_not);
	CHECK_RUN(test_registration_is_not);
	CHECK_RUN(test_not_in_a_loop);
	CHECK_RUN(test_target_restarts);
	CHECK_RUN(test_silence);
	CHECK_RUN(test_gone_and_back);
	CHECK_RUN(test_known_opens_without_target);
	CHECK_RUN(test_another_lun);
	CHECK_RUN(test_end);
	fixture_stop();
	relay_stop(relay);
	target_stop(target);
	return check_summary();
}
