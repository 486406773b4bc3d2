/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A nexus: one backstore, the guest behind it, its registration and reservation (design section 2).
 * The plugin edge gives it commands, the D-Bus edge calls it; it knows neither tcmu-runner nor
 * D-Bus.
 *
 * Threads: commands arrive on any one thread at a time (cmdproc); calls and queries on any thread;
 * completions are given on backend threads and on the nexus's own. Reservation commands, and
 * everything that a call does on the LUN, run one after the other on one thread of the nexus.
 */
#ifndef PRMIG_NEXUS_H
#define PRMIG_NEXUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "cfgstring.h"
#include "lun.h"
#include "nexus-types.h"
#include "pr.h"
#include "scsi.h"

#define NEXUS_REQUEST_IOV_MAX 1024 /* more is refused; UIO_MAXIOV */

struct nexus;

/* ---- commands, for the plugin edge ---- */

/* What stands in the queue of a nexus's own thread. */
struct nexus_job {
	struct nexus_job *next;
	bool is_call;
};

/*
 * One SCSI command of the guest, from a fixed pool of the nexus. The edge fills the first part;
 * cdb, iov and the data stay the edge's and are valid until complete() is called. The rest is the
 * nexus's.
 */
struct nexus_request {
	const uint8_t *cdb; /* at least scsi_cdb_length() bytes */
	const struct iovec *iov;
	size_t iov_cnt;
	void *token; /* the edge's own */

	struct nexus_job job;
	struct lun_io io;
	struct nexus *nexus;
	struct scsi_cdb_info info;
	uint64_t held_since_ms;
	unsigned int epoch;
};

/* What the edge gives. Called on any thread of the nexus or its backend, never with a lock of the
 * nexus held. */
struct nexus_port_ops {
	/*
	 * Answers a command: exactly once for each submitted one. data_in_bytes: how much of the
	 * data buffer holds data-in, when the command had direction IN and status is not CHECK
	 * CONDITION; the whole buffer otherwise. request returns to the pool when this returns.
	 */
	void (*complete)(void *port, struct nexus_request *request, const struct lun_result *result,
			 size_t data_in_bytes);
	/* Whether kernel and backstore are as they must be (pgr_support 0, cmd_time_out 0), setting
	 * what can be set. reason: LUN_REASON_MAX. */
	bool (*check)(void *port, char *reason);
	/* The LUN was identified, at open or later: size and block size for kernel and daemon. May
	 * only log. */
	void (*identified)(void *port, const struct lun_identity *identity);
	/* About every 100 ms, on the clock thread: for what the edge has to look after. Calls nothing of this header. */
	void (*tick)(void *port);
};

struct nexus_config {
	char name[CFGSTRING_NAME_MAX + 1]; /* the backstore's */
	struct cfgstring cfg;
	uint32_t max_transfer_bytes; /* what a ring entry can carry; 0: unknown */
};

/*
 * Makes the nexus: reads its state, connects to the LUN (a nexus known from disk opens without it
 * and connects in the background), settles what was left unfinished, and puts it into the registry,
 * where the D-Bus edge sees it. Blocks. NULL: reason (LUN_REASON_MAX bytes) says why.
 */
struct nexus *nexus_open(const struct nexus_config *config, const struct nexus_port_ops *ops,
			 void *port, char *reason);

/* Out of the registry, held commands answered BUSY, those in flight waited for. Unregisters nothing
 * on the LUN. NULL is taken. */
void nexus_close(struct nexus *nexus);

/* From the pool; NULL when all are in use (the edge answers TASK SET FULL). The thread that
 * submits. */
struct nexus_request *nexus_request_get(struct nexus *nexus);
/* Takes the request on; never blocks on the LUN. */
void nexus_submit(struct nexus *nexus, struct nexus_request *request);

/* Whether state of this nexus is on disk: a LUN that is missing does not refuse it then. Any
 * thread; reads a file. */
bool nexus_known(const char *name);

/* ---- calls, for the D-Bus edge ---- */

enum nexus_method {
	NEXUS_EXPORT, /* state out */
	NEXUS_IMPORT, /* state in */
	NEXUS_ABORT,
	NEXUS_RELEASE,
	NEXUS_CHECK,   /* state in, may be empty */
	NEXUS_PREPARE, /* state out */
	NEXUS_FORGET,
	NEXUS_RESYNC,
	NEXUS_LOADER_GONE, /* dbus-vmstate: QEMU has left the bus, at the destination */
	NEXUS_SAVER_GONE,  /* ... at the source */
	NEXUS_PROVE, /* of a group: is the one that leads registered still (handover_prove)? */
};

