/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/target_core_user.h>

#include "log.h"
#include "scsi.h"

#define RING_NAME_MAX 64

struct ring {
	struct tcmu_mailbox *mailbox;
	size_t map_len;
	uint8_t *entries;
	uint32_t size; /* of the entries, bytes */
	bool offers_read_len;
	void (*kick)(void *user);
	void *user;
	char name[RING_NAME_MAX];

	/* Commands that arrived and are not answered yet, and ticks; ring_destroy waits for 0. */
	unsigned int in_use;
	bool answers_unseen; /* answers are in the ring that no kick was made after */
	bool kicking;

	pthread_mutex_t lock; /* a leaf: nothing is called with it held but log functions */
	const uint32_t *libtcmu_tail;
	/* How far commands have been told apart, as an offset and as a count of bytes since open.
	 * What is before it has arrived or was answered as dropped. */
	uint32_t cursor;
	uint64_t cursor_bytes;
	uint64_t tick_limit; /* where libtcmu was at the last tick, in bytes since open */
	bool blind;	     /* what libtcmu drops cannot be told any more */
	bool broken;	     /* the ring's contents make no sense */
};

static bool hdr_is_cmd(const struct tcmu_cmd_entry_hdr *hdr)
{
	return tcmu_hdr_get_op(hdr->len_op) == TCMU_OP_CMD;
}

static void ring_broken_locked(struct ring *ring, const char *what, uint32_t offset)
{
	if (!ring->broken)
		log_error("%s: the command ring is broken: %s at offset %u; remove the backstore "
			  "or restart tcmu-runner",
			  ring->name, what, offset);
	ring->broken = true;
}

/* NULL: no entry can be there; the ring is broken then. */
static struct tcmu_cmd_entry_hdr *ring_entry_locked(struct ring *ring, uint32_t offset)
{
	struct tcmu_cmd_entry_hdr *hdr;
	uint32_t len;

	if (offset % TCMU_OP_ALIGN_SIZE || offset + sizeof(*hdr) > ring->size) {
		ring_broken_locked(ring, "an entry that cannot be", offset);
		return NULL;
	}
	hdr = (struct tcmu_cmd_entry_hdr *)(ring->entries + offset);
	len = tcmu_hdr_get_len(hdr->len_op);
	if (len < sizeof(*hdr) || len > ring->size - offset ||
	    (hdr_is_cmd(hdr) && len < sizeof(struct tcmu_cmd_entry))) {
		ring_broken_locked(ring, "an entry of impossible length", offset);
		return NULL;
	}
	return hdr;
}

static uint32_t ring_next(const struct ring *ring, uint32_t offset,
			  const struct tcmu_cmd_entry_hdr *hdr)
{
	return (offset + tcmu_hdr_get_len(hdr->len_op)) % ring->size;
}

static uint32_t ring_distance(const struct ring *ring, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : ring->size - from + to;
}

/* Acquire: the entries before it are as the kernel wrote them. */
static uint32_t ring_head(const struct ring *ring)
{
	return __atomic_load_n(&ring->mailbox->cmd_head, __ATOMIC_ACQUIRE);
}

/* Whether libtcmu drops the command of an entry that has not been overwritten yet. */
static bool ring_is_dropped(const struct ring *ring, const struct tcmu_cmd_entry_hdr *hdr)
{
	const struct tcmu_cmd_entry *entry = (const struct tcmu_cmd_entry *)hdr;
	uint64_t cdb_off = entry->req.cdb_off;

	return cdb_off < ring->map_len &&
	       !scsi_cdb_sized_by_libtcmu(((const uint8_t *)ring->mailbox)[cdb_off]);
}

static void ring_answer_locked(struct ring *ring, uint16_t cmd_id, const struct ring_answer *answer)
{
	/* Only this function and ring_skip_locked write it, under the lock. */
	uint32_t tail = __atomic_load_n(&ring->mailbox->cmd_tail, __ATOMIC_RELAXED);
	struct tcmu_cmd_entry_hdr *hdr;
	struct tcmu_cmd_entry *entry;
	uint32_t walked = 0;

	if (ring->broken)
		return;
	/* PAD and whatever else carries no answer. A command entry comes before the cursor. */
	for (hdr = ring_entry_locked(ring, tail); hdr && !hdr_is_cmd(hdr);
	     hdr = ring_entry_locked(ring, tail)) {
		walked += tcmu_hdr_get_len(hdr->len_op);
		tail = ring_next(ring, tail, hdr);
		if (walked > ring->size) {
			ring_broken_locked(ring, "no command to answer", tail);
			return;
		}
	}
	if (!hdr)
		return;

	entry = (struct tcmu_cmd_entry *)hdr;
	hdr->cmd_id = cmd_id;
	hdr->uflags = 0;
	entry->rsp.scsi_status = answer->status;
	entry->rsp.read_len = 0;
	if (answer->status == SCSI_CHECK_CONDITION) {
		size_t len = answer->sense_len < TCMU_SENSE_BUFFERSIZE ? answer->sense_len
								       : TCMU_SENSE_BUFFERSIZE;

		memset(entry->rsp.sense_buffer, 0, TCMU_SENSE_BUFFERSIZE);
		if (len)
			memcpy(entry->rsp.sense_buffer, answer->sense, len);
	} else if (answer->read_len && ring->offers_read_len) {
		entry->rsp.read_len = answer->read_len;
		hdr->uflags = TCMU_UFLAG_READ_LEN;
	}
	__atomic_store_n(&ring->mailbox->cmd_tail, ring_next(ring, tail, hdr), __ATOMIC_RELEASE);
}

