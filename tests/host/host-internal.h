/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the test host share; tests include host.h. */
#ifndef PRMIG_TESTS_HOST_INTERNAL_H
#define PRMIG_TESTS_HOST_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <sys/types.h>

#include "host.h"
#include "kernel-ring.h"
#include "prmig/tcmur.h"

#define HOST_DEVICES_MAX 64
#define HOST_LUNS_MAX 16
#define HOST_LUN_NEXUSES 16
#define HOST_MAJOR 8

/* libtcmu's; handlers know it by pointer alone. */
struct tcmu_device {
	int fd;
	struct tcmu_mailbox *map;
	size_t map_len;
	uint32_t cmd_tail;

	uint64_t num_lbas;
	uint32_t block_size;
	char uio_name[16];
	char cfgstring[PATH_MAX];
	void *priv;
	struct host_device *host;
};

struct host_device {
	struct tcmu_device dev;
	struct kernel_ring ring;
	char name[128];
	bool known_layout;
	uint32_t libtcmu_tail; /* libtcmu's position, also where dev does not show it */
	int event_fd;	       /* the UIO device: readable when commands have come */
	pthread_t cmdproc;
	pthread_mutex_t lock; /* of the flags below */
	bool is_open, stopping, stopped, paused, cancelled;
};

extern struct tcmur_handler *host_handler;
extern char host_root[PATH_MAX];

/* ---- the daemon (daemon.c, cmdproc.c, libtcmu.c) ---- */

/* Runs on the daemon's thread, and waits. */
void host_on_daemon(void (*call)(void *user), void *user);
/* Opens a device that the root has, as the daemon at its start; the daemon's thread. */
void host_reopen_device(const char *name, const char *cfgstring);
void host_close_devices(void);
int cmdproc_start(struct host_device *device);
/* Cancels and joins it, and closes the device. The daemon's thread. */
void cmdproc_stop(struct host_device *device);
/* The next command for the handler, as libtcmu makes it: one malloc. NULL: none. */
struct tcmulib_cmd *libtcmu_next_command(struct host_device *device);

/* ---- files (sysfs.c) ---- */

/* Directories are made as needed. */
void sysfs_write(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* False: there is none. text: 256 bytes, first line. */
bool sysfs_read(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A backstore as the kernel shows it when it is enabled; returns its UIO number. */
unsigned int sysfs_add_backstore(const struct host_device_config *config);
/* The UIO number, or -1. */
int sysfs_find_backstore(const char *name, char *ret_cfgstring);
void sysfs_remove_backstore(const char *name);
/* Calls visit for each backstore. */
void sysfs_for_each(void (*visit)(const char *name, const char *cfgstring));
void sysfs_add_lun(unsigned int lun);
/* Whether the kernel refuses to have this file written now (path: a whole one). */
bool sysfs_write_refused(const char *path);

/* ---- system calls (syscalls.c) ---- */

struct fake_lun *host_lun(unsigned int lun); /* NULL: none, or not present */

#endif
