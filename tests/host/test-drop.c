/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that libtcmu drops because it cannot size their CDBs, and entries that are no commands. */
#include "check.h"
#include "fixture.h"

#include <stdlib.h>
#include <unistd.h>

#define READ_10 0x28
#define INVALID_OPCODE 0x52000
#define SOON_MS 2000

static struct host_device *add_with(size_t ring_bytes, bool unknown_libtcmu)
{
	struct host_device_config config = {.name = "vm1",
					    .cfgstring = "prmig//dev/fake/0/0",
					    .ring_bytes = ring_bytes,
					    .unknown_libtcmu = unknown_libtcmu};
	char reason[HOST_REASON_MAX];
	struct host_device *device = host_add_device(&config, reason);

	if (!device) {
		fprintf(stderr, "not added: %s\n", reason);
		exit(1);
	}
	return device;
}

static bool refused(struct host_device *device, struct host_io *io)
{
	return io_answered_with(device, io, HOST_CHECK_CONDITION) &&
	       host_sense(io) == INVALID_OPCODE;
}

/* Nobody comes after it: found by libtcmu's place in the ring. */
static void test_alone(void)
{
	static const uint8_t opcodes[] = {0x60, 0x7e, 0xc0, 0xdf, 0xe0, 0xff};
	struct host_device *device = add_with(0, false);
	size_t i;

	for (i = 0; i < sizeof(opcodes); i++) {
		struct host_io *io = io_opcode(opcodes[i], (enum host_direction)(i % 3), i * 700);

		host_submit(device, io);
		CHECK(host_wait(device, io, SOON_MS));
		CHECK(refused(device, io));
		io_free(io);
	}
	CHECK(run_write(device, 0, 4, 1));
	CHECK(device_end(device));
}

static void test_between_others(void)
{
	struct host_device *device = add_with(0, false);
	struct host_io *ios[9];
	int i;

	CHECK(run_write(device, 0, 16, 2));
	host_pause(device, true);
	for (i = 0; i < 9; i++) {
		ios[i] = i % 2 ? io_opcode(0xc1, HOST_NONE, 0) : io_read((uint32_t)i, 2);
		host_submit(device, ios[i]);
	}
	host_pause(device, false);
	for (i = 0; i < 9; i++) {
		if (i % 2)
			CHECK(refused(device, ios[i]));
		else
			CHECK(io_answered_with(device, ios[i], HOST_GOOD) &&
			      io_data_is(ios[i], (uint32_t)i, 2));
		io_free(ios[i]);
	}
	CHECK(device_end(device));
}

/* More than the ring holds, with PAD entries among them, and nothing else. */
static void test_many(void)
{
	struct host_device *device = add_with(2120, false);
	struct host_io *ios[200];
	struct host_ring_stats stats;
	int i;

	for (i = 0; i < 200; i++) {
		ios[i] = io_opcode(i % 2 ? 0x61 : 0xff, HOST_IN, (size_t)(i % 5) * 4000);
		host_submit(device, ios[i]);
	}
	for (i = 0; i < 200; i++) {
		CHECK(refused(device, ios[i]));
		io_free(ios[i]);
	}
	host_get_stats(device, &stats);
	CHECK(stats.pads > 5);
	CHECK(device_end(device));
}

/* Slow commands before and after: the answer takes the first slot, whosever it was. */
static void test_with_others_in_flight(void)
{
	struct host_device *device = add_with(0, false);
	struct fake_fault fault = fake_fault(0, READ_10, FAKE_ANY);
	struct host_io *slow[8], *dropped[8];
	int i;

	CHECK(run_write(device, 0, 16, 3));
	fault.times = 0;
	fault.delay_before_ms = 700;
	fake_lun_add_fault(fixture.lun, &fault);
	for (i = 0; i < 8; i++) {
		slow[i] = io_read((uint32_t)i, 3);
		host_submit(device, slow[i]);
		dropped[i] = io_opcode(0xd0, HOST_OUT, 300);
		host_submit(device, dropped[i]);
	}
	for (i = 0; i < 8; i++)
		CHECK(refused(device, dropped[i]));
	CHECK(!host_wait(device, slow[0], 0));
	for (i = 0; i < 8; i++) {
		CHECK(io_answered_with(device, slow[i], HOST_GOOD) &&
		      io_data_is(slow[i], (uint32_t)i, 3));
		io_free(slow[i]);
		io_free(dropped[i]);
	}
	fake_lun_clear_faults(fixture.lun);
	CHECK(device_end(device));
}

