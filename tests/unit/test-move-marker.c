/* SPDX-License-Identifier: Apache-2.0 */
/* The marker of a nexus that moves whole: its compare and swap where answers are lost or lie, and on a target that forgets. */
#include "check.h"
#include "move-marker.h"

#include <string.h>

#define ID "0123456789abcdef0123456789abcdef"
#define OTHER_ID "00000000000000000000000000000001"
#define HOST_D 0x2222
#define HOST_E 0x3333
#define PEER_KEY 0xb0b

enum what { AS_IT_IS, EXECUTED_AND_LOST, LOST_BEFORE, NOT_READY, REFUSED };

/* A LUN of one marker's nexus, a peer, and what a target lists though its session has ended. */
static struct {
	uint64_t key, dead;
	enum what next; /* what happens to the next PERSISTENT RESERVE OUT, */
	unsigned int times;
	bool silent; /* READ KEYS is not answered */
	bool forgets, lists_dead, no_login;
	unsigned int puts, preempts;
} lun;

static char reason[MOVE_MARKER_REASON_MAX];

static enum move_marker_wire put(void *user, uint64_t key, uint64_t new_key, bool ignore)
{
	enum what what = lun.times > 0 ? lun.next : AS_IT_IS;
	bool good = ignore || lun.key == key;

	(void)user;
	lun.puts++;
	if (lun.times > 0)
		lun.times--;
	if (what == LOST_BEFORE)
		return MOVE_MARKER_LOST;
	if (what == REFUSED)
		return MOVE_MARKER_REFUSED;
	if (good)
		lun.key = new_key;
	if (what == EXECUTED_AND_LOST)
		return MOVE_MARKER_LOST;
	if (what == NOT_READY && good)
		return MOVE_MARKER_DOUBTFUL;
	return good ? MOVE_MARKER_GOOD : MOVE_MARKER_CONFLICT;
}

static enum move_marker_wire preempt(void *user, uint64_t key, uint64_t other)
{
	(void)user;
	lun.preempts++;
	if (lun.key != key)
		return MOVE_MARKER_CONFLICT;
	if (lun.dead == other)
		lun.dead = 0;
	return MOVE_MARKER_GOOD;
}

static size_t add(uint8_t *data, size_t len, uint64_t key)
{
	for (int i = 0; i < 8; i++)
		data[len + (size_t)i] = (uint8_t)(key >> (56 - 8 * i));
	return len + 8;
}

static bool read_keys(void *user, uint8_t *data, size_t size, size_t *ret_len)
{
	size_t len = 8;

	(void)user;
	if (lun.silent)
		return false;
	memset(data, 0, size);
	len = add(data, len, PEER_KEY);
	if (lun.dead != 0)
		len = add(data, len, lun.dead);
	if (lun.key != 0)
		len = add(data, len, lun.key);
	data[7] = (uint8_t)(len - 8);
	*ret_len = len;
	return true;
}

static bool log_in_again(void *user)
{
	(void)user;
	if (lun.no_login)
		return false;
	if (lun.forgets) {
		lun.dead = lun.lists_dead ? lun.key : 0;
		lun.key = 0;
	}
	return true;
}

static const char *error(void *user)
{
	(void)user;
	return "what went wrong";
}

static const struct move_marker_ops ops = {
	.put = put,
	.preempt = preempt,
	.read_keys = read_keys,
	.log_in_again = log_in_again,
	.error = error,
};

static uint64_t left(void)
{
	uint64_t ticket = 0;

	memset(&lun, 0, sizeof(lun));
	CHECK_INT(move_marker_leave(&ops, NULL, ID, true, 7, &ticket, reason), LUN_MOVE_DONE);
	CHECK(ticket != 0);
	CHECK_INT(lun.key, ticket);
	return ticket;
}

static void next(enum what what, unsigned int times)
{
	lun.next = what;
	lun.times = times;
}

/* Whatever becomes of the answer, the swap is done once, or not, and the caller knows which. */
static void test_lost_answers(void)
{
	static const enum what whats[] = {AS_IT_IS, EXECUTED_AND_LOST, LOST_BEFORE, NOT_READY};

	for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
		uint64_t ticket = left(), again;

		next(whats[i], 1);
		CHECK_INT(move_marker_arrive(&ops, NULL, ticket, HOST_D, reason), LUN_MOVE_DONE);
		CHECK_INT(move_marker_arrive(&ops, NULL, ticket, HOST_D, reason), LUN_MOVE_DONE);
		CHECK_INT(move_marker_arrive(&ops, NULL, ticket, HOST_E, reason), LUN_MOVE_TAKEN);
		CHECK_INT(move_marker_come_back(&ops, NULL, ID, false, reason), LUN_MOVE_TAKEN);
		next(whats[i], 1);
		CHECK_INT(move_marker_hand_back(&ops, NULL, ID, HOST_D, reason), LUN_MOVE_DONE);
		CHECK_INT(lun.key, ticket);
		next(whats[i], 1);
		CHECK_INT(move_marker_leave(&ops, NULL, ID, false, 8, &again, reason),
			  LUN_MOVE_DONE);
		CHECK(again != ticket);
		CHECK_INT(move_marker_arrive(&ops, NULL, ticket, HOST_D, reason), LUN_MOVE_TAKEN);
		next(whats[i], 1);
		CHECK_INT(move_marker_come_back(&ops, NULL, ID, false, reason), LUN_MOVE_DONE);
		CHECK_INT(move_marker_come_back(&ops, NULL, ID, false, reason), LUN_MOVE_DONE);
		CHECK_INT(move_marker_arrive(&ops, NULL, again, HOST_D, reason), LUN_MOVE_TAKEN);
		move_marker_tidy(&ops, NULL, ID);
		CHECK_INT(lun.key, 0);
	}
}

