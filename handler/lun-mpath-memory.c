/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-mpath-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "log.h"
#include "store.h"

#define VERSION "1.0"
#define MAJOR 1

bool mpath_same_nexus(const struct mpath_path *a, const struct mpath_path *b)
{
	return a->ports.initiator_port[0] != '\0' &&
	       strcmp(a->ports.initiator_port, b->ports.initiator_port) == 0 &&
	       strcmp(a->ports.target_port, b->ports.target_port) == 0;
}

/*
 * A session of the same initiator's to the same target port, under another number: one that was closed does not come back, and this is
 * in its place. Whether the LUN knows the one for the other (by the ISID, which is not shown) is to be asked.
 */
static bool takes_its_place(const struct mpath_path *path, const struct mpath_path *remembered)
{
	size_t len = strcspn(remembered->ports.initiator_port, ",");

	return !path->gone && !path->recalled && remembered->ports.initiator_port[len] == ',' &&
	       strncmp(path->ports.initiator_port, remembered->ports.initiator_port, len + 1) ==
		       0 &&
	       strcmp(path->ports.target_port, remembered->ports.target_port) == 0;
}

/* ---- on disk ---- */

static const char *key_of(char *buf, size_t len, size_t path, const char *what)
{
	snprintf(buf, len, "path%zu-%s", path, what);
	return buf;
}

/* The paths by which something stands, or may, in their order. */
static bool format(const struct lun_mpath *mpath, char *text)
{
	struct fields_writer writer;
	char key[32];
	size_t count = 0;

	fields_begin(&writer, text, MPATH_MEMORY_BYTES, '\n', VERSION);
	fields_add_text(&writer, "lun", mpath->designator);
	for (size_t i = 0; i < mpath->path_count; i++) {
		const struct mpath_path *path = mpath->paths[i];

		if ((path->key == 0 && path->old_key == 0) || path->ports.initiator_port[0] == '\0')
			continue;
		fields_add_text(&writer, key_of(key, sizeof(key), count, "initiator"),
				path->ports.initiator_port);
		fields_add_text(&writer, key_of(key, sizeof(key), count, "target"),
				path->ports.target_port);
		fields_add_text(&writer, key_of(key, sizeof(key), count, "transport-id"),
				path->transport_id);
		fields_add_number(&writer, key_of(key, sizeof(key), count, "port"),
				  path->relative_target_port);
		fields_add_hex(&writer, key_of(key, sizeof(key), count, "key"), path->key);
		fields_add_hex(&writer, key_of(key, sizeof(key), count, "old-key"), path->old_key);
		count++;
	}
	if (!fields_finish(&writer))
		return false;
	if (count == 0)
		text[0] = '\0';
	return true;
}

static bool save(struct lun_mpath *mpath)
{
	char *text = mpath->scratch;
	int result;

	if (!format(mpath, text))
		result = -EMSGSIZE;
	else if (strcmp(text, mpath->memory) == 0)
		return true;
	else if (text[0] != '\0')
		result = store_write(STORE_PATHS, mpath->memory_name, text);
	else
		result = store_remove(STORE_PATHS, mpath->memory_name);
	if (result != 0 && !(text[0] == '\0' && result == -ENOENT)) {
		log_error("%s: which keys stand by which path cannot be written to disk: %s",
			  mpath->path, strerror(-result));
		return false;
	}
	memcpy(mpath->memory, text, strlen(text) + 1);
	return true;
}

bool mpath_expect(struct lun_mpath *mpath, struct mpath_path *path, uint64_t key)
{
	uint64_t key_before = path->key, old_key_before = path->old_key;

	/* What may go needs no word: that it stands is asked for. */
	if (key == 0 || key == path->key)
		return true;
	path->old_key = path->key;
	path->key = key;
	if (save(mpath))
		return true;
	path->key = key_before;
	path->old_key = old_key_before;
	return false;
}

static bool path_parse(const char *text, size_t i, struct mpath_path *ret_path)
{
	uint64_t port;
	char key[32];

	if (!fields_get_text(text, '\n', key_of(key, sizeof(key), i, "initiator"),
			     ret_path->ports.initiator_port, LUN_PORT_MAX) ||
	    !fields_get_text(text, '\n', key_of(key, sizeof(key), i, "target"),
			     ret_path->ports.target_port, LUN_PORT_MAX) ||
	    !fields_get_text(text, '\n', key_of(key, sizeof(key), i, "transport-id"),
			     ret_path->transport_id, PR_TRANSPORT_ID_TEXT_MAX) ||
	    !fields_get_number(text, '\n', key_of(key, sizeof(key), i, "port"), UINT16_MAX,
			       &port) ||
	    !fields_get_number(text, '\n', key_of(key, sizeof(key), i, "key"), UINT64_MAX,
			       &ret_path->key) ||
	    !fields_get_number(text, '\n', key_of(key, sizeof(key), i, "old-key"), UINT64_MAX,
			       &ret_path->old_key))
		return false;
	ret_path->relative_target_port = (uint16_t)port;
	return true;
}

