/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A LUN whose reservations prmig decides on: a backend in front of another one. Data goes to the inner LUN; PERSISTENT RESERVE IN and OUT,
 * unit attentions of reservations and the command matrix are the engine's (pr-engine.h). All nexuses of this host that open one LUN
 * (by its designator) share one registry, which is on disk before anybody is told of it (registry.h), and one claim, by which no
 * other host uses the LUN meanwhile (lun-claim.h). The nexuses of a LUN move to another host together (lun-move.h).
 */
#ifndef PRMIG_LUN_EMULATE_H
#define PRMIG_LUN_EMULATE_H

#include "lun.h"

/* Takes inner over, also on failure. name: the nexus's. by_file: cfg's path is a regular file. */
struct lun *lun_emulate_new(struct lun *inner, const struct cfgstring *cfg, const char *name,
			    bool by_file, char *reason);

#endif
