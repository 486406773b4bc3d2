/* SPDX-License-Identifier: Apache-2.0 */
/* Export with 64 writers running: from its answer until Abort's no write reaches the LUN. */
#include "check.h"
#include "machine.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fake-lun.h"

#define WRITERS 64
#define ROUNDS 5
#define PR_OUT 0x5f
#define WRITE_10 0x2a
#define TIMEOUT_MS 10000

static char lun_path[64];
static struct fake_lun *lun;
static struct machine *machine;

/* ---- in the machine ---- */

struct writers {
	uint64_t good, busy, other;
};

static struct writers total;
static pthread_t threads[WRITERS];
static bool stop;

static void *writer_run(void *user)
{
	struct host_device *device = host_find_device("vm1");
	struct host_io *io = calloc(1, sizeof(*io));
	uint64_t *count;

	io->data = calloc(1, 512);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		void *data = io->data;

		memset(io, 0, sizeof(*io));
		io->data = data;
		io->data_len = 512;
		io->direction = HOST_OUT;
		io->cdb[0] = WRITE_10;
		io->cdb[5] = (uint8_t)(uintptr_t)user;
		io->cdb[8] = 1;
		if (!host_execute(device, io)) {
			printf("a write was not answered\n");
			abort();
		}
		count = io->status == HOST_GOOD	  ? &total.good
			: io->status == HOST_BUSY ? &total.busy
						  : &total.other;
		__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
	}
	free(io->data);
	free(io);
	return NULL;
}

static void writers_start(void *arg)
{
	uintptr_t i;

	(void)arg;
	__atomic_store_n(&stop, false, __ATOMIC_RELEASE);
	for (i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, writer_run, (void *)i);
}

static void writers_stop(void *arg)
{
	struct writers *writers = arg;
	size_t i;

	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	*writers = total;
}

/* ---- the test ---- */

static uint64_t writes_at_lun(void)
{
	struct fake_monitor monitor;

	fake_lun_get_monitor(lun, &monitor);
	return monitor.writes[0];
}

static bool register_key(void)
{
	struct machine_io io = {.name = "vm1",
				.cdb = {PR_OUT, [8] = 24},
				.direction = HOST_OUT,
				.data_len = 24,
				.data = {[15] = 0x77}};

	return machine_execute(machine, &io) && io.status == HOST_GOOD;
}

static void test_export_under_load(void)
{
	struct writers writers = {0};
	struct bus_reply reply;
	uint64_t before;
	int round;

	CHECK(machine_call(machine, writers_start, &writers, sizeof(writers)));
	for (round = 0; round < ROUNDS; round++) {
		usleep(100000);
		if (!CHECK(machine_bus_call(machine, "vm1", "Export", NULL, NULL, &reply)))
			printf("%s: %s\n", reply.error, reply.message);
		before = writes_at_lun();
		usleep(300000);
		CHECK_INT(writes_at_lun(), before);
		if (!CHECK(machine_bus_call(machine, "vm1", "Abort", NULL, NULL, &reply)))
			printf("%s: %s\n", reply.error, reply.message);
		usleep(100000);
		CHECK(writes_at_lun() > before);
	}
	CHECK(machine_call(machine, writers_stop, &writers, sizeof(writers)));
	CHECK(writers.good > 0);
	CHECK_INT(writers.busy + writers.other, 0);
	CHECK_INT(writes_at_lun(), writers.good);
}

static void *register_again(void *unused)
{
	struct machine_io io = {.name = "vm1",
				.cdb = {PR_OUT, [8] = 24},
				.direction = HOST_OUT,
				.data_len = 24,
				.data = {[7] = 0x77, [15] = 0x77}};

	(void)unused;
	machine_execute(machine, &io);
	return NULL;
}

/* The guest's own command hangs at the LUN: who calls meanwhile is told so in time. */
static void test_call_behind_a_slow_lun(void)
{
	struct fake_fault slow = fake_fault(0, PR_OUT, 0);
	struct timespec begin, end;
	struct bus_reply reply;
	pthread_t guest;

	slow.delay_before_ms = 12000;
	fake_lun_add_fault(lun, &slow);
	pthread_create(&guest, NULL, register_again, NULL);
	usleep(500000);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	CHECK(!machine_bus_call(machine, "vm1", "Resync", NULL, NULL, &reply));
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK_STR(reply.error, "Timeout");
	CHECK(end.tv_sec - begin.tv_sec < 12);
	pthread_join(guest, NULL);
	CHECK(machine_bus_call(machine, "vm1", "Resync", NULL, NULL, &reply));
}

int main(int argc, char **argv)
{
	const char *paths[] = {lun_path};

	machine_main(argc, argv);
	snprintf(lun_path, sizeof(lun_path), "/tmp/prmig-lun-%d", getpid());
	lun = fake_lun_create(lun_path, NULL);
	machine = machine_new(paths, 1);
	if (!lun || !machine_boot(machine) || !machine_add(machine, "vm1", "prmig//dev/fake/0/0") ||
	    !register_key())
		return 1;
	CHECK_RUN(test_export_under_load);
	CHECK_RUN(test_call_behind_a_slow_lun);
	if (!machine_stop(machine))
		printf("the machine did not stop in order\n");
	machine_free(machine);
	fake_lun_detach(lun);
	unlink(lun_path);
	return check_summary();
}
