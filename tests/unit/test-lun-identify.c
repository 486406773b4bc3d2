/* SPDX-License-Identifier: Apache-2.0 */
/* A LUN that keeps its capacity back: who learnt it earlier, and who can do without. */
#include "check.h"
#include "lun-identify.h"

#include <string.h>

#define BLOCK UINT64_C(512)

static bool conflict;

/* A disk with an NAA designator, and 1000 blocks where it tells. */
static void execute(void *user, struct lun_io *io)
{
	static const uint8_t page_83[] = {0, 0x83, 0, 12, 1, 3, 0, 8, 0x50, 1, 2, 3, 4, 5, 6, 7};
	uint8_t *data = io->iov[0].iov_base;
	size_t len = 36;

	(void)user;
	lun_result_status(&io->result, SCSI_GOOD);
	if (io->cdb[0] == SCSI_INQUIRY && io->cdb[1] == 1) {
		len = sizeof(page_83);
		memcpy(data, page_83, len);
	} else if (io->cdb[0] != SCSI_INQUIRY && conflict) {
		lun_result_status(&io->result, SCSI_RESERVATION_CONFLICT);
		len = 0;
	} else if (io->cdb[0] == SCSI_SERVICE_ACTION_IN_16) {
		len = 32;
		data[6] = 999 >> 8;
		data[7] = 999 & 0xff;
		data[10] = BLOCK >> 8;
	}
	io->result.residual_bytes = (uint32_t)(io->data_len - len);
}

static struct lun_identity identity;
static char reason[LUN_REASON_MAX];

static bool identify(uint64_t size_bytes, bool may_wait)
{
	struct lun_way way = {
		.execute = execute,
		.node = "the disk",
		.size_bytes = size_bytes,
		.block_len_bytes = size_bytes != 0 ? (uint32_t)BLOCK : 0,
		.capacity_may_wait = may_wait,
	};
	bool missing;

	memset(&identity, 0xff, sizeof(identity));
	return lun_identify_fully(&way, &identity, &missing, reason);
}

static void test_told(void)
{
	conflict = false;
	CHECK(identify(0, false));
	CHECK_STR(identity.designator, "naa.5001020304050607");
	CHECK_INT(identity.blocks, 1000);
	CHECK_INT(identity.block_len_bytes, BLOCK);
	CHECK_INT(identity.unit_attention_count, 0);
}

static void test_kept_back(void)
{
	conflict = true;
	CHECK(!identify(0, false));
	CHECK_CONTAINS(reason, "the disk does not tell its capacity (status 18h)");
	CHECK(identify(2000 * BLOCK, false));
	CHECK_INT(identity.blocks, 2000);
	CHECK(identify(2000 * BLOCK, true));
	CHECK_INT(identity.blocks, 2000);
	CHECK(identify(0, true));
	CHECK_STR(identity.designator, "naa.5001020304050607");
	CHECK_INT(identity.blocks, 0);
}

int main(void)
{
	CHECK_RUN(test_told);
	CHECK_RUN(test_kept_back);
	return check_summary();
}
