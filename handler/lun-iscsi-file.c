/* SPDX-License-Identifier: Apache-2.0 */
/* The definition of an iSCSI LUN, from its file. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lun-iscsi.h"
#include "paths.h"

#define TEXT_MAX 16384

/* Negative: errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t got = read(fd, text + len, size - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

/* Of the file that was read: a password that others can read is none. */
static bool mode_is_right(const struct stat *st, bool password, const char *shown, char *reason)
{
	unsigned int mode = st->st_mode & 07777;

	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		snprintf(reason, LUN_REASON_MAX,
			 "%s belongs to user %u, who could change what prmig does: chown root it",
			 shown, (unsigned int)st->st_uid);
		return false;
	}
	if (password && (mode & 077) != 0) {
		snprintf(reason, LUN_REASON_MAX,
			 "%s has a CHAP password, and others than its owner have a right to it "
			 "(mode %04o): chmod 600 it, and give target and definition a new password",
			 shown, mode);
		return false;
	}
	if ((mode & 022) != 0) {
		snprintf(reason, LUN_REASON_MAX,
			 "%s can be changed by others than its owner (mode %04o): chmod 600 it",
			 shown, mode);
		return false;
	}
	return true;
}

static bool read_text(int fd, const char *shown, char *text, char *reason)
{
	ssize_t len = read_all(fd, text, TEXT_MAX);

	if (len < 0)
		snprintf(reason, LUN_REASON_MAX, "%s cannot be read: %s", shown,
			 strerror((int)-len));
	else if (len == TEXT_MAX)
		snprintf(reason, LUN_REASON_MAX,
			 "%s has %d bytes and more: no definition is as long", shown, TEXT_MAX);
	else if (memchr(text, '\0', (size_t)len) != NULL)
		snprintf(reason, LUN_REASON_MAX, "%s is no text: it has a NUL byte", shown);
	else {
		text[len] = '\0';
		return true;
	}
	return false;
}

bool lun_iscsi_read_definition(const char *name, struct lun_iscsi_definition *ret_definition,
			       char *reason)
{
	struct lun_iscsi_definition definition;
	char path[PATH_MAX], shown[CFGSTRING_MAX + 32], text[TEXT_MAX];
	bool good = false;
	struct stat st;
	int fd;

	snprintf(shown, sizeof(shown), PATHS_CONF_DIR "/%s.conf", name);
	if (paths_format(path, sizeof(path), PATHS_CONF_DIR "/%s.conf", name) < 0) {
		snprintf(reason, LUN_REASON_MAX, "%s: the path is too long", shown);
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		int error = errno;

		snprintf(
			reason, LUN_REASON_MAX,
			error == ENOENT
				? "%s is not there, and %.63s is no path (%s): describe the LUN in "
				  "that file, or give the absolute path of a disk"
				: "%s, which describes LUN %.63s, cannot be opened: %s",
			shown, name, strerror(error));
		return false;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		snprintf(reason, LUN_REASON_MAX, "%s is no regular file", shown);
	else if (read_text(fd, shown, text, reason) &&
		 lun_iscsi_definition_parse(text, shown, &definition, reason)) {
		good = mode_is_right(&st, definition.password[0] != '\0', shown, reason);
		if (good)
			*ret_definition = definition;
		explicit_bzero(&definition, sizeof(definition));
	}
	explicit_bzero(text, sizeof(text));
	close(fd);
	return good;
}
