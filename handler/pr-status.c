/* SPDX-License-Identifier: Apache-2.0 */
/* What PERSISTENT RESERVE IN returns, SPC-4 6.15. */
#include "pr.h"

#include "be.h"

#define HEADER_LEN 8 /* PRGENERATION, ADDITIONAL LENGTH */
#define KEY_LEN 8
#define RESERVATION_LEN 16
#define CAPABILITIES_LEN 8
#define FULL_STATUS_DESCRIPTOR_LEN 24 /* without the TransportID */

#define CAPABILITIES_SIP_C 0x08
#define CAPABILITIES_ATP_C 0x04

bool pr_keys_parse(const uint8_t *data, size_t len, uint64_t key, struct pr_keys *ret_keys)
{
	struct pr_keys keys = {0};
	size_t there;

	if (len < HEADER_LEN)
		return false;
	keys.generation = be_get32(data);
	keys.additional_len = be_get32(data + 4);
	if (keys.additional_len % KEY_LEN)
		return false;
	keys.count = keys.additional_len / KEY_LEN;
	keys.truncated = keys.additional_len > len - HEADER_LEN;

	there = keys.truncated ? (len - HEADER_LEN) / KEY_LEN : keys.count;
	for (size_t i = 0; key && i < there; i++)
		if (be_get64(data + HEADER_LEN + i * KEY_LEN) == key)
			keys.matching++;
	*ret_keys = keys;
	return true;
}

bool pr_reservation_parse(const uint8_t *data, size_t len, struct pr_reservation *ret_reservation)
{
	struct pr_reservation reservation = {0};
	uint32_t additional_len;

	if (len < HEADER_LEN)
		return false;
	reservation.generation = be_get32(data);
	additional_len = be_get32(data + 4);
	if (additional_len) {
		if (additional_len < RESERVATION_LEN || len < HEADER_LEN + RESERVATION_LEN)
			return false;
		reservation.held = true;
		reservation.key = be_get64(data + 8);
		reservation.scope = data[21] >> 4;
		reservation.type = data[21] & 0x0f;
	}
	*ret_reservation = reservation;
	return true;
}

bool pr_capabilities_parse(const uint8_t *data, size_t len,
			   struct pr_capabilities *ret_capabilities)
{
	if (len < CAPABILITIES_LEN || be_get16(data) < CAPABILITIES_LEN)
		return false;
	*ret_capabilities = (struct pr_capabilities){
		.rlr_c = data[2] & 0x80,
		.crh = data[2] & 0x10,
		.sip_c = data[2] & CAPABILITIES_SIP_C,
		.atp_c = data[2] & CAPABILITIES_ATP_C,
		.ptpl_c = data[2] & 0x01,
		.tmv = data[3] & 0x80,
		.ptpl_a = data[3] & 0x01,
		.type_mask = be_get16(data + 4),
	};
	return true;
}

void pr_capabilities_mask(uint8_t *data, size_t len)
{
	if (len > 2)
		data[2] &= (uint8_t) ~(CAPABILITIES_SIP_C | CAPABILITIES_ATP_C);
}

bool pr_full_status_generation(const uint8_t *data, size_t len, uint32_t *ret_generation)
{
	if (len < HEADER_LEN)
		return false;
	*ret_generation = be_get32(data);
	return true;
}

bool pr_full_status_next(const uint8_t *data, size_t len, size_t *offset,
			 struct pr_full_status *ret_status, bool *ret_malformed)
{
	const uint8_t *descriptor;
	size_t end, at, transport_id_len;

	*ret_malformed = true;
	if (len < HEADER_LEN || be_get32(data + 4) > len - HEADER_LEN)
		return false;
	end = HEADER_LEN + (size_t)be_get32(data + 4);
	at = *offset ? *offset : HEADER_LEN;
	if (at == end) {
		*ret_malformed = false;
		return false;
	}
	if (at > end || end - at < FULL_STATUS_DESCRIPTOR_LEN)
		return false;
	descriptor = data + at;
	transport_id_len = be_get32(descriptor + 20);
	if (transport_id_len > end - at - FULL_STATUS_DESCRIPTOR_LEN)
		return false;

	*ret_status = (struct pr_full_status){
		.key = be_get64(descriptor),
		.all_tg_pt = descriptor[12] & 0x02,
		.holder = descriptor[12] & 0x01,
		.scope = descriptor[13] >> 4,
		.type = descriptor[13] & 0x0f,
		.relative_target_port = be_get16(descriptor + 18),
		.transport_id = descriptor + FULL_STATUS_DESCRIPTOR_LEN,
		.transport_id_len = (uint32_t)transport_id_len,
	};
	*offset = at + FULL_STATUS_DESCRIPTOR_LEN + transport_id_len;
	*ret_malformed = false;
	return true;
}
