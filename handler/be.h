/* SPDX-License-Identifier: Apache-2.0 */
/* Big-endian fields, as every SCSI structure has them. */
#ifndef PRMIG_BE_H
#define PRMIG_BE_H

#include <stdint.h>

static inline uint16_t be_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be_get32(const uint8_t *p)
{
	return (uint32_t)be_get16(p) << 16 | be_get16(p + 2);
}

static inline uint64_t be_get64(const uint8_t *p)
{
	return (uint64_t)be_get32(p) << 32 | be_get32(p + 4);
}

static inline void be_put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline void be_put32(uint8_t *p, uint32_t value)
{
	be_put16(p, (uint16_t)(value >> 16));
	be_put16(p + 2, (uint16_t)value);
}

static inline void be_put64(uint8_t *p, uint64_t value)
{
	be_put32(p, (uint32_t)(value >> 32));
	be_put32(p + 4, (uint32_t)value);
}

#endif
