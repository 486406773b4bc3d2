/* SPDX-License-Identifier: Apache-2.0 */
/* Devices: added, removed and reconfigured as the kernel's netlink events make the daemon do it. */
#include "host-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define DEFAULT_RING_BYTES (64 << 10)
#define DEFAULT_DATA_BYTES (8 << 20)
#define DEFAULT_DEV_SIZE (8 << 20)
#define DRAIN_TRIES 600
#define DRAIN_WAIT_US 50000

static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;
static struct host_device *devices[HOST_DEVICES_MAX];

/* ---- adding ---- */

struct check {
	const char *cfgstring;
	char *reason;
	bool ok;
};

static void check_call(void *user)
{
	struct check *check = user;
	char *reason = NULL;

	check->ok = host_handler->check_config(check->cfgstring, &reason);
	snprintf(check->reason, HOST_REASON_MAX, "%s", !check->ok && reason ? reason : "");
	free(reason);
}

bool host_check_config(const char *cfgstring, char *reason)
{
	struct check check = {.cfgstring = cfgstring, .reason = reason};

	host_on_daemon(check_call, &check);
	return check.ok;
}

static void device_notify(void *user)
{
	struct host_device *device = user;
	uint64_t one = 1;

	if (write(device->event_fd, &one, sizeof(one)) < 0)
		perror("eventfd");
}

static void device_free(struct host_device *device)
{
	kernel_ring_free(&device->ring);
	close(device->event_fd);
	pthread_mutex_destroy(&device->lock);
	free(device);
}

static struct host_device *device_new(const struct host_device_config *config, unsigned int uio)
{
	struct host_device *device = calloc(1, sizeof(*device));

	if (!kernel_ring_init(&device->ring,
			      config->ring_bytes ? config->ring_bytes : DEFAULT_RING_BYTES,
			      config->data_bytes ? config->data_bytes : DEFAULT_DATA_BYTES)) {
		free(device);
		return NULL;
	}
	device->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_mutex_init(&device->lock, NULL);
	device->ring.libtcmu_tail = &device->libtcmu_tail;
	device->ring.notify = device_notify;
	device->ring.user = device;
	device->known_layout = !config->unknown_libtcmu;
	device->dev.host = device;
	device->dev.fd = -1;
	if (device->known_layout) {
		device->dev.fd = device->event_fd;
		device->dev.map = device->ring.mailbox;
		device->dev.map_len = device->ring.map_len;
	}
	device->dev.block_size = 512;
	device->dev.num_lbas =
		(config->dev_size ? config->dev_size : DEFAULT_DEV_SIZE) / device->dev.block_size;
	snprintf(device->name, sizeof(device->name), "%s", config->name);
	snprintf(device->dev.uio_name, sizeof(device->dev.uio_name), "uio%u", uio);
	snprintf(device->dev.cfgstring, sizeof(device->dev.cfgstring), "%s", config->cfgstring);
	return device;
}

struct add {
	const struct host_device_config *config;
	char *reason;
	struct host_device *device;
};

/* What the daemon does when the kernel says that a device is there. */
static void add_call(void *user)
{
	struct add *add = user;
	struct check check = {.cfgstring = add->config->cfgstring, .reason = add->reason};
	struct host_device *device;
	unsigned int uio = sysfs_add_backstore(add->config);
	size_t i;

	check_call(&check);
	if (!check.ok)
		return;
	device = device_new(add->config, uio);
	if (!device)
		return;
	if (host_handler->open(&device->dev, false) != 0) {
		device_free(device);
		return;
	}
	device->is_open = true;
	if (cmdproc_start(device) != 0)
		abort();
	pthread_mutex_lock(&devices_lock);
	for (i = 0; devices[i]; i++)
		;
	devices[i] = device;
	pthread_mutex_unlock(&devices_lock);
	add->device = device;
}

struct host_device *host_add_device(const struct host_device_config *config, char *reason)
{
	char own_reason[HOST_REASON_MAX], cfgstring[PATH_MAX];
	bool existed = sysfs_find_backstore(config->name, cfgstring) >= 0;
	struct add add = {.config = config, .reason = reason ? reason : own_reason};

	add.reason[0] = '\0';
	if (!config->without_check && !existed && !host_check_config(config->cfgstring, add.reason))
		return NULL;
	host_on_daemon(add_call, &add);
	if (!add.device && !existed)
		sysfs_remove_backstore(config->name);
	return add.device;
}

struct host_device *host_add(const char *name, const char *cfgstring)
{
	struct host_device_config config = {.name = name, .cfgstring = cfgstring};
	char reason[HOST_REASON_MAX];
	struct host_device *device = host_add_device(&config, reason);

	if (!device)
		fprintf(stderr, "%s: not added: %s\n", name, reason);
	return device;
}

struct host_device *host_find_device(const char *name)
{
	struct host_device *found = NULL;
	size_t i;

