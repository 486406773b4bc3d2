/* SPDX-License-Identifier: Apache-2.0 */
#include "paths.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int paths_format(char *buf, size_t buf_len, const char *format, ...)
{
	const char *root = getenv("PRMIG_ROOT");
	va_list args;
	int root_len, len;

	root_len = snprintf(buf, buf_len, "%s", root ? root : "");
	if (root_len < 0 || (size_t)root_len >= buf_len)
		return -ENAMETOOLONG;
	va_start(args, format);
	len = vsnprintf(buf + root_len, buf_len - root_len, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= buf_len - root_len)
		return -ENAMETOOLONG;
	return root_len + len;
}
