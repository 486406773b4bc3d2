/* SPDX-License-Identifier: Apache-2.0 */
#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int format_with_root(char *buf, size_t buf_len, const char *format, va_list args)
{
	const char *root = getenv("PRMIG_ROOT");
	int root_len, len;

	root_len = snprintf(buf, buf_len, "%s", root ? root : "");
	if (root_len < 0 || (size_t)root_len >= buf_len)
		return -ENAMETOOLONG;
	len = vsnprintf(buf + root_len, buf_len - root_len, format, args);
	if (len < 0 || (size_t)len >= buf_len - root_len)
		return -ENAMETOOLONG;
	return root_len + len;
}

int paths_format(char *buf, size_t buf_len, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = format_with_root(buf, buf_len, format, args);
	va_end(args);
	return len;
}

bool paths_read_attribute(char *buf, size_t buf_len, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	ssize_t len;
	int fd;

	va_start(args, format);
	len = format_with_root(path, sizeof(path), format, args);
	va_end(args);
	if (len < 0)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, buf, buf_len - 1);
	close(fd);
	if (len < 0)
		return false;
	while (len > 0 && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return true;
}
