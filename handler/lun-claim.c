/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-claim.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lun-file-beside.h"
#include "paths.h"

#define PATHS_MACHINE_ID "/etc/machine-id"

static void who_we_are(uint64_t token, struct lun_file_claim *ret_claim)
{
	struct lun_file_claim claim = {.token = token};
	char machine[64];

	if (gethostname(claim.host, sizeof(claim.host) - 1) != 0)
		claim.host[0] = '\0';
	if (paths_read_attribute(machine, sizeof(machine), PATHS_MACHINE_ID))
		snprintf(claim.machine, sizeof(claim.machine), "%.32s", machine);
	*ret_claim = claim;
}

static void beside_owner(const struct lun_file_claim *found, struct lun_claim_owner *ret_owner)
{
	struct lun_file_claim own;

	who_we_are(0, &own);
	*ret_owner = (struct lun_claim_owner){
		.token = found->token,
		.this_host = own.machine[0] != '\0' && strcmp(own.machine, found->machine) == 0,
	};
	snprintf(ret_owner->who, sizeof(ret_owner->who), "host '%s' (machine id %s)", found->host,
		 found->machine[0] != '\0' ? found->machine : "unknown");
}

static enum lun_claim_result beside_swap(int fd, uint64_t from, uint64_t to,
					 struct lun_claim_owner *ret_owner, char *reason)
{
	struct lun_file_claim own, found;

	who_we_are(to, &own);
	switch (lun_file_beside_swap(fd, from, &own, &found, reason)) {
	case LUN_FILE_SWAPPED:
		return LUN_CLAIM_DONE;
	case LUN_FILE_DIFFERS:
		beside_owner(&found, ret_owner);
		return found.token == to ? LUN_CLAIM_DONE : LUN_CLAIM_DIFFERS;
	case LUN_FILE_NOT_READ:
		return LUN_CLAIM_FAILED;
	default:
		return LUN_CLAIM_UNKNOWN;
	}
}

bool lun_claim_open(struct lun_claim *claim, struct lun_claim_way *way, const char *path,
		    bool by_file, char *reason)
{
	bool can;

	if (by_file) {
		int fd = lun_file_beside_open(path, reason);

		if (fd < 0)
			return false;
		*claim = (struct lun_claim){.kind = LUN_CLAIM_BESIDE, .fd = fd};
		return true;
	}
	if (!lun_claim_reserve_open(way, &can, reason))
		return false;
	*claim = (struct lun_claim){
		.kind = can ? LUN_CLAIM_RESERVATION : LUN_CLAIM_NONE,
		.fd = -1,
	};
	return true;
}

void lun_claim_close(struct lun_claim *claim)
{
	if (claim->fd >= 0)
		close(claim->fd);
	claim->fd = -1;
}

bool lun_claim_read(const struct lun_claim *claim, struct lun_claim_way *way,
		    struct lun_claim_owner *ret_owner, char *reason)
{
	struct lun_file_claim found;

	switch (claim->kind) {
	case LUN_CLAIM_BESIDE:
		if (!lun_file_beside_claim(claim->fd, &found, reason))
			return false;
		beside_owner(&found, ret_owner);
		return true;
	case LUN_CLAIM_RESERVATION:
		return lun_claim_reserve_read(way, ret_owner, reason);
	default:
		*ret_owner = (struct lun_claim_owner){0};
		return true;
	}
}

enum lun_claim_result lun_claim_swap(const struct lun_claim *claim, struct lun_claim_way *way,
				     uint64_t from, uint64_t to, struct lun_claim_owner *ret_owner,
				     char *reason)
{
	switch (claim->kind) {
	case LUN_CLAIM_BESIDE:
		return beside_swap(claim->fd, from, to, ret_owner, reason);
	case LUN_CLAIM_RESERVATION:
		return lun_claim_reserve_swap(way, from, to, ret_owner, reason);
	default:
		return LUN_CLAIM_DONE;
	}
}

enum lun_claim_result lun_claim_join(const struct lun_claim *claim, struct lun_claim_way *way,
				     uint64_t token, struct lun_claim_owner *ret_owner,
				     char *reason)
{
	if (claim->kind == LUN_CLAIM_RESERVATION)
		return lun_claim_reserve_join(way, token, ret_owner, reason);
	if (claim->kind == LUN_CLAIM_NONE)
		return LUN_CLAIM_DONE;
	if (!lun_claim_read(claim, way, ret_owner, reason))
		return LUN_CLAIM_FAILED;
	return token != 0 && ret_owner->token == token ? LUN_CLAIM_DONE : LUN_CLAIM_DIFFERS;
}
