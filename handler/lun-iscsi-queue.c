/* SPDX-License-Identifier: Apache-2.0 */
/* Commands between the caller and the session, on the LUN's thread. */
#include "lun-iscsi-internal.h"

#include <assert.h>
#include <string.h>

static_assert(SCSI_SENSE_MAX == LUN_ISCSI_SENSE_MAX, "sense data");

void lun_iscsi_queue_put(struct lun_iscsi_queue *queue, struct lun_io *io)
{
	io->next = NULL;
	if (queue->last != NULL)
		queue->last->next = io;
	else
		queue->first = io;
	queue->last = io;
}

struct lun_io *lun_iscsi_queue_take(struct lun_iscsi_queue *queue)
{
	struct lun_io *io = queue->first;

	if (io == NULL)
		return NULL;
	queue->first = io->next;
	if (queue->first == NULL)
		queue->last = NULL;
	return io;
}

/* ---- answers ---- */

static void answer(struct lun_io *io, bool unknown)
{
	io->result.unknown = unknown;
	io->result.residual_bytes = io->data_len;
	io->done(io);
}

static void answer_check(struct lun_io *io, enum scsi_sense_key key, uint16_t asc_ascq,
			 bool unknown)
{
	lun_result_check_condition(&io->result, key, asc_ascq);
	answer(io, unknown);
}

void lun_iscsi_answer_lost(struct lun_iscsi *iscsi)
{
	struct lun_io *io;

	while ((io = lun_iscsi_queue_take(&iscsi->lost)) != NULL)
		answer_check(io, SCSI_ABORTED_COMMAND, SCSI_ASC_LUN_COMMUNICATION_FAILURE, true);
}

void lun_iscsi_answer_not_ready(struct lun_iscsi *iscsi)
{
	struct lun_io *io;

	while ((io = lun_iscsi_queue_take(&iscsi->lost)) != NULL) {
		lun_result_not_ready(&io->result);
		answer(io, true);
	}
	while ((io = lun_iscsi_queue_take(&iscsi->waiting)) != NULL) {
		lun_result_not_ready(&io->result);
		answer(io, false);
	}
}

static void expire_queue(struct lun_iscsi_queue *queue, uint64_t now_ms, bool sent)
{
	struct lun_iscsi_queue kept = {0}, expired = {0};
	struct lun_io *io;

	while ((io = lun_iscsi_queue_take(queue)) != NULL)
		lun_iscsi_queue_put(io->deadline_ms <= now_ms ? &expired : &kept, io);
	*queue = kept;
	while ((io = lun_iscsi_queue_take(&expired)) != NULL)
		answer_check(io, SCSI_ABORTED_COMMAND, SCSI_ASC_LUN_COMMUNICATION_TIMEOUT, sent);
}

bool lun_iscsi_expire(struct lun_iscsi *iscsi)
{
	uint64_t now_ms = lun_iscsi_now_ms();

	expire_queue(&iscsi->lost, now_ms, true);
	expire_queue(&iscsi->waiting, now_ms, false);
	for (unsigned int i = 0; i < LUN_ISCSI_DEPTH; i++)
		if (iscsi->slots[i].io != NULL && iscsi->slots[i].io->deadline_ms <= now_ms)
			return true;
	return false;
}

/* ---- sending ---- */

static void slot_answered(struct lun_iscsi_command *command)
{
	struct lun_iscsi_slot *slot = (struct lun_iscsi_slot *)command;
	struct lun_io *io = slot->io;

	slot->io = NULL;
	slot->owner->busy--;
	io->result = (struct lun_result){
		.status = command->status,
		.sense_len = command->sense_len,
		.residual_bytes = command->residual_bytes,
	};
	memcpy(io->result.sense, command->sense, command->sense_len);
	io->done(io);
}

static enum lun_iscsi_transfer transfer_of(const struct lun_io *io)
{
	if (io->data_len == 0 || io->direction == SCSI_DIR_NONE)
		return LUN_ISCSI_NONE;
	return io->direction == SCSI_DIR_OUT ? LUN_ISCSI_OUT : LUN_ISCSI_IN;
}