static void test_no_answers(void)
{
	uint64_t ticket = left(), again = 0;

	next(LOST_BEFORE, 100);
	CHECK_INT(move_marker_arrive(&ops, NULL, ticket, HOST_D, reason), LUN_MOVE_UNKNOWN);
	CHECK_CONTAINS(reason, "what went wrong");
	CHECK_INT(lun.key, ticket);
	lun.times = 0;
	lun.silent = true;
	CHECK_INT(move_marker_arrive(&ops, NULL, ticket, HOST_D, reason), LUN_MOVE_UNKNOWN);
	CHECK_INT(move_marker_come_back(&ops, NULL, ID, false, reason), LUN_MOVE_UNKNOWN);
	CHECK_INT(move_marker_hand_back(&ops, NULL, ID, HOST_D, reason), LUN_MOVE_UNKNOWN);
	CHECK_INT(move_marker_left(&ops, NULL, ID, true, reason), LUN_MOVE_UNKNOWN);
	CHECK_INT(move_marker_leave(&ops, NULL, ID, false, 9, &again, reason), LUN_MOVE_UNKNOWN);
	CHECK_INT(again, 0);
	lun.silent = false;
	next(REFUSED, 1);
	CHECK_INT(move_marker_arrive(&ops, NULL, ticket, HOST_D, reason), LUN_MOVE_REFUSED);
	CHECK_INT(lun.key, ticket);
}

static void test_release(void)
{
	uint64_t ticket = left();

	CHECK_INT(move_marker_left(&ops, NULL, ID, false, reason), LUN_MOVE_REFUSED);
	CHECK_CONTAINS(reason, "no host has taken");
	/* What has not been taken is not tidied away: an Import may still come. */
	move_marker_tidy(&ops, NULL, ID);
	CHECK_INT(lun.key, ticket);
	CHECK_INT(move_marker_arrive(&ops, NULL, ticket, HOST_D, reason), LUN_MOVE_DONE);
	CHECK_INT(move_marker_left(&ops, NULL, ID, false, reason), LUN_MOVE_DONE);
	/* Another hand-over's is left alone. */
	move_marker_tidy(&ops, NULL, OTHER_ID);
	CHECK(lun.key != 0);
	move_marker_tidy(&ops, NULL, ID);
	CHECK_INT(lun.key, 0);
	CHECK_INT(move_marker_left(&ops, NULL, ID, false, reason), LUN_MOVE_REFUSED);
	CHECK_INT(move_marker_left(&ops, NULL, ID, true, reason), LUN_MOVE_DONE);
	CHECK_INT(move_marker_come_back(&ops, NULL, ID, false, reason), LUN_MOVE_REFUSED);
	CHECK_INT(move_marker_come_back(&ops, NULL, ID, true, reason), LUN_MOVE_DONE);
}

/* The same number would let an older line in. */
static void test_ticket_is_fresh(void)
{
	uint64_t ticket = left(), again;

	CHECK_INT(move_marker_leave(&ops, NULL, ID, false, 7, &again, reason), LUN_MOVE_DONE);
	CHECK(again != ticket);
	CHECK_INT(move_marker_look(&ops, NULL, ticket, HOST_D, reason), LUN_MOVE_TAKEN);
	CHECK_INT(move_marker_look(&ops, NULL, again, HOST_D, reason), LUN_MOVE_DONE);
	/* What stands there of an older hand-over goes with the next one's first ticket. */
	CHECK_INT(move_marker_leave(&ops, NULL, OTHER_ID, true, 1, &ticket, reason), LUN_MOVE_DONE);
	CHECK_INT(move_marker_look(&ops, NULL, again, HOST_D, reason), LUN_MOVE_TAKEN);
}

static void test_target_forgets(void)
{
	for (int lists = 0; lists < 2; lists++) {
		uint64_t ticket = 0;

		memset(&lun, 0, sizeof(lun));
		lun.forgets = true;
		lun.lists_dead = lists;
		CHECK_INT(move_marker_leave(&ops, NULL, ID, true, 7, &ticket, reason),
			  LUN_MOVE_REFUSED);
		CHECK_CONTAINS(reason, "forgets a registration");
		/* Nothing is left listed. */
		CHECK_INT(lun.key, 0);
		CHECK_INT(lun.dead, 0);
		CHECK_INT(lun.preempts, (unsigned int)lists);
		CHECK_INT(ticket, 0);
	}
	memset(&lun, 0, sizeof(lun));
	lun.no_login = true;
	CHECK_INT(move_marker_leave(&ops, NULL, ID, true, 7, &(uint64_t){0}, reason),
		  LUN_MOVE_UNKNOWN);
}

int main(void)
{
	CHECK_RUN(test_lost_answers);
	CHECK_RUN(test_no_answers);
	CHECK_RUN(test_release);
	CHECK_RUN(test_ticket_is_fresh);
	CHECK_RUN(test_target_forgets);
	return check_summary();
}
