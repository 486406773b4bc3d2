/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-file-beside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "fields.h"
#include "lun.h"

#define SEPARATOR '\n'
#define MAJOR 1
#define VERSION "1.0"
#define LOCK_WAIT_MS 3000
#define LOCK_PAUSE_MS 10

/* Bytes of the file that stand for the locks. */
enum lock { LOCK_MOMENT = 0, LOCK_USE = 1 };

struct beside {
	uint8_t naa[LUN_FILE_NAA_BYTES];
	struct lun_file_claim claim;
};

/* ---- as text ---- */

/* record: LUN_FILE_BESIDE_BYTES, filled up with newlines. */
static bool beside_format(const struct beside *beside, char *record)
{
	char text[LUN_FILE_BESIDE_BYTES];
	struct fields_writer writer;

	fields_begin(&writer, text, sizeof(text), SEPARATOR, VERSION);
	fields_add_bytes(&writer, "naa", beside->naa, sizeof(beside->naa));
	fields_add_hex(&writer, "token", beside->claim.token);
	fields_add_text(&writer, "host", beside->claim.host);
	fields_add_text(&writer, "machine", beside->claim.machine);
	if (!fields_finish(&writer))
		return false;
	memset(record, SEPARATOR, LUN_FILE_BESIDE_BYTES);
	memcpy(record, text, writer.len);
	return true;
}

static bool beside_parse(const char *record, struct beside *ret_beside, char *reason)
{
	char text[LUN_FILE_BESIDE_BYTES + 1];
	struct beside beside = {0};
	size_t len = LUN_FILE_BESIDE_BYTES, naa_len = 0;

	while (len > 1 && record[len - 1] == SEPARATOR && record[len - 2] == SEPARATOR)
		len--;
	memcpy(text, record, len);
	text[len] = '\0';
	switch (fields_check(text, SEPARATOR, MAJOR)) {
	case FIELDS_GOOD:
		break;
	case FIELDS_UNKNOWN_VERSION:
		snprintf(reason, LUN_REASON_MAX, "it was written by a newer version of prmig");
		return false;
	default:
		snprintf(reason, LUN_REASON_MAX, "it is damaged");
		return false;
	}
	if (!fields_get_bytes(text, SEPARATOR, "naa", beside.naa, sizeof(beside.naa), &naa_len) ||
	    naa_len != sizeof(beside.naa) ||
	    !fields_get_number(text, SEPARATOR, "token", UINT64_MAX, &beside.claim.token) ||
	    !fields_get_text(text, SEPARATOR, "host", beside.claim.host,
			     sizeof(beside.claim.host)) ||
	    !fields_get_text(text, SEPARATOR, "machine", beside.claim.machine,
			     sizeof(beside.claim.machine))) {
		snprintf(reason, LUN_REASON_MAX, "it lacks a field");
		return false;
	}
	*ret_beside = beside;
	return true;
}

/* ---- locks ---- */

static int lock_try(int fd, enum lock lock, short type)
{
	struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = lock, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &range) == 0 ? 0 : -errno;
}

/* Who has it gives it back within milliseconds, unless the host or the file system stands still. */
static bool moment_begin(int fd, char *reason)
{
	struct timespec pause = {.tv_nsec = (long)LOCK_PAUSE_MS * 1000000};
	int error = lock_try(fd, LOCK_MOMENT, F_WRLCK);

	for (int waited_ms = 0;
	     (error == -EAGAIN || error == -EACCES || error == -EINTR) && waited_ms < LOCK_WAIT_MS;
	     waited_ms += LOCK_PAUSE_MS) {
		nanosleep(&pause, NULL);
		error = lock_try(fd, LOCK_MOMENT, F_WRLCK);
	}
	if (error == 0)
		return true;
	if (error == -EAGAIN || error == -EACCES)
		snprintf(reason, LUN_REASON_MAX,
			 "the file beside the disk (" LUN_FILE_BESIDE_SUFFIX
			 ") is kept locked by another host or process");
	else
		snprintf(reason, LUN_REASON_MAX,
			 "the file beside the disk (" LUN_FILE_BESIDE_SUFFIX
			 ") cannot be locked (%s): its file system must have locks",
			 strerror(-error));
	return false;
}

static void moment_end(int fd)
{
	lock_try(fd, LOCK_MOMENT, F_UNLCK);
}

/* ---- the record ---- */

