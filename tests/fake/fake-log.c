/* SPDX-License-Identifier: Apache-2.0 */
/* log.h without a daemon: on stderr. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

static void fake_log(const char *level, const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	fprintf(stderr, "[%s] %s\n", level, text);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fake_log("error", format, args);
	va_end(args);
}

void log_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fake_log("warning", format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fake_log("info", format, args);
	va_end(args);
}
