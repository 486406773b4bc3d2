/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose an emulated LUN is: a token that all hosts which reach the LUN see, and change by compare and swap alone. For lun-emulate*.c.
 *
 * A file has it in the file beside it. A SCSI LUN has it in its own reservation: the token is the key of a reservation Write Exclusive,
 * Registrants Only, by which the LUN itself keeps other hosts from writing, and lets them read. Of this type one nexus holds, so that
 * RESERVE tells which of two hosts was first, READ RESERVATION shows the token, and the GOOD of PREEMPT (new, old) is the swap; every nexus
 * of this host registers the token. (Of the all registrants types every registrant would hold, and two hosts could not tell.) A LUN
 * that has neither cannot be claimed.
 *
 * All block for as long as a few commands to the LUN take; one thread at a time for one claim.
 */
#ifndef PRMIG_LUN_CLAIM_H
#define PRMIG_LUN_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "lun.h"
#include "record.h"

enum lun_claim_kind { LUN_CLAIM_NONE, LUN_CLAIM_BESIDE, LUN_CLAIM_RESERVATION };

struct lun_claim {
	enum lun_claim_kind kind;
	int fd; /* beside; -1: not open */
};

struct lun_claim_owner {
	uint64_t token; /* 0: nobody has it */
	bool foreign;	/* somebody uses the LUN without a claim */
	bool this_host; /* where it can be told: claimed by this host, whatever its token */
	char who[200];	/* for people, where token is not 0 or it is foreign */
};

/* The nexus by which the LUN is asked. */
struct lun_claim_way {
	struct lun *lun;
	/* The host that has it is not asked: nothing that it has sent may execute after the swap. (Else it has sent nothing, and PREEMPT AND
	 * ABORT, which hangs a LUN of LIO's by tcm_loop, is not needed.) */
	bool abort;
	/* Those that met the commands and are the guest's: not those that the claim itself makes. */
	struct unit_attentions unit_attentions;
};

enum lun_claim_result {
	LUN_CLAIM_DONE,
	LUN_CLAIM_DIFFERS, /* nothing has changed: another token is there */
	LUN_CLAIM_FAILED,  /* nothing has changed, for certain */
	LUN_CLAIM_UNKNOWN,
};

/* What kind of claim the LUN has: path is a file's (by_file), or way asks. False: reason. */
bool lun_claim_open(struct lun_claim *claim, struct lun_claim_way *way, const char *path,
		    bool by_file, char *reason);
void lun_claim_close(struct lun_claim *claim);

/* False: it cannot be told now. Of kind NONE nobody has it. */
bool lun_claim_read(const struct lun_claim *claim, struct lun_claim_way *way,
		    struct lun_claim_owner *ret_owner, char *reason);
/* from 0: only where nobody has it. *ret_owner with DIFFERS. Of kind NONE: always done. */
enum lun_claim_result lun_claim_swap(const struct lun_claim *claim, struct lun_claim_way *way,
				     uint64_t from, uint64_t to, struct lun_claim_owner *ret_owner,
				     char *reason);
/* The host has it by token: this nexus may use it, too. FAILED and UNKNOWN: it may not yet. */
enum lun_claim_result lun_claim_join(const struct lun_claim *claim, struct lun_claim_way *way,
				     uint64_t token, struct lun_claim_owner *ret_owner,
				     char *reason);

/* lun-claim-reserve.c: the same for the kind RESERVATION. */
/* *ret_can: it has such reservations. */
bool lun_claim_reserve_open(struct lun_claim_way *way, bool *ret_can, char *reason);
bool lun_claim_reserve_read(struct lun_claim_way *way, struct lun_claim_owner *ret_owner,
			    char *reason);
enum lun_claim_result lun_claim_reserve_swap(struct lun_claim_way *way, uint64_t from, uint64_t to,
					     struct lun_claim_owner *ret_owner, char *reason);
enum lun_claim_result lun_claim_reserve_join(struct lun_claim_way *way, uint64_t token,
					     struct lun_claim_owner *ret_owner, char *reason);

#endif
