/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PERSISTENT RESERVE IN and OUT parameter data: parse, build, mask. Pure functions over bytes
 * (SPC-4). Lengths first, then bytes: nothing is read beyond the length given.
 */
#ifndef PRMIG_PR_H
#define PRMIG_PR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi.h"

enum pr_out_action {
	PR_OUT_REGISTER = 0,
	PR_OUT_RESERVE = 1,
	PR_OUT_RELEASE = 2,
	PR_OUT_CLEAR = 3,
	PR_OUT_PREEMPT = 4,
	PR_OUT_PREEMPT_AND_ABORT = 5,
	PR_OUT_REGISTER_AND_IGNORE_EXISTING_KEY = 6,
	PR_OUT_REGISTER_AND_MOVE = 7,
	PR_OUT_REPLACE_LOST_RESERVATION = 8,
};

enum pr_in_action {
	PR_IN_READ_KEYS = 0,
	PR_IN_READ_RESERVATION = 1,
	PR_IN_REPORT_CAPABILITIES = 2,
	PR_IN_READ_FULL_STATUS = 3
};

enum pr_type {
	PR_TYPE_NONE = 0,
	PR_TYPE_WRITE_EXCLUSIVE = 1,
	PR_TYPE_EXCLUSIVE_ACCESS = 3,
	PR_TYPE_WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5,
	PR_TYPE_EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 6,
	PR_TYPE_WRITE_EXCLUSIVE_ALL_REGISTRANTS = 7,
	PR_TYPE_EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 8,
};

#define PR_CDB_LEN 10
#define PR_OUT_LIST_LEN 24	     /* the basic parameter list */
#define PR_OUT_LIST_MAX 8192	     /* the longest that prmig forwards */
#define PR_TRANSPORT_ID_MAX 248	     /* the longest TransportID: an iSCSI port's, SPC-4 7.6.4.6 */
#define PR_TRANSPORT_ID_TEXT_MAX 760 /* as text, percent-encoded; with NUL */

/* A PERSISTENT RESERVE OUT command: its CDB and, where it has the 24 bytes, its parameter list. */
struct pr_out {
	enum pr_out_action action;
	uint8_t scope;
	uint8_t type;
	uint64_t key;	  /* RESERVATION KEY */
	uint64_t new_key; /* SERVICE ACTION RESERVATION KEY */
	bool aptpl;	  /* byte 20 (byte 17 of REGISTER AND MOVE) */
	bool all_tg_pt;
	bool spec_i_pt;
	uint32_t list_len; /* PARAMETER LIST LENGTH of the CDB */
};

/*
 * cdb: PR_CDB_LEN bytes. list: what arrived in the data-out buffer, list_len bytes of it.
 * False: the parameter list is shorter than 24 bytes (then action, scope, type and list_len alone
 * are set).
 */
bool pr_out_parse(const uint8_t *cdb, const uint8_t *list, size_t list_len, struct pr_out *ret_out);
/* The basic 24-byte form (every action but REGISTER AND MOVE). cdb: PR_CDB_LEN, list:
 * PR_OUT_LIST_LEN bytes. */
void pr_out_build(const struct pr_out *out, uint8_t *cdb, uint8_t *list);

/* REGISTER AND MOVE: the reservation to another port, which is registered with new_key. */
struct pr_move {
	uint64_t key;
	uint64_t new_key;
	bool unregister; /* UNREG: the sender */
	bool aptpl;
	uint16_t relative_target_port;
	const uint8_t *transport_id;
	uint32_t transport_id_len; /* at most PR_TRANSPORT_ID_MAX */
};
/* cdb: PR_CDB_LEN, list: PR_OUT_LIST_LEN + PR_TRANSPORT_ID_MAX bytes; returns the list's length. */
size_t pr_move_build(const struct pr_move *move, uint8_t *cdb, uint8_t *list);

