/* SPDX-License-Identifier: Apache-2.0 */
/* The fake LUN against the conformance checklist: PREEMPT, PREEMPT AND ABORT (50 to 67, 84 to
 * 86). */
#include <pthread.h>
#include <unistd.h>

#include "lun-steps.h"

static unsigned int preempt(unsigned int nexus, uint64_t key, uint64_t victim, uint8_t type)
{
	return pr_out(nexus, PREEMPT, type, key, victim, 0);
}

/* A and B with one key, C with its own; who (A) holds type. */
static void setup_shared(uint8_t type)
{
	fresh();
	CHECK_INT(reg(A, KX), OK);
	CHECK_INT(reg(B, KX), OK);
	CHECK_INT(reg(C, KC), OK);
	CHECK_INT(pr_out(A, RESERVE, type, KX, 0, 0), OK);
}

static void case_50_to_52_nothing_reserved(void)
{
	setup(2, 0);
	CHECK_INT(preempt(B, KB, KX, EA), CF);
	CHECK_INT(preempt(B, KB, 0, EA), CF);
	CHECK_INT(state.generation, 2);
	CHECK_INT(preempt(B, KB, KA, EA), OK);
	CHECK(!state.held);
	CHECK_INT(state.registrations, 1);
	CHECK_INT(state.generation, 3);
	CHECK_INT(tur(A), UA5);
	CHECK(quiet());
	setup(2, 0);
	CHECK_INT(preempt(B, KB, KB, EA), OK);
	CHECK_INT(state.nexus[B].key, 0);
	CHECK_INT(state.nexus[A].key, KA);
	CHECK(quiet());
}

static void case_53_54_holder(void)
{
	setup(3, WE);
	CHECK_INT(preempt(B, KB, KA, WE), OK);
	CHECK(held(WE, B));
	CHECK_INT(state.nexus[A].key, 0);
	CHECK_INT(tur(A), UA5);
	CHECK(quiet());
	setup(3, WE);
	CHECK_INT(preempt(B, KB, KA, EA), OK);
	CHECK(held(EA, B));
	CHECK_INT(tur(A), UA5);
	CHECK_INT(tur(C), UA4);
	CHECK(quiet());
}

static void case_55_56_other_key(void)
{
	setup(3, WE);
	CHECK_INT(preempt(B, KB, 0, WE), BAD_LIST);
	CHECK_INT(preempt(B, KB, KX, WE), CF);
	CHECK_INT(preempt(B, KX, KA, WE), CF);
	CHECK_INT(state.generation, 3);
	CHECK_INT(preempt(B, KB, KC, WE), OK);
	CHECK(held(WE, A));
	CHECK_INT(state.nexus[C].key, 0);
	CHECK_INT(tur(C), UA5);
	CHECK(quiet());
}

static void case_57_self(void)
{
	setup(2, WERO);
	CHECK_INT(preempt(A, KA, KA, EARO), OK);
	CHECK(held(EARO, A));
	CHECK_INT(state.nexus[A].key, KA);
	CHECK_INT(tur(B), UA4);
	CHECK(quiet());
	/* With the same type nothing changes but the generation. */
	CHECK_INT(preempt(A, KA, KA, EARO), OK);
	CHECK(quiet());
	CHECK_INT(state.generation, 4);
}

static void case_58_to_60_shared_key(void)
{
	setup_shared(WERO);
	CHECK_INT(preempt(C, KC, KX, WERO), OK);
	CHECK(held(WERO, C));
	CHECK_INT(state.registrations, 1);
	CHECK_INT(tur(A), UA5);
	CHECK_INT(tur(B), UA5);
	setup_shared(WERO);
	CHECK_INT(preempt(B, KX, KX, WERO), OK);
	CHECK(held(WERO, B));
	CHECK_INT(state.nexus[A].key, 0);
	CHECK_INT(tur(A), UA5);
	CHECK(quiet());
	setup_shared(WERO);
	CHECK_INT(preempt(A, KX, KX, WERO), OK);
	CHECK(held(WERO, A));
	CHECK_INT(state.nexus[B].key, 0);
	CHECK_INT(tur(B), UA5);
	CHECK(quiet());
}

static void case_61_own_key_not_holder(void)
{
	setup(1, WERO);
	CHECK_INT(reg(B, KX), OK);
	CHECK_INT(reg(C, KX), OK);
	CHECK_INT(preempt(B, KX, KX, WERO), OK);
	CHECK(held(WERO, A));
	CHECK_INT(state.registrations, 1);
	CHECK_INT(tur(C), UA5);
	CHECK(quiet());
}

static void case_62_to_64_all_registrants(void)
{
	setup(3, WEAR);
	CHECK_INT(preempt(B, KB, KX, EA), CF);
	CHECK_INT(preempt(B, KB, 0, EA), OK);
	CHECK(held(EA, B));
	CHECK_INT(state.registrations, 1);
	CHECK_INT(tur(A), UA5);
	CHECK_INT(tur(C), UA5);
	setup(3, EAAR);
	CHECK_INT(preempt(B, KB, KC, EA), OK);
	CHECK(held(EAAR, FAKE_ANY));
	CHECK_INT(state.registrations, 2);
	CHECK_INT(tur(C), UA5);
	CHECK(quiet());
	setup(1, EAAR); /* the last registrant takes its own key: nothing is left to hold */
	CHECK_INT(preempt(A, KA, KA, EAAR), OK);
	CHECK(!state.held);
	CHECK_INT(state.registrations, 0);
}

