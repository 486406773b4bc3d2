/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's commands: the gate, what is held, what goes to the LUN, and the answers. */
#include "nexus-internal.h"

#include <string.h>

#include "iov.h"

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

enum route { ROUTE_ANSWER, ROUTE_DATA, ROUTE_HOLD, ROUTE_THREAD, ROUTE_LUN };

void nexus_queue_put(struct nexus_held *queue, struct nexus_job *job)
{
	job->next = NULL;
	*queue->tail = job;
	queue->tail = &job->next;
}

struct nexus_job *nexus_queue_take(struct nexus_held *queue)
{
	struct nexus_job *job = queue->head;

	if (job == NULL)
		return NULL;
	queue->head = job->next;
	if (queue->head == NULL)
		queue->tail = &queue->head;
	return job;
}

/* ---- answers ---- */

void nexus_complete(struct nexus *nexus, struct nexus_request *request,
		    const struct lun_result *result, size_t data_in_bytes)
{
	nexus->ops->complete(nexus->port, request, result, data_in_bytes);
	pthread_mutex_lock(&nexus->lock);
	if (request->epoch != 0)
		nexus->at_lun[request->epoch - 1]--;
	request->job.next = nexus->free;
	nexus->free = &request->job;
	nexus->outstanding--;
	pthread_cond_broadcast(&nexus->idle);
	pthread_mutex_unlock(&nexus->lock);
}

void nexus_complete_check(struct nexus *nexus, struct nexus_request *request,
			  enum scsi_sense_key key, uint16_t asc_ascq)
{
	struct lun_result result;

	lun_result_check_condition(&result, key, asc_ascq);
	nexus_complete(nexus, request, &result, 0);
}

void nexus_complete_status(struct nexus *nexus, struct nexus_request *request, uint8_t status)
{
	struct lun_result result;

	lun_result_status(&result, status);
	nexus_complete(nexus, request, &result, 0);
}

static void add_unit_attention_locked(struct nexus *nexus, uint16_t asc_ascq)
{
	/*
	 * The destination's PREEMPT of this nexus, or the source's taking back: the hand-over's own making
	 * (RESERVATIONS PREEMPTED is what tgt says there). A fence meets it too: Abort tells the guest then.
	 */
	if (nexus->info.state != NEXUS_ACTIVE && (asc_ascq == SCSI_ASC_REGISTRATIONS_PREEMPTED ||
						  asc_ascq == SCSI_ASC_RESERVATIONS_PREEMPTED))
		return;
	unit_attentions_add(&nexus->unit_attentions, asc_ascq);
}

void nexus_add_unit_attention(struct nexus *nexus, uint16_t asc_ascq)
{
	pthread_mutex_lock(&nexus->lock);
	add_unit_attention_locked(nexus, asc_ascq);
	pthread_mutex_unlock(&nexus->lock);
}

void nexus_watch_result(struct nexus *nexus, const struct lun_result *result, bool guest)
{
	uint16_t asc_ascq;
	uint8_t key;
	bool resync = result->status == SCSI_RESERVATION_CONFLICT && guest;

	if (result->status != SCSI_CHECK_CONDITION && !resync)
		return;
	pthread_mutex_lock(&nexus->lock);
	if (resync && nexus->doubt == HANDOVER_DOUBT_NONE)
		nexus->doubt = HANDOVER_DOUBT_CONFLICT;
	if (result->status == SCSI_CHECK_CONDITION &&
	    scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq) &&
	    key == SCSI_UNIT_ATTENTION) {
		if (asc_ascq >> 8 == 0x2a || asc_ascq >> 8 == 0x29)
			resync = true;
		/* A power loss takes away what a unit attention would have told. */
		if (asc_ascq == SCSI_ASC_REGISTRATIONS_PREEMPTED ||
		    asc_ascq == SCSI_ASC_RESERVATIONS_PREEMPTED || asc_ascq >> 8 == 0x29)
			nexus->doubt = HANDOVER_DOUBT_TOLD;
		if (asc_ascq == SCSI_ASC_CAPACITY_DATA_CHANGED) {
			nexus->identify_wanted = true;
			pthread_cond_signal(&nexus->work);
		}
		/* prmig's own command met it, or one that came before the guest did. */
		if (!guest || !nexus->gate_open)
			add_unit_attention_locked(nexus, asc_ascq);
	}
	if (resync && !nexus->resync_wanted) {
		nexus->resync_wanted = true;
		pthread_cond_signal(&nexus->work);
	}
	pthread_mutex_unlock(&nexus->lock);
}

