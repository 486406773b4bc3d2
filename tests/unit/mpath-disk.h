/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A multipath map for the executable that includes this (once): a fake LUN and a made-up sysfs. A path is a nexus of the fake LUN; the
 * map's block device is here.
 */
#ifndef PRMIG_MPATH_DISK_H
#define PRMIG_MPATH_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "be.h"
#include "check.h"
#include "fake-lun.h"
#include "iov.h"
#include "lun-mpath-internal.h"
#include "paths.h"
#include "sysfs-root.h"

#define MAP "/dev/mapper/m"
#define PATHS 2
#define STRANGER 2
#define BLOCK_LEN 512
#define BLOCKS 2048
#define WRITERS 4
#define FD_OF(nexus) (1000 + (nexus))
#define NODE_FD 2000

static struct fake_lun *fake;
static struct lun_mpath *mpath;
static struct lun *lun;
static _Thread_local struct lun *other; /* NULL: lun */
static struct lun *writers_other;	/* of every second writer */
static bool up[PATHS];
static unsigned int turn;
static unsigned int session_base; /* the kernel's number of the first path's session */

/* ---- what the kernel does ---- */

static void fake_send(unsigned int nexus, const uint8_t *cdb, size_t cdb_len, void *data,
		      size_t out_len, size_t in_len, struct fake_result *ret_result)
{
	fake_lun_execute(fake, nexus, cdb, cdb_len, data, out_len, data, in_len, ret_result);
}

/* In the place of lun-sg-io.c's. */
void lun_sg_execute(int fd, bool char_device, uint32_t max_transfer_bytes, struct lun_io *io,
		    bool *ret_gone)
{
	static _Thread_local uint8_t data[MPATH_KEYS_BYTES];
	bool out = io->direction == SCSI_DIR_OUT;
	unsigned int nexus = (unsigned int)(fd - FD_OF(0));
	struct fake_result result;

	(void)char_device;
	(void)max_transfer_bytes;
	*ret_gone = false;
	io->result = (struct lun_result){.residual_bytes = io->data_len};
	if (!__atomic_load_n(&up[nexus], __ATOMIC_ACQUIRE)) {
		io->result.unknown = true;
		return;
	}
	if (out)
		iov_gather(io->iov, io->iov_cnt, data, sizeof(data));
	fake_send(nexus, io->cdb, io->cdb_len, data, out ? io->data_len : 0, out ? 0 : io->data_len,
		  &result);
	io->result.unknown = result.host_status != 0;
	io->result.status = result.status;
	io->result.sense_len =
		result.sense_len < SCSI_SENSE_MAX ? result.sense_len : SCSI_SENSE_MAX;
	memcpy(io->result.sense, result.sense, io->result.sense_len);
	if (out)
		io->result.residual_bytes = 0;
	else
		io->result.residual_bytes =
			io->data_len -
			(uint32_t)iov_scatter(io->iov, io->iov_cnt, data, result.data_in_len);
}

/* The map's block device: each path in turn; a conflict fails no path. */
ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	uint8_t cdb[10] = {0x2a}, data[BLOCK_LEN];

	(void)flags;
	if (fd != NODE_FD || iov_gather(iov, (size_t)count, data, sizeof(data)) != BLOCK_LEN)
		abort();
	be_put32(cdb + 2, (uint32_t)(offset / BLOCK_LEN));
	be_put16(cdb + 7, 1);
	for (unsigned int tries = 0; tries < PATHS; tries++) {
		unsigned int nexus = __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED) % PATHS;
		struct fake_result result;

		if (!__atomic_load_n(&up[nexus], __ATOMIC_ACQUIRE))
			continue;
		do
			fake_send(nexus, cdb, sizeof(cdb), data, BLOCK_LEN, 0, &result);
		while (result.status == SCSI_CHECK_CONDITION);
		if (result.status == SCSI_GOOD)
			return BLOCK_LEN;
		errno = result.status == SCSI_RESERVATION_CONFLICT ? EBADE : EIO;
		return -1;
	}
	errno = EIO;
	return -1;
}

/* The kernel says so first, and then the map uses it. */
static void set_up(unsigned int nexus, bool is_up)
{
	if (!is_up)
		__atomic_store_n(&up[nexus], false, __ATOMIC_RELEASE);
	root_put(is_up ? "running\n" : "offline\n", PATHS_DEV_BLOCK "/8:%u/device/state",
		 nexus * 16);
	if (is_up)
		__atomic_store_n(&up[nexus], true, __ATOMIC_RELEASE);
}

/* ---- the backend ---- */

static struct mpath_path *path_of(unsigned int nexus)
{
	struct mpath_path *path = calloc(1, sizeof(*path));
	uint8_t id[256];
	size_t len = fake_lun_transport_id(fake, nexus, id);

