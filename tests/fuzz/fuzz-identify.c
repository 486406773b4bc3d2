/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a LUN answers while it is identified. The input: the answers, one after the other: a byte (what
 * kind), and for each kind what it needs.
 */
#include <string.h>

#include "be.h"
#include "fuzz.h"
#include "lun-identify.h"

#define ANSWERS_MAX 32

struct device {
	struct fuzz_source source;
	unsigned int answers;
	unsigned int unit_attentions;
};

static void execute(void *user, struct lun_io *io)
{
	struct device *device = user;
	struct fuzz_source *source = &device->source;
	uint8_t kind = fuzz_byte(source), key;
	uint32_t there = io->data_len;

	FUZZ_CHECK(++device->answers <= ANSWERS_MAX);
	memset(&io->result, 0, sizeof(io->result));
	switch (kind % 4) {
	case 0: /* data; a VPD page as long as it says */
		fuzz_fill(source, io->iov[0].iov_base, io->data_len);
		if (kind & 0x80)
			there = fuzz_u16(source) % (io->data_len + 1);
		io->result.residual_bytes = io->data_len - there;
		return;
	case 1:
		lun_result_status(&io->result, fuzz_byte(source));
		return;
	case 2:
		key = fuzz_byte(source) & 0xf;
		lun_result_check_condition(&io->result, (enum scsi_sense_key)key, fuzz_u16(source));
		break;
	default: /* any sense data */
		lun_result_status(&io->result, SCSI_CHECK_CONDITION);
		io->result.sense_len = fuzz_byte(source) % (SCSI_SENSE_MAX + 1);
		fuzz_fill(source, io->result.sense, io->result.sense_len);
		break;
	}
	io->result.residual_bytes = io->data_len;
	if (io->cdb[0] == 0x25 || io->cdb[0] == 0x9e)
		device->unit_attentions++;
}

void fuzz_one(const uint8_t *data, size_t size)
{
	static struct device device;
	struct lun_way way = {.execute = execute, .user = &device, .node = "/dev/sdz"};
	struct lun_identity identity;
	char reason[LUN_REASON_MAX];
	bool missing = false;

	device = (struct device){.source = {data, size}};
	way.capacity_may_wait = fuzz_bool(&device.source);
	way.size_bytes = fuzz_u16(&device.source);
	way.block_len_bytes = fuzz_u16(&device.source);
	memset(&identity, 0xee, sizeof(identity));
	memset(reason, 'x', sizeof(reason));
	if (!lun_identify_fully(&way, &identity, &missing, reason)) {
		FUZZ_CHECK(identity.blocks == 0xeeeeeeeeeeeeeeee && reason[0] != '\0');
		FUZZ_CHECK(fuzz_printable(reason, sizeof(reason)));
		return;
	}
	fuzz_deep();
	FUZZ_CHECK(!missing && memchr(identity.designator, '\0', sizeof(identity.designator)));
	FUZZ_CHECK(fuzz_printable(identity.designator, sizeof(identity.designator)));
	FUZZ_CHECK(identity.block_len_bytes > 0 || way.capacity_may_wait);
	FUZZ_CHECK((identity.blocks > 0) == (identity.block_len_bytes > 0));
	FUZZ_CHECK(identity.unit_attention_count <= LUN_UNIT_ATTENTION_MAX &&
		   identity.unit_attention_count <= device.unit_attentions);
	for (size_t i = 0; i < identity.unit_attention_count; i++) {
		const struct lun_unit_attention *attention = &identity.unit_attentions[i];
		uint16_t asc_ascq;
		uint8_t key;

		FUZZ_CHECK(
			scsi_sense_parse(attention->sense, attention->sense_len, &key, &asc_ascq));
		FUZZ_CHECK(key == SCSI_UNIT_ATTENTION);
	}
}