/* Not before libtcmu has passed it: the ring says so if it is. */
static void test_not_too_early(void)
{
	struct host_device *device = add_with(0, false);
	struct host_io *dropped, *read;

	CHECK(run_write(device, 0, 16, 3));
	host_pause(device, true);
	dropped = io_opcode(0xc0, HOST_NONE, 0);
	read = io_read(2, 2);
	host_submit(device, dropped);
	host_submit(device, read);
	CHECK(!host_wait(device, dropped, 500));
	CHECK(!host_fault(device));
	host_pause(device, false);
	CHECK(refused(device, dropped));
	CHECK(io_answered_with(device, read, HOST_GOOD));
	io_free(dropped);
	io_free(read);
	CHECK(device_end(device));
}

static void test_unknown_libtcmu(void)
{
	struct host_device *device;
	struct host_io *dropped[3];
	int i;

	host_clear_log();
	device = add_with(0, true);
	CHECK(host_logged("lays its devices out in a way"));
	for (i = 0; i < 3; i++) {
		dropped[i] = io_opcode(0xc0, HOST_NONE, 0);
		host_submit(device, dropped[i]);
	}
	CHECK(!host_wait(device, dropped[0], 500));
	CHECK(run_write(device, 0, 1, 1));
	for (i = 0; i < 3; i++) {
		CHECK(refused(device, dropped[i]));
		io_free(dropped[i]);
	}
	CHECK(device_end(device));
}

/* The daemon waits for an empty ring when it stops. */
static void test_tmr_entries(void)
{
	struct host_device *device = add_with(4096, false);
	struct host_io *ios[100];
	int i;

	CHECK(run_write(device, 0, 32, 4));
	for (i = 0; i < 100; i++) {
		ios[i] = i % 3 ? io_read((uint32_t)i % 16, 1) : io_opcode(0xc7, HOST_NONE, 0);
		host_submit(device, ios[i]);
		if (i % 4 == 0)
			host_notify_tmr(device);
	}
	for (i = 0; i < 100; i++) {
		if (i % 3)
			CHECK(io_answered_with(device, ios[i], HOST_GOOD));
		else
			CHECK(refused(device, ios[i]));
		io_free(ios[i]);
	}
	host_notify_tmr(device);
	host_notify_tmr(device);
	CHECK(!host_fault(device));
	CHECK(host_remove_device(device, HOST_BLOCK));
	/* The backstore is still there, and opens again. */
	device = add_with(0, false);
	CHECK(run_read(device, 0, 32, 4));
	CHECK(device_end(device));
}

static void test_dropped_last_at_the_stop(void)
{
	struct host_device *device = add_with(0, false);
	struct host_io *io = io_opcode(0xc0, HOST_NONE, 0);

	host_submit(device, io);
	usleep(10000);
	CHECK(host_remove_device(device, HOST_BLOCK));
	CHECK_INT(io->answers, 1);
	CHECK_INT(host_sense(io), INVALID_OPCODE);
	io_free(io);
	device = add_with(0, false);
	CHECK(device_end(device));
}

/* Both kinds at random, in a ring that is often full. */
static void test_mixture(void)
{
	struct host_device *device = add_with(3000, false);
	struct host_io *ios[64];
	unsigned int seed = 7;
	int i, round;

	CHECK(run_write(device, 0, 64, 6));
	for (round = 0; round < 100; round++) {
		for (i = 0; i < 64; i++) {
			if (rand_r(&seed) % 4 == 0)
				ios[i] = io_opcode(0xc0 + rand_r(&seed) % 64, HOST_IN,
						   (size_t)(rand_r(&seed) % 9000));
			else
				ios[i] = io_read((uint32_t)i % 32, (uint16_t)(rand_r(&seed) % 20));
			host_submit(device, ios[i]);
			if (rand_r(&seed) % 16 == 0)
				host_notify_tmr(device);
		}
		for (i = 0; i < 64; i++) {
			if (ios[i]->cdb[0] >= 0xc0)
				CHECK(refused(device, ios[i]));
			else
				CHECK(io_answered_with(device, ios[i], HOST_GOOD) &&
				      io_data_is(ios[i], (uint32_t)i % 32, 6));
			io_free(ios[i]);
		}
	}
	CHECK(device_end(device));
}

int main(void)
{
	fixture_start();
	CHECK_RUN(test_alone);
	CHECK_RUN(test_between_others);
	CHECK_RUN(test_many);
	CHECK_RUN(test_with_others_in_flight);
	CHECK_RUN(test_not_too_early);
	CHECK_RUN(test_unknown_libtcmu);
	CHECK_RUN(test_tmr_entries);
	CHECK_RUN(test_dropped_last_at_the_stop);
	CHECK_RUN(test_mixture);
	fixture_stop();
	return check_summary();
}
