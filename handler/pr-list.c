/* SPDX-License-Identifier: Apache-2.0 */
#include "pr.h"

#include <string.h>

#include "be.h"

/* PERSISTENT RESERVE OUT parameter list, SPC-4 6.16.3; byte 17 in REGISTER AND MOVE's, 6.16.4. */
#define LIST_KEY 0
#define LIST_SERVICE_ACTION_KEY 8
#define LIST_FLAGS 20
#define LIST_FLAG_APTPL 0x01
#define LIST_FLAG_ALL_TG_PT 0x04
#define LIST_FLAG_SPEC_I_PT 0x08
#define LIST_MOVE_FLAGS 17
#define LIST_MOVE_FLAG_APTPL 0x01
#define LIST_MOVE_FLAG_UNREG 0x02
#define LIST_MOVE_RELATIVE_TARGET_PORT 18
#define LIST_MOVE_TRANSPORT_ID_LEN 20

static uint8_t service_action(const uint8_t *cdb)
{
	return cdb[1] & 0x1f;
}

static uint32_t parameter_list_len(const uint8_t *cdb)
{
	return be_get32(cdb + 5);
}

bool pr_out_parse(const uint8_t *cdb, const uint8_t *list, size_t list_len, struct pr_out *ret_out)
{
	*ret_out = (struct pr_out){
		.action = (enum pr_out_action)service_action(cdb),
		.scope = cdb[2] >> 4,
		.type = cdb[2] & 0x0f,
		.list_len = parameter_list_len(cdb),
	};
	if (list_len < PR_OUT_LIST_LEN || ret_out->list_len < PR_OUT_LIST_LEN)
		return false;

	ret_out->key = be_get64(list + LIST_KEY);
	ret_out->new_key = be_get64(list + LIST_SERVICE_ACTION_KEY);
	if (ret_out->action == PR_OUT_REGISTER_AND_MOVE) {
		ret_out->aptpl = list[LIST_MOVE_FLAGS] & LIST_MOVE_FLAG_APTPL;
	} else {
		ret_out->aptpl = list[LIST_FLAGS] & LIST_FLAG_APTPL;
		ret_out->all_tg_pt = list[LIST_FLAGS] & LIST_FLAG_ALL_TG_PT;
		ret_out->spec_i_pt = list[LIST_FLAGS] & LIST_FLAG_SPEC_I_PT;
	}
	return true;
}

void pr_out_build(const struct pr_out *out, uint8_t *cdb, uint8_t *list)
{
	uint8_t flags = 0;

	memset(cdb, 0, PR_CDB_LEN);
	cdb[0] = SCSI_PR_OUT;
	cdb[1] = (uint8_t)out->action & 0x1f;
	cdb[2] = (uint8_t)(out->scope << 4 | (out->type & 0x0f));
	be_put32(cdb + 5, PR_OUT_LIST_LEN);

	if (out->aptpl)
		flags |= LIST_FLAG_APTPL;
	if (out->all_tg_pt)
		flags |= LIST_FLAG_ALL_TG_PT;
	if (out->spec_i_pt)
		flags |= LIST_FLAG_SPEC_I_PT;
	memset(list, 0, PR_OUT_LIST_LEN);
	be_put64(list + LIST_KEY, out->key);
	be_put64(list + LIST_SERVICE_ACTION_KEY, out->new_key);
	list[LIST_FLAGS] = flags;
}

size_t pr_move_build(const struct pr_move *move, uint8_t *cdb, uint8_t *list)
{
	size_t len = PR_OUT_LIST_LEN + move->transport_id_len;

	memset(cdb, 0, PR_CDB_LEN);
	cdb[0] = SCSI_PR_OUT;
	cdb[1] = PR_OUT_REGISTER_AND_MOVE;
	be_put32(cdb + 5, (uint32_t)len);
	memset(list, 0, PR_OUT_LIST_LEN);
	be_put64(list + LIST_KEY, move->key);
	be_put64(list + LIST_SERVICE_ACTION_KEY, move->new_key);
	list[LIST_MOVE_FLAGS] = (uint8_t)((move->unregister ? LIST_MOVE_FLAG_UNREG : 0) |
					  (move->aptpl ? LIST_MOVE_FLAG_APTPL : 0));
	be_put16(list + LIST_MOVE_RELATIVE_TARGET_PORT, move->relative_target_port);
	be_put32(list + LIST_MOVE_TRANSPORT_ID_LEN, move->transport_id_len);
	memcpy(list + PR_OUT_LIST_LEN, move->transport_id, move->transport_id_len);
	return len;
}