/* cdb: PR_CDB_LEN bytes. */
void pr_in_build(enum pr_in_action action, uint16_t allocation_len, uint8_t *cdb);

/* READ KEYS: the generation, and how often key is listed (0 key: 0). */
struct pr_keys {
	uint32_t generation;
	uint32_t count;	   /* all registrations */
	uint32_t matching; /* registrations with the key asked for */
	bool truncated; /* the LUN has more than the buffer held: ask again with additional_len + 8
			 */
	uint32_t additional_len;
};
bool pr_keys_parse(const uint8_t *data, size_t len, uint64_t key, struct pr_keys *ret_keys);

struct pr_reservation {
	uint32_t generation;
	bool held;
	uint64_t key; /* 0 for types 7 and 8 */
	uint8_t scope;
	uint8_t type; /* PR_TYPE_NONE when not held */
};
bool pr_reservation_parse(const uint8_t *data, size_t len, struct pr_reservation *ret_reservation);

struct pr_capabilities {
	bool ptpl_c, ptpl_a, sip_c, atp_c, crh, rlr_c, tmv;
	uint16_t type_mask; /* bytes 4 and 5, big-endian */
};
bool pr_capabilities_parse(const uint8_t *data, size_t len,
			   struct pr_capabilities *ret_capabilities);
/* Clears SIP_C and ATP_C, where len reaches them (design section 6). */
void pr_capabilities_mask(uint8_t *data, size_t len);

/* READ FULL STATUS, one descriptor after the other. */
struct pr_full_status {
	uint64_t key;
	bool all_tg_pt;
	bool holder;
	uint8_t scope;
	uint8_t type;
	uint16_t relative_target_port;
	const uint8_t *transport_id; /* inside data */
	uint32_t transport_id_len;
};
/*
 * Walks the descriptors: *offset 0 at first. True: ret is set and *offset moved on; false: end, or
 * malformed (*ret_malformed). A list cut short by the allocation length is malformed.
 */
bool pr_full_status_next(const uint8_t *data, size_t len, size_t *offset,
			 struct pr_full_status *ret_status, bool *ret_malformed);
bool pr_full_status_generation(const uint8_t *data, size_t len, uint32_t *ret_generation);

/*
 * TransportID as text, as in properties and state lines: "iscsi:iqn...%2Ci%2C0x00023d000001",
 * "sas:...", "fc:...", "srp:...", else "id:" and hex. Encoded as scsi_vpd_designator's text is;
 * iSCSI names in lower case, so that equal ports have equal text. ret: PR_TRANSPORT_ID_TEXT_MAX
 * bytes. False: malformed (an iSCSI port name without ",i,0x", as old LIO has it, becomes "id:").
 */
bool pr_transport_id_text(const uint8_t *id, size_t len, char *ret);

const char *pr_type_name(
	uint8_t type); /* "Write Exclusive, registrants only"; "none" for 0; "reserved" otherwise */
bool pr_type_valid(uint8_t type);
bool pr_type_all_registrants(uint8_t type); /* 7 and 8 */
const char *pr_out_action_name(uint8_t action);

/*
 * What prmig refuses of a guest's PERSISTENT RESERVE OUT while migrate-pr is on (design section 6),
 * and what no LUN should be shown: 0 to forward it; else the ASC/ASCQ of an ILLEGAL REQUEST.
 * REGISTER and REGISTER AND IGNORE EXISTING KEY with SPEC_I_PT or ALL_TG_PT: INVALID FIELD IN
 * PARAMETER LIST; REGISTER AND MOVE: INVALID FIELD IN CDB. buffer_len: bytes of data-out that
 * arrived; a PARAMETER LIST LENGTH that lies (more than arrived, or more than PR_OUT_LIST_MAX):
 * PARAMETER LIST LENGTH ERROR (also with migrate_pr false).
 */
uint16_t pr_out_refusal(const uint8_t *cdb, const uint8_t *list, size_t buffer_len,
			bool migrate_pr);

#endif
