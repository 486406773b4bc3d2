/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file backend: a regular file that is a disk, or a block device that takes no SCSI commands. It has no reservations of
 * its own: a nexus reaches it only behind emulated ones.
 *
 * Data goes to the file with O_DIRECT where its file system takes blocks of 512 bytes that way, so that what this host
 * has read is never older than what another one wrote; else by the page cache, which nothing is left in. All nexuses that have the
 * same file open share one open file; COMPARE AND WRITE is alone among their writes.
 * Who the LUN is stands in the file beside (lun-file-beside.h), which is made when there is none. A block device
 * says so itself, and is opened for prmig alone (O_EXCL).
 */
#ifndef PRMIG_LUN_FILE_H
#define PRMIG_LUN_FILE_H

#include "lun.h"

/* The path is a block device's that takes no SCSI commands, but has a name that is the same on every host: device-mapper,
 * md, NVMe. */
bool lun_file_is_node(const char *path);
/* The path is a regular file's, or nothing is there and it is no name of a device. */
bool lun_file_is(const char *path);
/* lun_check and lun_new for either. */
bool lun_file_check(const struct cfgstring *cfg, bool *ret_missing, char *reason);
struct lun *lun_file_new(const struct cfgstring *cfg, char *reason);

#endif
