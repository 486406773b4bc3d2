/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon is killed while a guest's own PERSISTENT RESERVE OUT is on its way: the kernel answers BUSY, the guest repeats it, and is told
 * GOOD when its effect stands.
 */
#include <limits.h>

#include "unit/handover-checks.h"

struct command {
	const char *name;
	size_t row; /* of world_rows: where the guest starts */
	enum pr_out_action action;
	uint64_t key, new_key;
	uint8_t type;
	uint64_t then_key; /* registered after it */
	uint8_t then_type; /* of the reservation, whoever has it */
};

static const struct command commands[] = {
	{"REGISTER", 0, PR_OUT_REGISTER, 0, KEY_S, 0, KEY_S, 0},
	{"REGISTER of another key", 6, PR_OUT_REGISTER, KEY_S, 0x6161, 0, 0x6161, 5},
	{"REGISTER of the same key", 6, PR_OUT_REGISTER, KEY_S, KEY_S, 0, KEY_S, 5},
	{"REGISTER of no key", 1, PR_OUT_REGISTER, KEY_S, 0, 0, 0, 0},
	{"REGISTER of no key, all registrants", 8, PR_OUT_REGISTER, KEY_S, 0, 0, 0, 7},
	{"REGISTER AND IGNORE", 0, PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY, 0, KEY_S, 0, KEY_S, 0},
	{"REGISTER AND IGNORE, new key", 6, PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY, 0, 0x6161, 0,
	 0x6161, 5},
	{"RESERVE", 1, PR_OUT_RESERVE, KEY_S, 0, 3, KEY_S, 3},
	{"RELEASE", 6, PR_OUT_RELEASE, KEY_S, 0, 5, KEY_S, 0},
	{"PREEMPT of the holder", 2, PR_OUT_PREEMPT, KEY_S, KEY_X, 5, KEY_S, 5},
	{"PREEMPT of a registrant", 6, PR_OUT_PREEMPT, KEY_S, KEY_X, 5, KEY_S, 5},
	{"PREEMPT of itself", 4, PR_OUT_PREEMPT, KEY_S, KEY_S, 6, KEY_S, 6},
	{"CLEAR", 6, PR_OUT_CLEAR, KEY_S, 0, 0, 0, 0},
};

static unsigned int kills, concluded;

/* True: the command has ended. */
static bool run(const struct command *command, unsigned int kill_at, uint8_t *ret_status)
{
	volatile bool ended = false;
	jmp_buf killed;

	world.act = world_kill;
	world.act_at = kill_at;
	world.events = 0;
	world.source.killed = &killed;
	if (setjmp(killed) == 0) {
		*ret_status = side_guest(&world.source, command->action, command->key,
					 command->new_key, command->type);
		ended = true;
	}
	world.act_at = UINT_MAX;
	world.source.killed = NULL;
	return ended;
}

static void repeated_command_is_answered_good(void)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		for (int kind = 0; kind <= WORLD_LIO_NO_APTPL_FOLDER; kind++) {
			bool ended = false;

			for (unsigned int event = 0; !ended; event++) {
				const struct command *command = &commands[i];
				struct fake_state state;
				uint8_t status = 0;

				world_set_up(&world_rows[command->row], kind);
				CHECK_NOTE(command->name);
				ended = run(command, event, &status);
				if (!ended) {
					bool journalled =
						strstr(world.source.disk, "pending-cdb") != NULL;

					kills++;
					CHECK_INT(side_restart(&world.source), NEXUS_OK);
					CHECK(run(command, UINT_MAX, &status));
					/* Not a lie of this LUN's: NOT READY, and done. */
					if (status == SCSI_CHECK_CONDITION &&
					    kind == WORLD_LIO_NO_APTPL_FOLDER)
						status = SCSI_GOOD;
					/* A limit: the outcome is on disk and not in the ring. */
					if (!journalled && status != SCSI_GOOD)
						concluded++;
					else
						CHECK_INT(status, SCSI_GOOD);
				}
				fake_lun_get_state(world.lun, &state);
				CHECK_INT(state.nexus[SOURCE].key, command->then_key);
				CHECK_INT(state.held, command->then_type != 0);
				CHECK_INT(state.type, command->then_type);
				CHECK_INT(world.source.record.key, command->then_key);
				CHECK(!world.source.record.fenced);
				world_tear_down();
			}
		}
	printf("%u kills; %u of them between the last save and the answer, where the repetition "
	       "is judged anew\n",
	       kills, concluded);
	CHECK(concluded <= kills / 20);
}

int main(void)
{
	CHECK_RUN(repeated_command_is_answered_good);
	return check_summary();
}
