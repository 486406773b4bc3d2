/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "nexus-internal.h"

#define CLOCK_TICK_NS 100000000L

static void *run(void *unused)
{
	(void)unused;
	for (;;) {
		struct timespec tick = {.tv_nsec = CLOCK_TICK_NS};

		nanosleep(&tick, NULL);
		nexus_tick_all();
	}
	return NULL;
}

bool clock_start(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool running;
	pthread_t thread;
	sigset_t all, old;

	pthread_mutex_lock(&lock);
	if (!running) {
		/* The daemon's signals are for its main thread. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		running = pthread_create(&thread, NULL, run, NULL) == 0;
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		if (running)
			pthread_detach(thread);
	}
	pthread_mutex_unlock(&lock);
	return running;
}
