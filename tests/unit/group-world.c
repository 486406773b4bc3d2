/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/group-world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group-internal.h"

static struct group_host *host; /* whose call it is */

static struct side *find(const char *name)
{
	for (size_t i = 0; i < host->count; i++)
		if (strcmp(host->sides[i]->name, name) == 0)
			return host->sides[i];
	return NULL;
}

bool nexus_get_info(const char *name, struct nexus_info *ret_info)
{
	const struct side *side = find(name);
	const struct record *record = &side->record;
	bool in = record->state == NEXUS_INCOMING || record->in_done || record->in_registered;
	const struct record_terms *terms =
		in && record->state != NEXUS_EXPORTED ? &record->in : &record->out;

	memset(ret_info, 0, sizeof(*ret_info));
	snprintf(ret_info->name, sizeof(ret_info->name), "%s", name);
	snprintf(ret_info->group, sizeof(ret_info->group), "vm");
	snprintf(ret_info->lun, sizeof(ret_info->lun), "%s", record->lun);
	snprintf(ret_info->handover_id, sizeof(ret_info->handover_id), "%s", terms->id);
	ret_info->handover_key = terms->key;
	ret_info->handover_led = terms->led;
	ret_info->state = record->state;
	ret_info->fenced = record->fenced;
	ret_info->key = record->key;
	ret_info->holder = record->holder;
	return true;
}

/* In an order that is not that of the names. */
void nexus_for_each(void (*visit)(void *user, const char *name), void *user)
{
	for (size_t i = host->count; i-- > 0;)
		visit(user, host->sides[i]->name);
}

void nexus_for_each_known(void (*visit)(void *user, const char *name, const char *group),
			  void *user)
{
	(void)visit, (void)user;
}

static enum nexus_error run(struct side *side, enum nexus_method method, const char *state,
			    bool force, char *ret_state)
{
	switch (method) {
	case NEXUS_EXPORT:
		return side_export(side, ret_state);
	case NEXUS_IMPORT:
		return side_import(side, state);
	case NEXUS_ABORT:
		return side_abort(side, force);
	case NEXUS_RELEASE:
		return side_release(side, force);
	case NEXUS_CHECK:
		return side_check(side, state);
	case NEXUS_PREPARE:
		return side_prepare(side, ret_state);
	case NEXUS_PROVE:
		return side_prove(side);
	default:
		return NEXUS_ERROR_UNSUPPORTED;
	}
}

bool nexus_call(const char *name, enum nexus_method method, const char *state,
		const struct nexus_options *options, nexus_done done, void *user)
{
	struct side *side = find(name);
	struct nexus_reply reply = {0};

	side->part = options->part;
	side->take_only = options->take_only;
	snprintf(side->destination, sizeof(side->destination), "%s",
		 options->destination != NULL ? options->destination : "");
	reply.error = run(side, method, state, options->force, reply.state);
	reply.moves = side->record.in_moves;
	snprintf(reply.message, sizeof(reply.message), "%s", side->message);
	side->part = (struct nexus_part){0};
	side->take_only = false;
	done(user, &reply);
	return true;
}

void group_host_set_destination(struct group_host *of, const char *destination)
{
	snprintf(of->destination, sizeof(of->destination), "%s", destination);
}

enum nexus_error group_host_call(struct group_host *of, enum nexus_method method, char *state,
				 bool force)
{
	/* One that was killed stays as it was. */
	static struct group_work work;
	struct nexus_options options = {.force = force};
	enum nexus_error error;

	host = of;
	if (method == NEXUS_EXPORT && of->destination[0] != '\0')
		options.destination = of->destination;
	if (work.state != NULL)
		group_work_clear(&work);
	for (size_t i = 0; i < host->count; i++) {
		host->sides[i]->part = (struct nexus_part){0};
		host->sides[i]->take_only = false;
	}
	if (!group_work_init(&work, "vm", method,
			     method == NEXUS_IMPORT || method == NEXUS_CHECK ? state : "",
			     &options))
		abort();
	group_run(&work);
	error = work.reply.error;
	if (error == NEXUS_OK && (method == NEXUS_EXPORT || method == NEXUS_PREPARE))
		memcpy(state, work.reply.state, strlen(work.reply.state) + 1);
	snprintf(host->message, sizeof(host->message), "%s", work.reply.message);
	return error;
}
