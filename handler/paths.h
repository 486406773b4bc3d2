/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where prmig finds and keeps files. PRMIG_ROOT in the environment is put in front of each: the
 * tests run the built handler in a directory of their own with it.
 */
#ifndef PRMIG_PATHS_H
#define PRMIG_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#define PATHS_STATE_DIR "/var/lib/prmig"
#define PATHS_CONF_DIR "/etc/prmig"
#define PATHS_CONFIGFS_CORE "/sys/kernel/config/target/core"
#define PATHS_UIO_CLASS "/sys/class/uio"
#define PATHS_DEV_BLOCK "/sys/dev/block"
#define PATHS_SCSI_HOST "/sys/class/scsi_host"
#define PATHS_DEV_CHAR "/sys/dev/char"
#define PATHS_ISCSI_SESSION "/sys/class/iscsi_session"
#define PATHS_FC_HOST "/sys/class/fc_host"
#define PATHS_FC_TARGET "/sys/class/fc_transport"

/* printf into buf (NUL-terminated) with PRMIG_ROOT in front; negative ENAMETOOLONG when it does not
 * fit, else the length. */
int paths_format(char *buf, size_t buf_len, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What a small attribute in sysfs says, without the newline at its end; its path as paths_format
 * makes it. False: it cannot be read. */
bool paths_read_attribute(char *buf, size_t buf_len, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
