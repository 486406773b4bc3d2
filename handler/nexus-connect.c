/* SPDX-License-Identifier: Apache-2.0 */
/* The nexus's own thread, connecting to the LUN and settling what was left unfinished. */
#include "nexus-internal.h"

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "lun-move.h"
#include "store.h"

static void set_failure(struct nexus *nexus, const char *failure)
{
	if (strcmp(nexus->failure, failure) == 0)
		return;
	if (failure[0] != '\0')
		log_error("nexus '%s': %s", nexus->config.name, failure);
	else
		log_info("nexus '%s': well again", nexus->config.name);
	snprintf(nexus->failure, sizeof(nexus->failure), "%s", failure);
	nexus_publish(nexus);
}

void nexus_check_port(struct nexus *nexus)
{
	char reason[LUN_REASON_MAX] = "";

	if (nexus->ops->check(nexus->port, reason))
		reason[0] = '\0';
	if (strcmp(nexus->port_failure, reason) == 0)
		return;
	if (reason[0] != '\0')
		log_error("nexus '%s': %s", nexus->config.name, reason);
	snprintf(nexus->port_failure, sizeof(nexus->port_failure), "%s", reason);
	nexus_publish(nexus);
}

/* Another LUN than the state on disk is of: a backstore of that name was made anew. */
static void forget_other_lun(struct nexus *nexus, const char *designator)
{
	log_warning("nexus '%s': the state on disk is of LUN %s, and the backstore is on LUN %s: "
		    "the old state is "
		    "set aside, and this is taken for a new nexus",
		    nexus->config.name, nexus->record.lun, designator);
	store_set_aside(STORE_NEXUS, nexus->config.name);
	nexus->record = (struct record){.state = nexus->config.cfg.incoming ? NEXUS_INCOMING
									    : NEXUS_ACTIVE};
	nexus->known = false;
}

static bool settle(struct nexus *nexus, enum handover_doubt doubt)
{
	struct handover handover;
	enum nexus_error error;
	bool fenced = false;
	uint64_t key = nexus->record.key;

	/* Which path it was that is registered, a restart has forgotten. */
	if (!nexus->first_connect_done && nexus_registered_key(nexus) != 0)
		lun_seek(nexus->lun, nexus_registered_key(nexus));
	nexus_handover(nexus, &handover);
	error = handover_settle(&handover);
	if (error == NEXUS_OK)
		error = handover_guest_settle(&handover, false);
	if (error == NEXUS_OK)
		error = handover_resync(&handover, doubt, &fenced);
	if (fenced)
		nexus_notify_fenced(nexus, true, key);
	if (error == NEXUS_OK)
		return true;
	set_failure(nexus, handover.message);
	return false;
}

/* Tells the LUN where the nexus is. False: it is away, and the LUN knows nothing of that. */
static bool place(struct nexus *nexus)
{
	struct record *record = &nexus->record;
	bool moves = lun_moves(nexus->lun);

	if (moves && record->state == NEXUS_INCOMING && !record->in_arrived)
		record->away = true;
	if (!record->away)
		return true;
	if (moves)
		lun_stay_away(nexus->lun, record->state == NEXUS_INCOMING ? "" : record->out.id);
	return moves;
}

/* After forget_other_lun: what is on disk of the other LUN had the nexus stay away, perhaps. */
static bool place_anew(struct nexus *nexus, char *reason)
{
	if (!lun_moves(nexus->lun))
		return true;
	nexus->record.away = nexus->record.state == NEXUS_INCOMING;
	/* An emulated LUN that another host has is not taken by that: lun_hold comes next. */
	return nexus->record.away || lun_is_emulated(nexus->lun) ||
	       lun_come_back(nexus->lun, "", true, reason) == LUN_MOVE_DONE;
}