	*path = (struct mpath_path){
		.device = {.rdev = makedev(8, nexus * 16)},
		.fd = FD_OF((int)nexus),
		.users = 1,
		.unproven = true,
		.relative_target_port = 1,
	};
	snprintf(path->device.node, sizeof(path->device.node), "/dev/sd%c", 'a' + (char)nexus);
	/* As sysfs names a port of open-iscsi's: without the ISID. */
	snprintf(path->ports.initiator_port, LUN_PORT_MAX, "%.*s,session%u",
		 (int)strcspn((const char *)id + 4, ","), (const char *)id + 4,
		 session_base + nexus);
	snprintf(path->ports.target_port, LUN_PORT_MAX, "target,t,1");
	CHECK(len > 24);
	return path;
}

/* nexuses: which paths are there, as bits. */
static void open_paths(struct lun *opened, unsigned int nexuses)
{
	mpath = (struct lun_mpath *)opened;
	pthread_mutex_lock(&mpath->pr_lock);
	fake_lun_designator(fake, mpath->designator);
	pthread_mutex_lock(&mpath->lock);
	for (unsigned int i = 0; i < PATHS; i++)
		if ((nexuses & 1U << i) != 0)
			mpath->paths[mpath->path_count++] = path_of(i);
	mpath->node = calloc(1, sizeof(*mpath->node));
	*mpath->node = (struct mpath_node){.fd = NODE_FD,
					   .rdev = makedev(253, 0),
					   .blocks = BLOCKS,
					   .block_len_bytes = BLOCK_LEN,
					   .users = 1};
	pthread_mutex_unlock(&mpath->lock);
	pthread_mutex_unlock(&mpath->pr_lock);
}

/* ---- commands ---- */

/* The status; unit attentions are taken. */
static uint8_t send_command(const uint8_t *cdb, size_t cdb_len, enum scsi_direction direction,
			    void *data, size_t len, size_t *ret_len)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct lun_io io = {
		.cdb = cdb,
		.cdb_len = cdb_len,
		.direction = direction,
		.iov = &iov,
		.iov_cnt = 1,
		.data_len = (uint32_t)len,
		.timeout_ms = 5000,
	};
	uint16_t asc_ascq;
	uint8_t key;

	do
		lun_execute(other != NULL ? other : lun, &io);
	while (io.result.status == SCSI_CHECK_CONDITION &&
	       scsi_sense_parse(io.result.sense, io.result.sense_len, &key, &asc_ascq) &&
	       key == SCSI_UNIT_ATTENTION);
	if (ret_len != NULL)
		*ret_len = len - io.result.residual_bytes;
	return io.result.unknown ? 0xff : io.result.status;
}

/* By another nexus, or behind the backend's back. */
static void out_by(unsigned int nexus, enum pr_out_action action, uint64_t key, uint64_t new_key,
		   uint8_t type)
{
	struct pr_out out = {.action = action, .key = key, .new_key = new_key, .type = type};
	uint8_t cdb[PR_CDB_LEN], list[PR_OUT_LIST_LEN];
	struct fake_result result;

	pr_out_build(&out, cdb, list);
	do
		fake_send(nexus, cdb, sizeof(cdb), list, sizeof(list), 0, &result);
	while (result.status == SCSI_CHECK_CONDITION);
	CHECK_INT(result.status, SCSI_GOOD);
}

static uint8_t write_block(uint32_t lba)
{
	static _Thread_local _Alignas(BLOCK_LEN) uint8_t data[BLOCK_LEN];
	uint8_t cdb[10] = {0x2a};

	be_put32(cdb + 2, lba);
	be_put16(cdb + 7, 1);
	return send_command(cdb, sizeof(cdb), SCSI_DIR_OUT, data, sizeof(data), NULL);
}

/* ---- writers ---- */

static bool writers_stop;
static unsigned int writes_good, writes_other;

static void *writer_run(void *user)
{
	uint32_t lba = (uint32_t)(uintptr_t)user;

	if (lba % 2 == 1)
		other = writers_other;
	while (!__atomic_load_n(&writers_stop, __ATOMIC_ACQUIRE)) {
		unsigned int *counter =
			write_block(lba) == SCSI_GOOD ? &writes_good : &writes_other;

		__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static pthread_t writers[WRITERS];

static void writers_begin(void)
{
	writers_stop = false;
	writes_good = writes_other = 0;
	for (uintptr_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, writer_run, (void *)i);
}

static void writers_end(void)
{
	__atomic_store_n(&writers_stop, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
}

/* What sysfs and the state directory are before a test. */
static void mpath_disk_root(void)
{
	root_put("mpath-m\n", PATHS_DEV_BLOCK "/253:0/dm/uuid");
	root_put("m\n", PATHS_DEV_BLOCK "/253:0/dm/name");
	for (unsigned int i = 0; i < PATHS; i++) {
		char number[16], text[32];

		snprintf(number, sizeof(number), "8:%u", i * 16);
		snprintf(text, sizeof(text), "DEVNAME=sd%c\n", 'a' + (char)i);
		root_put(text, PATHS_DEV_BLOCK "/%s/uevent", number);
		root_put("0\n", PATHS_DEV_BLOCK "/%s/device/type", number);
		snprintf(text, sizeof(text), "%s\n", number);
		root_put(text, PATHS_DEV_BLOCK "/253:0/slaves/sd%c/dev", 'a' + (char)i);
	}
	root_put("", PATHS_STATE_DIR "/there");
}

#endif
