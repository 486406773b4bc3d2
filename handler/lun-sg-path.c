/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I_T nexus behind a SCSI device: whose port sends its commands, and whose takes them. In sysfs
 * a device lies below its target, and that below its host:
 *
 *   .../host3/session2/target3:0:0/3:0:0:7		iSCSI
 *   .../host5/rport-5:0-1/target5:0:1/5:0:1:7		Fibre Channel
 *   .../host6/port-6:0/end_device-6:0/target6:0:0/6:0:0:7	SAS
 *
 * One host is one initiator port of a fabric, but for iSCSI adapters, where a session is; one target
 * of it is one target port. So the numbers tell nexuses apart, for every transport. Names are better
 * where there are some: they stay when a target is found again under another number.
 */
#include "lun-sg.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "paths.h"

#define NAME_MAX_LEN 224 /* RFC 3720: an iSCSI name has 223 bytes at most */

struct address {
	unsigned int host, channel, target;
	bool in_session;
	unsigned int session;
};

/* An attribute of a class's device, without its newline. False: none, or nothing in it. */
static bool attribute_read(char *ret_name, const char *class_path, const char *device,
			   const char *attribute)
{
	char text[NAME_MAX_LEN];

	if (!paths_read_attribute(text, sizeof(text), "%s/%s/%s", class_path, device, attribute) ||
	    text[0] == '\0')
		return false;
	memcpy(ret_name, text, strlen(text) + 1);
	return true;
}

/* Where the device is in sysfs: the last of the directories says H:C:T:L. */
static bool address_find(const struct lun_sg_device *device, struct address *ret_address)
{
	char link[PATH_MAX], path[PATH_MAX], *part, *rest = NULL;
	struct address address = {0};
	bool found = false;

	if (paths_format(link, sizeof(link), "%s/%u:%u/device",
			 device->char_device ? PATHS_DEV_CHAR : PATHS_DEV_BLOCK,
			 major(device->rdev), minor(device->rdev)) < 0 ||
	    realpath(link, path) == NULL)
		return false;
	for (part = strtok_r(path, "/", &rest); part != NULL; part = strtok_r(NULL, "/", &rest)) {
		int end = 0;

		if (sscanf(part, "session%u%n", &address.session, &end) == 1 && part[end] == '\0')
			address.in_session = true;
		found = sscanf(part, "%u:%u:%u:%*u%n", &address.host, &address.channel,
			       &address.target, &end) == 3 &&
			part[end] == '\0';
	}
	if (found)
		*ret_address = address;
	return found;
}

/*
 * Two sessions of one initiator name to one portal group have different ISIDs, or the target would
 * have ended the first with the second. Where the driver does not show the ISID the session's number
 * stands for it.
 */
static bool iscsi_path(const struct address *address, struct lun_path *ret_path)
{
	char session[32], name[NAME_MAX_LEN], isid[NAME_MAX_LEN], tag[NAME_MAX_LEN];

	if (!address->in_session)
		return false;
	snprintf(session, sizeof(session), "session%u", address->session);
	if (!attribute_read(name, PATHS_ISCSI_SESSION, session, "initiatorname"))
		return false;
	if (attribute_read(isid, PATHS_ISCSI_SESSION, session, "isid"))
		snprintf(ret_path->initiator_port, LUN_PORT_MAX, "%s,i,0x%.16s", name, isid);
	else
		snprintf(ret_path->initiator_port, LUN_PORT_MAX, "%s,%s", name, session);
	if (attribute_read(name, PATHS_ISCSI_SESSION, session, "targetname") &&
	    attribute_read(tag, PATHS_ISCSI_SESSION, session, "tpgt"))
		snprintf(ret_path->target_port, LUN_PORT_MAX, "%s,t,%.16s", name, tag);
	else
		snprintf(ret_path->target_port, LUN_PORT_MAX, "%s", session);
	return true;
}

static bool fc_path(const struct address *address, struct lun_path *ret_path)
{
	char host[32], target[64], initiator_name[NAME_MAX_LEN], target_name[NAME_MAX_LEN];

	snprintf(host, sizeof(host), "host%u", address->host);
	snprintf(target, sizeof(target), "target%u:%u:%u", address->host, address->channel,
		 address->target);
	if (!attribute_read(initiator_name, PATHS_FC_HOST, host, "port_name") ||
	    !attribute_read(target_name, PATHS_FC_TARGET, target, "port_name"))
		return false;
	snprintf(ret_path->initiator_port, LUN_PORT_MAX, "%s", initiator_name);
	snprintf(ret_path->target_port, LUN_PORT_MAX, "%s", target_name);
	return true;
}

bool lun_sg_path(const struct lun_sg_device *device, struct lun_path *ret_path)
{
	struct lun_path path = {0};
	struct address address;

	if (!address_find(device, &address))
		return false;
	if (!iscsi_path(&address, &path) && !fc_path(&address, &path)) {
		snprintf(path.initiator_port, LUN_PORT_MAX, "SCSI host %u channel %u", address.host,
			 address.channel);
		snprintf(path.target_port, LUN_PORT_MAX, "target %u", address.target);
	}
	*ret_path = path;
	return true;
}
