/* SPDX-License-Identifier: Apache-2.0 */
#include "fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nexus-types.h"

uint32_t fields_crc32(const char *bytes, size_t len)
{
	uint32_t crc = 0xffffffffu;

	for (size_t i = 0; i < len; i++) {
		crc ^= (uint8_t)bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void put(struct fields_writer *writer, const char *bytes, size_t len)
{
	if (writer->overflow || len >= writer->size - writer->len) {
		writer->overflow = true;
		return;
	}
	memcpy(writer->text + writer->len, bytes, len);
	writer->len += len;
	writer->text[writer->len] = '\0';
}

static void put_key(struct fields_writer *writer, const char *key)
{
	if (writer->len > 0)
		put(writer, &writer->separator, 1);
	put(writer, key, strlen(key));
	put(writer, "=", 1);
}

/* '%' itself is encoded, so that decoding is exact. */
static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-_.:/@", c) != NULL);
}

static void put_text(struct fields_writer *writer, const char *value)
{
	for (; *value != '\0'; value++) {
		char encoded[4];

		if (is_plain(*value)) {
			put(writer, value, 1);
			continue;
		}
		snprintf(encoded, sizeof(encoded), "%%%02X", (uint8_t)*value);
		put(writer, encoded, 3);
	}
}

void fields_begin(struct fields_writer *writer, char *text, size_t size, char separator,
		  const char *version)
{
	*writer = (struct fields_writer){.text = text, .size = size, .separator = separator};
	text[0] = '\0';
	fields_add_text(writer, "prmig", version);
}

void fields_add_text(struct fields_writer *writer, const char *key, const char *value)
{
	put_key(writer, key);
	put_text(writer, value);
}

void fields_add_number(struct fields_writer *writer, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	fields_add_text(writer, key, digits);
}

void fields_add_hex(struct fields_writer *writer, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "0x%llx", (unsigned long long)value);
	fields_add_text(writer, key, digits);
}

void fields_add_bytes(struct fields_writer *writer, const char *key, const uint8_t *bytes,
		      size_t len)
{
	put_key(writer, key);
	for (size_t i = 0; i < len; i++) {
		char digits[4];

		snprintf(digits, sizeof(digits), "%02x", bytes[i]);
		put(writer, digits, 2);
	}
}

bool fields_finish(struct fields_writer *writer)
{
	char digits[12];
	uint32_t crc = fields_crc32(writer->text, writer->len);

	snprintf(digits, sizeof(digits), "%08x", crc);
	fields_add_text(writer, "crc", digits);
	if (writer->separator == '\n')
		put(writer, "\n", 1);
	return !writer->overflow;
}

enum fields_verdict fields_check(const char *text, char separator, unsigned int major)
{
	const char *checksum = NULL;
	char tail[16];
	unsigned long version;
	char *end;

	if (strncmp(text, "prmig=", 6) != 0 || text[6] < '0' || text[6] > '9')
		return FIELDS_NOT_OURS;
	version = strtoul(text + 6, &end, 10);
	if (*end != '.')
		return FIELDS_NOT_OURS;
	if (version != major)
		return FIELDS_UNKNOWN_VERSION;
	for (const char *at = strchr(text, separator); at != NULL; at = strchr(at + 1, separator))
		if (strncmp(at + 1, "crc=", 4) == 0)
			checksum = at;
	if (checksum == NULL)
		return FIELDS_DAMAGED;
	snprintf(tail, sizeof(tail), "crc=%08x%s", fields_crc32(text, (size_t)(checksum - text)),
		 separator == '\n' ? "\n" : "");
	return strcmp(checksum + 1, tail) == 0 ? FIELDS_GOOD : FIELDS_DAMAGED;
}

/* The value of key, not terminated; NULL: not there. */
static const char *find(const char *text, char separator, const char *key, size_t *ret_len)
{
	size_t key_len = strlen(key);

	for (const char *at = text; at != NULL && *at != '\0';) {
		const char *end = strchr(at, separator);

		if (strncmp(at, key, key_len) == 0 && at[key_len] == '=') {
			at += key_len + 1;
			*ret_len = end != NULL ? (size_t)(end - at) : strlen(at);
			return at;
		}
		at = end != NULL ? end + 1 : NULL;
	}
	return NULL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int hex_byte(const char *digits)
{
	int high = hex_digit(digits[0]), low = high < 0 ? -1 : hex_digit(digits[1]);

	return low < 0 ? -1 : high << 4 | low;
}

bool fields_get_text(const char *text, char separator, const char *key, char *ret, size_t ret_size)
{
	size_t len, out = 0;
	const char *value = find(text, separator, key, &len);

	if (value == NULL)
		return false;
	/* Twice over the value, so that ret is untouched on failure. */
	for (int writing = 0; writing < 2; writing++) {
		out = 0;
		for (size_t i = 0; i < len; i++) {
			int c = (uint8_t)value[i];

			if (c == '%') {
				if (len - i < 3)
					return false;
				c = hex_byte(value + i + 1);
				if (c <= 0)
					return false;
				i += 2;
			}
			if (out + 1 >= ret_size)
				return false;
			if (writing)
				ret[out] = (char)c;
			out++;
		}
	}
	ret[out] = '\0';
	return true;
}

bool fields_get_number(const char *text, char separator, const char *key, uint64_t max,
		       uint64_t *ret)
{
	char digits[24];
	char *end;
	unsigned long long value;

	if (!fields_get_text(text, separator, key, digits, sizeof(digits)) ||
	    hex_digit(digits[0]) < 0 || hex_digit(digits[0]) > 9)
		return false;
	errno = 0;
	value = strtoull(digits, &end, digits[1] == 'x' ? 16 : 10);
	if (*end != '\0' || errno != 0 || value > max)
		return false;
	*ret = value;
	return true;
}

bool fields_require_number(const char *text, char separator, const char *key, uint64_t max,
			   uint64_t *ret, char *reason)
{
	if (fields_get_number(text, separator, key, max, ret))
		return true;
	snprintf(reason, NEXUS_MESSAGE_MAX, "field '%s' is missing or not a number up to %llu", key,
		 (unsigned long long)max);
	return false;
}

bool fields_get_bytes(const char *text, char separator, const char *key, uint8_t *ret,
		      size_t ret_size, size_t *ret_len)
{
	size_t len;
	const char *value = find(text, separator, key, &len);

	if (value == NULL || len % 2 != 0 || len / 2 > ret_size)
		return false;
	for (size_t i = 0; i < len; i += 2)
		if (hex_byte(value + i) < 0)
			return false;
	for (size_t i = 0; i < len; i += 2)
		ret[i / 2] = (uint8_t)hex_byte(value + i);
	*ret_len = len / 2;
	return true;
}
