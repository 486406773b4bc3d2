/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sense data and what an SG_IO ended with. The input: the fields of an outcome, and sense data.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "fuzz.h"
#include "lun-sg-status.h"
#include "scsi.h"

static void check_parse(const uint8_t *sense, size_t len)
{
	uint8_t key = 0xee, built[SCSI_SENSE_MAX], built_key;
	uint16_t asc_ascq = 0xeeee, built_asc_ascq;
	size_t built_len;

	if (!scsi_sense_parse(sense, len, &key, &asc_ascq)) {
		FUZZ_CHECK(key == 0xee && asc_ascq == 0xeeee);
		return;
	}
	fuzz_deep();
	FUZZ_CHECK(key <= 0xf);
	built_len = scsi_sense_build(built, (enum scsi_sense_key)key, asc_ascq);
	FUZZ_CHECK(scsi_sense_parse(built, built_len, &built_key, &built_asc_ascq));
	FUZZ_CHECK(built_key == key && built_asc_ascq == asc_ascq);
}

/* Nobody takes a command for done that the LUN has not answered. */
static void check_outcome(const struct lun_sg_outcome *outcome)
{
	struct lun_result result;
	bool gone;

	memset(&result, 0xee, sizeof(result));
	lun_sg_outcome_result(outcome, &result, &gone);
	FUZZ_CHECK(result.sense_len <= SCSI_SENSE_MAX);
	FUZZ_CHECK(result.residual_bytes <= outcome->data_len);
	FUZZ_CHECK(!gone || outcome->error != 0);
	FUZZ_CHECK(outcome->error == 0 || result.status != SCSI_GOOD);
	if (result.status == SCSI_GOOD)
		FUZZ_CHECK(!result.unknown && outcome->status == SCSI_GOOD);
	if (result.status == SCSI_RESERVATION_CONFLICT)
		FUZZ_CHECK(outcome->status == SCSI_RESERVATION_CONFLICT && result.sense_len == 0);
	check_parse(result.sense, result.sense_len);
}

void fuzz_one(const uint8_t *data, size_t size)
{
	struct fuzz_source source = {data, size};
	struct lun_sg_outcome outcome = {0};
	size_t len;
	uint8_t *sense;

	outcome.error = fuzz_byte(&source) % (EHWPOISON + 1);
	outcome.status = fuzz_byte(&source);
	outcome.host_status = fuzz_u16(&source);
	outcome.driver_status = fuzz_u16(&source);
	outcome.residual = (int)fuzz_u32(&source);
	outcome.data_len = fuzz_u32(&source);
	sense = fuzz_rest(&source, &len);
	check_parse(sense, len);
	outcome.sense = sense;
	outcome.sense_len = (uint8_t)(len < UINT8_MAX ? len : UINT8_MAX);
	check_outcome(&outcome);
	free(sense);
}
