/* SPDX-License-Identifier: Apache-2.0 */
/* The test's side of a machine; the machine's own is machine-child.c. */
#include "machine.h"
#include "machine-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENVIRONMENT_MAX 8
#define BUS_SETTLE_MS 20000

struct machine {
	char root[64];
	char socket[96];
	const char *lun_paths[MACHINE_LUNS_MAX];
	size_t lun_count;
	struct bus *bus;
	pid_t pid; /* 0: not running */
	struct {
		char name[64], value[128];
	} environment[ENVIRONMENT_MAX];
	size_t environment_count;
};

struct machine *machine_new(const char *const *lun_paths, size_t lun_count)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	size_t i;

	strcpy(machine->root, "/tmp/prmig-machine-XXXXXX");
	if (!mkdtemp(machine->root)) {
		perror("mkdtemp");
		abort();
	}
	snprintf(machine->socket, sizeof(machine->socket), "%s/machine", machine->root);
	for (i = 0; i < lun_count; i++)
		machine->lun_paths[i] = lun_paths[i];
	machine->lun_count = lun_count;
	machine->bus = bus_start(machine->root);
	if (!machine->bus)
		abort();
	return machine;
}

const char *machine_bus(const struct machine *machine)
{
	return bus_address(machine->bus);
}

const char *machine_root(const struct machine *machine)
{
	return machine->root;
}

void machine_setenv(struct machine *machine, const char *name, const char *value)
{
	size_t i;

	for (i = 0; i < machine->environment_count; i++)
		if (!strcmp(machine->environment[i].name, name))
			break;
	if (i == ENVIRONMENT_MAX)
		abort();
	if (i == machine->environment_count)
		machine->environment_count++;
	snprintf(machine->environment[i].name, sizeof(machine->environment[i].name), "%s", name);
	snprintf(machine->environment[i].value, sizeof(machine->environment[i].value), "%s",
		 value ? value : "");
}

static void machine_exec(struct machine *machine, int ready)
{
	char *args[MACHINE_LUNS_MAX + 7], number[16];
	size_t i, n = 0;

	for (i = 0; i < machine->environment_count; i++) {
		if (machine->environment[i].value[0])
			setenv(machine->environment[i].name, machine->environment[i].value, 1);
		else
			unsetenv(machine->environment[i].name);
	}
	snprintf(number, sizeof(number), "%d", ready);
	args[n++] = (char *)"machine";
	args[n++] = (char *)MACHINE_ARGUMENT;
	args[n++] = number;
	args[n++] = machine->root;
	args[n++] = machine->socket;
	args[n++] = (char *)bus_address(machine->bus);
	for (i = 0; i < machine->lun_count; i++)
		args[n++] = (char *)machine->lun_paths[i];
	args[n] = NULL;
	execv("/proc/self/exe", args);
	perror("exec");
	_exit(127);
}

bool machine_boot(struct machine *machine)
{
	int ready[2];
	char byte;
	bool ok;

	if (machine->pid || pipe(ready) != 0)
		return false;
	unlink(machine->socket);
	machine->pid = fork();
	if (machine->pid == 0) {
		close(ready[0]);
		machine_exec(machine, ready[1]);
	}
	close(ready[1]);
	ok = read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	if (!ok) {
		fprintf(stderr, "the machine in %s does not start\n", machine->root);
		machine_kill(machine);
	}
	return ok;
}

void machine_kill(struct machine *machine)
{
	if (!machine->pid)
		return;
	kill(machine->pid, SIGKILL);
	waitpid(machine->pid, NULL, 0);
	machine->pid = 0;
}

bool machine_wait_death(struct machine *machine, uint32_t timeout_ms)
{
	uint32_t waited;

	for (waited = 0; machine->pid && waited <= timeout_ms; waited += 5) {
		if (waitpid(machine->pid, NULL, WNOHANG) == machine->pid)
			machine->pid = 0;
		else
			usleep(5000);
	}
	return !machine->pid;
}

bool machine_wait_stopped(struct machine *machine, uint32_t timeout_ms)
{
	uint32_t waited;
	int status;

	for (waited = 0; waited <= timeout_ms; waited += 2) {
		if (waitpid(machine->pid, &status, WNOHANG | WUNTRACED) == machine->pid)
			return WIFSTOPPED(status);
		usleep(2000);
	}
	return false;
}

