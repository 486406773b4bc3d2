/* SPDX-License-Identifier: Apache-2.0 */
/* What makes Import refuse, and Check, which asks just that. */
#include "handover-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_AGE_S 600

static const char *state_text(enum nexus_state state)
{
	return state == NEXUS_ACTIVE ? "active" : state == NEXUS_INCOMING ? "incoming" : "exported";
}

bool handover_same(const struct record_terms *terms, const struct state_line *line)
{
	return terms->id[0] != '\0' && strcmp(terms->id, line->terms.id) == 0;
}

/* Design section 7, "Import is taken by". */
enum nexus_error handover_check_state(struct handover *handover, const struct state_line *line,
				      bool force)
{
	const struct record *record = handover->record;

	if (!handover->migrate_pr)
		return handover_fail(
			handover, NEXUS_ERROR_UNSUPPORTED,
			"nexus '%s' has migrate-pr=off: create the backstore without that option",
			handover->name);
	if (line != NULL && handover_same(&record->in, line) && record->in_ran && !record->in_done)
		return handover_fail(
			handover, NEXUS_ERROR_STALE,
			"hand-over %s was imported by nexus '%s', and the guest has been exported "
			"from there since",
			line->terms.id, handover->name);
	if (record->state != NEXUS_ACTIVE || record->fenced)
		return NEXUS_OK;
	if (line != NULL && handover_same(&record->in, line))
		return NEXUS_OK;
	if (record->key != 0)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is active and its guest is registered with key 0x%" PRIx64
			": Import is for a nexus whose guest has not arrived; Forget would "
			"unregister it",
			handover->name, record->key);
	/* Where the nexus is not, nothing was written through it. */
	if (!record->away && handover->ops->guest_has_written(handover->user) && !force)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"nexus '%s' is active and a guest has written through it: Import would "
			"put a second guest on it (force, when that guest is known to be gone)",
			handover->name);
	return NEXUS_OK;
}

enum nexus_error handover_fail_key_shared(struct handover *handover,
					  const struct record_terms *terms)
{
	return handover_fail(
		handover, NEXUS_ERROR_KEY_SHARED,
		"key 0x%" PRIx64
		" is registered on %u nexuses: taking the reservation over would throw "
		"others out; give each node of the cluster a key of its own",
		terms->key, terms->count);
}

static bool is_the_guests(const struct record *record, const struct state_line *line,
			  const char *transport_id)
{
	if (record_knows_transport_id(record, transport_id))
		return true;
	for (size_t i = 0; i < RECORD_TRANSPORT_IDS; i++)
		if (strcmp(line->transport_ids[i], transport_id) == 0)
			return true;
	return false;
}

bool handover_strangers_share_key(struct handover *handover, const struct state_line *line,
				  bool stands_here)
{
	const struct record *record = handover->record;
	struct handover_registrants registrants;
	size_t unknown = 0;

	if (line->terms.count <= record_terms_ours(&line->terms) + (stands_here ? 1u : 0u))
		return false;
	if (!handover->ops->read_full_status(handover->user, line->terms.key, &registrants) ||
	    registrants.count > HANDOVER_REGISTRANTS)
		return true;
	for (size_t i = 0; i < registrants.count; i++)
		if (!is_the_guests(record, line, registrants.with_key[i].transport_id))
			unknown++;
	/* This nexus itself, where it does not know its TransportID yet. */
	return unknown > (record->in_registered && !record->own_transport_id ? 1u : 0u);
}

