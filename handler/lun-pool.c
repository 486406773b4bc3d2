/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-pool.h"

#include <signal.h>
#include <stdio.h>

#define WORKER_STACK_BYTES ((size_t)256 * 1024)

static struct lun_io *pop_locked(struct lun_pool *pool)
{
	struct lun_io *io = pool->first;

	pool->first = io->next;
	if (pool->first == NULL)
		pool->last = NULL;
	return io;
}

static void *worker_run(void *user)
{
	struct lun_pool *pool = user;
	unsigned int worker;

	pthread_mutex_lock(&pool->lock);
	worker = pool->running++;
	for (;;) {
		struct lun_io *io;

		while (pool->first == NULL && !pool->stopping)
			pthread_cond_wait(&pool->queued, &pool->lock);
		if (pool->first == NULL)
			break;
		io = pop_locked(pool);
		pthread_mutex_unlock(&pool->lock);
		pool->serve(pool->user, worker, io);
		io->done(io); /* the caller's again from here */
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Threads that take no signal: the daemon's are its own affair, and one that interrupted an SG_IO
 * on an sg node would leave the command running behind its answer. */
static int workers_start(struct lun_pool *pool, const char *name)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int error;

	error = pthread_attr_init(&attr);
	if (error != 0)
		return error;
	pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (pool->started < LUN_POOL_WORKERS) {
		char thread_name[16];

		error = pthread_create(&pool->workers[pool->started], &attr, worker_run, pool);
		if (error != 0)
			break;
		snprintf(thread_name, sizeof(thread_name), "%.12s-%u", name, pool->started);
		pthread_setname_np(pool->workers[pool->started], thread_name);
		pool->started++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return error;
}

int lun_pool_start(struct lun_pool *pool, const char *name,
		   void (*serve)(void *user, unsigned int worker, struct lun_io *io), void *user)
{
	int error;

	*pool = (struct lun_pool){.serve = serve, .user = user};
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->queued, NULL);
	error = workers_start(pool, name);
	if (error != 0)
		lun_pool_stop(pool);
	return error;
}

void lun_pool_submit(struct lun_pool *pool, struct lun_io *io)
{
	io->next = NULL;
	pthread_mutex_lock(&pool->lock);
	if (pool->last != NULL)
		pool->last->next = io;
	else
		pool->first = io;
	pool->last = io;
	pthread_cond_signal(&pool->queued);
	pthread_mutex_unlock(&pool->lock);
}

void lun_pool_stop(struct lun_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->queued);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->started; i++)
		pthread_join(pool->workers[i], NULL);
	pthread_cond_destroy(&pool->queued);
	pthread_mutex_destroy(&pool->lock);
}
