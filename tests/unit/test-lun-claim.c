/* SPDX-License-Identifier: Apache-2.0 */
/* The claim by a LUN's own reservation, against a fake LUN: one of two hosts has it, whoever asks and whatever answer is lost. */
#include "check.h"
#include "fake-lun.h"
#include "lun-claim.h"

#include <stdio.h>

#define PR_OUT 0x5f
#define PREEMPT 4
#define PREEMPT_AND_ABORT 5
#define REGISTER_AND_IGNORE 6
#define TOKEN 0x1111
#define NEXT 0x2222
#define OTHERS 0x3333

static struct fake_lun *fake;

/* A host's way to it: a fake nexus. */
struct host {
	struct lun lun;
	unsigned int nexus;
};

static void host_submit(struct lun *lun, struct lun_io *io)
{
	struct host *host = (struct host *)lun;
	bool in = io->direction == SCSI_DIR_IN;
	struct fake_result result;

	fake_lun_execute(fake, host->nexus, io->cdb, io->cdb_len, in ? NULL : io->iov[0].iov_base,
			 in ? 0 : io->iov[0].iov_len, in ? io->iov[0].iov_base : NULL,
			 in ? io->iov[0].iov_len : 0, &result);
	io->result = (struct lun_result){
		.status = result.status,
		.unknown = result.host_status != 0,
		.sense_len = result.sense_len,
		.residual_bytes = in ? io->data_len - (uint32_t)result.data_in_len : 0,
	};
	memcpy(io->result.sense, result.sense, sizeof(io->result.sense));
	io->done(io);
}

static const struct lun_ops host_ops = {.name = "fake", .submit = host_submit};
static struct host hosts[2];
static struct lun_claim_way ways[2];
static struct lun_claim_owner owner;
static char reason[LUN_REASON_MAX];

static void set_up(void)
{
	if (fake != NULL)
		fake_lun_detach(fake);
	fake = fake_lun_create(NULL, NULL);
	for (unsigned int i = 0; i < 2; i++) {
		hosts[i] = (struct host){.lun = {.ops = &host_ops}, .nexus = i};
		ways[i] = (struct lun_claim_way){.lun = &hosts[i].lun};
	}
}

static enum lun_claim_result swap(unsigned int host, uint64_t from, uint64_t to)
{
	return lun_claim_reserve_swap(&ways[host], from, to, &owner, reason);
}

static void check_holder(int holder, uint64_t key)
{
	struct fake_state state;

	fake_lun_get_state(fake, &state);
	CHECK(state.held);
	CHECK_INT(state.type, 5);
	CHECK_INT(state.holder, holder);
	CHECK_INT(state.nexus[holder].key, key);
	CHECK_INT(state.registrations, 1);
}

static void forget(unsigned int host, uint64_t key)
{
	struct pr_out out = {.action = PR_OUT_REGISTER, .key = key};
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];
	struct fake_result result;

	pr_out_build(&out, cdb, list);
	fake_lun_execute(fake, host, cdb, sizeof(cdb), list, sizeof(list), NULL, 0, &result);
	CHECK_INT(result.status, SCSI_GOOD);
}

/* The session that held is forgotten, and another of this host's is still registered: that is no other host's. */
static void forgotten(void)
{
	set_up();
	CHECK_INT(swap(0, 0, TOKEN), LUN_CLAIM_DONE);
	CHECK_INT(lun_claim_reserve_join(&ways[1], TOKEN, &owner, reason), LUN_CLAIM_DONE);
	CHECK_INT(swap(0, TOKEN, TOKEN), LUN_CLAIM_DONE);
	forget(0, TOKEN);
	CHECK_INT(lun_claim_reserve_join(&ways[0], TOKEN, &owner, reason), LUN_CLAIM_DIFFERS);
	CHECK_INT(owner.token, 0);
	CHECK(!owner.foreign);
	CHECK_INT(swap(0, 0, TOKEN), LUN_CLAIM_DONE);
	CHECK_INT(fake_lun_count_key(fake, TOKEN), 2);
}

static void first_come(void)
{
	set_up();
	CHECK_INT(swap(0, 0, TOKEN), LUN_CLAIM_DONE);
	check_holder(0, TOKEN);
	CHECK_INT(swap(0, 0, TOKEN), LUN_CLAIM_DONE);
	CHECK_INT(swap(1, 0, NEXT), LUN_CLAIM_DIFFERS);
	CHECK_INT(owner.token, TOKEN);
	CHECK_CONTAINS(owner.who, "host0");
	check_holder(0, TOKEN);
}

/* The other host's RESERVE comes between the look and this one's. */
static void too_late(void)
{
	struct fake_fault fault = fake_fault(0, PR_OUT, 1);

	set_up();
	fault.before = (struct fake_hook){
		.count = 2,
		.commands = {{.nexus = 1,
			      .cdb_len = 10,
			      .cdb = {PR_OUT, 0, [8] = 24},
			      .list_len = 24,
			      .list = {[14] = NEXT >> 8, [15] = NEXT & 0xff}},
			     {.nexus = 1,
			      .cdb_len = 10,
			      .cdb = {PR_OUT, 1, 5, [8] = 24},
			      .list_len = 24,
			      .list = {[6] = NEXT >> 8, [7] = NEXT & 0xff}}},
	};
	fake_lun_add_fault(fake, &fault);
	CHECK_INT(swap(0, 0, TOKEN), LUN_CLAIM_DIFFERS);
	CHECK_INT(owner.token, NEXT);
	check_holder(1, NEXT);
}

