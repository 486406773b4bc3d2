/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "percent.h"

static void every_byte(void)
{
	for (unsigned int i = 0; i < 256; i++) {
		uint8_t byte = (uint8_t)i;
		char text[8] = "x", want[8];
		bool plain = i && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789-_.:",
					 (int)i);

		CHECK(percent_append(text, sizeof(text), &byte, 1));
		snprintf(want, sizeof(want), plain ? "x%c" : "x%%%02X", i);
		CHECK_STR(text, want);
	}
}

static void what_does_not_fit_changes_nothing(void)
{
	for (size_t size = 3; size < 12; size++) {
		char *text = (char *)check_copy("ab\0\0\0\0\0\0\0\0\0\0", size);
		bool fits = percent_append(text, size, (const uint8_t *)"c d", 3);

		CHECK_INT(fits, size >= 8);
		CHECK_STR(text, fits ? "abc%20d" : "ab");
		free(text);

		text = (char *)check_copy("ab\0\0\0\0\0\0\0\0\0\0", size);
		fits = percent_append_hex(text, size, (const uint8_t *)"\x01\xaf", 2);
		CHECK_INT(fits, size >= 7);
		CHECK_STR(text, fits ? "ab01af" : "ab");
		free(text);
	}
}

int main(void)
{
	CHECK_RUN(every_byte);
	CHECK_RUN(what_does_not_fit_changes_nothing);
	return check_summary();
}
