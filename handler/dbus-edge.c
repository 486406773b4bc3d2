/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-edge.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib-unix.h>

#include "dbus-conf.h"
#include "dbus-info.h"
#include "dbus-manager.h"
#include "dbus-names.h"
#include "dbus-nexus.h"
#include "dbus-vmstate.h"
#include "log.h"
#include "nexus.h"

#define DBUS_EDGE_RETRY_MIN_S 1
#define DBUS_EDGE_RETRY_MAX_S 10
#define DBUS_EDGE_FENCED_MAX 64

/* ---- from the threads of the nexuses ---- */

struct dbus_fenced {
	char name[CFGSTRING_NAME_MAX + 1];
	bool fenced;
	uint64_t key;
};

/*
 * Nexuses tell what happened on threads that guests' commands wait for, so nothing is allocated and
 * nothing waits here: the edge's thread is woken and compares everything. Only FencedChanged, which
 * is no state, is queued; the oldest gives way.
 */
static struct {
	int wake_fd;
	pthread_mutex_t lock; /* the rest; no other lock is taken under it */
	struct dbus_fenced fenced[DBUS_EDGE_FENCED_MAX];
	size_t fenced_first, fenced_count;
} dbus_events = {.wake_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static void dbus_events_wake(void *user, const char *name)
{
	uint64_t one = 1;
	ssize_t written;

	(void)user, (void)name;
	do {
		written = write(dbus_events.wake_fd, &one, sizeof(one));
	} while (written < 0 && errno == EINTR);
}

static void dbus_events_fenced_changed(void *user, const char *name, bool fenced, uint64_t key)
{
	struct dbus_fenced *event;

	pthread_mutex_lock(&dbus_events.lock);
	if (dbus_events.fenced_count == DBUS_EDGE_FENCED_MAX) {
		dbus_events.fenced_first = (dbus_events.fenced_first + 1) % DBUS_EDGE_FENCED_MAX;
		dbus_events.fenced_count--;
	}
	event = &dbus_events.fenced[(dbus_events.fenced_first + dbus_events.fenced_count++) %
				    DBUS_EDGE_FENCED_MAX];
	g_strlcpy(event->name, name, sizeof(event->name));
	event->fenced = fenced;
	event->key = key;
	pthread_mutex_unlock(&dbus_events.lock);
	dbus_events_wake(user, name);
}

static bool dbus_events_take_fenced(struct dbus_fenced *ret_event)
{
	bool any;

	pthread_mutex_lock(&dbus_events.lock);
	any = dbus_events.fenced_count > 0;
	if (any) {
		*ret_event = dbus_events.fenced[dbus_events.fenced_first];
		dbus_events.fenced_first = (dbus_events.fenced_first + 1) % DBUS_EDGE_FENCED_MAX;
		dbus_events.fenced_count--;
	}
	pthread_mutex_unlock(&dbus_events.lock);
	return any;
}

/* ---- the edge's own thread, everything below ---- */

struct dbus_edge {
	GMainContext *context;
	GMainLoop *loop;
	GDBusConnection *connection; /* NULL: no bus */
	GDBusObjectManagerServer *manager;
	GHashTable *nexuses; /* name -> PrmigDBusNexus; those on the bus */
	guint manager_id, owner_id;
	guint retry_s;
	bool complained; /* that there is no bus */
};

static gboolean dbus_edge_connect(void *user);

static void dbus_edge_collect(void *user, const char *name)
{
	g_hash_table_add(user, g_strdup(name));
}

static void dbus_edge_add(struct dbus_edge *edge, const char *name)
{
	char path[DBUS_NAMES_PATH_MAX];
	g_autoptr(GDBusObjectSkeleton) object = NULL;
	PrmigDBusNexus *nexus = dbus_nexus_new(name);

	if (!nexus)
		return;
	dbus_names_nexus_path(name, path);
	object = g_dbus_object_skeleton_new(path);
	g_dbus_object_skeleton_add_interface(object, G_DBUS_INTERFACE_SKELETON(nexus));
	g_dbus_object_manager_server_export(edge->manager, object);
	g_hash_table_insert(edge->nexuses, g_strdup(name), nexus);
}

static void dbus_edge_remove(struct dbus_edge *edge, const char *name)
{
	char path[DBUS_NAMES_PATH_MAX];

	dbus_names_nexus_path(name, path);
	g_dbus_object_manager_server_unexport(edge->manager, path);
}

/* Brings the bus in line with the nexuses that there are. */
static void dbus_edge_reconcile(struct dbus_edge *edge)
{
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct dbus_fenced event;
	GHashTableIter iter;
	void *name, *nexus;

	if (!edge->connection) {
		while (dbus_events_take_fenced(&event)) /* nobody to tell */
			;
		return;
	}
	nexus_for_each(dbus_edge_collect, names);
	g_hash_table_iter_init(&iter, edge->nexuses);
	while (g_hash_table_iter_next(&iter, &name, &nexus)) {
		if (g_hash_table_contains(names, name)) {
			dbus_nexus_refresh(nexus);
			continue;
		}
		dbus_edge_remove(edge, name);
		g_hash_table_iter_remove(&iter);
	}
	g_hash_table_iter_init(&iter, names);
	while (g_hash_table_iter_next(&iter, &name, NULL)) {
		if (!g_hash_table_contains(edge->nexuses, name))
			dbus_edge_add(edge, name);
	}
	/* After the properties: who gets the signal and reads them finds them agree. */
	while (dbus_events_take_fenced(&event)) {
		nexus = g_hash_table_lookup(edge->nexuses, event.name);
		if (nexus)
			dbus_nexus_emit_fenced_changed(nexus, event.fenced, event.key);
	}
}

static gboolean dbus_edge_woken(int fd, GIOCondition condition, void *user)
{
	uint64_t count;

	(void)condition;
	if (read(fd, &count, sizeof(count)) == sizeof(count))
		dbus_edge_reconcile(user);
	return G_SOURCE_CONTINUE;
}

static void dbus_edge_retry_later(struct dbus_edge *edge)
{
	GSource *source = g_timeout_source_new_seconds(edge->retry_s);

	g_source_set_callback(source, dbus_edge_connect, edge, NULL);
	g_source_attach(source, edge->context);
	g_source_unref(source);
	edge->retry_s = MIN(edge->retry_s * 2, DBUS_EDGE_RETRY_MAX_S);
}

static void dbus_edge_disconnect(struct dbus_edge *edge)
{
	if (edge->owner_id)
		g_bus_unown_name(edge->owner_id);
	edge->owner_id = 0;
	g_hash_table_remove_all(edge->nexuses);
	g_clear_object(&edge->manager);
	if (edge->manager_id)
		g_dbus_connection_unregister_object(edge->connection, edge->manager_id);
	edge->manager_id = 0;
	if (edge->connection)
		g_signal_handlers_disconnect_by_data(edge->connection, edge);
	g_clear_object(&edge->connection);
}

static void dbus_edge_closed(GDBusConnection *connection, gboolean remote_peer_vanished,
			     GError *error, void *user)
{
	struct dbus_edge *edge = user;

	(void)connection, (void)remote_peer_vanished;
	log_warning("D-Bus: the system bus has gone (%s): " DBUS_NAMES_BUS_NAME
		    " is back when it is",
		    error ? error->message : "closed");
	edge->complained = true;
	dbus_edge_disconnect(edge);
	edge->retry_s = DBUS_EDGE_RETRY_MIN_S;
	dbus_edge_retry_later(edge);
}

static void dbus_edge_name_acquired(GDBusConnection *connection, const char *name, void *user)
{
	(void)connection, (void)user;
	log_info("D-Bus: %s is on the system bus", name);
}

/* Also when it is never had: another process owns it, or the bus's policy file is missing. The bus
 * gives it to us when the other one goes. */
static void dbus_edge_name_lost(GDBusConnection *connection, const char *name, void *user)
{
	(void)user;
	if (connection && !g_dbus_connection_is_closed(connection))
		log_error("D-Bus: the name %s is not to be had: another process owns it, or the "
			  "bus does not know prmig's policy (" DBUS_NAMES_BUS_NAME ".conf)",
			  name);
}

static GDBusConnection *dbus_edge_open_connection(GError **error)
{
	g_autofree char *address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, error);

	if (!address)
		return NULL;
	return g_dbus_connection_new_for_address_sync(
		address,
		G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
			G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
		NULL, NULL, error);
}

