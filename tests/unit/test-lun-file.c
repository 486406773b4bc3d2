/* SPDX-License-Identifier: Apache-2.0 */
/* The file backend over a file, with all that can happen to one. */
#include "lun-file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "be.h"
#include "check.h"
#include "disk.h"
#include "lun.h"
#include "lun-file-beside.h"

#define BLOCK ((size_t)512)
#define BLOCKS 16384

/* ---- what the kernel says ---- */

static int write_error, flush_error, space_error; /* errno; 0: as it is */
static unsigned int durable_writes, flushes;

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (write_error != 0) {
		errno = write_error;
		return -1;
	}
	__atomic_add_fetch(&durable_writes, (flags & RWF_DSYNC) != 0, __ATOMIC_SEQ_CST);
	return syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags);
}

int fdatasync(int fd)
{
	if (flush_error != 0) {
		errno = flush_error;
		return -1;
	}
	__atomic_add_fetch(&flushes, 1, __ATOMIC_SEQ_CST);
	return (int)syscall(SYS_fdatasync, fd);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (space_error != 0) {
		errno = space_error;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

static unsigned int dropped;

int posix_fadvise(int fd, off_t offset, off_t len, int advice)
{
	CHECK_INT(offset % 4096, 0);
	__atomic_add_fetch(&dropped, advice == POSIX_FADV_DONTNEED, __ATOMIC_SEQ_CST);
	return syscall(SYS_fadvise64, fd, offset, len, advice) == 0 ? 0 : errno;
}

/* By which the backend finds out what O_DIRECT takes. */
static bool no_direct;

ssize_t pread(int fd, void *buffer, size_t len, off_t offset)
{
	if (no_direct && (fcntl(fd, F_GETFL) & O_DIRECT)) {
		errno = EINVAL;
		return -1;
	}
	return syscall(SYS_pread64, fd, buffer, len, offset);
}

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

/* As much as the file occupies. */
static uint64_t space(void)
{
	struct stat st;

	if (stat(path, &st) != 0)
		abort();
	return (uint64_t)st.st_blocks * 512;
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
	static uint8_t out[64 * BLOCK + 64] __attribute__((aligned(4096))),
		in[64 * BLOCK + 64] __attribute__((aligned(4096)));
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

static unsigned int compare_and_write(uint64_t lba, uint8_t blocks, void *data)
{
	uint8_t cdb[16] = {0x89, [13] = blocks};

	be_put64(cdb + 2, lba);
	return sense_of(run(cdb, SCSI_DIR_OUT, data, (size_t)blocks * 2 * BLOCK));
}

/* A CDB of one byte for the length cannot say 256: it says 0, and all that data is not for nothing. */
static void test_exact_data(void)
{
	static uint8_t data[4 * 512];
	uint8_t compare[16] = {0x89}, same[16] = {0x93, [13] = 1};

	begin();
	CHECK_INT(sense_of(run(compare, SCSI_DIR_OUT, data, sizeof(data))), 0x52400);
	CHECK_INT(sense_of(run(compare, SCSI_DIR_OUT, NULL, 0)), 0);
	compare[13] = 1;
	CHECK_INT(sense_of(run(compare, SCSI_DIR_OUT, data, sizeof(data))), 0x52400);
	CHECK_INT(sense_of(run(compare, SCSI_DIR_OUT, data, BLOCK)), 0x52400);
	CHECK_INT(sense_of(run(same, SCSI_DIR_OUT, data, 2 * BLOCK)), 0x52400);
	CHECK_INT(sense_of(run(same, SCSI_DIR_OUT, data, BLOCK / 2)), 0x52400);
	CHECK_INT(space(), 0);
	end();
}

static void test_compare_and_write(void)
{
	static uint8_t data[BLOCK * DISK_COMPARE_MAX * 2], in[BLOCK * DISK_COMPARE_MAX];
	const size_t half = BLOCK * DISK_COMPARE_MAX;
	const uint8_t cdb[16] = {0x89, [13] = DISK_COMPARE_MAX};
	struct lun_result result;

	begin();
	fill(data, half, 1);
	CHECK_INT(write_blocks(3, DISK_COMPARE_MAX, data), 0);
	fill(data + half, half, 2);
	CHECK_INT(compare_and_write(3, DISK_COMPARE_MAX, data), 0);
	CHECK_INT(read_blocks(3, DISK_COMPARE_MAX, in), 0);
	CHECK_BYTES(in, data + half, half);
	/* It has changed: nothing is written. */
	CHECK_INT(compare_and_write(3, DISK_COMPARE_MAX, data), 0xe1d00);
	CHECK_INT(read_blocks(3, DISK_COMPARE_MAX, in), 0);
	CHECK_BYTES(in, data + half, half);
	/* Where it differs: in the last byte. */
	memset(data, 0, sizeof(data));
	data[half - 1] = 1;
	CHECK_INT(write_blocks(0, DISK_COMPARE_MAX, data + half), 0);
	result = run(cdb, SCSI_DIR_OUT, data, sizeof(data));
	CHECK_INT(sense_of(result), 0xe1d00);
	CHECK_INT(result.sense[0], 0xf0);
	CHECK_INT(be_get32(result.sense + 3), half - 1);
	end();
}

/* Many at once, each adding one to the same block: none is lost, from two nexuses of the file. */
#define ADDERS 8
#define ADDITIONS 60

static struct lun *adder_luns[2];

static void *add_run(void *user)
{
	struct lun *mine = adder_luns[(uintptr_t)user % 2];
	const uint8_t read[16] = {0x88, [9] = 77, [13] = 1}, swap[16] = {0x89, [9] = 77, [13] = 1};
	uint8_t data[2][512];
	struct iovec in = {data[0], 512}, out = {data, 1024};
	unsigned int done = 0;

	while (done < ADDITIONS) {
		struct lun_io io = {.cdb = read,
				    .cdb_len = 16,
				    .direction = SCSI_DIR_IN,
				    .iov = &in,
				    .iov_cnt = 1,
				    .data_len = 512};

		lun_execute(mine, &io);
		if (!CHECK_INT(io.result.status, SCSI_GOOD))
			break;
		memcpy(data[1], data[0], 512);
		be_put32(data[1], be_get32(data[0]) + 1);
		io = (struct lun_io){.cdb = swap,
				     .cdb_len = 16,
				     .direction = SCSI_DIR_OUT,
				     .iov = &out,
				     .iov_cnt = 1,
				     .data_len = 1024};
		lun_execute(mine, &io);
		done += io.result.status == SCSI_GOOD;
	}
	return NULL;
}

static void test_compare_and_write_alone(void)
{
	pthread_t threads[ADDERS];
	uint8_t data[512];

	begin();
	adder_luns[0] = lun;
	adder_luns[1] = lun_file_new(&cfg, reason);
	CHECK(lun_connect(adder_luns[1], &identity, reason));
	for (uintptr_t i = 0; i < ADDERS; i++)
		if (pthread_create(&threads[i], NULL, add_run, (void *)i) != 0)
			abort();
	for (size_t i = 0; i < ADDERS; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(read_blocks(77, 1, data), 0);
	CHECK_INT(be_get32(data), ADDERS * ADDITIONS);
	lun_destroy(adder_luns[1]);
	end();
}

static void test_verify(void)
{
	static uint8_t data[300 * BLOCK];
	uint8_t cdb[16] = {0x8f, 0x02, [12] = 300 >> 8, [13] = 300 & 0xff};
	struct lun_result result;

	begin();
	fill(data, sizeof(data), 3);
	CHECK_INT(write_blocks(0, 300, data), 0);
	CHECK_INT(sense_of(run(cdb, SCSI_DIR_OUT, data, sizeof(data))), 0);
	data[299 * BLOCK + 5] ^= 1;
	result = run(cdb, SCSI_DIR_OUT, data, sizeof(data));
	CHECK_INT(sense_of(result), 0xe1d00);
	CHECK_INT(be_get32(result.sense + 3), 299 * BLOCK + 5);
	cdb[1] = 0;
	CHECK_INT(sense_of(run(cdb, SCSI_DIR_NONE, NULL, 0)), 0);
	/* One block for all. */
	cdb[1] = 0x06;
	for (size_t i = 1; i < 300; i++)
		memcpy(data + i * BLOCK, data, BLOCK);
	CHECK_INT(write_blocks(0, 300, data), 0);
	CHECK_INT(sense_of(run(cdb, SCSI_DIR_OUT, data, BLOCK)), 0);
	data[7 * BLOCK] ^= 1;
	CHECK_INT(write_blocks(0, 300, data), 0);
	result = run(cdb, SCSI_DIR_OUT, data, BLOCK);
	CHECK_INT(sense_of(result), 0xe1d00);
	CHECK_INT(be_get32(result.sense + 3), 7 * BLOCK);
	end();
}

/* ---- space ---- */

static unsigned int write_same(uint8_t flags, uint64_t lba, uint32_t blocks, void *data)
{
	uint8_t cdb[16] = {0x93, flags};

	be_put64(cdb + 2, lba);
	be_put32(cdb + 10, blocks);
	return sense_of(run(cdb, data != NULL ? SCSI_DIR_OUT : SCSI_DIR_NONE, data,
			    data != NULL ? BLOCK : 0));
}

static bool all_are(const uint8_t *data, size_t len, uint8_t value)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != value)
			return false;
	return true;
}

/* What GET LBA STATUS says from there on: how many blocks, and whether they are mapped. */
static uint32_t lba_status(uint64_t lba, bool *ret_mapped)
{
	uint8_t cdb[16] = {0x9e, 0x12, [13] = 24}, data[24] = {0};

	be_put64(cdb + 2, lba);
	CHECK_INT(sense_of(run(cdb, SCSI_DIR_IN, data, sizeof(data))), 0);
	CHECK_INT(be_get64(data + 8), lba);
	*ret_mapped = data[20] == 0;
	return be_get32(data + 16);
}

static void test_space(void)
{
	static uint8_t data[1024 * BLOCK], in[1024 * BLOCK];
	uint8_t unmap[10] = {0x42, [8] = 40}, list[40] = {0, 38, 0, 32};
	uint64_t full;
	bool mapped;

	begin();
	CHECK_INT(lba_status(0, &mapped), BLOCKS);
	CHECK(!mapped);
	memset(data, 0x5a, sizeof(data));
	CHECK_INT(write_blocks(1024, 1024, data), 0);
	full = space();
	CHECK(full >= 1024 * BLOCK);
	CHECK_INT(lba_status(0, &mapped), 1024);
	CHECK(!mapped);
	CHECK_INT(lba_status(1030, &mapped), 1018);
	CHECK(mapped);
	/* The second and the third quarter, one of them at odd places. */
	be_put64(list + 8, 1024 + 256);
	be_put32(list + 16, 256);
	be_put64(list + 24, 1024 + 513);
	be_put32(list + 32, 250);
	CHECK_INT(sense_of(run(unmap, SCSI_DIR_OUT, list, sizeof(list))), 0);
	CHECK(space() < full);
	CHECK_INT(read_blocks(1024, 1024, in), 0);
	CHECK(all_are(in, 256 * BLOCK, 0x5a));
	CHECK(all_are(in + 256 * BLOCK, 256 * BLOCK, 0));
	CHECK(all_are(in + 512 * BLOCK, BLOCK, 0x5a));
	CHECK(all_are(in + 513 * BLOCK, 250 * BLOCK, 0));
	CHECK(all_are(in + 763 * BLOCK, 261 * BLOCK, 0x5a));
	/* WRITE SAME: a pattern, zeros that stay allocated, and zeros that are given back. */
	CHECK_INT(write_same(0, 1024, 1024, data), 0);
	CHECK_INT(read_blocks(1024, 1024, in), 0);
	CHECK(all_are(in, sizeof(in), 0x5a));
	CHECK_INT(write_same(0x01, 1025, 1000, NULL), 0);
	CHECK(space() >= full);
	CHECK_INT(read_blocks(1024, 1024, in), 0);
	CHECK(all_are(in, BLOCK, 0x5a) && all_are(in + BLOCK, 1000 * BLOCK, 0));
	memset(data, 0, BLOCK);
	CHECK_INT(write_same(0x08, 1024, 1024, data), 0);
	CHECK(space() < full);
	CHECK_INT(read_blocks(1024, 1024, in), 0);
	CHECK(all_are(in, sizeof(in), 0));
	/* UNMAP bit and a pattern that is not zeros: the pattern is what counts. */
	fill(data, BLOCK, 9);
	CHECK_INT(write_same(0x08, 1024, 300, data), 0);
	CHECK_INT(read_blocks(1024 + 299, 1, in), 0);
	CHECK_BYTES(in, data, BLOCK);
	CHECK_INT(write_same(0, BLOCKS - 1, 2, data), 0x52100);
	end();
}

/* A file system that cannot: not thin, and WRITE SAME writes. */
static void test_no_holes(void)
{
	const uint8_t inquiry[6] = {0x12, 1, 0xb2, 0, 8}, unmap[10] = {0x42, [8] = 24};
	uint8_t data[600 * 512], page[8];

	space_error = EOPNOTSUPP;
	begin();
	CHECK_INT(sense_of(run(inquiry, SCSI_DIR_IN, page, sizeof(page))), 0);
	CHECK_INT(page[5], 0);
	CHECK_INT(sense_of(run(unmap, SCSI_DIR_OUT, data, 24)), 0x52000);
	memset(data, 0xff, sizeof(data));
	CHECK_INT(write_blocks(0, 600, data), 0);
	CHECK_INT(write_same(0x01, 1, 598, NULL), 0);
	CHECK_INT(read_blocks(0, 600, data), 0);
	CHECK(all_are(data, BLOCK, 0xff) && all_are(data + BLOCK, 598 * BLOCK, 0) &&
	      all_are(data + 599 * BLOCK, BLOCK, 0xff));
	end();
	space_error = 0;
}

/* ---- durable ---- */

static void test_durable(void)
{
	static const uint8_t flush_10[10] = {0x35}, flush_16[16] = {0x91, 0x02};
	uint8_t data[2 * 512] = {0};
	unsigned int before;

	begin();
	durable_writes = flushes = 0;
	CHECK_INT(transfer(true, 0, 1, 0x10, data, BLOCK), 0);
	CHECK_INT(durable_writes, 0);
	CHECK_INT(transfer(true, 0, 1, 0x08, data, BLOCK), 0);
	CHECK_INT(durable_writes, 1);
	CHECK_INT(transfer(true, 1, 1, 0x08, data + 1, BLOCK), 0); /* unaligned */
	CHECK_INT(durable_writes, 2);
	CHECK_INT(sense_of(run((const uint8_t[16]){0x89, 0x08, [13] = 1}, SCSI_DIR_OUT, data,
			       2 * BLOCK)),
		  0);
	CHECK_INT(durable_writes, 3);
	before = flushes;
	CHECK_INT(sense_of(run(flush_10, SCSI_DIR_NONE, NULL, 0)), 0);
	CHECK_INT(sense_of(run(flush_16, SCSI_DIR_NONE, NULL, 0)), 0);
	CHECK_INT(flushes, before + 2);
	CHECK_INT(transfer(false, 0, 1, 0x08, data, BLOCK), 0); /* from the medium */
	CHECK_INT(flushes, before + 3);
	end();
}

static void test_flush_fails(void)
{
	static const uint8_t flush[10] = {0x35};

	begin();
	flush_error = EIO;
	CHECK_INT(sense_of(run(flush, SCSI_DIR_NONE, NULL, 0)), 0x30c00);
	flush_error = ENOSPC;
	CHECK_INT(sense_of(run(flush, SCSI_DIR_NONE, NULL, 0)), 0x72707);
	flush_error = 0;
	end();
}

/* Without O_DIRECT: written at once, read again each time. */
static void test_page_cache(void)
{
	static const uint8_t flush[10] = {0x35};
	uint8_t out[3 * 512], in[3 * 512];
	unsigned int before;

	no_direct = true;
	begin();
	durable_writes = flushes = 0;
	fill(out, sizeof(out), 4);
	CHECK_INT(write_blocks(7, 3, out), 0);
	CHECK_INT(durable_writes, 1);
	CHECK_INT(write_same(0, 20, 1, out), 0);
	CHECK_INT(durable_writes, 2);
	before = dropped;
	CHECK_INT(read_blocks(7, 3, in), 0);
	CHECK_INT(dropped, before + 1);
	CHECK_BYTES(in, out, sizeof(in));
	CHECK_INT(flushes, 0);
	CHECK_INT(write_same(0x01, 8, 1, NULL), 0);
	CHECK_INT(flushes, 1);
	CHECK_INT(read_blocks(7, 3, in), 0);
	CHECK_BYTES(in, out, BLOCK);
	CHECK(all_are(in + BLOCK, BLOCK, 0));
	CHECK_INT(sense_of(run(flush, SCSI_DIR_NONE, NULL, 0)), 0);
	flush_error = EIO;
	CHECK_INT(sense_of(run(flush, SCSI_DIR_NONE, NULL, 0)), 0x30c00);
	flush_error = 0;
	end();
	no_direct = false;
}

/* ---- what can happen to a file ---- */

static void test_write_errors(void)
{
	static const struct {
		int error;
		unsigned int sense;
	} errors[] = {{ENOSPC, 0x72707}, {EDQUOT, 0x72707}, {EROFS, 0x72700}, {EPERM, 0x72700},
		      {EIO, 0x30c00},	 {EFBIG, 0x30c00},  {ENOMEM, 0x08},   {EBADE, 0x18}};
	uint8_t data[512] = {0}, ones[512];

	memset(ones, 1, sizeof(ones));
	begin();
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		write_error = space_error = errors[i].error;
		CHECK_INT(write_blocks(0, 1, data), errors[i].sense);
		CHECK_INT(write_same(0, 0, 1, ones), errors[i].sense);
		CHECK_INT(write_same(0x01, 0, 1, NULL), errors[i].sense);
	}
	write_error = space_error = 0;
	CHECK(lun_is_connected(lun));
	CHECK_INT(write_blocks(0, 1, data), 0);
	write_error = ENOMEM;
	CHECK_INT(run((const uint8_t[10]){0x2a, [8] = 1}, SCSI_DIR_OUT, data, BLOCK).residual_bytes,
		  BLOCK);
	/* The server has forgotten the file. */
	write_error = ESTALE;
	CHECK_INT(write_blocks(0, 1, data), 0x20400);
	CHECK(!lun_is_connected(lun));
	write_error = 0;
	CHECK_INT(write_blocks(0, 1, data), 0x20400);
	CHECK(lun_connect(lun, &identity, reason));
	CHECK_INT(write_blocks(0, 1, data), 0);
	end();
}

static void test_shorter_longer(void)
{
	static const uint8_t inquiry[6] = {0x12, [4] = 36}, request_sense[6] = {0x03, [4] = 18};
	struct lun *other;
	uint8_t data[512] = {1}, answer[36];
	struct lun_io io = {.cdb = (const uint8_t[6]){0}, .cdb_len = 6};

	begin();
	other = lun_file_new(&cfg, reason);
	CHECK(lun_connect(other, &identity, reason));
	CHECK_INT(truncate(path, 1000 * BLOCK), 0);
	CHECK_INT(sense_of(run(inquiry, SCSI_DIR_IN, answer, sizeof(answer))), 0);
	CHECK_INT(write_blocks(999, 1, data), 0x62a09);
	CHECK_INT(write_blocks(1000, 1, data), 0x52100);
	CHECK_INT(write_blocks(999, 1, data), 0);
	CHECK_INT(capacity(), 1000);
	/* Each nexus is told, whoever noticed; REQUEST SENSE tells, too. */
	lun_execute(other, &io);
	CHECK_INT(sense_of(io.result), 0x62a09);
	lun_execute(other, &io);
	CHECK_INT(sense_of(io.result), 0);
	CHECK_INT(truncate(path, 2000 * BLOCK + 100), 0); /* what is no block does not count */
	CHECK_INT(sense_of(run(request_sense, SCSI_DIR_IN, answer, 18)), 0);
	CHECK_INT(answer[2], SCSI_UNIT_ATTENTION);
	CHECK_INT(be_get16(answer + 12), 0x2a09);
	CHECK_INT(test_unit_ready(), 0);
	CHECK_INT(capacity(), 2000);
	CHECK_INT(write_blocks(1999, 1, data), 0);
	lun_execute(other, &io);
	CHECK_INT(sense_of(io.result), 0x62a09);
	/* Nothing left. */
	CHECK_INT(truncate(path, 0), 0);
	CHECK_INT(test_unit_ready(), 0x62a09);
	CHECK_INT(test_unit_ready(), 0x20400);
	CHECK_INT(read_blocks(0, 1, data), 0x20400);
	CHECK_INT(sense_of(run(inquiry, SCSI_DIR_IN, answer, sizeof(answer))), 0);
	lun_destroy(other);
	end();
}

/* Another file in its place: what the file beside says decides. */
static void test_replaced(void)
{
	char copy[160];
	int fd;

	begin();
	snprintf(copy, sizeof(copy), "%s/copy", directory);
	fd = open(copy, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CHECK_INT(ftruncate(fd, 5000 * BLOCK), 0);
	close(fd);
	CHECK_INT(rename(copy, path), 0);
	CHECK_INT(test_unit_ready(), 0); /* what is open stays */
	CHECK(lun_connect(lun, &identity, reason));
	CHECK_INT(identity.blocks, 5000);
	CHECK_INT(test_unit_ready(), 0x62a09);
	CHECK_INT(capacity(), 5000);
	snprintf(copy, sizeof(copy), "%s" LUN_FILE_BESIDE_SUFFIX, path);
	CHECK_INT(unlink(copy), 0);
	CHECK_INT(unlink(path), 0);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CHECK_INT(ftruncate(fd, 5000 * BLOCK), 0);
	close(fd);
	CHECK(!lun_connect(lun, &identity, reason));
	CHECK_CONTAINS(reason, "another logical unit");
	CHECK_INT(capacity(), 5000);
	end();
}

/* ---- what is refused ---- */

static void check_refused(const char *want, bool want_missing)
{
	bool missing;

	reason[0] = '\0';
	CHECK(!lun_file_check(&cfg, &missing, reason));
	CHECK_CONTAINS(reason, want);
	CHECK_INT(missing, want_missing);
	lun = lun_file_new(&cfg, reason);
	reason[0] = '\0';
	CHECK(!lun_connect(lun, &identity, reason));
	CHECK_CONTAINS(reason, want);
	CHECK_INT(test_unit_ready(), 0x20400);
	lun_destroy(lun);
	lun = NULL;
}

static void test_refused(void)
{
	char beside[192];
	bool missing;

	make_file(100000);
	check_refused("truncate -s 100352", false);
	CHECK_INT(truncate(path, 0), 0);
	check_refused("is empty", false);
	CHECK_INT(truncate(path, 100352), 0);
	CHECK(lun_file_check(&cfg, &missing, reason));
	snprintf(beside, sizeof(beside), "%s" LUN_FILE_BESIDE_SUFFIX, path);
	CHECK(access(beside, F_OK) != 0); /* asking makes nothing */
	CHECK_INT(symlink("/dev/null", beside), 0);
	check_refused("cannot be opened or made", false);
	CHECK_INT(unlink(beside), 0);
	CHECK_INT(mknod(beside, S_IFREG | 0600, 0), 0);
	check_refused("damaged", false);
	CHECK_INT(unlink(beside), 0);
	CHECK_INT(unlink(path), 0);
	check_refused("is not there", true);
	CHECK(lun_file_is(path)); /* it may come back */
	CHECK_INT(mkdir(path, 0700), 0);
	CHECK(!lun_file_is(path));
	check_refused("is a directory", false);
	CHECK_INT(rmdir(path), 0);
	CHECK_INT(mkfifo(path, 0600), 0);
	check_refused("no regular file", false);
	CHECK(!lun_file_is("/dev/not-there"));
	CHECK(!lun_file_is("/dev/null"));
	remove_file();
}

/* ---- many at once ---- */

#define AT_ONCE 64

static struct lun_io many[AT_ONCE];
static uint8_t many_data[AT_ONCE][2048];
static unsigned int answered;

static void count_answer(struct lun_io *io)
{
	CHECK_INT(io->result.status, SCSI_GOOD);
	__atomic_add_fetch(&answered, 1, __ATOMIC_SEQ_CST);
}

static void submit_many(bool write)
{
	static uint8_t cdbs[AT_ONCE][16];
	static struct iovec iov[AT_ONCE];

	answered = 0;
	for (size_t i = 0; i < AT_ONCE; i++) {
		cdbs[i][0] = write ? 0x8a : 0x88;
		be_put64(cdbs[i] + 2, i * 4);
		be_put32(cdbs[i] + 10, 4);
		iov[i] = (struct iovec){many_data[i], 2048};
		many[i] = (struct lun_io){.cdb = cdbs[i],
					  .cdb_len = 16,
					  .direction = write ? SCSI_DIR_OUT : SCSI_DIR_IN,
					  .iov = &iov[i],
					  .iov_cnt = 1,
					  .data_len = 2048,
					  .done = count_answer};
		lun_submit(lun, &many[i]);
	}
	while (__atomic_load_n(&answered, __ATOMIC_SEQ_CST) < AT_ONCE)
		usleep(100);
}

static void test_many(void)
{
	uint8_t want[2048];

	begin();
	for (size_t i = 0; i < AT_ONCE; i++)
		fill(many_data[i], 2048, (unsigned int)i);
	submit_many(true);
	memset(many_data, 0, sizeof(many_data));
	submit_many(false);
	for (size_t i = 0; i < AT_ONCE; i++) {
		fill(want, 2048, (unsigned int)i);
		CHECK_BYTES(many_data[i], want, 2048);
	}
	/* What is queued is answered before the LUN goes. */
	for (size_t i = 0; i < AT_ONCE; i++)
		many_data[i][0] = 1;
	answered = 0;
	for (size_t i = 0; i < AT_ONCE; i++)
		lun_submit(lun, &many[i]);
	lun_destroy(lun);
	CHECK_INT(answered, AT_ONCE);
	lun = NULL;
	remove_file();
}

int main(void)
{
	CHECK_RUN(test_connect);
	CHECK_RUN(test_data);
	CHECK_RUN(test_range);
	CHECK_RUN(test_exact_data);
	CHECK_RUN(test_compare_and_write);
	CHECK_RUN(test_compare_and_write_alone);
	CHECK_RUN(test_verify);
	CHECK_RUN(test_space);
	CHECK_RUN(test_no_holes);
	CHECK_RUN(test_durable);
	CHECK_RUN(test_flush_fails);
	CHECK_RUN(test_page_cache);
	CHECK_RUN(test_write_errors);
	CHECK_RUN(test_shorter_longer);
	CHECK_RUN(test_replaced);
	CHECK_RUN(test_refused);
	CHECK_RUN(test_many);
	return check_summary();
}
