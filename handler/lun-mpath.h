/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The multipath backend: a dm-multipath map, one LUN by several paths, each an I_T nexus of its own.
 *
 * Data. READ, WRITE and SYNCHRONIZE CACHE go through the map's block device with O_DIRECT, so that the
 * loss of a path is the kernel's to mend. What the block layer cannot say (FUA reads, protection
 * information, odd lengths, everything else a guest sends) goes by SG_IO on one path; a command that
 * may be repeated is sent on the next path when a path fails under it. Where the block layer reports
 * that the LUN itself refused (medium error and the like), the command is sent once more by SG_IO, so
 * that the guest sees the LUN's own sense data. With no path left, data waits as long as the map says
 * (queue_if_no_path), as for every other user of the map; the rest is answered NOT READY.
 *
 * Reservations. Everybody above sees one nexus: the main path. PERSISTENT RESERVE IN and OUT go there,
 * the guest's own bytes, one after the other. lun_spread registers the key on the other paths,
 * too, and keeps it so, or leaves it to the main path alone. So a hand-over is one between
 * single nexuses, and nothing here moves PRGENERATION between Export's barrier and the end of Import:
 * Export gathers (closed gate, before the barrier); after Import the key is spread when the guest
 * writes, or its data meets a path without it.
 * READ KEYS and READ FULL STATUS show one registrant for all own paths while it is spread, and every
 * stranger, one with the same key included. Which descriptor is an own path's is known by TransportID and relative
 * target port; those that sysfs and VPD 83h do not tell the LUN's own list does, where it leaves no doubt.
 *
 * - A path that came back or is new: the LUN bars its data (types 5 to 8: an unregistered nexus),
 *   the kernel says EBADE, which no path is failed for. The command waits, the path is registered,
 *   the command is sent again. Once a second paths are looked through as well.
 * - No fence is undone: while a path is being registered all data waits (and what is under way is
 *   waited for), and after its REGISTER (0 -> K) the main path proves by REGISTER (K -> K) that K was
 *   never gone; else the new one is taken back before any data goes on.
 * - The main path is the one that holds, since RESERVE and PREEMPT go there. If it is down, another
 *   registered path takes its place: PREEMPT (K, K, T) from there where K holds, which is one step
 *   and leaves no gap, and only if K is listed as often as own paths have it (a stranger with the
 *   same key would be thrown out); otherwise reservation commands wait for the main path.
 *   Gathering from a holder is the same PREEMPT, by the main path: lost paths go with it.
 * - Which key stands by which path is on disk before it is on the wire: a restart that finds a path down
 *   counts that one as own, and does not take it for fenced because the others are not registered.
 * - A target port that gives no access (ALUA: in transition, standby, unavailable) has not executed the
 *   command: others are tried, and take the main path's place as if it were down.
 * - Types 1 and 3 let one nexus write: the holder's path, not the others. They are refused (INVALID FIELD
 *   IN CDB), and REPORT CAPABILITIES does not show them; so are RESERVE and RELEASE of SCSI-2.
 *
 * Nexuses with emulated reservations on one map share one backend (lun-mpath-share.c); the key is that of their claim.
 *
 * multipathd's own reservation_key is not used: it registers a path when it finds the key listed
 * on the LUN, which during a hand-over is the other host's, and after a fence may be stale.
 *
 * Unit attentions that meet data are the kernel's: it repeats the command. Those of the main path's
 * other commands reach the caller, those of other paths' do not.
 */
#ifndef PRMIG_LUN_MPATH_H
#define PRMIG_LUN_MPATH_H

#include "lun.h"

/* The node is a multipath map, or is not there and named as one. */
bool lun_mpath_is(const char *path);
/* lun_check and lun_new for such a path. */
bool lun_mpath_check(const struct cfgstring *cfg, bool *ret_missing, char *reason);
struct lun *lun_mpath_new(const struct cfgstring *cfg, const char *name, char *reason);

#endif
