/* SPDX-License-Identifier: Apache-2.0 */
/* From a CDB to what is to be done. */
#include "disk-internal.h"

#include <string.h>

#include "be.h"

#define LUNS_HEADER_LEN 8
#define LUN_LEN 8

/* ---- answers ---- */

void disk_refuse(struct disk_command *command, enum scsi_sense_key key, uint16_t asc_ascq)
{
	command->action = DISK_ANSWER;
	command->status = SCSI_CHECK_CONDITION;
	command->key = (uint8_t)key;
	command->asc_ascq = asc_ascq;
	command->reply_len = 0;
}

void disk_refuse_field(struct disk_command *command, uint16_t asc_ascq, uint16_t field)
{
	disk_refuse(command, SCSI_ILLEGAL_REQUEST, asc_ascq);
	command->has_field = true;
	command->field_in_cdb = asc_ascq == SCSI_ASC_INVALID_FIELD_IN_CDB;
	command->field = field;
}

void disk_miscompare(struct disk_command *command, uint32_t offset)
{
	disk_refuse(command, SCSI_MISCOMPARE, SCSI_ASC_MISCOMPARE_DURING_VERIFY);
	command->has_information = true;
	command->information = offset;
}

size_t disk_sense(const struct disk_command *command, uint8_t *sense)
{
	size_t len;

	if (command->status != SCSI_CHECK_CONDITION)
		return 0;
	len = scsi_sense_build(sense, (enum scsi_sense_key)command->key, command->asc_ascq);
	if (command->has_information) {
		sense[0] |= 0x80; /* VALID */
		be_put32(sense + 3, command->information);
	}
	if (command->has_field)
		scsi_sense_point(sense, command->field_in_cdb, command->field);
	return len;
}

void disk_reply(struct disk_command *command, size_t len)
{
	command->action = DISK_ANSWER;
	command->reply_len = len < command->allocation_len ? len : command->allocation_len;
}

/* ---- what lies on the medium ---- */

/* LBA and length as the length of the CDB has them. *ret_at: where the length stands. */
static void extent_read(const struct disk_row *row, const uint8_t *cdb,
			struct disk_command *command, uint16_t *ret_at)
{
	switch (row->len) {
	case 6:
		command->lba = be_get32(cdb) & 0x1fffff;
		command->blocks = cdb[4] != 0 ? cdb[4] : 256;
		*ret_at = 4;
		break;
	case 10:
		command->lba = be_get32(cdb + 2);
		command->blocks = be_get16(cdb + 7);
		*ret_at = 7;
		break;
	case 12:
		command->lba = be_get32(cdb + 2);
		command->blocks = be_get32(cdb + 6);
		*ret_at = 6;
		break;
	default:
		command->lba = be_get64(cdb + 2);
		command->blocks = be_get32(cdb + 10);
		*ret_at = 10;
		break;
	}
}

static bool extent_in_range(const struct disk *disk, struct disk_command *command)
{
	if (command->lba < disk->blocks && command->blocks <= disk->blocks - command->lba)
		return true;
	disk_refuse(command, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
	return false;
}

static bool extent_at_most(struct disk_command *command, uint32_t max, uint16_t at)
{
	if (command->blocks <= max)
		return true;
	disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, at);
	return false;
}

/* A command of no blocks is good as soon as its LBA is. */
static void extent_action(struct disk_command *command, enum disk_action action)
{
	command->action = command->blocks > 0 ? action : DISK_ANSWER;
}

static void begin_transfer(const struct disk *disk, const struct disk_row *row, const uint8_t *cdb,
			   struct disk_command *command)
{
	uint16_t at;

	extent_read(row, cdb, command, &at);
	if (!extent_at_most(command, DISK_TRANSFER_MAX, at) || !extent_in_range(disk, command))
		return;
	command->fua = row->len > 6 && (cdb[1] & 0x0a) != 0; /* FUA, FUA_NV */
	if (row->verb == DISK_DO_WRITE)
		command->data_blocks = command->blocks;
	extent_action(command, row->verb == DISK_DO_WRITE ? DISK_WRITE : DISK_READ);
}

static void begin_verify(const struct disk *disk, const struct disk_row *row, const uint8_t *cdb,
			 struct disk_command *command)
{
	uint8_t bytchk = cdb[1] >> 1 & 0x03;
	uint16_t at;

	extent_read(row, cdb, command, &at);
	if (bytchk == 2) {
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 1);
		return;
	}
	if (!extent_at_most(command, DISK_TRANSFER_MAX, at) || !extent_in_range(disk, command))
		return;
	if (bytchk != 0)
		command->data_blocks = bytchk == 3 ? 1 : command->blocks;
	extent_action(command, bytchk != 0 ? DISK_COMPARE : DISK_VERIFY);
}

