/* SPDX-License-Identifier: Apache-2.0 */
/* PREEMPT, PREEMPT AND ABORT. */
#include "pr-engine-internal.h"

/* Removes the registrations with key (0: all), but the sender's where keep_sender. */
static void remove_registrations(struct pr_engine_command *command, uint64_t key, bool keep_sender)
{
	struct pr_engine *engine = command->engine;

	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		if (engine->nexuses[i].key == 0 || (key != 0 && engine->nexuses[i].key != key) ||
		    (keep_sender && i == command->nexus))
			continue;
		engine->nexuses[i].key = 0;
		command->change->aborted |= 1ull << i;
		pr_engine_tell(command, i, SCSI_ASC_REGISTRATIONS_PREEMPTED);
	}
}

static bool is_key(const struct pr_engine *engine, uint64_t key)
{
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++)
		if (engine->nexuses[i].key == key)
			return true;
	return false;
}

struct pr_engine_answer pr_engine_preempt(struct pr_engine_command *command)
{
	struct pr_engine *engine = command->engine;
	const struct pr_out *out = &command->out;
	bool held = engine->type != PR_TYPE_NONE;
	bool all_registrants = pr_type_all_registrants(engine->type);
	bool takes_over = all_registrants
				  ? out->new_key == 0
				  : held && engine->nexuses[engine->holder].key == out->new_key;
	uint8_t type = engine->type;

	if (out->new_key == 0 && !all_registrants)
		return held ? pr_engine_illegal(SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST)
			    : pr_engine_conflict();
	if (out->new_key != 0 && !is_key(engine, out->new_key))
		return pr_engine_conflict();
	if (takes_over && (out->scope != 0 || !pr_type_valid(out->type)))
		return pr_engine_illegal(SCSI_ASC_INVALID_FIELD_IN_CDB);

	remove_registrations(command, out->new_key, takes_over);
	if (takes_over) {
		pr_engine_hold(engine, out->type, command->nexus);
		if (type != out->type)
			pr_engine_tell_registered(command, SCSI_ASC_RESERVATIONS_RELEASED);
	} else if (all_registrants && pr_engine_registrations(engine) == 0) {
		pr_engine_release(engine);
	}
	pr_engine_count(command);
	command->change->aborts = out->action == PR_OUT_PREEMPT_AND_ABORT;
	if (!command->change->aborts)
		command->change->aborted = 0;
	return pr_engine_good();
}