struct nexus_options {
	bool force;		   /* Import, Abort, Release, Forget */
	char id[NEXUS_ID_LEN + 1]; /* Abort, Release: empty = whatever hand-over is under way */
	const char *destination;   /* Export: what Prepare returned there; NULL: none. Copied. */
	bool take_only;		   /* Import of a group: everything but the opening of the gate */
	bool by_qemu;		   /* Export, Import: through dbus-vmstate */
	unsigned int timeout_ms;   /* 0: as much as a call of its own has */
	struct nexus_part part;	   /* of a group */
};

struct nexus_reply {
	enum nexus_error error;
	char message[NEXUS_MESSAGE_MAX];  /* for people: what was found and what to do */
	char state[NEXUS_STATE_LINE_MAX]; /* Export, Prepare */
	uint32_t
		moves; /* Import: how often this nexus has moved PRGENERATION since the line's barrier */
};

/* Called once, on the nexus's own thread; the reply is valid during the call only. */
typedef void (*nexus_done)(void *user, const struct nexus_reply *reply);

/*
 * Queues a call to the nexus of that name. state and options are copied. False: there is no such
 * nexus, and done is not called. A call that was queued is always answered, within 15 s or so, also
 * when the nexus is closed meanwhile.
 */
bool nexus_call(const char *name, enum nexus_method method, const char *state,
		const struct nexus_options *options, nexus_done done, void *user);

struct nexus_path_info {
	char transport_id
		[PR_TRANSPORT_ID_TEXT_MAX]; /* as pr_transport_id_text gives it; empty: not known (yet) */
	uint16_t relative_target_port;
	bool registered;
};

#define NEXUS_PATHS_MAX 32

/* A snapshot of what the properties show. */
struct nexus_info {
	char name[CFGSTRING_NAME_MAX + 1];
	char group[CFGSTRING_NAME_MAX + 1];
	char device[LUN_DEVICE_MAX];
	char lun[SCSI_DESIGNATOR_MAX];
	char backend[16];
	enum nexus_state state;
	bool fenced;
	char failure[NEXUS_MESSAGE_MAX];
	bool migrate_pr;
	bool emulated;
	bool whole;   /* it moves whole (lun-move.h) */
	uint64_t key; /* 0: not registered */
	bool holder;
	uint8_t type; /* of the reservation that this nexus holds; 0: none */
	bool ptpl;    /* APTPL as this nexus's last REGISTER set it */
	char handover_id[NEXUS_ID_LEN + 1];
	uint64_t handover_key; /* of the same: its key, and whether a sibling leads */
	bool handover_led;
	uint32_t generation;
	uint32_t in_flight; /* guest commands at the LUN or held */
	size_t path_count;
	struct nexus_path_info paths[NEXUS_PATHS_MAX];
};

/* False: no such nexus. Any thread. */
bool nexus_get_info(const char *name, struct nexus_info *ret_info);

/* Calls visit for each name that is open, in no order, without a lock held during the visit. Any thread. */
void nexus_for_each(void (*visit)(void *user, const char *name), void *user);

/* Calls visit for each nexus that has state on disk, with the group that it was in. Any thread; reads files. */
void nexus_for_each_known(void (*visit)(void *user, const char *name, const char *group),
			  void *user);

/* What the D-Bus edge wants to be told; any thread of a nexus, no lock held; must not call back
 * into nexus_call synchronously waiting for it. */
struct nexus_observer {
	void (*added)(void *user, const char *name);
	void (*removed)(void *user, const char *name);
	void (*changed)(void *user,
			const char *name); /* some property but Generation and InFlight */
	void (*fenced_changed)(void *user, const char *name, bool fenced, uint64_t key);
	void *user;
};

/* How often a registered nexus is compared with its LUN by the clock; 0: never. Default 5,000 ms. Any thread. */
void nexus_set_resync_interval(unsigned int interval_ms);

/* One observer; set once before the first nexus opens. */
void nexus_set_observer(const struct nexus_observer *observer);

#endif
