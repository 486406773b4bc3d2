/* SPDX-License-Identifier: Apache-2.0 */
#include "configfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "paths.h"

#define CONFIGFS_TEXT_MAX 4096
#define CONFIGFS_UIO_PREFIX "tcm-user/"
/* What the kernel sets where nobody asks for another, in blocks. */
#define CONFIGFS_DEFAULT_MAX_SECTORS 128

/* One read, as sysfs and configfs give a whole file; NUL-terminated, without the newline. Negative
 * errno. */
static int read_text(const char *path, char *buf, size_t buf_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	do
		len = read(fd, buf, buf_len - 1);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		len = -errno;
	close(fd);
	if (len < 0)
		return len;
	buf[len] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len;
	int r = 0;

	if (fd < 0)
		return -errno;
	do
		len = write(fd, text, strlen(text));
	while (len < 0 && errno == EINTR);
	if (len < 0)
		r = -errno;
	else if ((size_t)len != strlen(text))
		r = -EIO;
	close(fd);
	return r;
}

/* file: "attrib/pgr_support". */
static int backstore_path(const struct configfs_backstore *backstore, const char *file, char *path)
{
	int r = paths_format(path, PATH_MAX, PATHS_CONFIGFS_CORE "/user_%s/%s/%s", backstore->hba,
			     backstore->name, file);

	return r < 0 ? r : 0;
}

static int backstore_read(const struct configfs_backstore *backstore, const char *file, char *buf,
			  size_t buf_len)
{
	char path[PATH_MAX];
	int r = backstore_path(backstore, file, path);

	return r ? r : read_text(path, buf, buf_len);
}

static int backstore_read_number(const struct configfs_backstore *backstore, const char *file,
				 uint64_t *ret_number)
{
	char text[64], *end;
	int r = backstore_read(backstore, file, text, sizeof(text));
	uint64_t number;

	if (r)
		return r;
	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int backstore_write(const struct configfs_backstore *backstore, const char *file,
			   const char *text)
{
	char path[PATH_MAX];
	int r = backstore_path(backstore, file, path);

	return r ? r : write_text(path, text);
}

/* The parts of "tcm-user/<hba>/<name>/<cfgstring>"; text is cut up. */
static bool split_uio_name(char *text, char **ret_hba, char **ret_name, char **ret_cfgstring)
{
	char *hba, *name, *cfgstring;

	if (strncmp(text, CONFIGFS_UIO_PREFIX, strlen(CONFIGFS_UIO_PREFIX)) != 0)
		return false;
	hba = text + strlen(CONFIGFS_UIO_PREFIX);
	name = strchr(hba, '/');
	if (!name)
		return false;
	*name++ = '\0';
	cfgstring = strchr(name, '/');
	if (!cfgstring)
		return false;
	*cfgstring++ = '\0';
	*ret_hba = hba;
	*ret_name = name;
	*ret_cfgstring = cfgstring;
	return true;
}

static int read_uio_name(const char *uio, char *buf, size_t buf_len)
{
	char path[PATH_MAX];
	int r = paths_format(path, sizeof(path), PATHS_UIO_CLASS "/%s/name", uio);

	return r < 0 ? r : read_text(path, buf, buf_len);
}

bool configfs_find_backstore(const char *uio, struct configfs_backstore *ret_backstore,
			     char *reason)
{
	char text[CONFIGFS_TEXT_MAX], *hba, *name, *cfgstring;
	int r = read_uio_name(uio, text, sizeof(text));

	if (r) {
		snprintf(reason, CONFIGFS_REASON_MAX, "the name of %s in %s cannot be read: %s",
			 uio, PATHS_UIO_CLASS, strerror(-r));
		return false;
	}
	if (!split_uio_name(text, &hba, &name, &cfgstring) ||
	    strspn(hba, "0123456789") != strlen(hba) || !*hba ||
	    strlen(hba) >= sizeof(ret_backstore->hba)) {
		snprintf(reason, CONFIGFS_REASON_MAX, "%s is not a backstore of LIO's", uio);
		return false;
	}
	if (!cfgstring_name_valid(name)) {
		snprintf(reason, CONFIGFS_REASON_MAX,
			 "'%.100s' cannot be the name of a prmig backstore: 1 to %d letters, "
			 "digits, '-', '_' and '.'; create it under another name",
			 name, CFGSTRING_NAME_MAX);
		return false;
	}
	strcpy(ret_backstore->hba, hba);
	strcpy(ret_backstore->name, name);
	return true;
}

bool configfs_any_backstore(const char *cfgstring, bool (*accept)(const char *name))
{
	char path[PATH_MAX], text[CONFIGFS_TEXT_MAX], *hba, *name, *config;
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if (paths_format(path, sizeof(path), PATHS_UIO_CLASS) < 0)
		return false;
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = strncmp(entry->d_name, "uio", 3) == 0 &&
			read_uio_name(entry->d_name, text, sizeof(text)) == 0 &&
			split_uio_name(text, &hba, &name, &config) &&
			strcmp(config, cfgstring) == 0 && cfgstring_name_valid(name) &&
			accept(name);
	closedir(dir);
	return found;
}

struct wanted {
	const char *file;
	const char *value;
	const char *meaning; /* of another value, for people */
	const char
		*missing; /* what to do where the kernel does not have it, or not to be written */
};

static const struct wanted wanted[] = {
	{"attrib/pgr_support", "0", "the kernel answers persistent reservations itself",
	 "this kernel cannot pass reservations on: use kernel 5.8 or newer"},
	{"attrib/emulate_pr", "1", "the kernel refuses persistent reservations", NULL},
	{"attrib/cmd_time_out", "0",
	 "the kernel fails a command that takes longer, though the LUN may still execute it",
	 "this kernel is too old: use 5.8 or newer"},
};

/* The attribute as it should be, set where it is not. */
static bool check_one(const struct configfs_backstore *backstore, const struct wanted *want,
		      char *reason)
{
	uint64_t value = strtoull(want->value, NULL, 10), number = value;
	int r, read_result;

	read_result = backstore_read_number(backstore, want->file, &number);
	if (read_result == -ENOENT && !want->missing)
		return true;
	if (!read_result && number == value)
		return true;
	r = read_result ? read_result : backstore_write(backstore, want->file, want->value);
	if (!r && !backstore_read_number(backstore, want->file, &number) && number == value)
		return true;

	if (want->missing && (r == -ENOENT || r == -EACCES || r == -ENOSYS))
		snprintf(reason, CONFIGFS_REASON_MAX,
			 "backstore %s: %s is missing or fixed (%s): %s", backstore->name,
			 want->file, strerror(-r), want->missing);
	else if (read_result)
		snprintf(reason, CONFIGFS_REASON_MAX, "backstore %s: %s cannot be read: %s",
			 backstore->name, want->file, strerror(-r));
	else /* EINVAL while LUNs are mapped */
		snprintf(reason, CONFIGFS_REASON_MAX,
			 "backstore %s: %s is %" PRIu64
			 " (%s) and cannot be set to %s (%s): delete "
			 "the LUNs that are mapped to the backstore, restart tcmu-runner, which "
			 "sets "
			 "it, and map the LUNs again; or delete the backstore and create it again",
			 backstore->name, want->file, number, want->meaning, want->value,
			 r ? strerror(-r) : "no error, no effect");
	return false;
}

bool configfs_check(const struct configfs_backstore *backstore, char *reason)
{
	size_t i;

	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!check_one(backstore, &wanted[i], reason))
			return false;
	return true;
}

