/* SPDX-License-Identifier: Apache-2.0 */
#include "ring-layout.h"
#include "kernel-ring.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint32_t round_up_8(uint32_t n)
{
	return (n + 7) & ~7u;
}

static void ring_fault(struct kernel_ring *ring, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void ring_fault(struct kernel_ring *ring, const char *format, ...)
{
	va_list args;

	if (ring->fault[0])
		return;
	va_start(args, format);
	vsnprintf(ring->fault, sizeof(ring->fault), format, args);
	va_end(args);
	fprintf(stderr, "ring broken: %s\n", ring->fault);
	pthread_cond_broadcast(&ring->answered);
}

static uint8_t *ring_at(struct kernel_ring *ring, uint32_t offset)
{
	return (uint8_t *)ring->mailbox + ring->mailbox->cmdr_off + offset;
}

static uint32_t ring_distance(const struct kernel_ring *ring, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : ring->mailbox->cmdr_size - from + to;
}

static void ring_set_head(struct kernel_ring *ring, uint32_t head)
{
	__atomic_store_n(&ring->mailbox->cmd_head, head % ring->mailbox->cmdr_size,
			 __ATOMIC_RELEASE);
}

bool kernel_ring_init(struct kernel_ring *ring, size_t ring_bytes, size_t data_bytes)
{
	struct tcmu_mailbox *mailbox;

	memset(ring, 0, sizeof(*ring));
	ring->map_len = ring_bytes + data_bytes;
	mailbox = mmap(NULL, ring->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);
	if (mailbox == MAP_FAILED)
		return false;
	mailbox->version = TCMU_MAILBOX_VERSION;
	mailbox->flags = TCMU_MAILBOX_FLAG_CAP_OOOC | TCMU_MAILBOX_FLAG_CAP_READ_LEN |
			 TCMU_MAILBOX_FLAG_CAP_TMR | TCMU_MAILBOX_FLAG_CAP_KEEP_BUF;
	mailbox->cmdr_off = sizeof(*mailbox);
	mailbox->cmdr_size = ring_bytes - sizeof(*mailbox);
	ring->mailbox = mailbox;
	ring->data_off = ring_bytes;
	kernel_pages_init(ring, data_bytes);
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->answered, NULL);
	return true;
}

void kernel_ring_free(struct kernel_ring *ring)
{
	munmap(ring->mailbox, ring->map_len);
	free(ring->page_used);
	pthread_cond_destroy(&ring->answered);
	pthread_mutex_destroy(&ring->lock);
}

/* ---- commands in ---- */

static uint32_t cdb_len_of(const uint8_t *cdb)
{
	static const uint8_t by_group[8] = {6, 10, 10, 12, 16, 12, 10, 10};

	return cdb[0] == 0x7f ? 8u + cdb[7] : by_group[cdb[0] >> 5];
}

static void io_answer_locked(struct kernel_ring *ring, struct host_io *io, uint8_t status)
{
	io->status = status;
	__atomic_add_fetch(&io->answers, 1, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&ring->answered);
}

static bool ring_has_room(struct kernel_ring *ring, uint32_t len)
{
	uint32_t size = ring->mailbox->cmdr_size, head = ring->mailbox->cmd_head;
	uint32_t to_end = size - head;

	return size - ring_distance(ring, ring->last_cleaned, head) - 1 >=
	       (to_end >= len ? len : len + to_end);
}

static uint32_t ring_pad(struct kernel_ring *ring, uint32_t len)
{
	uint32_t head = ring->mailbox->cmd_head;
	uint32_t to_end = ring->mailbox->cmdr_size - head;
	struct tcmu_cmd_entry_hdr *hdr = (struct tcmu_cmd_entry_hdr *)ring_at(ring, head);

	if (to_end >= len)
		return head;
	memset(hdr, 0, sizeof(*hdr));
	hdr->len_op = to_end | TCMU_OP_PAD;
	ring->stats.pads++;
	ring_set_head(ring, head + to_end);
	return 0;
}

