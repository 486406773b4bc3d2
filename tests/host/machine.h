/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host of its own: a process with its own root, its own "system bus" (which outlives the process,
 * as it does the daemon) and a LUN shared with others. It can be killed at any moment and started
 * again; its backstores are opened again then.
 *
 * main() calls machine_main() first. Only the process that tests may use this; the functions that
 * machine_call runs in the machine use host.h.
 */
#ifndef PRMIG_TESTS_MACHINE_H
#define PRMIG_TESTS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus.h"
#include "host.h"

#define MACHINE_DATA_MAX 8192
#define MACHINE_LUNS_MAX 4

struct machine;

/* Does not return where this process is a machine. */
void machine_main(int argc, char **argv);

/* lun_paths: files of fake_lun_create, in order of their numbers. Not started yet; its bus is. */
struct machine *machine_new(const char *const *lun_paths, size_t lun_count);
/* Starts the daemon. False: a message is on stderr. */
bool machine_boot(struct machine *machine);
/* SIGKILL; its files and its bus stay. */
void machine_kill(struct machine *machine);
/* The daemon is stopped in order. False: it had died, or complained. */
bool machine_stop(struct machine *machine);
/* Kills what runs and removes its files. */
void machine_free(struct machine *machine);
const char *machine_bus(const struct machine *machine);
const char *machine_root(const struct machine *machine);
/* Environment that machine_boot sets in the machine: a crash point, say. value NULL: not set. */
void machine_setenv(struct machine *machine, const char *name, const char *value);
/* Waits until it has stopped itself (SIGSTOP). False: it has not. */
bool machine_wait_stopped(struct machine *machine, uint32_t timeout_ms);
/* SIGCONT. */
void machine_continue(struct machine *machine);
/* Waits until it ends by itself. False: it still runs. */
bool machine_wait_death(struct machine *machine, uint32_t timeout_ms);

/*
 * Runs function in the machine, on a thread of its own, with a copy of arg (no pointers), which is
 * copied back. Calls may run beside each other. False: the machine is not there or died.
 */
bool machine_call(struct machine *machine, void (*function)(void *arg), void *arg, size_t len);

/* ---- what tests mostly call ---- */

/* With a nexus to be seen on the bus at the end. */
bool machine_add(struct machine *machine, const char *name, const char *cfgstring);
bool machine_remove(struct machine *machine, const char *name, enum host_removal how);

/* A command of the guest; data as it goes in, or came out. */
struct machine_io {
	char name[64]; /* the backstore's */
	uint8_t cdb[16];
	enum host_direction direction;
	uint32_t data_len;
	uint32_t timeout_ms; /* 0: 30 s */
	uint8_t data[MACHINE_DATA_MAX];

	bool answered;
	uint8_t status;
	uint32_t sense; /* host_sense */
	uint32_t transferred;
};

/* False: the machine died, or there was no answer in time: whether it executed is not known. */
bool machine_execute(struct machine *machine, struct machine_io *io);

/* bus_call on the machine's bus. */
bool machine_bus_call(struct machine *machine, const char *nexus, const char *method,
		      const char *state, const struct bus_options *options,
		      struct bus_reply *ret_reply);

#endif
