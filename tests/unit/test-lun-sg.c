/* SPDX-License-Identifier: Apache-2.0 */
/* The sg backend over a fake LUN. */
#include <unistd.h>

#include "check.h"
#include "fake-lun.h"
#include "lun.h"
#include "paths.h"
#include "sg-disk.h"

#define SEGMENTS 64

/* ---- the LUN under test ---- */

static struct lun *lun;
static struct lun_identity identity;
static char reason[LUN_REASON_MAX];
static const struct cfgstring cfg = {.lun = DISK, .lun_is_path = true};

static void begin(void)
{
	behind = fake_lun_create(NULL, NULL);
	lun = lun_new(&cfg, "vm1", reason);
	if (behind == NULL || lun == NULL)
		abort();
	device_error = 0;
}

static void end(void)
{
	lun_destroy(lun);
	CHECK_INT(device_fds, 0);
	fake_lun_detach(behind);
	behind = NULL;
}

static struct lun_result run(const uint8_t *cdb, size_t cdb_len, enum scsi_direction direction,
			     struct iovec *iov, size_t iov_cnt)
{
	struct lun_io io = {
		.cdb = cdb,
		.cdb_len = cdb_len,
		.direction = direction,
		.iov = iov,
		.iov_cnt = iov_cnt,
		.timeout_ms = 1000,
	};

	for (size_t i = 0; i < iov_cnt; i++)
		io.data_len += (uint32_t)iov[i].iov_len;
	lun_execute(lun, &io);
	return io.result;
}

static struct lun_result test_unit_ready(void)
{
	static const uint8_t cdb[6];

	return run(cdb, sizeof(cdb), SCSI_DIR_NONE, NULL, 0);
}

static unsigned int key_of(const struct lun_result *result)
{
	return result->sense_len >= 3 ? result->sense[2] & 0xf : 0;
}

static void test_connect(void)
{
	struct lun_result result;
	char designator[40];

	begin();
	fake_lun_designator(behind, designator);
	CHECK(!lun_is_connected(lun));
	result = test_unit_ready();
	CHECK_INT(result.status, SCSI_CHECK_CONDITION);
	CHECK_INT(key_of(&result), SCSI_NOT_READY);
	CHECK(!result.unknown);
	CHECK(lun_connect(lun, &identity, reason));
	CHECK(lun_is_connected(lun));
	CHECK_STR(identity.designator, designator);
	CHECK_STR(identity.device, "/dev/sdx");
	CHECK_INT(identity.blocks, 16384);
	CHECK_INT(identity.block_len_bytes, 512);
	CHECK_INT(identity.max_transfer_bytes, SEGMENTS * sysconf(_SC_PAGESIZE));
	CHECK_INT(identity.unit_attention_count, 0);
	CHECK_INT(test_unit_ready().status, SCSI_GOOD);
	CHECK_INT(device_fds, 1);
	end();
}

/* They are the guest's: the check leaves them, connecting hands them on. */
static void test_unit_attentions(void)
{
	bool missing;

	begin();
	fake_lun_add_unit_attention(behind, 0, 0x2a05);
	fake_lun_add_unit_attention(behind, 0, 0x2a04);
	writable_opens = 0;
	CHECK(lun_check(&cfg, &missing, reason));
	CHECK_INT(writable_opens, 0);
	CHECK(lun_connect(lun, &identity, reason));
	CHECK_INT(identity.unit_attention_count, 2);
	CHECK_INT(identity.unit_attentions[0].sense[13], 0x05);
	CHECK_INT(identity.unit_attentions[1].sense[13], 0x04);
	CHECK_INT(identity.blocks, 16384);
	CHECK_INT(test_unit_ready().status, SCSI_GOOD);
	end();
}

