/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share. A target is one file fuzz-NAME.c with fuzz_one(); it is linked to
 * libFuzzer (clang; the layer fuzz of scripts/test) and to replay.c, which runs what is kept in
 * corpus/NAME (any compiler; the layer unit).
 *
 * A target says with fuzz_deep() that an input got to what the target is for: behind the checksum,
 * past the parser's last refusal. A target none of whose inputs get there is a failure: it tests
 * nothing but how input is refused.
 */
#ifndef PRMIG_FUZZ_H
#define PRMIG_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The target's. data: an allocation of just size bytes. */
void fuzz_one(const uint8_t *data, size_t size);
void fuzz_deep(void);

/* Of this process. */
unsigned long long fuzz_inputs(void);
unsigned long long fuzz_deep_inputs(void);

/* What libFuzzer and replay.c call. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Does not return when what must hold does not. */
#define FUZZ_CHECK(condition)                                                                      \
	((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, "not true: %s", #condition))
_Noreturn void fuzz_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An input that is taken apart from its beginning; at its end zeros come. */
struct fuzz_source {
	const uint8_t *at;
	size_t left;
};
uint8_t fuzz_byte(struct fuzz_source *source);
bool fuzz_bool(struct fuzz_source *source);
uint16_t fuzz_u16(struct fuzz_source *source);
uint32_t fuzz_u32(struct fuzz_source *source);
uint64_t fuzz_u64(struct fuzz_source *source);
void fuzz_fill(struct fuzz_source *source, void *ret, size_t len);
/* What is left, in an allocation of just *ret_len bytes. To be freed, as all that is returned below. */
uint8_t *fuzz_rest(struct fuzz_source *source, size_t *ret_len);
/* The first len bytes in an allocation of just that size, so that a read beyond them is seen. */
uint8_t *fuzz_copy(const void *bytes, size_t len);
/* The same, NUL-terminated; a NUL among the bytes ends it. */
char *fuzz_text(const uint8_t *data, size_t size);
/* A text of at most max characters, none of them NUL. ret: max + 1 bytes, all of them written. */
void fuzz_string(struct fuzz_source *source, char *ret, size_t max);

/* Whether text is NUL-terminated within size bytes and of printable ASCII alone: what D-Bus and logs take. */
bool fuzz_printable(const char *text, size_t size);

#endif