static void case_65_bad_type(void)
{
	setup(2, WE);
	CHECK_INT(preempt(B, KB, KA, 4), BAD_CDB);
	CHECK_INT(preempt(B, KB, KA, 0x21), BAD_CDB);
	CHECK(held(WE, A));
	CHECK_INT(state.registrations, 2);
}

struct stuck {
	unsigned int nexus;
	struct fake_result result;
};

static void *stuck_write(void *user)
{
	static const uint8_t block[512] = {0xee};
	struct stuck *stuck = user;
	uint8_t cdb[10] = {0x2a, [5] = 7, [8] = 1};

	fake_lun_execute(lun, stuck->nexus, cdb, sizeof(cdb), block, sizeof(block), NULL, 0,
			 &stuck->result);
	return NULL;
}

/* How a WRITE of A, stuck at the LUN, ends when B preempts victim with that action. */
static struct fake_result abort_write(uint8_t action, uint64_t victim, bool tas, unsigned int want)
{
	struct fake_fault fault = fake_fault(A, 0x2a, FAKE_ANY);
	struct fake_quirks quirks = {.task_aborted_status = tas};
	struct stuck stuck = {.nexus = A};
	pthread_t thread;
	int number;

	setup(2, WE);
	fake_lun_set_quirks(lun, &quirks);
	fault.delay_before_ms = victim == KA && action == PREEMPT_AND_ABORT ? 30000 : 100;
	number = fake_lun_add_fault(lun, &fault);
	pthread_create(&thread, NULL, stuck_write, &stuck);
	while (fake_lun_fault_hits(lun, number) == 0)
		usleep(1000);
	CHECK_INT(pr_out(B, action, WE, KB, victim, 0), want);
	pthread_join(thread, NULL);
	return stuck.result;
}

static void case_66_67_abort(void)
{
	struct fake_result result;

	result = abort_write(PREEMPT_AND_ABORT, KA, true, OK);
	CHECK_INT(result.status, 0x40);
	CHECK_INT(tur(A), UA5);
	CHECK_INT(tur(A), OK);
	result = abort_write(PREEMPT_AND_ABORT, KA, false, OK);
	CHECK_INT(result.host_status, FAKE_DID_TIME_OUT);
	CHECK_INT(tur(A), UA5);
	CHECK_INT(tur(A), UA(0x2f00));
	CHECK_INT(SEND(B, 0x28, 0, 0, 0, 0, 7, 0, 0, 1), OK);
	CHECK_INT(data[0], 0); /* never executed */
	result = abort_write(PREEMPT_AND_ABORT, KX, true, CF);
	CHECK_INT(result.status, 0);
	/* PREEMPT alone aborts nothing; the write is judged when it starts. */
	result = abort_write(PREEMPT, KA, true, OK);
	CHECK_INT(result.status, CF);
}

static void case_84_85_pending(void)
{
	setup(2, EA);
	CHECK_INT(preempt(B, KB, KA, EA), OK);
	CHECK_INT(write_block(A), CF);
	CHECK_INT(tur(A), UA5);
	CHECK_INT(tur(A), OK);
	setup(2, EA);
	CHECK_INT(preempt(B, KB, KA, EA), OK);
	CHECK_INT(reg(A, KA), UA5);
	CHECK_INT(state.nexus[A].key, 0);
	CHECK_INT(reg(A, KA), OK);
}

static void *preempt_thread(void *user)
{
	struct stuck *stuck = user;
	uint8_t cdb[10] = {0x5f, PREEMPT, WE, [8] = 24}, list[24] = {0};

	be64_put(list, KA + stuck->nexus);
	be64_put(list + 8, stuck->nexus == A ? KB : KA);
	fake_lun_execute(lun, stuck->nexus, cdb, sizeof(cdb), list, sizeof(list), NULL, 0,
			 &stuck->result);
	return NULL;
}

static void case_86_race(void)
{
	for (int round = 0; round < 50; round++) {
		struct stuck both[2] = {{.nexus = A}, {.nexus = B}};
		pthread_t threads[2];
		unsigned int good = 0;

		setup(2, 0);
		for (int i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, preempt_thread, &both[i]);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < 2; i++)
			good += both[i].result.status == 0;
		look();
		CHECK_INT(good, 1);
		CHECK_INT(state.registrations, 1);
	}
}

int main(void)
{
	CHECK_RUN(case_50_to_52_nothing_reserved);
	CHECK_RUN(case_53_54_holder);
	CHECK_RUN(case_55_56_other_key);
	CHECK_RUN(case_57_self);
	CHECK_RUN(case_58_to_60_shared_key);
	CHECK_RUN(case_61_own_key_not_holder);
	CHECK_RUN(case_62_to_64_all_registrants);
	CHECK_RUN(case_65_bad_type);
	CHECK_RUN(case_66_67_abort);
	CHECK_RUN(case_84_85_pending);
	CHECK_RUN(case_86_race);
	fake_lun_detach(lun);
	return check_summary();
}
