/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus-conf.h"

#include <limits.h>
#include <string.h>

#include "cfgstring.h"
#include "log.h"
#include "paths.h"

#define CONF_FILE PATHS_CONF_DIR "/prmig.conf"
#define CONF_RESYNC_DEFAULT_S 5
#define CONF_RESYNC_MAX_S 3600
#define CONF_ID_MAX 255 /* QEMU's own limit */

static void group_free(void *user)
{
	struct dbus_conf_group *group = user;

	g_free(group->group);
	g_free(group->vmstate_bus);
	g_free(group->vmstate_id);
	g_free(group);
}

/* Without the blanks around it; NULL, with error set, for one that is not there or is no text. */
static char *get_value(GKeyFile *file, const char *section, const char *key, GError **error)
{
	GError *failed = NULL;
	char *value = g_key_file_get_string(file, section, key, &failed);

	if (failed) {
		/* GLib gives what it could read of it, too. */
		g_propagate_error(error, failed);
		g_clear_pointer(&value, g_free);
	}
	return value ? g_strstrip(value) : NULL;
}

static void read_main(struct dbus_conf *conf, GKeyFile *file, const char *section)
{
	g_auto(GStrv) keys = g_key_file_get_keys(file, section, NULL, NULL);

	for (char **key = keys; key && *key; key++) {
		g_autofree char *value = get_value(file, section, *key, NULL);
		guint64 seconds;

		if (strcmp(*key, "resync-interval") != 0)
			log_error(CONF_FILE ": [prmig] knows no key '%s'; it knows resync-interval",
				  *key);
		else if (!value || !g_ascii_string_to_unsigned(value, 10, 0, CONF_RESYNC_MAX_S,
							       &seconds, NULL))
			log_error(CONF_FILE ": resync-interval is '%s': a number of seconds from 0 "
					    "(never) to %d "
					    "would be right; %d s it is",
				  value ? value : "", CONF_RESYNC_MAX_S, CONF_RESYNC_DEFAULT_S);
		else
			conf->resync_interval_s = (unsigned int)seconds;
	}
}

static const struct dbus_conf_group *find_bus(const struct dbus_conf *conf, const char *bus)
{
	for (guint i = 0; i < conf->groups->len; i++) {
		const struct dbus_conf_group *group = conf->groups->pdata[i];

		if (strcmp(group->vmstate_bus, bus) == 0)
			return group;
	}
	return NULL;
}

static const struct dbus_conf_group *find_group(const struct dbus_conf *conf, const char *name)
{
	for (guint i = 0; i < conf->groups->len; i++) {
		const struct dbus_conf_group *group = conf->groups->pdata[i];

		if (strcmp(group->group, name) == 0)
			return group;
	}
	return NULL;
}

/* Why the section does not count; NULL: it does. */
static char *why_left_out(const struct dbus_conf *conf, const struct dbus_conf_group *group)
{
	g_autoptr(GError) error = NULL;

	if (!cfgstring_name_valid(group->group))
		return g_strdup_printf(": a group's name has letters, digits, '-', '_' and '.', at "
				       "most %d",
				       CFGSTRING_NAME_MAX);
	if (!group->vmstate_bus || !*group->vmstate_bus || !group->vmstate_id ||
	    !*group->vmstate_id)
		return g_strdup(" needs both vmstate-bus, the address of the VM's own bus, and "
				"vmstate-id, what QEMU's id-list has");
	if (strlen(group->vmstate_id) > CONF_ID_MAX)
		return g_strdup_printf(": vmstate-id has more than %d characters", CONF_ID_MAX);
	if (strchr(group->vmstate_id, ','))
		return g_strdup_printf(
			": vmstate-id '%s' has a ',', which separates ids in QEMU's id-list",
			group->vmstate_id);
	if (!g_dbus_is_supported_address(group->vmstate_bus, &error))
		return g_strdup_printf(": vmstate-bus '%s' is no D-Bus address (%s); "
				       "unix:path=/run/vm1/bus would be one",
				       group->vmstate_bus, error->message);
	if (find_group(conf, group->group))
		return g_strdup_printf(": group '%s' has a section already", group->group);
	if (find_bus(conf, group->vmstate_bus))
		return g_strdup_printf(
			": another group has the bus '%s': QEMU would save and freeze "
			"both VMs; give each VM a bus of its own",
			group->vmstate_bus);
	return NULL;
}

static void read_group(struct dbus_conf *conf, GKeyFile *file, const char *section)
{
	struct dbus_conf_group *group = g_new0(struct dbus_conf_group, 1);
	g_auto(GStrv) keys = g_key_file_get_keys(file, section, NULL, NULL);
	g_autofree char *reason = NULL;

	group->group = g_strstrip(g_strdup(section + strlen("group ")));
	for (char **key = keys; key && *key; key++) {
		g_autoptr(GError) error = NULL;
		char **value = NULL;

		if (strcmp(*key, "vmstate-bus") == 0)
			value = &group->vmstate_bus;
		else if (strcmp(*key, "vmstate-id") == 0)
			value = &group->vmstate_id;
		if (value) {
			/* A key that stands there twice comes twice, each time with the last value. */
			g_free(*value);
			*value = get_value(file, section, *key, &error);
		} else {
			log_error(CONF_FILE
				  ": [%s] knows no key '%s'; it knows vmstate-bus and vmstate-id",
				  section, *key);
		}
		if (error && !reason)
			reason = g_strdup_printf(": %s cannot be read (%s)", *key, error->message);
	}
	if (!reason)
		reason = why_left_out(conf, group);
	if (!reason) {
		g_ptr_array_add(conf->groups, group);
		return;
	}
	log_error(CONF_FILE ": [%s]%s: left out", section, reason);
	group_free(group);
}

struct dbus_conf *dbus_conf_read(void)
{
	struct dbus_conf *conf = g_new0(struct dbus_conf, 1);
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) sections = NULL;
	char path[PATH_MAX];

	conf->resync_interval_s = CONF_RESYNC_DEFAULT_S;
	conf->groups = g_ptr_array_new_with_free_func(group_free);
	if (paths_format(path, sizeof(path), "%s", CONF_FILE) < 0)
		return conf;
	if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &error)) {
		if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
			log_error(CONF_FILE ": not read: %s", error->message);
		return conf;
	}
	sections = g_key_file_get_groups(file, NULL);
	for (char **section = sections; *section; section++) {
		if (strcmp(*section, "prmig") == 0)
			read_main(conf, file, *section);
		else if (g_str_has_prefix(*section, "group "))
			read_group(conf, file, *section);
		else
			log_error(CONF_FILE
				  ": there is no section [%s]; there are [prmig] and [group NAME]",
				  *section);
	}
	return conf;
}

void dbus_conf_free(struct dbus_conf *conf)
{
	if (!conf)
		return;
	g_ptr_array_unref(conf->groups);
	g_free(conf);
}