void pr_in_build(enum pr_in_action action, uint16_t allocation_len, uint8_t *cdb)
{
	memset(cdb, 0, PR_CDB_LEN);
	cdb[0] = SCSI_PR_IN;
	cdb[1] = (uint8_t)action & 0x1f;
	be_put16(cdb + 7, allocation_len);
}

uint16_t pr_out_refusal(const uint8_t *cdb, const uint8_t *list, size_t buffer_len, bool migrate_pr)
{
	uint8_t action = service_action(cdb);
	uint32_t list_len = parameter_list_len(cdb);

	if (migrate_pr && action == PR_OUT_REGISTER_AND_MOVE)
		return SCSI_ASC_INVALID_FIELD_IN_CDB;
	if (list_len > PR_OUT_LIST_MAX || list_len > buffer_len)
		return SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR;
	if (migrate_pr &&
	    (action == PR_OUT_REGISTER || action == PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY) &&
	    list_len > LIST_FLAGS &&
	    (list[LIST_FLAGS] & (LIST_FLAG_ALL_TG_PT | LIST_FLAG_SPEC_I_PT)))
		return SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST;
	return 0;
}

const char *pr_type_name(uint8_t type)
{
	switch (type) {
	case PR_TYPE_NONE:
		return "none";
	case PR_TYPE_WRITE_EXCLUSIVE:
		return "Write Exclusive";
	case PR_TYPE_EXCLUSIVE_ACCESS:
		return "Exclusive Access";
	case PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY:
		return "Write Exclusive, registrants only";
	case PR_TYPE_EXCLUSIVE_ACCESS_REGISTRANTS_ONLY:
		return "Exclusive Access, registrants only";
	case PR_TYPE_WRITE_EXCLUSIVE_ALL_REGISTRANTS:
		return "Write Exclusive, all registrants";
	case PR_TYPE_EXCLUSIVE_ACCESS_ALL_REGISTRANTS:
		return "Exclusive Access, all registrants";
	default:
		return "reserved";
	}
}

bool pr_type_valid(uint8_t type)
{
	return type == PR_TYPE_WRITE_EXCLUSIVE || type == PR_TYPE_EXCLUSIVE_ACCESS ||
	       (type >= PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY &&
		type <= PR_TYPE_EXCLUSIVE_ACCESS_ALL_REGISTRANTS);
}

bool pr_type_all_registrants(uint8_t type)
{
	return type == PR_TYPE_WRITE_EXCLUSIVE_ALL_REGISTRANTS ||
	       type == PR_TYPE_EXCLUSIVE_ACCESS_ALL_REGISTRANTS;
}

const char *pr_out_action_name(uint8_t action)
{
	static const char *const names[] = {
		[PR_OUT_REGISTER] = "REGISTER",
		[PR_OUT_RESERVE] = "RESERVE",
		[PR_OUT_RELEASE] = "RELEASE",
		[PR_OUT_CLEAR] = "CLEAR",
		[PR_OUT_PREEMPT] = "PREEMPT",
		[PR_OUT_PREEMPT_AND_ABORT] = "PREEMPT AND ABORT",
		[PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY] = "REGISTER AND IGNORE EXISTING KEY",
		[PR_OUT_REGISTER_AND_MOVE] = "REGISTER AND MOVE",
		[PR_OUT_REPLACE_LOST_RESERVATION] = "REPLACE LOST RESERVATION",
	};

	return action < sizeof(names) / sizeof(names[0]) ? names[action] : "reserved";
}
