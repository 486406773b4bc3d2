/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MODE SENSE and MODE SELECT. No parameter can be changed: a guest that switched the write cache off, and
 * sent no SYNCHRONIZE CACHE from then on, would lose data when a restart or a hand-over forgot it.
 */
#include "disk-internal.h"

#include <string.h>

#include "be.h"

#define HEADER_6_LEN 4
#define HEADER_10_LEN 8
#define BLOCK_SHORT_LEN 8
#define BLOCK_LONG_LEN 16
#define DPOFUA 0x10
#define PAGE_ALL 0x3f
#define SUBPAGE_ALL 0xff
#define SPF 0x40
#define MODE_LIST_MIN 4

enum page_control { CONTROL_CURRENT, CONTROL_CHANGEABLE, CONTROL_DEFAULT, CONTROL_SAVED };

#define ERROR_RECOVERY_LEN 12
#define CACHING_LEN 20
#define CONTROL_LEN 12
#define EXCEPTIONS_LEN 12
#define PAGE_LEN_MAX 20

struct mode_page {
	uint8_t code;
	uint8_t len;
	uint8_t bytes[PAGE_LEN_MAX];
};

static const struct mode_page pages[] = {
	/* Read-write error recovery: AWRE, ARRE. */
	{0x01, ERROR_RECOVERY_LEN, {0x01, ERROR_RECOVERY_LEN - 2, 0xc0}},
	/* Caching: WCE. */
	{0x08, CACHING_LEN, {0x08, CACHING_LEN - 2, 0x04}},
	/* Control: commands are reordered as it comes; TAS: what another nexus aborts is answered TASK ABORTED;
	 * BUSY TIMEOUT PERIOD: no limit. */
	{0x0a, CONTROL_LEN, {0x0a, CONTROL_LEN - 2, 0, 0x10, 0, 0x40, 0, 0, 0xff, 0xff}},
	/* Informational exceptions control: there are none. */
	{0x1c, EXCEPTIONS_LEN, {0x1c, EXCEPTIONS_LEN - 2, 0x08}},
};

#define PAGE_COUNT (sizeof(pages) / sizeof(pages[0]))

static const struct mode_page *page_find(uint8_t code)
{
	for (size_t i = 0; i < PAGE_COUNT; i++)
		if (pages[i].code == code)
			return &pages[i];
	return NULL;
}

/* ---- MODE SENSE ---- */

static size_t put_block_descriptor(const struct disk *disk, bool long_lba, uint8_t *at)
{
	if (long_lba) {
		be_put64(at, disk->blocks);
		be_put32(at + 12, disk->block_len_bytes);
		return BLOCK_LONG_LEN;
	}
	be_put32(at, disk->blocks < UINT32_MAX ? (uint32_t)disk->blocks : UINT32_MAX);
	be_put32(at + 4, disk->block_len_bytes);
	return BLOCK_SHORT_LEN;
}

static size_t put_page(const struct mode_page *page, enum page_control control, uint8_t *at)
{
	/* Changeable: a page with no bit set. */
	memcpy(at, page->bytes, control == CONTROL_CHANGEABLE ? 2 : page->len);
	return page->len;
}

