/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk makes of CDBs, and what it says of itself. */
#include "disk.h"

#include "be.h"
#include "check.h"

#define BLOCKS 0x123456789u

static struct disk disk;
static struct disk_command command;

static void begin(bool thin)
{
	static const uint8_t designator[20] = {1, 3, 0, 16, 0x60, 0x01, 0x40, 0x5a, [19] = 0x77};

	disk = (struct disk){
		.blocks = BLOCKS,
		.block_len_bytes = 512,
		.physical_exponent = 2,
		.granularity_exponent = 3,
		.thin = thin,
		.serial = "6001405a",
		.designator_len = sizeof(designator),
	};
	memcpy(disk.designator, designator, sizeof(designator));
}

static void ask(const uint8_t *cdb)
{
	size_t len = scsi_cdb_length(cdb);
	uint8_t *copy = check_copy(cdb, len);

	disk_begin(&disk, copy, len, 0, &command);
	free(copy);
}

/* Key, additional sense code and qualifier as one number; 0 with GOOD. */
static unsigned int sense(void)
{
	if (command.status == SCSI_GOOD)
		return 0;
	CHECK_INT(command.action, DISK_ANSWER);
	CHECK_INT(command.reply_len, 0);
	return (unsigned int)command.key << 16 | command.asc_ascq;
}

/* INVALID FIELD IN CDB, and the sense data points to that byte. */
static void check_bad_byte(uint16_t at)
{
	uint8_t bytes[SCSI_SENSE_MAX];

	CHECK_INT(sense(), 0x52400);
	CHECK_INT(disk_sense(&command, bytes), 18);
	CHECK_INT(bytes[15], 0xc0);
	CHECK_INT(be_get16(bytes + 16), at);
}

/* ---- who it is ---- */

static void inquiry(bool vpd, uint8_t page, uint16_t len)
{
	uint8_t cdb[6] = {0x12, vpd, page};

	be_put16(cdb + 3, len);
	ask(cdb);
}

static void test_inquiry(void)
{
	static const uint8_t want[74] = {0,   0,   6,	0x12, 69,   0,	 0,    2,   'P', 'R', 'M',
					 'I', 'G', ' ', ' ',  ' ',  'D', 'I',  'S', 'K', ' ', ' ',
					 ' ', ' ', ' ', ' ',  ' ',  ' ', ' ',  ' ', ' ', ' ', '0',
					 '0', '0', '1', 0,    0,    0,	 0,    0,   0,	 0,   0,
					 0,   0,   0,	0,    0,    0,	 0,    0,   0,	 0,   0,
					 0,   0,   0,	0x00, 0xa0, 4,	 0x60, 4,   0xc0};

	begin(true);
	inquiry(false, 0, 255);
	CHECK_INT(sense(), 0);
	CHECK_INT(command.reply_len, 74);
	CHECK_BYTES(command.reply, want, sizeof(want));
	inquiry(false, 0, 5);
	CHECK_INT(command.reply_len, 5);
	inquiry(false, 0, 0);
	CHECK_INT(sense(), 0);
	CHECK_INT(command.reply_len, 0);
	inquiry(false, 0x80, 255);
	check_bad_byte(2);
	inquiry(true, 0x85, 255);
	check_bad_byte(2);
}

/* Each page that is listed is there, says its own length and number, and none else is there. */
static void test_vpd(void)
{
	uint8_t listed[16];
	size_t count;

	begin(true);
	inquiry(true, 0, 255);
	count = command.reply_len - 4;
	CHECK_INT(count, 6);
	CHECK_BYTES(command.reply + 4, "\x00\x80\x83\xb0\xb1\xb2", 6);
	memcpy(listed, command.reply + 4, count);
	for (unsigned int page = 0; page < 256; page++) {
		bool there = memchr(listed, (int)page, count) != NULL;

		inquiry(true, (uint8_t)page, 255);
		CHECK_INT(sense(), there ? 0 : 0x52400);
		if (!there)
			continue;
		CHECK_INT(command.reply[1], page);
		CHECK_INT(be_get16(command.reply + 2) + 4, command.reply_len);
	}
	inquiry(true, 0x80, 255);
	CHECK_BYTES(command.reply + 4, "6001405a", 8);
	inquiry(true, 0x83, 255);
	CHECK_BYTES(command.reply + 4, disk.designator, 20);
	CHECK_BYTES(command.reply + 24, "\x01\x14\x00\x04\x00\x00\x00\x01", 8);
	CHECK_INT(command.reply_len, 32);
}

