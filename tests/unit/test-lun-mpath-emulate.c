/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emulated reservations on a multipath map: the claim stands on every path, for all nexuses of this host, and on one alone when the LUN
 * leaves.
 */
#include "lun-emulate.h"
#include "lun-move.h"
#include "mpath-disk.h"

#define HAND_OVER "0123456789abcdef0123456789abcdef"
#define NEXUSES 2
#define GUEST_KEY 0x1111ULL
#define STRANGER_KEY 0x5757ULL

static struct lun *nexuses[NEXUSES];
static char reason[LUN_REASON_MAX];

/* ---- the map's connect, which would look at devices ---- */

static bool connect_map(struct lun *inner, struct lun_identity *ret_identity, char *ret_reason)
{
	struct lun_mpath *map = (struct lun_mpath *)inner;

	(void)ret_reason;
	pthread_mutex_lock(&map->pr_lock);
	mpath_recall(map);
	pthread_mutex_unlock(&map->pr_lock);
	*ret_identity = (struct lun_identity){.blocks = BLOCKS, .block_len_bytes = BLOCK_LEN};
	memcpy(ret_identity->designator, map->designator, SCSI_DESIGNATOR_MAX);
	return true;
}

static struct lun_ops map_ops;

/* paths: which are there, as bits. */
static void open_nexuses(unsigned int paths)
{
	static const char *const names[NEXUSES] = {"vm1", "vm2"};
	struct cfgstring cfg = {
		.migrate_pr = true,
		.lun_is_path = true,
		.lun = MAP,
		.pr = CFGSTRING_PR_EMULATE,
		.group = "vms",
	};

	for (unsigned int i = 0; i < NEXUSES; i++) {
		struct lun *inner = lun_mpath_new(&cfg, names[i], reason);

		if (inner == NULL)
			abort();
		if (i == 0) {
			map_ops = *inner->ops;
			map_ops.connect = connect_map;
			inner->ops = &map_ops;
			open_paths(inner, paths);
		}
		CHECK(inner == &mpath->lun);
		nexuses[i] = lun_emulate_new(inner, &cfg, names[i], false, reason);
	}
	lun = nexuses[0];
	writers_other = nexuses[1];
}

static void close_nexuses(void)
{
	for (unsigned int i = 0; i < NEXUSES; i++)
		lun_destroy(nexuses[i]);
}

static bool take(unsigned int i)
{
	struct lun_identity identity;

	reason[0] = '\0';
	if (lun_connect(nexuses[i], &identity, reason) && lun_hold(nexuses[i], false, reason))
		return true;
	printf("%s\n", reason);
	return false;
}

static void begin(void)
{
	char command[512];

	fake = fake_lun_create(NULL, NULL);
	snprintf(command, sizeof(command),
		 "rm -rf %s" PATHS_STATE_DIR "/paths %s" PATHS_STATE_DIR "/lun", root_path(),
		 root_path());
	CHECK_INT(system(command), 0);
	for (unsigned int i = 0; i < PATHS; i++)
		set_up(i, true);
	open_nexuses(3);
	CHECK(take(0));
	CHECK(take(1));
}

static void end(void)
{
	close_nexuses();
	fake_lun_detach(fake);
}

static uint8_t out_to(unsigned int i, enum pr_out_action action, uint64_t key, uint64_t new_key)
{
	struct pr_out out = {
		.action = action, .key = key, .new_key = new_key, .type = PR_TYPE_WRITE_EXCLUSIVE};
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];
	uint8_t status;

	other = nexuses[i];
	pr_out_build(&out, cdb, list);
	status = send_command(cdb, sizeof(cdb), SCSI_DIR_OUT, list, sizeof(list), NULL);
	other = NULL;
	return status;
}

static uint8_t write_by(unsigned int i)
{
	uint8_t status;

	other = nexuses[i];
	status = write_block(7);
	other = NULL;
	return status;
}

/* The claim's token; 0: it does not stand. */
static uint64_t token(void)
{
	struct fake_state state;

	fake_lun_get_state(fake, &state);
	if (!state.held || state.type != PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY)
		return 0;
	return state.nexus[state.holder].key;
}

static void expect_claim_by(unsigned int paths)
{
	struct fake_state state;

	for (unsigned int i = 0; i < 200 && fake_lun_count_key(fake, token()) != paths; i++)
		usleep(50000);
	fake_lun_get_state(fake, &state);
	CHECK(token() != 0);
	CHECK_INT(fake_lun_count_key(fake, token()), paths);
	CHECK_INT(state.registrations, paths);
}

/* ---- tests ---- */

static void test_one_claim_on_two_paths(void)
{
	begin();
	expect_claim_by(2);
	for (unsigned int i = 0; i < 2 * PATHS; i++) {
		CHECK_INT(write_by(0), SCSI_GOOD);
		CHECK_INT(write_by(1), SCSI_GOOD);
	}
	CHECK_INT(out_to(0, PR_OUT_REGISTER, 0, GUEST_KEY), SCSI_GOOD);
	CHECK_INT(out_to(0, PR_OUT_RESERVE, GUEST_KEY, 0), SCSI_GOOD);
	CHECK_INT(write_by(0), SCSI_GOOD);
	CHECK_INT(write_by(1), SCSI_RESERVATION_CONFLICT);
	CHECK_INT(out_to(1, PR_OUT_RESERVE, STRANGER_KEY, 0), SCSI_RESERVATION_CONFLICT);
	expect_claim_by(2);
	end();
}

