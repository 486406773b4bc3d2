/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A LUN backend: the physical logical unit, reached by one I_T nexus of this host (or several paths
 * of it). What it returns is a SAM status, sense data and a residual, unchanged. Knows nothing of
 * reservations, nexuses or the ring.
 */
#ifndef PRMIG_LUN_H
#define PRMIG_LUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "cfgstring.h"
#include "pr.h"
#include "scsi.h"

#define LUN_REASON_MAX CFGSTRING_REASON_MAX
#define LUN_DEVICE_MAX 512

struct lun_result {
	uint8_t status; /* SAM-5 */
	bool unknown;	/* no answer came from the LUN (time-out, lost path): whether it executed is
			   not known */
	uint8_t sense_len;
	uint8_t sense[SCSI_SENSE_MAX];
	uint32_t residual_bytes; /* of the buffer given: bytes not transferred */
};

/* One command. The caller owns it and every buffer until done() has been called. */
struct lun_io {
	const uint8_t *cdb;
	size_t cdb_len;
	enum scsi_direction direction;
	const struct iovec *iov; /* the data buffer; NULL with iov_cnt 0 */
	size_t iov_cnt;
	uint32_t data_len; /* sum of iov */
	uint32_t timeout_ms;
	struct lun_result result;
	void (*done)(struct lun_io *io); /* called once, on a thread of the backend; must not block
					    on this LUN */
	struct lun_io *next;		 /* the backend's */
	uint64_t deadline_ms;		 /* the backend's */
	/* Of a backend in front of another (lun-emulate-command.c). */
	struct lun *front;
	void (*front_done)(struct lun_io *io);
	unsigned int front_epoch;
};

#define LUN_UNIT_ATTENTION_MAX 4

/* Sense data of a unit attention: UNIT ATTENTION, as the LUN gave it. */
struct lun_unit_attention {
	uint8_t sense_len;
	uint8_t sense[SCSI_SENSE_MAX];
};

/* A path: the two ends of an I_T nexus, by names that are the same for the same ports of this host
 * however the path is named, and of no other. */
#define LUN_PORT_MAX 256
struct lun_path {
	char initiator_port[LUN_PORT_MAX];
	char target_port[LUN_PORT_MAX];
};

#define LUN_PATHS_MAX 32

/* A path, and what stands on it. */
struct lun_path_state {
	struct lun_path ports;			     /* empty: not known */
	char transport_id[PR_TRANSPORT_ID_TEXT_MAX]; /* of the initiator port; empty: not known */
	uint16_t relative_target_port;		     /* 0: not known */
	uint64_t key; /* registered with, as far as is known; 0: not */
};

struct lun_identity {
	char designator[SCSI_DESIGNATOR_MAX]; /* VPD 83h, "naa.6001405..." */
	char device[LUN_DEVICE_MAX]; /* by what it is reached: "/dev/sdb", a session's names */
	uint64_t blocks;	     /* 0: the LUN did not tell, being reserved */
	uint32_t block_len_bytes;
	uint32_t max_transfer_bytes; /* what one command can carry; 0: no limit known */
	bool emulated; /* prmig decides on the LUN's reservations: never beside a nexus where the LUN does */
	/* Two nexuses never share one. None known: device stands for it. */
	uint8_t path_count;
	struct lun_path paths[LUN_PATHS_MAX];
	/* Unit attentions that met the identification's own commands, oldest first. They are the
	 * guest's: whoever connects hands them on. */
	uint8_t unit_attention_count;
	struct lun_unit_attention unit_attentions[LUN_UNIT_ATTENTION_MAX];
};

struct lun;
struct lun_move_ops; /* lun-move.h */

/* On which paths a key stands. */
enum lun_spread {
	LUN_SPREAD_NONE,	/* on the one of the reservation commands alone */
	LUN_SPREAD_ON_CONFLICT, /* on all, once data has met a RESERVATION CONFLICT */
	LUN_SPREAD_ALL,		/* on all, and on those that come later */
};

