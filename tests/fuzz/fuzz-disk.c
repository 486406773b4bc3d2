/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk that a file is: what a CDB asks for and what it answers. The input: a byte of switches, bytes of the disk's size, a CDB, and
 * the parameter list or the runs of LBA status.
 */
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "disk.h"
#include "fuzz.h"
#include "reference-class.h"

#define NAA "6001405aabbccddeeff00112233445566"

static struct disk disk;
static struct disk_command command, other;

static void make_disk(struct fuzz_source *source)
{
	uint8_t switches = fuzz_byte(source);

	memset(&disk, 0, sizeof(disk));
	disk.thin = switches & 1;
	disk.block_len_bytes = switches & 2 ? 4096 : 512;
	disk.physical_exponent = switches & 4 ? 3 : 0;
	disk.blocks = fuzz_u64(source);
	if (switches & 8)
		disk.blocks >>= 32;
	if (switches & 16)
		disk.blocks >>= 20;
	if (disk.blocks == 0)
		disk.blocks = 1;
	strcpy(disk.serial, NAA);
	memcpy(disk.designator, "\x01\x03\x00\x10", 4);
	for (size_t i = 0; i < 16; i++)
		disk.designator[4 + i] = (uint8_t)(i == 0 ? 0x60 : i);
	disk.designator_len = 20;
}

/* ---- what holds for every answer ---- */

static void check_answer(const struct disk_command *answer)
{
	uint8_t sense[SCSI_SENSE_MAX], key;
	size_t sense_len = disk_sense(answer, sense);
	uint16_t asc_ascq;

	FUZZ_CHECK(answer->action <= DISK_LBA_STATUS);
	FUZZ_CHECK(answer->reply_len <= DISK_REPLY_MAX);
	FUZZ_CHECK(answer->reply_len <= answer->allocation_len);
	FUZZ_CHECK(answer->status == SCSI_GOOD || answer->status == SCSI_CHECK_CONDITION);
	FUZZ_CHECK((sense_len > 0) == (answer->status == SCSI_CHECK_CONDITION));
	if (answer->status == SCSI_GOOD)
		return;
	FUZZ_CHECK(answer->action == DISK_ANSWER && answer->reply_len == 0);
	FUZZ_CHECK(scsi_sense_parse(sense, sense_len, &key, &asc_ascq));
	FUZZ_CHECK(key == answer->key && asc_ascq == answer->asc_ascq && key != 0 && asc_ascq != 0);
}

static bool in_range(uint64_t lba, uint64_t blocks)
{
	return lba < disk.blocks && blocks <= disk.blocks - lba;
}

/* What is done is of the class by which reservations were asked, inside the disk, with the data that the CDB announces. */
static void check_action(const uint8_t *cdb)
{
	enum reference_class class = reference_class(cdb);
	struct scsi_cdb_info info;

	scsi_cdb_describe(cdb, &info);
	FUZZ_CHECK(command.data_blocks == 0 || command.action == DISK_ANSWER ||
		   info.direction == SCSI_DIR_OUT);
	FUZZ_CHECK(command.reply_len == 0 || info.direction == SCSI_DIR_IN);
	switch (command.action) {
	case DISK_ANSWER:
		return;
	case DISK_READ:
	case DISK_VERIFY:
	case DISK_COMPARE:
		FUZZ_CHECK(class == REFERENCE_R);
		FUZZ_CHECK(command.blocks > 0 && command.blocks <= DISK_TRANSFER_MAX);
		FUZZ_CHECK(in_range(command.lba, command.blocks));
		break;
	case DISK_WRITE:
	case DISK_COMPARE_AND_WRITE:
		FUZZ_CHECK(class == REFERENCE_W && command.blocks > 0);
		FUZZ_CHECK(command.blocks <= DISK_TRANSFER_MAX);
		FUZZ_CHECK(in_range(command.lba, command.blocks));
		FUZZ_CHECK(command.data_blocks == command.blocks ||
			   command.action == DISK_COMPARE_AND_WRITE);
		break;
	case DISK_WRITE_SAME:
		FUZZ_CHECK(class == REFERENCE_W && command.blocks > 0);
		FUZZ_CHECK(in_range(command.lba, command.blocks));
		FUZZ_CHECK(!command.unmap || disk.thin);
		break;
	case DISK_FLUSH: /* SYNCHRONIZE CACHE, START STOP UNIT */
		FUZZ_CHECK(class == REFERENCE_W);
		break;
	case DISK_UNMAP:
	case DISK_MODE_SELECT:
		FUZZ_CHECK(class == REFERENCE_W && info.direction == SCSI_DIR_OUT);
		FUZZ_CHECK(command.list_len > 0);
		FUZZ_CHECK(command.action != DISK_UNMAP || disk.thin);
		break;
	case DISK_LBA_STATUS:
		FUZZ_CHECK(class == REFERENCE_R && command.lba < disk.blocks);
		break;
	}
	fuzz_deep();
}