static void test_capacity_refused(void)
{
	struct fake_fault fault = fake_fault(FAKE_ANY, 0x9e, FAKE_ANY);

	begin();
	fault.outcome = FAKE_ANSWER;
	fault.status = SCSI_RESERVATION_CONFLICT;
	fake_lun_add_fault(behind, &fault);
	CHECK(lun_connect(lun, &identity, reason));
	CHECK_INT(identity.blocks, 16384);
	fault.opcode = 0x25;
	fake_lun_add_fault(behind, &fault);
	fault.opcode = 0x9e;
	fake_lun_add_fault(behind, &fault);
	CHECK(lun_connect(lun, &identity, reason)); /* as the kernel has it */
	CHECK_INT(identity.blocks, 2048);
	CHECK_INT(device_fds, 1);
	end();
}

static void test_data(void)
{
	static const uint8_t write[32] = {0x7f, [7] = 24, [9] = 0x0b, [19] = 5, [31] = 2};
	static const uint8_t read[10] = {0x28, [5] = 5, [8] = 2};
	uint8_t data[1024], parts[3][512];
	struct iovec out = {data, sizeof(data)};
	struct iovec in[3] = {{parts[0], 100}, {parts[1], 512}, {parts[2], 500}};
	struct lun_result result;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	begin();
	CHECK(lun_connect(lun, &identity, reason));
	CHECK_INT(run(write, sizeof(write), SCSI_DIR_OUT, &out, 1).status, SCSI_GOOD);
	result = run(read, sizeof(read), SCSI_DIR_IN, in, 3);
	CHECK_INT(result.status, SCSI_GOOD);
	CHECK_INT(result.residual_bytes, 100 + 512 + 500 - 1024);
	CHECK_BYTES(parts[0], data, 100);
	CHECK_BYTES(parts[1], data + 100, 512);
	CHECK_BYTES(parts[2], data + 612, 412);
	end();
}

static void test_limits(void)
{
	size_t size = SEGMENTS * (size_t)sysconf(_SC_PAGESIZE);
	static const uint8_t inquiry[6] = {0x12};
	uint8_t cdb[SCSI_CDB_MAX] = {0x7f, [7] = 252};
	uint8_t *buffer = calloc(1, size + 1);
	struct iovec iov = {buffer, size + 1};
	struct lun_result result;

	begin();
	CHECK(lun_connect(lun, &identity, reason));
	result = run(inquiry, sizeof(inquiry), SCSI_DIR_IN, &iov, 1);
	CHECK_INT(result.status, SCSI_CHECK_CONDITION);
	CHECK_INT(key_of(&result), SCSI_ILLEGAL_REQUEST);
	CHECK_INT(result.sense[12], 0x24);
	CHECK_INT(result.residual_bytes, size + 1);
	iov.iov_len = size;
	CHECK_INT(run(inquiry, sizeof(inquiry), SCSI_DIR_IN, &iov, 1).status, SCSI_GOOD);
	result = run(cdb, sizeof(cdb), SCSI_DIR_IN, &iov, 1);
	CHECK_INT(key_of(&result), SCSI_ILLEGAL_REQUEST);
	end();
	free(buffer);
}

static void test_gone(void)
{
	struct fake_lun_config other = {.naa = 0x6001405000000002};
	struct fake_lun *first, *second;
	struct lun_result result;

	begin();
	first = behind;
	CHECK(lun_connect(lun, &identity, reason));
	device_error = ENODEV;
	result = test_unit_ready();
	CHECK_INT(key_of(&result), SCSI_NOT_READY);
	CHECK(result.unknown);
	CHECK(!lun_is_connected(lun));
	device_error = 0;
	result = test_unit_ready(); /* not sent: the old device */
	CHECK_INT(key_of(&result), SCSI_NOT_READY);
	CHECK(!result.unknown);

	behind = NULL;
	CHECK(!lun_connect(lun, &identity, reason));
	CHECK_CONTAINS(reason, "is not there");
	behind = second = fake_lun_create(NULL, &other);
	CHECK(!lun_connect(lun, &identity, reason));
	CHECK_CONTAINS(reason, "is another logical unit now");
	CHECK(!lun_is_connected(lun));
	behind = first;
	CHECK(lun_connect(lun, &identity, reason));
	CHECK_INT(test_unit_ready().status, SCSI_GOOD);
	CHECK_INT(device_fds, 1);
	fake_lun_detach(second);
	end();
}

