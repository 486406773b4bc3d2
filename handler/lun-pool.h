/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of a LUN whose commands each block one: made once, a command that finds none free waits
 * its turn. For the backends; what is done with a command is theirs.
 */
#ifndef PRMIG_LUN_POOL_H
#define PRMIG_LUN_POOL_H

#include <pthread.h>

#include "lun.h"

#define LUN_POOL_WORKERS 32

struct lun_pool {
	pthread_mutex_t lock; /* of the queue; a leaf, never held over serve() or done() */
	pthread_cond_t queued;
	struct lun_io *first, *last;
	bool stopping;
	unsigned int running; /* threads that have taken their number */

	/* Fills io->result; io->done is called afterwards. worker: below LUN_POOL_WORKERS, of this thread alone. */
	void (*serve)(void *user, unsigned int worker, struct lun_io *io);
	void *user;
	pthread_t workers[LUN_POOL_WORKERS];
	unsigned int started;
};

/* name: of the threads, at most 12 letters. 0, or an errno: then nothing has been left behind. */
int lun_pool_start(struct lun_pool *pool, const char *name,
		   void (*serve)(void *user, unsigned int worker, struct lun_io *io), void *user);
void lun_pool_submit(struct lun_pool *pool, struct lun_io *io);
/* Serves what is queued, and ends the threads. */
void lun_pool_stop(struct lun_pool *pool);

#endif
