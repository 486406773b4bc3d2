/* SPDX-License-Identifier: Apache-2.0 */
/* The fake LUN as a disk, and what tests can do to it: medium, faults, hooks, log, monitor, a
 * process that is killed. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lun-steps.h"

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void test_identity(void)
{
	struct fake_lun_config config = {.block_len_bytes = 4096, .blocks = 100};
	char text[40];

	fresh();
	fake_lun_designator(lun, text);
	CHECK_STR(text, "naa.60014050000000010000000000000001");
	CHECK_INT(SEND(A, 0x12, 1, 0x83, 0, 255), OK);
	CHECK_INT(data[1], 0x83);
	CHECK_INT(data_len, 4 + (size_t)data[3]);
	CHECK_INT(be64(data + 8), 0x6001405000000001);
	CHECK_INT(SEND(A, 0x12, 1, 0x99, 0, 255), BAD_CDB);
	CHECK_INT(SEND(A, 0xc1), BAD_OPCODE);
	CHECK_INT(SEND(A, 0x9e, 0x1f), BAD_CDB);
	CHECK_INT(SEND(A, 0x12, 0, 0, 0, 5), OK);
	CHECK_INT(data_len, 5);

	fake_lun_detach(lun);
	lun = fake_lun_create(NULL, &config);
	CHECK_INT(SEND(A, 0x9e, 0x10, [13] = 32), OK);
	CHECK_INT(be64(data), 99);
	CHECK_INT(be32(data + 8), 4096);
	fake_lun_set_capacity(lun, 50);
	CHECK_INT(SEND(A, 0x25), UA(0x2a09));
	CHECK_INT(SEND(A, 0x25), OK);
	CHECK_INT(be32(data), 49);
	CHECK_INT(SEND(A, 0x28, [5] = 50, [8] = 1), CC(5, 0x2100));
}

static void test_medium(void)
{
	uint8_t block[1024];
	uint8_t unmap[24] = {0, 22, 0, 16, [15] = 3, [19] = 1};

	fresh();
	memset(block, 0x77, sizeof(block));
	CHECK_INT(send(A, (uint8_t[16]){0x8a, 0x08, [9] = 3, [13] = 2}, 16, block, 1024), OK);
	CHECK_INT(send(A, (uint8_t[16]){0x8a, [9] = 3, [13] = 2}, 16, block, 1000),
		  CC(0xb, 0x4b00));
	CHECK_INT(SEND(B, 0xa8, [5] = 3, [9] = 2), OK);
	CHECK_INT(data_len, 1024);
	CHECK_BYTES(data, block, 1024);
	/* COMPARE AND WRITE: what is there, then what is to be there. */
	memset(block + 512, 0x88, 512);
	CHECK_INT(send(A, (uint8_t[16]){0x89, [9] = 3, [13] = 1}, 16, block, 1024), OK);
	CHECK_INT(send(A, (uint8_t[16]){0x89, [9] = 3, [13] = 1}, 16, block, 1024),
		  CC(0xe, 0x1d00));
	CHECK_INT(send(A, (uint8_t[16]){0x8f, 2, [9] = 3, [13] = 1}, 16, block + 512, 512), OK);
	CHECK_INT(send(A, (uint8_t[16]){0x8f, 2, [9] = 3, [13] = 1}, 16, block, 512),
		  CC(0xe, 0x1d00));
	CHECK_INT(send(A, (uint8_t[10]){0x42, [8] = 24}, 10, unmap, 24), OK);
	CHECK_INT(SEND(A, 0x28, [5] = 3, [8] = 2), OK);
	CHECK_INT(data[0], 0);
	CHECK_INT(data[512], 0x77);
	CHECK_INT(send(A, (uint8_t[16]){0x93, [9] = 8, [13] = 4}, 16, block, 512), OK);
	CHECK_INT(SEND(A, 0x28, [5] = 11, [8] = 1), OK);
	CHECK_INT(data[0], 0x77);
	CHECK_INT(SEND(A, 0x93, [13] = 0), BAD_CDB);
	CHECK_INT(send(A, (uint8_t[32]){0x7f, [7] = 24, [9] = 9, [19] = 11, [31] = 1}, 32, NULL, 0),
		  OK);
	CHECK_INT(data[0], 0x77);
}

static void test_fault_counts(void)
{
	struct fake_fault fault = fake_fault(B, 0x5f, PREEMPT);
	int number;

	setup(2, WE);
	fault.skip = 1;
	fault.times = 2;
	fault.outcome = FAKE_ANSWER;
	fault.status = 0x08;
	number = fake_lun_add_fault(lun, &fault);
	CHECK_INT(pr_out(B, PREEMPT, WE, KB, KX, 0), CF);
	CHECK_INT(pr_out(B, PREEMPT, WE, KB, KA, 0), 0x08);
	CHECK_INT(tur(B), OK);
	CHECK_INT(pr_out(B, PREEMPT, WE, KB, KA, 0), 0x08);
	CHECK(held(WE, A));
	CHECK_INT(pr_out(B, PREEMPT, WE, KB, KA, 0), OK);
	CHECK_INT(fake_lun_fault_hits(lun, number), 2);
	fake_lun_clear_faults(lun);
	CHECK_INT(fake_lun_log_count(lun, 0, B, 0x5f, PREEMPT), 4);
}

