/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The multipath backend's own reservation commands, each on one path, and which path is the main one; for lun-mpath*.c alone. All
 * under pr_lock.
 */
#ifndef PRMIG_LUN_MPATH_WIRE_H
#define PRMIG_LUN_MPATH_WIRE_H

#include "lun-mpath-internal.h"

/* FAILED: not sent, or what became of it is not known. */
enum mpath_wire { MPATH_GOOD, MPATH_CONFLICT, MPATH_FAILED };

/* ---- commands (lun-mpath-wire.c) ---- */

struct mpath_path *mpath_main(const struct lun_mpath *mpath);
/* REGISTER (key -> new_key). What the path knows of itself is brought in line; on disk before it is sent. */
enum mpath_wire mpath_register(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key,
			       uint64_t new_key);
/* REGISTER (key -> key): is the path registered with it? */
enum mpath_wire mpath_probe(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key);
/* The APTPL bit of the REGISTERs to come: the last one's decides for the whole cluster. */
bool mpath_read_capabilities(struct lun_mpath *mpath, struct mpath_path *path);
/* How often key is listed, and what is reserved. */
bool mpath_look(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key, uint32_t *ret_count,
		struct pr_reservation *ret_reservation);
/* One of those with key holds alone (types 1 to 6). */
bool mpath_one_holds(const struct pr_reservation *reservation, uint64_t key);
/*
 * PREEMPT (key, key, T) by a registered path of a holding key: it holds then, and is the only one with
 * it. Not where a stranger's registration would go with it.
 */
enum mpath_wire mpath_take_hold(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key,
				const struct pr_reservation *reservation, uint32_t count);

/* ---- the main path (lun-mpath-main.c) ---- */

void mpath_make_main(struct lun_mpath *mpath, struct mpath_path *path);
/* A main path that has gone is the only one to be registered: under which other name is it back? */
void mpath_find_main_again(struct lun_mpath *mpath);
/* The LUN knows the nexus of path already: what has gone with that key is that one. */
void mpath_forget_gone(struct lun_mpath *mpath, const struct mpath_path *path, uint64_t key);

#endif
