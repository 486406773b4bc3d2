/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The multipath backend with its threads, over a fake LUN and a made-up sysfs: paths that go and come
 * back while guests write. A path is a nexus of the fake LUN; the map's block device is here.
 */
#include <sys/stat.h>

#include "mpath-disk.h"

#define K 0xabcd1ULL
#define STRANGER_KEY 0x5757ULL

static void open_lun(unsigned int nexuses)
{
	struct cfgstring cfg = {.migrate_pr = true, .lun_is_path = true, .lun = MAP};
	char reason[LUN_REASON_MAX];

	lun = lun_mpath_new(&cfg, "vm1", reason);
	if (lun == NULL)
		abort();
	open_paths(lun, nexuses);
	pthread_mutex_lock(&mpath->pr_lock);
	mpath_recall(mpath);
	pthread_mutex_unlock(&mpath->pr_lock);
}

static void close_lun(void)
{
	lun_destroy(lun);
}

/* A fresh LUN, and a nexus that remembers nothing. */
static void begin(void)
{
	char path[512];

	fake = fake_lun_create(NULL, NULL);
	snprintf(path, sizeof(path), "%s" PATHS_STATE_DIR "/paths/vm1", root_path());
	unlink(path);
	for (unsigned int i = 0; i < PATHS; i++)
		set_up(i, true);
	open_lun(3);
}

static void end(void)
{
	close_lun();
	fake_lun_detach(fake);
}

static uint8_t send_out(enum pr_out_action action, uint64_t key, uint64_t new_key, uint8_t type)
{
	struct pr_out out = {.action = action, .key = key, .new_key = new_key, .type = type};
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];

	pr_out_build(&out, cdb, list);
	return send_command(cdb, sizeof(cdb), SCSI_DIR_OUT, list, sizeof(list), NULL);
}

static uint32_t keys_shown(void)
{
	uint8_t cdb[PR_CDB_LEN], data[256];
	struct pr_keys keys = {0};
	size_t len;

	pr_in_build(PR_IN_READ_KEYS, sizeof(data), cdb);
	CHECK_INT(send_command(cdb, sizeof(cdb), SCSI_DIR_IN, data, sizeof(data), &len), SCSI_GOOD);
	CHECK(pr_keys_parse(data, len, K, &keys) && !keys.truncated);
	return keys.matching;
}

static uint32_t registrants_shown(void)
{
	uint8_t cdb[PR_CDB_LEN], data[1024];
	struct pr_full_status status;
	size_t len, offset = 0;
	uint32_t count = 0;
	bool malformed;

	pr_in_build(PR_IN_READ_FULL_STATUS, sizeof(data), cdb);
	CHECK_INT(send_command(cdb, sizeof(cdb), SCSI_DIR_IN, data, sizeof(data), &len), SCSI_GOOD);
	while (pr_full_status_next(data, len, &offset, &status, &malformed))
		count += status.key == K;
	CHECK(!malformed);
	return count;
}

static void hold(void)
{
	CHECK_INT(send_out(PR_OUT_REGISTER, 0, K, 0), SCSI_GOOD);
	lun_spread(lun, K, LUN_SPREAD_ALL);
	CHECK_INT(send_out(PR_OUT_RESERVE, K, 0, PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY),
		  SCSI_GOOD);
	CHECK_INT(fake_lun_count_key(fake, K), 2);
}

static bool wait_for_keys(unsigned int count)
{
	for (unsigned int i = 0; i < 200 && fake_lun_count_key(fake, K) != count; i++)
		usleep(50000);
	return CHECK_INT(fake_lun_count_key(fake, K), count);
}

/* ---- tests ---- */

