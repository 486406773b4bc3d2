/* SPDX-License-Identifier: Apache-2.0 */
/* Files for what reads files. */
#ifndef PRMIG_FUZZ_SCRATCH_H
#define PRMIG_FUZZ_SCRATCH_H

#include <stddef.h>

/* A directory in memory, with all that is made in it gone when the process ends. */
const char *scratch_directory(void);
/* In place of what is there. */
void scratch_write(const char *path, const void *bytes, size_t len);

#endif
