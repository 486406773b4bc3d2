/* SPDX-License-Identifier: Apache-2.0 */
/* The file beside a disk: made once, changed by compare and swap, never guessed. */
#include "lun-file-beside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "lun.h"

static char directory[64], disk[128], beside[192], reason[LUN_REASON_MAX];

static void begin(void)
{
	int fd;

	strcpy(directory, "/tmp/prmig-beside-XXXXXX");
	if (mkdtemp(directory) == NULL)
		abort();
	snprintf(disk, sizeof(disk), "%s/disk.img", directory);
	snprintf(beside, sizeof(beside), "%s" LUN_FILE_BESIDE_SUFFIX, disk);
	fd = open(disk, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	close(fd);
}

static void end(void)
{
	unlink(beside);
	unlink(disk);
	CHECK_INT(rmdir(directory), 0); /* nothing else was left there */
}

static struct lun_file_claim claim_of(uint64_t token, const char *host)
{
	struct lun_file_claim claim = {.token = token, .machine = "0123456789abcdef"};

	snprintf(claim.host, sizeof(claim.host), "%s", host);
	return claim;
}

static void test_made_once(void)
{
	uint8_t first[LUN_FILE_NAA_BYTES], again[LUN_FILE_NAA_BYTES];
	char link_path[128];
	struct lun_file_claim claim;
	struct stat st;
	int fd;

	begin();
	fd = lun_file_beside_open(disk, reason);
	CHECK(fd >= 0);
	CHECK(lun_file_beside_naa(fd, first, reason));
	CHECK_INT(first[0], 0x60);
	CHECK_INT(first[1], 0x01);
	CHECK_INT(first[2], 0x40);
	CHECK_INT(first[3] >> 4, 0x5);
	CHECK(lun_file_beside_claim(fd, &claim, reason));
	CHECK_INT(claim.token, 0);
	CHECK_STR(claim.host, "");
	CHECK_INT(fstat(fd, &st), 0);
	CHECK_INT(st.st_size, LUN_FILE_BESIDE_BYTES);
	CHECK_INT(st.st_mode & 0777, 0600);
	close(fd);
	/* By another name of the disk it is the same one. */
	snprintf(link_path, sizeof(link_path), "%s/link", directory);
	CHECK_INT(symlink(disk, link_path), 0);
	fd = lun_file_beside_open(link_path, reason);
	CHECK(lun_file_beside_naa(fd, again, reason));
	CHECK_BYTES(first, again, sizeof(first));
	close(fd);
	unlink(link_path);
	end();
}

static void test_swap(void)
{
	struct lun_file_claim one = claim_of(0x1111111111111111, "host-one"),
			      two = claim_of(0xffffffffffffffff, "host two; \"x\"\n"), found;
	int fd, other;

	begin();
	fd = lun_file_beside_open(disk, reason);
	other = lun_file_beside_open(disk, reason);
	CHECK_INT(lun_file_beside_swap(fd, 0, &one, &found, reason), LUN_FILE_SWAPPED);
	CHECK_INT(lun_file_beside_swap(other, 0, &two, &found, reason), LUN_FILE_DIFFERS);
	CHECK_INT(found.token, one.token);
	CHECK_STR(found.host, "host-one");
	CHECK_STR(found.machine, "0123456789abcdef");
	CHECK_INT(lun_file_beside_swap(other, one.token, &two, &found, reason), LUN_FILE_SWAPPED);
	CHECK_INT(lun_file_beside_swap(fd, one.token, &one, &found, reason), LUN_FILE_DIFFERS);
	CHECK_INT(found.token, two.token);
	close(other);
	CHECK(lun_file_beside_claim(fd, &found, reason));
	CHECK_STR(found.host, two.host);
	close(fd);
	end();
}

static void test_hold(void)
{
	int fd, other;
	bool held;

	begin();
	fd = lun_file_beside_open(disk, reason);
	other = lun_file_beside_open(disk, reason); /* reading waits for no holder */
	CHECK(lun_file_beside_hold(fd, &held, reason));
	CHECK(!lun_file_beside_hold(other, &held, reason));
	CHECK(held);
	CHECK_CONTAINS(reason, "another host or process");
	close(fd);
	CHECK(lun_file_beside_hold(other, &held, reason));
	close(other);
	end();
}

static void damage(off_t at, const char *bytes, size_t len)
{
	int fd = open(beside, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, bytes, len, at) != (ssize_t)len)
		abort();
	close(fd);
}

