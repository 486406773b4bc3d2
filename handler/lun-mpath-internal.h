/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the multipath backend share; for lun-mpath*.c and their tests alone. */
#ifndef PRMIG_LUN_MPATH_INTERNAL_H
#define PRMIG_LUN_MPATH_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include "lun-mpath.h"
#include "lun-sg.h"
#include "pr.h"

#define MPATH_PATHS_MAX 32
#define MPATH_WORKERS 32
#define MPATH_IOV_MAX 1024     /* UIO_MAXIOV */
#define MPATH_KEYS_BYTES 32760 /* READ KEYS: 4,094 of them */

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
	int fd;
	unsigned int users;	   /* under lock: SG_IOs on it, and one while it is in the list */
	uint64_t suspect_until_ms; /* under lock: a command failed on it; others first */
	uint64_t key;  /* under pr_lock: registered by it, as far as is known; 0: none */
	bool unproven; /* under pr_lock: key may be gone since */
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

	/* Locks, in this order. pr_lock is held over I/O on the paths, never over done(). */
	pthread_mutex_t pr_lock;
	char designator[SCSI_DESIGNATOR_MAX]; /* of the first connect; empty: none yet */
	uint64_t key;			      /* for every path; 0: for none but the main path */
	bool lost;	    /* the main path is not registered with key: another has removed it */
	bool on_conflict;   /* not before data has met a conflict */
	bool holder_unsure; /* since the start: another own path may hold */
	bool aptpl;	    /* REPORT CAPABILITIES shows PTPL_A */
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
	bool repair_conflict;	       /* what was found: the conflict is the guest's */
	unsigned int registered_epoch; /* how often paths were registered */

	pthread_t workers[MPATH_WORKERS];
	unsigned int worker_count;
	pthread_t pr_thread;
	bool pr_thread_runs;
};

/* ---- commands (lun-mpath-io.c) ---- */

uint64_t mpath_now_ms(void);
/* Runs io on the path, whose use the caller has. False: the path lost it, and others come first for a while. */
bool mpath_path_execute(struct lun_mpath *mpath, struct mpath_path *path, struct lun_io *io);
/* The kernel would send there, and nothing was lost on it lately. */
bool mpath_path_up(struct lun_mpath *mpath, struct mpath_path *path);
/* True: it was the last use, and the caller frees it without the lock. */
bool mpath_path_unref_locked(struct mpath_path *path);
void mpath_path_free(struct mpath_path *path);
bool mpath_node_unref_locked(struct mpath_node *node);
void mpath_node_free(struct mpath_node *node);

/* A command that is no reservation command, on a thread of the backend. */
void mpath_serve(struct lun_mpath *mpath, struct lun_io *io);
/* Under pr_lock: a reservation command. */
void mpath_serve_reservation(struct lun_mpath *mpath, struct lun_io *io);

/* ---- threads (lun-mpath-threads.c) ---- */

/* 0, or an errno. */
int mpath_threads_start(struct lun_mpath *mpath);
void mpath_threads_stop(struct lun_mpath *mpath);
void mpath_submit(struct lun *lun, struct lun_io *io);
/* Under pr_lock. Nothing but reservation commands goes out, and nothing is under way; false: that did not end in time. */
bool mpath_hold(struct lun_mpath *mpath);
void mpath_unhold(struct lun_mpath *mpath);

/* ---- the map's paths (lun-mpath.c) ---- */

/* Under pr_lock: opens what the map has now, closes what it has no more. False: it has a path to another LUN, and nothing may
 * be sent to it. */
bool mpath_refresh(struct lun_mpath *mpath, const struct mpath_map *map, char *reason);
/* Under pr_lock: the same of what the map is now. */
void mpath_look_at_map(struct lun_mpath *mpath);

/* ---- registrations of the paths (lun-mpath-register.c); all under pr_lock ---- */

/*
 * key on every path that is up. False: not all of it could be done now. Where a path was registered
 * that was not, registered_epoch has moved.
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
