/* SPDX-License-Identifier: Apache-2.0 */
/* What host tests begin with: a host in a temporary root, a fake LUN, commands for it. */
#ifndef PRMIG_TESTS_FIXTURE_H
#define PRMIG_TESTS_FIXTURE_H

#include "fake-lun.h"
#include "host.h"

#define FIXTURE_BLOCK 512

struct fixture {
	char root[64];
	struct fake_lun *lun; /* number 0 */
};

extern struct fixture fixture;

/* Starts the host with one LUN; exits the test when that fails. */
void fixture_start(void);
void fixture_stop(void);

/* A command for data at a block; buffers are the io's own, freed by io_free. */
struct host_io *io_read(uint32_t lba, uint16_t blocks);
/* Every byte of block b is pattern + b. */
struct host_io *io_write(uint32_t lba, uint16_t blocks, uint8_t pattern);
struct host_io *io_inquiry(uint16_t allocation_len, size_t buffer_len);
/* Any CDB, zero but for the opcode. */
struct host_io *io_opcode(uint8_t opcode, enum host_direction direction, size_t buffer_len);
void io_free(struct host_io *io);

/* Waits; whether it was answered, once. What is wrong is printed; the caller checks. */
bool io_answered(struct host_device *device, struct host_io *io);
/* The same, with a status. */
bool io_answered_with(struct host_device *device, struct host_io *io, uint8_t status);
/* Whether data is as io_write wrote it. */
bool io_data_is(const struct host_io *io, uint32_t lba, uint8_t pattern);

/* Executes and frees; whether it was GOOD, and the data as io_write wrote it. */
bool run_write(struct host_device *device, uint32_t lba, uint16_t blocks, uint8_t pattern);
bool run_read(struct host_device *device, uint32_t lba, uint16_t blocks, uint8_t pattern);

/* Removes it; whether nothing was wrong with its ring. */
bool device_end(struct host_device *device);

#endif
