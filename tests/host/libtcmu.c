/* SPDX-License-Identifier: Apache-2.0 */
/* What libtcmu and the daemon export to handlers, by their behaviour. */
#include "ring-layout.h"
#include "host-internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MAX (1 << 20)
#define LOG_MESSAGE_MAX 256 /* the daemon's */

/* ---- the device ---- */

void tcmur_dev_set_private(struct tcmu_device *dev, void *priv)
{
	dev->priv = priv;
}

void *tcmur_dev_get_private(struct tcmu_device *dev)
{
	return dev->priv;
}

int tcmu_dev_get_fd(struct tcmu_device *dev)
{
	return dev->host->event_fd;
}

const char *tcmu_dev_get_uio_name(struct tcmu_device *dev)
{
	return dev->uio_name;
}

char *tcmu_dev_get_cfgstring(struct tcmu_device *dev)
{
	return dev->cfgstring;
}

char *tcmu_dev_get_memory_info(struct tcmu_device *dev, void **base, size_t *len, off_t *offset)
{
	char *name = malloc(32);

	snprintf(name, 32, "/dev/%s", dev->uio_name);
	if (base)
		*base = dev->host->ring.mailbox;
	if (len)
		*len = dev->host->ring.map_len;
	if (offset)
		*offset = 0;
	return name;
}

/* The nexus's thread sets them, tests read them. */
uint64_t tcmu_dev_get_num_lbas(struct tcmu_device *dev)
{
	return __atomic_load_n(&dev->num_lbas, __ATOMIC_RELAXED);
}

uint32_t tcmu_dev_get_block_size(struct tcmu_device *dev)
{
	return __atomic_load_n(&dev->block_size, __ATOMIC_RELAXED);
}

void tcmu_dev_set_num_lbas(struct tcmu_device *dev, uint64_t num_lbas)
{
	__atomic_store_n(&dev->num_lbas, num_lbas, __ATOMIC_RELAXED);
}

void tcmu_dev_set_block_size(struct tcmu_device *dev, uint32_t block_size)
{
	__atomic_store_n(&dev->block_size, block_size, __ATOMIC_RELAXED);
}

void tcmulib_processing_complete(struct tcmu_device *dev)
{
	pthread_testcancel(); /* a write() */
	kernel_ring_complete(&dev->host->ring);
}

/* ---- commands ---- */

/* Negative: libtcmu does not know how long such a CDB is, and drops the command. */
static int cdb_len_by_libtcmu(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0:
		return 6;
	case 1:
	case 2:
		return 10;
	case 3:
		return cdb[0] == 0x7f ? 8 + cdb[7] : -1;
	case 4:
		return 16;
	case 5:
		return 12;
	default:
		return -1;
	}
}

static struct tcmulib_cmd *make_command(const struct tcmu_mailbox *mailbox,
					const struct tcmu_cmd_entry *entry)
{
	const uint8_t *cdb = (const uint8_t *)mailbox + entry->req.cdb_off;
	int cdb_len = cdb_len_by_libtcmu(cdb);
	size_t iov_cnt = entry->req.iov_cnt, i;
	struct tcmulib_cmd *cmd;

	if (cdb_len < 0)
		return NULL;
	/* The daemon's part lies straight behind the CDB, aligned or not. */
	cmd = malloc(sizeof(*cmd) + iov_cnt * sizeof(struct iovec) + cdb_len +
		     sizeof(struct tcmur_cmd));
	memset(cmd, 0xee, sizeof(*cmd));
	cmd->cmd_id = entry->hdr.cmd_id;
	cmd->iov_cnt = iov_cnt;
	cmd->iovec = (struct iovec *)(cmd + 1);
	for (i = 0; i < iov_cnt; i++) {
		cmd->iovec[i].iov_base = (uint8_t *)mailbox + (size_t)entry->req.iov[i].iov_base;
		cmd->iovec[i].iov_len = entry->req.iov[i].iov_len;
	}
	cmd->cdb = (uint8_t *)(cmd->iovec + iov_cnt);
	memcpy(cmd->cdb, cdb, cdb_len);
	cmd->hm_private = cmd->cdb + cdb_len;
	memset(cmd->hm_private, 0, sizeof(struct tcmur_cmd));
	/* The pointer itself, to a place that is not aligned for it. */
	memcpy((uint8_t *)cmd->hm_private + offsetof(struct tcmur_cmd, lib_cmd), &cmd,
	       sizeof(void *));
	return cmd;
}

