/* SPDX-License-Identifier: Apache-2.0 */
/* Which logical unit is behind an open device. */
#include "lun-sg.h"

#include <stdio.h>

#include "lun-identify.h"

struct open_device {
	int fd;
	const struct lun_sg_device *device;
};

static void execute(void *user, struct lun_io *io)
{
	const struct open_device *open_device = user;
	bool gone;

	lun_sg_execute(open_device->fd, open_device->device->char_device, 0, io, &gone);
}

static struct lun_way way_of(struct open_device *open_device)
{
	return (struct lun_way){
		.execute = execute,
		.user = open_device,
		.node = open_device->device->node,
		.size_bytes = open_device->device->size_bytes,
		.block_len_bytes = open_device->device->block_len_bytes,
	};
}

bool lun_sg_identify(int fd, const struct lun_sg_device *device, char *ret_designator,
		     bool *ret_missing, char *reason)
{
	struct open_device open_device = {fd, device};
	struct lun_way way = way_of(&open_device);

	return lun_identify(&way, ret_designator, ret_missing, reason);
}

bool lun_sg_identify_fully(int fd, const struct lun_sg_device *device,
			   struct lun_identity *ret_identity, char *reason)
{
	struct open_device open_device = {fd, device};
	struct lun_way way = way_of(&open_device);
	struct lun_identity identity;
	bool missing;

	if (!lun_identify_fully(&way, &identity, &missing, reason))
		return false;
	identity.max_transfer_bytes = device->max_transfer_bytes;
	snprintf(identity.device, sizeof(identity.device), "%s", device->node);
	identity.path_count = lun_sg_path(device, &identity.paths[0]) ? 1 : 0;
	*ret_identity = identity;
	return true;
}

uint16_t lun_sg_target_port(int fd, const struct lun_sg_device *device)
{
	struct open_device open_device = {fd, device};
	struct lun_way way = way_of(&open_device);

	return lun_identify_target_port(&way);
}