void disk_mode_sense(const struct disk *disk, const uint8_t *cdb, struct disk_command *command)
{
	bool ten = cdb[0] == 0x5a, no_block_descriptor = cdb[1] & 0x08;
	bool long_lba = ten && (cdb[1] & 0x10) != 0; /* LLBAA */
	enum page_control control = (enum page_control)(cdb[2] >> 6);
	uint8_t code = cdb[2] & 0x3f, subpage = cdb[3];
	size_t header_len = ten ? HEADER_10_LEN : HEADER_6_LEN, len = header_len, block_len = 0;
	uint8_t *data = command->reply;
	const struct mode_page *page = page_find(code);

	command->allocation_len = ten ? be_get16(cdb + 7) : cdb[4];
	if (control == CONTROL_SAVED) {
		disk_refuse(command, SCSI_ILLEGAL_REQUEST,
			    SCSI_ASC_SAVING_PARAMETERS_NOT_SUPPORTED);
		return;
	}
	if (page == NULL && code != PAGE_ALL) {
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 2);
		return;
	}
	if (subpage != 0 && subpage != SUBPAGE_ALL) {
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 3);
		return;
	}
	if (!no_block_descriptor)
		block_len = put_block_descriptor(disk, long_lba, data + len);
	len += block_len;
	for (size_t i = 0; i < PAGE_COUNT; i++)
		if (code == PAGE_ALL || code == pages[i].code)
			len += put_page(&pages[i], control, data + len);
	if (ten) {
		be_put16(data, (uint16_t)(len - 2));
		data[3] = DPOFUA;
		data[4] = long_lba; /* LONGLBA */
		be_put16(data + 6, (uint16_t)block_len);
	} else {
		data[0] = (uint8_t)(len - 1);
		data[2] = DPOFUA;
		data[3] = (uint8_t)block_len;
	}
	disk_reply(command, len);
}

/* ---- MODE SELECT ---- */

void disk_mode_select(const uint8_t *cdb, struct disk_command *command)
{
	bool ten = cdb[0] == 0x55;

	command->list_len = ten ? be_get16(cdb + 7) : cdb[4];
	if (!(cdb[1] & 0x10) || (cdb[1] & 0x01)) { /* PF; SP: nothing is saved */
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 1);
		return;
	}
	if (command->list_len > 0)
		command->action = DISK_MODE_SELECT;
}

static void refuse_length(struct disk_command *command)
{
	disk_refuse(command, SCSI_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
}

/* Says what is so, or zero, which leaves the number of blocks as it is. */
static bool block_descriptor_same(const struct disk *disk, const uint8_t *at, bool long_lba)
{
	uint64_t blocks = long_lba ? be_get64(at) : be_get32(at);
	uint32_t block_len = be_get32(at + (long_lba ? 12 : 4));
	uint64_t shown = !long_lba && disk->blocks > UINT32_MAX ? UINT32_MAX : disk->blocks;

	return block_len == disk->block_len_bytes && (blocks == 0 || blocks == shown);
}

/* list: all of it. */
static void take_pages(const uint8_t *list, size_t len, size_t at, struct disk_command *command)
{
	while (at < len) {
		const struct mode_page *page;
		size_t differs = 1;

		if (len - at < 2) {
			refuse_length(command);
			return;
		}
		page = list[at] & SPF ? NULL : page_find(list[at] & 0x3f);
		if (page == NULL) {
			disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST,
					  (uint16_t)at);
			return;
		}
		if (list[at + 1] == page->bytes[1] && len - at < page->len) {
			refuse_length(command);
			return;
		}
		/* Beginning with the length: PS (reserved here) is not looked at. */
		if (list[at + 1] == page->bytes[1])
			while (differs < page->len && list[at + differs] == page->bytes[differs])
				differs++;
		if (differs < page->len) {
			disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST,
					  (uint16_t)(at + differs));
			return;
		}
		at += page->len;
	}
	command->action = DISK_ANSWER;
}

void disk_mode_list(const struct disk *disk, const uint8_t *cdb, const uint8_t *list, size_t len,
		    struct disk_command *command)
{
	bool ten = cdb[0] == 0x55, long_lba;
	size_t header_len = ten ? HEADER_10_LEN : HEADER_6_LEN, block_len;

	if (len < header_len || len < command->list_len) {
		refuse_length(command);
		return;
	}
	long_lba = ten && (list[4] & 0x01) != 0;
	block_len = ten ? be_get16(list + 6) : list[3];
	if (block_len != 0 && block_len != (long_lba ? BLOCK_LONG_LEN : BLOCK_SHORT_LEN)) {
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST, ten ? 6 : 3);
		return;
	}
	if (len < header_len + block_len) {
		refuse_length(command);
		return;
	}
	if (block_len != 0 && !block_descriptor_same(disk, list + header_len, long_lba)) {
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST,
				  (uint16_t)header_len);
		return;
	}
	take_pages(list, len, header_len + block_len, command);
}