static void test_limits(void)
{
	begin(true);
	inquiry(true, 0xb0, 255);
	CHECK_INT(command.reply_len, 64);
	CHECK_INT(command.reply[4], 1);
	CHECK_INT(command.reply[5], DISK_COMPARE_MAX);
	CHECK_INT(be_get16(command.reply + 6), 8);
	CHECK_INT(be_get32(command.reply + 8), DISK_TRANSFER_MAX);
	CHECK_INT(be_get32(command.reply + 12), 128);
	CHECK_INT(be_get32(command.reply + 20), UINT32_MAX);
	CHECK_INT(be_get32(command.reply + 24), DISK_EXTENTS_MAX);
	CHECK_INT(be_get32(command.reply + 28), 8);
	CHECK_INT(be_get64(command.reply + 36), DISK_WRITE_SAME_MAX);
	inquiry(true, 0xb1, 255);
	CHECK_INT(be_get16(command.reply + 4), 1);
	inquiry(true, 0xb2, 255);
	CHECK_BYTES(command.reply, "\x00\xb2\x00\x04\x00\xe4\x02\x00", 8);
	begin(false);
	inquiry(true, 0xb0, 255);
	CHECK_INT(be_get32(command.reply + 20), 0);
	CHECK_INT(be_get32(command.reply + 24), 0);
	inquiry(true, 0xb2, 255);
	CHECK_BYTES(command.reply, "\x00\xb2\x00\x04\x00\x00\x00\x00", 8);
}

static void test_capacity(void)
{
	uint8_t ten[10] = {0x25}, sixteen[16] = {0x9e, 0x10, [13] = 255};

	begin(true);
	ask(ten);
	CHECK_INT(command.reply_len, 8);
	CHECK_BYTES(command.reply, "\xff\xff\xff\xff\x00\x00\x02\x00", 8);
	disk.blocks = 2048;
	ask(ten);
	CHECK_BYTES(command.reply, "\x00\x00\x07\xff\x00\x00\x02\x00", 8);
	ten[5] = 5;
	ask(ten);
	check_bad_byte(2);
	ten[8] = 1; /* PMI */
	ask(ten);
	CHECK_BYTES(command.reply, "\x00\x00\x07\xff\x00\x00\x02\x00", 8);
	ten[4] = 8;
	ask(ten);
	CHECK_INT(sense(), 0x52100);
	disk.blocks = BLOCKS;
	ask(sixteen);
	CHECK_INT(command.reply_len, 32);
	CHECK_BYTES(command.reply,
		    "\x00\x00\x00\x01\x23\x45\x67\x88\x00\x00\x02\x00\x00\x02\xc0\x00", 16);
	sixteen[13] = 12;
	ask(sixteen);
	CHECK_INT(command.reply_len, 12);
	sixteen[9] = 1;
	ask(sixteen);
	check_bad_byte(2);
	begin(false);
	sixteen[9] = 0;
	ask(sixteen);
	CHECK_INT(be_get16(command.reply + 14), 0);
}

/* ---- mode parameters ---- */

static const uint8_t mode_pages[] =
	{
		0x01, 10, 0xc0, 0,    0, 0,    0, 0, 0,	   0,	 0, 0, /* 12 */
		0x08, 18, 0x04, 0,    0, 0,    0, 0, 0,	   0,	 0, 0,
		0,    0,  0,	0,    0, 0,    0, 0, /* 20 */
		0x0a, 10, 0,	0x10, 0, 0x40, 0, 0, 0xff, 0xff, 0, 0,
		0x1c, 10, 0x08, 0,    0, 0,    0, 0, 0,	   0,	 0, 0,
};

