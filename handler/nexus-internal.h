/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the nexus share; for nexus*.c alone. */
#ifndef PRMIG_NEXUS_INTERNAL_H
#define PRMIG_NEXUS_INTERNAL_H

#include <pthread.h>
#include <stdlib.h>

#include "handover.h"
#include "nexus.h"
#include "record.h"

#define NEXUS_REQUESTS 4096
#define NEXUS_SCRATCH_BYTES 65536
/* A call's own time. With the one command that may be at the LUN when it is up (the kernel gives each 7 s at the least) the
 * caller is answered within 15 s. */
#define NEXUS_CALL_MS 8000
#define NEXUS_RESYNC_PAUSE_MS 1000
#define NEXUS_RESYNC_DEFAULT_MS 5000
#define NEXUS_CONNECT_PAUSE_MS 2000

struct nexus_call {
	struct nexus_job job;
	enum nexus_method method;
	bool force;
	bool take_only;
	bool by_qemu;
	bool has_destination;
	struct nexus_part part;
	char id[NEXUS_ID_LEN + 1];
	char state[NEXUS_STATE_LINE_MAX]; /* or Export's destination */
	uint64_t deadline_ms;
	nexus_done done;
	void *user;
	struct nexus_reply reply;
};

struct nexus_held {
	struct nexus_job *head, **tail;
};

/* The physical I_T nexuses that a nexus has taken. */
struct nexus_claim {
	char designator[SCSI_DESIGNATOR_MAX];
	bool emulated;
	size_t path_count;
	struct lun_path paths[LUN_PATHS_MAX];
};

struct nexus {
	struct nexus_config config;
	const struct nexus_port_ops *ops;
	void *port;
	struct lun *lun;
	struct nexus *next; /* registry */
	pthread_t thread;
	struct nexus *next_claim; /* both under nexus-claim.c's lock */
	struct nexus_claim claim;

	/*
	 * Locks, in this order: the registry's or the claims', then lock. None is held over a callback, or over
	 * anything of the backend's.
	 */
	pthread_mutex_t lock;
	pthread_cond_t work; /* something for the nexus's own thread */
	pthread_cond_t
		idle; /* at_lun or outstanding went down to 0, or the first connect has ended */

	/* Under lock. */
	struct nexus_request *requests;
	struct nexus_job *free;
	struct nexus_held queue;
	struct nexus_held held;
	bool ready; /* connected, settled: commands may go to the LUN */
	bool gate_open;
	unsigned int epoch;	/* flips when the gate closes */
	unsigned int at_lun[2]; /* the guest's commands at the LUN, by epoch */
	unsigned int outstanding;
	bool written; /* a write-class command has passed since open, Import or Release */
	bool first_write_matters; /* Import is done, and whether its guest runs is not on disk yet */
	bool ran_wanted;
	bool awaits_guest; /* a write-class command at the closed gate is to be asked about */
	bool guest_runs_wanted;
	uint64_t guest_runs_asked_ms;
	bool connect_wanted;
	bool identify_wanted; /* connected, but the LUN has changed its size */
	bool resync_wanted;
	enum handover_doubt doubt;
	bool first_connect_done;
	bool stop;
	uint64_t connect_tried_ms;
	uint64_t resync_done_ms;
	struct nexus_info info;
	bool publish_wanted;
	unsigned int paths_published; /* lun_paths() as info has them */
	struct lun_identity identity;
	struct unit_attentions unit_attentions;

	/* The nexus's own thread alone. */
	struct record record;
	bool known; /* the record came from disk, or is there */
	bool reset_seen;
	unsigned int nexus_changes; /* lun_nexus_changes() as the record knows it */
	uint64_t deadline_ms;
	char failure[NEXUS_MESSAGE_MAX];   /* of LUN or settling */
	char port_failure[LUN_REASON_MAX]; /* of kernel and backstore */
	char lun_error[NEXUS_MESSAGE_MAX];
	char message[NEXUS_MESSAGE_MAX];
	uint8_t scratch[NEXUS_SCRATCH_BYTES];
};

uint64_t nexus_now_ms(void);

