/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-identify.h"

#include <stdio.h>
#include <string.h>

#include "be.h"

#define TIMEOUT_MS 5000
#define INQUIRY_LEN 36
#define VPD_FIRST_LEN 255 /* some devices take no more */
#define VPD_MAX 4096
#define VPD_DEVICE_IDENTIFICATION 0x83
#define CAPACITY_16_LEN 32
#define CAPACITY_10_LEN 8
/* As many as one event can leave waiting (power on, capacity, inquiry data, mode parameters...). */
#define UNIT_ATTENTION_TRIES 8

/* One command with data-in. Returns the bytes that arrived; negative: result is not GOOD. */
static int command_in(const struct lun_way *way, const uint8_t *cdb, size_t cdb_len, uint8_t *data,
		      uint32_t len, struct lun_result *ret_result)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct lun_io io = {
		.cdb = cdb,
		.cdb_len = cdb_len,
		.direction = SCSI_DIR_IN,
		.iov = &iov,
		.iov_cnt = 1,
		.data_len = len,
		.timeout_ms = TIMEOUT_MS,
	};

	memset(data, 0, len);
	way->execute(way->user, &io);
	*ret_result = io.result;
	return io.result.status == SCSI_GOOD ? (int)(len - io.result.residual_bytes) : -1;
}

/* How a command failed, for a sentence. */
static const char *result_text(const struct lun_result *result, char *buf, size_t len)
{
	uint16_t asc_ascq;
	uint8_t key;

	if (scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq))
		snprintf(buf, len, "status %02xh, sense %x/%02x/%02x", result->status, key,
			 asc_ascq >> 8, asc_ascq & 0xff);
	else
		snprintf(buf, len, "status %02xh", result->status);
	return buf;
}

static bool inquiry_disk(const struct lun_way *way, bool *ret_missing, char *reason)
{
	static const uint8_t cdb[] = {SCSI_INQUIRY, 0, 0, 0, INQUIRY_LEN, 0};
	struct lun_result result;
	uint8_t data[INQUIRY_LEN];
	char text[64];
	int len;

	len = command_in(way, cdb, sizeof(cdb), data, sizeof(data), &result);
	if (len < 0) {
		*ret_missing = result.unknown || result.status == SCSI_BUSY;
		snprintf(reason, LUN_REASON_MAX, "%s does not answer INQUIRY (%s)", way->node,
			 result_text(&result, text, sizeof(text)));
		return false;
	}
	if (len < 1 || data[0] >> 5 != 0) {
		*ret_missing = true;
		snprintf(reason, LUN_REASON_MAX,
			 "%s: the target has no logical unit there (now): INQUIRY shows %02xh",
			 way->node, data[0]);
		return false;
	}
	if ((data[0] & 0x1f) != 0) {
		snprintf(reason, LUN_REASON_MAX,
			 "%s is a SCSI device, but no disk (type %02xh): give a disk", way->node,
			 data[0] & 0x1f);
		return false;
	}
	return true;
}

/* VPD 83h: page has VPD_MAX bytes. Returns the bytes that arrived; negative: result is not GOOD. */
static int page_read(const struct lun_way *way, uint8_t *page, struct lun_result *ret_result)
{
	uint8_t cdb[] = {SCSI_INQUIRY, 1, VPD_DEVICE_IDENTIFICATION, 0, VPD_FIRST_LEN, 0};
	int len = command_in(way, cdb, sizeof(cdb), page, VPD_FIRST_LEN, ret_result);
	int full = len >= 4 ? be_get16(page + 2) + 4 : 0;

	if (full <= VPD_FIRST_LEN)
		return len;
	full = full < VPD_MAX ? full : VPD_MAX;
	cdb[3] = (uint8_t)(full >> 8);
	cdb[4] = (uint8_t)full;
	return command_in(way, cdb, sizeof(cdb), page, (uint32_t)full, ret_result);
}

uint16_t lun_identify_target_port(const struct lun_way *way)
{
	struct lun_result result;
	uint8_t page[VPD_MAX];
	int len = page_read(way, page, &result);

	return len < 0 ? 0 : scsi_vpd_relative_target_port(page, (size_t)len);
}