/* What every backend offers; the wrappers below call them. */
struct lun_ops {
	const char *name; /* "sg", "iscsi", "multipath", "file" */
	bool (*connect)(struct lun *lun, struct lun_identity *ret_identity, char *reason);
	bool (*is_connected)(struct lun *lun);
	void (*submit)(struct lun *lun, struct lun_io *io);
	/* NULL where there is one path. */
	void (*spread)(struct lun *lun, uint64_t key, enum lun_spread spread);
	void (*seek)(struct lun *lun, uint64_t key);
	unsigned int (*nexus_changes)(struct lun *lun);
	size_t (*paths)(struct lun *lun, struct lun_path_state *ret_paths,
			unsigned int *ret_changes);
	/* NULL where the LUN decides on reservations itself. */
	bool (*hold)(struct lun *lun, bool force, char *reason);
	const struct lun_move_ops *move; /* NULL: the nexus does not move whole */
	void (*destroy)(struct lun *lun);
};

struct lun {
	const struct lun_ops *ops;
};

/*
 * Whether the cfgstring names something prmig can take as a LUN, without opening a session to it
 * for good; for CheckConfig. *ret_missing: the LUN is not there now (which only a nexus without
 * state on disk is refused for). reason: LUN_REASON_MAX bytes.
 */
bool lun_check(const struct cfgstring *cfg, bool *ret_missing, char *reason);

/* Makes the backend that cfg asks for, its threads included, for the nexus of that name; does no I/O. NULL and a reason
 * when it cannot. */
struct lun *lun_new(const struct cfgstring *cfg, const char *name, char *reason);

/*
 * (Re)connects: opens the device or logs in, identifies the LUN (VPD 83h, capacity). Blocks up to
 * some seconds: never on the command path. Called by one thread at a time, beside submit(). False:
 * reason says why; submit() answers NOT READY until connect succeeds. A backend connects to the
 * LUN that it found first and to no other. When connect fails while connected, what was connected
 * stays so.
 */
bool lun_connect(struct lun *lun, struct lun_identity *ret_identity, char *reason);

/*
 * After connect, before anything of an active nexus goes to the LUN: where prmig decides on the LUN's reservations, it takes it for
 * this host (force: from whichever host has it). False: another host has it, and reason names that one; or it cannot be told. Blocks.
 */
bool lun_hold(struct lun *lun, bool force, char *reason);
/* Whether prmig decides on the LUN's reservations. */
bool lun_is_emulated(const struct lun *lun);

/* False: never connected, or the device has gone since, and every command is answered NOT READY until
 * lun_connect succeeds; or the nexus was lost and made again, and what is registered is to be looked
 * up. A path that is down for a while does not count. Any thread. */
bool lun_is_connected(struct lun *lun);

/* Queues a command; never blocks, never fails (what cannot be sent is answered through done).
 * Allocates nothing. */
void lun_submit(struct lun *lun, struct lun_io *io);

/* submit() and wait. Not on a thread of the backend. io->done is overwritten. */
void lun_execute(struct lun *lun, struct lun_io *io);

/*
 * Of a LUN with several paths, each of which is an I_T nexus, one takes the reservation commands.
 * lun_spread: that one is registered with key (0: it is not), and this says what the others are to be. As far as it can be done now: what cannot is done when its path is back,
 * and data that meets a path without it waits. Blocks for some seconds at the most; beside submit().
 */
void lun_spread(struct lun *lun, uint64_t key, enum lun_spread spread);
/* After the first connect: reservation commands go to a path that is registered with key, where there is one. */
void lun_seek(struct lun *lun, uint64_t key);
/* Differs from what it was when they have come to go to another path, which has another TransportID. */
unsigned int lun_nexus_changes(struct lun *lun);
/*
 * The paths, that of the reservation commands first, and also those that are down while something stands on them. ret_paths:
 * LUN_PATHS_MAX, or NULL. *ret_changes differs from what it was when they are not the same any more. Returns how many; 0: the LUN has
 * but one. Never blocks.
 */
size_t lun_paths(struct lun *lun, struct lun_path_state *ret_paths, unsigned int *ret_changes);
/*
 * The TransportID of the path's initiator port, as pr_transport_id_text has it, as far as the names tell it. ret:
 * PR_TRANSPORT_ID_TEXT_MAX. False: its beginning alone, or nothing.
 */
bool lun_path_transport_id(const struct lun_path *path, char *ret);

/* Every command must have been answered. NULL is taken. */
void lun_destroy(struct lun *lun);

/* The answer when there is no way to the LUN: CHECK CONDITION, NOT READY, unknown false. */
void lun_result_not_ready(struct lun_result *ret_result);
void lun_result_check_condition(struct lun_result *ret_result, enum scsi_sense_key key,
				uint16_t asc_ascq);
void lun_result_status(struct lun_result *ret_result, uint8_t status);

#endif