static struct mpath_path *find_remembered(struct lun_mpath *mpath,
					  const struct mpath_path *remembered, bool exactly)
{
	for (size_t i = 0; i < mpath->path_count; i++)
		if (exactly ? mpath_same_nexus(mpath->paths[i], remembered)
			    : takes_its_place(mpath->paths[i], remembered))
			return mpath->paths[i];
	return NULL;
}

/* exactly: only where the path itself is there; else only where it is not. */
static void recall_path(struct lun_mpath *mpath, size_t i, const struct mpath_path *remembered,
			bool exactly)
{
	struct mpath_path *path = find_remembered(mpath, remembered, true);
	bool same = path != NULL;

	if (same != exactly)
		return;
	if (!same)
		path = find_remembered(mpath, remembered, false);
	if (path == NULL && mpath->path_count < MPATH_PATHS_MAX)
		path = calloc(1, sizeof(*path));
	if (path == NULL) {
		log_error("%s: no room for the path by %s that is down, and what stands there",
			  mpath->path, remembered->ports.initiator_port);
		return;
	}
	if (path->users == 0) {
		*path = (struct mpath_path){
			.fd = -1,
			.ports = remembered->ports,
			.relative_target_port = remembered->relative_target_port,
			.users = 1,
			.gone = true,
		};
		snprintf(path->device.node, sizeof(path->device.node), "a path that is down");
		pthread_mutex_lock(&mpath->lock);
		mpath->paths[mpath->path_count++] = path;
		pthread_mutex_unlock(&mpath->lock);
	}
	if (same || path->gone)
		memcpy(path->transport_id, remembered->transport_id, sizeof(path->transport_id));
	path->recalled = true;
	path->key = remembered->key;
	path->old_key = remembered->old_key;
	path->unproven = true;
	/* It was the main path. */
	if (i == 0)
		mpath_place(mpath, path, 0);
}

void mpath_recall(struct lun_mpath *mpath)
{
	char *text = mpath->scratch, lun[SCSI_DESIGNATOR_MAX];
	struct mpath_path remembered = {0};
	int result;

	if (mpath->recalled)
		return;
	mpath->recalled = true;
	if (mpath->shared)
		snprintf(mpath->memory_name, sizeof(mpath->memory_name), "%s,emulated",
			 mpath->designator);
	result = store_read(STORE_PATHS, mpath->memory_name, text, MPATH_MEMORY_BYTES);
	if (result == -ENOENT)
		return;
	if (result != 0 || fields_check(text, '\n', MAJOR) != FIELDS_GOOD) {
		log_error("%s: what is on disk of its paths cannot be read, and is set aside: what "
			  "stands by a path that is down is not known",
			  mpath->path);
		store_set_aside(STORE_PATHS, mpath->memory_name);
		return;
	}
	memcpy(mpath->memory, text, strlen(text) + 1);
	if (!fields_get_text(text, '\n', "lun", lun, sizeof(lun)) ||
	    strcmp(lun, mpath->designator) != 0)
		return;
	for (size_t i = 0; i < MPATH_PATHS_MAX && path_parse(text, i, &remembered); i++)
		recall_path(mpath, i, &remembered, true);
	for (size_t i = 0; i < MPATH_PATHS_MAX && path_parse(text, i, &remembered); i++)
		recall_path(mpath, i, &remembered, false);
}

/* ---- shown ---- */

static void show(struct lun_mpath *mpath)
{
	struct lun_path_state shown[LUN_PATHS_MAX];
	size_t count = mpath->path_count;

	memset(shown, 0, sizeof(shown));
	for (size_t i = 0; i < count; i++) {
		shown[i].ports = mpath->paths[i]->ports;
		memcpy(shown[i].transport_id, mpath->paths[i]->transport_id,
		       sizeof(shown[i].transport_id));
		shown[i].relative_target_port = mpath->paths[i]->relative_target_port;
		shown[i].key = mpath->paths[i]->key;
	}
	pthread_mutex_lock(&mpath->lock);
	if (count != mpath->shown_count ||
	    memcmp(shown, mpath->shown, count * sizeof(*shown)) != 0) {
		memcpy(mpath->shown, shown, sizeof(shown));
		mpath->shown_count = count;
		mpath->shown_changes++;
	}
	pthread_mutex_unlock(&mpath->lock);
}

void mpath_note(struct lun_mpath *mpath)
{
	save(mpath);
	show(mpath);
}
