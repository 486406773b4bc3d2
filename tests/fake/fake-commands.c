/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that the fake has, and the order of checks before each. */
#include "fake-internal.h"

#include <string.h>

#define NO_ACTION (-1)
#define REPORTED_TIMEOUTS 0x80

static void nothing(struct fake_exec *exec)
{
	(void)exec;
}

static void start_stop(struct fake_exec *exec)
{
	(void)exec; /* the medium has no motor */
}

static void zeros(struct fake_exec *exec)
{
	/* READ DEFECT DATA, READ BUFFER in descriptor mode, RECEIVE DIAGNOSTIC RESULTS: an empty
	 * list. */
	static const uint8_t data[4];

	fake_reply(exec, data, sizeof(data),
		   exec->cdb[0] == 0x3c ? get32(exec->cdb + 5) & 0xffffff : get16(exec->cdb + 7));
}

static void report_tmfs(struct fake_exec *exec)
{
	static const uint8_t data[4] = {0xd8}; /* abort task, task set, clear task set, LU reset */

	fake_reply(exec, data, sizeof(data), get32(exec->cdb + 6));
}

static const struct command {
	uint8_t opcode;
	int action;
	uint8_t cdb_len;
	void (*run)(struct fake_exec *exec);
} commands[] = {
	{0x00, NO_ACTION, 6, nothing}, /* TEST UNIT READY */
	{0x03, NO_ACTION, 6, fake_request_sense},
	{0x04, NO_ACTION, 6, nothing}, /* FORMAT UNIT */
	{0x08, NO_ACTION, 6, fake_read},
	{0x0a, NO_ACTION, 6, fake_write},
	{0x12, NO_ACTION, 6, fake_inquiry},
	{0x15, NO_ACTION, 6, fake_mode_select},
	{0x16, NO_ACTION, 6, fake_reserve_release},
	{0x17, NO_ACTION, 6, fake_reserve_release},
	{0x1a, NO_ACTION, 6, fake_mode_sense},
	{0x1b, NO_ACTION, 6, start_stop},
	{0x1d, NO_ACTION, 6, nothing}, /* SEND DIAGNOSTIC */
	{0x1e, NO_ACTION, 6, nothing}, /* PREVENT ALLOW MEDIUM REMOVAL */
	{0x25, NO_ACTION, 10, fake_read_capacity_10},
	{0x28, NO_ACTION, 10, fake_read},
	{0x2a, NO_ACTION, 10, fake_write},
	{0x2e, NO_ACTION, 10, fake_write},
	{0x2f, NO_ACTION, 10, fake_verify},
	{0x34, NO_ACTION, 10, fake_in_range},
	{0x35, NO_ACTION, 10, fake_in_range},
	{0x37, NO_ACTION, 10, zeros},
	{0x3b, NO_ACTION, 10, nothing}, /* WRITE BUFFER */
	{0x3c, NO_ACTION, 10, zeros},
	{0x41, NO_ACTION, 10, fake_write_same},
	{0x42, NO_ACTION, 10, fake_unmap},
	{0x4c, NO_ACTION, 10, nothing}, /* LOG SELECT */
	{0x4d, NO_ACTION, 10, fake_log_sense},
	{0x55, NO_ACTION, 10, fake_mode_select},
	{0x56, NO_ACTION, 10, fake_reserve_release},
	{0x57, NO_ACTION, 10, fake_reserve_release},
	{0x5a, NO_ACTION, 10, fake_mode_sense},
	{0x5e, 0x00, 10, fake_pr_in},
	{0x5e, 0x01, 10, fake_pr_in},
	{0x5e, 0x02, 10, fake_pr_in},
	{0x5e, 0x03, 10, fake_pr_in},
	{0x5f, 0x00, 10, fake_pr_out},
	{0x5f, 0x01, 10, fake_pr_out},
	{0x5f, 0x02, 10, fake_pr_out},
	{0x5f, 0x03, 10, fake_pr_out},
	{0x5f, 0x04, 10, fake_pr_out},
	{0x5f, 0x05, 10, fake_pr_out},
	{0x5f, 0x06, 10, fake_pr_out},
	{0x5f, 0x07, 10, fake_pr_out},
	{0x7f, 0x09, 32, fake_read},
	{0x7f, 0x0b, 32, fake_write},
	{0x88, NO_ACTION, 16, fake_read},
	{0x89, NO_ACTION, 16, fake_compare_and_write},
	{0x8a, NO_ACTION, 16, fake_write},
	{0x8e, NO_ACTION, 16, fake_write},
	{0x8f, NO_ACTION, 16, fake_verify},
	{0x90, NO_ACTION, 16, fake_in_range},
	{0x91, NO_ACTION, 16, fake_in_range},
	{0x93, NO_ACTION, 16, fake_write_same},
	{0x9e, 0x10, 16, fake_read_capacity_16},
	{0x9e, 0x12, 16, fake_get_lba_status},
	{0xa0, NO_ACTION, 12, fake_report_luns},
	{0xa3, 0x0a, 12, fake_report_target_port_groups},
	{0xa3, 0x0c, 12, fake_report_opcodes},
	{0xa3, 0x0d, 12, report_tmfs},
	{0xa4, 0x0a, 12, nothing}, /* SET TARGET PORT GROUPS */
	{0xa8, NO_ACTION, 12, fake_read},
	{0xaa, NO_ACTION, 12, fake_write},
	{0xae, NO_ACTION, 12, fake_write},
	{0xaf, NO_ACTION, 12, fake_verify},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static bool supported(const struct fake_quirks *quirks, const struct command *command)
{
	switch (command->opcode) {
	case 0x5e:
		return !quirks->no_persistent_reserve &&
		       !(command->action == 3 && quirks->no_read_full_status);
	case 0x5f:
		return !quirks->no_persistent_reserve &&
		       !(command->action == 5 && quirks->no_preempt_and_abort) &&
		       !(command->action == 7 && quirks->no_register_and_move);
	case 0x16:
	case 0x17:
	case 0x56:
	case 0x57:
		return !quirks->no_reserve_release;
	default:
		return true;
	}
}

static int action_of(const uint8_t *cdb, size_t len)
{
	if (cdb[0] == 0x7f)
		return len >= 10 ? get16(cdb + 8) : -2;
	return len >= 2 ? cdb[1] & 0x1f : -2;
}

/* *ret_opcode: the operation code is known, though the service action may not be. */
static const struct command *command_find(const struct fake_quirks *quirks, uint8_t opcode,
					  int action, bool *ret_opcode)
{
	*ret_opcode = false;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (commands[i].opcode != opcode)
			continue;
		if (!supported(quirks, &commands[i])) {
			*ret_opcode |=
				commands[i].action != NO_ACTION && !quirks->no_persistent_reserve;
			continue;
		}
		*ret_opcode = true;
		if (commands[i].action == NO_ACTION || commands[i].action == action)
			return &commands[i];
	}
	return NULL;
}

