/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

static char directory[] = "/dev/shm/prmig-fuzz-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static void remove_all(void)
{
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_directory(void)
{
	static bool made;

	if (!made && (mkdtemp(directory) == NULL || atexit(remove_all) != 0))
		fuzz_fail(__FILE__, __LINE__, "%s: %s", directory, strerror(errno));
	made = true;
	return directory;
}

void scratch_write(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		fuzz_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
	close(fd);
}
