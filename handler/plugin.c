/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edge to tcmu-runner: a handler with handle_cmd alone and threads of its own. Hands commands
 * to the nexus and its answers to the ring; exports handler_init and nothing else.
 *
 * Threads: check_config, open and reconfig run on the daemon's main thread; handle_cmd on the
 * device's cmdproc thread, which the daemon cancels when the backstore is removed; close on either.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prmig/tcmur.h"

#include "cfgstring.h"
#include "configfs.h"
#include "dbus-edge.h"
#include "iov.h"
#include "log.h"
#include "lun.h"
#include "nexus.h"
#include "ring.h"
#include "scsi.h"

#define PLUGIN_SUBTYPE "prmig"
/* tcmu-runner's own option: it keeps a list of the commands then, which prmig would free under it,
 * and cuts the option out of the cfgstring together with the ';' behind it. */
#define PLUGIN_CMD_TIME_OUT "tcmur_cmd_time_out"

/* The plugin edge of one backstore. */
struct port {
	struct tcmu_device *dev;
	struct configfs_backstore backstore;
	struct ring *ring;
	struct nexus *nexus;
	bool identified; /* libtcmu has the LUN's own size; on any thread */
};

/*
 * How libtcmu 1.5 and 1.6 begin their struct tcmu_device; cmd_tail is libtcmu's own position in the
 * ring. Compared at open with what libtcmu says of the device, and with every command that arrives
 * (ring_arrived).
 */
struct libtcmu_device {
	int fd;
	void *map;
	size_t map_len;
	uint32_t cmd_tail;
};

static const uint32_t *plugin_libtcmu_tail(struct tcmu_device *dev, const char *name, void *map,
					   size_t map_len)
{
	const struct libtcmu_device *layout = (const struct libtcmu_device *)dev;

	if (layout->fd == tcmu_dev_get_fd(dev) && layout->map == map && layout->map_len == map_len)
		return &layout->cmd_tail;
	log_warning("%s: this libtcmu lays its devices out in a way that prmig does not know: a "
		    "command that libtcmu drops is answered only when another command follows",
		    name);
	return NULL;
}

/* ---- answers ---- */

static void plugin_kick(void *user)
{
	struct port *port = user;

	tcmulib_processing_complete(port->dev);
}

static void iov_zero_from(const struct iovec *iov, size_t iov_cnt, size_t from)
{
	size_t i;

	for (i = 0; i < iov_cnt; i++) {
		if (from < iov[i].iov_len)
			memset((uint8_t *)iov[i].iov_base + from, 0, iov[i].iov_len - from);
		from -= from < iov[i].iov_len ? from : iov[i].iov_len;
	}
}

/* Answers and frees a command. The data area is recycled from command to command: what is not
 * data-in of this one is not for the guest. */
static void port_answer(struct port *port, struct tcmulib_cmd *cmd, const struct lun_result *result,
			size_t data_in_bytes)
{
	struct ring_answer answer = {
		.status = result->status,
		.sense = result->sense,
		.sense_len = result->sense_len,
	};
	uint16_t cmd_id = cmd->cmd_id;

	if (data_in_bytes < iov_len(cmd->iovec, cmd->iov_cnt)) {
		iov_zero_from(cmd->iovec, cmd->iov_cnt, data_in_bytes);
		answer.read_len = data_in_bytes;
	}
	free(cmd);
	ring_answer(port->ring, cmd_id, &answer);
}

/* Without the nexus: no data-in. */
static void port_refuse(struct port *port, struct tcmulib_cmd *cmd, const struct lun_result *result)
{
	port_answer(port, cmd, result, 0);
}

static void plugin_complete(void *user, struct nexus_request *request,
			    const struct lun_result *result, size_t data_in_bytes)
{
	port_answer(user, request->token, result, data_in_bytes);
}

static bool plugin_check(void *user, char *reason)
{
	struct port *port = user;

	return configfs_check(&port->backstore, reason);
}

static void plugin_identified(void *user, const struct lun_identity *identity)
{
	struct port *port = user;

	/* What a reservation of another's keeps back: the kernel has what the backstore was made with. */
	if (identity->blocks == 0)
		return;
	tcmu_dev_set_block_size(port->dev, identity->block_len_bytes);
	tcmu_dev_set_num_lbas(port->dev, identity->blocks);
	__atomic_store_n(&port->identified, true, __ATOMIC_RELEASE);
	configfs_adopt_size(&port->backstore, identity->blocks, identity->block_len_bytes);
}

static void plugin_tick(void *user)
{
	struct port *port = user;

	ring_tick(port->ring);
}