/*
 * Moves the cursor over the entry there. Answers its command if drop is set. In this order: the
 * answer may overwrite this very entry, and none after it.
 */
static void ring_pass_locked(struct ring *ring, const struct tcmu_cmd_entry_hdr *hdr, bool drop)
{
	uint8_t sense[SCSI_SENSE_MAX];
	struct ring_answer answer = {.status = SCSI_CHECK_CONDITION, .sense = sense};
	uint16_t cmd_id = hdr->cmd_id;

	ring->cursor_bytes += tcmu_hdr_get_len(hdr->len_op);
	ring->cursor = ring_next(ring, ring->cursor, hdr);
	if (!drop)
		return;
	answer.sense_len =
		scsi_sense_build(sense, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPERATION_CODE);
	ring_answer_locked(ring, cmd_id, &answer);
}

/*
 * Lets the tail pass entries that carry no answer and that nobody will come after to answer: the
 * daemon waits for an empty ring when it stops. Not beyond the cursor, and so not beyond libtcmu.
 */
static bool ring_skip_locked(struct ring *ring)
{
	uint32_t tail = __atomic_load_n(&ring->mailbox->cmd_tail, __ATOMIC_RELAXED);
	uint32_t old_tail = tail;

	while (tail != ring->cursor) {
		struct tcmu_cmd_entry_hdr *hdr = ring_entry_locked(ring, tail);

		if (!hdr || hdr_is_cmd(hdr))
			break;
		tail = ring_next(ring, tail, hdr);
	}
	if (tail == old_tail)
		return false;
	__atomic_store_n(&ring->mailbox->cmd_tail, tail, __ATOMIC_RELEASE);
	return true;
}

static void ring_blind_locked(struct ring *ring)
{
	if (!ring->blind)
		log_error("%s: a command came that the ring does not show next; commands that "
			  "libtcmu drops cannot be answered until tcmu-runner is restarted",
			  ring->name);
	ring->blind = true;
}

static void ring_distrust_locked(struct ring *ring, const char *why)
{
	if (ring->libtcmu_tail)
		log_warning("%s: libtcmu's place in the ring is not where prmig looks for it (%s): "
			    "a command that libtcmu drops is answered only when another command "
			    "follows",
			    ring->name, why);
	ring->libtcmu_tail = NULL;
}

/* The offset of a command between cursor and head, behind nothing but dropped ones and entries of
 * other kinds; false when it is not there. */
static bool ring_find_locked(struct ring *ring, uint16_t cmd_id, uint32_t *ret_offset)
{
	uint32_t head = ring_head(ring);
	uint32_t offset = ring->cursor;

	while (offset != head) {
		struct tcmu_cmd_entry_hdr *hdr = ring_entry_locked(ring, offset);

		if (!hdr)
			return false;
		/* By its id first: a libtcmu that sizes more than this one hands it out. */
		if (hdr_is_cmd(hdr) && hdr->cmd_id == cmd_id) {
			*ret_offset = offset;
			return true;
		}
		if (hdr_is_cmd(hdr) && !ring_is_dropped(ring, hdr))
			return false;
		offset = ring_next(ring, offset, hdr);
		if (offset == ring->cursor)
			return false;
	}
	return false;
}

static void ring_kick(struct ring *ring)
{
	/*
	 * Whoever finds nobody kicking kicks for all; whoever finds somebody leaves it to him, who
	 * looks again after he has stopped. Sequentially consistent, all of it.
	 */
	__atomic_store_n(&ring->answers_unseen, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ring->answers_unseen, __ATOMIC_SEQ_CST) &&
	       !__atomic_exchange_n(&ring->kicking, true, __ATOMIC_SEQ_CST)) {
		while (__atomic_exchange_n(&ring->answers_unseen, false, __ATOMIC_SEQ_CST))
			ring->kick(ring->user);
		__atomic_store_n(&ring->kicking, false, __ATOMIC_SEQ_CST);
	}
}

