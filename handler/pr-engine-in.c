/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE IN, SPC-4 6.15. */
#include <string.h>

#include "be.h"
#include "pr-engine-internal.h"

#define HEADER_LEN 8
#define KEY_LEN 8
#define RESERVATION_LEN 24
#define CAPABILITIES_LEN 8
#define CAPABILITIES_PTPL_C 0x01
#define CAPABILITIES_TMV 0x80
#define CAPABILITIES_ALLOW_COMMANDS_MATRIX (4 << 4) /* 100b: the command matrix of SPC-4 */
#define CAPABILITIES_PTPL_A 0x01
#define CAPABILITIES_ALL_TYPES 0xea01
#define DESCRIPTOR_LEN 24 /* without the TransportID */
#define DESCRIPTOR_R_HOLDER 0x01

static size_t put_header(const struct pr_engine *engine, uint8_t *data, size_t len)
{
	be_put32(data, engine->generation);
	be_put32(data + 4, (uint32_t)(len - HEADER_LEN));
	return len;
}

static size_t read_keys(const struct pr_engine *engine, uint8_t *data)
{
	size_t len = HEADER_LEN;

	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		if (engine->nexuses[i].key == 0)
			continue;
		be_put64(data + len, engine->nexuses[i].key);
		len += KEY_LEN;
	}
	return put_header(engine, data, len);
}

static size_t read_reservation(const struct pr_engine *engine, uint8_t *data)
{
	if (engine->type == PR_TYPE_NONE)
		return put_header(engine, data, HEADER_LEN);
	if (!pr_type_all_registrants(engine->type))
		be_put64(data + 8, engine->nexuses[engine->holder].key);
	data[21] = engine->type;
	return put_header(engine, data, RESERVATION_LEN);
}

static size_t report_capabilities(const struct pr_engine *engine, uint8_t *data)
{
	be_put16(data, CAPABILITIES_LEN);
	data[2] = engine->ptpl_c ? CAPABILITIES_PTPL_C : 0;
	data[3] = CAPABILITIES_TMV | CAPABILITIES_ALLOW_COMMANDS_MATRIX |
		  (engine->aptpl ? CAPABILITIES_PTPL_A : 0);
	be_put16(data + 4, CAPABILITIES_ALL_TYPES);
	return CAPABILITIES_LEN;
}

static size_t read_full_status(const struct pr_engine *engine, uint8_t *data)
{
	size_t len = HEADER_LEN;

	for (unsigned int i = 0; i < PR_ENGINE_NEXUSES; i++) {
		const struct pr_engine_nexus *nexus = &engine->nexuses[i];
		uint8_t *descriptor = data + len;
		size_t id_len;

		if (nexus->key == 0)
			continue;
		be_put64(descriptor, nexus->key);
		if (pr_engine_is_holder(engine, i)) {
			descriptor[12] = DESCRIPTOR_R_HOLDER;
			descriptor[13] = engine->type;
		}
		be_put16(descriptor + 18, nexus->relative_target_port);
		id_len = pr_engine_transport_id(nexus, descriptor + DESCRIPTOR_LEN);
		be_put32(descriptor + 20, (uint32_t)id_len);
		len += DESCRIPTOR_LEN + id_len;
	}
	return put_header(engine, data, len);
}

struct pr_engine_answer pr_engine_in(const struct pr_engine *engine, const uint8_t *cdb,
				     uint8_t *data, size_t *ret_len)
{
	size_t allocation_len = be_get16(cdb + 7), len;

	memset(data, 0, PR_ENGINE_IN_MAX);
	*ret_len = 0;
	switch (cdb[1] & 0x1f) {
	case PR_IN_READ_KEYS:
		len = read_keys(engine, data);
		break;
	case PR_IN_READ_RESERVATION:
		len = read_reservation(engine, data);
		break;
	case PR_IN_REPORT_CAPABILITIES:
		len = report_capabilities(engine, data);
		break;
	case PR_IN_READ_FULL_STATUS:
		len = read_full_status(engine, data);
		break;
	default:
		return pr_engine_illegal(SCSI_ASC_INVALID_FIELD_IN_CDB);
	}
	*ret_len = len < allocation_len ? len : allocation_len;
	return pr_engine_good();
}
