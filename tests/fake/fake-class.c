/* SPDX-License-Identifier: Apache-2.0 */
/* Which commands conflict with a reservation: SPC-4 table 65, SBC-3 table 13, SPC-2 5.5. */
#include "fake-internal.h"

#define ANY_ACTION (-1)

enum class {
	CLASS_U, /* allowed by every reservation */
	CLASS_R, /* allowed by write exclusive */
	CLASS_W,
	CLASS_OWN, /* PERSISTENT RESERVE OUT, RESERVE, RELEASE: decided with them */
};

static const struct {
	uint8_t opcode;
	int8_t action;
	uint8_t class;
	bool spc2; /* allowed while another nexus holds an SPC-2 reservation */
} classes[] = {
	{0x00, ANY_ACTION, CLASS_U, false}, /* TEST UNIT READY */
	{0x03, ANY_ACTION, CLASS_U, true},  /* REQUEST SENSE */
	{0x08, ANY_ACTION, CLASS_R, false}, /* READ(6) */
	{0x12, ANY_ACTION, CLASS_U, true},  /* INQUIRY */
	{0x16, ANY_ACTION, CLASS_OWN, true},  {0x17, ANY_ACTION, CLASS_OWN, true},
	{0x1a, ANY_ACTION, CLASS_R, false}, /* MODE SENSE(6) */
	{0x1c, ANY_ACTION, CLASS_R, false}, /* RECEIVE DIAGNOSTIC RESULTS */
	{0x25, ANY_ACTION, CLASS_U, true},  /* READ CAPACITY(10) */
	{0x28, ANY_ACTION, CLASS_R, false}, /* READ(10) */
	{0x2f, ANY_ACTION, CLASS_R, false}, /* VERIFY(10) */
	{0x34, ANY_ACTION, CLASS_R, false}, /* PRE-FETCH(10) */
	{0x37, ANY_ACTION, CLASS_R, false}, /* READ DEFECT DATA(10) */
	{0x3c, ANY_ACTION, CLASS_R, false}, /* READ BUFFER(10) */
	{0x4d, ANY_ACTION, CLASS_U, true},  /* LOG SENSE */
	{0x56, ANY_ACTION, CLASS_OWN, true},  {0x57, ANY_ACTION, CLASS_OWN, true},
	{0x5a, ANY_ACTION, CLASS_R, false}, /* MODE SENSE(10) */
	{0x5e, ANY_ACTION, CLASS_U, false}, /* PERSISTENT RESERVE IN */
	{0x5f, ANY_ACTION, CLASS_OWN, false}, {0x83, 0x10, CLASS_R, false}, /* POPULATE TOKEN */
	{0x84, ANY_ACTION, CLASS_U, false}, /* RECEIVE COPY RESULTS and its kin */
	{0x86, ANY_ACTION, CLASS_U, true},  /* ACCESS CONTROL IN */
	{0x87, ANY_ACTION, CLASS_U, true},  /* ACCESS CONTROL OUT */
	{0x88, ANY_ACTION, CLASS_R, false}, /* READ(16) */
	{0x8c, ANY_ACTION, CLASS_R, false}, /* READ ATTRIBUTE */
	{0x8f, ANY_ACTION, CLASS_R, false}, /* VERIFY(16) */
	{0x90, ANY_ACTION, CLASS_R, false}, /* PRE-FETCH(16) */
	{0x9b, ANY_ACTION, CLASS_R, false}, /* READ BUFFER(16) */
	{0x9e, 0x10, CLASS_U, true},	    /* READ CAPACITY(16) */
	{0x9e, 0x12, CLASS_R, false},	    /* GET LBA STATUS */
	{0x9e, 0x13, CLASS_U, false},	    /* REPORT REFERRALS */
	{0x9e, 0x16, CLASS_R, false},	    /* GET STREAM STATUS */
	{0x9e, 0x17, CLASS_R, false},	    /* GET PHYSICAL ELEMENT STATUS */
	{0xa0, ANY_ACTION, CLASS_U, true},  /* REPORT LUNS */
	{0xa2, ANY_ACTION, CLASS_R, false}, /* SECURITY PROTOCOL IN */
	{0xa3, 0x05, CLASS_U, false},	    /* REPORT IDENTIFYING INFORMATION */
	{0xa3, 0x0a, CLASS_U, true},	    /* REPORT TARGET PORT GROUPS */
	{0xa3, 0x0b, CLASS_U, false},	    /* REPORT ALIASES */
	{0xa3, 0x0c, CLASS_R, false},	    /* REPORT SUPPORTED OPERATION CODES */
	{0xa3, 0x0d, CLASS_R, false},	    /* REPORT SUPPORTED TMFs */
	{0xa3, 0x0e, CLASS_U, false},	    /* REPORT PRIORITY */
	{0xa3, 0x0f, CLASS_U, false},	    /* REPORT TIMESTAMP */
	{0xa3, 0x10, CLASS_R, false},	    /* MANAGEMENT PROTOCOL IN */
	{0xa8, ANY_ACTION, CLASS_R, false}, /* READ(12) */
	{0xab, 0x01, CLASS_U, false},	    /* READ MEDIA SERIAL NUMBER */
	{0xaf, ANY_ACTION, CLASS_R, false}, /* VERIFY(12) */
	{0xb7, ANY_ACTION, CLASS_R, false}, /* READ DEFECT DATA(12) */
};

