/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key=value fields with a version in front and a checksum at the end: the one text form of state lines (separator ',')
 * and state files (separator '\n'). Values are percent-encoded, so that the text is printable ASCII without spaces,
 * quotes, backslashes, ';', ',' or '+'. Pure; nothing is allocated.
 */
#ifndef PRMIG_FIELDS_H
#define PRMIG_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fields_writer {
	char *text;
	size_t size;
	size_t len;
	char separator;
	bool overflow;
};

/* text: size bytes, always NUL-terminated. version: "1.0", the first field "prmig=1.0". */
void fields_begin(struct fields_writer *writer, char *text, size_t size, char separator,
		  const char *version);
void fields_add_text(struct fields_writer *writer, const char *key, const char *value);
void fields_add_number(struct fields_writer *writer, const char *key, uint64_t value);
void fields_add_hex(struct fields_writer *writer, const char *key, uint64_t value);
/* Bytes as hex digits. */
void fields_add_bytes(struct fields_writer *writer, const char *key, const uint8_t *bytes,
		      size_t len);
/* Adds the checksum. False: it did not fit. */
bool fields_finish(struct fields_writer *writer);

enum fields_verdict {
	FIELDS_GOOD,
	FIELDS_NOT_OURS,	/* does not begin with prmig= and a version */
	FIELDS_UNKNOWN_VERSION, /* another major version */
	FIELDS_DAMAGED,		/* the checksum is missing or wrong */
};
/* major: what this program reads; a newer minor version is taken. */
enum fields_verdict fields_check(const char *text, char separator, unsigned int major);

/* Each false when the key is not there or its value is not of the form; ret untouched then. */
bool fields_get_text(const char *text, char separator, const char *key, char *ret, size_t ret_size);
bool fields_get_number(const char *text, char separator, const char *key, uint64_t max,
		       uint64_t *ret);
/* With reason (NEXUS_MESSAGE_MAX bytes), which names the field, when false. */
bool fields_require_number(const char *text, char separator, const char *key, uint64_t max,
			   uint64_t *ret, char *reason);
bool fields_get_bytes(const char *text, char separator, const char *key, uint8_t *ret,
		      size_t ret_size, size_t *ret_len);

/* CRC-32 as in ISO 3309 and Ethernet. */
uint32_t fields_crc32(const char *bytes, size_t len);

#endif