static void test_one_registrant(void)
{
	struct lun_path_state paths[LUN_PATHS_MAX];
	unsigned int changes;

	begin();
	hold();
	CHECK_INT(keys_shown(), 1);
	CHECK_INT(registrants_shown(), 1);
	/* Another node with the key is one more. */
	out_by(STRANGER, PR_OUT_REGISTER, 0, K, 0);
	CHECK_INT(keys_shown(), 2);
	CHECK_INT(registrants_shown(), 2);
	lun_spread(lun, K, LUN_SPREAD_ALL);
	CHECK_INT(lun_paths(lun, paths, &changes), 2);
	for (unsigned int i = 0; i < PATHS; i++) {
		CHECK_INT(paths[i].key, K);
		CHECK_CONTAINS(paths[i].transport_id, "%2Ci%2C0x");
		CHECK_INT(paths[i].relative_target_port, 1);
	}
	end();
}

/* Paths go and come back, now the one, now the other: no write fails, and both end registered. */
static void test_paths_under_load(void)
{
	begin();
	hold();
	writers_begin();
	for (unsigned int round = 0; round < 4; round++) {
		unsigned int nexus = round % PATHS;

		set_up(nexus, false);
		usleep(300000);
		/* What the LUN has of it may go meanwhile; not while it holds, which would free the LUN. */
		CHECK_INT(keys_shown(), 1);
		set_up(nexus, true);
		wait_for_keys(2);
		usleep(200000);
	}
	writers_end();
	CHECK(writes_good > 0);
	CHECK_INT(writes_other, 0);
	CHECK_INT(keys_shown(), 1);
	end();
}

/* A path whose registration is gone: data that meets it waits until it is registered. */
static void test_registered_before_data(void)
{
	struct fake_monitor monitor;

	begin();
	hold();
	set_up(1, false);
	writers_begin();
	usleep(200000);
	out_by(1, PR_OUT_REGISTER, K, 0, 0);
	fake_lun_reset_monitor(fake);
	set_up(1, true);
	wait_for_keys(2);
	usleep(300000);
	writers_end();
	CHECK_INT(writes_other, 0);
	fake_lun_get_monitor(fake, &monitor);
	CHECK(monitor.conflicts[1] > 0);
	CHECK(monitor.writes[1] > 0);
	CHECK_INT(monitor.gaps, 0);
	end();
}