/* READ and WRITE, each form by what its name says: LBA and length. */
static void check_extent(const uint8_t *cdb)
{
	uint64_t lba;
	uint32_t blocks;

	switch (cdb[0]) {
	case 0x08:
	case 0x0a:
		lba = (uint64_t)(cdb[1] & 0x1f) << 16 | cdb[2] << 8 | cdb[3];
		blocks = cdb[4] == 0 ? 256 : cdb[4];
		break;
	case 0x28:
	case 0x2a:
		lba = be_get32(cdb + 2);
		blocks = be_get16(cdb + 7);
		break;
	case 0xa8:
	case 0xaa:
		lba = be_get32(cdb + 2);
		blocks = be_get32(cdb + 6);
		break;
	case 0x88:
	case 0x8a:
		lba = be_get64(cdb + 2);
		blocks = be_get32(cdb + 10);
		break;
	default:
		return;
	}
	if (command.action == DISK_ANSWER) {
		FUZZ_CHECK(command.status == SCSI_CHECK_CONDITION || blocks == 0);
		return;
	}
	FUZZ_CHECK(command.lba == lba && command.blocks == blocks);
	FUZZ_CHECK((command.action == DISK_WRITE) == ((cdb[0] & 0x0f) == 0x0a));
	FUZZ_CHECK(cdb[0] < 0x20 || !(cdb[1] & 0x08) || command.fua);
}

/* ---- REPORT SUPPORTED OPERATION CODES tells the truth ---- */

static void check_reported(const uint8_t *cdb, size_t len)
{
	uint8_t rsoc[12] = {0xa3, 0x0c, 3, cdb[0], 0, 0, 0, 0, 1, 0};
	bool offered, strange = false;

	if (cdb[0] >= 0x9e)
		rsoc[5] = cdb[1] & 0x1f;
	if (cdb[0] != 0x9e && cdb[0] != 0xa3)
		rsoc[5] = 0;
	disk_begin(&disk, rsoc, sizeof(rsoc), 0, &other);
	FUZZ_CHECK(other.status == SCSI_GOOD && other.reply_len >= 4);
	offered = (other.reply[1] & 7) == 3;
	FUZZ_CHECK(offered || (other.reply[1] & 7) == 1);
	if (!offered) {
		FUZZ_CHECK(command.status == SCSI_CHECK_CONDITION);
		FUZZ_CHECK(command.asc_ascq == SCSI_ASC_INVALID_OPERATION_CODE ||
			   (rsoc[5] != 0 && command.asc_ascq == SCSI_ASC_INVALID_FIELD_IN_CDB) ||
			   cdb[0] == 0x9e || cdb[0] == 0xa3);
		return;
	}
	FUZZ_CHECK(be_get16(other.reply + 2) == len && other.reply_len == 4 + len);
	FUZZ_CHECK(other.reply[4] == cdb[0]);
	/* CDB USAGE DATA: what it does not show must be zero. */
	for (size_t i = 1; i < len; i++)
		if (i > 1 || (cdb[0] != 0x9e && cdb[0] != 0xa3))
			strange = strange || (cdb[i] & ~other.reply[4 + i]) != 0;
	FUZZ_CHECK(command.asc_ascq != SCSI_ASC_INVALID_OPERATION_CODE);
	FUZZ_CHECK(!strange || (command.status == SCSI_CHECK_CONDITION &&
				command.asc_ascq == SCSI_ASC_INVALID_FIELD_IN_CDB));
}

/* ---- what comes after the CDB ---- */

