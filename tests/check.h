/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a test in C needs. A test is a function without arguments; main() names each to
 * CHECK_RUN and returns check_summary(), which prints the closing line "N passed, N failed" that
 * scripts/test adds up. A failed check says where, and what was there; the test goes on.
 *
 *	static void test_parse_short(void) { CHECK(!parse("")); CHECK_INT(length(), 3); }
 *	int main(void) { CHECK_RUN(test_parse_short); return check_summary(); }
 *
 * Checks may stand on any thread, and are expressions: true when they hold. CHECK_RUN, CHECK_SKIP
 * and CHECK_NOTE on one thread.
 */
#ifndef PRMIG_TESTS_CHECK_H
#define PRMIG_TESTS_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_EXIT_SKIPPED 77 /* exit status: this executable could not be run here at all */

/* Weak: the files of one executable share them. */
__attribute__((weak)) unsigned int check_failures; /* in the test that runs */
__attribute__((weak)) unsigned int check_passed, check_failed, check_skipped;
__attribute__((weak)) const char *check_note = "";

__attribute__((format(printf, 3, 4))) static inline bool check_report(const char *file, int line,
								      const char *format, ...)
{
	char text[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("%s:%d: %s%s%s\n", file, line, text, check_note[0] ? ", at: " : "", check_note);
	__atomic_add_fetch(&check_failures, 1, __ATOMIC_RELAXED);
	return false;
}

static inline bool check_true(const char *file, int line, const char *text, bool holds)
{
	return holds || check_report(file, line, "not true: %s", text);
}

static inline bool check_int(const char *file, int line, const char *text, unsigned long long got,
			     unsigned long long want)
{
	return got == want || check_report(file, line, "%s is %lld (0x%llx), not %lld (0x%llx)",
					   text, (long long)got, got, (long long)want, want);
}

static inline bool check_str(const char *file, int line, const char *text, const char *got,
			     const char *want)
{
	return (got && want && strcmp(got, want) == 0) ||
	       check_report(file, line, "%s is\n  \"%s\", not\n  \"%s\"", text,
			    got ? got : "(null)", want ? want : "(null)");
}

static inline bool check_contains(const char *file, int line, const char *text, const char *got,
				  const char *want)
{
	return (got && strstr(got, want)) ||
	       check_report(file, line, "%s is\n  \"%s\", without\n  \"%s\"", text,
			    got ? got : "(null)", want);
}

static inline bool check_bytes(const char *file, int line, const char *text, const void *got,
			       const void *want, size_t len)
{
	const uint8_t *a = got, *b = want;
	size_t i;

	for (i = 0; i < len && a[i] == b[i]; i++)
		;
	return i == len || check_report(file, line, "byte %zu of %s is 0x%02x, not 0x%02x", i, text,
					a[i], b[i]);
}

#define CHECK(condition) check_true(__FILE__, __LINE__, #condition, (condition))
#define CHECK_INT(got, want)                                                                       \
	check_int(__FILE__, __LINE__, #got, (unsigned long long)(got), (unsigned long long)(want))
#define CHECK_STR(got, want) check_str(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_CONTAINS(got, want) check_contains(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_BYTES(got, want, len) check_bytes(__FILE__, __LINE__, #got, (got), (want), (len))

/* What a loop is at; shown with a failure. */
#define CHECK_NOTE(text) (check_note = (text))

#define CHECK_RUN(test) check_run(#test, (test))
/* A test that cannot be run here: counted and said, never silent. */
#define CHECK_SKIP(test, reason) check_skip(#test, (test), (reason))

static inline void check_run(const char *name, void (*test)(void))
{
	bool good;

	/* What a test that never ends has said is not lost with it. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	__atomic_store_n(&check_failures, 0, __ATOMIC_RELAXED);
	check_note = "";
	test();
	good = __atomic_load_n(&check_failures, __ATOMIC_RELAXED) == 0;
	(*(good ? &check_passed : &check_failed))++;
	printf("%s %s\n", good ? "ok" : "FAIL", name);
	fflush(stdout);
}

static inline void check_skip(const char *name, void (*test)(void), const char *reason)
{
	(void)test;
	check_skipped++;
	printf("skipped %s: %s\n", name, reason);
}

/* What main returns. */
static inline int check_summary(void)
{
	printf("%u passed, %u failed", check_passed, check_failed);
	if (check_skipped > 0)
		printf(", %u skipped", check_skipped);
	putchar('\n');
	return check_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The first len bytes in an allocation of just that size, so that ASan sees a read beyond them. To
 * be freed. */
static inline uint8_t *check_copy(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	if (len)
		memcpy(copy, bytes, len);
	return copy;
}

#endif
