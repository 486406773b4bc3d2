/* SPDX-License-Identifier: Apache-2.0 */
/* Completion in the ring: any order, any status, a full ring, a ring that wraps. */
#include "check.h"
#include "fixture.h"

#include <stdlib.h>
#include <unistd.h>

#define COMMANDS 48
#define READ_10 0x28

static struct host_device *add(size_t ring_bytes)
{
	struct host_device_config config = {
		.name = "vm1", .cfgstring = "prmig//dev/fake/0/0", .ring_bytes = ring_bytes};
	char reason[HOST_REASON_MAX];
	struct host_device *device = host_add_device(&config, reason);

	if (!device) {
		fprintf(stderr, "not added: %s\n", reason);
		exit(1);
	}
	return device;
}

static void test_data(void)
{
	struct host_device *device = add(0);

	CHECK(run_write(device, 0, 1, 1));
	CHECK(run_read(device, 0, 1, 1));
	CHECK(run_write(device, 100, 600, 7));
	CHECK(run_read(device, 100, 600, 7));
	CHECK(run_read(device, 300, 1, 7));
	CHECK(device_end(device));
}

static void test_split_buffers(void)
{
	static const uint32_t odd[] = {1, 3, 508, 4097, 1000, 2, 511};
	struct host_device *device = add(0);
	struct host_io *io = io_write(8, 40, 3);

	io->split = odd;
	io->split_cnt = sizeof(odd) / sizeof(odd[0]);
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_GOOD));
	io_free(io);
	CHECK(run_read(device, 8, 40, 3));
	io = io_read(8, 40);
	io->split = odd;
	io->split_cnt = sizeof(odd) / sizeof(odd[0]);
	host_submit(device, io);
	if (CHECK(io_answered_with(device, io, HOST_GOOD)))
		CHECK(io_data_is(io, 8, 3));
	io_free(io);
	CHECK(device_end(device));
}

/* The first is the last to be answered, and takes its own data along. */
static void test_out_of_order(void)
{
	struct host_device *device = add(0);
	struct fake_fault fault = fake_fault(0, READ_10, FAKE_ANY);
	struct host_io *ios[16];
	int i;

	CHECK(run_write(device, 0, 64, 9));
	fault.delay_before_ms = 400;
	fake_lun_add_fault(fixture.lun, &fault);
	for (i = 0; i < 16; i++) {
		ios[i] = io_read((uint32_t)i, (uint16_t)(i + 1));
		host_submit(device, ios[i]);
		if (i == 0)
			usleep(50000);
	}
	for (i = 1; i < 16; i++)
		CHECK(io_answered_with(device, ios[i], HOST_GOOD));
	CHECK(!host_wait(device, ios[0], 0));
	CHECK(io_answered_with(device, ios[0], HOST_GOOD));
	for (i = 0; i < 16; i++) {
		CHECK(io_data_is(ios[i], (uint32_t)i, 9));
		io_free(ios[i]);
	}
	CHECK(device_end(device));
}

/* More than the ring holds: the kernel queues what finds no room. */
static void test_full_ring(void)
{
	struct host_device *device = add(4096);
	struct fake_fault fault = fake_fault(0, READ_10, FAKE_ANY);
	struct host_io *ios[COMMANDS];
	struct host_ring_stats stats;
	int i, round;

	CHECK(run_write(device, 0, 64, 5));
	fault.times = 0;
	fault.delay_before_ms = 5;
	fake_lun_add_fault(fixture.lun, &fault);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < COMMANDS; i++) {
			ios[i] = io_read((uint32_t)i, 16);
			host_submit(device, ios[i]);
		}
		for (i = 0; i < COMMANDS; i++) {
			CHECK(io_answered_with(device, ios[i], HOST_GOOD));
			CHECK(io_data_is(ios[i], (uint32_t)i, 5));
			io_free(ios[i]);
		}
	}
	host_get_stats(device, &stats);
	CHECK(stats.queued > 0);
	CHECK(stats.pads > 0);
	CHECK_INT(stats.answers, stats.commands);
	fake_lun_clear_faults(fixture.lun);
	CHECK(device_end(device));
}

/* Entries of many lengths, so that what is left at the end of the ring is everything from 8 bytes
 * up, and there are several PAD entries between tail and head in turn. */
static void test_wrap_around(void)
{
	struct host_device *device = add(2048);
	struct host_io *ios[8];
	struct host_ring_stats stats;
	unsigned int seed = 1;
	int i, round;

	CHECK(run_write(device, 0, 256, 11));
	for (round = 0; round < 600; round++) {
		for (i = 0; i < 8; i++) {
			uint16_t blocks = (uint16_t)(rand_r(&seed) % 33);

			ios[i] = rand_r(&seed) % 3 ? io_read((uint32_t)i, blocks)
						   : io_opcode(0x00, HOST_NONE, 0);
			host_submit(device, ios[i]);
		}
		for (i = 0; i < 8; i++) {
			CHECK(io_answered_with(device, ios[i], HOST_GOOD));
			if (ios[i]->cdb[0])
				CHECK(io_data_is(ios[i], (uint32_t)i, 11));
			io_free(ios[i]);
		}
	}
	host_get_stats(device, &stats);
	CHECK(stats.pads > 300);
	CHECK(device_end(device));
}