static void libtcmu_move(struct host_device *device, uint32_t tail)
{
	/* In the order in which a handler could tell the difference: never ahead. */
	__atomic_store_n(&device->libtcmu_tail, tail, __ATOMIC_RELEASE);
	if (device->known_layout)
		__atomic_store_n(&device->dev.cmd_tail, tail, __ATOMIC_RELEASE);
}

struct tcmulib_cmd *libtcmu_next_command(struct host_device *device)
{
	struct tcmu_mailbox *mailbox = device->ring.mailbox;
	uint32_t tail = device->libtcmu_tail;

	while (tail != __atomic_load_n(&mailbox->cmd_head, __ATOMIC_ACQUIRE)) {
		struct tcmu_cmd_entry *entry =
			(struct tcmu_cmd_entry *)((uint8_t *)mailbox + mailbox->cmdr_off + tail);
		struct tcmulib_cmd *cmd = NULL;

		if (tcmu_hdr_get_op(entry->hdr.len_op) == TCMU_OP_CMD)
			cmd = make_command(mailbox, entry);
		else if (tcmu_hdr_get_op(entry->hdr.len_op) != TCMU_OP_PAD)
			entry->hdr.uflags |= TCMU_UFLAG_UNKNOWN_OP;
		tail = (tail + tcmu_hdr_get_len(entry->hdr.len_op)) % mailbox->cmdr_size;
		libtcmu_move(device, tail);
		if (cmd)
			return cmd;
	}
	return NULL;
}

/* ---- messages ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[LOG_MAX];
static size_t log_len;

static void log_message(const char *level, const char *funcname, int linenr, const char *format,
			va_list args)
{
	char message[LOG_MESSAGE_MAX];
	int len = snprintf(message, sizeof(message), "%s:%d: ", funcname, linenr);

	vsnprintf(message + len, sizeof(message) - len, format, args);
	len = (int)strlen(message);
	if (getenv("PRMIG_HOST_LOG"))
		fprintf(stderr, "[%s] %s", level, message);
	pthread_mutex_lock(&log_lock);
	if (log_len + len < sizeof(log_text)) {
		memcpy(log_text + log_len, message, len);
		log_len += len;
	}
	pthread_mutex_unlock(&log_lock);
}

#define MESSAGE_FUNCTION(name, level)                                                              \
	void name(struct tcmu_device *dev, const char *funcname, int linenr, const char *format,   \
		  ...)                                                                             \
	{                                                                                          \
		va_list args;                                                                      \
                                                                                                   \
		(void)dev;                                                                         \
		va_start(args, format);                                                            \
		log_message(level, funcname, linenr, format, args);                                \
		va_end(args);                                                                      \
	}

MESSAGE_FUNCTION(tcmu_err_message, "ERROR")
MESSAGE_FUNCTION(tcmu_warn_message, "WARN")
MESSAGE_FUNCTION(tcmu_info_message, "INFO")
MESSAGE_FUNCTION(tcmu_dbg_message, "DEBUG")

bool host_logged(const char *text)
{
	bool found;

	pthread_mutex_lock(&log_lock);
	found = memmem(log_text, log_len, text, strlen(text));
	pthread_mutex_unlock(&log_lock);
	return found;
}

void host_clear_log(void)
{
	pthread_mutex_lock(&log_lock);
	log_len = 0;
	pthread_mutex_unlock(&log_lock);
}
