/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of an emulated LUN. Those that the engine answers are answered where they are submitted; PERSISTENT RESERVE OUT comes on the
 * nexus's own thread, and waits for the disk there. Nothing is allocated.
 */
#include "lun-emulate-internal.h"

#include <string.h>

#include "iov.h"
#include "log.h"

static void answer(struct lun_io *io, const struct pr_engine_answer *answered)
{
	if (answered->status == SCSI_CHECK_CONDITION)
		lun_result_check_condition(&io->result, (enum scsi_sense_key)answered->sense_key,
					   answered->asc_ascq);
	else
		lun_result_status(&io->result, answered->status);
	if (answered->status != SCSI_GOOD)
		io->result.residual_bytes = io->data_len;
	io->done(io);
}

static void answer_data(struct lun_io *io, const void *data, size_t len)
{
	size_t given = iov_scatter(io->iov, io->iov_cnt, data, len);

	lun_result_status(&io->result, SCSI_GOOD);
	io->result.residual_bytes = io->data_len - (uint32_t)given;
	io->done(io);
}

/* REPORTING OPTIONS of REPORT SUPPORTED OPERATION CODES; without the field's place an initiator could take the command for
 * unknown. */
static void answer_bad_option(struct lun_io *io)
{
	lun_result_check_condition(&io->result, SCSI_ILLEGAL_REQUEST,
				   SCSI_ASC_INVALID_FIELD_IN_CDB);
	scsi_sense_point(io->result.sense, true, 2);
	io->result.residual_bytes = io->data_len;
	io->done(io);
}

/* The reservations of the LUN are decided on another host now, or on none. */
static const struct pr_engine_answer not_here = {
	.status = SCSI_CHECK_CONDITION,
	.sense_key = SCSI_NOT_READY,
	.asc_ascq = SCSI_ASC_LUN_NOT_READY_CAUSE_NOT_REPORTABLE,
};

/* ---- to the inner LUN ---- */

/* What the inner LUN says of the claim's own registration is no word for the guest. True: it was that. */
static bool is_of_claim(const struct lun_result *result)
{
	uint16_t asc_ascq;
	uint8_t key;

	if (result->status == SCSI_RESERVATION_CONFLICT)
		return true;
	return result->status == SCSI_CHECK_CONDITION &&
	       scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq) &&
	       key == SCSI_UNIT_ATTENTION && asc_ascq >= SCSI_ASC_RESERVATIONS_PREEMPTED &&
	       asc_ascq <= SCSI_ASC_REGISTRATIONS_PREEMPTED;
}

static void inner_done(struct lun_io *io)
{
	struct lun_emulate *instance = lun_emulate_of(io->front);
	struct emulation *emulation = instance->emulation;
	bool of_claim = emulation->claim.kind == LUN_CLAIM_RESERVATION && is_of_claim(&io->result);
	bool aborted;

	pthread_mutex_lock(&emulation->lock);
	aborted = io->front_epoch != instance->epoch;
	if (of_claim)
		emulation->confirmed = false;
	if (!aborted) {
		instance->in_flight--;
	} else if (--instance->aborting == 0) {
		pthread_cond_broadcast(&emulation->changed);
	}
	pthread_mutex_unlock(&emulation->lock);
	if (aborted) {
		lun_result_status(&io->result, SCSI_TASK_ABORTED);
		io->result.residual_bytes = io->data_len;
	} else if (of_claim) {
		/* Looked at before it is sent again: connect() does. */
		lun_result_status(&io->result, SCSI_BUSY);
		io->result.residual_bytes = io->data_len;
	} else if (scsi_cdb_is_rsoc(io->cdb) && io->result.status == SCSI_GOOD &&
		   io->iov_cnt == 1 && io->result.residual_bytes <= io->data_len) {
		/* In one piece: the nexus asks for it so (nexus-pr.c). */
		size_t len =
			scsi_rsoc_emulate(io->cdb, io->iov[0].iov_base,
					  io->data_len - io->result.residual_bytes, io->data_len);

		io->result.residual_bytes = io->data_len - (uint32_t)len;
	}
	io->done = io->front_done;
	io->done(io);
}

