/* SPDX-License-Identifier: Apache-2.0 */
#include "checked-text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "fuzz.h"

#define CHECKSUM_LEN 16 /* separator, "crc=", 8 digits, separator, NUL; and to spare */

char *checked_text(const uint8_t *data, size_t size, char separator)
{
	char *given = fuzz_text(data, size), *text;
	size_t len = strlen(given);

	for (const char *at = strchr(given, separator); at != NULL; at = strchr(at + 1, separator))
		if (strncmp(at + 1, "crc=", 4) == 0)
			len = (size_t)(at - given);
	text = malloc(len + CHECKSUM_LEN);
	if (text == NULL)
		fuzz_fail(__FILE__, __LINE__, "no memory");
	memcpy(text, given, len);
	snprintf(text + len, CHECKSUM_LEN, "%ccrc=%08x%s", separator, fields_crc32(given, len),
		 separator == '\n' ? "\n" : "");
	free(given);
	return text;
}
