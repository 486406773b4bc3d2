/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nexus's own thread: connects to the LUN, settles what was left unfinished, and runs reservation commands and calls one
 * after the other.
 */
#include "nexus-internal.h"

#include <stdio.h>
#include <string.h>

#include "log.h"

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* ---- calls ---- */

static enum handover_doubt take_doubt(struct nexus *nexus)
{
	enum handover_doubt doubt;

	pthread_mutex_lock(&nexus->lock);
	doubt = nexus->doubt;
	nexus->doubt = HANDOVER_DOUBT_NONE;
	pthread_mutex_unlock(&nexus->lock);
	return doubt;
}

static void resync(struct nexus *nexus, struct handover *handover, enum nexus_error *ret_error)
{
	uint64_t key = nexus->record.key;
	enum handover_doubt doubt = take_doubt(nexus);
	bool fenced = false;

	*ret_error = handover_guest_settle(handover, true);
	if (*ret_error == NEXUS_OK)
		*ret_error = handover_resync(handover, doubt, &fenced);
	/* A unit attention that met its own commands said that there is more to ask. */
	if (*ret_error == NEXUS_OK && !fenced) {
		doubt = take_doubt(nexus);
		if (doubt != HANDOVER_DOUBT_NONE)
			*ret_error = handover_resync(handover, doubt, &fenced);
	}
	if (fenced)
		nexus_notify_fenced(nexus, true, key);
}

static enum nexus_error run_method(struct nexus *nexus, struct nexus_call *call)
{
	struct nexus_reply *reply = &call->reply;
	struct handover handover;
	enum nexus_error error;

	nexus_handover(nexus, &handover);
	handover.by_qemu = call->by_qemu;
	handover.part = call->part;
	if (!nexus->ready) {
		snprintf(nexus->message, sizeof(nexus->message),
			 "nexus '%s' does not reach its LUN: %.512s", nexus->config.name,
			 nexus->failure);
		return NEXUS_ERROR_LUN;
	}
	if (call->method != NEXUS_RESYNC && call->method != NEXUS_RELEASE &&
	    call->method != NEXUS_FORGET) {
		nexus_check_port(nexus);
		if (nexus->port_failure[0] != '\0') {
			snprintf(nexus->message, sizeof(nexus->message), "%s", nexus->port_failure);
			return NEXUS_ERROR_UNSUPPORTED;
		}
	}
	switch (call->method) {
	case NEXUS_EXPORT:
		return handover_export(&handover, call->has_destination ? call->state : NULL,
				       reply->state);
	case NEXUS_IMPORT:
		error = handover_import(&handover, call->state, call->force, call->take_only);
		reply->moves = nexus->record.in_moves;
		return error;
	case NEXUS_ABORT:
		return handover_abort(&handover, call->id, call->force);
	case NEXUS_RELEASE:
		return handover_release(&handover, call->id, call->force);
	case NEXUS_CHECK:
		return handover_check(&handover, call->state, call->force);
	case NEXUS_PREPARE:
		return handover_prepare(&handover, reply->state);
	case NEXUS_PROVE:
		return handover_prove(&handover);
	case NEXUS_FORGET:
		return handover_forget(&handover, call->force);
	case NEXUS_LOADER_GONE:
		return handover_loader_gone(&handover);
	case NEXUS_SAVER_GONE:
		return handover_saver_gone(&handover);
	case NEXUS_RESYNC:
		nexus_check_port(nexus);
		resync(nexus, &handover, &error);
		return error;
	}
	return NEXUS_ERROR_UNSUPPORTED;
}

static void run_call(struct nexus *nexus, struct nexus_call *call)
{
	bool fenced = nexus->record.fenced;
	uint64_t key = nexus->record.key;

	nexus->deadline_ms = call->deadline_ms;
	call->reply.error = run_method(nexus, call);
	snprintf(call->reply.message, sizeof(call->reply.message), "%s", nexus->message);
	nexus_publish(nexus);
	if (fenced != nexus->record.fenced)
		nexus_notify_fenced(nexus, nexus->record.fenced, nexus->record.fenced ? key : 0);
	call->done(call->user, &call->reply);
	free(call);
}

static void refuse_job(struct nexus *nexus, struct nexus_job *job)
{
	struct nexus_call *call;

	if (!job->is_call) {
		nexus_complete_status(nexus, container_of(job, struct nexus_request, job),
				      SCSI_BUSY);
		return;
	}
	call = container_of(job, struct nexus_call, job);
	call->reply.error = NEXUS_ERROR_LUN;
	snprintf(call->reply.message, sizeof(call->reply.message),
		 "nexus '%s' is being closed: its backstore is removed, or tcmu-runner stops; call "
		 "again when "
		 "it is back",
		 nexus->config.name);
	call->done(call->user, &call->reply);
	free(call);
}

/* ---- the loop ---- */

static void timed_resync(struct nexus *nexus)
{
	struct handover handover;
	enum nexus_error error;

	nexus->deadline_ms = nexus_now_ms() + NEXUS_CALL_MS;
	nexus_handover(nexus, &handover);
	resync(nexus, &handover, &error);
	nexus_spread(nexus, false);
	pthread_mutex_lock(&nexus->lock);
	nexus->resync_done_ms = nexus_now_ms();
	pthread_mutex_unlock(&nexus->lock);
}

static void ask_whether_guest_runs(struct nexus *nexus)
{
	bool fenced = nexus->record.fenced;
	uint64_t key = nexus->record.out.key;
	struct handover handover;

	nexus->deadline_ms = nexus_now_ms() + NEXUS_CALL_MS;
	nexus_handover(nexus, &handover);
	if (handover_guest_runs(&handover) != NEXUS_OK)
		log_warning("nexus '%s': %s", nexus->config.name, nexus->message);
	nexus_publish(nexus);
	if (nexus->record.fenced != fenced)
		nexus_notify_fenced(nexus, nexus->record.fenced, key);
}