static enum class cdb_class(const struct fake_exec *exec, bool *ret_spc2) {
	const uint8_t *cdb = exec->cdb;

	*ret_spc2 = true;
	if (cdb[0] == 0x1b && exec->cdb_len >= 6 &&
	    (cdb[4] & 0xf1) ==
		    0x01) return CLASS_U; /* START STOP UNIT, START 1 and POWER CONDITION 0 */
	if (cdb[0] == 0x1e && exec->cdb_len >= 6 &&
	    (cdb[4] & 0x03) == 0) return CLASS_U; /* PREVENT ALLOW MEDIUM REMOVAL, PREVENT 0 */
	if (cdb[0] == 0x7f && exec->cdb_len >= 10 &&
	    get16(cdb + 8) == 0x0009){ *ret_spc2 = false; /* READ(32) */
				       return CLASS_R;}
for (unsigned int i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
{
	if (classes[i].opcode != cdb[0] ||
	    (classes[i].action != ANY_ACTION && classes[i].action != (cdb[1] & 0x1f)))
		continue;
	*ret_spc2 = classes[i].spc2;
	return classes[i].class;
}
*ret_spc2 = false;
return CLASS_W;
}

bool fake_cdb_conflicts(const struct fake_exec *exec)
{
	const struct fake_quirks *quirks = &exec->lun->quirks;
	const struct fake_pr *pr = &exec->pr;
	bool spc2, write_exclusive;
	enum class class = cdb_class(exec, &spc2);
	uint8_t opcode = exec->cdb[0];

	if (pr->reserve_holder >= 0) {
		if (opcode == 0x5e || opcode == 0x5f)
			return true; /* for the holder, too */
		return pr->reserve_holder != (int)exec->nexus && !spc2;
	}
	if (!pr->held || class == CLASS_OWN || fake_is_holder(pr, exec->nexus))
		return false;
	if (pr->type != 1 && pr->type != 3 && pr->key[exec->nexus] != 0)
		return false;
	write_exclusive = pr->type == 1 || pr->type == 5 || pr->type == 7;
	if (class == CLASS_U)
		return quirks->capacity_conflicts && !write_exclusive && opcode == 0x9e;
	return class == CLASS_W || !write_exclusive;
}

/* RESERVE and RELEASE, 6 and 10 (SPC-2; SPC-4 5.9.3 for CRH). */
void fake_reserve_release(struct fake_exec *exec)
{
	struct fake_pr *pr = &exec->pr;
	const uint8_t *cdb = exec->cdb;
	bool reserve = cdb[0] == 0x16 || cdb[0] == 0x56;
	bool crh = !exec->lun->quirks.no_crh && !exec->lun->quirks.no_reserve_release;

	/* Third party, LONGID, extents. */
	if ((cdb[1] & 0x1f) != 0) {
		fake_illegal(exec, ASC_INVALID_FIELD_IN_CDB);
		return;
	}
	if (fake_registrations(pr) > 0) {
		bool passes = crh && pr->held &&
			      (fake_is_holder(pr, exec->nexus) ||
			       (pr->type >= 5 && pr->key[exec->nexus] != 0));

		if (!passes)
			fake_conflict(exec);
		return;
	}
	if (reserve && pr->reserve_holder >= 0 && pr->reserve_holder != (int)exec->nexus)
		fake_conflict(exec);
	else if (reserve)
		pr->reserve_holder = (int8_t)exec->nexus;
	else if (pr->reserve_holder == (int)exec->nexus)
		pr->reserve_holder = -1;
}
