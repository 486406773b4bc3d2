// SPDX-License-Identifier: Apache-2.0
/*
 * writer: what a nested guest does with its disk, for ever.
 *
 * Step n writes a block that n determines, with O_DIRECT, to one of SLOTS
 * places; then it reads the block of an earlier step from the disk and verifies
 * it, and verifies once more, in memory, a block that it read HISTORY steps
 * ago: memory that a live migration lost shows there. Each step is one line:
 *
 *     guest: step 17 wrote 17 read 9 remembered 3
 *
 * and what went wrong another one, beginning "guest: ERROR" (the disk or the
 * data on it) or "guest: STALE" (memory). It goes on after either.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	BLOCK = 4096,
	WORDS = BLOCK / 8,
	SLOTS = 1024,
	HISTORY = 256,
	FIRST_BLOCK = 256, /* the first MiB is left to others */
	PAUSE_MS = 20,
};

static uint64_t mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15u;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

/* A block is its step's number, words that follow from it, and their sum. */
static void block_fill(uint64_t *block, uint64_t step)
{
	uint64_t sum = step;

	block[0] = step;
	for (int i = 1; i < WORDS - 1; i++) {
		block[i] = mix(step * WORDS + i);
		sum = mix(sum ^ block[i]);
	}
	block[WORDS - 1] = sum;
}

static int block_is(const uint64_t *block, uint64_t step)
{
	uint64_t sum = step;

	for (int i = 1; i < WORDS - 1; i++)
		sum = mix(sum ^ block[i]);
	return block[0] == step && block[1] == mix(step * WORDS + 1) && block[WORDS - 1] == sum;
}

static off_t place(uint64_t step)
{
	return (off_t)(FIRST_BLOCK + step % SLOTS) * BLOCK;
}

static void *aligned(size_t size)
{
	void *memory;

	if (posix_memalign(&memory, BLOCK, size)) {
		puts("guest: ERROR no memory");
		exit(1);
	}
	memset(memory, 0, size);
	return memory;
}

int main(int argc, char **argv)
{
	uint64_t *out = aligned(BLOCK), *history = aligned((size_t)HISTORY * BLOCK);
	uint64_t held[HISTORY] = {0}; /* the step whose block each place of history has */
	static char failed[SLOTS];    /* slots whose last write failed: contents unknown */
	const struct timespec rest = {.tv_nsec = PAUSE_MS * 1000000L};
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = open(argc > 1 ? argv[1] : "/dev/sda", O_RDWR | O_DIRECT);
	if (fd < 0) {
		printf("guest: ERROR open: %s\n", strerror(errno));
		for (;;)
			pause();
	}

	for (uint64_t step = 1;; step++) {
		uint64_t *in = history + (step % HISTORY) * WORDS, old = held[step % HISTORY];
		uint64_t earlier = step < SLOTS ? 1 + mix(step) % step : step - mix(step) % SLOTS;
		uint64_t wrote = step;

		/* Memory first: this place is about to be read into again. */
		if (old && !block_is(in, old)) {
			printf("guest: STALE step %" PRIu64
			       ": memory no longer has what step %" PRIu64 " wrote\n",
			       step, old);
		}
		block_fill(out, step);
		failed[step % SLOTS] = 0;
		if (pwrite(fd, out, BLOCK, place(step)) != BLOCK) {
			printf("guest: ERROR step %" PRIu64 ": write: %s\n", step, strerror(errno));
			failed[step % SLOTS] = 1;
			wrote = 0;
		}
		held[step % HISTORY] = 0;
		if (failed[earlier % SLOTS]) {
			earlier = 0;
		} else if (pread(fd, in, BLOCK, place(earlier)) != BLOCK) {
			printf("guest: ERROR step %" PRIu64 ": read: %s\n", step, strerror(errno));
			earlier = 0;
		} else if (!block_is(in, earlier)) {
			/* The disk or memory? Read it again into other memory. */
			int again = pread(fd, out, BLOCK, place(earlier)) == BLOCK &&
				    block_is(out, earlier);

			printf("guest: %s step %" PRIu64 ": not what step %" PRIu64 " wrote\n",
			       again ? "STALE" : "ERROR", step, earlier);
			earlier = 0;
		} else {
			held[step % HISTORY] = earlier;
		}
		printf("guest: step %" PRIu64 " wrote %" PRIu64 " read %" PRIu64
		       " remembered %" PRIu64 "\n",
		       step, wrote, earlier, old);
		nanosleep(&rest, NULL);
	}
}