/* ---- PERSISTENT RESERVE OUT ---- */

static struct lun_emulate *find_slot_locked(struct emulation *emulation, int slot)
{
	struct lun_emulate *at = emulation->instances;

	while (at != NULL && at->slot != slot)
		at = at->next;
	return at;
}

/* Their commands at the inner LUN are answered TASK ABORTED, when they come back. */
static void abort_locked(struct emulation *emulation, uint64_t slots)
{
	for (int slot = 0; slot < PR_ENGINE_NEXUSES; slot++) {
		struct lun_emulate *instance =
			slots >> slot & 1 ? find_slot_locked(emulation, slot) : NULL;

		if (instance == NULL || instance->in_flight == 0)
			continue;
		instance->epoch++;
		instance->aborting += instance->in_flight;
		instance->in_flight = 0;
	}
}

static bool is_aborting_locked(const struct emulation *emulation)
{
	for (const struct lun_emulate *at = emulation->instances; at != NULL; at = at->next)
		if (at->aborting > 0)
			return true;
	return false;
}

/* Under change_lock. True: in effect, and on disk. */
static bool store_change(struct emulation *emulation, struct lun_emulate *instance,
			 const struct pr_engine_change *change)
{
	struct lun_claim_owner owner;
	char reason[LUN_REASON_MAX];

	/* A file does not shut out a host that lost it. */
	if (emulation->claim.kind == LUN_CLAIM_BESIDE &&
	    emulation_join(emulation, instance, &owner, reason) != LUN_CLAIM_DONE) {
		log_error("LUN %s: no reservation is changed any more: its claim is not this "
			  "host's, or cannot be read",
			  emulation->designator);
		pthread_mutex_lock(&emulation->lock);
		emulation->confirmed = false;
		pthread_mutex_unlock(&emulation->lock);
		return false;
	}
	emulation->trial = emulation->registry;
	emulation->trial.engine = change->next;
	if (!registry_same(&emulation->registry.engine, &change->next))
		emulation->trial.touched = true;
	if (!emulation_save(emulation, &emulation->trial, reason))
		return false;
	pthread_mutex_lock(&emulation->lock);
	if (change->aborts)
		abort_locked(emulation, change->aborted);
	pr_engine_commit(&emulation->registry.engine, change);
	emulation->registry.touched = emulation->trial.touched;
	pthread_mutex_unlock(&emulation->lock);
	return true;
}

static void run_pr_out(struct emulation *emulation, struct lun_emulate *instance, struct lun_io *io)
{
	struct pr_engine_answer answered = not_here;
	struct pr_engine_change change;
	uint8_t list[PR_OUT_LIST_MAX];
	size_t len = iov_gather(io->iov, io->iov_cnt, list, sizeof(list));
	bool here;

	pthread_mutex_lock(&emulation->change_lock);
	pthread_mutex_lock(&emulation->lock);
	here = emulation->registry.mode == REGISTRY_HERE && instance->door == EMULATE_INSIDE &&
	       instance->slot >= 0;
	if (here && pr_engine_admits(&emulation->registry.engine, (unsigned int)instance->slot,
				     io->cdb, &answered)) {
		pr_engine_out(&emulation->registry.engine, (unsigned int)instance->slot, io->cdb,
			      list, len, &change);
		answered = change.answer;
	} else {
		change.changed = change.aborts = false;
	}
	pthread_mutex_unlock(&emulation->lock);
	if (change.changed && !store_change(emulation, instance, &change)) {
		answered = pr_engine_not_stored;
		change.aborts = false;
	}
	pthread_mutex_unlock(&emulation->change_lock);
	if (change.aborts) {
		pthread_mutex_lock(&emulation->lock);
		while (is_aborting_locked(emulation))
			pthread_cond_wait(&emulation->changed, &emulation->lock);
		pthread_mutex_unlock(&emulation->lock);
	}
	answer(io, &answered);
}