/* True: commands may go to the LUN. */
static bool bring_up(struct nexus *nexus)
{
	enum handover_doubt doubt = HANDOVER_DOUBT_NONE;
	struct lun_identity identity = {0};
	char reason[LUN_REASON_MAX] = "";
	struct handover handover;

	nexus->deadline_ms = nexus_now_ms() + NEXUS_CALL_MS;
	if (nexus->identity.designator[0] == '\0' && !place(nexus)) {
		set_failure(
			nexus,
			"the nexus has left this host whole, or waits to arrive, and its LUN is "
			"not set up for that any more: set it up as it was");
		return false;
	}
	if (!lun_connect(nexus->lun, &identity, reason)) {
		if (!lun_is_connected(nexus->lun))
			nexus_unclaim(nexus);
		set_failure(nexus, reason);
		return false;
	}
	if (!nexus_claim(nexus, &identity, reason)) {
		set_failure(nexus, reason);
		return false;
	}
	for (size_t i = 0; i < identity.unit_attention_count; i++) {
		uint16_t asc_ascq;
		uint8_t key;

		if (scsi_sense_parse(identity.unit_attentions[i].sense,
				     identity.unit_attentions[i].sense_len, &key, &asc_ascq)) {
			nexus_add_unit_attention(nexus, asc_ascq);
			/* As in nexus_watch_result. */
			if (asc_ascq == SCSI_ASC_REGISTRATIONS_PREEMPTED ||
			    asc_ascq == SCSI_ASC_RESERVATIONS_PREEMPTED || asc_ascq >> 8 == 0x29)
				doubt = HANDOVER_DOUBT_TOLD;
		}
	}
	if (nexus->known && nexus->record.lun[0] != '\0' &&
	    strcmp(nexus->record.lun, identity.designator) != 0) {
		if (nexus->first_connect_done) {
			snprintf(reason, sizeof(reason),
				 "%.100s is LUN %.120s now, and was LUN %.120s: nothing is sent to "
				 "it",
				 identity.device, identity.designator, nexus->record.lun);
			set_failure(nexus, reason);
			return false;
		}
		forget_other_lun(nexus, identity.designator);
		if (!place_anew(nexus, reason)) {
			set_failure(nexus, reason);
			return false;
		}
	}
	if (!nexus->record.away && !lun_hold(nexus->lun, false, reason)) {
		set_failure(nexus, reason);
		return false;
	}
	pthread_mutex_lock(&nexus->lock);
	nexus->identity = identity;
	pthread_mutex_unlock(&nexus->lock);
	nexus->ops->identified(nexus->port, &identity);
	nexus_check_port(nexus);
	snprintf(nexus->record.lun, sizeof(nexus->record.lun), "%s", identity.designator);
	snprintf(nexus->record.group, sizeof(nexus->record.group), "%s", nexus->config.cfg.group);
	/* A new nexus that will be refused leaves nothing behind by which it would be known next time. */
	if (!nexus->known && nexus->port_failure[0] != '\0')
		return true;
	if (nexus->config.cfg.migrate_pr && !settle(nexus, doubt))
		return false;
	nexus_handover(nexus, &handover);
	if (!handover.ops->save(handover.user)) {
		set_failure(nexus, "the state cannot be written to disk: see the log");
		return false;
	}
	nexus->known = true;
	set_failure(nexus, "");
	return true;
}

void nexus_connect(struct nexus *nexus)
{
	bool up = bring_up(nexus), open;

	pthread_mutex_lock(&nexus->lock);
	nexus->ready = up;
	nexus->first_connect_done = true;
	nexus->connect_wanted = false;
	nexus->connect_tried_ms = nexus->resync_done_ms = nexus_now_ms();
	open = handover_gate_open(&nexus->record) && !nexus->gate_open;
	nexus->first_write_matters = nexus->record.in_done && !nexus->record.in_ran;
	pthread_cond_broadcast(&nexus->idle);
	pthread_mutex_unlock(&nexus->lock);
	if (up)
		nexus_spread(nexus, open);
	if (open)
		nexus_gate_open(nexus);
	nexus_publish(nexus);
}
