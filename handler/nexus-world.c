/* SPDX-License-Identifier: Apache-2.0 */
/* The world as the hand-over sees it (struct handover_ops), on the nexus's own thread. */
#include "nexus-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "log.h"
#include "lun-move.h"
#include "points.h"
#include "store.h"

static const char *op_lun_error(void *user)
{
	struct nexus *nexus = user;

	return nexus->lun_error;
}

static bool op_reset_seen(void *user)
{
	struct nexus *nexus = user;
	bool seen = nexus->reset_seen;

	nexus->reset_seen = false;
	return seen;
}

static void op_add_unit_attention(void *user, uint16_t asc_ascq)
{
	struct nexus *nexus = user;

	pthread_mutex_lock(&nexus->lock);
	unit_attentions_add(&nexus->unit_attentions, asc_ascq);
	pthread_mutex_unlock(&nexus->lock);
}

static void op_clear_unit_attentions(void *user)
{
	struct nexus *nexus = user;

	pthread_mutex_lock(&nexus->lock);
	nexus->unit_attentions.count = 0;
	pthread_mutex_unlock(&nexus->lock);
}

static bool op_format_line(void *user, char *ret_line)
{
	struct nexus *nexus = user;
	struct unit_attentions queue;

	pthread_mutex_lock(&nexus->lock);
	queue = nexus->unit_attentions;
	pthread_mutex_unlock(&nexus->lock);
	return state_line_format(&nexus->record, &queue, nexus->config.name, ret_line);
}

/* ---- moving whole ---- */

static bool op_moves(void *user)
{
	return lun_moves(((struct nexus *)user)->lun);
}

static bool op_ticket_fits(void *user, const char *ticket)
{
	struct nexus *nexus = user;

	return lun_ticket_fits(nexus->lun, ticket, nexus->lun_error);
}

static enum lun_move op_ticket_look(void *user, const char *ticket)
{
	struct nexus *nexus = user;

	return lun_ticket_look(nexus->lun, ticket, nexus->lun_error);
}

static enum lun_move op_leave(void *user, const char *id, char *ret_ticket)
{
	struct nexus *nexus = user;

	return lun_leave(nexus->lun, id, ret_ticket, nexus->lun_error);
}

static enum lun_move op_arrive(void *user, const char *id, const char *ticket)
{
	struct nexus *nexus = user;

	return lun_arrive(nexus->lun, id, ticket, nexus->lun_error);
}

static enum lun_move op_come_back(void *user, const char *id, bool force)
{
	struct nexus *nexus = user;

	return lun_come_back(nexus->lun, id, force, nexus->lun_error);
}

static enum lun_move op_unleave(void *user, const char *id)
{
	struct nexus *nexus = user;

	return lun_unleave(nexus->lun, id, nexus->lun_error);
}

static enum lun_move op_hand_back(void *user, const char *id, bool force)
{
	struct nexus *nexus = user;

	return lun_hand_back(nexus->lun, id, force, nexus->lun_error);
}

static enum lun_move op_left(void *user, const char *id, bool force)
{
	struct nexus *nexus = user;

	return lun_left(nexus->lun, id, force, nexus->lun_error);
}

static void op_tidy(void *user, const char *id)
{
	lun_tidy(((struct nexus *)user)->lun, id);
}

static bool op_save(void *user)
{
	struct nexus *nexus = user;
	struct unit_attentions queue;
	char text[RECORD_TEXT_MAX];
	int result;

	pthread_mutex_lock(&nexus->lock);
	queue = nexus->unit_attentions;
	pthread_mutex_unlock(&nexus->lock);
	result = record_format(&nexus->record, &queue, text)
			 ? store_write(STORE_NEXUS, nexus->config.name, text)
			 : -EMSGSIZE;
	nexus_publish(nexus);
	if (result == 0)
		return true;
	snprintf(nexus->lun_error, sizeof(nexus->lun_error), "%s", strerror(-result));
	log_error("nexus '%s': state not written to disk: %s", nexus->config.name,
		  strerror(-result));
	return false;
}

static void op_point(void *user, enum record_step step, enum handover_moment moment)
{
	(void)user;
#ifdef PRMIG_POINTS
	points_reach(step, moment);
#else
	(void)step;
	(void)moment;
#endif
}

uint64_t nexus_registered_key(const struct nexus *nexus)
{
	const struct record *record = &nexus->record;

	if (record->in_registered)
		return record->in.key;
	return record->state == NEXUS_EXPORTED && record->out.row != 1 ? record->out.key
								       : record->key;
}

