/* SPDX-License-Identifier: Apache-2.0 */
/* The file backend over a file, with all that can happen to one. */
#include "lun-file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "be.h"
#include "check.h"
#include "lun.h"
#include "lun-file-beside.h"

#define BLOCK ((size_t)512)
#define BLOCKS 16384

/* ---- the file ---- */

static char directory[64], path[128];
static struct cfgstring cfg;
static struct lun *lun;
static struct lun_identity identity;
static char reason[LUN_REASON_MAX];

static void make_file(off_t size)
{
	int fd;

	strcpy(directory, "/tmp/prmig-file-XXXXXX");
	if (mkdtemp(directory) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/disk.img", directory);
	cfg = (struct cfgstring){.lun_is_path = true};
	snprintf(cfg.lun, sizeof(cfg.lun), "%s", path);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, size) != 0)
		abort();
	close(fd);
}

static void remove_file(void)
{
	char beside[192];

	snprintf(beside, sizeof(beside), "%s" LUN_FILE_BESIDE_SUFFIX, path);
	unlink(beside);
	unlink(path);
	CHECK_INT(rmdir(directory), 0);
}

static void begin(void)
{
	make_file((off_t)(BLOCKS * BLOCK));
	lun = lun_file_new(&cfg, reason);
	if (lun == NULL || !lun_connect(lun, &identity, reason))
		abort();
}

static void end(void)
{
	lun_destroy(lun);
	lun = NULL;
	remove_file();
}

/* ---- commands ---- */

static struct lun_result run(const uint8_t *cdb, enum scsi_direction direction, void *data,
			     size_t len)
{
	struct iovec iov = {data, len};
	struct lun_io io = {
		.cdb = cdb,
		.cdb_len = scsi_cdb_length(cdb),
		.direction = direction,
		.iov = len > 0 ? &iov : NULL,
		.iov_cnt = len > 0 ? 1 : 0,
		.data_len = (uint32_t)len,
		.timeout_ms = 1000,
	};

	lun_execute(lun, &io);
	return io.result;
}

/* Key, additional sense code and qualifier as one number, 0x52100; 0 with GOOD. */
static unsigned int sense_of(struct lun_result result)
{
	uint16_t asc_ascq;
	uint8_t key;

	if (result.status != SCSI_CHECK_CONDITION)
		return result.status;
	CHECK(scsi_sense_parse(result.sense, result.sense_len, &key, &asc_ascq));
	return (unsigned int)key << 16 | asc_ascq;
}

static unsigned int test_unit_ready(void)
{
	static const uint8_t cdb[6];

	return sense_of(run(cdb, SCSI_DIR_NONE, NULL, 0));
}

static unsigned int transfer(bool write, uint64_t lba, uint32_t blocks, uint8_t flags, void *data,
			     size_t len)
{
	uint8_t cdb[16] = {write ? 0x8a : 0x88, flags};

	be_put64(cdb + 2, lba);
	be_put32(cdb + 10, blocks);
	return sense_of(run(cdb, write ? SCSI_DIR_OUT : SCSI_DIR_IN, data, len));
}

static unsigned int write_blocks(uint64_t lba, uint32_t blocks, void *data)
{
	return transfer(true, lba, blocks, 0, data, (size_t)blocks * BLOCK);
}

static unsigned int read_blocks(uint64_t lba, uint32_t blocks, void *data)
{
	return transfer(false, lba, blocks, 0, data, (size_t)blocks * BLOCK);
}

static uint64_t capacity(void)
{
	static const uint8_t cdb[16] = {0x9e, 0x10, [13] = 32};
	uint8_t data[32] = {0};

	if (!CHECK_INT(sense_of(run(cdb, SCSI_DIR_IN, data, sizeof(data))), 0))
		return 0;
	CHECK_INT(be_get32(data + 8), BLOCK);
	return be_get64(data) + 1;
}

/* Different in every block and at every place. */
static void fill(uint8_t *data, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + i / BLOCK * 13 + seed);
}

/* ---- tests ---- */

