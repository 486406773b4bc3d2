/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile guest: lengths that lie, every allocation length, every opcode at a closed gate, more than the pool holds. */
#include "check.h"
#include "fixture.h"

#include <dirent.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PR_IN 0x5e
#define PR_OUT 0x5f
#define INQUIRY 0x12
#define MAINTENANCE_IN 0xa3
#define RSOC 0x0c
#define READ_10 0x28
#define WRITE_10 0x2a
#define TASK_SET_FULL 0x28
#define LIST_LENGTH_ERROR 0x51a00
#define LIST_MAX 8192
#define POOL 4096
#define BATCH 64
#define COMMANDS 100000
/* Held by libtcmu's commands and the ring's pages, which come and go. */
#define GROWTH_MAX_BYTES 65536

static const char *const filters[] = {"", ";filter=off"};
static char note[128];

/* A new one: what is on disk for a name beats the options. */
static struct host_device *add(const char *options)
{
	static unsigned int count;
	struct host_device *device;
	char cfgstring[128], name[16];

	snprintf(name, sizeof(name), "vm%u", count++);
	snprintf(cfgstring, sizeof(cfgstring), "prmig//dev/fake/0/0%s", options);
	device = host_add(name, cfgstring);
	if (!device)
		exit(1);
	return device;
}

static void put32(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 24);
	p[1] = (uint8_t)(value >> 16);
	p[2] = (uint8_t)(value >> 8);
	p[3] = (uint8_t)value;
}

/* ---- lengths ---- */

static void pr_out_with(struct host_device *device, uint8_t action, size_t buffer_len,
			uint32_t list_len)
{
	struct host_io *io = io_opcode(PR_OUT, HOST_OUT, buffer_len);

	snprintf(note, sizeof(note), "service action %u, %zu bytes, PARAMETER LIST LENGTH %u",
		 action, buffer_len, list_len);
	CHECK_NOTE(note);
	memset(io->data, 0x5a, buffer_len);
	io->cdb[1] = action;
	io->cdb[2] = 5;
	put32(io->cdb + 5, list_len);
	host_submit(device, io);
	CHECK(io_answered(device, io));
	/* REGISTER AND MOVE is refused before its length is looked at. */
	if ((list_len > buffer_len || list_len > LIST_MAX) && action != 7) {
		CHECK_INT(io->status, HOST_CHECK_CONDITION);
		CHECK_INT(host_sense(io), LIST_LENGTH_ERROR);
	}
	io_free(io);
}

static void test_pr_out_lengths(void)
{
	static const size_t buffers[] = {0, 1, 7, 8, 16, 23, 24, 25, 28, 511, 4096, 8191, 8192};
	struct host_device *device = add("");
	uint64_t before = fake_lun_log_end(fixture.lun);
	size_t i;
	uint8_t action;

	for (action = 0; action < 32; action += action < 8 ? 1 : 23) {
		for (i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) {
			pr_out_with(device, action, buffers[i], 0);
			pr_out_with(device, action, buffers[i], 24);
			pr_out_with(device, action, buffers[i], (uint32_t)buffers[i] + 1);
			pr_out_with(device, action, buffers[i], 0x10000);
			pr_out_with(device, action, buffers[i], UINT32_MAX);
			if (buffers[i] > 0)
				pr_out_with(device, action, buffers[i], (uint32_t)buffers[i] - 1);
		}
	}
	for (i = 0; i < LIST_MAX; i += i < 64 ? 1 : 491)
		pr_out_with(device, 0, i, (uint32_t)i);
	CHECK_NOTE("");
	/* What was true in its lengths is the LUN's to judge. */
	CHECK(fake_lun_log_count(fixture.lun, before, 0, PR_OUT, FAKE_ANY) > 100);
	CHECK(device_end(device));
}

static struct host_io *run_in(struct host_device *device, const uint8_t *cdb, size_t buffer_len)
{
	struct host_io *io = io_opcode(cdb[0], HOST_IN, buffer_len);

	memcpy(io->cdb, cdb, 16);
	host_submit(device, io);
	CHECK(io_answered(device, io));
	CHECK(io->transferred <= buffer_len);
	return io;
}