static uint16_t id_take(struct kernel_ring *ring)
{
	do
		ring->next_id = ring->next_id == KERNEL_RING_ID_MAX ? 1 : ring->next_id + 1;
	while (ring->commands[ring->next_id]);
	return ring->next_id;
}

/* False: no room now. */
static bool ring_put(struct kernel_ring *ring, struct host_io *io)
{
	uint32_t cdb_len = io->cdb_len ? io->cdb_len : cdb_len_of(io->cdb);
	uint32_t base, len, head, i;
	struct tcmu_cmd_entry *entry;

	if (!kernel_pages_take_all(ring, io))
		return false;
	base = offsetof(struct tcmu_cmd_entry, req.iov) +
	       io->piece_cnt * sizeof(struct kernel_iovec);
	if (base < sizeof(*entry))
		base = sizeof(*entry);
	len = base + round_up_8(cdb_len);
	if (!ring_has_room(ring, len)) {
		kernel_pages_give(ring, io);
		return false;
	}
	head = ring_pad(ring, len);
	entry = (struct tcmu_cmd_entry *)ring_at(ring, head);
	memset(entry, 0, len);
	entry->hdr.len_op = len | TCMU_OP_CMD;
	entry->hdr.cmd_id = io->id = id_take(ring);
	entry->req.iov_cnt = io->piece_cnt;
	for (i = 0; i < io->piece_cnt; i++) {
		entry->req.iov[i].iov_base = (void *)io->pieces[i].offset;
		entry->req.iov[i].iov_len = io->pieces[i].len;
	}
	entry->req.cdb_off = ring->mailbox->cmdr_off + head + base;
	memcpy((uint8_t *)ring->mailbox + entry->req.cdb_off, io->cdb, cdb_len);
	if (io->direction == HOST_OUT)
		kernel_pages_copy(ring, io, false, io->data_len);
	ring->commands[io->id] = io;
	ring->outstanding++;
	ring->stats.commands++;
	ring_set_head(ring, head + len);
	ring->notify(ring->user);
	return true;
}

static void ring_run_queue(struct kernel_ring *ring)
{
	while (ring->queue_first) {
		struct host_io *io = ring->queue_first;

		if (!ring_put(ring, io))
			return;
		ring->queue_first = io->next;
		if (!ring->queue_first)
			ring->queue_last = NULL;
	}
}

void kernel_ring_queue(struct kernel_ring *ring, struct host_io *io)
{
	pthread_mutex_lock(&ring->lock);
	io->next = NULL;
	if (ring->blocked) {
		io_answer_locked(ring, io, HOST_BUSY);
	} else if (ring->fault[0]) {
		io_answer_locked(ring, io, HOST_STATUS_GONE);
	} else if (ring->queue_first || !ring_put(ring, io)) {
		ring->stats.queued++;
		if (ring->queue_last)
			ring->queue_last->next = io;
		else
			ring->queue_first = io;
		ring->queue_last = io;
	}
	pthread_mutex_unlock(&ring->lock);
}

void kernel_ring_queue_tmr(struct kernel_ring *ring)
{
	uint32_t len = round_up_8(sizeof(struct tcmu_tmr_entry) + sizeof(uint16_t)), head;
	struct tcmu_tmr_entry *entry;

	pthread_mutex_lock(&ring->lock);
	if (ring_has_room(ring, len)) {
		head = ring_pad(ring, len);
		entry = (struct tcmu_tmr_entry *)ring_at(ring, head);
		memset(entry, 0, len);
		entry->hdr.len_op = len | TCMU_OP_TMR;
		entry->tmr_type = TCMU_TMR_LUN_RESET;
		entry->cmd_cnt = 1;
		entry->cmd_ids[0] = 1;
		ring_set_head(ring, head + len);
		ring->notify(ring->user);
	}
	pthread_mutex_unlock(&ring->lock);
}

/* ---- answers out ---- */