static void begin_synchronize_cache(const struct disk *disk, const struct disk_row *row,
				    const uint8_t *cdb, struct disk_command *command)
{
	uint16_t at;

	extent_read(row, cdb, command, &at);
	/* 0: to the end of the medium. All of the cache is written in any case. */
	if (extent_in_range(disk, command))
		command->action = DISK_FLUSH;
}

static void begin_write_same(const struct disk *disk, const struct disk_row *row,
			     const uint8_t *cdb, struct disk_command *command)
{
	bool no_data = row->len == 16 && (cdb[1] & 0x01) != 0; /* NDOB */
	uint16_t at;

	extent_read(row, cdb, command, &at);
	command->unmap = (cdb[1] & 0x08) != 0;
	if (command->unmap && !disk->thin) {
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 1);
		return;
	}
	if (command->blocks == 0) { /* WSNZ */
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, at);
		return;
	}
	if (!extent_at_most(command, DISK_WRITE_SAME_MAX, at) || !extent_in_range(disk, command))
		return;
	command->data_blocks = no_data ? 0 : 1;
	command->data_exact = true;
	command->action = DISK_WRITE_SAME;
}

static void begin_compare_and_write(const struct disk *disk, const uint8_t *cdb,
				    struct disk_command *command)
{
	command->lba = be_get64(cdb + 2);
	command->blocks = cdb[13];
	command->fua = (cdb[1] & 0x0a) != 0;
	if (!extent_at_most(command, DISK_COMPARE_MAX, 13) || !extent_in_range(disk, command))
		return;
	command->data_blocks = 2 * command->blocks;
	command->data_exact = true;
	extent_action(command, DISK_COMPARE_AND_WRITE);
}

/* ---- UNMAP ---- */

#define UNMAP_HEADER_LEN 8
#define UNMAP_DESCRIPTOR_LEN 16

static void begin_unmap(const uint8_t *cdb, struct disk_command *command)
{
	command->list_len = be_get16(cdb + 7);
	if (command->list_len == 0)
		return;
	if (command->list_len < UNMAP_HEADER_LEN) {
		disk_refuse(command, SCSI_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
		return;
	}
	command->action = DISK_UNMAP;
}

/* SBC-3, UNMAP: a list that is longer than what was sent ends with the last whole descriptor; nothing is done unless
 * all of it can be. */
static void take_unmap_list(const struct disk *disk, const uint8_t *list, size_t len,
			    struct disk_command *command)
{
	size_t descriptors_len = be_get16(list + 2), count;

	if (descriptors_len > command->list_len - UNMAP_HEADER_LEN)
		descriptors_len = command->list_len - UNMAP_HEADER_LEN;
	count = descriptors_len / UNMAP_DESCRIPTOR_LEN;
	if (count > DISK_EXTENTS_MAX || UNMAP_HEADER_LEN + count * UNMAP_DESCRIPTOR_LEN > len) {
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST, 2);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const uint8_t *at = list + UNMAP_HEADER_LEN + i * UNMAP_DESCRIPTOR_LEN;
		struct disk_extent extent = {be_get64(at), be_get32(at + 8)};

		if (extent.lba > disk->blocks || extent.blocks > disk->blocks - extent.lba) {
			disk_refuse(command, SCSI_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE);
			return;
		}
		if (extent.blocks > 0)
			command->extents[command->extent_count++] = extent;
	}
	if (command->extent_count == 0)
		command->action = DISK_ANSWER;
}

void disk_take_list(const struct disk *disk, const uint8_t *cdb, const uint8_t *list, size_t len,
		    struct disk_command *command)
{
	if (command->action == DISK_UNMAP)
		take_unmap_list(disk, list, len, command);
	else
		disk_mode_list(disk, cdb, list, len, command);
}

/* ---- what needs no medium ---- */

static void request_sense(const uint8_t *cdb, uint16_t asc_ascq, struct disk_command *command)
{
	enum scsi_sense_key key = asc_ascq != 0 ? SCSI_UNIT_ATTENTION : SCSI_NO_SENSE;
	uint8_t sense[SCSI_SENSE_MAX];
	size_t len = 8;

	command->allocation_len = cdb[4];
	if (cdb[1] & 0x01) { /* DESC */
		command->reply[0] = 0x72;
		command->reply[1] = (uint8_t)key;
		be_put16(command->reply + 2, asc_ascq);
	} else {
		len = scsi_sense_build(sense, key, asc_ascq);
		memcpy(command->reply, sense, len);
	}
	disk_reply(command, len);
}