void machine_continue(struct machine *machine)
{
	kill(machine->pid, SIGCONT);
}

bool machine_stop(struct machine *machine)
{
	int status = -1;

	if (!machine->pid)
		return false;
	/* The machine exits inside the call. */
	machine_call(machine, NULL, NULL, 0);
	waitpid(machine->pid, &status, 0);
	machine->pid = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void machine_free(struct machine *machine)
{
	char command[128];

	if (!machine)
		return;
	machine_kill(machine);
	bus_stop(machine->bus);
	snprintf(command, sizeof(command), "rm -rf %s", machine->root);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", machine->root);
	free(machine);
}

/* ---- calls ---- */

bool machine_call(struct machine *machine, void (*function)(void *arg), void *arg, size_t len)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct machine_request request = {.len = len};
	bool ok;
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", machine->socket);
	/* The same executable, at another address. */
	if (function)
		request.function = (char *)function - (char *)machine_main;
	ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	     machine_write(fd, &request, sizeof(request)) && machine_write(fd, arg, len) &&
	     machine_read(fd, arg, len) && machine_read(fd, &request, sizeof(request));
	close(fd);
	return ok;
}

struct add {
	char name[64], cfgstring[256];
	bool ok;
};

static void add_in_machine(void *arg)
{
	struct add *add = arg;

	add->ok = host_add(add->name, add->cfgstring);
}

bool machine_add(struct machine *machine, const char *name, const char *cfgstring)
{
	struct add add = {0};
	char text[BUS_TEXT_MAX + 2];

	snprintf(add.name, sizeof(add.name), "%s", name);
	snprintf(add.cfgstring, sizeof(add.cfgstring), "%s", cfgstring);
	if (!machine_call(machine, add_in_machine, &add, sizeof(add)) || !add.ok)
		return false;
	snprintf(text, sizeof(text), "'%s'", name);
	return bus_wait_property(machine_bus(machine), name, "Name", text, BUS_SETTLE_MS);
}

struct removal {
	char name[64];
	enum host_removal how;
	bool ok;
};

static void remove_in_machine(void *arg)
{
	struct removal *removal = arg;
	struct host_device *device = host_find_device(removal->name);

	removal->ok = device && host_remove_device(device, removal->how);
}

bool machine_remove(struct machine *machine, const char *name, enum host_removal how)
{
	struct removal removal = {.how = how};

	snprintf(removal.name, sizeof(removal.name), "%s", name);
	return machine_call(machine, remove_in_machine, &removal, sizeof(removal)) && removal.ok;
}

/* What is not answered stays the ring's; a pointer for the leak checker. */
static struct host_io *unanswered[256];

static void execute_in_machine(void *arg)
{
	static unsigned int count;
	struct machine_io *io = arg;
	struct host_device *device = host_find_device(io->name);
	struct host_io *host_io = calloc(1, sizeof(*host_io));

	memcpy(host_io->cdb, io->cdb, sizeof(io->cdb));
	host_io->direction = io->direction;
	host_io->data_len = io->data_len;
	host_io->data = calloc(1, MACHINE_DATA_MAX);
	memcpy(host_io->data, io->data, io->data_len);
	if (device) {
		host_submit(device, host_io);
		io->answered = host_wait(device, host_io, io->timeout_ms ? io->timeout_ms : 30000);
	}
	if (device && !io->answered) {
		unanswered[__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED) % 256] = host_io;
		return;
	}
	io->status = host_io->status;
	io->sense = host_io->status == HOST_CHECK_CONDITION ? host_sense(host_io) : 0;
	io->transferred = (uint32_t)host_io->transferred;
	if (io->direction == HOST_IN)
		memcpy(io->data, host_io->data, io->data_len);
	free(host_io->data);
	free(host_io);
}

bool machine_execute(struct machine *machine, struct machine_io *io)
{
	io->answered = false;
	return machine_call(machine, execute_in_machine, io, sizeof(*io)) && io->answered;
}

bool machine_bus_call(struct machine *machine, const char *nexus, const char *method,
		      const char *state, const struct bus_options *options,
		      struct bus_reply *ret_reply)
{
	return bus_call(machine_bus(machine), nexus, method, state, options, ret_reply);
}
