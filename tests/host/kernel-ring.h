/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's side of a command ring, in memory, as target_core_user of kernel 6.1 keeps it:
 * commands with PAD entries at the end of the ring, the data area in recycled pages, completions
 * read between what was last cleaned and cmd_tail. Whatever the handler does wrong with the ring is
 * a fault, with a text; the ring then takes nothing any more, as the kernel's does.
 */
#ifndef PRMIG_TESTS_KERNEL_RING_H
#define PRMIG_TESTS_KERNEL_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host.h"

#define KERNEL_RING_ID_MAX 0xffff
#define KERNEL_RING_FAULT_MAX 256

struct tcmu_mailbox;

struct kernel_ring {
	struct tcmu_mailbox *mailbox; /* the whole mapping */
	size_t map_len;
	size_t data_off, data_pages;

	pthread_mutex_t lock; /* of all below, and of the ring's kernel side */
	pthread_cond_t answered;
	uint8_t *page_used;
	uint32_t last_cleaned;
	struct host_io *commands[KERNEL_RING_ID_MAX + 1]; /* by id */
	uint16_t next_id;
	struct host_io *queue_first, *queue_last; /* waiting for room */
	bool blocked;
	unsigned int outstanding; /* in the ring */
	char fault[KERNEL_RING_FAULT_MAX];
	struct host_ring_stats stats;

	/* Where libtcmu stands; what is beyond must not have been answered. */
	const uint32_t *libtcmu_tail;
	void (*notify)(void *user); /* commands are there; with the lock held */
	void *user;
};

/* ring_bytes: of the command ring with the mailbox; data_bytes: of the data area. */
bool kernel_ring_init(struct kernel_ring *ring, size_t ring_bytes, size_t data_bytes);
void kernel_ring_free(struct kernel_ring *ring);

/* The guest's command; answered at once where the ring cannot take it. */
void kernel_ring_queue(struct kernel_ring *ring, struct host_io *io);
/* An entry of another kind, as a task management notification. */
void kernel_ring_queue_tmr(struct kernel_ring *ring);
/* What a write to the UIO device does. */
void kernel_ring_complete(struct kernel_ring *ring);
/* block_dev: commands are answered BUSY from now on, those that wait too. */
void kernel_ring_block(struct kernel_ring *ring, bool blocked);
/* Whoever still waits is answered (HOST_STATUS_GONE): the backstore is removed. */
void kernel_ring_abandon(struct kernel_ring *ring);
bool kernel_ring_is_empty(struct kernel_ring *ring); /* cmd_head is cmd_tail */

/* ---- the data area (kernel-pages.c); with the lock held ---- */

void kernel_pages_init(struct kernel_ring *ring, size_t data_bytes);
/* False: no room now. */
bool kernel_pages_take_all(struct kernel_ring *ring, struct host_io *io);
void kernel_pages_give(struct kernel_ring *ring, struct host_io *io);
/* len bytes of the command's data out of the area (in) or into it. */
void kernel_pages_copy(struct kernel_ring *ring, struct host_io *io, bool in, size_t len);

#endif
