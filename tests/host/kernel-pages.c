/* SPDX-License-Identifier: Apache-2.0 */
/* The data area behind the ring: pages, recycled from command to command. */
#include "kernel-ring.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define POISON 0xa5 /* what an earlier command left there */

void kernel_pages_init(struct kernel_ring *ring, size_t data_bytes)
{
	ring->data_pages = data_bytes / PAGE;
	ring->page_used = calloc(ring->data_pages, 1);
	memset((uint8_t *)ring->mailbox + ring->data_off, POISON, data_bytes);
}

/* First page of a run of count free pages; -1: none. */
static long pages_take(struct kernel_ring *ring, size_t count)
{
	size_t first, i;

	for (first = 0; first + count <= ring->data_pages; first++) {
		for (i = 0; i < count && !ring->page_used[first + i]; i++)
			;
		if (i == count) {
			memset(ring->page_used + first, 1, count);
			return (long)first;
		}
		first += i;
	}
	return -1;
}

void kernel_pages_give(struct kernel_ring *ring, struct host_io *io)
{
	size_t i;

	for (i = 0; i < io->piece_cnt; i++) {
		uint8_t *data = (uint8_t *)ring->mailbox + io->pieces[i].offset;
		size_t count = (io->pieces[i].len + PAGE - 1) / PAGE;

		memset(data, POISON, count * PAGE);
		memset(ring->page_used + (io->pieces[i].offset - ring->data_off) / PAGE, 0, count);
	}
	io->piece_cnt = 0;
}

/* Cuts the buffer as asked, or by pages as the kernel does when none lie side by side. */
bool kernel_pages_take_all(struct kernel_ring *ring, struct host_io *io)
{
	size_t left = io->data_len, piece = 0;

	io->piece_cnt = 0;
	while (left > 0) {
		size_t len = io->split_cnt == 0 ? PAGE : left;
		long first;

		if (piece < io->split_cnt && io->split[piece] < left)
			len = io->split[piece];
		len = len < left ? len : left;
		first = io->piece_cnt < HOST_PIECES_MAX ? pages_take(ring, (len + PAGE - 1) / PAGE)
							: -1;
		if (first < 0) {
			kernel_pages_give(ring, io);
			return false;
		}
		io->pieces[io->piece_cnt++] = (struct host_piece){
			.offset = ring->data_off + (size_t)first * PAGE,
			.len = (uint32_t)len,
		};
		left -= len;
		piece++;
	}
	return true;
}

void kernel_pages_copy(struct kernel_ring *ring, struct host_io *io, bool in, size_t len)
{
	uint8_t *data = io->data;
	size_t i;

	for (i = 0; i < io->piece_cnt && len > 0; i++) {
		uint8_t *area = (uint8_t *)ring->mailbox + io->pieces[i].offset;
		size_t part = io->pieces[i].len < len ? io->pieces[i].len : len;

		if (in)
			memcpy(data, area, part);
		else
			memcpy(area, data, part);
		data += part;
		len -= part;
	}
}
