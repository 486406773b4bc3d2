/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command ring that the kernel (target_core_user) and the daemon share: prmig answers in it
 * itself, in any order, with any SAM status, and finds the commands that libtcmu drops because it
 * cannot size their CDBs.
 *
 * Includes neither <sys/uio.h> nor anything that does: the kernel's header clashes with it.
 *
 * Two rules make it sound. An answer overwrites the entry at the mailbox's cmd_tail, whatever
 * command that entry was: so no command is answered before libtcmu has passed its entry, and then
 * the entries overwritten are always behind both libtcmu and prmig's own cursor. And a command is
 * known by its id alone, which is unique among those outstanding.
 */
#ifndef PRMIG_RING_H
#define PRMIG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;

struct ring_config {
	void *mailbox; /* struct tcmu_mailbox, mapped */
	size_t map_len;
	/*
	 * libtcmu's own position in the ring, which only libtcmu writes; NULL where it is not
	 * known: a dropped command then waits until the next command arrives.
	 */
	const uint32_t *libtcmu_tail;
	void (*kick)(void *user); /* tells the kernel that there are answers; no lock is held */
	void *user;
	const char *name; /* for messages; copied */
};

struct ring_answer {
	uint8_t status; /* SAM-5 */
	const uint8_t *sense;
	size_t sense_len;
	uint32_t read_len; /* data-in is shorter than the buffer: this long; 0: not so */
};

/* The ring as it is now: nothing in it may have been taken from it by libtcmu that will not arrive.
 * NULL: out of memory, or the mailbox is not one. */
struct ring *ring_new(const struct ring_config *config);

/*
 * libtcmu has handed a command out; on the thread that takes commands, for each, before anything
 * else is done with it. Answers the commands before it that libtcmu dropped.
 */
void ring_arrived(struct ring *ring, uint16_t cmd_id);

/*
 * Answers a command that has arrived, once, and wakes the kernel; any thread. Several that answer
 * at the same time share a wake-up.
 */
void ring_answer(struct ring *ring, uint16_t cmd_id, const struct ring_answer *answer);

/* Looks for dropped commands that nobody came after; one thread, every 100 ms or so. One is
 * answered by the second call after libtcmu has passed it. */
void ring_tick(struct ring *ring);

/* Waits until every command that arrived is answered and the kernel told. NULL is taken. */
void ring_destroy(struct ring *ring);

#endif
