/* SPDX-License-Identifier: Apache-2.0 */
/* The LUN's thread: what it does while the session is up, lost, or not there. */
#include "lun-iscsi-internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"

/* How long commands wait for a connection to come back. With the time that it takes to see that it is
 * dead this is less than what a guest waits for a command. */
#define RECOVER_MS 15000
#define RETRY_MS 1000
#define YOUNG_MS 3000
/* A target that has not answered a NOP-Out when the next one is due is dead. */
#define PING_MS 5000

uint64_t lun_iscsi_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool lun_iscsi_stopping(struct lun_iscsi *iscsi)
{
	bool stopping;

	pthread_mutex_lock(&iscsi->lock);
	stopping = iscsi->stopping;
	pthread_mutex_unlock(&iscsi->lock);
	return stopping;
}

static void set_link(struct lun_iscsi *iscsi, enum lun_iscsi_link link)
{
	pthread_mutex_lock(&iscsi->lock);
	iscsi->link = link;
	pthread_mutex_unlock(&iscsi->lock);
}

/* The answer to lun_connect, if it waits for one. identity NULL: reason says why not. */
static void conclude(struct lun_iscsi *iscsi, const struct lun_identity *identity, bool missing,
		     const char *reason)
{
	pthread_mutex_lock(&iscsi->lock);
	iscsi->connect_good = identity != NULL;
	iscsi->missing = missing;
	if (identity != NULL)
		iscsi->identity = *identity;
	else
		snprintf(iscsi->reason, sizeof(iscsi->reason), "%s", reason);
	/* Whoever did not wait for it hears of it by lun_is_connected. */
	iscsi->renewed = !iscsi->connect_wanted && identity != NULL;
	iscsi->connect_wanted = false;
	pthread_cond_broadcast(&iscsi->concluded);
	pthread_mutex_unlock(&iscsi->lock);
}

/* ---- a session that is lost, and made again ---- */

static void lose(struct lun_iscsi *iscsi, const char *why)
{
	uint64_t now_ms = lun_iscsi_now_ms();
	bool young = now_ms - iscsi->logged_in_ms < YOUNG_MS;

	log_warning("LUN '%s': %s; %u commands were at the LUN%s", iscsi->name, why, iscsi->busy,
		    young ? " (so soon after the login: does another host log in with this "
			    "initiator name?)"
			  : "");
	lun_iscsi_session_close(iscsi->session);
	iscsi->session = NULL;
	lun_iscsi_take_back(iscsi);
	/* Two that end each other's sessions must not do so as fast as they can. */
	iscsi->retry_ms = now_ms + (young ? RETRY_MS : 0);
	iscsi->recover_until_ms = now_ms + RECOVER_MS;
	set_link(iscsi, LUN_ISCSI_RECOVERING);
}

static void recover(struct lun_iscsi *iscsi)
{
	struct lun_identity identity;
	char reason[LUN_REASON_MAX];
	bool missing;

	if (lun_iscsi_now_ms() < iscsi->retry_ms)
		return;
	/* Without a command that could meet a unit attention: the new session's first are the guest's. */
	if (lun_iscsi_log_in(iscsi, false, &identity, &missing, reason)) {
		log_info("LUN '%s': connected again", iscsi->name);
		lun_iscsi_answer_lost(iscsi);
		set_link(iscsi, LUN_ISCSI_UP);
		conclude(iscsi, &identity, false, "");
		return;
	}
	iscsi->retry_ms = lun_iscsi_now_ms() + RETRY_MS;
	if (iscsi->retry_ms < iscsi->recover_until_ms)
		return;
	log_error("LUN '%s' is not ready any more: %s", iscsi->name, reason);
	set_link(iscsi, LUN_ISCSI_GONE);
	lun_iscsi_answer_not_ready(iscsi);
	conclude(iscsi, NULL, missing, reason);
}

/* ---- away and here ---- */

#define QUIET_MS 2000

/* Nothing is to be at the LUN when its session ends: the gate is closed, and what passes it waits for this. */
static void become_quiet(struct lun_iscsi *iscsi)
{
	uint64_t until_ms = lun_iscsi_now_ms() + QUIET_MS;

	while (iscsi->busy > 0 && lun_iscsi_now_ms() < until_ms &&
	       lun_iscsi_session_state(iscsi->session) == LUN_ISCSI_LOGGED_IN)
		lun_iscsi_serve(iscsi, until_ms);
}

static bool place_wanted(struct lun_iscsi *iscsi, bool *ret_away)
{
	bool wanted;

	pthread_mutex_lock(&iscsi->lock);
	wanted = iscsi->place_wanted;
	*ret_away = iscsi->place_away;
	pthread_mutex_unlock(&iscsi->lock);
	return wanted;
}

static void placed(struct lun_iscsi *iscsi, bool good, const char *reason)
{
	pthread_mutex_lock(&iscsi->lock);
	iscsi->place_wanted = false;
	iscsi->place_good = good;
	if (!good)
		snprintf(iscsi->reason, sizeof(iscsi->reason), "%s", reason);
	pthread_cond_broadcast(&iscsi->concluded);
	pthread_mutex_unlock(&iscsi->lock);
}

