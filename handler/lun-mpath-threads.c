/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of a multipath LUN: one command in flight each, and one for reservation commands, which
 * also looks after the paths.
 */
#include "lun-mpath-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "lun-mpath-cdb.h"

#define WORKER_STACK_BYTES ((size_t)256 * 1024)
#define HOLD_MS 5000
#define CONFLICT_MS 20000 /* how long a command waits for its path to be registered */
#define LOOK_MS 1000
#define REPAIR_PAUSE_MS 200

static struct timespec later(unsigned int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

/* ---- holding ---- */

bool mpath_hold(struct lun_mpath *mpath)
{
	struct timespec until = later(HOLD_MS);
	bool idle;

	pthread_mutex_lock(&mpath->lock);
	mpath->holding = true;
	while (mpath->in_flight > 0 && !mpath->stopping)
		if (pthread_cond_timedwait(&mpath->idle, &mpath->lock, &until) == ETIMEDOUT)
			break;
	idle = mpath->in_flight == 0;
	if (!idle) {
		mpath->holding = false;
		pthread_cond_broadcast(&mpath->queued);
		pthread_cond_broadcast(&mpath->repaired);
	}
	pthread_mutex_unlock(&mpath->lock);
	return idle;
}

void mpath_unhold(struct lun_mpath *mpath)
{
	pthread_mutex_lock(&mpath->lock);
	mpath->holding = false;
	pthread_cond_broadcast(&mpath->queued);
	pthread_cond_broadcast(&mpath->repaired);
	pthread_mutex_unlock(&mpath->lock);
}

/* ---- data ---- */

static void leave_flight_locked(struct lun_mpath *mpath)
{
	if (--mpath->in_flight == 0)
		pthread_cond_broadcast(&mpath->idle);
}

/* A RESERVATION CONFLICT: a path's that is not registered yet? Waits until that is known. True: to be sent again. */
static bool conflict_is_mended_locked(struct lun_mpath *mpath, const struct timespec *until)
{
	unsigned int asked;
	bool mended;

	if (!mpath->spread)
		return false;
	asked = ++mpath->repair_asked;
	pthread_cond_signal(&mpath->pr_queued);
	leave_flight_locked(mpath);
	while ((int)(mpath->repair_done - asked) < 0 || mpath->holding)
		if (pthread_cond_timedwait(&mpath->repaired, &mpath->lock, until) == ETIMEDOUT)
			break;
	mended = (int)(mpath->repair_done - asked) >= 0 && !mpath->repair_conflict;
	while (mpath->holding)
		pthread_cond_wait(&mpath->repaired, &mpath->lock);
	mpath->in_flight++;
	return mended;
}

static void *worker_run(void *user)
{
	struct lun_mpath *mpath = user;

	pthread_mutex_lock(&mpath->lock);
	for (;;) {
		struct timespec until;
		struct lun_io *io;

		while ((mpath->first == NULL || mpath->holding) && !mpath->stopping)
			pthread_cond_wait(&mpath->queued, &mpath->lock);
		if (mpath->first == NULL)
			break;
		io = mpath->first;
		mpath->first = io->next;
		if (mpath->first == NULL)
			mpath->last = NULL;
		mpath->in_flight++;
		until = later(CONFLICT_MS);
		do {
			pthread_mutex_unlock(&mpath->lock);
			mpath_serve(mpath, io);
			pthread_mutex_lock(&mpath->lock);
		} while (io->result.status == SCSI_RESERVATION_CONFLICT &&
			 conflict_is_mended_locked(mpath, &until));
		leave_flight_locked(mpath);
		pthread_mutex_unlock(&mpath->lock);
		io->done(io); /* the caller's again from here */
		pthread_mutex_lock(&mpath->lock);
	}
	pthread_mutex_unlock(&mpath->lock);
	return NULL;
}

/* ---- reservation commands and the paths ---- */

/* What the kernel uses again may be looked for, whatever was lost on it a moment ago. */
static void doubt_paths(struct lun_mpath *mpath)
{
	pthread_mutex_lock(&mpath->lock);
	for (size_t i = 0; i < mpath->path_count; i++) {
		mpath->paths[i]->unproven = true;
		mpath->paths[i]->suspect_until_ms = 0;
	}
	pthread_mutex_unlock(&mpath->lock);
}

/*
 * True: the conflict is the guest's own. Under types 5 to 8 none is while the main path is registered: then the command is sent again,
 * whether or not a path was found that was not.
 */
static bool repair(struct lun_mpath *mpath)
{
	struct timespec pause = {.tv_nsec = (long)REPAIR_PAUSE_MS * 1000000};
	unsigned int registrations;
	bool ours, mended = false;

	pthread_mutex_lock(&mpath->pr_lock);
	ours = mpath_conflict_is_ours(mpath);
	if (ours) {
		registrations = mpath->registrations;
		mpath->on_conflict = false;
		doubt_paths(mpath);
		mended = mpath_register_all(mpath) && registrations != mpath->registrations;
		ours = !mpath->lost;
	}
	mpath_note(mpath);
	pthread_mutex_unlock(&mpath->pr_lock);
	/* Not again at once. */
	if (ours && !mended)
		nanosleep(&pause, NULL);
	return !ours;
}

static void look_after_paths(struct lun_mpath *mpath)
{
	pthread_mutex_lock(&mpath->pr_lock);
	mpath_look_at_map(mpath);
	mpath_register_all(mpath);
	mpath_tidy(mpath);
	mpath_learn_ports(mpath);
	mpath_note(mpath);
	pthread_mutex_unlock(&mpath->pr_lock);
}

static void *pr_run(void *user)
{
	struct lun_mpath *mpath = user;
	struct timespec look_at = later(LOOK_MS);

	pthread_mutex_lock(&mpath->lock);
	for (;;) {
		struct lun_io *io = mpath->pr_first;
		bool look = false;

		if (io != NULL) {
			mpath->pr_first = io->next;
			if (mpath->pr_first == NULL)
				mpath->pr_last = NULL;
			pthread_mutex_unlock(&mpath->lock);
			pthread_mutex_lock(&mpath->pr_lock);
			mpath_serve_reservation(mpath, io);
			pthread_mutex_unlock(&mpath->pr_lock);
			io->done(io);
			pthread_mutex_lock(&mpath->lock);
		} else if (mpath->repair_asked != mpath->repair_done) {
			unsigned int asked = mpath->repair_asked;
			bool conflict;

			pthread_mutex_unlock(&mpath->lock);
			conflict = repair(mpath);
			pthread_mutex_lock(&mpath->lock);
			mpath->repair_done = asked;
			mpath->repair_conflict = conflict;
			pthread_cond_broadcast(&mpath->repaired);
		} else if (mpath->stopping) {
			break;
		} else {
			look = pthread_cond_timedwait(&mpath->pr_queued, &mpath->lock, &look_at) ==
			       ETIMEDOUT;
		}
		if (look && mpath->node != NULL) {
			pthread_mutex_unlock(&mpath->lock);
			look_after_paths(mpath);
			pthread_mutex_lock(&mpath->lock);
		}
		if (look)
			look_at = later(LOOK_MS);
	}
	pthread_mutex_unlock(&mpath->lock);
	return NULL;
}

void mpath_submit(struct lun *lun, struct lun_io *io)
{
	struct lun_mpath *mpath = (struct lun_mpath *)lun;
	struct mpath_command command;

	mpath_command_parse(io, 0, 0, &command);
	io->next = NULL;
	pthread_mutex_lock(&mpath->lock);
	if (command.operation == MPATH_RESERVATION) {
		if (mpath->pr_last != NULL)
			mpath->pr_last->next = io;
		else
			mpath->pr_first = io;
		mpath->pr_last = io;
		pthread_cond_signal(&mpath->pr_queued);
	} else {
		if (mpath->last != NULL)
			mpath->last->next = io;
		else
			mpath->first = io;
		mpath->last = io;
		pthread_cond_signal(&mpath->queued);
	}
	pthread_mutex_unlock(&mpath->lock);
}

int mpath_threads_start(struct lun_mpath *mpath)
{
	pthread_condattr_t monotonic;
	sigset_t all, old;
	pthread_attr_t attr;
	int error;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&mpath->pr_lock, NULL);
	pthread_mutex_init(&mpath->lock, NULL);
	pthread_cond_init(&mpath->queued, &monotonic);
	pthread_cond_init(&mpath->pr_queued, &monotonic);
	pthread_cond_init(&mpath->idle, &monotonic);
	pthread_cond_init(&mpath->repaired, &monotonic);
	pthread_condattr_destroy(&monotonic);
	error = pthread_attr_init(&attr);
	if (error != 0)
		return error;
	pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
	/* The daemon's signals are its own affair. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&mpath->pr_thread, &attr, pr_run, mpath);
	mpath->pr_thread_runs = error == 0;
	while (error == 0 && mpath->worker_count < MPATH_WORKERS) {
		char name[16];

		error = pthread_create(&mpath->workers[mpath->worker_count], &attr, worker_run,
				       mpath);
		if (error != 0)
			break;
		snprintf(name, sizeof(name), "prmig-mp-%u", mpath->worker_count);
		pthread_setname_np(mpath->workers[mpath->worker_count], name);
		mpath->worker_count++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return error;
}

void mpath_threads_stop(struct lun_mpath *mpath)
{
	pthread_mutex_lock(&mpath->lock);
	mpath->stopping = true;
	pthread_cond_broadcast(&mpath->queued);
	pthread_cond_broadcast(&mpath->pr_queued);
	pthread_cond_broadcast(&mpath->idle);
	pthread_mutex_unlock(&mpath->lock);
	for (unsigned int i = 0; i < mpath->worker_count; i++)
		pthread_join(mpath->workers[i], NULL);
	if (mpath->pr_thread_runs)
		pthread_join(mpath->pr_thread, NULL);
	pthread_cond_destroy(&mpath->repaired);
	pthread_cond_destroy(&mpath->idle);
	pthread_cond_destroy(&mpath->pr_queued);
	pthread_cond_destroy(&mpath->queued);
	pthread_mutex_destroy(&mpath->lock);
	pthread_mutex_destroy(&mpath->pr_lock);
}
