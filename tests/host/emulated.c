/* SPDX-License-Identifier: Apache-2.0 */
#include "emulated.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define PR_IN 0x5e
#define PR_OUT 0x5f
#define TEST_UNIT_READY 0x00
#define READ_10 0x28
#define WRITE_10 0x2a
#define BLOCK 512
#define PROPERTY_TIMEOUT_MS 10000

struct emulated emulated;

/* ---- machines ---- */

static void put_file(const char *root, const char *directory, const char *name, const char *text)
{
	char path[256], command[320];
	FILE *file;

	snprintf(command, sizeof(command), "mkdir -p '%s%s'", root, directory);
	if (system(command) != 0)
		exit(1);
	snprintf(path, sizeof(path), "%s%s/%s", root, directory, name);
	file = fopen(path, "w");
	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		exit(1);
}

static void put_boot_id(unsigned int host)
{
	static unsigned int boots;
	char text[64];

	snprintf(text, sizeof(text), "00000000-0000-0000-0000-%012u\n", ++boots);
	put_file(machine_root(emulated.machine[host]), "/proc/sys/kernel/random", "boot_id", text);
}

static bool new_machine(unsigned int host)
{
	const char *paths[] = {emulated.lun_path};
	char text[64];

	emulated.machine[host] = machine_new(paths, 1);
	if (emulated.machine[host] == NULL)
		return false;
	snprintf(text, sizeof(text), "%032u\n", host + 1);
	put_file(machine_root(emulated.machine[host]), "/etc", "machine-id", text);
	put_boot_id(host);
	return machine_boot(emulated.machine[host]);
}

static bool new_disk(void)
{
	static unsigned int disks;
	int fd;

	snprintf(emulated.file, sizeof(emulated.file), "%s/disk%u", emulated.directory, ++disks);
	snprintf(emulated.cfg, sizeof(emulated.cfg), "prmig/%s", emulated.file);
	fd = open(emulated.file, O_CREAT | O_RDWR, 0600);
	if (fd < 0 || ftruncate(fd, EMULATED_FILE_BYTES) != 0 || close(fd) != 0)
		return false;
	snprintf(emulated.lun_path, sizeof(emulated.lun_path), "%s/lun%u", emulated.directory,
		 disks);
	emulated.lun = fake_lun_create(emulated.lun_path, NULL);
	return emulated.lun != NULL;
}

void emulated_start(void)
{
	strcpy(emulated.directory, "/tmp/prmig-emulated-XXXXXX");
	if (mkdtemp(emulated.directory) == NULL || !new_disk()) {
		perror("emulated");
		exit(1);
	}
	for (unsigned int host = 0; host < EMULATED_HOSTS; host++)
		if (!new_machine(host))
			exit(1);
}

static bool stop_machines(void)
{
	bool good = true;

	for (unsigned int host = 0; host < EMULATED_HOSTS; host++) {
		good = machine_stop(emulated.machine[host]) && good;
		machine_free(emulated.machine[host]);
	}
	fake_lun_detach(emulated.lun);
	return good;
}

bool emulated_stop(void)
{
	bool good = stop_machines();
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", emulated.directory);
	return system(command) == 0 && good;
}

bool emulated_reset(void)
{
	bool good = stop_machines();

	return new_disk() && new_machine(0) && new_machine(1) && good;
}

bool emulated_restart(unsigned int host)
{
	machine_kill(emulated.machine[host]);
	return machine_boot(emulated.machine[host]);
}

bool emulated_reboot(unsigned int host)
{
	machine_kill(emulated.machine[host]);
	put_boot_id(host);
	return machine_boot(emulated.machine[host]);
}

struct add {
	char name[64];
	char cfgstring[256];
	char reason[HOST_REASON_MAX];
	bool added;
};

/* In the machine. */
static void add_device(void *arg)
{
	struct add *add = arg;
	struct host_device_config config = {.name = add->name, .cfgstring = add->cfgstring};

	add->added = host_add_device(&config, add->reason) != NULL;
}

bool emulated_try(unsigned int host, const char *name, const char *cfgstring, char *reason)
{
	struct add add = {.added = false};

	snprintf(add.name, sizeof(add.name), "%s", name);
	snprintf(add.cfgstring, sizeof(add.cfgstring), "%s", cfgstring);
	if (!machine_call(emulated.machine[host], add_device, &add, sizeof(add)))
		return false;
	memcpy(reason, add.reason, sizeof(add.reason));
	return add.added;
}

bool emulated_add(unsigned int host, const char *name, const char *options)
{
	char cfgstring[256];

	snprintf(cfgstring, sizeof(cfgstring), "%s%s", emulated.cfg, options);
	return machine_add(emulated.machine[host], name, cfgstring);
}

/* ---- commands ---- */

static uint8_t execute(unsigned int host, struct machine_io *io, const char *name,
		       uint32_t *ret_sense)
{
	bool answered;

	snprintf(io->name, sizeof(io->name), "%s", name);
	answered = machine_execute(emulated.machine[host], io);
	if (ret_sense != NULL)
		*ret_sense = answered && io->status == HOST_CHECK_CONDITION ? io->sense : 0;
	return answered ? io->status : EMULATED_UNANSWERED;
}

