/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file beside a file that is a disk: <path>.prmig. It is made once, and holds who the LUN is (its
 * NAA identifier, which must not change as long as anybody knows the disk) and whose it is (the claim
 * of a host). Links are followed first: however the disk is named, it has one.
 *
 * It is one record of LUN_FILE_BESIDE_BYTES, written in place: a sector, which a power loss leaves old or
 * new. Two locks on it (of the open file, so that they bind hosts that share the file system, and two
 * users in one process, alike): one for the moment of reading or changing it, and one that is held as long as
 * somebody uses the disk.
 *
 * What the claim means is the caller's. Nothing here is for the command path.
 */
#ifndef PRMIG_LUN_FILE_BESIDE_H
#define PRMIG_LUN_FILE_BESIDE_H

#include <stdbool.h>
#include <stdint.h>

#define LUN_FILE_BESIDE_SUFFIX ".prmig"
#define LUN_FILE_BESIDE_BYTES 512
#define LUN_FILE_NAA_BYTES 16

struct lun_file_claim {
	uint64_t token; /* 0: nobody's */
	char host[65];	/* for people */
	char machine[33];
};

/* Each reason: LUN_REASON_MAX bytes, and where the outcome is not the good one. */

/* Opens it, or makes it: with a fresh identifier, claimed by nobody. Refused where path is not
 * there, and where the file beside is damaged. A file descriptor, or negative errno. */
int lun_file_beside_open(const char *path, char *reason);

bool lun_file_beside_naa(int fd, uint8_t ret_naa[LUN_FILE_NAA_BYTES], char *reason);
bool lun_file_beside_claim(int fd, struct lun_file_claim *ret_claim, char *reason);

enum lun_file_swap {
	LUN_FILE_SWAPPED,
	LUN_FILE_DIFFERS,  /* nothing changed: the token there is another, *ret_found says whose */
	LUN_FILE_NOT_READ, /* nothing changed: it cannot be read, or is damaged */
	LUN_FILE_UNKNOWN,  /* writing failed: the old one or the new one is on the disk */
};

/* Compare and swap: where expected is the token that is there, claim takes its place, on the disk before this
 * returns. */
enum lun_file_swap lun_file_beside_swap(int fd, uint64_t expected,
					const struct lun_file_claim *claim,
					struct lun_file_claim *ret_found, char *reason);

/* Takes the lock that shows others that the disk is in use; closing fd gives it back. False: somebody holds
 * it (*ret_held), or locks cannot be had there. */
bool lun_file_beside_hold(int fd, bool *ret_held, char *reason);

#endif