/* Nothing here spins, and other nexuses go on: stopping only writes the cache, unless NO_FLUSH says not to. No power
 * conditions; nothing to load or eject. */
static void start_stop(const uint8_t *cdb, struct disk_command *command)
{
	bool start = cdb[4] & 0x01, load_eject = cdb[4] & 0x02, no_flush = cdb[4] & 0x04;
	uint8_t power_condition = cdb[4] >> 4;

	if (cdb[3] != 0)
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 3);
	else if (power_condition != 0 || load_eject)
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 4);
	else if (!start && !no_flush)
		command->action = DISK_FLUSH;
}

/* The kernel answers for the target; here stands the one unit there is. */
static void report_luns(const uint8_t *cdb, struct disk_command *command)
{
	uint8_t select = cdb[2];

	command->allocation_len = be_get32(cdb + 6);
	if (select > 0x02) {
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 2);
		return;
	}
	if (command->allocation_len < 16) { /* SPC-4: at least 16 */
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 6);
		return;
	}
	if (select == 0x01) { /* well-known ones: none */
		disk_reply(command, LUNS_HEADER_LEN);
		return;
	}
	be_put32(command->reply, LUN_LEN);
	disk_reply(command, LUNS_HEADER_LEN + LUN_LEN);
}

/* ---- one CDB ---- */

/* Its reserved fields are zero. */
static bool fields_known(const struct disk_row *row, const uint8_t *cdb,
			 struct disk_command *command)
{
	for (uint16_t i = 1; i < row->len; i++) {
		uint8_t known = i == 1 && row->has_service_action ? 0x1f : row->usage[i];

		if ((cdb[i] & ~known) != 0) {
			disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, i);
			return false;
		}
	}
	return true;
}

void disk_begin(const struct disk *disk, const uint8_t *cdb, size_t cdb_len,
		uint16_t sense_asc_ascq, struct disk_command *ret_command)
{
	struct disk_command *command = ret_command;
	const struct disk_row *row;
	bool has_service_actions;

	memset(command, 0, sizeof(*command));
	row = disk_row_find(disk, cdb[0], cdb_len > 1 ? cdb[1] & 0x1f : 0, &has_service_actions);
	if (row == NULL && has_service_actions) {
		disk_refuse_field(command, SCSI_ASC_INVALID_FIELD_IN_CDB, 1);
		return;
	}
	if (row == NULL || cdb_len < row->len) {
		disk_refuse(command, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPERATION_CODE);
		return;
	}
	if (!fields_known(row, cdb, command))
		return;
	switch ((enum disk_verb)row->verb) {
	case DISK_DO_TEST_UNIT_READY:
		break;
	case DISK_DO_REQUEST_SENSE:
		request_sense(cdb, sense_asc_ascq, command);
		break;
	case DISK_DO_INQUIRY:
		disk_inquiry(disk, cdb, command);
		break;
	case DISK_DO_MODE_SENSE:
		disk_mode_sense(disk, cdb, command);
		break;
	case DISK_DO_MODE_SELECT:
		disk_mode_select(cdb, command);
		break;
	case DISK_DO_START_STOP:
		start_stop(cdb, command);
		break;
	case DISK_DO_READ_CAPACITY_10:
		disk_capacity_10(disk, cdb, command);
		break;
	case DISK_DO_READ_CAPACITY_16:
		disk_capacity_16(disk, cdb, command);
		break;
	case DISK_DO_READ:
	case DISK_DO_WRITE:
		begin_transfer(disk, row, cdb, command);
		break;
	case DISK_DO_VERIFY:
		begin_verify(disk, row, cdb, command);
		break;
	case DISK_DO_SYNCHRONIZE_CACHE:
		begin_synchronize_cache(disk, row, cdb, command);
		break;
	case DISK_DO_WRITE_SAME:
		begin_write_same(disk, row, cdb, command);
		break;
	case DISK_DO_UNMAP:
		begin_unmap(cdb, command);
		break;
	case DISK_DO_COMPARE_AND_WRITE:
		begin_compare_and_write(disk, cdb, command);
		break;
	case DISK_DO_GET_LBA_STATUS:
		disk_lba_status(disk, cdb, command);
		break;
	case DISK_DO_REPORT_LUNS:
		report_luns(cdb, command);
		break;
	case DISK_DO_REPORT_OPERATION_CODES:
		disk_report_operation_codes(disk, cdb, command);
		break;
	}
}