static void ring_complete_one(struct kernel_ring *ring, struct tcmu_cmd_entry *entry)
{
	struct host_io *io = ring->commands[entry->hdr.cmd_id];
	uint8_t flags = entry->hdr.uflags;
	size_t len;

	if (!io) {
		ring_fault(ring, "command id %u is not outstanding", entry->hdr.cmd_id);
		return;
	}
	if (flags & ~TCMU_UFLAG_READ_LEN)
		ring_fault(ring, "flags %02x in the answer to opcode %02x", flags, io->cdb[0]);
	ring->commands[entry->hdr.cmd_id] = NULL;
	ring->outstanding--;
	ring->stats.answers++;

	len = io->data_len;
	io->has_read_len =
		io->direction == HOST_IN && (flags & TCMU_UFLAG_READ_LEN) && entry->rsp.read_len;
	if (io->has_read_len && entry->rsp.read_len < len)
		len = entry->rsp.read_len;
	io->read_len = entry->rsp.read_len;
	if (entry->rsp.scsi_status == HOST_CHECK_CONDITION)
		memcpy(io->sense, entry->rsp.sense_buffer, sizeof(io->sense));
	if (io->direction == HOST_IN &&
	    (entry->rsp.scsi_status != HOST_CHECK_CONDITION || io->has_read_len)) {
		kernel_pages_copy(ring, io, true, len);
		io->transferred = len;
	}
	kernel_pages_give(ring, io);
	io_answer_locked(ring, io, entry->rsp.scsi_status);
}

static void ring_clean(struct kernel_ring *ring)
{
	uint32_t size = ring->mailbox->cmdr_size;
	uint32_t tail = __atomic_load_n(&ring->mailbox->cmd_tail, __ATOMIC_ACQUIRE);
	uint32_t place = __atomic_load_n(ring->libtcmu_tail, __ATOMIC_ACQUIRE);
	uint32_t left = ring_distance(ring, ring->last_cleaned, tail);

	if (tail >= size || left > ring_distance(ring, ring->last_cleaned, place)) {
		ring_fault(ring, "cmd_tail %u is beyond what libtcmu has taken (%u)", tail, place);
		return;
	}
	while (left > 0 && !ring->fault[0]) {
		struct tcmu_cmd_entry_hdr *hdr =
			(struct tcmu_cmd_entry_hdr *)ring_at(ring, ring->last_cleaned);
		uint32_t len = tcmu_hdr_get_len(hdr->len_op);

		if (len == 0 || len > left) {
			ring_fault(ring, "cmd_tail %u is inside an entry", tail);
			return;
		}
		if (tcmu_hdr_get_op(hdr->len_op) == TCMU_OP_CMD)
			ring_complete_one(ring, (struct tcmu_cmd_entry *)hdr);
		ring->last_cleaned = (ring->last_cleaned + len) % size;
		left -= len;
	}
}

void kernel_ring_complete(struct kernel_ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->stats.kicks++;
	ring_clean(ring);
	if (!ring->blocked)
		ring_run_queue(ring);
	pthread_mutex_unlock(&ring->lock);
}

void kernel_ring_block(struct kernel_ring *ring, bool blocked)
{
	pthread_mutex_lock(&ring->lock);
	ring->blocked = blocked;
	ring_clean(ring);
	while (blocked && ring->queue_first) {
		struct host_io *io = ring->queue_first;

		ring->queue_first = io->next;
		io_answer_locked(ring, io, HOST_BUSY);
	}
	if (blocked)
		ring->queue_last = NULL;
	pthread_mutex_unlock(&ring->lock);
}

void kernel_ring_abandon(struct kernel_ring *ring)
{
	size_t id;

	kernel_ring_block(ring, true);
	pthread_mutex_lock(&ring->lock);
	for (id = 0; id <= KERNEL_RING_ID_MAX; id++) {
		if (!ring->commands[id])
			continue;
		io_answer_locked(ring, ring->commands[id], HOST_STATUS_GONE);
		ring->commands[id] = NULL;
		ring->outstanding--;
	}
	pthread_mutex_unlock(&ring->lock);
}

bool kernel_ring_is_empty(struct kernel_ring *ring)
{
	return __atomic_load_n(&ring->mailbox->cmd_head, __ATOMIC_ACQUIRE) ==
	       __atomic_load_n(&ring->mailbox->cmd_tail, __ATOMIC_ACQUIRE);
}