static void done(struct lun_io *io)
{
	struct nexus_request *request = container_of(io, struct nexus_request, io);
	struct nexus *nexus = request->nexus;
	size_t data_in_bytes = 0;

	if (io->direction == SCSI_DIR_IN && io->result.residual_bytes <= io->data_len)
		data_in_bytes = io->data_len - io->result.residual_bytes;
	nexus_watch_result(nexus, &io->result, true);
	nexus_complete(nexus, request, &io->result, data_in_bytes);
}

/* ---- the way of a command ---- */

/* DESC=1 asks for a format that the LUN itself answers in; the queue keeps for the next command. */
static bool is_fixed_request_sense(const uint8_t *cdb)
{
	return cdb[0] == SCSI_REQUEST_SENSE && !(cdb[1] & 1);
}

bool nexus_take_unit_attention_locked(struct nexus *nexus, const uint8_t *cdb,
				      struct lun_result *ret_result)
{
	if (!nexus->gate_open || nexus->unit_attentions.count == 0 ||
	    (scsi_cdb_ignores_unit_attention(cdb[0]) && !is_fixed_request_sense(cdb)))
		return false;
	lun_result_check_condition(ret_result, SCSI_UNIT_ATTENTION,
				   unit_attentions_take(&nexus->unit_attentions));
	return true;
}

static enum route route_locked(struct nexus *nexus, struct nexus_request *request,
			       struct lun_result *ret_result)
{
	const uint8_t *cdb = request->cdb;
	bool passes = scsi_cdb_passes_closed_gate(cdb);

	if (!nexus->gate_open && !passes)
		return ROUTE_HOLD;
	if (!nexus->ready) {
		lun_result_not_ready(ret_result);
		return ROUTE_ANSWER;
	}
	/* INVALID OPERATION CODE comes before a unit attention: SAM-5 5.3 leaves the order to the server. */
	if (nexus->config.cfg.filter && !request->info.listed) {
		lun_result_check_condition(ret_result, SCSI_ILLEGAL_REQUEST,
					   SCSI_ASC_INVALID_OPERATION_CODE);
		return ROUTE_ANSWER;
	}
	if (nexus_take_unit_attention_locked(nexus, cdb, ret_result))
		return is_fixed_request_sense(cdb) ? ROUTE_DATA : ROUTE_ANSWER;
	if (!passes) {
		if (nexus->first_write_matters) {
			nexus->first_write_matters = false;
			nexus->ran_wanted = true;
			pthread_cond_signal(&nexus->work);
		}
		nexus->written = true;
	}
	if (request->info.class == SCSI_CLASS_PR_OUT || request->info.class == SCSI_CLASS_RESERVE ||
	    request->info.rewrite)
		return ROUTE_THREAD;
	request->epoch = 1 + nexus->epoch;
	nexus->at_lun[nexus->epoch]++;
	return ROUTE_LUN;
}

/* Sense data as REQUEST SENSE's data-in. */
static void answer_sense(struct nexus *nexus, struct nexus_request *request,
			 const struct lun_result *sense)
{
	struct lun_result result;
	size_t allocation_len = request->cdb[4], len;

	if (allocation_len > sense->sense_len)
		allocation_len = sense->sense_len;
	len = iov_scatter(request->iov, request->iov_cnt, sense->sense, allocation_len);
	lun_result_status(&result, SCSI_GOOD);
	nexus_complete(nexus, request, &result, len);
}