static void test_damaged(void)
{
	struct lun_file_claim one = claim_of(5, "host-one"), found = {.token = 7};
	struct stat before, after;
	int fd;

	begin();
	fd = lun_file_beside_open(disk, reason);
	damage(20, "#", 1);
	CHECK_INT(lun_file_beside_swap(fd, 0, &one, &found, reason), LUN_FILE_NOT_READ);
	CHECK_CONTAINS(reason, "damaged");
	CHECK_INT(found.token, 7);
	close(fd);
	CHECK_INT(stat(beside, &before), 0);
	CHECK(lun_file_beside_open(disk, reason) < 0);
	CHECK_CONTAINS(reason, "take it from a backup");
	/* It is evidence: nothing makes it anew. */
	CHECK_INT(stat(beside, &after), 0);
	CHECK_INT(before.st_ino, after.st_ino);
	damage(0, "prmig=2.0\n", 10);
	CHECK(lun_file_beside_open(disk, reason) < 0);
	CHECK_CONTAINS(reason, "newer version");
	CHECK_INT(truncate(beside, 100), 0);
	CHECK(lun_file_beside_open(disk, reason) < 0);
	CHECK_INT(truncate(beside, 0), 0);
	CHECK(lun_file_beside_open(disk, reason) < 0);
	CHECK_CONTAINS(reason, "damaged");
	end();
}

static void test_missing(void)
{
	begin();
	CHECK_INT(lun_file_beside_open("/nonexistent/disk.img", reason), -ENOENT);
	CHECK_CONTAINS(reason, "/nonexistent/disk.img");
	end();
}

/* ---- several at once ---- */

#define THREADS 4
#define SWAPS 50

static unsigned int swapped;

static void *swap_run(void *user)
{
	struct lun_file_claim found, claim = claim_of(1 + (uintptr_t)user, "host");
	uint64_t expected = 0, token = claim.token;
	char why[LUN_REASON_MAX];
	int fd = lun_file_beside_open(disk, why);

	CHECK(fd >= 0);
	for (unsigned int done = 0; done < SWAPS;) {
		enum lun_file_swap swap = lun_file_beside_swap(fd, expected, &claim, &found, why);

		if (swap == LUN_FILE_DIFFERS) {
			expected = found.token;
			continue;
		}
		if (!CHECK_INT(swap, LUN_FILE_SWAPPED))
			break;
		__atomic_add_fetch(&swapped, 1, __ATOMIC_SEQ_CST);
		done++;
		/* Each token is there once: who expected an old one would be seen. */
		expected = claim.token;
		claim.token += (uint64_t)1 << 32;
	}
	CHECK(token != claim.token);
	close(fd);
	return NULL;
}

static void test_race(void)
{
	uint8_t naa[LUN_FILE_NAA_BYTES];
	pthread_t threads[THREADS];
	int fd;

	begin();
	swapped = 0;
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, swap_run, (void *)i) != 0)
			abort();
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(swapped, THREADS * SWAPS);
	fd = lun_file_beside_open(disk, reason);
	CHECK(lun_file_beside_naa(fd, naa, reason));
	close(fd);
	end();
}

int main(void)
{
	CHECK_RUN(test_made_once);
	CHECK_RUN(test_swap);
	CHECK_RUN(test_hold);
	CHECK_RUN(test_damaged);
	CHECK_RUN(test_missing);
	CHECK_RUN(test_race);
	return check_summary();
}