static void test_connect(void)
{
	char designator[SCSI_DESIGNATOR_MAX];

	begin();
	CHECK(lun_is_connected(lun));
	CHECK_INT(identity.blocks, BLOCKS);
	CHECK_INT(identity.block_len_bytes, BLOCK);
	CHECK_INT(strncmp(identity.designator, "naa.6001405", 11), 0);
	CHECK_INT(strlen(identity.designator), 36);
	CHECK_STR(identity.device, path);
	CHECK_INT(test_unit_ready(), 0);
	CHECK_INT(capacity(), BLOCKS);
	/* The same LUN, now and later. */
	strcpy(designator, identity.designator);
	CHECK(lun_connect(lun, &identity, reason));
	CHECK_STR(identity.designator, designator);
	lun_destroy(lun);
	lun = lun_file_new(&cfg, reason);
	CHECK_INT(test_unit_ready(), 0x20400);
	CHECK(!lun_is_connected(lun));
	CHECK(lun_connect(lun, &identity, reason));
	CHECK_STR(identity.designator, designator);
	CHECK_INT(test_unit_ready(), 0);
	end();
}

static void test_data(void)
{
	static uint8_t out[64 * BLOCK + 64], in[64 * BLOCK + 64];
	const uint8_t read_10[10] = {0x28, [5] = 5, [8] = 3};
	struct iovec pieces[4];
	struct lun_io io = {.cdb = read_10,
			    .cdb_len = sizeof(read_10),
			    .direction = SCSI_DIR_IN,
			    .iov = pieces,
			    .iov_cnt = 4,
			    .data_len = 4 * BLOCK};

	begin();
	/* At any address, as it comes, and at a page's. */
	for (size_t shift = 0; shift < 3; shift++) {
		fill(out, sizeof(out), (unsigned int)shift);
		memset(in, 0, sizeof(in));
		CHECK_INT(write_blocks(shift, 64, out + shift), 0);
		CHECK_INT(read_blocks(shift, 64, in + 2 * shift), 0);
		CHECK_BYTES(in + 2 * shift, out + shift, 64 * BLOCK);
	}
	/* In pieces that are no blocks, into more than there is. */
	CHECK_INT(read_blocks(5, 3, out), 0);
	pieces[0] = (struct iovec){in, 100};
	pieces[1] = (struct iovec){in + 100, 1000};
	pieces[2] = (struct iovec){in + 1100, 436};
	pieces[3] = (struct iovec){in + 1536, BLOCK};
	memset(in, 0xee, sizeof(in));
	lun_execute(lun, &io);
	CHECK_INT(io.result.status, SCSI_GOOD);
	CHECK_INT(io.result.residual_bytes, BLOCK);
	CHECK_BYTES(in, out, 3 * BLOCK);
	CHECK_INT(in[3 * BLOCK], 0xee);
	/* A buffer that ends earlier. */
	memset(in, 0xee, sizeof(in));
	CHECK_INT(transfer(false, 5, 3, 0, in, 700), 0);
	CHECK_BYTES(in, out, 700);
	CHECK_INT(in[700], 0xee);
	/* Data that is not all there is not written. */
	CHECK_INT(transfer(true, 5, 3, 0, in, 700), 0xb4b00);
	CHECK_INT(read_blocks(5, 3, in), 0);
	CHECK_BYTES(in, out, 3 * BLOCK);
	end();
}

static void test_range(void)
{
	static uint8_t data[2 * BLOCK];

	begin();
	CHECK_INT(write_blocks(BLOCKS - 2, 2, data), 0);
	CHECK_INT(write_blocks(BLOCKS - 1, 2, data), 0x52100);
	CHECK_INT(write_blocks(BLOCKS, 1, data), 0x52100);
	CHECK_INT(read_blocks(UINT64_MAX, 1, data), 0x52100);
	CHECK_INT(read_blocks(UINT64_MAX / BLOCK + 1, 1, data), 0x52100);
	CHECK_INT(capacity(), BLOCKS);
	end();
}

int main(void)
{
	CHECK_RUN(test_connect);
	CHECK_RUN(test_data);
	CHECK_RUN(test_range);
	return check_summary();
}
