/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test host: loads the built handler as tcmu-runner does, plays the daemon above it, the
 * kernel's ring and configfs beside it, and a fake LUN below it.
 *
 * One process is one host (machine.h makes more of them). It has one daemon thread, on which the
 * handler is loaded and devices are opened, and which runs the default GMainContext, as the daemon's
 * main thread does; and one cmdproc thread per device.
 *
 * Its files are below a directory that PRMIG_ROOT names; SCSI devices are the paths
 * "/dev/fake/<lun>/<nexus>", lun being the number that host_add_lun gave, nexus the fake's.
 */
#ifndef PRMIG_TESTS_HOST_H
#define PRMIG_TESTS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_lun;
struct host_device;

#define HOST_CDB_MAX 264
#define HOST_SENSE_LEN 96
#define HOST_PIECES_MAX 2048
#define HOST_REASON_MAX 1024

#define HOST_GOOD 0x00
#define HOST_CHECK_CONDITION 0x02
#define HOST_BUSY 0x08
#define HOST_STATUS_GONE 0xff /* never answered: the backstore was removed */

/* ---- life ---- */

struct host_config {
	const char *root;	 /* made where it is not; kept at the end */
	const char *bus_address; /* of the "system bus"; NULL: none */
	const char *handler;	 /* NULL: $PRMIG_HANDLER */
};

/* Loads the handler, once in a process, and opens the devices that the root has, as a daemon that
 * starts. False: a message is on stderr. */
bool host_start(const struct host_config *config);
/* As the daemon at SIGTERM: every device is blocked, its ring drained and closed. */
void host_stop(void);

/* Makes a LUN known as "/dev/fake/<number>/<nexus>"; returns the number. Before or after start. */
unsigned int host_add_lun(struct fake_lun *lun);

/* Takes a LUN's device nodes away or gives them back; SG_IO on open ones fails meanwhile. */
void host_set_lun_present(unsigned int lun, bool present);

/* Whether the handler logged a line with this text since the start or host_clear_log. Lines go to
 * stderr too when PRMIG_HOST_LOG is set. */
bool host_logged(const char *text);
void host_clear_log(void);

/* ---- devices ---- */

struct host_device_config {
	const char *name;
	const char *cfgstring; /* "prmig//dev/fake/0/0" */
	size_t ring_bytes;     /* 0: 64 KiB */
	size_t data_bytes;     /* 0: 8 MiB */
	bool unknown_libtcmu;  /* lays its devices out in another way */
	bool exported;	       /* LUNs are mapped: the kernel refuses pgr_support and the like */
	bool no_pgr_support;   /* a kernel before 5.8 */
	bool without_check;    /* no CheckConfig over D-Bus before, as targetctl restore */
	uint64_t dev_size;     /* 0: 8 MiB */
};

/* check_config as targetcli asks for it. False: reason (HOST_REASON_MAX bytes). */
bool host_check_config(const char *cfgstring, char *reason);
/* NULL: reason (HOST_REASON_MAX bytes) is check_config's, or empty when open failed. */
struct host_device *host_add_device(const struct host_device_config *config, char *reason);
/* With the defaults. */
struct host_device *host_add(const char *name, const char *cfgstring);
struct host_device *host_find_device(const char *name);

enum host_removal {
	HOST_DRAIN, /* LIO waits for what is outstanding, as when a backstore is deleted */
	HOST_NOW,   /* the kernel has given up on what is outstanding */
	HOST_BLOCK, /* as the daemon when it stops: block_dev, wait for an empty ring */
};

/* False: the ring did not get empty in 30 s (HOST_DRAIN, HOST_BLOCK); it is removed all the same.
 * HOST_BLOCK keeps the backstore in the root, for the next host_start. */
bool host_remove_device(struct host_device *device, enum host_removal how);
/* What the handler answers the kernel's netlink event, 0 or negative errno. */
int host_reconfig_size(struct host_device *device, uint64_t bytes);
int host_reconfig_cfgstring(struct host_device *device, const char *cfgstring);
int host_reconfig_write_cache(struct host_device *device, bool enabled);
/* What libtcmu was told. */
uint64_t host_num_lbas(struct host_device *device);
uint32_t host_block_size(struct host_device *device);
/* The first line of a file of the backstore in configfs ("attrib/pgr_support", "control"); empty
 * when there is none. text: 256 bytes. */
void host_read_configfs(const char *name, const char *file, char *text);
void host_write_configfs(const char *name, const char *file, const char *text);
/* What is wrong with the ring; NULL: nothing. */
const char *host_fault(struct host_device *device);

struct host_ring_stats {
	uint64_t commands, answers;
	uint64_t kicks; /* wake-ups by the handler */
	uint64_t pads;
	uint64_t queued; /* that found no room at first */
};
void host_get_stats(struct host_device *device, struct host_ring_stats *ret_stats);

/* ---- commands of the guest ---- */

enum host_direction { HOST_NONE, HOST_IN, HOST_OUT };

struct host_piece {
	size_t offset; /* from the mailbox */
	uint32_t len;
};

/* The caller's, until it is answered; zeroed but for what is asked. */
struct host_io {
	uint8_t cdb[HOST_CDB_MAX];
	uint32_t cdb_len; /* 0: as the kernel sizes the opcode */
	enum host_direction direction;
	void *data;
	size_t data_len;
	const uint32_t
		*split; /* lengths of the buffer's parts; the last takes the rest; none: pages */
	size_t split_cnt;

	uint8_t status; /* SAM-5, or HOST_STATUS_GONE */
	uint8_t sense[HOST_SENSE_LEN];
	size_t transferred; /* data-in that the guest gets */
	bool has_read_len;
	uint32_t read_len;
	unsigned int answers; /* 1 when it is answered */

	uint16_t id;
	struct host_io *next;
	struct host_piece pieces[HOST_PIECES_MAX];
	size_t piece_cnt;
};

void host_submit(struct host_device *device, struct host_io *io);
/* False: not answered in time, or the ring is broken. */
bool host_wait(struct host_device *device, struct host_io *io, uint32_t timeout_ms);
/* submit, and wait up to 30 s. */
bool host_execute(struct host_device *device, struct host_io *io);
/* A task management notification in the ring. */
void host_notify_tmr(struct host_device *device);
/* The daemon does not take commands out of the ring meanwhile. */
void host_pause(struct host_device *device, bool paused);

/* Key and ASC/ASCQ of fixed format sense data: 0x52000 is ILLEGAL REQUEST, INVALID OPERATION CODE. */
uint32_t host_sense(const struct host_io *io);

#endif
