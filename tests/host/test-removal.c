/* SPDX-License-Identifier: Apache-2.0 */
/* Removal with commands in flight, and under load. */
#include "check.h"
#include "fixture.h"

#include <pthread.h>
#include <unistd.h>

#define READ_10 0x28
#define WRITERS 8
#define ROUNDS 15

static void delay_reads(uint32_t delay_ms)
{
	struct fake_fault fault = fake_fault(0, READ_10, FAKE_ANY);

	fault.times = 0;
	fault.delay_before_ms = delay_ms;
	fake_lun_add_fault(fixture.lun, &fault);
}

/* Each way to remove a backstore, with 24 commands at the LUN. */
static void remove_in_flight(enum host_removal how)
{
	struct host_device *device = host_add("vm1", "prmig//dev/fake/0/0");
	struct host_io *ios[24];
	int i;

	if (!CHECK(device))
		return;
	delay_reads(300);
	for (i = 0; i < 24; i++) {
		ios[i] = io_read((uint32_t)i, 4);
		host_submit(device, ios[i]);
	}
	usleep(50000);
	CHECK(host_remove_device(device, how));
	for (i = 0; i < 24; i++) {
		CHECK_INT(ios[i]->answers, 1);
		/* The handler waits for what is in flight, whoever still waits for the answer. */
		CHECK_INT(ios[i]->status, HOST_GOOD);
		io_free(ios[i]);
	}
	fake_lun_clear_faults(fixture.lun);
	if (how == HOST_BLOCK) {
		device = host_add("vm1", "prmig//dev/fake/0/0");
		CHECK(device && device_end(device));
	}
}

static void test_drain(void)
{
	remove_in_flight(HOST_DRAIN);
}

static void test_block(void)
{
	remove_in_flight(HOST_BLOCK);
}

static void test_now(void)
{
	remove_in_flight(HOST_NOW);
}

static struct host_device *load_device;
static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static bool load_stop;

/* A guest that goes on until the backstore is gone. The device lives as long as a lock is held. */
static void *load_run(void *user)
{
	unsigned int seed = (unsigned int)(uintptr_t)user;
	struct host_io *ios[4];
	int i;

	for (;;) {
		for (i = 0; i < 4; i++)
			ios[i] = i ? io_read(seed++ % 64, 2) : io_write(seed % 64, 1, 1);
		pthread_mutex_lock(&load_lock);
		if (load_stop) {
			pthread_mutex_unlock(&load_lock);
			for (i = 0; i < 4; i++)
				io_free(ios[i]);
			return NULL;
		}
		for (i = 0; i < 4; i++)
			host_submit(load_device, ios[i]);
		pthread_mutex_unlock(&load_lock);
		for (i = 0; i < 4; i++) {
			/* Not host_wait: the device may be gone. */
			while (__atomic_load_n(&ios[i]->answers, __ATOMIC_ACQUIRE) == 0)
				usleep(100);
			CHECK(ios[i]->status == HOST_GOOD || ios[i]->status == HOST_BUSY ||
			      ios[i]->status == HOST_STATUS_GONE);
			io_free(ios[i]);
		}
	}
}

static void test_under_load(void)
{
	static const enum host_removal hows[] = {HOST_BLOCK, HOST_NOW, HOST_DRAIN};
	pthread_t threads[WRITERS];
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		load_device = host_add("vm1", "prmig//dev/fake/0/0");
		if (!CHECK(load_device))
			return;
		load_stop = false;
		for (i = 0; i < WRITERS; i++)
			pthread_create(&threads[i], NULL, load_run, (void *)(uintptr_t)(i + 1));
		usleep(20000 + 5000 * (unsigned int)round);
		pthread_mutex_lock(&load_lock);
		load_stop = true;
		CHECK(!host_fault(load_device));
		CHECK(host_remove_device(load_device, hows[round % 3]));
		pthread_mutex_unlock(&load_lock);
		for (i = 0; i < WRITERS; i++)
			pthread_join(threads[i], NULL);
	}
}

/* Devices come and go beside one that works. */
static void test_beside_another(void)
{
	struct host_device *device = host_add("vm1", "prmig//dev/fake/0/0"), *other;
	int round;

	if (!CHECK(device))
		return;
	for (round = 0; round < 10; round++) {
		other = host_add("vm2", "prmig//dev/fake/0/1");
		CHECK(run_write(device, 0, 8, (uint8_t)round));
		CHECK(other && run_read(other, 0, 8, (uint8_t)round));
		CHECK(other && device_end(other));
	}
	CHECK(device_end(device));
}

int main(void)
{
	fixture_start();
	CHECK_RUN(test_drain);
	CHECK_RUN(test_block);
	CHECK_RUN(test_now);
	CHECK_RUN(test_under_load);
	CHECK_RUN(test_beside_another);
	fixture_stop();
	return check_summary();
}
