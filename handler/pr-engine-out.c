/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE OUT, SPC-4 5.9 and 6.16: the checks that all service actions have in common, in their order; RESERVE, RELEASE, CLEAR. */
#include "be.h"
#include "pr-engine-internal.h"

#define MOVE_TRANSPORT_ID_LEN 20
#define TRANSPORT_ID_LEN_MIN 24

void pr_engine_tell(struct pr_engine_command *command, unsigned int nexus, uint16_t asc_ascq)
{
	if (nexus == command->nexus)
		return;
	command->change->unit_attention[nexus] = asc_ascq;
	pr_engine_add_unit_attention(command->engine, nexus, asc_ascq);
}

void pr_engine_tell_registered(struct pr_engine_command *command, uint16_t asc_ascq)
{
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++)
		if (command->engine->nexuses[i].key != 0)
			pr_engine_tell(command, i, asc_ascq);
}

void pr_engine_count(struct pr_engine_command *command)
{
	command->engine->generation++;
	command->change->changed = true;
}

void pr_engine_hold(struct pr_engine *engine, uint8_t type, unsigned int nexus)
{
	engine->type = type;
	engine->holder = pr_type_all_registrants(type) ? 0 : (uint8_t)nexus;
}

void pr_engine_release(struct pr_engine *engine)
{
	engine->type = PR_TYPE_NONE;
	engine->holder = 0;
}

static struct pr_engine_answer reserve(struct pr_engine_command *command)
{
	struct pr_engine *engine = command->engine;

	if (command->out.scope != 0 || !pr_type_valid(command->out.type))
		return pr_engine_illegal(SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (engine->type == PR_TYPE_NONE) {
		pr_engine_hold(engine, command->out.type, command->nexus);
		command->change->changed = true;
		return pr_engine_good();
	}
	if (!pr_engine_is_holder(engine, command->nexus) || engine->type != command->out.type)
		return pr_engine_conflict();
	return pr_engine_good();
}

static struct pr_engine_answer release(struct pr_engine_command *command)
{
	struct pr_engine *engine = command->engine;
	uint8_t type = engine->type;

	if (!pr_engine_is_holder(engine, command->nexus))
		return pr_engine_good();
	if (command->out.scope != 0 || command->out.type != type)
		return pr_engine_illegal(SCSI_ASC_INVALID_RELEASE_OF_PERSISTENT_RESERVATION);
	pr_engine_release(engine);
	if (type != PR_TYPE_WRITE_EXCLUSIVE && type != PR_TYPE_EXCLUSIVE_ACCESS)
		pr_engine_tell_registered(command, SCSI_ASC_RESERVATIONS_RELEASED);
	command->change->changed = true;
	return pr_engine_good();
}

static struct pr_engine_answer clear(struct pr_engine_command *command)
{
	pr_engine_tell_registered(command, SCSI_ASC_RESERVATIONS_PREEMPTED);
	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++)
		command->engine->nexuses[i].key = 0;
	pr_engine_release(command->engine);
	pr_engine_count(command);
	return pr_engine_good();
}

/* The list's length, and the flags in it. 0: good; else the ASC/ASCQ. */
static uint16_t check_list(const struct pr_engine_command *command, bool complete)
{
	const struct pr_out *out = &command->out;
	bool move = out->action == PR_OUT_REGISTER_AND_MOVE;
	bool registers = out->action == PR_OUT_REGISTER ||
			 out->action == PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY;

	if (!complete || out->list_len > command->list_len || out->list_len > PR_OUT_LIST_MAX)
		return SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR;
	if (out->spec_i_pt)
		return SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST;
	if (move) {
		uint32_t id_len = be_get32(command->list + MOVE_TRANSPORT_ID_LEN);

		if (id_len > out->list_len - PR_OUT_LIST_LEN)
			return SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR;
		if (id_len < TRANSPORT_ID_LEN_MIN || id_len % 4 != 0)
			return SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST;
	} else if (out->list_len != PR_OUT_LIST_LEN) {
		return SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR;
	}
	if ((out->all_tg_pt && registers) ||
	    (out->aptpl && (registers || move) && !command->engine->ptpl_c))
		return SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST;
	return 0;
}

/* An unregistered sender of REGISTER has to say 0. */
static bool sender_conflicts(const struct pr_engine_command *command)
{
	uint64_t key = command->engine->nexuses[command->nexus].key;

	switch (command->out.action) {
	case PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY:
		return false;
	case PR_OUT_REGISTER:
		return command->out.key != key;
	default:
		return key == 0 || command->out.key != key;
	}
}

static struct pr_engine_answer decide(struct pr_engine_command *command, bool complete)
{
	uint16_t asc_ascq;

	if (command->out.action >= PR_OUT_REPLACE_LOST_RESERVATION)
		return pr_engine_illegal(SCSI_ASC_INVALID_FIELD_IN_CDB);
	asc_ascq = check_list(command, complete);
	if (asc_ascq != 0)
		return pr_engine_illegal(asc_ascq);
	if (sender_conflicts(command))
		return pr_engine_conflict();
	switch (command->out.action) {
	case PR_OUT_RESERVE:
		return reserve(command);
	case PR_OUT_RELEASE:
		return release(command);
	case PR_OUT_CLEAR:
		return clear(command);
	case PR_OUT_PREEMPT:
	case PR_OUT_PREEMPT_AND_ABORT:
		return pr_engine_preempt(command);
	case PR_OUT_REGISTER_AND_MOVE:
		return pr_engine_register_and_move(command);
	default:
		return pr_engine_register(command);
	}
}

void pr_engine_out(const struct pr_engine *engine, unsigned int nexus, const uint8_t *cdb,
		   const uint8_t *list, size_t list_len, struct pr_engine_change *ret_change)
{
	struct pr_engine_command command = {
		.engine = &ret_change->next,
		.change = ret_change,
		.nexus = nexus,
		.list = list,
		.list_len = list_len,
	};
	bool complete = pr_out_parse(cdb, list, list_len, &command.out);

	*ret_change = (struct pr_engine_change){.next = *engine};
	ret_change->answer = decide(&command, complete);
}
