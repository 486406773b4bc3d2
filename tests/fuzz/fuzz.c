/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long inputs, deep_inputs;
static bool deep;

unsigned long long fuzz_inputs(void)
{
	return inputs;
}

unsigned long long fuzz_deep_inputs(void)
{
	return deep_inputs;
}

void fuzz_deep(void)
{
	deep = true;
}

/* tests/fuzz/run reads it. */
static void say_counts(void)
{
	fprintf(stderr, "fuzz: %llu inputs, %llu deep\n", inputs, deep_inputs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (inputs == 0 && atexit(say_counts) != 0)
		fuzz_fail(__FILE__, __LINE__, "atexit");
	inputs++;
	deep = false;
	fuzz_one(data, size);
	if (deep)
		deep_inputs++;
	return 0;
}

void fuzz_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

void fuzz_fill(struct fuzz_source *source, void *ret, size_t len)
{
	size_t there = source->left < len ? source->left : len;

	memset(ret, 0, len);
	if (there > 0)
		memcpy(ret, source->at, there);
	source->at += there;
	source->left -= there;
}

uint8_t fuzz_byte(struct fuzz_source *source)
{
	uint8_t byte;

	fuzz_fill(source, &byte, 1);
	return byte;
}

bool fuzz_bool(struct fuzz_source *source)
{
	return fuzz_byte(source) & 1;
}

uint16_t fuzz_u16(struct fuzz_source *source)
{
	uint8_t high = fuzz_byte(source);

	return (uint16_t)(high << 8 | fuzz_byte(source));
}

uint32_t fuzz_u32(struct fuzz_source *source)
{
	uint32_t high = fuzz_u16(source);

	return high << 16 | fuzz_u16(source);
}

uint64_t fuzz_u64(struct fuzz_source *source)
{
	uint64_t high = fuzz_u32(source);

	return high << 32 | fuzz_u32(source);
}

uint8_t *fuzz_copy(const void *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		fuzz_fail(__FILE__, __LINE__, "no memory");
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

uint8_t *fuzz_rest(struct fuzz_source *source, size_t *ret_len)
{
	uint8_t *rest = fuzz_copy(source->at, source->left);

	*ret_len = source->left;
	source->at += source->left;
	source->left = 0;
	return rest;
}

char *fuzz_text(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t len = nul != NULL ? (size_t)(nul - data) : size;
	char *text = malloc(len + 1);

	if (text == NULL)
		fuzz_fail(__FILE__, __LINE__, "no memory");
	if (len > 0)
		memcpy(text, data, len);
	text[len] = '\0';
	return text;
}

void fuzz_string(struct fuzz_source *source, char *ret, size_t max)
{
	size_t len = fuzz_u16(source) % (max + 1);

	memset(ret, 0, max + 1);
	for (size_t i = 0; i < len; i++) {
		char c = (char)fuzz_byte(source);

		ret[i] = c != '\0' ? c : '0';
	}
}

bool fuzz_printable(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return len < size;
}
