/* SPDX-License-Identifier: Apache-2.0 */
/* One command from arrival to answer: faults, delays, hooks, log. */
#include "fake-internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PR_OUT 0x5f
#define NS_PER_MS 1000000L

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static void sleep_ms(uint32_t ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * NS_PER_MS};

	while (nanosleep(&ts, &ts) != 0)
		;
}

static void log_add(const struct fake_exec *exec, bool hook, bool executed)
{
	struct fake_shared *lun = exec->lun;
	struct fake_log_entry *entry = &lun->log[lun->log_end % FAKE_LOG_MAX];
	size_t cdb_len = exec->cdb_len < FAKE_CDB_MAX ? exec->cdb_len : FAKE_CDB_MAX;
	const struct fake_result *result = exec->result;

	memset(entry, 0, sizeof(*entry));
	entry->sequence = ++lun->log_end;
	entry->time_ns = now_ns();
	entry->nexus = (uint8_t)exec->nexus;
	entry->hook = hook;
	entry->executed = executed;
	entry->status = result->status;
	if (result->status == CHECK_CONDITION) {
		entry->sense_key = result->sense[2] & 0x0f;
		entry->asc_ascq = get16(result->sense + 12);
	}
	entry->host_status = result->host_status;
	entry->generation = fake_pr(lun)->generation;
	entry->cdb_len = (uint8_t)cdb_len;
	memcpy(entry->cdb, exec->cdb, cdb_len);
	if (exec->cdb_len > 0 && exec->cdb[0] == PR_OUT && exec->out_len > 0) {
		entry->list_len =
			(uint8_t)(exec->out_len < FAKE_LIST_MAX ? exec->out_len : FAKE_LIST_MAX);
		memcpy(entry->list, exec->out, entry->list_len);
	}
	lun->monitor.commands[exec->nexus]++;
	if (result->status == RESERVATION_CONFLICT)
		lun->monitor.conflicts[exec->nexus]++;
	if (exec->medium_changed) {
		lun->monitor.writes[exec->nexus]++;
		lun->monitor.write_sequence[exec->nexus] = entry->sequence;
	}
}

static void lose(struct fake_result *result, uint16_t host_status)
{
	memset(result, 0, sizeof(*result));
	result->host_status = host_status;
}

/* Executes; False: it did not reach the LUN. */
static bool run(struct fake_exec *exec, const struct fake_in_flight *slot)
{
	struct fake_shared *lun = exec->lun;

	if (lun->nexus[exec->nexus].disconnected) {
		lose(exec->result, FAKE_DID_NO_CONNECT);
		return false;
	}
	exec->pr = *fake_pr(lun);
	fake_command_run(exec);
	if (exec->result->status == GOOD || exec->commit_anyway)
		fake_pr_commit(lun, &exec->pr);
	if (exec->result->status == GOOD && exec->aborts != 0)
		fake_abort_in_flight(lun, exec->aborts, ABORT_TASK, slot);
	return true;
}

static void run_hook(struct fake_shared *lun, const struct fake_hook *hook, unsigned int nexus,
		     const struct fake_in_flight *slot)
{
	for (unsigned int i = 0; i < hook->count; i++) {
		const struct fake_command *command = &hook->commands[i];
		struct fake_result result = {0};
		uint8_t in[256];
		struct fake_exec exec = {
			.lun = lun,
			.nexus = command->nexus,
			.cdb = command->cdb,
			.cdb_len = command->cdb_len,
			.out = command->list,
			.out_len = command->list_len,
			.in = in,
			.in_cap = sizeof(in),
			.result = &result,
		};
		bool executed = run(&exec, slot);

		log_add(&exec, true, executed);
	}
	if (hook->event == FAKE_EVENT_POWER_LOSS)
		fake_power_loss_locked(lun, slot);
	else if (hook->event == FAKE_EVENT_LUN_RESET)
		fake_reset_locked(lun, nexus, slot);
}

static struct fake_in_flight *slot_take(struct fake_shared *lun, unsigned int nexus)
{
	struct fake_in_flight *free_slot = NULL;
	pid_t own = getpid();
	uint64_t count = 1;

	for (unsigned int i = 0; i < FAKE_IN_FLIGHT_MAX; i++) {
		struct fake_in_flight *slot = &lun->in_flight[i];

		/* Left by a process that was killed. */
		if (slot->pid != 0 && slot->pid != own && kill(slot->pid, 0) != 0 && errno == ESRCH)
			slot->pid = 0;
		if (slot->pid != 0)
			count++;
		else if (free_slot == NULL)
			free_slot = slot;
	}
	if (count > lun->monitor.in_flight_max)
		lun->monitor.in_flight_max = count;
	if (free_slot != NULL)
		*free_slot = (struct fake_in_flight){.pid = own, .nexus = (uint8_t)nexus};
	return free_slot;
}

/* Without the lock. Ends early when the command is aborted. */
static void wait_in_flight(struct fake_lun *lun, const struct fake_in_flight *slot, uint32_t ms)
{
	uint64_t end = now_ns() + (uint64_t)ms * NS_PER_MS;

	while (now_ns() < end) {
		bool aborted;

		sleep_ms(1);
		fake_lock(lun);
		aborted = slot != NULL && slot->aborted != ABORT_NOT;
		fake_unlock(lun);
		if (aborted)
			return;
	}
}