static bool ignores_unit_attention(uint8_t opcode)
{
	return opcode == 0x03 || opcode == 0x12 || opcode == 0xa0;
}

/* True: a unit attention or a conflict has answered. */
static bool answered_before(struct fake_exec *exec)
{
	struct fake_pr *now = fake_pr(exec->lun);
	uint8_t opcode = exec->cdb[0];
	bool conflict = fake_cdb_conflicts(exec);
	uint16_t asc_ascq;

	if (now->ua_count[exec->nexus] > 0 && !ignores_unit_attention(opcode)) {
		uint16_t first = now->ua[exec->nexus][0];

		/* SAM-5 ranks RESERVATION CONFLICT above these three. */
		if (conflict && !exec->lun->quirks.unit_attention_first &&
		    first >= ASC_RESERVATIONS_PREEMPTED && first <= ASC_REGISTRATIONS_PREEMPTED) {
			fake_conflict(exec);
			return true;
		}
		/* Delivered whatever becomes of the command. */
		fake_ua_take(now, exec->nexus, &asc_ascq);
		fake_sense(exec->result, KEY_UNIT_ATTENTION, asc_ascq);
		return true;
	}
	if (conflict)
		fake_conflict(exec);
	return conflict;
}

void fake_command_run(struct fake_exec *exec)
{
	const struct command *command;
	bool opcode_known;

	if (exec->cdb_len < 6) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
		return;
	}
	if (answered_before(exec))
		return;
	command = command_find(&exec->lun->quirks, exec->cdb[0],
			       action_of(exec->cdb, exec->cdb_len), &opcode_known);
	if (command == NULL)
		fake_illegal(exec, opcode_known ? ASC_INVALID_FIELD_IN_CDB : ASC_INVALID_OPCODE);
	else if (exec->cdb_len < command->cdb_len)
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
	else
		command->run(exec);
}

/* SPC-4 6.35: a command timeouts descriptor, nothing stated. */
static size_t put_timeouts(uint8_t *data, bool wanted)
{
	if (!wanted)
		return 0;
	put16(data, 10);
	return 12;
}

static size_t report_all(const struct fake_quirks *quirks, bool timeouts, uint8_t *data)
{
	size_t len = 4;

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *command = &commands[i];
		uint8_t *entry = data + len;

		if (!supported(quirks, command))
			continue;
		entry[0] = command->opcode;
		if (command->action != NO_ACTION)
			put16(entry + 2, (uint16_t)command->action);
		entry[5] = (uint8_t)((timeouts ? 2 : 0) | (command->action != NO_ACTION ? 1 : 0));
		put16(entry + 6, command->cdb_len);
		len += 8;
		len += put_timeouts(data + len, timeouts);
	}
	put32(data, (uint32_t)len - 4);
	return len;
}

/* REPORT SUPPORTED OPERATION CODES. */
void fake_report_opcodes(struct fake_exec *exec)
{
	const struct fake_quirks *quirks = &exec->lun->quirks;
	const uint8_t *cdb = exec->cdb;
	bool timeouts = cdb[2] & REPORTED_TIMEOUTS, known, has_actions;
	uint8_t data[FAKE_REPLY_MAX] = {0};
	const struct command *command;
	int action = get16(cdb + 4);
	size_t len = 4;

	if ((cdb[2] & 7) == 0) {
		len = report_all(quirks, timeouts, data);
		fake_reply(exec, data, len, get32(cdb + 6));
		return;
	}
	command = command_find(quirks, cdb[3], action, &known);
	has_actions = command != NULL ? command->action != NO_ACTION : known;
	if ((cdb[2] & 7) > 3 || ((cdb[2] & 7) == 1 && has_actions) ||
	    ((cdb[2] & 7) == 2 && known && !has_actions)) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
		return;
	}
	data[1] = (uint8_t)(command == NULL ? 1 : 3 | (timeouts ? 0x80 : 0));
	if (command != NULL) {
		put16(data + 2, command->cdb_len);
		memset(data + 4, 0xff, command->cdb_len);
		data[4] = command->opcode;
		len += command->cdb_len;
		len += put_timeouts(data + len, timeouts);
	}
	fake_reply(exec, data, len, get32(cdb + 6));
}
