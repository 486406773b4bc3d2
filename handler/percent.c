/* SPDX-License-Identifier: Apache-2.0 */
#include "percent.h"

#include <string.h>

static bool is_plain(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.' ||
	       byte == ':';
}

bool percent_append(char *text, size_t text_size, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t start = strlen(text);
	size_t end = start;

	for (size_t i = 0; i < len; i++) {
		size_t need = is_plain(bytes[i]) ? 1 : 3;

		if (text_size - end <= need) {
			text[start] = '\0';
			return false;
		}
		if (need == 1) {
			text[end++] = (char)bytes[i];
			continue;
		}
		text[end++] = '%';
		text[end++] = digits[bytes[i] >> 4];
		text[end++] = digits[bytes[i] & 0xf];
	}
	text[end] = '\0';
	return true;
}

bool percent_append_hex(char *text, size_t text_size, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	size_t end = strlen(text);

	if ((text_size - end - 1) / 2 < len)
		return false;
	for (size_t i = 0; i < len; i++) {
		text[end++] = digits[bytes[i] >> 4];
		text[end++] = digits[bytes[i] & 0xf];
	}
	text[end] = '\0';
	return true;
}