/* ---- the rest ---- */

enum way { WAY_INNER, WAY_ANSWER, WAY_DATA, WAY_BAD_OPTION };

struct verdict {
	struct pr_engine_answer answered;
	size_t data_len;
	uint8_t data[PR_ENGINE_IN_MAX];
};

/* DESC=1 asks for a format that the inner LUN itself answers in; the queue keeps for the next command. */
static bool is_fixed_request_sense(const uint8_t *cdb)
{
	return cdb[0] == SCSI_REQUEST_SENSE && !(cdb[1] & 1);
}

static enum way judge_locked(struct emulation *emulation, struct lun_emulate *instance,
			     const uint8_t *cdb, struct verdict *ret)
{
	struct pr_engine *engine = &emulation->registry.engine;
	unsigned int slot = (unsigned int)instance->slot;
	bool here = emulation->registry.mode == REGISTRY_HERE && instance->slot >= 0;
	uint16_t asc_ascq;

	ret->answered = not_here;
	/* What changes nothing is answered at a door that is closed, too; but who is registered is not known there. */
	if ((instance->door != EMULATE_INSIDE || instance->slot < 0) &&
	    !scsi_cdb_passes_closed_gate(cdb))
		return WAY_ANSWER;
	if (!here && cdb[0] == SCSI_PR_IN && (cdb[1] & 0x1f) != PR_IN_REPORT_CAPABILITIES)
		return WAY_ANSWER;
	if (instance->slot >= 0) {
		if (!pr_engine_admits(engine, slot, cdb, &ret->answered))
			return WAY_ANSWER;
		if (is_fixed_request_sense(cdb) &&
		    pr_engine_take_unit_attention(engine, slot, &asc_ascq)) {
			uint8_t sense[SCSI_SENSE_MAX];

			ret->data_len = scsi_sense_build(sense, SCSI_UNIT_ATTENTION, asc_ascq);
			if (ret->data_len > cdb[4])
				ret->data_len = cdb[4];
			memcpy(ret->data, sense, ret->data_len);
			return WAY_DATA;
		}
	}
	if (scsi_rsoc_emulate_refuses(cdb))
		return WAY_BAD_OPTION;
	if (cdb[0] != SCSI_PR_IN)
		return WAY_INNER;
	ret->answered = pr_engine_in(engine, cdb, ret->data, &ret->data_len);
	return ret->answered.status == SCSI_GOOD ? WAY_DATA : WAY_ANSWER;
}

void lun_emulate_submit(struct lun *lun, struct lun_io *io)
{
	struct lun_emulate *instance = lun_emulate_of(lun);
	struct emulation *emulation = __atomic_load_n(&instance->emulation, __ATOMIC_ACQUIRE);
	struct verdict verdict;
	enum way way;

	if (emulation == NULL) {
		answer(io, &not_here);
		return;
	}
	if (io->cdb[0] == SCSI_PR_OUT) {
		run_pr_out(emulation, instance, io);
		return;
	}
	pthread_mutex_lock(&emulation->lock);
	way = judge_locked(emulation, instance, io->cdb, &verdict);
	if (way == WAY_INNER) {
		io->front = lun;
		io->front_done = io->done;
		io->front_epoch = instance->epoch;
		io->done = inner_done;
		instance->in_flight++;
	}
	pthread_mutex_unlock(&emulation->lock);
	if (way == WAY_INNER)
		lun_submit(instance->inner, io);
	else if (way == WAY_DATA)
		answer_data(io, verdict.data, verdict.data_len);
	else if (way == WAY_BAD_OPTION)
		answer_bad_option(io);
	else
		answer(io, &verdict.answered);
}