static const struct nexus_port_ops plugin_port_ops = {
	.complete = plugin_complete,
	.check = plugin_check,
	.identified = plugin_identified,
	.tick = plugin_tick,
};

/* ---- commands ---- */

static void port_take(struct port *port, struct tcmulib_cmd *cmd)
{
	struct nexus_request *request;
	struct lun_result result;

	ring_arrived(port->ring, cmd->cmd_id);
	/* How long such a CDB is nobody has said: as if libtcmu had dropped it. */
	if (!scsi_cdb_sized_by_libtcmu(cmd->cdb[0])) {
		lun_result_check_condition(&result, SCSI_ILLEGAL_REQUEST,
					   SCSI_ASC_INVALID_OPERATION_CODE);
		port_refuse(port, cmd, &result);
		return;
	}
	if (cmd->iov_cnt > NEXUS_REQUEST_IOV_MAX) {
		lun_result_check_condition(&result, SCSI_ILLEGAL_REQUEST,
					   SCSI_ASC_INVALID_FIELD_IN_CDB);
		port_refuse(port, cmd, &result);
		return;
	}
	request = nexus_request_get(port->nexus);
	if (!request) {
		lun_result_status(&result, SCSI_TASK_SET_FULL);
		port_refuse(port, cmd, &result);
		return;
	}
	request->cdb = cmd->cdb;
	request->iov = cmd->iovec;
	request->iov_cnt = cmd->iov_cnt;
	request->token = cmd;
	nexus_submit(port->nexus, request);
}

/* The head of a struct tcmur_cmd: it lies straight behind the CDB, at any address. */
struct unaligned_cmd {
	struct tcmulib_cmd *lib_cmd;
} __attribute__((packed, may_alias));

_Static_assert(offsetof(struct tcmur_cmd, lib_cmd) == 0, "struct unaligned_cmd");

static int plugin_handle_cmd(struct tcmu_device *dev, struct tcmur_cmd *cmd)
{
	struct tcmulib_cmd *lib_cmd = ((const struct unaligned_cmd *)cmd)->lib_cmd;
	int cancel_state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	port_take(tcmur_dev_get_private(dev), lib_cmd);
	pthread_setcancelstate(cancel_state, NULL);
	return TCMU_STS_ASYNC_HANDLED;
}

/* ---- configuration ---- */

static bool plugin_refuse_config(char **ret_reason, const char *reason)
{
	*ret_reason = strdup(reason);
	return false;
}

static bool plugin_check_config(const char *cfgstring, char **ret_reason)
{
	char reason[CFGSTRING_REASON_MAX];
	struct cfgstring cfg;
	bool missing = false;

	if (strstr(cfgstring, ";" PLUGIN_CMD_TIME_OUT))
		return plugin_refuse_config(ret_reason, "unknown option '" PLUGIN_CMD_TIME_OUT
							"': prmig completes its commands itself, "
							"and tcmu-runner would follow those "
							"that are gone; leave it out (how long the "
							"LUN may take is the LUN's matter)");
	if (!cfgstring_parse(cfgstring, &cfg, reason))
		return plugin_refuse_config(ret_reason, reason);
	/* A known one opens in any case. At a restart, with the array not there, every LUN behind a
	 * session would cost the daemon's start a time-out. */
	if (!cfg.lun_is_path && configfs_any_backstore(cfgstring, nexus_known))
		return true;
	if (lun_check(&cfg, &missing, reason))
		return true;
	/* A SAN outage while the daemon restarts must not cost a guest its handler. There is only
	 * the cfgstring here: where two backstores have the same, open tells them apart. */
	if (missing && configfs_any_backstore(cfgstring, nexus_known)) {
		log_warning("%s: opened all the same, because the backstore is known: %s",
			    cfgstring, reason);
		return true;
	}
	return plugin_refuse_config(ret_reason, reason);
}

static int plugin_reconfig_size(struct port *port, uint64_t bytes)
{
	uint64_t blocks = tcmu_dev_get_num_lbas(port->dev);
	uint32_t block_len = tcmu_dev_get_block_size(port->dev);

	/* Before it is identified: the LUN's own size follows. */
	if (!__atomic_load_n(&port->identified, __ATOMIC_ACQUIRE) || blocks * block_len == bytes)
		return 0;
	log_error("%s: dev_size cannot be set to %" PRIu64 ": the LUN has %" PRIu64 " bytes",
		  port->backstore.name, bytes, blocks * block_len);
	return -EINVAL;
}