static void check_list(const uint8_t *cdb, struct fuzz_source *source)
{
	size_t len = command.list_len < DISK_LIST_MAX ? command.list_len : DISK_LIST_MAX;
	uint8_t *list = malloc(len);
	bool unmap = command.action == DISK_UNMAP;

	if (list == NULL)
		fuzz_fail(__FILE__, __LINE__, "no memory");
	fuzz_fill(source, list, len);
	disk_take_list(&disk, cdb, list, len, &command);
	check_answer(&command);
	FUZZ_CHECK(command.extent_count <= DISK_EXTENTS_MAX);
	if (command.action == DISK_UNMAP) {
		FUZZ_CHECK(unmap && command.extent_count > 0);
		for (size_t i = 0; i < command.extent_count; i++)
			FUZZ_CHECK(command.extents[i].blocks > 0 &&
				   in_range(command.extents[i].lba, command.extents[i].blocks));
	} else {
		FUZZ_CHECK(command.action == DISK_ANSWER);
	}
	free(list);
}

static void check_lba_status(struct fuzz_source *source)
{
	struct disk_lba_status runs[DISK_LBA_STATUS_MAX];
	size_t count = fuzz_byte(source) % (DISK_LBA_STATUS_MAX + 1);
	uint64_t lba = command.lba;

	for (size_t i = 0; i < count; i++) {
		uint8_t size = fuzz_byte(source);

		runs[i].blocks = 1 + ((uint64_t)fuzz_u16(source) << size % 33);
		runs[i].mapped = size & 0x80;
	}
	command.allocation_len |= 0x1000;
	disk_put_lba_status(&command, runs, count);
	check_answer(&command);
	FUZZ_CHECK(command.reply_len >= 8 && be_get32(command.reply) == command.reply_len - 4);
	for (size_t at = 8; at + 16 <= command.reply_len; at += 16) {
		FUZZ_CHECK(be_get64(command.reply + at) == lba);
		lba += be_get32(command.reply + at + 8);
	}
}

/* A VPD page and a mode page are as long as they say. */
static void check_inquiry(const uint8_t *cdb)
{
	char designator[SCSI_DESIGNATOR_MAX];

	if (cdb[0] != SCSI_INQUIRY || command.status != SCSI_GOOD || be_get16(cdb + 3) < 255)
		return;
	if (!(cdb[1] & 1)) {
		FUZZ_CHECK(command.reply_len == 5 + (size_t)command.reply[4]);
		return;
	}
	FUZZ_CHECK(command.reply[1] == cdb[2]);
	FUZZ_CHECK(command.reply_len == 4 + (size_t)be_get16(command.reply + 2));
	if (cdb[2] == 0x83) {
		FUZZ_CHECK(scsi_vpd_designator(command.reply, command.reply_len, designator));
		FUZZ_CHECK(strcmp(designator, "naa.600102030405060708090a0b0c0d0e0f") == 0);
	}
}

static void check_mode_sense(const uint8_t *cdb)
{
	if (command.status != SCSI_GOOD)
		return;
	if (cdb[0] == 0x1a && cdb[4] == 0xff)
		FUZZ_CHECK(command.reply_len == 1 + (size_t)command.reply[0]);
	if (cdb[0] == 0x5a && cdb[7] != 0)
		FUZZ_CHECK(command.reply_len == 2 + (size_t)be_get16(command.reply));
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_source source = {data, size};
	uint8_t padded[SCSI_CDB_MAX] = {0}, *cdb;
	size_t len;

	make_disk(&source);
	padded[0] = fuzz_byte(&source);
	len = scsi_cdb_length(padded);
	fuzz_fill(&source, padded + 1, len < 8 ? len - 1 : 7);
	len = scsi_cdb_length(padded);
	if (len > 8)
		fuzz_fill(&source, padded + 8, len - 8);
	/* A guest may send fewer bytes than its operation code has. */
	cdb = fuzz_copy(padded, 1);
	disk_begin(&disk, cdb, 1, 0, &command);
	FUZZ_CHECK(command.status == SCSI_CHECK_CONDITION);
	free(cdb);
	cdb = fuzz_copy(padded, len);
	memset(&command, 0xee, sizeof(command));
	disk_begin(&disk, cdb, len, disk.thin ? 0x2a09 : 0, &command);
	check_answer(&command);
	check_action(cdb);
	check_extent(cdb);
	check_reported(cdb, len);
	check_inquiry(cdb);
	check_mode_sense(cdb);
	if (command.action == DISK_UNMAP || command.action == DISK_MODE_SELECT)
		check_list(cdb, &source);
	else if (command.action == DISK_LBA_STATUS)
		check_lba_status(&source);
	free(cdb);
}
