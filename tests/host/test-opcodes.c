/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation code with every odd length: each is answered once, and the ring stays whole. */
#include "check.h"
#include "fixture.h"

#include <stdlib.h>

#define BATCH 256 /* what libtcmu drops is answered within a tick or two, however many */

static const size_t lengths[] = {0,   1,   3,	7,   8,	   23,	 24,   25,   35,   36,	 255,
				 256, 511, 512, 513, 4095, 4096, 4097, 8191, 8192, 8193, 65536};
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static struct host_device *device;
static struct host_io *batch[BATCH];
static size_t batch_len;

static void batch_end(void)
{
	size_t i;

	for (i = 0; i < batch_len; i++) {
		CHECK(io_answered(device, batch[i]));
		CHECK(batch[i]->status != HOST_STATUS_GONE);
		CHECK(batch[i]->transferred <= batch[i]->data_len);
		io_free(batch[i]);
	}
	batch_len = 0;
	CHECK(!host_fault(device));
}

static void batch_add(struct host_io *io)
{
	host_submit(device, io);
	batch[batch_len++] = io;
	if (batch_len == BATCH)
		batch_end();
}

/* The rest of the CDB: zero, all ones, or at random. */
static void fill(struct host_io *io, unsigned int kind, unsigned int *seed)
{
	size_t i;

	for (i = 1; i < 16; i++)
		io->cdb[i] = kind == 0 ? 0 : kind == 1 ? 0xff : (uint8_t)rand_r(seed);
	/* Variable length: no longer than what is given here. */
	if (io->cdb[0] == 0x7f)
		io->cdb[7] = (uint8_t)(io->cdb[7] % (HOST_CDB_MAX - 8));
}

static void all_opcodes(unsigned int kind)
{
	unsigned int seed = kind + 1, opcode;
	size_t i;

	device = host_add("vm1", "prmig//dev/fake/0/0");
	if (!CHECK(device))
		return;
	for (opcode = 0; opcode < 256; opcode++) {
		for (i = 0; i < LENGTHS; i++) {
			struct host_io *in = io_opcode((uint8_t)opcode, HOST_IN, lengths[i]);
			struct host_io *out = io_opcode((uint8_t)opcode, HOST_OUT, lengths[i]);

			fill(in, kind, &seed);
			fill(out, kind, &seed);
			batch_add(in);
			batch_add(out);
		}
	}
	batch_end();
	CHECK(device_end(device));
}

static void test_zero(void)
{
	all_opcodes(0);
}

static void test_ones(void)
{
	all_opcodes(1);
}

static void test_random(void)
{
	all_opcodes(2);
}

/* Variable length CDBs: ADDITIONAL CDB LENGTH from 0 to 255. */
static void test_variable_length(void)
{
	unsigned int additional;

	device = host_add("vm1", "prmig//dev/fake/0/0");
	if (!CHECK(device))
		return;
	for (additional = 0; additional < 256; additional++) {
		struct host_io *io = io_opcode(0x7f, HOST_NONE, 0);

		io->cdb[7] = (uint8_t)additional;
		batch_add(io);
	}
	batch_end();
	CHECK(device_end(device));
}

/* More parts than the handler takes: refused, not cut. */
static void test_too_many_parts(void)
{
	static uint32_t split[1100];
	struct host_io *io;
	size_t i;

	device = host_add("vm1", "prmig//dev/fake/0/0");
	if (!CHECK(device))
		return;
	for (i = 0; i < 1100; i++)
		split[i] = 1;
	for (i = 0; i < 2; i++) {
		io = io_read(0, 2);
		io->split = split;
		io->split_cnt = i ? 1023 : 1000;
		host_submit(device, io);
		CHECK(io_answered_with(device, io, HOST_GOOD));
		io_free(io);
	}
	io = io_read(0, 3);
	io->split = split;
	io->split_cnt = 1024;
	host_submit(device, io);
	CHECK(io_answered_with(device, io, HOST_CHECK_CONDITION));
	CHECK_INT(host_sense(io), 0x52400);
	io_free(io);
	CHECK(device_end(device));
}

int main(void)
{
	fixture_start();
	CHECK_RUN(test_zero);
	CHECK_RUN(test_ones);
	CHECK_RUN(test_random);
	CHECK_RUN(test_variable_length);
	CHECK_RUN(test_too_many_parts);
	fixture_stop();
	return check_summary();
}
