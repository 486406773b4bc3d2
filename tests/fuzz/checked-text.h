/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that end with a checksum (fields.h): the way through for what a fuzzer makes of them. */
#ifndef PRMIG_FUZZ_CHECKED_TEXT_H
#define PRMIG_FUZZ_CHECKED_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* A copy whose last field crc, or one that is added, is right. To be freed. */
char *checked_text(const uint8_t *data, size_t size, char separator);

#endif