static void answer_aborted(struct fake_exec *exec, enum fake_abort how)
{
	struct fake_shared *lun = exec->lun;
	struct fake_pr pr;

	if (how == ABORT_LOST) {
		lose(exec->result, FAKE_DID_TRANSPORT_DISRUPTED);
	} else if (how == ABORT_RESET) {
		lose(exec->result, FAKE_DID_RESET);
	} else if (lun->quirks.task_aborted_status) {
		exec->result->status = TASK_ABORTED;
	} else {
		/* SAM-5: no status, and a unit attention that says so. What the initiator sees of
		 * the command is its own time-out. */
		lose(exec->result, FAKE_DID_TIME_OUT);
		pr = *fake_pr(lun);
		fake_ua_add(&pr, exec->nexus, ASC_COMMANDS_CLEARED);
		fake_pr_commit(lun, &pr);
	}
}

static bool run_faulty(struct fake_exec *exec, const struct fake_fault *fault,
		       const struct fake_in_flight *slot)
{
	struct fake_shared *lun = exec->lun;
	bool executed = false;

	if (fault->unit_attention != 0) {
		struct fake_pr pr = *fake_pr(lun);

		fake_ua_add(&pr, exec->nexus, fault->unit_attention);
		fake_pr_commit(lun, &pr);
	}
	run_hook(lun, &fault->before, exec->nexus, slot);
	switch (fault->outcome) {
	case FAKE_EXECUTE:
	case FAKE_LOSE_ANSWER:
		executed = run(exec, slot);
		if (fault->outcome == FAKE_LOSE_ANSWER)
			lose(exec->result, fault->host_status);
		break;
	case FAKE_ANSWER:
		if (fault->status == CHECK_CONDITION)
			fake_sense(exec->result, fault->sense_key, fault->asc_ascq);
		exec->result->status = fault->status;
		break;
	case FAKE_LOSE_COMMAND:
		lose(exec->result, fault->host_status);
		break;
	}
	return executed;
}

void fake_lun_execute(struct fake_lun *lun, unsigned int nexus, const uint8_t *cdb, size_t cdb_len,
		      const void *data_out, size_t out_len, void *data_in, size_t in_cap,
		      struct fake_result *ret_result)
{
	struct fake_exec exec = {
		.lun = lun->shared,
		.nexus = nexus,
		.cdb = cdb,
		.cdb_len = cdb_len,
		.out = data_out,
		.out_len = out_len,
		.in = data_in,
		.in_cap = in_cap,
		.result = ret_result,
	};
	const struct fake_fault *hit;
	struct fake_in_flight *slot;
	struct fake_fault fault;
	bool executed = false;

	memset(ret_result, 0, sizeof(*ret_result));
	fake_lock(lun);
	hit = fake_fault_take(lun->shared, nexus, cdb, cdb_len);
	if (hit != NULL)
		fault = *hit; /* its slot may be used again while the command is delayed */
	slot = slot_take(lun->shared, nexus);
	if (hit != NULL && fault.delay_before_ms != 0) {
		fake_unlock(lun);
		wait_in_flight(lun, slot, fault.delay_before_ms);
		fake_lock(lun);
	}
	if (slot != NULL && slot->aborted != ABORT_NOT)
		answer_aborted(&exec, slot->aborted);
	else if (hit != NULL)
		executed = run_faulty(&exec, &fault, slot);
	else
		executed = run(&exec, slot);
	log_add(&exec, false, executed);
	if (hit != NULL)
		run_hook(lun->shared, &fault.after, nexus, slot);
	if (slot != NULL)
		slot->pid = 0;
	fake_unlock(lun);
	if (hit != NULL && fault.delay_after_ms != 0)
		sleep_ms(fault.delay_after_ms);
}

uint64_t fake_lun_log_end(struct fake_lun *lun)
{
	uint64_t end;

	fake_lock(lun);
	end = lun->shared->log_end;
	fake_unlock(lun);
	return end;
}

bool fake_lun_log_get(struct fake_lun *lun, uint64_t sequence, struct fake_log_entry *ret_entry)
{
	const struct fake_log_entry *entry;
	bool there;

	if (sequence == 0)
		return false;
	fake_lock(lun);
	entry = &lun->shared->log[(sequence - 1) % FAKE_LOG_MAX];
	there = entry->sequence == sequence;
	if (there)
		*ret_entry = *entry;
	fake_unlock(lun);
	return there;
}

unsigned int fake_lun_log_count(struct fake_lun *lun, uint64_t after, int nexus, int opcode,
				int service_action)
{
	unsigned int count = 0;

	fake_lock(lun);
	for (unsigned int i = 0; i < FAKE_LOG_MAX; i++) {
		const struct fake_log_entry *entry = &lun->shared->log[i];

		count += entry->sequence > after &&
			 fake_cdb_matches(nexus, opcode, service_action, entry->nexus, entry->cdb,
					  entry->cdb_len);
	}
	fake_unlock(lun);
	return count;
}