bool lun_identify(const struct lun_way *way, char *ret_designator, bool *ret_missing, char *reason)
{
	struct lun_result result;
	uint8_t page[VPD_MAX];
	char text[64];
	int len;

	*ret_missing = false;
	if (!inquiry_disk(way, ret_missing, reason))
		return false;
	len = page_read(way, page, &result);
	if (len < 0) {
		*ret_missing = result.unknown || result.status == SCSI_BUSY;
		snprintf(reason, LUN_REASON_MAX,
			 "%s does not answer INQUIRY for page 83h (%s), by which prmig knows a LUN "
			 "on every host",
			 way->node, result_text(&result, text, sizeof(text)));
		return false;
	}
	if (len < 4 || page[1] != VPD_DEVICE_IDENTIFICATION ||
	    !scsi_vpd_designator(page, (size_t)len, ret_designator)) {
		snprintf(
			reason, LUN_REASON_MAX,
			"%s has no designator in VPD page 83h, by which prmig knows a LUN on every "
			"host",
			way->node);
		return false;
	}
	return true;
}

static bool unit_attention_keep(const struct lun_result *result, struct lun_identity *identity)
{
	struct lun_unit_attention *kept;
	uint16_t asc_ascq;
	uint8_t key;

	if (result->status != SCSI_CHECK_CONDITION ||
	    !scsi_sense_parse(result->sense, result->sense_len, &key, &asc_ascq) ||
	    key != SCSI_UNIT_ATTENTION)
		return false;
	if (identity->unit_attention_count < LUN_UNIT_ATTENTION_MAX) {
		kept = &identity->unit_attentions[identity->unit_attention_count++];
		kept->sense_len = result->sense_len;
		memcpy(kept->sense, result->sense, result->sense_len);
	}
	return true;
}

/* command_in again and again while unit attentions answer it; they are kept in identity. */
static int command_capacity(const struct lun_way *way, const uint8_t *cdb, size_t cdb_len,
			    uint8_t *data, uint32_t len, struct lun_identity *identity,
			    struct lun_result *ret_result)
{
	int tries = 0, got;

	do
		got = command_in(way, cdb, cdb_len, data, len, ret_result);
	while (got < 0 && unit_attention_keep(ret_result, identity) &&
	       ++tries < UNIT_ATTENTION_TRIES);
	return got;
}

static bool capacity_read(const struct lun_way *way, struct lun_identity *identity, char *reason)
{
	static const uint8_t cdb_16[16] = {SCSI_SERVICE_ACTION_IN_16, 0x10, [13] = CAPACITY_16_LEN};
	static const uint8_t cdb_10[10] = {SCSI_READ_CAPACITY_10};
	struct lun_result result;
	uint8_t data[CAPACITY_16_LEN];
	char text[64];

	if (command_capacity(way, cdb_16, sizeof(cdb_16), data, CAPACITY_16_LEN, identity,
			     &result) >= 12) {
		identity->blocks = be_get64(data) + 1;
		identity->block_len_bytes = be_get32(data + 8);
	} else if (command_capacity(way, cdb_10, sizeof(cdb_10), data, CAPACITY_10_LEN, identity,
				    &result) >= 8) {
		identity->blocks = (uint64_t)be_get32(data) + 1;
		identity->block_len_bytes = be_get32(data + 4);
	} else if (way->block_len_bytes != 0 && way->size_bytes != 0) {
		/* LIO conflicts READ CAPACITY under Exclusive Access: a nexus that was fenced must
		 * open all the same, and the kernel learnt the capacity earlier. */
		identity->blocks = way->size_bytes / way->block_len_bytes;
		identity->block_len_bytes = way->block_len_bytes;
	} else if (way->capacity_may_wait && result.status == SCSI_RESERVATION_CONFLICT) {
		return true;
	} else {
		snprintf(reason, LUN_REASON_MAX, "%s does not tell its capacity (%s)", way->node,
			 result_text(&result, text, sizeof(text)));
		return false;
	}
	if (identity->blocks == 0 || identity->block_len_bytes == 0) {
		snprintf(reason, LUN_REASON_MAX, "%s has no capacity (%llu blocks of %u bytes)",
			 way->node, (unsigned long long)identity->blocks,
			 identity->block_len_bytes);
		return false;
	}
	return true;
}

bool lun_identify_fully(const struct lun_way *way, struct lun_identity *ret_identity,
			bool *ret_missing, char *reason)
{
	struct lun_identity identity = {0};

	if (!lun_identify(way, identity.designator, ret_missing, reason) ||
	    !capacity_read(way, &identity, reason))
		return false;
	*ret_identity = identity;
	return true;
}