/* Fenced while a path is down: that path's return brings nothing back. */
static void test_fence_while_down(void)
{
	begin();
	hold();
	out_by(STRANGER, PR_OUT_REGISTER, 0, STRANGER_KEY, 0);
	set_up(1, false);
	writers_begin();
	usleep(200000);
	out_by(STRANGER, PR_OUT_PREEMPT, STRANGER_KEY, K, PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
	usleep(200000);
	set_up(1, true);
	for (unsigned int i = 0; i < 30; i++) {
		CHECK_INT(fake_lun_count_key(fake, K), 0);
		usleep(50000);
	}
	writers_end();
	CHECK(writes_other > 0);
	CHECK_INT(write_block(1), SCSI_RESERVATION_CONFLICT);
	end();
}

/* ---- what is on disk ---- */

static void test_restart_without_a_path(void)
{
	begin();
	hold();
	close_lun();
	set_up(1, false);
	open_lun(1);
	lun_seek(lun, K);
	lun_spread(lun, K, LUN_SPREAD_ALL);
	CHECK_INT(keys_shown(), 1);
	CHECK_INT(registrants_shown(), 1);
	CHECK_INT(write_block(1), SCSI_GOOD);
	end();
}

/* Begun as a path's that is down: commands that need a registration are not sent by another. */
static void expect_waiting_for_path_0(uint64_t key)
{
	uint64_t from;

	set_up(0, false);
	open_lun(2);
	lun_seek(lun, key);
	from = fake_lun_log_end(fake);
	CHECK_INT(send_out(PR_OUT_REGISTER, key, key, 0), SCSI_CHECK_CONDITION);
	CHECK_INT(fake_lun_log_count(fake, from, FAKE_ANY, SCSI_PR_OUT, FAKE_ANY), 0);
}

/* It was this one's alone: that the others are not registered means nothing, and nothing is sent. */
static void test_restart_without_the_registered_path(void)
{
	begin();
	CHECK_INT(send_out(PR_OUT_REGISTER, 0, K, 0), SCSI_GOOD);
	lun_spread(lun, K, LUN_SPREAD_NONE);
	CHECK_INT(fake_lun_count_key(fake, K), 1);
	close_lun();
	expect_waiting_for_path_0(K);
	set_up(0, true);
	end();
}

/* And it was about to change its key: either may stand. */
static void test_restart_in_a_change_of_key(void)
{
	struct fake_fault fault = fake_fault(FAKE_ANY, SCSI_PR_OUT, PR_OUT_REGISTER);

	for (unsigned int taken = 0; taken < 2; taken++) {
		begin();
		CHECK_INT(send_out(PR_OUT_REGISTER, 0, K, 0), SCSI_GOOD);
		fault.outcome = taken ? FAKE_LOSE_ANSWER : FAKE_LOSE_COMMAND;
		fault.host_status = FAKE_DID_ERROR;
		fault.times = 1;
		fake_lun_add_fault(fake, &fault);
		CHECK_INT(send_out(PR_OUT_REGISTER, K, STRANGER_KEY, 0), 0xff);
		CHECK_INT(fake_lun_count_key(fake, K), !taken);
		close_lun();
		expect_waiting_for_path_0(K);
		close_lun();
		expect_waiting_for_path_0(STRANGER_KEY);
		set_up(0, true);
		end();
	}
}

/* Logged in anew: the path has another number, and is asked whether it is the nexus that it was. */
static void test_restart_with_new_sessions(void)
{
	for (unsigned int known = 0; known < 2; known++) {
		begin();
		hold();
		close_lun();
		session_base += 5;
		if (!known) {
			/* Nobody that is there is registered any more. */
			out_by(STRANGER, PR_OUT_REGISTER, 0, STRANGER_KEY, 0);
			out_by(STRANGER, PR_OUT_PREEMPT, STRANGER_KEY, K,
			       PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY);
		}
		open_lun(3);
		lun_seek(lun, K);
		CHECK_INT(send_out(PR_OUT_REGISTER, K, K, 0),
			  known ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT);
		if (known) {
			lun_spread(lun, K, LUN_SPREAD_ALL);
			CHECK_INT(keys_shown(), 1);
			CHECK_INT(registrants_shown(), 1);
			CHECK_INT(write_block(1), SCSI_GOOD);
		}
		session_base = 0;
		end();
	}
}

/* Where it cannot be written down nothing is registered. */
static void test_disk_before_wire(void)
{
	char path[512], aside[520];

	begin();
	snprintf(path, sizeof(path), "%s" PATHS_STATE_DIR, root_path());
	snprintf(aside, sizeof(aside), "%s.aside", path);
	rename(path, aside);
	root_put("no directory", PATHS_STATE_DIR);
	CHECK_INT(send_out(PR_OUT_REGISTER, 0, K, 0), SCSI_CHECK_CONDITION);
	CHECK_INT(fake_lun_count_key(fake, K), 0);
	unlink(path);
	rename(aside, path);
	CHECK_INT(send_out(PR_OUT_REGISTER, 0, K, 0), SCSI_GOOD);
	unlink(path);
	end();
}

int main(void)
{
	if (!root_begin())
		return 1;
	mpath_disk_root();
	CHECK_RUN(test_one_registrant);
	CHECK_RUN(test_paths_under_load);
	CHECK_RUN(test_registered_before_data);
	CHECK_RUN(test_fence_while_down);
	CHECK_RUN(test_restart_without_a_path);
	CHECK_RUN(test_restart_without_the_registered_path);
	CHECK_RUN(test_restart_in_a_change_of_key);
	CHECK_RUN(test_restart_with_new_sessions);
	CHECK_RUN(test_disk_before_wire);
	return root_end() ? check_summary() : 1;
}