	pthread_mutex_lock(&devices_lock);
	for (i = 0; i < HOST_DEVICES_MAX; i++)
		if (devices[i] && !strcmp(devices[i]->name, name))
			found = devices[i];
	pthread_mutex_unlock(&devices_lock);
	return found;
}

void host_reopen_device(const char *name, const char *cfgstring)
{
	struct host_device_config config = {.name = name, .cfgstring = cfgstring};
	struct add add = {.config = &config};
	char reason[HOST_REASON_MAX] = "";

	add.reason = reason;
	add_call(&add);
	if (!add.device)
		fprintf(stderr, "%s: not opened at the start: %s\n", name, reason);
}

/* ---- removing ---- */

struct removal {
	struct host_device *device;
	enum host_removal how;
	bool drained;
};

static bool device_drained(struct host_device *device, enum host_removal how)
{
	bool drained;

	if (how == HOST_BLOCK)
		return kernel_ring_is_empty(&device->ring);
	pthread_mutex_lock(&device->ring.lock);
	drained = device->ring.outstanding == 0 && !device->ring.queue_first;
	pthread_mutex_unlock(&device->ring.lock);
	return drained;
}

static bool device_drain(struct host_device *device, enum host_removal how)
{
	int tries;

	for (tries = 0; tries < DRAIN_TRIES; tries++) {
		if (device_drained(device, how))
			return true;
		usleep(DRAIN_WAIT_US);
	}
	return false;
}

static void remove_call(void *user)
{
	struct removal *removal = user;
	struct host_device *device = removal->device;

	if (removal->how == HOST_BLOCK) {
		kernel_ring_block(&device->ring, true);
		removal->drained = device_drain(device, HOST_BLOCK);
	}
	cmdproc_stop(device);
}

static void device_forget(struct host_device *device)
{
	size_t i;

	pthread_mutex_lock(&devices_lock);
	for (i = 0; i < HOST_DEVICES_MAX; i++)
		if (devices[i] == device)
			devices[i] = NULL;
	pthread_mutex_unlock(&devices_lock);
}

bool host_remove_device(struct host_device *device, enum host_removal how)
{
	struct removal removal = {.device = device, .how = how, .drained = true};

	if (how == HOST_DRAIN)
		removal.drained = device_drain(device, how);
	host_on_daemon(remove_call, &removal);
	/* What the handler answered last is still read. */
	kernel_ring_complete(&device->ring);
	kernel_ring_abandon(&device->ring);
	if (device->ring.fault[0])
		removal.drained = false;
	device_forget(device);
	if (how != HOST_BLOCK)
		sysfs_remove_backstore(device->name);
	device_free(device);
	return removal.drained;
}

/* ---- reconfiguration ---- */

struct reconfig {
	struct host_device *device;
	struct tcmulib_cfg_info info;
	int result;
};

static void reconfig_call(void *user)
{
	struct reconfig *reconfig = user;

	reconfig->result = host_handler->reconfig(&reconfig->device->dev, &reconfig->info);
}

static int reconfigure(struct host_device *device, struct tcmulib_cfg_info info)
{
	struct reconfig reconfig = {.device = device, .info = info};

	host_on_daemon(reconfig_call, &reconfig);
	return reconfig.result;
}

int host_reconfig_size(struct host_device *device, uint64_t bytes)
{
	struct tcmulib_cfg_info info = {.type = TCMULIB_CFG_DEV_SIZE, .data.dev_size = bytes};
	uint64_t blocks = bytes / host_block_size(device);
	int result;

	if (blocks == host_num_lbas(device))
		return 0; /* the daemon does not ask */
	result = reconfigure(device, info);
	if (result == 0)
		tcmu_dev_set_num_lbas(&device->dev, blocks);
	return result;
}

int host_reconfig_cfgstring(struct host_device *device, const char *cfgstring)
{
	struct tcmulib_cfg_info info = {.type = TCMULIB_CFG_DEV_CFGSTR,
					.data.dev_cfgstring = (char *)cfgstring};

	return reconfigure(device, info);
}

int host_reconfig_write_cache(struct host_device *device, bool enabled)
{
	struct tcmulib_cfg_info info = {.type = TCMULIB_CFG_WRITE_CACHE,
					.data.write_cache = enabled};

	return reconfigure(device, info);
}

void host_close_devices(void)
{
	size_t i;

	for (i = HOST_DEVICES_MAX; i-- > 0;)
		if (devices[i] && !host_remove_device(devices[i], HOST_BLOCK))
			fprintf(stderr, "a ring did not get empty at the end\n");
}

uint64_t host_num_lbas(struct host_device *device)
{
	return tcmu_dev_get_num_lbas(&device->dev);
}

uint32_t host_block_size(struct host_device *device)
{
	return tcmu_dev_get_block_size(&device->dev);
}
