/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the multipath backend share; for lun-mpath*.c and their tests alone. */
#ifndef PRMIG_LUN_MPATH_INTERNAL_H
#define PRMIG_LUN_MPATH_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include "lun-mpath.h"
#include "lun-sg.h"
#include "pr.h"

#define MPATH_PATHS_MAX LUN_PATHS_MAX
#define MPATH_WORKERS 32
#define MPATH_IOV_MAX 1024     /* UIO_MAXIOV */
#define MPATH_KEYS_BYTES 65528 /* READ KEYS: 8,190 of them */
#define MPATH_MEMORY_BYTES 65536
#define MPATH_MEMORY_NAME_MAX (SCSI_DESIGNATOR_MAX + 16)

/* ---- the map, by sysfs (lun-mpath-device.c) ---- */

struct mpath_map {
	char node[LUN_SG_NODE_MAX]; /* "/dev/mapper/mpatha" */
	dev_t rdev;
	size_t path_count;
	struct lun_sg_device paths[MPATH_PATHS_MAX];
};

/* What the map at path consists of, without opening a device. False: reason, *ret_missing. */
bool mpath_map_find(const char *path, struct mpath_map *ret_map, bool *ret_missing, char *reason);
/* Of the block device with this number, found at path. */
bool mpath_map_inspect(const char *path, dev_t rdev, struct mpath_map *ret_map, bool *ret_missing,
		       char *reason);
/* Whether the block device with this number is a multipath map. */
bool mpath_map_is(dev_t rdev);
/* Whether the kernel would send to this SCSI disk now. */
bool mpath_path_running(dev_t rdev);
/* Whether multipathd answers on this machine; else reason. */
bool mpath_daemon_runs(const char *path, char *reason);

/* ---- the backend ---- */

struct mpath_path {
	struct lun_sg_device device;
	int fd;		       /* negative: none, of one that is only remembered */
	struct lun_path ports; /* empty: sysfs does not say */
	/* Empty, and 0: not known (yet). */
	char transport_id[PR_TRANSPORT_ID_TEXT_MAX];
	uint16_t relative_target_port;
	unsigned int users;	   /* under lock: SG_IOs on it, and one while it is in the list */
	uint64_t suspect_until_ms; /* under lock: a command failed on it; others first */
	/* Under pr_lock. */
	uint64_t key; /* registered by it, as far as is known; 0: none */
	uint64_t
		old_key; /* not 0: or still by this one, the REGISTER to key having no known outcome */
	bool unproven; /* key may be gone since */
	bool recalled; /* what stands is from before the daemon started */
	/* The map has it no more, but the LUN may still have its registration. Written with both locks held. */
	bool gone;
};

/* The map's open device. Connecting again makes a new one; the old one is closed by its last user. */
struct mpath_node {
	int fd;
	dev_t rdev;
	uint64_t blocks;
	uint32_t block_len_bytes;
	unsigned int users;
};

struct lun_mpath {
	struct lun lun; /* first */
	char path[CFGSTRING_MAX + 1];
	char memory_name[MPATH_MEMORY_NAME_MAX]; /* the nexus's, or of all that share it */

	bool shared; /* of emulated nexuses, which may be several; never changes */
	/* Under the lock of lun-mpath-share.c. */
	struct lun_mpath *next_shared;
	unsigned int users;

	/* Locks, in this order. pr_lock is held over I/O on the paths, never over done(). */
	pthread_mutex_t pr_lock;
	char designator[SCSI_DESIGNATOR_MAX]; /* of the first connect; empty: none yet */
	uint64_t key;			      /* for every path; 0: for none but the main path */
	bool lost;	    /* the main path is not registered with key: another has removed it */
	bool on_conflict;   /* not before data has met a conflict */
	bool holder_unsure; /* since the start: another own path may hold */
	bool aptpl;	    /* REPORT CAPABILITIES shows PTPL_A */
	bool recalled;	    /* what is on disk of the paths */
	char memory[MPATH_MEMORY_BYTES]; /* what is on disk; empty: nothing */
	char scratch[MPATH_MEMORY_BYTES];
	unsigned int registrations; /* how often paths were registered that were not */
	bool ports_wanted;	    /* a path whose TransportID is not known has been registered */
	uint8_t keys[MPATH_KEYS_BYTES];

	pthread_mutex_t lock; /* a leaf, never held over I/O */
	pthread_cond_t queued;
	pthread_cond_t pr_queued;
	pthread_cond_t idle;	 /* in_flight went down to 0 */
	pthread_cond_t repaired; /* repair_done or holding has changed */
	/* Written with both locks held, read with either. */
	struct mpath_path *paths[MPATH_PATHS_MAX]; /* the main path first */
	size_t path_count;
	/* Under lock. */
	unsigned int main_changes;
	/* As lun_paths shows them. */
	struct lun_path_state shown[LUN_PATHS_MAX];
	size_t shown_count;
	unsigned int shown_changes;
	/* Of the main path, met by own commands, oldest first. */
	struct lun_unit_attention unit_attentions[LUN_UNIT_ATTENTION_MAX];
	size_t unit_attention_count;
	bool spread; /* key is not 0, and not lost */
	struct lun_io *first, *last;
	struct lun_io *pr_first, *pr_last;
	struct mpath_node *node; /* NULL: not connected */
	bool gone;		 /* the device behind node went away */
	bool stopping;
	bool holding; /* nothing but reservation commands goes out */
	unsigned int in_flight;
	unsigned int repair_asked, repair_done;
	bool repair_conflict; /* what was found: the conflict is the guest's */

