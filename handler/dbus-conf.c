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

static void read_main(struct dbus_conf *conf, GKeyFile *file, const char *section)
{
	g_auto(GStrv) keys = g_key_file_get_keys(file, section, NULL, NULL);

	for (char **key = keys; key && *key; key++) {
		g_autofree char *value = g_key_file_get_string(file, section, *key, NULL);
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

static bool same_id_there(const struct dbus_conf *conf, const struct dbus_conf_group *group)
{
	for (guint i = 0; i < conf->groups->len; i++) {
		const struct dbus_conf_group *other = conf->groups->pdata[i];

		if (strcmp(other->vmstate_bus, group->vmstate_bus) == 0)
			return true;
	}
	return false;
}

static void read_group(struct dbus_conf *conf, GKeyFile *file, const char *section)
{
	struct dbus_conf_group *group = g_new0(struct dbus_conf_group, 1);
	g_auto(GStrv) keys = g_key_file_get_keys(file, section, NULL, NULL);
	g_autoptr(GError) error = NULL;

	group->group = g_strstrip(g_strdup(section + strlen("group ")));
	group->vmstate_bus = g_key_file_get_string(file, section, "vmstate-bus", NULL);
	group->vmstate_id = g_key_file_get_string(file, section, "vmstate-id", NULL);
	for (char **key = keys; key && *key; key++)
		if (strcmp(*key, "vmstate-bus") != 0 && strcmp(*key, "vmstate-id") != 0)
			log_error(CONF_FILE
				  ": [%s] knows no key '%s'; it knows vmstate-bus and vmstate-id",
				  section, *key);
	if (!cfgstring_name_valid(group->group)) {
		log_error(CONF_FILE ": [%s]: a group's name has letters, digits, '-', '_' and '.', "
				    "at most %d: left "
				    "out",
			  section, CFGSTRING_NAME_MAX);
	} else if (!group->vmstate_bus || !group->vmstate_id || !*group->vmstate_id) {
		log_error(CONF_FILE ": [%s] needs both vmstate-bus, the address of the VM's own "
				    "bus, and vmstate-id, "
				    "what QEMU's id-list has: left out",
			  section);
	} else if (strlen(group->vmstate_id) > CONF_ID_MAX) {
		log_error(CONF_FILE ": [%s]: vmstate-id has more than %d characters: left out",
			  section, CONF_ID_MAX);
	} else if (!g_dbus_is_supported_address(group->vmstate_bus, &error)) {
		log_error(CONF_FILE ": [%s]: vmstate-bus '%s' is no D-Bus address (%s); "
				    "unix:path=/run/vm1/bus would "
				    "be one: left out",
			  section, group->vmstate_bus, error->message);
	} else if (same_id_there(conf, group)) {
		log_error(CONF_FILE ": [%s]: another group has the bus '%s': QEMU would save and "
				    "freeze both VMs; "
				    "give each VM a bus of its own: left out",
			  section, group->vmstate_bus);
	} else {
		g_ptr_array_add(conf->groups, group);
		return;
	}
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