static gboolean dbus_edge_connect(void *user)
{
	struct dbus_edge *edge = user;
	g_autoptr(GError) error = NULL;

	edge->connection = dbus_edge_open_connection(&error);
	if (edge->connection) {
		g_dbus_connection_set_exit_on_close(edge->connection, FALSE);
		edge->manager_id = dbus_manager_register(edge->connection, &error);
	}
	if (error) {
		if (!edge->complained)
			log_warning("D-Bus: no system bus (%s): guests have their disks, but "
				    "nothing can be handed over; trying again",
				    error->message);
		edge->complained = true;
		dbus_edge_disconnect(edge);
		dbus_edge_retry_later(edge);
		return G_SOURCE_REMOVE;
	}
	g_signal_connect(edge->connection, "closed", G_CALLBACK(dbus_edge_closed), edge);
	edge->manager = g_dbus_object_manager_server_new(DBUS_NAMES_ROOT);
	g_dbus_object_manager_server_set_connection(edge->manager, edge->connection);
	dbus_edge_reconcile(edge);
	/* Last: who finds the name finds everything under it. */
	edge->owner_id = g_bus_own_name_on_connection(
		edge->connection, DBUS_NAMES_BUS_NAME, G_BUS_NAME_OWNER_FLAGS_NONE,
		dbus_edge_name_acquired, dbus_edge_name_lost, edge, NULL);
	edge->retry_s = DBUS_EDGE_RETRY_MIN_S;
	edge->complained = false;
	return G_SOURCE_REMOVE;
}