static bool same_line(const char *a, const char *b)
{
	size_t len = strcspn(a, "\n");

	return len == strcspn(b, "\n") && !strncmp(a, b, len);
}

static int plugin_reconfig(struct tcmu_device *dev, struct tcmulib_cfg_info *cfg)
{
	struct port *port = tcmur_dev_get_private(dev);

	switch (cfg->type) {
	case TCMULIB_CFG_DEV_SIZE:
		return plugin_reconfig_size(port, cfg->data.dev_size);
	case TCMULIB_CFG_DEV_CFGSTR:
		/* targetctl restore writes what is there; echo adds a newline. */
		if (same_line(cfg->data.dev_cfgstring, tcmu_dev_get_cfgstring(dev)))
			return 0;
		log_error("%s: the cfgstring of a backstore that exists cannot be changed: delete "
			  "it and create it again (its state on disk stays)",
			  port->backstore.name);
		return -EOPNOTSUPP;
	case TCMULIB_CFG_WRITE_CACHE:
		/* Of no effect: the guest sees the LUN's own caching mode page. */
		return 0;
	}
	return -EOPNOTSUPP;
}

/* ---- open and close ---- */

static void port_free(struct port *port)
{
	ring_destroy(port->ring);
	free(port);
}

static bool port_open_ring(struct port *port, char *reason)
{
	struct ring_config config = {
		.kick = plugin_kick, .user = port, .name = port->backstore.name};
	char *path;

	path = tcmu_dev_get_memory_info(port->dev, &config.mailbox, &config.map_len, NULL);
	free(path);
	if (path) {
		config.libtcmu_tail = plugin_libtcmu_tail(port->dev, port->backstore.name,
							  config.mailbox, config.map_len);
		port->ring = ring_new(&config);
	}
	if (!port->ring)
		snprintf(reason, LUN_REASON_MAX,
			 "the command ring is not one that prmig can answer in (a kernel without "
			 "out-of-order completion?)");
	return port->ring;
}

static int plugin_open(struct tcmu_device *dev, bool reopen)
{
	struct nexus_config config = {0};
	char reason[LUN_REASON_MAX] = "";
	struct port *port;

	(void)reopen; /* tcmu-runner says false always */
	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;
	port->dev = dev;
	if (!configfs_find_backstore(tcmu_dev_get_uio_name(dev), &port->backstore, reason) ||
	    !cfgstring_parse(tcmu_dev_get_cfgstring(dev), &config.cfg, reason) ||
	    !port_open_ring(port, reason))
		goto fail;
	strcpy(config.name, port->backstore.name);
	config.max_transfer_bytes =
		configfs_max_transfer_bytes(&port->backstore, NEXUS_REQUEST_IOV_MAX);
	port->nexus = nexus_open(&config, &plugin_port_ops, port, reason);
	if (!port->nexus)
		goto fail;
	tcmur_dev_set_private(dev, port);
	return 0;

fail:
	log_error("%s: not opened: %s",
		  port->backstore.name[0] ? port->backstore.name : tcmu_dev_get_uio_name(dev),
		  reason);
	port_free(port);
	return -ENODEV;
}

static void plugin_close(struct tcmu_device *dev)
{
	struct port *port = tcmur_dev_get_private(dev);
	int cancel_state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	nexus_close(port->nexus);
	tcmur_dev_set_private(dev, NULL);
	port_free(port);
	pthread_setcancelstate(cancel_state, NULL);
}

static struct tcmur_handler plugin_handler = {
	.name = "Persistent reservations that migrate with their guest (prmig)",
	.subtype = PLUGIN_SUBTYPE,
	.cfg_desc =
		"prmig/<lun>[;option=value]...\n"
		"<lun>: the path of a SCSI block device, an sg node or a regular file, or the name "
		"of a file /etc/prmig/<name>.conf\n"
		"options: migrate-pr=on|off, pr=auto|passthrough|emulate, incoming=on|off, "
		"group=NAME, filter=on|off, hold-timeout=1..25\n",
	.check_config = plugin_check_config,
	.reconfig = plugin_reconfig,
	.open = plugin_open,
	.close = plugin_close,
	.nr_threads = 0,
	.handle_cmd = plugin_handle_cmd,
};

/* What the daemon looks for in the shared object. */
__attribute__((visibility("default"))) int handler_init(void);

int handler_init(void)
{
	/* Guests have their disks without it. */
	if (dbus_edge_start() != 0)
		log_error("no thread for D-Bus: hand-overs are not possible");
	return tcmur_register_handler(&plugin_handler);
}
