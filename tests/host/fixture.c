/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_10 0x28
#define WRITE_10 0x2a
#define INQUIRY 0x12
#define ANSWER_TIMEOUT_MS 30000

struct fixture fixture;

void fixture_start(void)
{
	struct host_config config = {.root = fixture.root};

	strcpy(fixture.root, "/tmp/prmig-host-XXXXXX");
	fixture.lun = fake_lun_create(NULL, NULL);
	if (!mkdtemp(fixture.root) || !fixture.lun) {
		perror("fixture");
		exit(1);
	}
	host_add_lun(fixture.lun);
	if (!host_start(&config))
		exit(1);
}

void fixture_stop(void)
{
	char command[128];

	host_stop();
	fake_lun_detach(fixture.lun);
	snprintf(command, sizeof(command), "rm -rf %s", fixture.root);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", fixture.root);
}

static struct host_io *io_new(enum host_direction direction, size_t len)
{
	struct host_io *io = calloc(1, sizeof(*io));

	io->direction = len ? direction : HOST_NONE;
	io->data_len = len;
	io->data = calloc(1, len + 1);
	return io;
}

static struct host_io *io_transfer(uint8_t opcode, uint32_t lba, uint16_t blocks)
{
	struct host_io *io =
		io_new(opcode == WRITE_10 ? HOST_OUT : HOST_IN, (size_t)blocks * FIXTURE_BLOCK);

	io->cdb[0] = opcode;
	io->cdb[2] = (uint8_t)(lba >> 24);
	io->cdb[3] = (uint8_t)(lba >> 16);
	io->cdb[4] = (uint8_t)(lba >> 8);
	io->cdb[5] = (uint8_t)lba;
	io->cdb[7] = (uint8_t)(blocks >> 8);
	io->cdb[8] = (uint8_t)blocks;
	return io;
}

struct host_io *io_read(uint32_t lba, uint16_t blocks)
{
	return io_transfer(READ_10, lba, blocks);
}

struct host_io *io_write(uint32_t lba, uint16_t blocks, uint8_t pattern)
{
	struct host_io *io = io_transfer(WRITE_10, lba, blocks);
	uint16_t i;

	for (i = 0; i < blocks; i++)
		memset((uint8_t *)io->data + (size_t)i * FIXTURE_BLOCK,
		       (uint8_t)(pattern + lba + i), FIXTURE_BLOCK);
	return io;
}

struct host_io *io_inquiry(uint16_t allocation_len, size_t buffer_len)
{
	struct host_io *io = io_new(HOST_IN, buffer_len);

	io->cdb[0] = INQUIRY;
	io->cdb[3] = (uint8_t)(allocation_len >> 8);
	io->cdb[4] = (uint8_t)allocation_len;
	return io;
}

struct host_io *io_opcode(uint8_t opcode, enum host_direction direction, size_t buffer_len)
{
	struct host_io *io = io_new(direction, buffer_len);

	io->cdb[0] = opcode;
	return io;
}

void io_free(struct host_io *io)
{
	free(io->data);
	free(io);
}

bool io_answered(struct host_device *device, struct host_io *io)
{
	if (host_wait(device, io, ANSWER_TIMEOUT_MS) && io->answers == 1)
		return true;
	printf("opcode %02x: %u answers\n", io->cdb[0], io->answers);
	return false;
}

bool io_answered_with(struct host_device *device, struct host_io *io, uint8_t status)
{
	if (!io_answered(device, io))
		return false;
	if (io->status == status)
		return true;
	printf("opcode %02x: status %02x (sense %06x), not %02x\n", io->cdb[0], io->status,
	       host_sense(io), status);
	return false;
}

bool io_data_is(const struct host_io *io, uint32_t lba, uint8_t pattern)
{
	const uint8_t *data = io->data;
	size_t i;

	for (i = 0; i < io->data_len; i++)
		if (data[i] != (uint8_t)(pattern + lba + i / FIXTURE_BLOCK))
			return false;
	return true;
}

bool run_write(struct host_device *device, uint32_t lba, uint16_t blocks, uint8_t pattern)
{
	struct host_io *io = io_write(lba, blocks, pattern);

	bool good;

	host_submit(device, io);
	good = io_answered_with(device, io, HOST_GOOD);
	io_free(io);
	return good;
}

bool run_read(struct host_device *device, uint32_t lba, uint16_t blocks, uint8_t pattern)
{
	struct host_io *io = io_read(lba, blocks);

	bool good;

	host_submit(device, io);
	good = io_answered_with(device, io, HOST_GOOD) && io_data_is(io, lba, pattern);
	io_free(io);
	return good;
}

bool device_end(struct host_device *device)
{
	bool good = !host_fault(device);

	return host_remove_device(device, HOST_DRAIN) && good;
}
