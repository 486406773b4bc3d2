/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks for the unit tests. A test is a function without arguments; main() names each to CHECK_RUN
 * and returns check_summary(). A failed check says where, and what was there; the test goes on.
 */
#ifndef PRMIG_TEST_CHECK_H
#define PRMIG_TEST_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned int check_passed, check_failed;
static bool check_bad; /* in the test that runs */
static const char *check_note = "";

__attribute__((format(printf, 3, 4))) static inline void check_report(const char *file, int line,
								      const char *format, ...)
{
	__builtin_va_list args;

	__builtin_va_start(args, format);
	printf("%s:%d: ", file, line);
	vprintf(format, args);
	printf("%s%s\n", check_note[0] ? ", at: " : "", check_note);
	__builtin_va_end(args);
	check_bad = true;
}

/* What a loop is at; shown with a failure. */
#define CHECK_NOTE(text) (check_note = (text))

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			check_report(__FILE__, __LINE__, "not true: %s", #condition);              \
	} while (0)

#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		unsigned long long check_got = (unsigned long long)(got);                          \
		unsigned long long check_want = (unsigned long long)(want);                        \
                                                                                                   \
		if (check_got != check_want)                                                       \
			check_report(__FILE__, __LINE__, "%s is 0x%llx, not %s, 0x%llx", #got,     \
				     check_got, #want, check_want);                                \
	} while (0)

#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		const char *check_got = (got), *check_want = (want);                               \
                                                                                                   \
		if (strcmp(check_got, check_want))                                                 \
			check_report(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got,         \
				     check_got, check_want);                                       \
	} while (0)

#define CHECK_CONTAINS(got, want)                                                                  \
	do {                                                                                       \
		const char *check_got = (got), *check_want = (want);                               \
                                                                                                   \
		if (!strstr(check_got, check_want))                                                \
			check_report(__FILE__, __LINE__, "%s is \"%s\", without \"%s\"", #got,     \
				     check_got, check_want);                                       \
	} while (0)

#define CHECK_BYTES(got, want, len)                                                                \
	do {                                                                                       \
		const uint8_t *check_got = (const uint8_t *)(got);                                 \
		const uint8_t *check_want = (const uint8_t *)(want);                               \
                                                                                                   \
		for (size_t check_i = 0; check_i < (size_t)(len); check_i++) {                     \
			if (check_got[check_i] == check_want[check_i])                             \
				continue;                                                          \
			check_report(__FILE__, __LINE__, "byte %zu of %s is 0x%02x, not 0x%02x",   \
				     check_i, #got, check_got[check_i], check_want[check_i]);      \
			break;                                                                     \
		}                                                                                  \
	} while (0)

#define CHECK_RUN(test)                                                                            \
	do {                                                                                       \
		check_bad = false;                                                                 \
		check_note = "";                                                                   \
		test();                                                                            \
		if (check_bad)                                                                     \
			check_failed++;                                                            \
		else                                                                               \
			check_passed++;                                                            \
		printf("%s %s\n", check_bad ? "FAIL" : "ok", #test);                               \
	} while (0)

static inline int check_summary(void)
{
	printf("%u passed, %u failed\n", check_passed, check_failed);
	return check_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The first len bytes in an allocation of just that size, so that ASan sees a read beyond them. To
 * be freed. */
static inline uint8_t *check_copy(const void *bytes, size_t len)
{
	uint8_t *copy = (uint8_t *)malloc(len ? len : 1);

	if (!copy)
		abort();
	if (len)
		memcpy(copy, bytes, len);
	return copy;
}

#endif