static void test_fault_outcomes(void)
{
	struct fake_fault fault = fake_fault(A, 0x5f, REGISTER);
	uint64_t start;

	setup(1, 0);
	fault.outcome = FAKE_LOSE_ANSWER;
	fault.host_status = FAKE_DID_TIME_OUT;
	fake_lun_add_fault(lun, &fault);
	CHECK_INT(pr_out(A, REGISTER, 0, KA, KX, 0), HOST(FAKE_DID_TIME_OUT));
	CHECK_INT(state.nexus[A].key, KX);

	fault.outcome = FAKE_LOSE_COMMAND;
	fake_lun_add_fault(lun, &fault);
	CHECK_INT(pr_out(A, REGISTER, 0, KX, KA, 0), HOST(FAKE_DID_TIME_OUT));
	CHECK_INT(state.nexus[A].key, KX);

	fault = fake_fault(A, FAKE_ANY, FAKE_ANY);
	fault.unit_attention = 0x2a05;
	fault.delay_before_ms = 20;
	fault.delay_after_ms = 20;
	fake_lun_add_fault(lun, &fault);
	start = now_ms();
	CHECK_INT(tur(A), UA5);
	CHECK(now_ms() - start >= 40);
	CHECK_INT(tur(A), OK);
}

static struct fake_command command(unsigned int nexus, uint8_t action, uint8_t type, uint64_t key,
				   uint64_t service_key)
{
	struct fake_command made = {
		.nexus = nexus,
		.cdb_len = 10,
		.cdb = {0x5f, action, type, [8] = 24},
		.list_len = 24,
	};

	be64_put(made.list, key);
	be64_put(made.list + 8, service_key);
	return made;
}

static void test_hooks(void)
{
	struct fake_fault fault = fake_fault(A, 0x5e, READ_KEYS);
	struct fake_log_entry entry;
	struct fake_monitor monitor;

	setup(2, WE);
	fault.before.count = 2;
	fault.before.commands[0] = command(B, PREEMPT, WE, KB, KA);
	fault.before.commands[1] = command(B, REGISTER, 0, KB, KX);
	fault.after.count = 1;
	fault.after.commands[0] = command(B, RELEASE, WE, KX, 0);
	fake_lun_add_fault(lun, &fault);
	CHECK_INT(pr_in(A, READ_KEYS, 256), UA5);
	CHECK_INT(fake_lun_log_end(lun), 3 + 4);
	CHECK(fake_lun_log_get(lun, 4, &entry));
	CHECK(entry.hook && entry.executed && entry.nexus == B && entry.cdb[1] == PREEMPT);
	CHECK_INT(be64(entry.list + 8), KA);
	CHECK(fake_lun_log_get(lun, 6, &entry));
	CHECK(!entry.hook && entry.nexus == A && entry.asc_ascq == 0x2a05);
	fake_lun_get_monitor(lun, &monitor);
	CHECK_INT(monitor.gaps, 1);
	CHECK_INT(monitor.gap_sequence, 7);
	CHECK_INT(monitor.holder_changes, 1);
	CHECK(!fake_lun_log_get(lun, 8, &entry));

	fault = fake_fault(A, 0x5e, READ_KEYS);
	fault.after.event = FAKE_EVENT_POWER_LOSS;
	fake_lun_add_fault(lun, &fault);
	CHECK_INT(pr_in(A, READ_KEYS, 256), OK);
	CHECK_INT(be64(data + 8), KX);
	CHECK_INT(pr_in(A, READ_KEYS, 256), UA(0x2900));
	CHECK_INT(pr_in(A, READ_KEYS, 256), OK);
	CHECK_INT(data_len, 8);
}

static void test_monitor_writes(void)
{
	struct fake_monitor monitor;

	setup(1, WE);
	CHECK_INT(write_block(A), OK);
	CHECK_INT(write_block(B), CF);
	CHECK_INT(write_block(A), OK);
	fake_lun_get_monitor(lun, &monitor);
	CHECK_INT(monitor.writes[A], 2);
	CHECK_INT(monitor.writes[B], 0);
	CHECK_INT(monitor.conflicts[B], 1);
	CHECK_INT(monitor.write_sequence[A], fake_lun_log_end(lun));
}

