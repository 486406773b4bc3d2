/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps for the tests of the fake LUN: each sends one command of a nexus and returns how it ended
 * as one number. Case numbers are those of the conformance checklist that the fake was written to.
 */
#ifndef PRMIG_TESTS_LUN_STEPS_H
#define PRMIG_TESTS_LUN_STEPS_H

#include "check.h"
#include "fake-lun.h"

enum { A, B, C, D };
enum { KA = 0xa, KB = 0xb, KC = 0xc, KX = 0xee };
enum { WE = 1, EA = 3, WERO = 5, EARO = 6, WEAR = 7, EAAR = 8 };
enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, RAIEK, MOVE };
enum { READ_KEYS, READ_RESERVATION, REPORT_CAPABILITIES, READ_FULL_STATUS };
enum { APTPL = 0x01, ALL_TG_PT = 0x04, SPEC_I_PT = 0x08 };

/* How a command ended: the status; CHECK CONDITION with its sense; a host status. */
#define CC(key, asc_ascq) (0x02000000u | (unsigned int)(key) << 16 | (asc_ascq))
#define HOST(status) (0x80000000u | (status))
#define OK 0x00u
#define CF 0x18u
#define BAD_CDB CC(5, 0x2400)
#define BAD_LIST CC(5, 0x2600)
#define BAD_LENGTH CC(5, 0x1a00)
#define BAD_OPCODE CC(5, 0x2000)
#define NO_RELEASE CC(5, 0x2604)
#define UA(asc_ascq) CC(6, asc_ascq)
#define UA3 UA(0x2a03)
#define UA4 UA(0x2a04)
#define UA5 UA(0x2a05)

static struct fake_lun *lun;
static struct fake_state state; /* as of the last look() */
static uint8_t data[8192];	/* data-in of the last command */
static size_t data_len;

static inline unsigned int send(unsigned int nexus, const uint8_t *cdb, size_t cdb_len,
				const void *out, size_t out_len)
{
	struct fake_result result;

	memset(data, 0x55, sizeof(data));
	fake_lun_execute(lun, nexus, cdb, cdb_len, out, out_len, data, sizeof(data), &result);
	data_len = result.data_in_len;
	if (result.host_status != 0)
		return HOST(result.host_status);
	CHECK((result.status == 0x02) == (result.sense_len != 0));
	if (result.status != 0x02)
		return result.status;
	return CC(result.sense[2] & 0xf, result.sense[12] << 8 | result.sense[13]);
}

#define SEND(nexus, ...) send(nexus, (const uint8_t[16]){__VA_ARGS__}, 16, NULL, 0)

static inline uint32_t be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static inline void be32_put(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static inline uint64_t be64(const uint8_t *bytes)
{
	return (uint64_t)be32(bytes) << 32 | be32(bytes + 4);
}

static inline void be64_put(uint8_t *bytes, uint64_t value)
{
	be32_put(bytes, (uint32_t)(value >> 32));
	be32_put(bytes + 4, (uint32_t)value);
}

static inline void look(void)
{
	fake_lun_get_state(lun, &state);
}

/* A fresh LUN, without quirks and unit attentions. */
static inline void fresh(void)
{
	fake_lun_detach(lun);
	lun = fake_lun_create(NULL, NULL);
	if (lun == NULL)
		abort();
	look();
}

/* type: SCOPE in the upper half, TYPE in the lower, as in the CDB. */
static inline unsigned int pr_out_list(unsigned int nexus, uint8_t action, uint8_t type,
				       const void *list, uint32_t list_len)
{
	uint8_t cdb[10] = {0x5f, action, type};
	unsigned int ended;

	be32_put(cdb + 5, list_len);
	ended = send(nexus, cdb, sizeof(cdb), list, list_len);
	look();
	return ended;
}

static inline unsigned int pr_out(unsigned int nexus, uint8_t action, uint8_t type, uint64_t key,
				  uint64_t service_key, uint8_t flags)
{
	uint8_t list[24] = {0};

	be64_put(list, key);
	be64_put(list + 8, service_key);
	list[20] = flags;
	return pr_out_list(nexus, action, type, list, sizeof(list));
}

static inline unsigned int pr_in(unsigned int nexus, uint8_t action, uint16_t allocation)
{
	return SEND(nexus, 0x5e, action, 0, 0, 0, 0, 0, (uint8_t)(allocation >> 8),
		    (uint8_t)allocation);
}

static inline unsigned int reg(unsigned int nexus, uint64_t key)
{
	return pr_out(nexus, REGISTER, 0, 0, key, 0);
}

/* Nexus 0 to count - 1 registered with keys KA, KB, KC, and A holding type (0: nobody). */
static inline void setup(unsigned int count, uint8_t type)
{
	fresh();
	for (unsigned int i = 0; i < count; i++)
		CHECK_INT(reg(i, KA + i), OK);
	if (type != 0)
		CHECK_INT(pr_out(A, RESERVE, type, KA, 0, 0), OK);
}

static inline unsigned int tur(unsigned int nexus)
{
	return SEND(nexus, 0x00);
}

static inline unsigned int read_block(unsigned int nexus)
{
	return SEND(nexus, 0x28, 0, 0, 0, 0, 0, 0, 0, 1);
}

static inline unsigned int write_block(unsigned int nexus)
{
	static const uint8_t block[4096] = {1, 2, 3};
	uint8_t cdb[10] = {0x2a, [8] = 1};

	return send(nexus, cdb, sizeof(cdb), block, sizeof(block));
}

/* No unit attention waits for any nexus. */
static inline bool quiet(void)
{
	look();
	for (unsigned int i = 0; i < FAKE_NEXUS_MAX; i++) {
		if (state.nexus[i].unit_attentions != 0)
			return false;
	}
	return true;
}

static inline bool held(uint8_t type, int holder)
{
	look();
	return state.held && state.type == type && state.holder == holder;
}

#endif