static void note_guest_ran(struct nexus *nexus)
{
	struct handover handover;

	nexus->record.in_ran = true;
	nexus_handover(nexus, &handover);
	handover.ops->save(handover.user);
	nexus_spread(nexus, false);
}

static bool resync_due_locked(const struct nexus *nexus)
{
	return nexus->resync_wanted && nexus->ready && nexus->config.cfg.migrate_pr &&
	       nexus_now_ms() - nexus->resync_done_ms >= NEXUS_RESYNC_PAUSE_MS;
}

void *nexus_thread(void *user)
{
	struct nexus *nexus = user;
	bool stop;

	pthread_mutex_lock(&nexus->lock);
	for (;;) {
		struct nexus_job *job;

		while (!nexus->stop && !nexus->connect_wanted && !nexus->identify_wanted &&
		       !nexus->ran_wanted && !nexus->guest_runs_wanted && !nexus->publish_wanted &&
		       !resync_due_locked(nexus) && nexus->queue.head == NULL)
			pthread_cond_wait(&nexus->work, &nexus->lock);
		if (nexus->stop && nexus->queue.head == NULL)
			break;
		if (!nexus->stop && (nexus->connect_wanted || nexus->identify_wanted)) {
			nexus->identify_wanted = false;
			pthread_mutex_unlock(&nexus->lock);
			nexus_connect(nexus);
			pthread_mutex_lock(&nexus->lock);
			continue;
		}
		if (nexus->guest_runs_wanted) {
			nexus->guest_runs_wanted = false;
			pthread_mutex_unlock(&nexus->lock);
			ask_whether_guest_runs(nexus);
			pthread_mutex_lock(&nexus->lock);
			continue;
		}
		if (nexus->publish_wanted) {
			nexus->publish_wanted = false;
			pthread_mutex_unlock(&nexus->lock);
			nexus_publish(nexus);
			pthread_mutex_lock(&nexus->lock);
			continue;
		}
		if (nexus->ran_wanted) {
			nexus->ran_wanted = false;
			pthread_mutex_unlock(&nexus->lock);
			note_guest_ran(nexus);
			pthread_mutex_lock(&nexus->lock);
			continue;
		}
		if (!nexus->stop && resync_due_locked(nexus)) {
			nexus->resync_wanted = false;
			pthread_mutex_unlock(&nexus->lock);
			timed_resync(nexus);
			pthread_mutex_lock(&nexus->lock);
			continue;
		}
		job = nexus_queue_take(&nexus->queue);
		stop = nexus->stop;
		pthread_mutex_unlock(&nexus->lock);
		if (stop) {
			refuse_job(nexus, job);
		} else if (job->is_call) {
			run_call(nexus, container_of(job, struct nexus_call, job));
		} else {
			nexus->deadline_ms = nexus_now_ms() + NEXUS_CALL_MS;
			nexus_run_request(nexus, container_of(job, struct nexus_request, job));
		}
		pthread_mutex_lock(&nexus->lock);
	}
	pthread_mutex_unlock(&nexus->lock);
	return NULL;
}

/* Calls that have not begun when their time is up: a command of the guest, or an earlier call, is still at the LUN. */
static void expire_calls(struct nexus *nexus, uint64_t now_ms)
{
	struct nexus_job *expired = NULL, **at, *job;

	pthread_mutex_lock(&nexus->lock);
	for (at = &nexus->queue.head; (job = *at) != NULL;) {
		if (!job->is_call ||
		    container_of(job, struct nexus_call, job)->deadline_ms > now_ms) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		job->next = expired;
		expired = job;
	}
	nexus->queue.tail = at;
	pthread_mutex_unlock(&nexus->lock);
	while ((job = expired) != NULL) {
		struct nexus_call *call = container_of(job, struct nexus_call, job);

		expired = job->next;
		call->reply.error = NEXUS_ERROR_TIMEOUT;
		snprintf(call->reply.message, sizeof(call->reply.message),
			 "nexus '%s' was busy for the whole time of this call: an earlier command "
			 "is still at the "
			 "LUN; nothing was done, call again",
			 nexus->config.name);
		call->done(call->user, &call->reply);
		free(call);
	}
}

/* Clock thread. */
void nexus_tick(struct nexus *nexus, uint64_t now_ms, unsigned int resync_interval_ms)
{
	uint64_t hold_ms = (uint64_t)nexus->config.cfg.hold_timeout_s * 1000;

	bool connected = lun_is_connected(nexus->lun);
	unsigned int paths;

	lun_paths(nexus->lun, NULL, &paths);
	expire_calls(nexus, now_ms);
	if (now_ms >= hold_ms)
		nexus_held_busy(nexus, now_ms - hold_ms);
	pthread_mutex_lock(&nexus->lock);
	if (nexus->first_connect_done && (!nexus->ready || !connected) &&
	    now_ms - nexus->connect_tried_ms >= NEXUS_CONNECT_PAUSE_MS)
		nexus->connect_wanted = true;
	if (nexus->info.paths[0].registered && resync_interval_ms != 0 &&
	    now_ms - nexus->resync_done_ms >= resync_interval_ms)
		nexus->resync_wanted = true;
	if (paths != nexus->paths_published)
		nexus->publish_wanted = true;
	if (nexus->connect_wanted || nexus->publish_wanted || resync_due_locked(nexus))
		pthread_cond_signal(&nexus->work);
	pthread_mutex_unlock(&nexus->lock);
	nexus->ops->tick(nexus->port);
}
