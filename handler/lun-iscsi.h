/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The iscsi backend: a LUN behind an iSCSI session of this nexus's own, by libiscsi. Shared by lun.c,
 * the parts of the backend (lun-iscsi*.c) and their tests; nobody else includes it.
 */
#ifndef PRMIG_LUN_ISCSI_H
#define PRMIG_LUN_ISCSI_H

#include "lun-iscsi-definition.h"
#include "lun.h"

/* lun_check and lun_new for the name of a definition. */
bool lun_iscsi_check(const struct cfgstring *cfg, bool *ret_missing, char *reason);
struct lun *lun_iscsi_new(const struct cfgstring *cfg, const char *name, char *reason);

/*
 * Reads /etc/prmig/<name>.conf (lun-iscsi-file.c). Refused too where others may read a password in it,
 * or write to it. reason: LUN_REASON_MAX.
 */
bool lun_iscsi_read_definition(const char *name, struct lun_iscsi_definition *ret_definition,
			       char *reason);

/* Whether a command that may have been executed can be sent once more and nobody can tell. */
bool lun_iscsi_repeatable(const uint8_t *cdb);

#endif
