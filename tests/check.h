/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a test in C needs: checks that go on after a failure, tests counted one by one,
 * and the closing line "N passed, N failed" that scripts/test adds up.
 *
 *	static void test_parse_short(void) { CHECK(!parse("")); CHECK_UINT(length(), 3); }
 *	int main(void) { CHECK_RUN(test_parse_short); return check_finish(); }
 *
 * Checks may stand on any thread; CHECK_RUN on one.
 */
#ifndef PRMIG_TESTS_CHECK_H
#define PRMIG_TESTS_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CHECK_SKIPPED 77 /* exit status: this executable could not be run here */

static int check_failures; /* in the test that runs */
static int check_passed;
static int check_failed;

__attribute__((format(printf, 3, 4), unused)) static void check_fail(const char *file, int line,
								     const char *format, ...)
{
	__builtin_va_list args;

	fprintf(stderr, "%s:%d: ", file, line);
	__builtin_va_start(args, format);
	vfprintf(stderr, format, args);
	__builtin_va_end(args);
	fputc('\n', stderr);
	__atomic_add_fetch(&check_failures, 1, __ATOMIC_RELAXED);
}

__attribute__((unused)) static bool check_true(const char *file, int line, const char *text,
					       bool holds)
{
	if (!holds)
		check_fail(file, line, "not so: %s", text);
	return holds;
}

__attribute__((unused)) static bool check_uint(const char *file, int line, const char *text,
					       uint64_t value, uint64_t expected)
{
	if (value != expected)
		check_fail(file, line, "%s is %llu (0x%llx), expected %llu (0x%llx)", text,
			   (unsigned long long)value, (unsigned long long)value,
			   (unsigned long long)expected, (unsigned long long)expected);
	return value == expected;
}

__attribute__((unused)) static bool check_str(const char *file, int line, const char *text,
					      const char *value, const char *expected)
{
	bool same = value && expected ? strcmp(value, expected) == 0 : value == expected;

	if (!same)
		check_fail(file, line, "%s is\n  \"%s\", expected\n  \"%s\"", text,
			   value ? value : "(null)", expected ? expected : "(null)");
	return same;
}

__attribute__((unused)) static bool check_mem(const char *file, int line, const char *text,
					      const void *value, const void *expected, size_t len)
{
	const uint8_t *a = value, *b = expected;
	size_t i;

	for (i = 0; i < len && a[i] == b[i]; i++)
		;
	if (i == len)
		return true;
	check_fail(file, line, "%s differs at byte %zu of %zu: %02x, expected %02x", text, i, len,
		   a[i], b[i]);
	return false;
}

/* Each is an expression: true when it holds. */
#define CHECK(condition) check_true(__FILE__, __LINE__, #condition, (condition))
#define CHECK_UINT(value, expected)                                                                \
	check_uint(__FILE__, __LINE__, #value, (uint64_t)(value), (uint64_t)(expected))
#define CHECK_STR(value, expected) check_str(__FILE__, __LINE__, #value, (value), (expected))
#define CHECK_MEM(value, expected, len)                                                            \
	check_mem(__FILE__, __LINE__, #value, (value), (expected), (len))

#define CHECK_RUN(test) check_run(#test, (test))

__attribute__((unused)) static void check_run(const char *name, void (*test)(void))
{
	__atomic_store_n(&check_failures, 0, __ATOMIC_RELAXED);
	test();
	if (__atomic_load_n(&check_failures, __ATOMIC_RELAXED) == 0) {
		check_passed++;
		printf("ok      %s\n", name);
	} else {
		check_failed++;
		printf("FAILED  %s\n", name);
	}
	fflush(stdout);
}

/* What main returns. */
__attribute__((unused)) static int check_finish(void)
{
	printf("%d passed, %d failed\n", check_passed, check_failed);
	return check_failed == 0 && check_passed > 0 ? 0 : 1;
}

#endif
