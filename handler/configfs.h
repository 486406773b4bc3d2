/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's side of a backstore, in configfs and sysfs: who it is, what the handler needs of its
 * attributes, its size. Knows nothing of the ring. Any thread; the calls read and write small files
 * and may wait for the kernel.
 */
#ifndef PRMIG_CONFIGFS_H
#define PRMIG_CONFIGFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cfgstring.h"

#define CONFIGFS_REASON_MAX CFGSTRING_REASON_MAX
#define CONFIGFS_HBA_MAX 16

struct configfs_backstore {
	char hba[CONFIGFS_HBA_MAX]; /* "0": /sys/kernel/config/target/core/user_0 */
	char name[CFGSTRING_NAME_MAX + 1];
};

/* From the name of the backstore's UIO device ("uio0"). False: reason (CONFIGFS_REASON_MAX bytes)
 * says why. */
bool configfs_find_backstore(const char *uio, struct configfs_backstore *ret_backstore,
			     char *reason);

/*
 * Whether the kernel has a backstore with this very cfgstring ("prmig/...") and a name that accept
 * takes. During CheckConfig of a device that is being added, or exists at a restart, it is the only
 * way to the name.
 */
bool configfs_any_backstore(const char *cfgstring, bool (*accept)(const char *name));

/*
 * Makes the kernel pass reservations on and wait for an answer as long as it takes: pgr_support and
 * cmd_time_out 0, emulate_pr 1. False: reason says what cannot be had and what to do.
 */
bool configfs_check(const struct configfs_backstore *backstore, char *reason);

/* What one command can carry at most: the ring's data area, iov_max blocks of it in the worst case,
 * and hw_max_sectors where somebody set it. 0: not known. */
uint32_t configfs_max_transfer_bytes(const struct configfs_backstore *backstore, uint32_t iov_max);

/* Tells the kernel the size and block size of the LUN; logs what it cannot be told. */
void configfs_adopt_size(const struct configfs_backstore *backstore, uint64_t blocks,
			 uint32_t block_len_bytes);

#endif
