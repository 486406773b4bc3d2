/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sg backend: a SCSI disk of this host, each command by SG_IO. Shared by lun.c, the parts of
 * the backend (lun-sg*.c) and their tests; nobody else includes it.
 */
#ifndef PRMIG_LUN_SG_H
#define PRMIG_LUN_SG_H

#include <sys/types.h>

#include "lun.h"

#define LUN_SG_NODE_MAX (CFGSTRING_MAX + 1)
#define LUN_SG_CDB_MAX 32 /* kernel 6.1: sizeof(scsi_cmnd.cmnd); 5.17 and older took longer ones */

/* lun_check and lun_new for a path. */
bool lun_sg_check(const struct cfgstring *cfg, bool *ret_missing, char *reason);
struct lun *lun_sg_new(const struct cfgstring *cfg, char *reason);

/* ---- the device node (lun-sg-device.c) ---- */

struct lun_sg_device {
	char node[LUN_SG_NODE_MAX];	 /* the kernel's name for it: "/dev/sdb", "/dev/sg1" */
	char open_path[LUN_SG_NODE_MAX]; /* what to open: the path asked for, or the block node
					     that belongs to an sg node */
	dev_t rdev;			 /* of open_path */
	bool char_device;		 /* an sg node without a block node */
	uint32_t max_transfer_bytes;	 /* of one SG_IO with page-sized buffers; 0: not known */
	uint64_t size_bytes;		 /* as the kernel has it; 0: not known */
	uint32_t block_len_bytes;	 /* likewise */
};

/*
 * What sysfs says of a node with this st_mode and st_rdev, found at path. False: not a disk that
 * SG_IO can be used on; reason (LUN_REASON_MAX) says what it is and what would be right, and
 * *ret_missing whether it is just not there.
 */
bool lun_sg_device_inspect(const char *path, mode_t mode, dev_t rdev,
			   struct lun_sg_device *ret_device, bool *ret_missing, char *reason);

/* Finds out what path is (following links) and inspects it, without opening the device. */
bool lun_sg_device_find(const char *path, struct lun_sg_device *ret_device, bool *ret_missing,
			char *reason);

/* Opens what was found. flags: O_RDWR or O_RDONLY. Negative: reason, *ret_missing. */
int lun_sg_device_open(const struct lun_sg_device *device, int flags, bool *ret_missing,
		       char *reason);

/* ---- the physical nexus (lun-sg-path.c) ---- */

/* By which ports the device is reached. False: sysfs does not say. */
bool lun_sg_path(const struct lun_sg_device *device, struct lun_path *ret_path);

/* ---- one SG_IO (lun-sg-io.c) ---- */

/* Sends io by SG_IO on fd, waits, and fills io->result. *ret_gone: the device is not there any
 * more. max_transfer_bytes: 0 is no limit. */
void lun_sg_execute(int fd, bool char_device, uint32_t max_transfer_bytes, struct lun_io *io,
		    bool *ret_gone);

/* ---- identification (lun-sg-identify.c) ---- */

/*
 * INQUIRY alone (which no reservation and no unit attention touches): a disk, and its designator.
 * designator: SCSI_DESIGNATOR_MAX bytes.
 */
bool lun_sg_identify(int fd, const struct lun_sg_device *device, char *ret_designator,
		     bool *ret_missing, char *reason);
/* identify, and the capacity; fills all of ret_identity. */
bool lun_sg_identify_fully(int fd, const struct lun_sg_device *device,
			   struct lun_identity *ret_identity, char *reason);
/* The relative target port identifier; 0: the LUN does not tell (now). */
uint16_t lun_sg_target_port(int fd, const struct lun_sg_device *device);

#endif