/* Once a second is often enough: the guest repeats what is answered BUSY. */
static void ask_about_guest_locked(struct nexus *nexus, uint64_t now_ms)
{
	if (!nexus->awaits_guest || nexus->guest_runs_wanted ||
	    now_ms - nexus->guest_runs_asked_ms < NEXUS_RESYNC_PAUSE_MS)
		return;
	nexus->guest_runs_asked_ms = now_ms;
	nexus->guest_runs_wanted = true;
	pthread_cond_signal(&nexus->work);
}

static void dispatch(struct nexus *nexus, struct nexus_request *request)
{
	struct lun_result result;
	enum route route;

	pthread_mutex_lock(&nexus->lock);
	request->epoch = 0;
	route = route_locked(nexus, request, &result);
	if (route == ROUTE_HOLD) {
		request->held_since_ms = nexus_now_ms();
		nexus_queue_put(&nexus->held, &request->job);
		ask_about_guest_locked(nexus, request->held_since_ms);
	} else if (route == ROUTE_THREAD) {
		nexus_queue_put(&nexus->queue, &request->job);
		pthread_cond_signal(&nexus->work);
	}
	pthread_mutex_unlock(&nexus->lock);
	if (route == ROUTE_ANSWER)
		nexus_complete(nexus, request, &result, 0);
	else if (route == ROUTE_DATA)
		answer_sense(nexus, request, &result);
	else if (route == ROUTE_LUN)
		lun_submit(nexus->lun, &request->io);
}

struct nexus_request *nexus_request_get(struct nexus *nexus)
{
	struct nexus_job *job;

	pthread_mutex_lock(&nexus->lock);
	job = nexus->free;
	if (job != NULL) {
		nexus->free = job->next;
		nexus->outstanding++;
	}
	pthread_mutex_unlock(&nexus->lock);
	return job != NULL ? container_of(job, struct nexus_request, job) : NULL;
}

void nexus_submit(struct nexus *nexus, struct nexus_request *request)
{
	scsi_cdb_describe(request->cdb, &request->info);
	request->job.is_call = false;
	request->nexus = nexus;
	request->io = (struct lun_io){
		.cdb = request->cdb,
		.cdb_len = scsi_cdb_length(request->cdb),
		.direction = request->iov_cnt > 0 ? request->info.direction : SCSI_DIR_NONE,
		.iov = request->iov,
		.iov_cnt = request->iov_cnt,
		.data_len = (uint32_t)iov_len(request->iov, request->iov_cnt),
		.timeout_ms = request->info.timeout_ms,
		.done = done,
	};
	dispatch(nexus, request);
}

/* ---- the gate ---- */

void nexus_gate_close(struct nexus *nexus)
{
	pthread_mutex_lock(&nexus->lock);
	if (nexus->gate_open) {
		nexus->gate_open = false;
		nexus->epoch ^= 1;
	}
	pthread_mutex_unlock(&nexus->lock);
}

/* What was held, oldest first, goes its way again; what arrives meanwhile may be before it, as task attribute SIMPLE allows. */
void nexus_gate_open(struct nexus *nexus)
{
	struct nexus_held held;
	struct nexus_job *job;

	held.tail = &held.head;
	pthread_mutex_lock(&nexus->lock);
	nexus->gate_open = true;
	held.head = nexus->held.head;
	nexus->held.head = NULL;
	nexus->held.tail = &nexus->held.head;
	pthread_mutex_unlock(&nexus->lock);
	for (job = held.head; job != NULL; job = held.head) {
		held.head = job->next;
		dispatch(nexus, container_of(job, struct nexus_request, job));
	}
}

void nexus_held_busy(struct nexus *nexus, uint64_t held_before_ms)
{
	for (;;) {
		struct nexus_request *request = NULL;

		pthread_mutex_lock(&nexus->lock);
		if (nexus->held.head != NULL) {
			request = container_of(nexus->held.head, struct nexus_request, job);
			if (request->held_since_ms < held_before_ms)
				nexus_queue_take(&nexus->held);
			else
				request = NULL;
		}
		pthread_mutex_unlock(&nexus->lock);
		if (request == NULL)
			return;
		nexus_complete_status(nexus, request, SCSI_BUSY);
	}
}