/* nexus-registry.c */
bool nexus_registry_has(const char *name);
void nexus_registry_add(struct nexus *nexus);
void nexus_registry_remove(struct nexus *nexus);
/* What others see of it now; tells the observer, without a lock. */
void nexus_publish(struct nexus *nexus);
void nexus_notify_fenced(struct nexus *nexus, bool fenced, uint64_t key);

/* nexus-claim.c */
/* Takes the physical nexuses by which the LUN was just reached, in place of those taken before. False:
 * another nexus has one of them; reason (LUN_REASON_MAX) names it, and nothing is taken. */
bool nexus_claim(struct nexus *nexus, const struct lun_identity *identity, char *reason);
/* Gives them up. */
void nexus_unclaim(struct nexus *nexus);

/* nexus-command.c */
void nexus_queue_put(struct nexus_held *queue, struct nexus_job *job);
struct nexus_job *nexus_queue_take(struct nexus_held *queue);
void nexus_complete(struct nexus *nexus, struct nexus_request *request,
		    const struct lun_result *result, size_t data_in_bytes);
/* CHECK CONDITION. */
void nexus_complete_check(struct nexus *nexus, struct nexus_request *request,
			  enum scsi_sense_key key, uint16_t asc_ascq);
void nexus_complete_status(struct nexus *nexus, struct nexus_request *request, uint8_t status);
void nexus_gate_close(struct nexus *nexus);
void nexus_gate_open(struct nexus *nexus);
void nexus_held_busy(struct nexus *nexus, uint64_t held_before_ms);
/* A unit attention for the guest, from prmig's own command or met at a closed gate. */
void nexus_add_unit_attention(struct nexus *nexus, uint16_t asc_ascq);
/* A unit attention that is kept for the guest answers this command of its. REQUEST SENSE: as its data. */
bool nexus_take_unit_attention_locked(struct nexus *nexus, const uint8_t *cdb,
				      struct lun_result *ret_result);
/* What a result means beside its status: resynchronise, keep a unit attention. */
void nexus_watch_result(struct nexus *nexus, const struct lun_result *result, bool guest);

/* nexus-pr.c: guest commands that run on the nexus's own thread. */
void nexus_run_request(struct nexus *nexus, struct nexus_request *request);

/* nexus-lun.c: handover_ops that are commands to the LUN; user is the nexus. */
enum handover_wire nexus_lun_pr_out(void *user, const struct pr_out *out);
enum handover_wire nexus_lun_pr_move(void *user, const struct pr_move *move);
bool nexus_lun_read_keys(void *user, uint64_t key, struct pr_keys *ret_keys);
bool nexus_lun_read_reservation(void *user, struct pr_reservation *ret_reservation);
bool nexus_lun_read_capabilities(void *user, struct pr_capabilities *ret_capabilities);
bool nexus_lun_read_full_status(void *user, uint64_t key, struct handover_registrants *ret);
/* nexus-world.c */
/* Where the gate is open, or open is set: the guest's key is registered by every path of the LUN; else by one alone. */
void nexus_spread(struct nexus *nexus, bool open);
/* What this nexus is registered with, as far as the record knows; 0: nothing. */
uint64_t nexus_registered_key(const struct nexus *nexus);
void nexus_handover(struct nexus *nexus, struct handover *ret_handover);
/* nexus-lun.c: prmig's own commands. */
/* Sends cdb and waits; unit attentions are queued for the guest and the command is sent again, BUSY is waited for. data: the nexus's or the caller's. */
void nexus_execute(struct nexus *nexus, const uint8_t *cdb, enum scsi_direction direction,
		   uint8_t *data, size_t len, struct lun_result *ret_result);
enum handover_wire nexus_wire(const struct lun_result *result);

/* nexus-connect.c */
/* Connects, or again; settles; opens the gate where the state says so. Commands may go to the LUN when it succeeds. */
void nexus_connect(struct nexus *nexus);
/* Whether kernel and backstore are as they must be, into port_failure. */
void nexus_check_port(struct nexus *nexus);

/* nexus-thread.c */
void *nexus_thread(void *nexus);

/* clock.c: calls nexus_tick_all about every 100 ms while a nexus is open. */
void nexus_tick_all(void);
void nexus_tick(struct nexus *nexus, uint64_t now_ms, unsigned int resync_interval_ms);

#endif