void nexus_spread(struct nexus *nexus, bool open)
{
	const struct record *record = &nexus->record;
	enum lun_spread spread = LUN_SPREAD_NONE;

	pthread_mutex_lock(&nexus->lock);
	open = open || nexus->gate_open;
	pthread_mutex_unlock(&nexus->lock);
	/* Until the guest has run here, the source may take it back, by the generation that Import left. */
	if (open)
		spread = record->in_done && !record->in_ran ? LUN_SPREAD_ON_CONFLICT
							    : LUN_SPREAD_ALL;
	lun_spread(nexus->lun, nexus_registered_key(nexus), spread);
}

static void op_close_gate(void *user)
{
	nexus_gate_close(user);
	nexus_spread(user, false);
}

static void op_open_gate(void *user)
{
	struct nexus *nexus = user;

	pthread_mutex_lock(&nexus->lock);
	nexus->written = false;
	nexus->first_write_matters = nexus->record.in_done && !nexus->record.in_ran;
	pthread_mutex_unlock(&nexus->lock);
	nexus_spread(nexus, true);
	nexus_gate_open(nexus);
}

static bool op_drain(void *user)
{
	struct nexus *nexus = user;
	struct timespec until;
	bool drained;

	clock_gettime(CLOCK_MONOTONIC, &until);
	if (nexus->deadline_ms > nexus_now_ms())
		until.tv_sec += (time_t)((nexus->deadline_ms - nexus_now_ms()) / 1000);
	pthread_mutex_lock(&nexus->lock);
	while (nexus->at_lun[nexus->epoch ^ 1] > 0)
		if (pthread_cond_timedwait(&nexus->idle, &nexus->lock, &until) == ETIMEDOUT)
			break;
	drained = nexus->at_lun[nexus->epoch ^ 1] == 0;
	pthread_mutex_unlock(&nexus->lock);
	return drained;
}

static void op_answer_held_busy(void *user)
{
	nexus_held_busy(user, UINT64_MAX);
}

static bool op_guest_has_written(void *user)
{
	struct nexus *nexus = user;
	bool written;

	pthread_mutex_lock(&nexus->lock);
	written = nexus->written;
	pthread_mutex_unlock(&nexus->lock);
	return written;
}

static bool op_expired(void *user)
{
	struct nexus *nexus = user;

	return nexus_now_ms() >= nexus->deadline_ms;
}

static uint64_t op_wall_clock_s(void *user)
{
	(void)user;
	return (uint64_t)time(NULL);
}

static void op_new_id(void *user, char *ret_id)
{
	uint8_t bytes[NEXUS_ID_LEN / 2] = {0};

	(void)user;
	/* 16 bytes come whole and at once after boot; a device is not opened before that. */
	while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
}

static const struct handover_ops ops = {
	.pr_out = nexus_lun_pr_out,
	.pr_move = nexus_lun_pr_move,
	.read_keys = nexus_lun_read_keys,
	.read_reservation = nexus_lun_read_reservation,
	.read_capabilities = nexus_lun_read_capabilities,
	.read_full_status = nexus_lun_read_full_status,
	.lun_error = op_lun_error,
	.reset_seen = op_reset_seen,
	.add_unit_attention = op_add_unit_attention,
	.clear_unit_attentions = op_clear_unit_attentions,
	.format_line = op_format_line,
	.moves = op_moves,
	.ticket_fits = op_ticket_fits,
	.ticket_look = op_ticket_look,
	.leave = op_leave,
	.arrive = op_arrive,
	.come_back = op_come_back,
	.unleave = op_unleave,
	.hand_back = op_hand_back,
	.left = op_left,
	.tidy = op_tidy,
	.save = op_save,
	.point = op_point,
	.close_gate = op_close_gate,
	.open_gate = op_open_gate,
	.drain = op_drain,
	.answer_held_busy = op_answer_held_busy,
	.guest_has_written = op_guest_has_written,
	.expired = op_expired,
	.wall_clock_s = op_wall_clock_s,
	.new_id = op_new_id,
};

void nexus_handover(struct nexus *nexus, struct handover *ret_handover)
{
	unsigned int changes = lun_nexus_changes(nexus->lun);

	/* Another path has another TransportID, which the next proof of registration tells. */
	if (changes != nexus->nexus_changes)
		nexus->record.own_transport_id = false;
	nexus->nexus_changes = changes;
	nexus->message[0] = '\0';
	*ret_handover = (struct handover){
		.ops = &ops,
		.user = nexus,
		.record = &nexus->record,
		.name = nexus->config.name,
		.migrate_pr = nexus->config.cfg.migrate_pr,
		.emulated = lun_is_emulated(nexus->lun),
		.message = nexus->message,
	};
}