void ring_arrived(struct ring *ring, uint16_t cmd_id)
{
	uint32_t old_tail, offset;
	bool answered;

	__atomic_add_fetch(&ring->in_use, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&ring->lock);
	old_tail = ring->mailbox->cmd_tail;
	if (ring->broken || ring->blind) {
		/* Answered by its id all the same. */
	} else if (ring_find_locked(ring, cmd_id, &offset)) {
		struct tcmu_cmd_entry_hdr *hdr;

		while (ring->cursor != offset) {
			hdr = (struct tcmu_cmd_entry_hdr *)(ring->entries + ring->cursor);
			ring_pass_locked(ring, hdr, hdr_is_cmd(hdr));
		}
		hdr = (struct tcmu_cmd_entry_hdr *)(ring->entries + ring->cursor);
		ring_pass_locked(ring, hdr, false);
		if (ring->libtcmu_tail &&
		    __atomic_load_n(ring->libtcmu_tail, __ATOMIC_RELAXED) != ring->cursor)
			ring_distrust_locked(ring, "not behind the command just given");
	} else if (!ring->broken) {
		ring_blind_locked(ring);
	}
	answered = ring->mailbox->cmd_tail != old_tail;
	pthread_mutex_unlock(&ring->lock);
	if (answered)
		ring_kick(ring);
}

void ring_answer(struct ring *ring, uint16_t cmd_id, const struct ring_answer *answer)
{
	pthread_mutex_lock(&ring->lock);
	ring_answer_locked(ring, cmd_id, answer);
	pthread_mutex_unlock(&ring->lock);
	ring_kick(ring);
	__atomic_sub_fetch(&ring->in_use, 1, __ATOMIC_RELEASE);
}

/*
 * Answers what was dropped between the cursor and the place where libtcmu was at the last tick. One
 * tick late, so that a command that libtcmu is just handing out has arrived, should it size what
 * prmig takes for dropped; and no further than a command that must still arrive.
 */
static void ring_look_locked(struct ring *ring)
{
	/* In this order: the head seen is then at or beyond libtcmu's place. */
	uint32_t place = __atomic_load_n(ring->libtcmu_tail, __ATOMIC_ACQUIRE);
	uint32_t head = ring_head(ring);
	uint64_t limit = ring->tick_limit;

	if (place >= ring->size ||
	    ring_distance(ring, ring->cursor, place) > ring_distance(ring, ring->cursor, head)) {
		ring_distrust_locked(ring, "outside what the kernel has queued");
		return;
	}
	ring->tick_limit = ring->cursor_bytes + ring_distance(ring, ring->cursor, place);

	while (ring->cursor_bytes < limit) {
		struct tcmu_cmd_entry_hdr *hdr = ring_entry_locked(ring, ring->cursor);

		if (!hdr)
			return;
		if (tcmu_hdr_get_len(hdr->len_op) > limit - ring->cursor_bytes) {
			ring_distrust_locked(ring, "inside an entry");
			return;
		}
		if (hdr_is_cmd(hdr) && !ring_is_dropped(ring, hdr))
			return;
		ring_pass_locked(ring, hdr, hdr_is_cmd(hdr));
	}
}

void ring_tick(struct ring *ring)
{
	bool moved = false;

	__atomic_add_fetch(&ring->in_use, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&ring->lock);
	if (!ring->broken && !ring->blind && ring->libtcmu_tail) {
		uint32_t old_tail = ring->mailbox->cmd_tail;

		ring_look_locked(ring);
		moved = ring_skip_locked(ring) || ring->mailbox->cmd_tail != old_tail;
	}
	pthread_mutex_unlock(&ring->lock);
	if (moved)
		ring_kick(ring);
	__atomic_sub_fetch(&ring->in_use, 1, __ATOMIC_RELEASE);
}

struct ring *ring_new(const struct ring_config *config)
{
	struct tcmu_mailbox *mailbox = config->mailbox;
	struct ring *ring;

	if (!mailbox || config->map_len < sizeof(*mailbox) ||
	    mailbox->version != TCMU_MAILBOX_VERSION || mailbox->cmdr_off < sizeof(*mailbox) ||
	    mailbox->cmdr_off > config->map_len ||
	    mailbox->cmdr_size > config->map_len - mailbox->cmdr_off ||
	    mailbox->cmd_tail >= mailbox->cmdr_size ||
	    !(mailbox->flags & TCMU_MAILBOX_FLAG_CAP_OOOC))
		return NULL;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return NULL;
	ring->mailbox = mailbox;
	ring->map_len = config->map_len;
	ring->entries = (uint8_t *)mailbox + mailbox->cmdr_off;
	ring->size = mailbox->cmdr_size;
	ring->offers_read_len = mailbox->flags & TCMU_MAILBOX_FLAG_CAP_READ_LEN;
	ring->kick = config->kick;
	ring->user = config->user;
	strncpy(ring->name, config->name, sizeof(ring->name) - 1);
	pthread_mutex_init(&ring->lock, NULL);
	/* Nothing has been answered since libtcmu looked, so it begins at the tail, as prmig. */
	ring->cursor = mailbox->cmd_tail;
	ring->libtcmu_tail = config->libtcmu_tail;
	if (ring->libtcmu_tail && *ring->libtcmu_tail != ring->cursor)
		ring_distrust_locked(ring, "not at the tail at the start");
	return ring;
}

void ring_destroy(struct ring *ring)
{
	if (!ring)
		return;
	while (__atomic_load_n(&ring->in_use, __ATOMIC_ACQUIRE))
		usleep(1000);
	pthread_mutex_destroy(&ring->lock);
	free(ring);
}
