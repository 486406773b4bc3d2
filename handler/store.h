/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State files of nexuses: /var/lib/prmig/nexus/<name>, 0600 in 0700, each written as temporary file, fsync, rename, fsync of the directory.
 * Allocates nothing. Errors are negative errno.
 */
#ifndef PRMIG_STORE_H
#define PRMIG_STORE_H

#include <stddef.h>

/* Replaces the file's text. */
int store_write(const char *name, const char *text);
/* text: size bytes, NUL-terminated on success. -ENOENT: never written; -EFBIG: does not fit. */
int store_read(const char *name, char *text, size_t size);
/* Moves a file that cannot be read aside, to <name>,damaged (no name of a nexus); an older one there is replaced. */
int store_set_aside(const char *name);

/* Calls visit for each state file's name, in no order. 0, or negative errno; no directory is no files. */
int store_for_each(void (*visit)(void *user, const char *name), void *user);

#endif
