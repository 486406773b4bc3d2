/* SPDX-License-Identifier: Apache-2.0 */
/* The file beside a disk: who it is and whose. The input: such a file, read as it is and with its checksum put right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checked-text.h"
#include "fuzz.h"
#include "lun.h"
#include "lun-file-beside.h"
#include "scratch.h"

static char disk[64], beside[80];

static void make_disk(void)
{
	if (disk[0] != '\0')
		return;
	snprintf(disk, sizeof(disk), "%s/disk", scratch_directory());
	snprintf(beside, sizeof(beside), "%s" LUN_FILE_BESIDE_SUFFIX, disk);
	scratch_write(disk, "", 0);
}

static bool same_claim(const struct lun_file_claim *a, const struct lun_file_claim *b)
{
	return a->token == b->token && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->machine, b->machine) == 0;
}

/* Whatever was read is what a swap compares with, and what it leaves is what it was given. */
static void check_open(int fd)
{
	struct lun_file_claim claim, found,
		mine = {.token = 0x1234, .host = "host; \n", .machine = "0123"};
	uint8_t naa[LUN_FILE_NAA_BYTES], again[LUN_FILE_NAA_BYTES];
	char reason[LUN_REASON_MAX];

	FUZZ_CHECK(lun_file_beside_naa(fd, naa, reason));
	FUZZ_CHECK(lun_file_beside_claim(fd, &claim, reason));
	FUZZ_CHECK(memchr(claim.host, '\0', sizeof(claim.host)) != NULL &&
		   memchr(claim.machine, '\0', sizeof(claim.machine)) != NULL);
	FUZZ_CHECK(lun_file_beside_swap(fd, claim.token + 1, &mine, &found, reason) ==
		   LUN_FILE_DIFFERS);
	FUZZ_CHECK(same_claim(&claim, &found));
	FUZZ_CHECK(lun_file_beside_swap(fd, claim.token, &mine, &found, reason) ==
		   LUN_FILE_SWAPPED);
	FUZZ_CHECK(lun_file_beside_claim(fd, &found, reason) && same_claim(&mine, &found));
	FUZZ_CHECK(lun_file_beside_swap(fd, mine.token, &claim, &found, reason) ==
		   LUN_FILE_SWAPPED);
	FUZZ_CHECK(lun_file_beside_claim(fd, &found, reason) && same_claim(&claim, &found));
	FUZZ_CHECK(lun_file_beside_naa(fd, again, reason) && memcmp(naa, again, sizeof(naa)) == 0);
	fuzz_deep();
}

static void check_bytes(const char *bytes, size_t len)
{
	char reason[LUN_REASON_MAX];
	int fd;

	scratch_write(beside, bytes, len);
	memset(reason, 'x', sizeof(reason));
	fd = lun_file_beside_open(disk, reason);
	if (fd < 0) {
		FUZZ_CHECK(reason[0] != '\0' && fuzz_printable(reason, sizeof(reason)));
		return;
	}
	check_open(fd);
	close(fd);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	char record[LUN_FILE_BESIDE_BYTES], *right = checked_text(data, size, '\n');
	size_t len = strlen(right);

	make_disk();
	check_bytes((const char *)data, size);
	/* Filled up, as it is written. */
	memset(record, '\n', sizeof(record));
	memcpy(record, right, len < sizeof(record) ? len : sizeof(record));
	check_bytes(record, sizeof(record));
	free(right);
}