uint32_t configfs_max_transfer_bytes(const struct configfs_backstore *backstore, uint32_t iov_max)
{
	uint64_t area_mb, pages = 1, sectors, block_len, bytes;

	if (backstore_read_number(backstore, "attrib/max_data_area_mb", &area_mb) || !area_mb)
		return 0;
	/* Blocks of the data area that do not lie side by side take an iovec each. Kernels before
	 * 5.15 do not have the attribute; a block is one page then. */
	if (backstore_read_number(backstore, "attrib/data_pages_per_blk", &pages) || !pages)
		pages = 1;
	bytes = (uint64_t)iov_max * pages * sysconf(_SC_PAGESIZE);
	if (area_mb << 20 < bytes)
		bytes = area_mb << 20;
	/* Nothing enforces it for a backstore of this kind; it is a wish where it was set. */
	if (!backstore_read_number(backstore, "attrib/hw_max_sectors", &sectors) && sectors &&
	    sectors != CONFIGFS_DEFAULT_MAX_SECTORS &&
	    !backstore_read_number(backstore, "attrib/hw_block_size", &block_len) && block_len &&
	    sectors * block_len < bytes)
		bytes = sectors * block_len;
	return bytes > UINT32_MAX ? UINT32_MAX : bytes;
}

/*
 * Through "control", which the kernel just takes: writing attrib/dev_size of a backstore that is
 * enabled waits for the daemon's main thread, which may be the one that is here.
 */
static int write_control(const struct configfs_backstore *backstore, const char *key,
			 uint64_t value)
{
	char text[64];

	snprintf(text, sizeof(text), "%s=%" PRIu64, key, value);
	return backstore_write(backstore, "control", text);
}

void configfs_adopt_size(const struct configfs_backstore *backstore, uint64_t blocks,
			 uint32_t block_len_bytes)
{
	uint64_t bytes = blocks * block_len_bytes;
	uint64_t size, block_len;
	int r;

	r = backstore_read_number(backstore, "attrib/hw_block_size", &block_len);
	if (!r && block_len != block_len_bytes) {
		r = write_control(backstore, "hw_block_size", block_len_bytes);
		if (!r)
			log_info("%s: block size set to the LUN's, %u bytes (it was %" PRIu64 ")",
				 backstore->name, block_len_bytes, block_len);
	}
	if (r)
		log_warning("%s: the LUN has blocks of %u bytes, and the backstore's hw_block_size "
			    "could not be made so (%s). The guest sees the LUN's own all the same; "
			    "only what targetcli shows is wrong, until the backstore is created "
			    "again with hw_block_size=%u",
			    backstore->name, block_len_bytes, strerror(-r), block_len_bytes);

	r = backstore_read_number(backstore, "attrib/dev_size", &size);
	if (!r && size != bytes) {
		r = write_control(backstore, "dev_size", bytes);
		if (!r)
			log_info("%s: size set to the LUN's, %" PRIu64 " bytes (it was %" PRIu64
				 ")",
				 backstore->name, bytes, size);
	}
	if (r)
		log_warning("%s: the LUN has %" PRIu64 " bytes, and the backstore's dev_size could "
			    "not be made so (%s). The guest sees the LUN's own all the same; only "
			    "what targetcli shows is wrong, until the backstore is created again "
			    "with this size",
			    backstore->name, bytes, strerror(-r));
}
