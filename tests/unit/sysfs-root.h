/* SPDX-License-Identifier: Apache-2.0 */
/* A directory that PRMIG_ROOT points to, with files that the test puts there: a made-up sysfs. */
#ifndef PRMIG_SYSFS_ROOT_H
#define PRMIG_SYSFS_ROOT_H

#include <stdbool.h>

/* Its path, without a slash at the end. */
const char *root_path(void);

/* Makes it and sets PRMIG_ROOT. False: it cannot be made. */
bool root_begin(void);
/* Removes it and all in it. False: something is left. */
bool root_end(void);

/* The directories above path, which is below the root. */
void root_make_directories(const char *path);

/* A file with this text; its path, formatted, as it would be without the root. */
void root_put(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
