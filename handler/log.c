/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "prmig/tcmur.h"

#define LOG_TEXT_MAX 2048
#define LOG_LINE_MAX 224 /* the daemon cuts a message at 256 bytes, its own prefix included */

typedef void log_sink(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt,
		      ...) __attribute__((format(printf, 4, 5)));

/* How much of text goes into one message: up to a space, where there is one. */
static size_t log_line_len(const char *text)
{
	size_t len = strlen(text);

	if (len <= LOG_LINE_MAX)
		return len;
	for (len = LOG_LINE_MAX; len > LOG_LINE_MAX / 2; len--)
		if (text[len] == ' ')
			return len;
	return LOG_LINE_MAX;
}

static void log_text(log_sink *sink, const char *format, va_list args)
{
	char buf[LOG_TEXT_MAX];
	const char *text = buf;

	if (vsnprintf(buf, sizeof(buf), format, args) < 0)
		return;
	do {
		size_t len = log_line_len(text);

		sink(NULL, "prmig", 0, "%s%.*s\n", text == buf ? "" : "... ", (int)len, text);
		text += len;
		text += *text == ' ';
	} while (*text);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_text(tcmu_err_message, format, args);
	va_end(args);
}

void log_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_text(tcmu_warn_message, format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_text(tcmu_info_message, format, args);
	va_end(args);
}