enum nexus_error handover_check_line(struct handover *handover, const struct state_line *line,
				     bool force)
{
	const struct record *record = handover->record;
	uint64_t now_s = handover->ops->wall_clock_s(handover->user);
	const struct record_terms *terms = &line->terms;
	uint64_t age_s = now_s > terms->time_s ? now_s - terms->time_s : terms->time_s - now_s;

	if (strcmp(record->lun, line->lun) != 0)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_LUN,
			"the state line is of LUN %s, and nexus '%s' is on LUN %s: Import on the "
			"backstore that reaches the same LUN",
			line->lun, handover->name, record->lun);
	if ((terms->led || terms->siblings > 0) && !handover->part.of_group)
		return handover_fail(
			handover, NEXUS_ERROR_WRONG_STATE,
			"the state line is of a guest that has key 0x%" PRIx64
			" on several nexuses of its group on this LUN: they move together; Import "
			"the state of the whole group",
			terms->key);
	if (age_s > LINE_MAX_AGE_S && !force)
		return handover_fail(
			handover, NEXUS_ERROR_STALE,
			"the state line was made at %" PRIu64 " and it is %" PRIu64
			" here (seconds "
			"since 1970): lines of more than %d s are not taken; Export again, or set "
			"the clocks of both hosts (force, when the clocks are known to differ)",
			terms->time_s, now_s, LINE_MAX_AGE_S);
	return NEXUS_OK;
}

enum nexus_error handover_fail_stale(struct handover *handover, const struct record_terms *terms,
				     const struct pr_keys *keys, uint32_t expected)
{
	if (keys->matching == 0)
		return handover_fail(
			handover, NEXUS_ERROR_FENCED,
			"key 0x%" PRIx64
			" is not registered on the LUN any more: another initiator "
			"has removed it since Export; Abort at the source, whose guest is fenced",
			terms->key);
	return handover_fail(
		handover, NEXUS_ERROR_STALE,
		"the LUN's registrations have changed since Export: PRGENERATION is %u where %u "
		"was due, key 0x%" PRIx64 " is listed %u times: Export again, and Import that line",
		keys->generation, expected, terms->key, keys->matching);
}

enum nexus_error handover_check(struct handover *handover, const char *text, bool force)
{
	struct record *record = handover->record;
	struct pr_capabilities capabilities;
	struct handover_view view = {0};
	struct state_line line;
	enum nexus_error error;
	bool empty = text[0] == '\0';

	if (!empty && !state_line_parse(text, &line, handover->message))
		return NEXUS_ERROR_BAD_STATE;
	error = handover_check_state(handover, empty ? NULL : &line, force);
	if (error == NEXUS_OK && !empty)
		error = handover_check_line(handover, &line, force);
	if (error != NEXUS_OK)
		return error;
	if (handover_import_unfinished(record) && (empty || !handover_same(&record->in, &line)))
		return handover_fail(handover, NEXUS_ERROR_WRONG_STATE,
				     "nexus '%s' (%s) has an unfinished Import of hand-over %s: "
				     "Abort that first",
				     handover->name, state_text(record->state), record->in.id);
	if (!empty && !(record->in_done && handover_same(&record->in, &line))) {
		error = handover_whole_check(handover, &line);
		if (error == NEXUS_OK && line.terms.whole && !record->in_arrived)
			error = handover_whole_look(handover, &line);
		if (error != NEXUS_OK)
			return error;
	}
	if (!handover->ops->read_capabilities(handover->user, &capabilities))
		return handover_fail_lun(handover, "reading the LUN's reservation capabilities");
	/* The ticket is good: nothing has changed since it was made. */
	if (record->away && handover->emulated)
		return NEXUS_OK;
	error = handover_look(handover, empty ? 0 : line.terms.key, &view);
	if (error != NEXUS_OK || empty || line.terms.row == 1 || line.terms.moved ||
	    line.terms.led || record->in_registered ||
	    (record->in_done && handover_same(&record->in, &line)))
		return error;
	if (line.terms.whole)
		return view.keys.matching > 0
			       ? NEXUS_OK
			       : handover_fail_stale(handover, &line.terms, &view.keys, 0);
	if (view.keys.generation != line.terms.generation + handover->part.moves ||
	    view.keys.matching != line.terms.count)
		return handover_fail_stale(handover, &line.terms, &view.keys,
					   line.terms.generation + handover->part.moves);
	if (line.terms.row == 3 && !line.terms.moved &&
	    handover_strangers_share_key(handover, &line,
					 record->state == NEXUS_EXPORTED &&
						 record->out.key == line.terms.key))
		return handover_fail_key_shared(handover, &line.terms);
	return NEXUS_OK;
}
