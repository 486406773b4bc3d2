/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The marker's session (move-marker.h): by the name that move= gives, with an ISID that is the same on every host. It is made for one call of
 * struct lun_move_ops, at its first command, on the caller's thread, and has nothing to do with the LUN's own thread and session.
 */
#ifndef PRMIG_LUN_ISCSI_MARKER_H
#define PRMIG_LUN_ISCSI_MARKER_H

#include "lun-iscsi-internal.h"
#include "move-marker.h"

struct lun_iscsi_marker {
	struct lun_iscsi *iscsi;
	struct lun_iscsi_session *session; /* NULL: none */
	uint64_t until_ms;		   /* of all that is sent */
	char error[LUN_REASON_MAX];
};

/* Not logged in. lun_iscsi_marker_log_out ends it. */
struct lun_iscsi_marker lun_iscsi_marker(struct lun_iscsi *iscsi);
void lun_iscsi_marker_log_out(struct lun_iscsi_marker *marker);
/* user: the marker. */
extern const struct move_marker_ops lun_iscsi_marker_ops;

#endif