/* Each ALLOCATION LENGTH gives the front of the whole answer, also when the buffer is longer or shorter. */
static void cut_at_each_length(struct host_device *device, const uint8_t *template, size_t at,
			       size_t field_bytes)
{
	uint8_t cdb[16], longest[4096];
	struct host_io *io;
	size_t whole, len, due;

	memcpy(cdb, template, sizeof(cdb));
	put32(cdb + at, 4096u << (field_bytes == 2 ? 16 : 0));
	snprintf(note, sizeof(note), "opcode %02x %02x %02x", cdb[0], cdb[1], cdb[2]);
	CHECK_NOTE(note);
	io = run_in(device, cdb, sizeof(longest));
	CHECK_INT(io->status, HOST_GOOD);
	whole = io->transferred;
	memcpy(longest, io->data, sizeof(longest));
	io_free(io);
	for (len = 0; len < whole + 4; len++) {
		memcpy(cdb + at, template + at, 4);
		cdb[at + field_bytes - 2] = (uint8_t)(len >> 8);
		cdb[at + field_bytes - 1] = (uint8_t)len;
		due = len < whole ? len : whole;
		io = run_in(device, cdb, len);
		CHECK_INT(io->status, HOST_GOOD);
		CHECK_INT(io->transferred, due);
		CHECK_BYTES(io->data, longest, due);
		io_free(io);
		io = run_in(device, cdb, len + 9);
		/* The kernel takes a length of 0 for none given. */
		CHECK(io->transferred <= due || due == 0);
		io_free(io);
		io = run_in(device, cdb, len / 2);
		CHECK(io->transferred <= len / 2);
		io_free(io);
	}
}

static void test_allocation_lengths(void)
{
	static const uint8_t block_limits[16] = {INQUIRY, 1, 0xb0};
	static const uint8_t all_opcodes[16] = {MAINTENANCE_IN, RSOC};
	static const uint8_t all_with_timeouts[16] = {MAINTENANCE_IN, RSOC, 0x80};
	static const uint8_t one_opcode[16] = {MAINTENANCE_IN, RSOC, 3, PR_OUT, 0, 1};
	size_t i;
	uint8_t action;

	for (i = 0; i < 2; i++) {
		struct host_device *device = add(filters[i]);

		for (action = 0; action < 4; action++) {
			uint8_t pr_in[16] = {PR_IN, action};

			cut_at_each_length(device, pr_in, 7, 2);
		}
		cut_at_each_length(device, block_limits, 3, 2);
		cut_at_each_length(device, all_opcodes, 6, 4);
		cut_at_each_length(device, all_with_timeouts, 6, 4);
		cut_at_each_length(device, one_opcode, 6, 4);
		CHECK_NOTE("");
		CHECK(device_end(device));
	}
}

/* ---- a closed gate ---- */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void test_held_then_busy(void)
{
	struct host_device *device = add(";incoming=on;hold-timeout=1");
	struct host_io *write = io_write(0, 1, 1), *read = io_read(0, 1);
	uint64_t begin = now_ms();

	host_submit(device, write);
	host_submit(device, read);
	CHECK(io_answered_with(device, read, HOST_GOOD));
	CHECK(!host_wait(device, write, 500));
	CHECK(io_answered_with(device, write, HOST_BUSY));
	CHECK(now_ms() - begin >= 1000);
	CHECK(now_ms() - begin < 5000);
	io_free(write);
	io_free(read);
	CHECK(device_end(device));
}

static void test_opcodes_at_closed_gate(void)
{
	static struct host_io *ios[2][256];
	struct fake_monitor monitor;
	unsigned int i, opcode, data;

	for (i = 0; i < 2; i++) {
		char options[64];
		struct host_device *device;

		snprintf(options, sizeof(options), ";incoming=on;hold-timeout=1%s", filters[i]);
		device = add(options);
		fake_lun_reset_monitor(fixture.lun);
		for (opcode = 0; opcode < 256; opcode++) {
			for (data = 0; data < 2; data++) {
				ios[data][opcode] =
					io_opcode((uint8_t)opcode, opcode % 2 ? HOST_IN : HOST_OUT,
						  data ? 512 : 0);
				host_submit(device, ios[data][opcode]);
			}
		}
		for (opcode = 0; opcode < 256; opcode++) {
			for (data = 0; data < 2; data++) {
				CHECK(io_answered(device, ios[data][opcode]));
				CHECK(ios[data][opcode]->status != HOST_STATUS_GONE);
				io_free(ios[data][opcode]);
			}
		}
		fake_lun_get_monitor(fixture.lun, &monitor);
		CHECK_INT(monitor.writes[0], 0);
		CHECK(device_end(device));
	}
}