static void run_place(struct lun_iscsi *iscsi, bool away)
{
	struct lun_identity identity;
	char reason[LUN_REASON_MAX];
	uint64_t now_ms;
	bool missing;

	if (iscsi->session != NULL) {
		become_quiet(iscsi);
		lun_iscsi_log_out(iscsi);
		lun_iscsi_take_back(iscsi);
	}
	pthread_mutex_lock(&iscsi->lock);
	iscsi->away = away;
	pthread_mutex_unlock(&iscsi->lock);
	if (lun_iscsi_log_in(iscsi, false, &identity, &missing, reason)) {
		lun_iscsi_answer_lost(iscsi);
		set_link(iscsi, LUN_ISCSI_UP);
		placed(iscsi, true, "");
		return;
	}
	log_warning("LUN '%s': %s", iscsi->name, reason);
	now_ms = lun_iscsi_now_ms();
	iscsi->retry_ms = now_ms + RETRY_MS;
	iscsi->recover_until_ms = now_ms + RECOVER_MS;
	set_link(iscsi, LUN_ISCSI_RECOVERING);
	placed(iscsi, false, reason);
}

/* ---- the three states ---- */

static bool connect_wanted(struct lun_iscsi *iscsi)
{
	bool wanted;

	pthread_mutex_lock(&iscsi->lock);
	wanted = iscsi->connect_wanted;
	pthread_mutex_unlock(&iscsi->lock);
	return wanted;
}

static void run_gone(struct lun_iscsi *iscsi)
{
	struct lun_identity identity;
	char reason[LUN_REASON_MAX];
	bool missing, good;

	lun_iscsi_answer_not_ready(iscsi);
	if (!connect_wanted(iscsi))
		return;
	good = lun_iscsi_log_in(iscsi, true, &identity, &missing, reason);
	if (good)
		set_link(iscsi, LUN_ISCSI_UP);
	conclude(iscsi, good ? &identity : NULL, missing, reason);
}

static void run_up(struct lun_iscsi *iscsi)
{
	struct lun_identity identity;
	char reason[LUN_REASON_MAX];
	uint64_t now_ms = lun_iscsi_now_ms();
	bool missing, good;

	if (lun_iscsi_session_state(iscsi->session) != LUN_ISCSI_LOGGED_IN) {
		lose(iscsi, lun_iscsi_session_error(iscsi->session));
		return;
	}
	if (lun_iscsi_expire(iscsi)) {
		lose(iscsi, "the target has not answered a command in time");
		return;
	}
	if (now_ms - iscsi->pinged_ms >= PING_MS) {
		if (!lun_iscsi_session_ping(iscsi->session)) {
			lose(iscsi, "the target does not answer");
			return;
		}
		iscsi->pinged_ms = now_ms;
	}
	lun_iscsi_send_waiting(iscsi);
	if (!connect_wanted(iscsi))
		return;
	good = lun_iscsi_identify(iscsi, true, &identity, &missing, reason);
	if (iscsi->session == NULL)
		lose(iscsi, reason);
	else
		conclude(iscsi, good ? &identity : NULL, missing, reason);
}

static bool take_submitted(struct lun_iscsi *iscsi, enum lun_iscsi_link *ret_link)
{
	bool stopping;
	struct lun_io *io;

	pthread_mutex_lock(&iscsi->lock);
	while ((io = lun_iscsi_queue_take(&iscsi->submitted)) != NULL)
		lun_iscsi_queue_put(&iscsi->waiting, io);
	stopping = iscsi->stopping;
	*ret_link = iscsi->link;
	pthread_mutex_unlock(&iscsi->lock);
	return !stopping;
}

/* When there is something to do without anybody saying so. */
static uint64_t next_ms(struct lun_iscsi *iscsi)
{
	bool gone;

	if (iscsi->session != NULL)
		return iscsi->waiting.first != NULL && iscsi->busy < LUN_ISCSI_DEPTH ? 0
										     : UINT64_MAX;
	pthread_mutex_lock(&iscsi->lock);
	gone = iscsi->link == LUN_ISCSI_GONE;
	pthread_mutex_unlock(&iscsi->lock);
	return gone ? UINT64_MAX : iscsi->retry_ms;
}

void *lun_iscsi_run(void *user)
{
	struct lun_iscsi *iscsi = user;
	enum lun_iscsi_link link;
	bool away;

	while (take_submitted(iscsi, &link)) {
		if (place_wanted(iscsi, &away)) {
			run_place(iscsi, away);
			continue;
		}
		switch (link) {
		case LUN_ISCSI_GONE:
			run_gone(iscsi);
			break;
		case LUN_ISCSI_RECOVERING:
			lun_iscsi_expire(iscsi);
			recover(iscsi);
			break;
		case LUN_ISCSI_UP:
			run_up(iscsi);
			break;
		}
		lun_iscsi_serve(iscsi, next_ms(iscsi));
	}
	lun_iscsi_log_out(iscsi);
	conclude(iscsi, NULL, false, "it is being closed");
	placed(iscsi, false, "it is being closed");
	return NULL;
}