	pthread_t workers[MPATH_WORKERS];
	unsigned int worker_count;
	pthread_t pr_thread;
	bool pr_thread_runs;
};

/* ---- one for several nexuses (lun-mpath-share.c) ---- */

/* The one of this map, which the caller uses from now on, too; else what make() makes. NULL: it cannot. */
struct lun_mpath *mpath_share(const struct cfgstring *cfg, const char *name,
			      struct lun_mpath *(*make)(const struct cfgstring *cfg,
							const char *name, char *reason),
			      char *reason);
/* The caller uses it no more; the last one's free() frees it. */
void mpath_unshare(struct lun_mpath *mpath, void (*free_it)(struct lun_mpath *mpath));

/* ---- commands (lun-mpath-io.c) ---- */

uint64_t mpath_now_ms(void);
/* Not executed, since the path's target port does not give access to the LUN (now); others may. */
bool mpath_inaccessible(const struct lun_result *result);
/* Runs io on the path, whose use the caller has. False: the path lost it, or gives no access, and others come first for a
 * while. */
bool mpath_path_execute(struct lun_mpath *mpath, struct mpath_path *path, struct lun_io *io);
/* The kernel would send there, and nothing was lost on it lately. */
bool mpath_path_up(struct lun_mpath *mpath, struct mpath_path *path);
/* True: it was the last use, and the caller frees it without the lock. */
bool mpath_path_unref_locked(struct mpath_path *path);
void mpath_path_free(struct mpath_path *path);
bool mpath_node_unref_locked(struct mpath_node *node);
void mpath_node_free(struct mpath_node *node);

void mpath_not_ready(struct lun_io *io);
/* True: answered, by a unit attention that own commands met. */
bool mpath_answer_unit_attention(struct lun_mpath *mpath, struct lun_io *io);
/* A command that is no reservation command, on a thread of the backend. */
void mpath_serve(struct lun_mpath *mpath, struct lun_io *io);
/* Under pr_lock: a reservation command (lun-mpath-reserve.c). */
void mpath_serve_reservation(struct lun_mpath *mpath, struct lun_io *io);

/* ---- threads (lun-mpath-threads.c) ---- */

/* 0, or an errno. */
int mpath_threads_start(struct lun_mpath *mpath);
void mpath_threads_stop(struct lun_mpath *mpath);
void mpath_submit(struct lun *lun, struct lun_io *io);
/* Under pr_lock. Nothing but reservation commands goes out, and nothing is under way; false: that did not end in time. */
bool mpath_hold(struct lun_mpath *mpath);
void mpath_unhold(struct lun_mpath *mpath);

/* ---- the map's paths (lun-mpath-paths.c) ---- */

/* Under pr_lock: opens what the map has now, closes what it has no more. False: it has a path to another LUN, and nothing may
 * be sent to it. */
bool mpath_refresh(struct lun_mpath *mpath, const struct mpath_map *map, char *reason);
/* Under pr_lock: the same of what the map is now. */
void mpath_look_at_map(struct lun_mpath *mpath);
bool mpath_refuse_other_lun(const char *path, const char *designator, const char *node,
			    const char *node_designator, char *reason);

/* ---- what stands on the paths (lun-mpath-memory.c); all under pr_lock ---- */

/*
 * Which keys stand by which path is on disk, for a restart of the daemon that finds a path down: /var/lib/prmig/paths/<nexus>, or
 * <designator>,emulated (no name of a nexus). Before
 * it is on the wire: REGISTER to key is about to be sent by path. False: it cannot be written, and nothing may be sent.
 */
bool mpath_expect(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key);
/* After the first connect, which the LUN's designator is of. */
void mpath_recall(struct lun_mpath *mpath);
/* Asks the LUN for the TransportIDs that are not known, if a path has been registered since. */
void mpath_learn_ports(struct lun_mpath *mpath);
/* What has changed is on disk, and shown. */
void mpath_note(struct lun_mpath *mpath);
/* To the i-th place of the list, the main path's being the first. */
void mpath_place(struct lun_mpath *mpath, struct mpath_path *path, size_t i);
/* The same ports on both ends: the LUN knows them for one nexus. */
bool mpath_same_nexus(const struct mpath_path *a, const struct mpath_path *b);

/* ---- registrations of the paths (lun-mpath-register.c, lun-mpath-main.c); all under pr_lock ---- */

/*
 * key on every path that is up. False: not all of it could be done now. Where a path was registered
 * that was not, registrations has moved.
 */
bool mpath_register_all(struct lun_mpath *mpath);
/* key on the main path alone, as far as it can be done. */
void mpath_gather(struct lun_mpath *mpath);
/* The first path is one that is up; another takes the place where it may. False: none. */
bool mpath_ensure_main(struct lun_mpath *mpath);
/* The first path becomes the one that is registered with key, if one is. */
void mpath_seek_main(struct lun_mpath *mpath, uint64_t key);
/* While no key is spread: a main path that went comes back as another device; registrations that stayed on a lost path go. */
void mpath_tidy(struct lun_mpath *mpath);
/* Whether a RESERVATION CONFLICT may be a path's that is not registered, and not the guest's. */
bool mpath_conflict_is_ours(struct lun_mpath *mpath);

#endif
