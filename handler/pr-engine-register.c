/* SPDX-License-Identifier: Apache-2.0 */
/* REGISTER, REGISTER AND IGNORE EXISTING KEY, REGISTER AND MOVE. */
#include "be.h"
#include "pr-engine-internal.h"

#define MOVE_FLAGS 17
#define MOVE_FLAG_UNREG 0x02
#define MOVE_RELATIVE_TARGET_PORT 18
#define MOVE_TRANSPORT_ID_LEN 20
#define MOVE_TRANSPORT_ID 24

static void unregister(struct pr_engine_command *command)
{
	struct pr_engine *engine = command->engine;
	bool holder = pr_engine_is_holder(engine, command->nexus);
	uint8_t type = engine->type;

	engine->nexuses[command->nexus].key = 0;
	if (!holder || (pr_type_all_registrants(type) && pr_engine_registrations(engine) > 0))
		return;
	pr_engine_release(engine);
	if (type == PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY ||
	    type == PR_TYPE_EXCLUSIVE_ACCESS_REGISTRANTS_ONLY)
		pr_engine_tell_registered(command, SCSI_ASC_RESERVATIONS_RELEASED);
}

struct pr_engine_answer pr_engine_register(struct pr_engine_command *command)
{
	struct pr_engine *engine = command->engine;
	uint64_t *key = &engine->nexuses[command->nexus].key;

	if (*key == 0 && command->out.new_key != 0 &&
	    pr_engine_registrations(engine) >= PR_ENGINE_REGISTRATIONS)
		return pr_engine_illegal(SCSI_ASC_INSUFFICIENT_REGISTRATION_RESOURCES);
	if (command->out.new_key != 0)
		*key = command->out.new_key;
	else if (*key != 0)
		unregister(command);
	engine->aptpl = command->out.aptpl;
	pr_engine_count(command);
	return pr_engine_good();
}

struct pr_engine_answer pr_engine_register_and_move(struct pr_engine_command *command)
{
	struct pr_engine *engine = command->engine;
	struct pr_engine_nexus *sender = &engine->nexuses[command->nexus];
	const uint8_t *list = command->list;
	const uint8_t *id = list + MOVE_TRANSPORT_ID;
	size_t id_len = be_get32(list + MOVE_TRANSPORT_ID_LEN);
	bool unregisters = list[MOVE_FLAGS] & MOVE_FLAG_UNREG;
	int destination;

	if (engine->type == PR_TYPE_NONE)
		return pr_engine_illegal(SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (pr_type_all_registrants(engine->type) || engine->holder != command->nexus)
		return pr_engine_conflict();
	destination =
		pr_engine_find_port(engine, id, id_len, be_get16(list + MOVE_RELATIVE_TARGET_PORT));
	/* The sender's own initiator port is refused on every target port. */
	if (command->out.new_key == 0 || destination < 0 ||
	    pr_engine_find_port(engine, id, id_len, sender->relative_target_port) ==
		    (int)command->nexus)
		return pr_engine_illegal(SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST);

	if (engine->nexuses[destination].key == 0 && !unregisters &&
	    pr_engine_registrations(engine) >= PR_ENGINE_REGISTRATIONS)
		return pr_engine_illegal(SCSI_ASC_INSUFFICIENT_REGISTRATION_RESOURCES);
	if (unregisters)
		sender->key = 0;
	engine->nexuses[destination].key = command->out.new_key;
	engine->holder = (uint8_t)destination;
	engine->aptpl = command->out.aptpl;
	pr_engine_count(command);
	return pr_engine_good();
}