static void test_mode_sense(void)
{
	uint8_t six[6] = {0x1a, 0, 0x3f, 0, 255}, ten[10] = {0x5a, 0x18, 0x3f, [8] = 255};

	begin(true);
	disk.blocks = 2048;
	ask(six);
	CHECK_INT(command.reply_len, 12 + sizeof(mode_pages));
	CHECK_BYTES(command.reply, "\x43\x00\x10\x08\x00\x00\x08\x00\x00\x00\x02\x00", 12);
	CHECK_BYTES(command.reply + 12, mode_pages, sizeof(mode_pages));
	six[2] = 0x0a;
	six[1] = 0x08; /* DBD */
	ask(six);
	CHECK_INT(command.reply_len, 16);
	CHECK_BYTES(command.reply, "\x0f\x00\x10\x00", 4);
	CHECK_BYTES(command.reply + 4, mode_pages + 32, 12);
	six[2] = 0x4a; /* changeable: nothing */
	ask(six);
	CHECK_BYTES(command.reply + 4, "\x0a\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 12);
	six[2] = 0x8a;
	ask(six);
	CHECK_BYTES(command.reply + 4, mode_pages + 32, 12);
	six[2] = 0xca;
	ask(six);
	CHECK_INT(sense(), 0x53900);
	six[2] = 0x02;
	ask(six);
	check_bad_byte(2);
	six[2] = 0x0a;
	six[3] = 0x01;
	ask(six);
	check_bad_byte(3);
	begin(true);
	ask(ten);
	CHECK_INT(command.reply_len, 8 + sizeof(mode_pages));
	CHECK_BYTES(command.reply, "\x00\x3e\x00\x10\x01\x00\x00\x00", 8);
	ten[1] = 0x10; /* LLBAA */
	ask(ten);
	CHECK_INT(be_get16(command.reply + 6), 16);
	CHECK_INT(be_get64(command.reply + 8), BLOCKS);
	CHECK_INT(be_get32(command.reply + 20), 512);
	ten[1] = 0;
	ask(ten);
	CHECK_INT(command.reply[4], 0);
	CHECK_INT(be_get32(command.reply + 8), UINT32_MAX);
}

static unsigned int mode_select(const uint8_t *list, uint8_t len)
{
	uint8_t cdb[6] = {0x15, 0x10, 0, 0, len}, *copy = check_copy(list, len);

	ask(cdb);
	if (command.action == DISK_MODE_SELECT) {
		CHECK_INT(command.list_len, len);
		disk_take_list(&disk, cdb, copy, len, &command);
	}
	free(copy);
	return sense();
}

static void test_mode_select(void)
{
	uint8_t list[12 + sizeof(mode_pages)] = {0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0};
	uint8_t cdb[6] = {0x15, 0x10}, bytes[SCSI_SENSE_MAX];

	begin(true);
	memcpy(list + 12, mode_pages, sizeof(mode_pages));
	ask(cdb);
	CHECK_INT(sense(), 0);
	CHECK_INT(command.action, DISK_ANSWER);
	cdb[1] = 0x11; /* SP */
	ask(cdb);
	check_bad_byte(1);
	cdb[1] = 0x00; /* no PF */
	ask(cdb);
	check_bad_byte(1);
	/* What is so already. */
	CHECK_INT(mode_select(list, sizeof(list)), 0);
	list[12] |= 0x80; /* PS, as MODE SENSE could have given it */
	CHECK_INT(mode_select(list, sizeof(list)), 0);
	/* What cannot be had: each bit of each page. */
	for (size_t i = 13; i < sizeof(list); i++)
		for (unsigned int bit = 0; bit < 8; bit++) {
			if (bit == 7 && (i == 24 || i == 44 || i == 56)) /* PS */
				continue;
			list[i] ^= (uint8_t)(1u << bit);
			CHECK(mode_select(list, sizeof(list)) != 0);
			list[i] ^= (uint8_t)(1u << bit);
		}
	list[26] = 0; /* WCE */
	CHECK_INT(mode_select(list, sizeof(list)), 0x52600);
	CHECK_INT(disk_sense(&command, bytes), 18);
	CHECK_INT(bytes[15], 0x80);
	CHECK_INT(be_get16(bytes + 16), 26);
	list[26] = 0x04;
	list[10] = 16; /* another block length */
	CHECK_INT(mode_select(list, sizeof(list)), 0x52600);
	list[10] = 2;
	/* Lists that end in the middle. */
	for (size_t len = 1; len < sizeof(list); len++) {
		bool whole = len == 4 + 8 || len == 24 || len == 44 || len == 56;

		CHECK_INT(mode_select(list, (uint8_t)len), whole ? 0 : 0x51a00);
	}
	list[3] = 4;
	CHECK_INT(mode_select(list, sizeof(list)), 0x52600);
}

/* ---- CDBs ---- */

struct medium_cdb {
	uint8_t cdb[16];
	enum disk_action action;
	uint64_t lba;
	uint32_t blocks, data_blocks;
	bool fua;
};

static const struct medium_cdb medium_cdbs[] = {
	{{0x08, 0x1f, 1, 2, 3}, DISK_READ, 0x1f0102, 3, 0, false},
	{{0x08, 0, 0, 2, 0}, DISK_READ, 2, 256, 0, false},
	{{0x0a, 0, 0, 2, 1}, DISK_WRITE, 2, 1, 1, false},
	{{0x28, 0, 1, 2, 3, 4, 0, 5, 6}, DISK_READ, 0x01020304, 0x506, 0, false},
	{{0x28, 0x10, 0, 0, 0, 4, 0, 0, 1}, DISK_READ, 4, 1, 0, false},
	{{0x28, 0x08, 0, 0, 0, 4, 0, 0, 1}, DISK_READ, 4, 1, 0, true},
	{{0x2a, 0x08, 0, 0, 0, 4, 0, 0, 7}, DISK_WRITE, 4, 7, 7, true},
	{{0x2a, 0, 0, 0, 0, 4, 0, 0, 0}, DISK_ANSWER, 4, 0, 0, false},
	{{0xa8, 0, 0, 0, 0, 9, 0, 0, 0x7f, 0xff}, DISK_READ, 9, 0x7fff, 0, false},
	{{0xaa, 0x0a, 0, 0, 0, 9, 0, 0, 0, 8}, DISK_WRITE, 9, 8, 8, true},
	{{0x88, 0, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 6, 7}, DISK_READ, 0x102030405, 0x607, 0, false},
	{{0x8a, 0, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 6, 7},
	 DISK_WRITE,
	 0x102030405,
	 0x607,
	 0x607,
	 false},
	{{0x2f, 0, 0, 0, 0, 3, 0, 0, 2}, DISK_VERIFY, 3, 2, 0, false},
	{{0x2f, 0x02, 0, 0, 0, 3, 0, 0, 2}, DISK_COMPARE, 3, 2, 2, false},
	{{0x8f, 0x06, [9] = 3, [13] = 9}, DISK_COMPARE, 3, 9, 1, false},
	{{0xaf, 0x12, [5] = 3, [9] = 9}, DISK_COMPARE, 3, 9, 9, false},
	{{0x35, 0}, DISK_FLUSH, 0, 0, 0, false},
	{{0x91, 0x02, [9] = 1, [13] = 1}, DISK_FLUSH, 1, 1, 0, false},
	{{0x41, 0, [5] = 1, [8] = 9}, DISK_WRITE_SAME, 1, 9, 1, false},
	{{0x93, 0x09, [9] = 1, [12] = 9}, DISK_WRITE_SAME, 1, 0x900, 0, false},
	{{0x89, 0x08, [9] = 1, [13] = 64}, DISK_COMPARE_AND_WRITE, 1, 64, 128, true},
	{{0x9e, 0x12, [9] = 1, [13] = 64}, DISK_LBA_STATUS, 1, 0, 0, false},
	{{0x1b, 0, 0, 0, 0x01}, DISK_ANSWER, 0, 0, 0, false},
	{{0x1b, 0, 0, 0, 0x00}, DISK_FLUSH, 0, 0, 0, false},
	{{0x1b, 0, 0, 0, 0x04}, DISK_ANSWER, 0, 0, 0, false},
	{{0x00}, DISK_ANSWER, 0, 0, 0, false},
};

#define MEDIUM_CDBS (sizeof(medium_cdbs) / sizeof(medium_cdbs[0]))

static void test_medium(void)
{
	char note[32];

	begin(true);
	for (size_t i = 0; i < MEDIUM_CDBS; i++) {
		const struct medium_cdb *want = &medium_cdbs[i];

		snprintf(note, sizeof(note), "row %zu", i);
		CHECK_NOTE(note);
		ask(want->cdb);
		CHECK_INT(sense(), 0);
		CHECK_INT(command.action, want->action);
		CHECK_INT(command.lba, want->lba);
		CHECK_INT(command.blocks, want->blocks);
		CHECK_INT(command.data_blocks, want->data_blocks);
		CHECK_INT(command.fua, want->fua);
	}
	CHECK_NOTE("");
}

/* LBA, length and the capacity at their edges, by the lengths of the CDBs. */
static void test_range(void)
{
	static const uint8_t with_lba[] = {0x88, 0x8a, 0x8f, 0x91, 0x93, 0x89, 0x9e};

	begin(true);
	disk.blocks = 100;
	for (size_t i = 0; i < sizeof(with_lba); i++) {
		uint8_t opcode = with_lba[i], cdb[16] = {opcode, opcode == 0x9e ? 0x12 : 0};
		bool status = opcode == 0x9e;

		cdb[13] = 1;
		cdb[9] = 99;
		ask(cdb);
		CHECK_INT(sense(), 0);
		cdb[9] = 100;
		ask(cdb);
		CHECK_INT(sense(), 0x52100);
		memset(cdb + 2, 0xff, 8);
		ask(cdb);
		CHECK_INT(sense(), 0x52100);
		memset(cdb + 2, 0, 8);
		cdb[9] = 99;
		cdb[13] = 2;
		ask(cdb);
		CHECK_INT(sense(), status ? 0 : 0x52100);
	}
}

static void test_too_long(void)
{
	uint8_t read[16] = {0x88}, same[16] = {0x93},
		compare[16] = {0x89, [13] = DISK_COMPARE_MAX + 1};

	begin(true);
	be_put32(read + 10, DISK_TRANSFER_MAX);
	ask(read);
	CHECK_INT(sense(), 0);
	be_put32(read + 10, DISK_TRANSFER_MAX + 1);
	ask(read);
	check_bad_byte(10);
	be_put32(same + 10, DISK_WRITE_SAME_MAX);
	ask(same);
	CHECK_INT(sense(), 0);
	be_put32(same + 10, DISK_WRITE_SAME_MAX + 1);
	ask(same);
	check_bad_byte(10);
	be_put32(same + 10, 0);
	ask(same);
	check_bad_byte(10);
	ask(compare);
	check_bad_byte(13);
}

/* Bits that SBC-3 gives no meaning here. */
static void test_fields(void)
{
	static const struct {
		uint8_t cdb[16];
		uint16_t at;
	} bad[] = {
		{{0x28, 0x20}, 1},		/* RDPROTECT */
		{{0x2a, 0x20}, 1},		/* WRPROTECT */
		{{0x2f, 0x20}, 1},		/* VRPROTECT */
		{{0x2f, 0x04}, 1},		/* BYTCHK 10b */
		{{0x28, 0, [6] = 1}, 6},	/* GROUP NUMBER */
		{{0x28, 0, [9] = 4}, 9},	/* NACA */
		{{0x88, 0, [14] = 1}, 14},	/* GROUP NUMBER */
		{{0x93, 0x10, [13] = 1}, 1},	/* ANCHOR */
		{{0x42, 0x01}, 1},		/* ANCHOR */
		{{0x08, 0x20}, 1},		/* SCSI-2's LUN */
		{{0x00, 0, 0, 0, 1}, 4},	/* reserved */
		{{0x1b, 0, 0, 0, 0x02}, 4},	/* LOEJ */
		{{0x1b, 0, 0, 0, 0x30}, 4},	/* POWER CONDITION */
		{{0x1b, 0, 0, 1, 0x01}, 3},	/* and its modifier */
		{{0x9e, 0x11}, 1},		/* READ LONG (16) */
		{{0xa3, 0x0d}, 1},		/* REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS */
		{{0xa0, 0, 0x10, [9] = 16}, 2}, /* SELECT REPORT */
		{{0xa0, 0, 0x00, [9] = 15}, 6}, /* ALLOCATION LENGTH */
	};

	begin(true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask(bad[i].cdb);
		check_bad_byte(bad[i].at);
	}
}

static void test_unknown(void)
{
	static const uint8_t opcodes[] = {0x04, 0x16, 0x1d, 0x3b, 0x48, 0x4d, 0x5e,
					  0x5f, 0x7f, 0x83, 0x8b, 0xa4, 0xc0, 0xff};

	begin(true);
	for (size_t i = 0; i < sizeof(opcodes); i++) {
		uint8_t cdb[16] = {opcodes[i]};

		ask(cdb);
		CHECK_INT(sense(), 0x52000);
	}
	/* A CDB that is cut off. */
	disk_begin(&disk, (const uint8_t[]){0x28, 0, 0, 0, 0, 0}, 6, 0, &command);
	CHECK_INT(sense(), 0x52000);
	disk_begin(&disk, (const uint8_t[]){0x9e}, 1, 0, &command);
	CHECK(sense() != 0);
}

static void test_thick(void)
{
	const uint8_t unmap[10] = {0x42, [8] = 24}, same_10[10] = {0x41, 0x08, [8] = 1},
		      same_16[16] = {0x93, 0x09, [13] = 1}, zeros[16] = {0x93, 0x01, [13] = 1};

	begin(false);
	ask(unmap);
	CHECK_INT(sense(), 0x52000);
	ask(same_10);
	check_bad_byte(1);
	ask(same_16);
	check_bad_byte(1);
	ask(zeros);
	CHECK_INT(sense(), 0);
}

/* ---- UNMAP ---- */

static unsigned int unmap(const uint8_t *list, uint16_t len)
{
	uint8_t cdb[10] = {0x42}, *copy;
	size_t looked_at = len < DISK_LIST_MAX ? len : DISK_LIST_MAX;

	be_put16(cdb + 7, len);
	ask(cdb);
	if (command.action != DISK_UNMAP)
		return sense();
	CHECK_INT(command.list_len, len);
	copy = check_copy(list, looked_at);
	disk_take_list(&disk, cdb, copy, looked_at, &command);
	free(copy);
	return sense();
}

static void test_unmap(void)
{
	uint8_t list[8 + 16 * (DISK_EXTENTS_MAX + 1)] = {0};

	begin(true);
	CHECK_INT(unmap(list, 0), 0);
	CHECK_INT(command.action, DISK_ANSWER);
	for (uint16_t len = 1; len < 8; len++)
		CHECK_INT(unmap(list, len), 0x51a00);
	CHECK_INT(unmap(list, 8), 0);
	CHECK_INT(command.action, DISK_ANSWER);
	be_put16(list, 38);
	be_put16(list + 2, 32);
	be_put64(list + 8, 7);
	be_put32(list + 16, 9);
	be_put64(list + 24, BLOCKS - 1);
	be_put32(list + 32, 1);
	CHECK_INT(unmap(list, 40), 0);
	CHECK_INT(command.action, DISK_UNMAP);
	CHECK_INT(command.extent_count, 2);
	CHECK_INT(command.extents[0].lba, 7);
	CHECK_INT(command.extents[0].blocks, 9);
	CHECK_INT(command.extents[1].lba, BLOCKS - 1);
	/* A descriptor that is not all there does not count. */
	CHECK_INT(unmap(list, 39), 0);
	CHECK_INT(command.extent_count, 1);
	/* Nothing is done when one of them cannot be. */
	be_put32(list + 32, 2);
	CHECK_INT(unmap(list, 40), 0x52100);
	be_put64(list + 24, UINT64_MAX);
	CHECK_INT(unmap(list, 40), 0x52100);
	be_put32(list + 32, 0);
	CHECK_INT(unmap(list, 40), 0x52100);
	be_put64(list + 24, BLOCKS); /* nothing, at the end */
	CHECK_INT(unmap(list, 40), 0);
	CHECK_INT(command.extent_count, 1);
	/* As many as there may be, and one more. */
	memset(list, 0, sizeof(list));
	be_put16(list + 2, 16 * DISK_EXTENTS_MAX);
	CHECK_INT(unmap(list, 8 + 16 * DISK_EXTENTS_MAX), 0);
	be_put16(list + 2, 16 * (DISK_EXTENTS_MAX + 1));
	CHECK_INT(unmap(list, sizeof(list)), 0x52600);
	CHECK_INT(unmap(list, UINT16_MAX), 0x52600);
}

/* ---- answers about blocks ---- */

static void test_lba_status(void)
{
	const struct disk_lba_status runs[] = {
		{16, true}, {8, false}, {0x100000000, true}, {1, false}};
	uint8_t cdb[16] = {0x9e, 0x12, [9] = 5, [13] = 255};

	begin(true);
	ask(cdb);
	disk_put_lba_status(&command, runs, 4);
	CHECK_INT(command.action, DISK_ANSWER);
	CHECK_INT(command.reply_len,
		  8 + 3 * 16); /* what one descriptor cannot say ends the answer */
	CHECK_BYTES(command.reply, "\x00\x00\x00\x34\x00\x00\x00\x00", 8);
	CHECK_BYTES(command.reply + 8, "\0\0\0\0\0\0\0\x05\0\0\0\x10\0\0\0\0", 16);
	CHECK_BYTES(command.reply + 24, "\0\0\0\0\0\0\0\x15\0\0\0\x08\x01\0\0\0", 16);
	CHECK_BYTES(command.reply + 40, "\0\0\0\0\0\0\0\x1d\xff\xff\xff\xff\0\0\0\0", 16);
	cdb[13] = 24;
	ask(cdb);
	disk_put_lba_status(&command, runs, 4);
	CHECK_INT(command.reply_len, 24);
	CHECK_INT(be_get32(command.reply), 0x34);
}

static void test_request_sense(void)
{
	uint8_t cdb[6] = {0x03, 0, 0, 0, 252};

	begin(true);
	ask(cdb);
	CHECK_INT(command.reply_len, 18);
	CHECK_BYTES(command.reply, "\x70\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\0\0\0", 18);
	disk_begin(&disk, cdb, 6, 0x2a09, &command);
	CHECK_INT(command.status, SCSI_GOOD);
	CHECK_BYTES(command.reply, "\x70\0\x06\0\0\0\0\x0a\0\0\0\0\x2a\x09\0\0\0\0", 18);
	cdb[1] = 1;
	disk_begin(&disk, cdb, 6, 0x2a09, &command);
	CHECK_INT(command.reply_len, 8);
	CHECK_BYTES(command.reply, "\x72\x06\x2a\x09\0\0\0\0", 8);
}

static void test_report_luns(void)
{
	uint8_t cdb[12] = {0xa0, [9] = 255};

	begin(true);
	ask(cdb);
	CHECK_INT(command.reply_len, 16);
	CHECK_BYTES(command.reply, "\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	cdb[2] = 1;
	ask(cdb);
	CHECK_INT(command.reply_len, 8);
	CHECK_BYTES(command.reply, "\0\0\0\0\0\0\0\0", 8);
}

static void test_miscompare(void)
{
	uint8_t bytes[SCSI_SENSE_MAX];

	begin(true);
	ask(medium_cdbs[13].cdb);
	disk_miscompare(&command, 0x1234);
	CHECK_INT(sense(), 0xe1d00);
	CHECK_INT(disk_sense(&command, bytes), 18);
	CHECK_BYTES(bytes, "\xf0\0\x0e\0\0\x12\x34\x0a\0\0\0\0\x1d\0\0\0\0\0", 18);
}

/* ---- REPORT SUPPORTED OPERATION CODES ---- */

static void report(uint8_t options, uint8_t opcode, uint16_t action, uint32_t len)
{
	uint8_t cdb[12] = {0xa3, 0x0c, options, opcode};

	be_put16(cdb + 4, action);
	be_put32(cdb + 6, len);
	ask(cdb);
}

/* With this CDB, is there a command? */
static bool answered(uint8_t opcode, bool has_action, uint16_t action)
{
	uint8_t cdb[16] = {opcode, (uint8_t)action};

	ask(cdb);
	return command.asc_ascq != SCSI_ASC_INVALID_OPERATION_CODE &&
	       !(has_action && command.asc_ascq == SCSI_ASC_INVALID_FIELD_IN_CDB &&
		 command.field == 1);
}

static void check_one(uint8_t options, uint8_t opcode, uint16_t action, uint8_t len)
{
	report(options, opcode, action, 255);
	CHECK_INT(sense(), 0);
	CHECK_INT(command.reply[1], options & 0x80 ? 0x83 : 0x03);
	CHECK_INT(be_get16(command.reply + 2), len);
	CHECK_INT(command.reply[4], opcode);
	CHECK_INT(command.reply_len, 4 + len + (options & 0x80 ? 12 : 0));
	if (options & 0x80)
		CHECK_BYTES(command.reply + 4 + len, "\0\x0a\0\0\0\0\0\0\0\0\0\0", 12);
}

/* A bit that the usage data has not is refused, and points to its byte. */
static void check_usage(const uint8_t *usage, size_t len, bool has_action)
{
	for (size_t i = has_action ? 2 : 1; i < len; i++)
		for (unsigned int bit = 0; bit < 8; bit++) {
			uint8_t cdb[16] = {usage[0], has_action ? usage[1] : 0};

			if (usage[i] & 1u << bit)
				continue;
			cdb[i] = (uint8_t)(1u << bit);
			ask(cdb);
			check_bad_byte((uint16_t)i);
		}
}

static void check_reported(bool thin)
{
	uint8_t all[DISK_REPLY_MAX];
	bool seen[256] = {0};
	size_t len;

	begin(thin);
	report(0x80, 0, 0, UINT32_MAX);
	len = command.reply_len;
	memcpy(all, command.reply, len);
	CHECK_INT(be_get32(all) + 4, len);
	CHECK_INT((len - 4) % 20, 0);
	for (size_t at = 4; at < len; at += 20) {
		uint8_t opcode = all[at], cdb_len = (uint8_t)be_get16(all + at + 6), usage[16];
		uint16_t action = be_get16(all + at + 2);
		bool has_action = all[at + 5] & 1;

		CHECK_INT(all[at + 5] & 2, 2);
		CHECK_BYTES(all + at + 8, "\0\x0a\0\0\0\0\0\0\0\0\0\0", 12);
		CHECK_INT(scsi_cdb_length(all + at), cdb_len);
		CHECK(answered(opcode, has_action, action));
		seen[opcode] = true;
		if (has_action) {
			report(1, opcode, 0, 255);
			check_bad_byte(2);
		} else {
			check_one(1, opcode, 0, cdb_len);
			report(2, opcode, 0, 255);
			check_bad_byte(2);
		}
		check_one(3, opcode, action, cdb_len);
		check_one(has_action ? 0x82 : 0x81, opcode, action, cdb_len);
		memcpy(usage, command.reply + 4, cdb_len);
		check_usage(usage, cdb_len, has_action);
	}
	for (unsigned int opcode = 0; opcode < 256; opcode++) {
		if (seen[opcode])
			continue;
		CHECK(!answered((uint8_t)opcode, false, 0));
		report(1, (uint8_t)opcode, 0, 255);
		CHECK_INT(command.reply_len, 4);
		CHECK_INT(command.reply[1], 1);
	}
	CHECK_INT(seen[0x42], thin);
}

static void test_report(void)
{
	check_reported(true);
	check_reported(false);
	begin(true);
	report(0, 0, 0, 10);
	CHECK_INT(command.reply_len, 10);
	report(2, 0x9e, 0x11, 255);
	CHECK_INT(command.reply[1], 1);
	report(3, 0x00, 0x01, 255);
	CHECK_INT(command.reply[1], 1);
	report(4, 0, 0, 255);
	check_bad_byte(2);
}

int main(void)
{
	CHECK_RUN(test_inquiry);
	CHECK_RUN(test_vpd);
	CHECK_RUN(test_limits);
	CHECK_RUN(test_capacity);
	CHECK_RUN(test_mode_sense);
	CHECK_RUN(test_mode_select);
	CHECK_RUN(test_medium);
	CHECK_RUN(test_range);
	CHECK_RUN(test_too_long);
	CHECK_RUN(test_fields);
	CHECK_RUN(test_unknown);
	CHECK_RUN(test_thick);
	CHECK_RUN(test_unmap);
	CHECK_RUN(test_lba_status);
	CHECK_RUN(test_request_sense);
	CHECK_RUN(test_report_luns);
	CHECK_RUN(test_miscompare);
	CHECK_RUN(test_report);
	return check_summary();
}
