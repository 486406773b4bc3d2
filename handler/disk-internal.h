/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by disk*.c; nobody else includes it. */
#ifndef PRMIG_DISK_INTERNAL_H
#define PRMIG_DISK_INTERNAL_H

#include "disk.h"

enum disk_verb {
	DISK_DO_TEST_UNIT_READY,
	DISK_DO_REQUEST_SENSE,
	DISK_DO_INQUIRY,
	DISK_DO_MODE_SENSE,
	DISK_DO_MODE_SELECT,
	DISK_DO_START_STOP,
	DISK_DO_READ_CAPACITY_10,
	DISK_DO_READ_CAPACITY_16,
	DISK_DO_READ,
	DISK_DO_WRITE,
	DISK_DO_VERIFY,
	DISK_DO_SYNCHRONIZE_CACHE,
	DISK_DO_WRITE_SAME,
	DISK_DO_UNMAP,
	DISK_DO_COMPARE_AND_WRITE,
	DISK_DO_GET_LBA_STATUS,
	DISK_DO_REPORT_LUNS,
	DISK_DO_REPORT_OPERATION_CODES,
};

/* A command. usage: the bits of its CDB that are looked at, as CDB USAGE DATA has them: the operation
 * code and the service action as they are. */
struct disk_row {
	uint8_t len;
	bool has_service_action;
	uint8_t verb; /* enum disk_verb */
	uint8_t usage[DISK_CDB_MAX];
};

extern const struct disk_row disk_rows[];
extern const size_t disk_row_count;

/* The command is one that this disk answers. */
bool disk_row_offered(const struct disk *disk, const struct disk_row *row);
/* NULL: none. *ret_has_service_actions: the operation code has some. */
const struct disk_row *disk_row_find(const struct disk *disk, uint8_t operation_code,
				     uint16_t service_action, bool *ret_has_service_actions);

/* The answer is len bytes of command->reply, as far as allocation_len goes. */
void disk_reply(struct disk_command *command, size_t len);

void disk_inquiry(const struct disk *disk, const uint8_t *cdb, struct disk_command *command);
void disk_mode_sense(const struct disk *disk, const uint8_t *cdb, struct disk_command *command);
void disk_mode_select(const uint8_t *cdb, struct disk_command *command);
void disk_mode_list(const struct disk *disk, const uint8_t *cdb, const uint8_t *list, size_t len,
		    struct disk_command *command);
void disk_report_operation_codes(const struct disk *disk, const uint8_t *cdb,
				 struct disk_command *command);
void disk_capacity_10(const struct disk *disk, const uint8_t *cdb, struct disk_command *command);
void disk_capacity_16(const struct disk *disk, const uint8_t *cdb, struct disk_command *command);
void disk_lba_status(const struct disk *disk, const uint8_t *cdb, struct disk_command *command);

#endif