static bool read_locked(int fd, struct beside *ret_beside, char *reason)
{
	char record[LUN_FILE_BESIDE_BYTES], why[LUN_REASON_MAX];
	ssize_t got;

	do
		got = pread(fd, record, sizeof(record), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		snprintf(why, sizeof(why), "%s", strerror(errno));
	else if (got < (ssize_t)sizeof(record))
		snprintf(why, sizeof(why), "it is damaged");
	else if (beside_parse(record, ret_beside, why))
		return true;
	snprintf(reason, LUN_REASON_MAX,
		 "the file beside the disk (" LUN_FILE_BESIDE_SUFFIX
		 "), which says who the LUN is and which host has it, cannot be used: %.100s; take "
		 "it "
		 "from a backup, or, when no host uses the disk, remove it: the LUN is another one "
		 "to its guests then",
		 why);
	return false;
}

static bool read_once(int fd, struct beside *ret_beside, char *reason)
{
	bool good;

	if (!moment_begin(fd, reason))
		return false;
	good = read_locked(fd, ret_beside, reason);
	moment_end(fd);
	return good;
}

static bool write_whole(int fd, const char *record)
{
	ssize_t put;

	do
		put = pwrite(fd, record, LUN_FILE_BESIDE_BYTES, 0);
	while (put < 0 && errno == EINTR);
	if (put >= 0 && put < LUN_FILE_BESIDE_BYTES)
		errno = EIO;
	return put == LUN_FILE_BESIDE_BYTES && fdatasync(fd) == 0;
}

/* ---- making it ---- */

static bool identifier_make(uint8_t *naa)
{
	/* NAA 6 and the company identifier of Linux' SCSI target, as every LUN that LIO makes has it; the rest,
	 * 100 bits, by chance. */
	static const uint8_t prefix[] = {0x60, 0x01, 0x40, 0x50};

	if (getrandom(naa, LUN_FILE_NAA_BYTES, 0) != LUN_FILE_NAA_BYTES)
		return false;
	memcpy(naa, prefix, 3);
	naa[3] = prefix[3] | (naa[3] & 0x0f);
	return true;
}

/* The directory of path, fsynced: a name in it is there after a power loss. */
static bool directory_sync(const char *path)
{
	char dir[PATH_MAX];
	bool good;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	*(strrchr(dir, '/') + 1) = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* EINVAL: of a file system whose directories are never in a cache. */
	good = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
	if (fd >= 0)
		close(fd);
	return good;
}

/* Makes it whole under another name, and gives it its own: link() fails where another was faster. */
static bool beside_make(const char *beside_path)
{
	char record[LUN_FILE_BESIDE_BYTES], temporary[PATH_MAX];
	struct beside beside = {0};
	bool good;
	int fd, error;

	if (!identifier_make(beside.naa) || !beside_format(&beside, record) ||
	    snprintf(temporary, sizeof(temporary), "%s.XXXXXX", beside_path) >=
		    (int)sizeof(temporary))
		return false;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return false;
	good = write_whole(fd, record) && (link(temporary, beside_path) == 0 || errno == EEXIST) &&
	       directory_sync(beside_path);
	error = errno;
	close(fd);
	unlink(temporary);
	errno = error;
	return good;
}

int lun_file_beside_open(const char *path, char *reason)
{
	char real[PATH_MAX], beside_path[PATH_MAX];
	struct beside beside;
	int fd, error;

	if (realpath(path, real) == NULL) {
		error = errno;
		snprintf(reason, LUN_REASON_MAX, "%s: %s", path, strerror(error));
		return -error;
	}
	if (snprintf(beside_path, sizeof(beside_path), "%s" LUN_FILE_BESIDE_SUFFIX, real) >=
	    (int)sizeof(beside_path)) {
		snprintf(reason, LUN_REASON_MAX, "%s: the path is too long", path);
		return -ENAMETOOLONG;
	}
	fd = open(beside_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && beside_make(beside_path))
		fd = open(beside_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		error = errno;
		snprintf(reason, LUN_REASON_MAX,
			 "%.300s cannot be opened or made: %s; it says who the LUN is and which "
			 "host has it",
			 beside_path, strerror(error));
		return -error;
	}
	if (!read_once(fd, &beside, reason)) {
		close(fd);
		return -EBADMSG;
	}
	return fd;
}

/* ---- its users ---- */

bool lun_file_beside_naa(int fd, uint8_t ret_naa[LUN_FILE_NAA_BYTES], char *reason)
{
	struct beside beside;

	if (!read_once(fd, &beside, reason))
		return false;
	memcpy(ret_naa, beside.naa, sizeof(beside.naa));
	return true;
}

bool lun_file_beside_claim(int fd, struct lun_file_claim *ret_claim, char *reason)
{
	struct beside beside;

	if (!read_once(fd, &beside, reason))
		return false;
	*ret_claim = beside.claim;
	return true;
}

static enum lun_file_swap swap_locked(int fd, uint64_t expected, const struct lun_file_claim *claim,
				      struct lun_file_claim *ret_found, char *reason)
{
	char record[LUN_FILE_BESIDE_BYTES];
	struct beside beside;

	if (!read_locked(fd, &beside, reason))
		return LUN_FILE_NOT_READ;
	*ret_found = beside.claim;
	if (beside.claim.token != expected) {
		snprintf(reason, LUN_REASON_MAX, "the claim on the disk is another one");
		return LUN_FILE_DIFFERS;
	}
	beside.claim = *claim;
	if (!beside_format(&beside, record)) {
		snprintf(reason, LUN_REASON_MAX, "the names in the claim are too long");
		return LUN_FILE_NOT_READ;
	}
	if (!write_whole(fd, record)) {
		snprintf(reason, LUN_REASON_MAX,
			 "the file beside the disk (" LUN_FILE_BESIDE_SUFFIX
			 ") cannot be written: %s",
			 strerror(errno));
		return LUN_FILE_UNKNOWN;
	}
	return LUN_FILE_SWAPPED;
}

enum lun_file_swap lun_file_beside_swap(int fd, uint64_t expected,
					const struct lun_file_claim *claim,
					struct lun_file_claim *ret_found, char *reason)
{
	enum lun_file_swap swap;

	if (!moment_begin(fd, reason))
		return LUN_FILE_NOT_READ;
	swap = swap_locked(fd, expected, claim, ret_found, reason);
	moment_end(fd);
	return swap;
}

bool lun_file_beside_hold(int fd, bool *ret_held, char *reason)
{
	int error = lock_try(fd, LOCK_USE, F_WRLCK);

	*ret_held = error == -EAGAIN || error == -EACCES;
	if (error == 0)
		return true;
	snprintf(reason, LUN_REASON_MAX,
		 *ret_held ? "another host or process has the disk open%s%s"
			   : "the file beside the disk cannot be locked%s%s",
		 *ret_held ? "" : ": ", *ret_held ? "" : strerror(-error));
	return false;
}
