/* SPDX-License-Identifier: Apache-2.0 */
/* A portal's address and port, as text. Pure. */
#include <stdio.h>
#include <string.h>

#include "lun-iscsi-definition.h"

#define PORT_DEFAULT 3260

/* A piece of the text. */
struct word {
	const char *start;
	size_t len;
};

bool lun_iscsi_decimal_parse(const char *text, size_t len, unsigned int max, unsigned int *ret)
{
	unsigned int value = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (unsigned int)(text[i] - '0');
	}
	*ret = value;
	return value <= max;
}

static bool is_ipv4(struct word word)
{
	for (int part = 0; part < 4; part++) {
		const char *dot = memchr(word.start, '.', word.len);
		size_t len = dot != NULL ? (size_t)(dot - word.start) : word.len;
		unsigned int value;

		if ((dot == NULL) != (part == 3) || len > 3 ||
		    !lun_iscsi_decimal_parse(word.start, len, 255, &value))
			return false;
		if (dot != NULL) {
			word.start += len + 1;
			word.len -= len + 1;
		}
	}
	return true;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* RFC 4291, 2.2 forms 1 and 2, with a zone behind '%' where there is one. */
static bool is_ipv6(struct word word)
{
	const char *zone = memchr(word.start, '%', word.len);
	unsigned int groups = 0, digits = 0;
	bool gap = false;

	if (zone != NULL) {
		size_t len = word.len - (size_t)(zone + 1 - word.start);

		if (len == 0 || len > 15 || memchr(zone + 1, '/', len) != NULL)
			return false;
		word.len = (size_t)(zone - word.start);
	}
	for (size_t i = 0; i < word.len; i++) {
		if (is_hex(word.start[i])) {
			groups += digits == 0;
			if (++digits > 4)
				return false;
			continue;
		}
		if (word.start[i] != ':')
			return false;
		if (i + 1 < word.len && word.start[i + 1] == ':') {
			if (gap)
				return false;
			gap = true;
			i++;
		} else if (digits == 0 || i + 1 == word.len) {
			return false;
		}
		digits = 0;
	}
	return gap ? groups < 8 : groups == 8;
}

bool lun_iscsi_portal_parse(const char *text, size_t len, char ret[LUN_ISCSI_PORTAL_MAX + 1])
{
	struct word value = {text, len};
	const char *end =
		value.len > 0 && value.start[0] == '[' ? memchr(value.start, ']', value.len) : NULL;
	struct word address = value, port = {"", 0};
	unsigned int number = PORT_DEFAULT;
	const char *colon;
	bool good;

	if (end != NULL) {
		address = (struct word){value.start + 1, (size_t)(end - value.start) - 1};
		good = is_ipv6(address);
		address = (struct word){value.start, address.len + 2};
		colon = end + 1 < value.start + value.len ? end + 1 : NULL;
		good = good && (colon == NULL || *colon == ':');
	} else {
		colon = memchr(value.start, ':', value.len);
		if (colon != NULL)
			address.len = (size_t)(colon - value.start);
		good = is_ipv4(address);
	}
	if (colon != NULL) {
		port = (struct word){colon + 1, value.len - (size_t)(colon + 1 - value.start)};
		good = good && lun_iscsi_decimal_parse(port.start, port.len, 65535, &number) &&
		       number > 0;
	}
	if (!good)
		return false;
	snprintf(ret, LUN_ISCSI_PORTAL_MAX + 1, "%.*s:%u", (int)address.len, address.start, number);
	return true;
}
