/* SPDX-License-Identifier: Apache-2.0 */
/* What a CDB asks for (scsi_cdb_*, mpath_command_*). The input: a CDB; what it lacks is zeros. */
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "fuzz.h"
#include "lun-mpath-cdb.h"
#include "pr.h"
#include "reference-class.h"
#include "scsi.h"

#define VARIABLE_LENGTH 0x7f
#define RSOC_ONE_LEN 4

static size_t expected_len(const uint8_t *cdb)
{
	if (cdb[0] == VARIABLE_LENGTH)
		return 8 + (size_t)cdb[7];
	if (cdb[0] < 0x20)
		return 6;
	if (cdb[0] < 0x60)
		return 10;
	return cdb[0] >= 0xa0 && cdb[0] < 0xc0 ? 12 : 16;
}

/* REPORT SUPPORTED OPERATION CODES says of a command what the filter and the mask do to it. */
static void check_rsoc(const uint8_t *cdb, const struct scsi_cdb_info *info)
{
	uint8_t rsoc[12] = {SCSI_MAINTENANCE_IN, 0x0c, 3, cdb[0]};
	uint16_t action = cdb[0] == VARIABLE_LENGTH ? be_get16(cdb + 8) : cdb[1] & 0x1f;
	bool move = cdb[0] == SCSI_PR_OUT && action == PR_OUT_REGISTER_AND_MOVE;

	be_put16(rsoc + 4, action);
	for (int bits = 0; bits < 4; bits++) {
		bool filter = bits & 1, mask = bits & 2;
		bool shown = (info->listed || !filter) && !(mask && move);
		uint8_t answer[RSOC_ONE_LEN + 12] = {0, 3, 0, 12};
		uint8_t all[12] = {0, 0, 0, 8, cdb[0], 0, 0, 0, 0, 0x01};
		size_t len = scsi_rsoc_rewrite(rsoc, answer, sizeof(answer), filter, mask);

		FUZZ_CHECK(len == (shown ? sizeof(answer) : RSOC_ONE_LEN));
		FUZZ_CHECK(answer[1] == (shown ? 3 : 1));
		be_put16(all + 6, action);
		rsoc[2] = 0;
		len = scsi_rsoc_rewrite(rsoc, all, sizeof(all), filter, mask);
		rsoc[2] = 3;
		FUZZ_CHECK(len == (shown ? sizeof(all) : 4));
		FUZZ_CHECK(be_get32(all) == len - 4);
	}
}

static void check_describe(const uint8_t *cdb)
{
	struct scsi_cdb_info info;
	enum reference_class class = reference_class(cdb);

	scsi_cdb_describe(cdb, &info);
	FUZZ_CHECK(info.name != NULL && info.name[0] != '\0');
	FUZZ_CHECK(info.direction <= SCSI_DIR_OUT);
	FUZZ_CHECK((int)info.class == (int)class);
	FUZZ_CHECK(info.timeout_ms >= 60000 && info.timeout_ms <= 24 * 60 * 60 * 1000);
	/* What is rewritten is data-in that passes the filter. */
	FUZZ_CHECK(!info.rewrite || (info.listed && info.direction == SCSI_DIR_IN));
	/* What sends data and yet reads only: VERIFY compares, POPULATE TOKEN and ACCESS CONTROL OUT
	 * have parameters. */
	FUZZ_CHECK(info.direction != SCSI_DIR_OUT || class > REFERENCE_R ||
		   strstr(info.name, "VERIFY") != NULL || cdb[0] == 0x83 || cdb[0] == 0x87);
	FUZZ_CHECK(
		scsi_cdb_passes_closed_gate(cdb) ==
		(class == REFERENCE_U || class == REFERENCE_R || cdb[0] == 0x35 || cdb[0] == 0x91));
	/* A command of 7Fh with another length than 32 is none that the table knows. */
	if (cdb[0] != VARIABLE_LENGTH || cdb[7] == 0x18)
		check_rsoc(cdb, &info);
	else
		FUZZ_CHECK(!info.listed && class == REFERENCE_W);
	if (strcmp(info.name, "unknown operation code") != 0)
		fuzz_deep();
	/* Sent once more on another path: never what changes reservations, and all that only reads. */
	FUZZ_CHECK(!mpath_command_repeatable(cdb) || class < REFERENCE_PR_OUT);
	FUZZ_CHECK(mpath_command_repeatable(cdb) || class >= REFERENCE_W);
	FUZZ_CHECK(mpath_command_refusal(cdb) == 0 || class >= REFERENCE_PR_OUT);
	FUZZ_CHECK((mpath_command_refusal(cdb) == SCSI_ASC_INVALID_OPERATION_CODE) ==
		   (class == REFERENCE_RESERVE));
}

