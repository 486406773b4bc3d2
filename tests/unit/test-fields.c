/* SPDX-License-Identifier: Apache-2.0 */
/* key=value texts: what is a number. */
#include "check.h"
#include "fields.h"

#define UNTOUCHED 0x5555

static uint64_t number(const char *value, uint64_t max)
{
	char text[128];
	uint64_t got = UNTOUCHED;

	snprintf(text, sizeof(text), "prmig=1.0,a=1,number=%s,z=2", value);
	CHECK_NOTE(value);
	CHECK(fields_get_number(text, ',', "number", max, &got) == (got != UNTOUCHED));
	return got;
}

static void numbers(void)
{
	CHECK_INT(number("0", 9), 0);
	CHECK_INT(number("9", 9), 9);
	CHECK_INT(number("0x9", 9), 9);
	CHECK_INT(number("18446744073709551615", UINT64_MAX), UINT64_MAX);
	CHECK_INT(number("0xffffffffffffffff", UINT64_MAX), UINT64_MAX);
}

static void no_numbers(void)
{
	static const char *const texts[] = {
		"", "10", "-1", "+1", " 1", "1 ", "0x", "0x-1", "1x", "x1", "a", "1.0", "%00",
		/* Longer than the longest number, and longer than what is looked at. */
		"0x100000000000000009", "18446744073709551616", "000000000000000000000000000009"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CHECK_INT(number(texts[i], 9), UNTOUCHED);
	CHECK_INT(number("0x10000000000000000", UINT64_MAX), UNTOUCHED);
	CHECK_INT(number("18446744073709551616", UINT64_MAX), UNTOUCHED);
}

int main(void)
{
	CHECK_RUN(numbers);
	CHECK_RUN(no_numbers);
	return check_summary();
}
