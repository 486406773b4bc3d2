/* SPDX-License-Identifier: Apache-2.0 */
/* PREEMPT AND ABORT on an emulated LUN, with commands on their way at the LUN below: cases 66 and 67. */
#include "check.h"
#include "emulated.h"

#include <pthread.h>
#include <time.h>

#define HOST 0
#define WRITE_EXCLUSIVE 1
#define SLOW_MS 1500
#define WAIT_MS 20000
#define TASK_ABORTED 0x40
#define CONFLICT 0x18
#define UA_REGISTRATIONS_PREEMPTED 0x62a05
#define CFG "prmig//dev/fake/0/0;pr=emulate"

struct writer {
	pthread_t thread;
	const char *name;
	uint8_t status;
};

static void *write_on_thread(void *arg)
{
	struct writer *writer = arg;

	writer->status = emulated_write(HOST, writer->name, NULL);
	return NULL;
}

/* Their writes are at the LUN below, one each, and take their time. */
static void start_writers(struct writer *writers, unsigned int count)
{
	struct fake_fault fault = fake_fault(FAKE_ANY, 0x2a, FAKE_ANY);
	struct timespec moment = {.tv_nsec = 5000000};
	int slow;

	fault.delay_before_ms = SLOW_MS;
	fault.times = count;
	slow = fake_lun_add_fault(emulated.lun, &fault);
	for (unsigned int i = 0; i < count; i++)
		CHECK_INT(pthread_create(&writers[i].thread, NULL, write_on_thread, &writers[i]),
			  0);
	for (unsigned int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += 5) {
		if (fake_lun_fault_hits(emulated.lun, slow) == count)
			return;
		nanosleep(&moment, NULL);
	}
	CHECK(!"the writes are on their way");
}

static void end_writers(struct writer *writers, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		pthread_join(writers[i].thread, NULL);
	fake_lun_clear_faults(emulated.lun);
}

static uint64_t writes(void)
{
	struct fake_monitor monitor;
	uint64_t sum = 0;

	fake_lun_get_monitor(emulated.lun, &monitor);
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++)
		sum += monitor.writes[i];
	return sum;
}

static void set_up(void)
{
	char reason[HOST_REASON_MAX];

	CHECK(emulated_reset());
	CHECK(emulated_try(HOST, "vm1", CFG, reason));
	CHECK(emulated_try(HOST, "vm2", CFG, reason));
	CHECK(emulated_try(HOST, "vm3", CFG, reason));
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_REGISTER, 0, 0, 0xa1, NULL), HOST_GOOD);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_REGISTER, 0, 0, 0xb2, NULL), HOST_GOOD);
	fake_lun_reset_monitor(emulated.lun);
}

/* Nothing of the preempted nexus is written once the other one has been told GOOD; others' commands go on. */
static void case_66_abort(void)
{
	struct writer writers[2] = {{.name = "vm1"}, {.name = "vm3"}};
	uint32_t sense;

	set_up();
	start_writers(writers, 2);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_PREEMPT_AND_ABORT, WRITE_EXCLUSIVE, 0xb2, 0xa1,
			      NULL),
		  HOST_GOOD);
	end_writers(writers, 2);
	CHECK_INT(writers[0].status, TASK_ABORTED);
	CHECK_INT(writers[1].status, HOST_GOOD);
	CHECK_INT(writes(), 2);
	CHECK_INT(emulated_write(HOST, "vm1", &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense, UA_REGISTRATIONS_PREEMPTED);
	CHECK_INT(emulated_write(HOST, "vm1", &sense), HOST_GOOD);
}

static void case_66_holder(void)
{
	struct writer writer = {.name = "vm1"};
	uint32_t sense;

	set_up();
	CHECK_INT(emulated_pr(HOST, "vm1", EMULATED_RESERVE, WRITE_EXCLUSIVE, 0xa1, 0, NULL),
		  HOST_GOOD);
	start_writers(&writer, 1);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_PREEMPT_AND_ABORT, WRITE_EXCLUSIVE, 0xb2, 0xa1,
			      NULL),
		  HOST_GOOD);
	CHECK_INT(writes(), 1);
	end_writers(&writer, 1);
	CHECK_INT(writer.status, TASK_ABORTED);
	CHECK_INT(emulated_write(HOST, "vm1", NULL), CONFLICT);
	CHECK_INT(emulated_test_unit_ready(HOST, "vm1", &sense), HOST_CHECK_CONDITION);
	CHECK_INT(sense, UA_REGISTRATIONS_PREEMPTED);
	CHECK_INT(emulated_test_unit_ready(HOST, "vm1", NULL), HOST_GOOD);
	CHECK_INT(emulated_write(HOST, "vm2", NULL), HOST_GOOD);
}

static void case_67_unknown_key(void)
{
	struct writer writer = {.name = "vm1"};

	set_up();
	start_writers(&writer, 1);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_PREEMPT_AND_ABORT, WRITE_EXCLUSIVE, 0xb2, 0xc3,
			      NULL),
		  CONFLICT);
	end_writers(&writer, 1);
	CHECK_INT(writer.status, HOST_GOOD);
}

/* PREEMPT alone aborts nothing. */
static void preempt(void)
{
	struct writer writer = {.name = "vm1"};

	set_up();
	start_writers(&writer, 1);
	CHECK_INT(emulated_pr(HOST, "vm2", EMULATED_PREEMPT, WRITE_EXCLUSIVE, 0xb2, 0xa1, NULL),
		  HOST_GOOD);
	end_writers(&writer, 1);
	CHECK_INT(writer.status, HOST_GOOD);
}

int main(int argc, char **argv)
{
	machine_main(argc, argv);
	emulated_start();
	CHECK_RUN(case_66_abort);
	CHECK_RUN(case_66_holder);
	CHECK_RUN(case_67_unknown_key);
	CHECK_RUN(preempt);
	CHECK(emulated_stop());
	return check_summary();
}