static void test_generation_quirks(void)
{
	struct fake_quirks quirks = {.generation = FAKE_GENERATION_BY_TWO};

	fresh();
	fake_lun_set_quirks(lun, &quirks);
	reg(A, KA);
	CHECK_INT(state.generation, 2);
	quirks.generation = FAKE_GENERATION_STILL;
	fake_lun_set_quirks(lun, &quirks);
	reg(B, KB);
	CHECK_INT(state.generation, 2);
	fake_quirks_tgt(&quirks);
	fake_lun_set_quirks(lun, &quirks);
	CHECK_INT(pr_in(A, READ_FULL_STATUS, 256), BAD_CDB);
	CHECK_INT(pr_out(A, PREEMPT_AND_ABORT, WE, KA, KB, 0), BAD_CDB);
	CHECK_INT(pr_out(A, MOVE, WE, KA, KB, 0), BAD_CDB);
	CHECK_INT(pr_in(A, REPORT_CAPABILITIES, 8), OK);
	CHECK_INT(data[2], 0);
	quirks.no_persistent_reserve = true;
	fake_lun_set_quirks(lun, &quirks);
	CHECK_INT(pr_in(A, READ_KEYS, 8), BAD_OPCODE);
}

/* Children that hammer one LUN are killed at any point; the parent is never stuck, and finds
 * reservations that some sequence of whole commands can have made. */
static void test_killed(void)
{
	char path[64];

	fresh();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fake_lun_fd(lun));
	for (int round = 0; round < 30; round++) {
		pid_t child = fork();

		if (child == 0) {
			struct fake_lun *mine = fake_lun_attach(path);

			if (mine == NULL)
				_exit(1);
			lun = mine;
			for (;;) {
				reg(B, KB);
				pr_out(B, RESERVE, WE, KB, 0, 0);
				pr_out(B, PREEMPT, EA, KB, KB, 0);
				pr_out(B, CLEAR, 0, KB, 0, 0);
			}
		}
		usleep(2000 + 700 * (unsigned int)round);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		look();
		CHECK(!state.held || (state.nexus[B].key == KB && state.holder == B));
		CHECK(tur(A) == OK);
	}
	CHECK(fake_lun_log_end(lun) > 100);
}

static void test_file(void)
{
	char path[] = "/tmp/fake-lun-XXXXXX";
	int fd = mkstemp(path);
	struct fake_lun *first;

	close(fd);
	fake_lun_detach(lun);
	first = fake_lun_create(path, NULL);
	lun = first;
	reg(A, KA);
	lun = fake_lun_attach(path);
	CHECK(lun != NULL);
	CHECK_INT(fake_lun_count_key(lun, KA), 1);
	fake_lun_detach(first);
	unlink(path);
	CHECK(fake_lun_attach("/dev/null") == NULL);
}

static void test_rsoc(void)
{
	struct fake_quirks quirks = {.no_register_and_move = true};

	fresh();
	CHECK_INT(SEND(A, 0xa3, 0x0c, [8] = 0x20), OK);
	CHECK_INT(be32(data), data_len - 4);
	CHECK_INT(SEND(A, 0xa3, 0x0c, 2, 0x5f, 0, MOVE, [8] = 0x20), OK);
	CHECK_INT(data[1], 3);
	CHECK_INT(data[3], 10);
	fake_lun_set_quirks(lun, &quirks);
	CHECK_INT(SEND(A, 0xa3, 0x0c, 2, 0x5f, 0, MOVE, [8] = 0x20), OK);
	CHECK_INT(data[1], 1);
	CHECK_INT(SEND(A, 0xa3, 0x0c, 1, 0x28, [8] = 0x20), OK);
	CHECK_INT(data[4], 0x28);
	CHECK_INT(SEND(A, 0xa3, 0x0c, 1, 0x5f, [8] = 0x20), BAD_CDB);
}

static void test_mode(void)
{
	uint8_t list[4 + 20] = {[4] = 0x08, [5] = 18};

	fresh();
	CHECK_INT(SEND(A, 0x1a, 0x08, 0x08, 0, 64), OK);
	CHECK_INT(data[6], 0x04);
	CHECK_INT(send(A, (uint8_t[6]){0x15, 0x10, [4] = 24}, 6, list, sizeof(list)), OK);
	CHECK_INT(SEND(A, 0x1a, 0x08, 0x08, 0, 64), OK);
	CHECK_INT(data[6], 0);
	CHECK_INT(tur(B), UA(0x2a01));
	CHECK_INT(send(A, (uint8_t[6]){0x15, 0x10, [4] = 24}, 6, list, 20), BAD_LENGTH);
}

int main(void)
{
	CHECK_RUN(test_identity);
	CHECK_RUN(test_medium);
	CHECK_RUN(test_fault_counts);
	CHECK_RUN(test_fault_outcomes);
	CHECK_RUN(test_hooks);
	CHECK_RUN(test_monitor_writes);
	CHECK_RUN(test_generation_quirks);
	CHECK_RUN(test_killed);
	CHECK_RUN(test_file);
	CHECK_RUN(test_rsoc);
	CHECK_RUN(test_mode);
	fake_lun_detach(lun);
	return check_summary();
}