static void put64(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | at[i];
	return value;
}

uint8_t emulated_pr(unsigned int host, const char *name, enum emulated_action action, uint8_t type,
		    uint64_t key, uint64_t new_key, uint32_t *ret_sense)
{
	struct machine_io io = {
		.cdb = {PR_OUT, (uint8_t)action, type, [8] = 24},
		.direction = HOST_OUT,
		.data_len = 24,
	};

	put64(io.data, key);
	put64(io.data + 8, new_key);
	return execute(host, &io, name, ret_sense);
}

uint8_t emulated_register_aptpl(unsigned int host, const char *name, uint64_t key)
{
	struct machine_io io = {
		.cdb = {PR_OUT, [8] = 24},
		.direction = HOST_OUT,
		.data_len = 24,
		.data = {[20] = 0x01},
	};

	put64(io.data + 8, key);
	return execute(host, &io, name, NULL);
}

static uint8_t transfer(unsigned int host, const char *name, uint8_t opcode, uint32_t *ret_sense)
{
	struct machine_io io = {
		.cdb = {opcode, [8] = 1},
		.direction = opcode == WRITE_10 ? HOST_OUT : HOST_IN,
		.data_len = BLOCK,
	};

	return execute(host, &io, name, ret_sense);
}

uint8_t emulated_write(unsigned int host, const char *name, uint32_t *ret_sense)
{
	return transfer(host, name, WRITE_10, ret_sense);
}

uint8_t emulated_read(unsigned int host, const char *name, uint32_t *ret_sense)
{
	return transfer(host, name, READ_10, ret_sense);
}

uint8_t emulated_test_unit_ready(unsigned int host, const char *name, uint32_t *ret_sense)
{
	struct machine_io io = {.cdb = {TEST_UNIT_READY}, .direction = HOST_NONE};

	return execute(host, &io, name, ret_sense);
}

static int compare_keys(const void *a, const void *b)
{
	uint64_t x = get64(a), y = get64(b);

	return x < y ? -1 : x > y;
}

void emulated_keys(unsigned int host, const char *name, char *text)
{
	struct machine_io io = {
		.cdb = {PR_IN, 0, [7] = 1},
		.direction = HOST_IN,
		.data_len = 256,
	};
	uint32_t sense, len;
	uint8_t status = execute(host, &io, name, &sense);
	int used;

	if (status != HOST_GOOD) {
		snprintf(text, 256, "status %02x sense %06x", status, sense);
		return;
	}
	len = (uint32_t)get64(io.data);
	qsort(io.data + 8, len / 8, 8, compare_keys);
	used = snprintf(text, 256, "%u:", (unsigned int)(get64(io.data) >> 32));
	for (uint32_t at = 8; at < 8 + len && at + 8 <= io.data_len; at += 8)
		used += snprintf(text + used, 256 - (size_t)used, " %llx",
				 (unsigned long long)get64(io.data + at));
}

void emulated_reservation(unsigned int host, const char *name, char *text)
{
	struct machine_io io = {
		.cdb = {PR_IN, 1, [8] = 24},
		.direction = HOST_IN,
		.data_len = 24,
	};
	uint32_t sense;
	uint8_t status = execute(host, &io, name, &sense);

	if (status != HOST_GOOD)
		snprintf(text, 64, "status %02x sense %06x", status, sense);
	else if ((uint32_t)get64(io.data) == 0)
		snprintf(text, 64, "none");
	else
		snprintf(text, 64, "%x %llx", io.data[21] & 0x0f,
			 (unsigned long long)get64(io.data + 8));
}

/* ---- on the bus ---- */

static bool judge(bool ok, const char *who, const char *method, const char *error,
		  const struct bus_reply *reply)
{
	if (error == NULL && ok)
		return true;
	if (error != NULL && !ok && strcmp(reply->error, error) == 0)
		return true;
	printf("%s of %s: %s: %s\n", method, who, ok ? "done" : reply->error, reply->message);
	return false;
}

bool emulated_call(unsigned int host, const char *nexus, const char *method, const char *state,
		   bool force, const char *error, struct bus_reply *ret_reply)
{
	struct bus_options options = {.force = force};
	bool ok = bus_call(machine_bus(emulated.machine[host]), nexus, method, state, &options,
			   ret_reply);

	return judge(ok, nexus, method, error, ret_reply);
}

bool emulated_call_group(unsigned int host, const char *group, const char *method,
			 const char *state, bool force, const char *error,
			 struct bus_reply *ret_reply)
{
	struct bus_options options = {.force = force};
	bool ok = bus_call_group(machine_bus(emulated.machine[host]), group, method, state,
				 &options, ret_reply);

	return judge(ok, group, method, error, ret_reply);
}

bool emulated_property_is(unsigned int host, const char *nexus, const char *property,
			  const char *text)
{
	char found[BUS_TEXT_MAX];

	if (bus_wait_property(machine_bus(emulated.machine[host]), nexus, property, text,
			      PROPERTY_TIMEOUT_MS))
		return true;
	if (bus_property(machine_bus(emulated.machine[host]), nexus, property, found))
		printf("%s of %s: %s, not %s\n", property, nexus, found, text);
	return false;
}
