/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "paths.h"

static const char *const directories[] = {
	[STORE_NEXUS] = PATHS_STATE_DIR "/nexus",
	[STORE_LUN] = PATHS_STATE_DIR "/lun",
	[STORE_PATHS] = PATHS_STATE_DIR "/paths",
};

static int open_dir(enum store_kind kind, bool create)
{
	char path[PATH_MAX];
	int len, fd;

	if (create) {
		/* The package makes them; a tree that was copied or emptied by hand may lack them. */
		len = paths_format(path, sizeof(path), "%s", PATHS_STATE_DIR);
		if (len < 0)
			return len;
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return -errno;
	}
	len = paths_format(path, sizeof(path), "%s", directories[kind]);
	if (len < 0)
		return len;
	if (create && mkdir(path, 0700) != 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, text, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		text += written;
		len -= (size_t)written;
	}
	return fsync(fd) != 0 ? -errno : 0;
}

int store_write(enum store_kind kind, const char *name, const char *text)
{
	char temporary[NAME_MAX];
	int dir, fd, result;

	if (snprintf(temporary, sizeof(temporary), ".%s.new", name) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	dir = open_dir(kind, true);
	if (dir < 0)
		return dir;
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		result = -errno;
		goto close_dir;
	}
	result = write_all(fd, text, strlen(text));
	close(fd);
	if (result == 0 && renameat(dir, temporary, dir, name) != 0)
		result = -errno;
	if (result == 0 && fsync(dir) != 0)
		result = -errno;
	if (result != 0)
		unlinkat(dir, temporary, 0);
close_dir:
	close(dir);
	return result;
}

int store_read(enum store_kind kind, const char *name, char *text, size_t size)
{
	size_t len = 0;
	int dir, fd, result = 0;

	dir = open_dir(kind, false);
	if (dir < 0)
		return dir;
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		result = -errno;
		goto close_dir;
	}
	for (;;) {
		ssize_t got = read(fd, text + len, size - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			result = got < 0 ? -errno : 0;
			break;
		}
		len += (size_t)got;
		if (len == size) {
			result = -EFBIG;
			break;
		}
	}
	if (result == 0)
		text[len] = '\0';
	close(fd);
close_dir:
	close(dir);
	return result;
}

int store_set_aside(enum store_kind kind, const char *name)
{
	char aside[NAME_MAX];
	int dir, result = 0;

	if (snprintf(aside, sizeof(aside), "%s,damaged", name) >= (int)sizeof(aside))
		return -ENAMETOOLONG;
	dir = open_dir(kind, false);
	if (dir < 0)
		return dir;
	if (renameat(dir, name, dir, aside) != 0 || fsync(dir) != 0)
		result = -errno;
	close(dir);
	return result;
}

int store_remove(enum store_kind kind, const char *name)
{
	int dir = open_dir(kind, false), result = 0;

	if (dir < 0)
		return dir;
	if (unlinkat(dir, name, 0) != 0 || fsync(dir) != 0)
		result = -errno;
	close(dir);
	return result;
}

int store_for_each(enum store_kind kind, void (*visit)(void *user, const char *name), void *user)
{
	int dir = open_dir(kind, false);
	struct dirent *entry;
	DIR *stream;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	stream = fdopendir(dir);
	if (stream == NULL) {
		int result = -errno;

		close(dir);
		return result;
	}
	while ((entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.')
			visit(user, entry->d_name);
	closedir(stream);
	return 0;
}
