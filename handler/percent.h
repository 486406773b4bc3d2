/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes from the wire as text for properties and state lines: letters, digits, '-', '_', '.' and
 * ':' as they are, every other byte as %XX. Pure.
 */
#ifndef PRMIG_PERCENT_H
#define PRMIG_PERCENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends to the string in text, which has room for text_size bytes, NUL included. False: it does
 * not fit; text is unchanged. */
bool percent_append(char *text, size_t text_size, const uint8_t *bytes, size_t len);
/* Appends lower-case hexadecimal digits; the same rules. */
bool percent_append_hex(char *text, size_t text_size, const uint8_t *bytes, size_t len);

#endif