static void *dbus_edge_main(void *user)
{
	static struct dbus_edge edge = {.retry_s = DBUS_EDGE_RETRY_MIN_S};
	struct dbus_conf *conf;
	GSource *source;

	(void)user;
	edge.context = g_main_context_new();
	g_main_context_push_thread_default(edge.context);
	edge.nexuses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_object_unref);
	edge.loop = g_main_loop_new(edge.context, FALSE);

	source = g_unix_fd_source_new(dbus_events.wake_fd, G_IO_IN);
	g_source_set_callback(source, G_SOURCE_FUNC(dbus_edge_woken), &edge, NULL);
	g_source_attach(source, edge.context);
	g_source_unref(source);

	conf = dbus_conf_read();
	nexus_set_resync_interval(conf->resync_interval_s * 1000);
	for (guint i = 0; i < conf->groups->len; i++)
		dbus_vmstate_start(conf->groups->pdata[i]);
	dbus_conf_free(conf);
	dbus_edge_connect(&edge);
	g_main_loop_run(edge.loop);
	return NULL;
}

static int dbus_edge_start_thread(void)
{
	sigset_t all, before;
	pthread_t thread;
	int r;

	/* The daemon's signals are the daemon's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, NULL, dbus_edge_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return -r;
	pthread_setname_np(thread, "prmig-dbus");
	pthread_detach(thread);
	return 0;
}

int dbus_edge_start(void)
{
	static const struct nexus_observer observer = {
		.added = dbus_events_wake,
		.removed = dbus_events_wake,
		.changed = dbus_events_wake,
		.fenced_changed = dbus_events_fenced_changed,
	};
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool started;
	int r = 0;

	pthread_mutex_lock(&lock);
	if (dbus_events.wake_fd < 0) {
		dbus_events.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (dbus_events.wake_fd < 0)
			r = -errno;
		else
			nexus_set_observer(&observer);
	}
	if (r == 0 && !started) {
		r = dbus_edge_start_thread();
		started = r == 0;
	}
	pthread_mutex_unlock(&lock);
	return r;
}