#define PARALLEL 100

static unsigned int answered;

static void count_answer(struct lun_io *io)
{
	CHECK(io->result.status == SCSI_GOOD);
	__atomic_add_fetch(&answered, 1, __ATOMIC_SEQ_CST);
}

static void wait_answered(unsigned int count)
{
	while (__atomic_load_n(&answered, __ATOMIC_SEQ_CST) < count)
		usleep(1000);
}

/* Slow commands beside each other, reconnecting meanwhile; those beyond the workers wait. */
static void test_parallel(void)
{
	static const uint8_t cdb[6];
	static struct lun_io ios[PARALLEL];
	struct fake_fault fault = fake_fault(FAKE_ANY, 0x00, FAKE_ANY);
	struct fake_monitor monitor;

	begin();
	CHECK(lun_connect(lun, &identity, reason));
	fault.times = 0;
	fault.delay_before_ms = 30;
	fake_lun_add_fault(behind, &fault);
	answered = 0;
	for (unsigned int i = 0; i < PARALLEL; i++) {
		ios[i] = (struct lun_io){.cdb = cdb, .cdb_len = 6, .done = count_answer};
		lun_submit(lun, &ios[i]);
		if (i % 25 == 0)
			CHECK(lun_connect(lun, &identity, reason));
	}
	wait_answered(PARALLEL);
	fake_lun_get_monitor(behind, &monitor);
	CHECK(monitor.in_flight_max > 16);
	end();
}

static void test_lost_answers(void)
{
	struct fake_fault fault = fake_fault(FAKE_ANY, 0x00, FAKE_ANY);
	struct lun_result result;

	begin();
	CHECK(lun_connect(lun, &identity, reason));
	fault.outcome = FAKE_LOSE_ANSWER;
	fault.host_status = FAKE_DID_TIME_OUT;
	fake_lun_add_fault(behind, &fault);
	result = test_unit_ready();
	CHECK_INT(result.status, SCSI_CHECK_CONDITION);
	CHECK_INT(key_of(&result), SCSI_ABORTED_COMMAND);
	CHECK(result.unknown);
	CHECK(lun_is_connected(lun));
	fault.host_status = FAKE_DID_TRANSPORT_DISRUPTED;
	fake_lun_add_fault(behind, &fault);
	result = test_unit_ready();
	CHECK_INT(result.status, SCSI_BUSY);
	CHECK(result.unknown);
	end();
}

static void put_attribute(const char *root, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s" PATHS_DEV_BLOCK "/8:0/%s", root, name);
	file = fopen(path, "w");
	if (file == NULL)
		abort();
	fputs(text, file);
	fclose(file);
}

int main(void)
{
	char root[] = "/tmp/prmig-test-XXXXXX", command[256], text[32];
	int error;

	if (mkdtemp(root) == NULL)
		return 1;
	setenv("PRMIG_ROOT", root, 1);
	snprintf(command, sizeof(command),
		 "mkdir -p %s" PATHS_DEV_BLOCK "/8:0/device %s" PATHS_DEV_BLOCK "/8:0/queue", root,
		 root);
	if (system(command) != 0)
		return 1;
	put_attribute(root, "uevent", "DEVNAME=sdx\n");
	put_attribute(root, "size", "2048\n");
	put_attribute(root, "device/type", "0\n");
	put_attribute(root, "queue/logical_block_size", "512\n");
	snprintf(text, sizeof(text), "%d\n", SEGMENTS);
	put_attribute(root, "queue/max_segments", text);
	CHECK_RUN(test_connect);
	CHECK_RUN(test_unit_attentions);
	CHECK_RUN(test_capacity_refused);
	CHECK_RUN(test_data);
	CHECK_RUN(test_limits);
	CHECK_RUN(test_gone);
	CHECK_RUN(test_parallel);
	CHECK_RUN(test_lost_answers);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	error = system(command);
	return check_summary() || error;
}