/* One more than the pool has is answered at once; those that are held, BUSY in time. */
static void test_pool_used_up(void)
{
	static struct host_io *ios[POOL + 100];
	struct host_device_config config = {
		.name = "pool",
		.cfgstring = "prmig//dev/fake/0/0;incoming=on;hold-timeout=2",
		.ring_bytes = (size_t)4 << 20};
	char reason[HOST_REASON_MAX];
	struct host_device *device = host_add_device(&config, reason);
	unsigned int i, full = 0, busy = 0;
	struct host_io *read;

	if (!CHECK(device))
		return;
	for (i = 0; i < POOL + 100; i++) {
		ios[i] = io_opcode(WRITE_10, HOST_NONE, 0);
		ios[i]->cdb[8] = 1;
		host_submit(device, ios[i]);
	}
	for (i = 0; i < POOL + 100; i++) {
		CHECK(io_answered(device, ios[i]));
		full += ios[i]->status == TASK_SET_FULL;
		busy += ios[i]->status == HOST_BUSY;
		io_free(ios[i]);
	}
	CHECK_INT(full, 100);
	CHECK_INT(busy, POOL);
	read = io_read(0, 1);
	host_submit(device, read);
	CHECK(io_answered_with(device, read, HOST_GOOD));
	io_free(read);
	CHECK(device_end(device));
}

/* ---- no growth ---- */

/* Of the sanitizers' allocators; with them the resident set says nothing. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_bytes(void)
{
	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
						       : mallinfo2().uordblks;
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

static void run_mixed(struct host_device *device, unsigned int count)
{
	static const uint8_t opcodes[] = {READ_10, WRITE_10, PR_IN, INQUIRY,	    0x00,
					  0x03,	   0x9e,     0xc1,  MAINTENANCE_IN, 0x3b};
	struct host_io *ios[BATCH];
	unsigned int i, at;

	for (i = 0; i < count; i += BATCH) {
		for (at = 0; at < BATCH; at++) {
			uint8_t opcode = opcodes[(i + at) % sizeof(opcodes)];

			ios[at] = io_opcode(opcode, opcode == WRITE_10 ? HOST_OUT : HOST_IN, 512);
			ios[at]->cdb[1] = opcode == MAINTENANCE_IN ? RSOC : opcode == INQUIRY;
			ios[at]->cdb[2] = opcode == INQUIRY ? 0xb0 : 0;
			ios[at]->cdb[8] = 1;
			/* A few, for each is written to disk. */
			if (i % 4096 == 0 && at == 0) {
				ios[at]->cdb[0] = PR_OUT;
				ios[at]->cdb[1] = 6;
				ios[at]->cdb[8] = 24;
				ios[at]->direction = HOST_OUT;
			}
			host_submit(device, ios[at]);
		}
		for (at = 0; at < BATCH; at++) {
			CHECK(io_answered(device, ios[at]));
			io_free(ios[at]);
		}
	}
}

static void test_no_growth(void)
{
	struct host_device *device = add("");
	size_t heap, fds;

	run_mixed(device, 4 * BATCH);
	heap = heap_bytes();
	fds = count_fds();
	run_mixed(device, COMMANDS);
	CHECK_INT(count_fds(), fds);
	if (!CHECK(heap_bytes() <= heap + GROWTH_MAX_BYTES))
		printf("%zu bytes in use, %zu before\n", heap_bytes(), heap);
	CHECK(device_end(device));
}

int main(void)
{
	fixture_start();
	CHECK_RUN(test_pr_out_lengths);
	CHECK_RUN(test_allocation_lengths);
	CHECK_RUN(test_held_then_busy);
	CHECK_RUN(test_opcodes_at_closed_gate);
	CHECK_RUN(test_pool_used_up);
	CHECK_RUN(test_no_growth);
	fixture_stop();
	return check_summary();
}