static void check_parse(const uint8_t *cdb, size_t cdb_len, struct fuzz_source *source)
{
	struct iovec iov[2];
	struct mpath_command command;
	struct scsi_cdb_info info;
	uint32_t block_len_bytes = 512u << (fuzz_byte(source) & 3);
	uint64_t blocks = fuzz_u64(source);
	bool odd;
	struct lun_io io = {.cdb = cdb, .cdb_len = cdb_len, .iov = iov, .iov_cnt = 2};

	scsi_cdb_describe(cdb, &info);
	io.direction = info.direction;
	/* Nothing is read there. */
	iov[0] = (struct iovec){(void *)0x10000, (size_t)fuzz_u16(source) * 512};
	odd = fuzz_bool(source);
	iov[1] = (struct iovec){(void *)(uintptr_t)(odd ? 0x20001 : 0x20000),
				(size_t)fuzz_byte(source) * block_len_bytes};
	io.data_len = (uint32_t)(iov[0].iov_len + iov[1].iov_len);
	mpath_command_parse(&io, block_len_bytes, blocks, &command);
	FUZZ_CHECK(command.operation == MPATH_READ || command.operation == MPATH_WRITE ||
		   command.offset_bytes == 0);
	if (command.operation == MPATH_READ || command.operation == MPATH_WRITE) {
		FUZZ_CHECK((command.operation == MPATH_WRITE) == (io.direction == SCSI_DIR_OUT));
		FUZZ_CHECK(command.operation == MPATH_WRITE || !command.durable);
		FUZZ_CHECK(io.data_len > 0 && io.data_len % block_len_bytes == 0);
		FUZZ_CHECK(command.offset_bytes % block_len_bytes == 0);
		FUZZ_CHECK(command.offset_bytes / block_len_bytes <
			   blocks - io.data_len / block_len_bytes + 1);
		FUZZ_CHECK(iov[1].iov_len == 0 || (uintptr_t)iov[1].iov_base % 2 == 0);
	}
	FUZZ_CHECK((command.operation == MPATH_RESERVATION) ==
		   (info.class >= SCSI_CLASS_PR_OUT || cdb[0] == SCSI_PR_IN));
}

void fuzz_one(const uint8_t *data, size_t size)
{
	uint8_t padded[SCSI_CDB_MAX] = {0}, *cdb;
	struct fuzz_source source = {data, size};
	size_t len;
	uint8_t first;

	if (size > 0)
		memcpy(padded, data, size < sizeof(padded) ? size : sizeof(padded));
	first = padded[0];
	len = scsi_cdb_length(padded);
	FUZZ_CHECK(len == expected_len(padded) && len <= SCSI_CDB_MAX);
	FUZZ_CHECK(scsi_cdb_sized_by_libtcmu(first) ==
		   (first == VARIABLE_LENGTH || (first >> 5 != 3 && first >> 5 < 6)));
	FUZZ_CHECK(scsi_cdb_ignores_unit_attention(first) ==
		   (first == 0x03 || first == 0x12 || first == 0xa0));
	/* The 10 bytes of a variable length CDB's service action are there by its length alone. */
	cdb = fuzz_copy(padded, len);
	check_describe(cdb);
	source.at += size < len ? size : len;
	source.left -= size < len ? size : len;
	check_parse(cdb, len, &source);
	free(cdb);
}