static struct lun_iscsi_slot *free_slot(struct lun_iscsi *iscsi)
{
	for (unsigned int i = 0; i < LUN_ISCSI_DEPTH; i++)
		if (iscsi->slots[i].io == NULL)
			return &iscsi->slots[i];
	return NULL;
}

/* False: the session has ended, and the command waits again. */
static bool send_one(struct lun_iscsi *iscsi, struct lun_io *io)
{
	struct lun_iscsi_slot *slot = free_slot(iscsi);
	enum lun_iscsi_transfer transfer = transfer_of(io);

	slot->owner = iscsi;
	slot->command = (struct lun_iscsi_command){
		.cdb = io->cdb,
		.cdb_len = io->cdb_len,
		.transfer = transfer,
		.iov = (struct iovec *)io->iov,
		.iov_cnt = io->iov_cnt,
		.data_len = transfer != LUN_ISCSI_NONE ? io->data_len : 0,
		.done = slot_answered,
	};
	if (lun_iscsi_session_send(iscsi->session, &slot->command)) {
		slot->io = io;
		iscsi->busy++;
		return true;
	}
	if (lun_iscsi_session_state(iscsi->session) == LUN_ISCSI_LOGGED_IN) {
		lun_result_status(&io->result, SCSI_BUSY);
		answer(io, false);
		return true;
	}
	io->next = iscsi->waiting.first;
	iscsi->waiting.first = io;
	if (iscsi->waiting.last == NULL)
		iscsi->waiting.last = io;
	return false;
}

void lun_iscsi_send_waiting(struct lun_iscsi *iscsi)
{
	struct lun_io *io;
	bool away;

	pthread_mutex_lock(&iscsi->lock);
	away = iscsi->away;
	pthread_mutex_unlock(&iscsi->lock);
	while (iscsi->busy < LUN_ISCSI_DEPTH) {
		io = lun_iscsi_queue_take(&iscsi->waiting);
		if (io == NULL)
			return;
		/* By another nexus than the guest's nothing goes that a closed gate would not let through. */
		if (away && !scsi_cdb_passes_closed_gate(io->cdb)) {
			lun_result_not_ready(&io->result);
			answer(io, false);
			continue;
		}
		/* What libiscsi has no room for. */
		if (io->cdb_len > LUN_ISCSI_CDB_MAX)
			answer_check(io, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPERATION_CODE,
				     false);
		else if (!send_one(iscsi, io))
			return;
	}
}

/* ---- a session that was lost ---- */

bool lun_iscsi_repeatable(const uint8_t *cdb)
{
	/* Nothing that changes what is on the LUN or what it says next: no write, no REQUEST SENSE, and
	 * no SYNCHRONIZE CACHE, whose GOOD would cover writes that a reset has lost. */
	switch (cdb[0]) {
	case 0x08: /* READ (6) */
	case 0x28: /* READ (10) */
	case 0xa8: /* READ (12) */
	case 0x88: /* READ (16) */
	case SCSI_INQUIRY:
	case SCSI_READ_CAPACITY_10:
	case SCSI_REPORT_LUNS:
	case SCSI_PR_IN:
	case 0x1a: /* MODE SENSE (6) */
	case 0x5a: /* MODE SENSE (10) */
		return true;
	case SCSI_SERVICE_ACTION_IN_16:
		return (cdb[1] & 0x1f) == 0x10 ||
		       (cdb[1] & 0x1f) == 0x12; /* READ CAPACITY (16), GET
									      LBA STATUS */
	default:
		return false;
	}
}

void lun_iscsi_take_back(struct lun_iscsi *iscsi)
{
	struct lun_iscsi_queue again = {0};
	struct lun_io *io;

	for (unsigned int i = 0; i < LUN_ISCSI_DEPTH; i++) {
		struct lun_iscsi_slot *slot = &iscsi->slots[i];

		if (slot->io == NULL)
			continue;
		lun_iscsi_command_drop(&slot->command);
		lun_iscsi_queue_put(lun_iscsi_repeatable(slot->io->cdb) ? &again : &iscsi->lost,
				    slot->io);
		slot->io = NULL;
	}
	iscsi->busy = 0;
	while ((io = lun_iscsi_queue_take(&iscsi->waiting)) != NULL)
		lun_iscsi_queue_put(&again, io);
	iscsi->waiting = again;
}