static void swapped(void)
{
	set_up();
	CHECK_INT(swap(0, 0, TOKEN), LUN_CLAIM_DONE);
	/* By the holder itself, and by another host. */
	CHECK_INT(swap(0, TOKEN, NEXT), LUN_CLAIM_DONE);
	check_holder(0, NEXT);
	CHECK_INT(swap(1, TOKEN, OTHERS), LUN_CLAIM_DIFFERS);
	check_holder(0, NEXT);
	CHECK_INT(swap(1, NEXT, OTHERS), LUN_CLAIM_DONE);
	check_holder(1, OTHERS);
	CHECK_INT(swap(0, NEXT, TOKEN), LUN_CLAIM_DIFFERS);
	CHECK_INT(lun_claim_reserve_join(&ways[0], NEXT, &owner, reason), LUN_CLAIM_DIFFERS);
	check_holder(1, OTHERS);
}

static void with_abort_and_without(void)
{
	struct fake_quirks quirks = {.no_preempt_and_abort = true, .register_not_ready = true};

	set_up();
	CHECK_INT(swap(0, 0, TOKEN), LUN_CLAIM_DONE);
	/* Whoever gave it away has sent nothing. */
	CHECK_INT(swap(1, TOKEN, NEXT), LUN_CLAIM_DONE);
	CHECK_INT(fake_lun_log_count(fake, 0, 1, PR_OUT, PREEMPT), 1);
	CHECK_INT(fake_lun_log_count(fake, 0, FAKE_ANY, PR_OUT, PREEMPT_AND_ABORT), 0);
	ways[0].abort = true;
	CHECK_INT(swap(0, NEXT, TOKEN), LUN_CLAIM_DONE);
	CHECK_INT(fake_lun_log_count(fake, 0, 0, PR_OUT, PREEMPT_AND_ABORT), 1);
	fake_lun_set_quirks(fake, &quirks);
	ways[1].abort = true;
	CHECK_INT(swap(1, TOKEN, NEXT), LUN_CLAIM_DONE);
	check_holder(1, NEXT);
}

/* A lost answer, of each command that changes something: what is there decides. */
static void answer_lost(void)
{
	static const uint8_t actions[] = {REGISTER_AND_IGNORE, PREEMPT};

	for (size_t i = 0; i < sizeof(actions); i++) {
		struct fake_fault fault = fake_fault(1, PR_OUT, actions[i]);

		set_up();
		CHECK_INT(swap(0, 0, TOKEN), LUN_CLAIM_DONE);
		fault.outcome = FAKE_LOSE_ANSWER;
		fault.host_status = FAKE_DID_TIME_OUT;
		fault.times = 1;
		fake_lun_add_fault(fake, &fault);
		CHECK_INT(swap(1, TOKEN, NEXT), LUN_CLAIM_DONE);
		check_holder(1, NEXT);
	}
}

static void foreign(void)
{
	uint8_t cdb[10] = {PR_OUT, [8] = 24}, list[24] = {[15] = 0x77};
	struct fake_result result;
	struct fake_state state;

	set_up();
	fake_lun_execute(fake, 3, cdb, sizeof(cdb), list, sizeof(list), NULL, 0, &result);
	CHECK_INT(swap(0, 0, TOKEN), LUN_CLAIM_DIFFERS);
	CHECK(owner.foreign);
	CHECK_CONTAINS(owner.who, "1 registrations of other initiators");
	fake_lun_get_state(fake, &state);
	CHECK_INT(state.registrations, 1);
}

static void none(void)
{
	struct fake_quirks quirks = {.no_persistent_reserve = true};
	struct lun_claim claim;

	set_up();
	fake_lun_set_quirks(fake, &quirks);
	CHECK(lun_claim_open(&claim, &ways[0], "", false, reason));
	CHECK_INT(claim.kind, LUN_CLAIM_NONE);
	CHECK_INT(lun_claim_swap(&claim, &ways[0], 0, TOKEN, &owner, reason), LUN_CLAIM_DONE);
	CHECK_INT(lun_claim_join(&claim, &ways[0], TOKEN, &owner, reason), LUN_CLAIM_DONE);
	lun_claim_close(&claim);
}

/* What the guest has to know goes on to it; what the claim makes does not. */
static void unit_attentions(void)
{
	set_up();
	fake_lun_add_unit_attention(fake, 0, SCSI_ASC_POWER_ON_OR_RESET);
	fake_lun_add_unit_attention(fake, 0, SCSI_ASC_REGISTRATIONS_PREEMPTED);
	CHECK_INT(swap(0, 0, TOKEN), LUN_CLAIM_DONE);
	CHECK_INT(ways[0].unit_attentions.count, 1);
	CHECK_INT(ways[0].unit_attentions.asc_ascq[0], SCSI_ASC_POWER_ON_OR_RESET);
}

int main(void)
{
	CHECK_RUN(first_come);
	CHECK_RUN(forgotten);
	CHECK_RUN(too_late);
	CHECK_RUN(swapped);
	CHECK_RUN(with_abort_and_without);
	CHECK_RUN(answer_lost);
	CHECK_RUN(foreign);
	CHECK_RUN(none);
	CHECK_RUN(unit_attentions);
	fake_lun_detach(fake);
	return check_summary();
}