/* Either path goes and comes back, its registration gone or not. */
static void test_paths_under_load(void)
{
	struct fake_monitor monitor;

	begin();
	fake_lun_reset_monitor(fake);
	writers_begin();
	for (unsigned int round = 0; round < 2 * PATHS; round++) {
		unsigned int nexus = round % PATHS;

		set_up(nexus, false);
		usleep(1500000);
		set_up(nexus, true);
		expect_claim_by(2);
		usleep(200000);
	}
	writers_end();
	CHECK(writes_good > 0);
	CHECK_INT(writes_other, 0);
	fake_lun_get_monitor(fake, &monitor);
	CHECK_INT(monitor.gaps, 0);
	CHECK(monitor.writes[0] > 0 && monitor.writes[1] > 0);
	CHECK_INT(write_by(1), SCSI_GOOD);
	end();
}

/* The daemon starts anew while the path that holds is down, and then when it is back. */
static void test_restart_without_the_holder(void)
{
	uint64_t before;

	begin();
	CHECK_INT(out_to(0, PR_OUT_REGISTER, 0, GUEST_KEY), SCSI_GOOD);
	CHECK_INT(out_to(0, PR_OUT_RESERVE, GUEST_KEY, 0), SCSI_GOOD);
	before = token();
	close_nexuses();
	set_up(0, false);
	open_nexuses(2);
	CHECK(take(1));
	CHECK(take(0));
	CHECK_INT(token(), before);
	CHECK_INT(write_by(0), SCSI_GOOD);
	CHECK_INT(write_by(1), SCSI_RESERVATION_CONFLICT);
	close_nexuses();
	set_up(0, true);
	open_nexuses(3);
	CHECK(take(0));
	CHECK(take(1));
	CHECK_INT(token(), before);
	expect_claim_by(2);
	CHECK_INT(write_by(0), SCSI_GOOD);
	end();
}

static enum lun_move left[NEXUSES];
static char ticket[LUN_TICKET_MAX];

static void *leave_run(void *user)
{
	unsigned int i = (unsigned int)(uintptr_t)user;
	char own_ticket[LUN_TICKET_MAX], own_reason[LUN_REASON_MAX];

	left[i] = lun_leave(nexuses[i], HAND_OVER, own_ticket, own_reason);
	if (left[i] != LUN_MOVE_DONE)
		printf("%s\n", own_reason);
	else if (i == 0)
		memcpy(ticket, own_ticket, sizeof(ticket));
	return NULL;
}

static void leave(void)
{
	pthread_t threads[NEXUSES];

	for (uintptr_t i = 0; i < NEXUSES; i++)
		pthread_create(&threads[i], NULL, leave_run, (void *)i);
	for (unsigned int i = 0; i < NEXUSES; i++) {
		pthread_join(threads[i], NULL);
		CHECK_INT(left[i], LUN_MOVE_DONE);
	}
}

/* Whoever takes it over throws one path out, and no other is left that could write. */
static void test_leaves_by_one_path(void)
{
	uint64_t before, given;

	begin();
	before = token();
	leave();
	given = token();
	CHECK(given != 0 && given != before);
	expect_claim_by(1);
	CHECK_INT(lun_come_back(nexuses[0], HAND_OVER, false, reason), LUN_MOVE_DONE);
	CHECK_INT(lun_come_back(nexuses[1], HAND_OVER, false, reason), LUN_MOVE_DONE);
	CHECK(token() != given);
	expect_claim_by(2);
	CHECK_INT(write_by(0), SCSI_GOOD);
	CHECK_INT(write_by(1), SCSI_GOOD);
	end();
}

/* A path that was down when the LUN left brings nothing back. */
static void test_leaves_with_a_lost_path(void)
{
	uint64_t given;

	begin();
	set_up(1, false);
	leave();
	given = token();
	out_by(STRANGER, PR_OUT_REGISTER, 0, STRANGER_KEY, 0);
	out_by(STRANGER, PR_OUT_PREEMPT, STRANGER_KEY, given,
	       PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
	set_up(1, true);
	usleep(2500000);
	CHECK_INT(token(), STRANGER_KEY);
	expect_claim_by(1);
	CHECK_INT(lun_come_back(nexuses[0], HAND_OVER, false, reason), LUN_MOVE_TAKEN);
	CHECK_INT(lun_left(nexuses[0], HAND_OVER, false, reason), LUN_MOVE_DONE);
	CHECK(write_by(0) != SCSI_GOOD);
	expect_claim_by(1);
	end();
}

/* Another host takes the LUN by force: nothing of either path's is written, nor registered again. */
static void test_taken_by_force(void)
{
	struct fake_monitor monitor;

	begin();
	set_up(1, false);
	out_by(STRANGER, PR_OUT_REGISTER, 0, STRANGER_KEY, 0);
	out_by(STRANGER, PR_OUT_PREEMPT, STRANGER_KEY, token(),
	       PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
	fake_lun_reset_monitor(fake);
	set_up(1, true);
	for (unsigned int i = 0; i < 2 * PATHS; i++) {
		CHECK(write_by(0) != SCSI_GOOD);
		CHECK(write_by(1) != SCSI_GOOD);
	}
	CHECK(!lun_is_connected(nexuses[0]));
	CHECK(!take(0));
	CHECK_CONTAINS(reason, "is claimed by");
	usleep(1500000);
	fake_lun_get_monitor(fake, &monitor);
	CHECK_INT(monitor.writes[0] + monitor.writes[1], 0);
	CHECK_INT(token(), STRANGER_KEY);
	expect_claim_by(1);
	end();
}

int main(void)
{
	if (!root_begin())
		return 1;
	mpath_disk_root();
	CHECK_RUN(test_one_claim_on_two_paths);
	CHECK_RUN(test_paths_under_load);
	CHECK_RUN(test_restart_without_the_holder);
	CHECK_RUN(test_leaves_by_one_path);
	CHECK_RUN(test_leaves_with_a_lost_path);
	CHECK_RUN(test_taken_by_force);
	return root_end() ? check_summary() : 1;
}