static void test_statuses(void)
{
	static const uint8_t statuses[] = {0x04, 0x08, 0x18, 0x28, 0x30, 0x40};
	struct host_device *device = add(0);
	size_t i, byte;

	for (i = 0; i < sizeof(statuses); i++) {
		struct fake_fault fault = fake_fault(0, READ_10, FAKE_ANY);
		struct host_io *io = io_read(0, 9);

		fault.outcome = FAKE_ANSWER;
		fault.status = statuses[i];
		fake_lun_add_fault(fixture.lun, &fault);
		host_submit(device, io);
		CHECK(io_answered_with(device, io, statuses[i]));
		/* The kernel hands the buffer on: nothing of another command may be in it. */
		for (byte = 0; byte < io->data_len && ((uint8_t *)io->data)[byte] == 0; byte++)
			;
		CHECK_INT(byte, io->data_len);
		io_free(io);
	}
	CHECK(device_end(device));
}

static void test_sense(void)
{
	static const struct {
		uint8_t key;
		uint16_t asc_ascq;
	} senses[] = {{0x1, 0x1701}, {0x2, 0x0401}, {0x3, 0x1100}, {0x4, 0x4400},
		      {0x5, 0x2100}, {0x7, 0x2700}, {0xb, 0x0b01}, {0xe, 0x1d00}};
	struct host_device *device = add(0);
	size_t i;

	for (i = 0; i < sizeof(senses) / sizeof(senses[0]); i++) {
		struct fake_fault fault = fake_fault(0, READ_10, FAKE_ANY);
		struct host_io *io = io_read(0, 1);

		fault.outcome = FAKE_ANSWER;
		fault.status = HOST_CHECK_CONDITION;
		fault.sense_key = senses[i].key;
		fault.asc_ascq = senses[i].asc_ascq;
		fake_lun_add_fault(fixture.lun, &fault);
		host_submit(device, io);
		CHECK(io_answered_with(device, io, HOST_CHECK_CONDITION));
		CHECK_INT(host_sense(io), (uint32_t)senses[i].key << 16 | senses[i].asc_ascq);
		io_free(io);
	}
	CHECK(device_end(device));
}

/* INQUIRY data is shorter than the buffer: READ_LEN, and the rest is not what was there before. */
static void test_read_len(void)
{
	static const size_t buffers[] = {36, 37, 255, 512, 4095, 4096, 4097, 9000};
	static const uint32_t split[] = {5, 1, 90, 4000};
	struct host_device *device = add(0);
	size_t i;

	for (i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
		struct host_io *io = io_inquiry(36, buffers[i]);

		io->split = split;
		io->split_cnt = i % 2 ? 4 : 0;
		host_submit(device, io);
		CHECK(io_answered_with(device, io, HOST_GOOD));
		CHECK_INT(io->has_read_len, buffers[i] > 36);
		CHECK_INT(io->transferred, 36);
		CHECK_INT(((uint8_t *)io->data)[0], 0);
		CHECK_INT(((uint8_t *)io->data)[4] + 5 >= 36, true);
		io_free(io);
	}
	CHECK(device_end(device));
}

/* Nothing to transfer: 0 cannot be told as READ_LEN, so the guest gets zeroes. */
static void test_no_data_in(void)
{
	struct host_device *device = add(0);
	struct host_io *io = io_inquiry(0, 64);
	size_t byte;

	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_GOOD));
	CHECK(!io->has_read_len);
	for (byte = 0; byte < 64 && ((uint8_t *)io->data)[byte] == 0; byte++)
		;
	CHECK_INT(byte, 64);
	io_free(io);
	CHECK(device_end(device));
}

/* A wake-up for each answer at the most (the queue is not full, so nothing else wakes). */
static void test_wake_ups(void)
{
	struct host_device *device = add(0);
	struct host_io *ios[COMMANDS];
	struct host_ring_stats stats;
	int i, round;

	for (round = 0; round < 50; round++) {
		for (i = 0; i < COMMANDS; i++) {
			ios[i] = io_read((uint32_t)i, 1);
			host_submit(device, ios[i]);
		}
		for (i = 0; i < COMMANDS; i++) {
			CHECK(io_answered(device, ios[i]));
			io_free(ios[i]);
		}
	}
	host_get_stats(device, &stats);
	CHECK_INT(stats.answers, 50 * COMMANDS);
	CHECK(stats.kicks <= stats.answers + 1);
	printf("%llu answers, %llu wake-ups\n", (unsigned long long)stats.answers,
	       (unsigned long long)stats.kicks);
	CHECK(device_end(device));
}

int main(void)
{
	fixture_start();
	CHECK_RUN(test_data);
	CHECK_RUN(test_split_buffers);
	CHECK_RUN(test_out_of_order);
	CHECK_RUN(test_full_ring);
	CHECK_RUN(test_wrap_around);
	CHECK_RUN(test_statuses);
	CHECK_RUN(test_sense);
	CHECK_RUN(test_read_len);
	CHECK_RUN(test_no_data_in);
	CHECK_RUN(test_wake_ups);
	fixture_stop();
	return check_summary();
}
