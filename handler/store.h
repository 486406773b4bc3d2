/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State files: of nexuses in /var/lib/prmig/nexus/<name>, registries of emulated LUNs in /var/lib/prmig/lun/<designator>,
 * the registrations of a nexus with several paths in /var/lib/prmig/paths/<name>. 0600 in 0700, each
 * written as temporary file, fsync, rename, fsync of the directory. Allocates nothing. Errors are negative errno.
 */
#ifndef PRMIG_STORE_H
#define PRMIG_STORE_H

#include <stddef.h>

enum store_kind { STORE_NEXUS, STORE_LUN, STORE_PATHS };

/* Replaces the file's text. */
int store_write(enum store_kind kind, const char *name, const char *text);
/* text: size bytes, NUL-terminated on success. -ENOENT: never written; -EFBIG: does not fit. */
int store_read(enum store_kind kind, const char *name, char *text, size_t size);
/* Moves a file that cannot be read aside, to <name>,damaged (no name of a nexus); an older one there is replaced. */
int store_set_aside(enum store_kind kind, const char *name);
/* -ENOENT: there is none. */
int store_remove(enum store_kind kind, const char *name);

/* Calls visit for each state file's name, in no order. 0, or negative errno; no directory is no files. */
int store_for_each(enum store_kind kind, void (*visit)(void *user, const char *name), void *user);

#endif
