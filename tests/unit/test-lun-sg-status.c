/* SPDX-License-Identifier: Apache-2.0 */
/* What an SG_IO ended with, as a SCSI result. */
#include <errno.h>

#include "check.h"
#include "lun-sg-status.h"

#define ANY 0xffff

static const uint8_t sense_attention[18] = {0x70, 0, 6, [7] = 10, [12] = 0x2a, [13] = 0x05};

static struct lun_result result;
static bool gone;

static void run(int error, uint8_t status, uint16_t host, uint16_t driver, uint8_t sense_len)
{
	struct lun_sg_outcome outcome = {
		.error = error,
		.status = status,
		.host_status = host,
		.driver_status = driver,
		.data_len = 4096,
		.sense = sense_attention,
		.sense_len = sense_len,
	};

	memset(&result, 0xee, sizeof(result));
	lun_sg_outcome_result(&outcome, &result, &gone);
}

/* asc_ascq: ANY for an answer without sense data. */
static void check_result(uint8_t status, uint16_t asc_ascq, bool unknown)
{
	uint16_t got;
	uint8_t key;

	CHECK_INT(result.status, status);
	CHECK_INT(result.unknown, unknown);
	if (asc_ascq == ANY) {
		CHECK_INT(result.sense_len, 0);
	} else {
		CHECK(scsi_sense_parse(result.sense, result.sense_len, &key, &got));
		CHECK_INT(got, asc_ascq);
	}
}

static void test_every_status(void)
{
	for (unsigned int status = 0; status < 256; status++) {
		run(0, (uint8_t)status, 0, 0, 0);
		check_result((uint8_t)status, ANY, false);
		CHECK_INT(result.residual_bytes, 0);
		CHECK(!gone);
	}
}

static void test_sense(void)
{
	run(0, SCSI_CHECK_CONDITION, 0, 8, 18);
	check_result(SCSI_CHECK_CONDITION, 0x2a05, false);
	CHECK_INT(result.sense_len, 18);
	CHECK_BYTES(result.sense, sense_attention, 18);
	/* Sense data beside another status is not the answer's. */
	run(0, SCSI_GOOD, 0, 0, 18);
	check_result(SCSI_GOOD, ANY, false);
	/* Old kernels: the driver fetched it, and left the status at GOOD. */
	run(0, SCSI_GOOD, 0, 8, 18);
	check_result(SCSI_CHECK_CONDITION, 0x2a05, false);
}

static void test_host_status(void)
{
	static const struct {
		uint16_t host;
		uint8_t status;
		uint16_t asc_ascq;
		bool unknown;
	} rows[] = {
		{0x01, SCSI_CHECK_CONDITION, 0x0400, true},
		{0x02, SCSI_BUSY, ANY, true},
		{0x03, SCSI_CHECK_CONDITION, 0x0801, true},
		{0x04, SCSI_CHECK_CONDITION, 0x0400, true},
		{0x05, SCSI_CHECK_CONDITION, 0x0800, true},
		{0x06, SCSI_CHECK_CONDITION, 0x0800, true},
		{0x07, SCSI_CHECK_CONDITION, 0x0800, true},
		{0x08, SCSI_CHECK_CONDITION, 0x0800, true},
		{0x09, SCSI_CHECK_CONDITION, 0x0800, true},
		{0x0a, SCSI_GOOD, ANY, false},
		{0x0b, SCSI_BUSY, ANY, true},
		{0x0c, SCSI_BUSY, ANY, true},
		{0x0d, SCSI_BUSY, ANY, true},
		{0x0e, SCSI_BUSY, ANY, true},
		{0x0f, SCSI_CHECK_CONDITION, 0x0400, true},
		{0x10, SCSI_GOOD, ANY, false},
		{0x14, SCSI_CHECK_CONDITION, 0x0400, true},
		{0x15, SCSI_CHECK_CONDITION, 0x0800, true}, /* not there yet */
		{0xffff, SCSI_CHECK_CONDITION, 0x0800, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run(0, SCSI_GOOD, rows[i].host, 0, 0);
		check_result(rows[i].status, rows[i].asc_ascq, rows[i].unknown);
		CHECK(!gone);
		if (rows[i].unknown)
			CHECK_INT(result.residual_bytes, 4096);
	}
	/* A status that came is the LUN's, whatever else is said; but none comes after a time-out. */
	for (uint16_t host = 0; host < 0x20; host++) {
		run(0, SCSI_RESERVATION_CONFLICT, host, 0, 0);
		if (host == 0x03)
			check_result(SCSI_CHECK_CONDITION, 0x0801, true);
		else
			check_result(SCSI_RESERVATION_CONFLICT, ANY, false);
	}
}

static void test_driver_status(void)
{
	run(0, SCSI_GOOD, 0, 0x06, 0);
	check_result(SCSI_CHECK_CONDITION, 0x0801, true);
	run(0, SCSI_GOOD, 0, 0x04, 0);
	check_result(SCSI_CHECK_CONDITION, 0x0800, true);
	run(0, SCSI_GOOD, 0, 0x08, 0);
	check_result(SCSI_GOOD, ANY, false);
}

static void test_errors(void)
{
	static const struct {
		int error;
		uint8_t status;
		uint16_t asc_ascq;
		bool unknown, gone;
	} rows[] = {
		{ENODEV, SCSI_CHECK_CONDITION, 0x0400, true, true},
		{ENXIO, SCSI_CHECK_CONDITION, 0x0400, true, true},
		{ENOTTY, SCSI_CHECK_CONDITION, 0x0400, false, true},
		{EBADF, SCSI_CHECK_CONDITION, 0x0400, false, true},
		{ENOMEM, SCSI_BUSY, ANY, false, false},
		{EAGAIN, SCSI_BUSY, ANY, false, false},
		{EINVAL, SCSI_CHECK_CONDITION, 0x2400, false, false},
		{EMSGSIZE, SCSI_CHECK_CONDITION, 0x2400, false, false},
		{EPERM, SCSI_CHECK_CONDITION, 0x2000, false, false},
		{EINTR, SCSI_CHECK_CONDITION, 0x0800, true, false},
		{EIO, SCSI_CHECK_CONDITION, 0x0800, true, false},
		{EFAULT, SCSI_CHECK_CONDITION, 0x0800, true, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run(rows[i].error, 0x18, 0x07, 0, 0); /* which say nothing now */
		check_result(rows[i].status, rows[i].asc_ascq, rows[i].unknown);
		CHECK_INT(gone, rows[i].gone);
		CHECK_INT(result.residual_bytes, 4096);
	}
}

static void test_residual(void)
{
	static const struct {
		int residual;
		uint32_t want;
	} rows[] = {{0, 0}, {512, 512}, {4096, 4096}, {5000, 0}, {-1, 0}, {-4096, 0}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lun_sg_outcome outcome = {
			.residual = rows[i].residual,
			.data_len = 4096,
			.sense = sense_attention,
		};

		lun_sg_outcome_result(&outcome, &result, &gone);
		CHECK_INT(result.residual_bytes, rows[i].want);
	}
}

int main(void)
{
	CHECK_RUN(test_every_status);
	CHECK_RUN(test_sense);
	CHECK_RUN(test_host_status);
	CHECK_RUN(test_driver_status);
	CHECK_RUN(test_errors);
	CHECK_RUN(test_residual);
	return check_summary();
}
