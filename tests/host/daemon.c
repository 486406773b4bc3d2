/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's main thread: loads the handler and runs the default main context. */
#include "host-internal.h"

#include <dlfcn.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct tcmur_handler *host_handler;

static pthread_t daemon_thread;
static int daemon_event;
/* What stands in the daemon thread's queue: one call at a time. */
static pthread_mutex_t call_lock = PTHREAD_MUTEX_INITIALIZER; /* held by the caller */
static pthread_mutex_t call_state_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t call_done = PTHREAD_COND_INITIALIZER;
static void (*call_function)(void *user);
static void *call_user;
static bool daemon_quit;

int tcmur_register_handler(struct tcmur_handler *handler)
{
	host_handler = handler;
	return 0;
}

/* ---- the daemon's thread ---- */

static gboolean run_call(gint fd, GIOCondition condition, gpointer user)
{
	void (*function)(void *user);
	uint64_t count;
	void *arg;

	(void)condition;
	(void)user;
	if (read(fd, &count, sizeof(count)) < 0)
		return G_SOURCE_CONTINUE;
	pthread_mutex_lock(&call_state_lock);
	function = call_function;
	arg = call_user;
	pthread_mutex_unlock(&call_state_lock);
	function(arg);
	pthread_mutex_lock(&call_state_lock);
	call_function = NULL;
	pthread_cond_broadcast(&call_done);
	pthread_mutex_unlock(&call_state_lock);
	return G_SOURCE_CONTINUE;
}

static void *daemon_run(void *user)
{
	guint source = g_unix_fd_add(daemon_event, G_IO_IN, run_call, NULL);

	(void)user;
	while (!daemon_quit)
		g_main_context_iteration(NULL, TRUE);
	g_source_remove(source);
	return NULL;
}

void host_on_daemon(void (*call)(void *user), void *user)
{
	uint64_t one = 1;

	pthread_mutex_lock(&call_lock);
	pthread_mutex_lock(&call_state_lock);
	call_function = call;
	call_user = user;
	if (write(daemon_event, &one, sizeof(one)) < 0)
		perror("eventfd");
	while (call_function)
		pthread_cond_wait(&call_done, &call_state_lock);
	pthread_mutex_unlock(&call_state_lock);
	pthread_mutex_unlock(&call_lock);
}

/* ---- life ---- */

static void start_call(void *user)
{
	bool *ok = user;

	*ok = host_handler != NULL;
	if (*ok)
		sysfs_for_each(host_reopen_device);
}

static void load_call(void *user)
{
	const char *path = user;
	int (*init)(void);
	void *object;

	if (host_handler)
		return;
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		fprintf(stderr, "%s\n", dlerror());
		return;
	}
	init = (int (*)(void))dlsym(object, "handler_init");
	if (!init || init() != 0)
		fprintf(stderr, "%s: no handler_init, or it failed\n", path);
}

bool host_start(const struct host_config *config)
{
	const char *path = config->handler ? config->handler : getenv("PRMIG_HANDLER");
	unsigned int lun;
	bool ok = false;

	if (!path) {
		fprintf(stderr, "PRMIG_HANDLER is not set\n");
		return false;
	}
	snprintf(host_root, sizeof(host_root), "%s", config->root);
	/* What the package installs. */
	sysfs_write("", "etc/prmig/.keep");
	sysfs_write("", "var/lib/prmig/.keep");
	setenv("PRMIG_ROOT", host_root, 1);
	if (config->bus_address)
		setenv("DBUS_SYSTEM_BUS_ADDRESS", config->bus_address, 1);
	for (lun = 0; lun < HOST_LUNS_MAX; lun++)
		if (host_lun(lun))
			sysfs_add_lun(lun);
	daemon_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	daemon_quit = false;
	if (pthread_create(&daemon_thread, NULL, daemon_run, NULL) != 0)
		return false;
	host_on_daemon(load_call, (void *)path);
	host_on_daemon(start_call, &ok);
	return ok;
}

static void quit_call(void *user)
{
	(void)user;
	daemon_quit = true;
}

void host_stop(void)
{
	host_close_devices();
	host_on_daemon(quit_call, NULL);
	pthread_join(daemon_thread, NULL);
	close(daemon_event);
}
