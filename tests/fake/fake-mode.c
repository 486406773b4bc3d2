/* SPDX-License-Identifier: Apache-2.0 */
/* MODE SENSE, MODE SELECT, LOG SENSE: caching and control pages. */
#include "fake-internal.h"

#include <string.h>

#define PAGE_CACHING 0x08
#define PAGE_CONTROL 0x0a
#define PAGE_EXCEPTIONS 0x1c
#define PAGE_ALL 0x3f
#define CACHING_LEN 20
#define CONTROL_LEN 12
#define WCE 0x04
#define TAS 0x40

/* pc: 0 current, 1 changeable, 2 default, 3 saved (refused by the caller). */
static size_t page_build(struct fake_exec *exec, uint8_t page, uint8_t pc, uint8_t *data)
{
	switch (page) {
	case PAGE_CACHING:
		data[0] = PAGE_CACHING;
		data[1] = CACHING_LEN - 2;
		data[2] = pc == 0 ? (exec->lun->write_cache ? WCE : 0) : WCE;
		return CACHING_LEN;
	case PAGE_CONTROL:
		data[0] = PAGE_CONTROL;
		data[1] = CONTROL_LEN - 2;
		data[5] = pc == 1					     ? TAS
			  : pc == 0 && exec->lun->quirks.task_aborted_status ? TAS
									     : 0;
		return CONTROL_LEN;
	case PAGE_EXCEPTIONS:
		data[0] = PAGE_EXCEPTIONS;
		data[1] = CONTROL_LEN - 2;
		return CONTROL_LEN;
	default:
		return 0;
	}
}

void fake_mode_sense(struct fake_exec *exec)
{
	static const uint8_t pages[] = {PAGE_CACHING, PAGE_CONTROL, PAGE_EXCEPTIONS};
	bool ten = exec->cdb[0] == 0x5a;
	uint8_t page = exec->cdb[2] & 0x3f, pc = exec->cdb[2] >> 6;
	size_t header = ten ? 8 : 4, len = header;
	uint8_t data[128] = {0};

	if (pc == 3) {
		fake_illegal(exec, 0x3900); /* SAVING PARAMETERS NOT SUPPORTED */
		return;
	}
	if (!(exec->cdb[1] & 0x08)) {
		uint64_t blocks = exec->lun->blocks;

		put32(data + len, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
		put32(data + len + 4, exec->lun->block_len);
		len += 8;
		if (ten)
			data[7] = 8;
		else
			data[3] = 8;
	}
	for (size_t i = 0; i < sizeof(pages); i++) {
		if (page == pages[i] || page == PAGE_ALL)
			len += page_build(exec, pages[i], pc, data + len);
	}
	if (exec->cdb[3] != 0 || (page != PAGE_ALL && memchr(pages, page, sizeof(pages)) == NULL)) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
		return;
	}
	if (ten) {
		put16(data, (uint16_t)(len - 2));
		data[3] = 0x10; /* DPOFUA */
	} else {
		data[0] = (uint8_t)(len - 1);
		data[2] = 0x10;
	}
	fake_reply(exec, data, len, ten ? get16(exec->cdb + 7) : exec->cdb[4]);
}

static size_t page_len(uint8_t page)
{
	switch (page) {
	case PAGE_CACHING:
		return CACHING_LEN;
	case PAGE_CONTROL:
	case PAGE_EXCEPTIONS:
		return CONTROL_LEN;
	default:
		return 0;
	}
}

void fake_mode_select(struct fake_exec *exec)
{
	bool ten = exec->cdb[0] == 0x55;
	size_t len = ten ? get16(exec->cdb + 7) : exec->cdb[4];
	size_t header = ten ? 8 : 4, at;

	if (len == 0)
		return;
	if ((exec->cdb[1] & 0x11) != 0x10) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB); /* PF 1, SP 0 */
		return;
	}
	if (len > exec->out_len || len < header) {
		fake_illegal(exec, ASC_LIST_LENGTH);
		return;
	}
	at = header + (ten ? get16(exec->out + 6) : exec->out[3]);
	while (at < len) {
		const uint8_t *page = exec->out + at;

		if (at + 2 > len || at + 2 + page[1] > len) {
			fake_illegal(exec, ASC_LIST_LENGTH);
			return;
		}
		if (page_len(page[0] & 0x3f) != 2 + (size_t)page[1] || (page[0] & 0x40)) {
			fake_illegal(exec, ASC_INVALID_FIELD_IN_LIST);
			return;
		}
		if ((page[0] & 0x3f) == PAGE_CACHING)
			exec->lun->write_cache = page[2] & WCE;
		else if ((page[0] & 0x3f) == PAGE_CONTROL)
			exec->lun->quirks.task_aborted_status = page[5] & TAS;
		at += 2 + (size_t)page[1];
	}
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		if (i != exec->nexus)
			fake_ua_add(&exec->pr, i, ASC_MODE_CHANGED);
	}
}

void fake_log_sense(struct fake_exec *exec)
{
	static const uint8_t pages[] = {0, 0, 0, 1, 0};

	if ((exec->cdb[2] & 0x3f) != 0 || exec->cdb[3] != 0)
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
	else
		fake_reply(exec, pages, sizeof(pages), get16(exec->cdb + 7));
}
