/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-mpath-fold.h"

#include <string.h>

#include "be.h"

#define HEADER_LEN 8
#define KEY_LEN 8
#define R_HOLDER 0x01

size_t mpath_keys_drop(uint8_t *data, size_t len, uint64_t key, size_t count)
{
	size_t end, kept = HEADER_LEN, seen = 0;

	if (len < HEADER_LEN)
		return len;
	end = HEADER_LEN + (size_t)be_get32(data + 4);
	if (end > len)
		return len;
	for (size_t at = HEADER_LEN; at + KEY_LEN <= end; at += KEY_LEN) {
		if (be_get64(data + at) == key && ++seen > 1 && seen - 1 <= count)
			continue;
		memmove(data + kept, data + at, KEY_LEN);
		kept += KEY_LEN;
	}
	be_put32(data + 4, (uint32_t)(kept - HEADER_LEN));
	return kept;
}

/* A descriptor's port. */
struct listed {
	char transport_id[PR_TRANSPORT_ID_TEXT_MAX];
	uint16_t relative_target_port;
};

static bool listed_read(const struct pr_full_status *status, uint64_t key, struct listed *ret)
{
	ret->relative_target_port = status->relative_target_port;
	return status->key == key &&
	       pr_transport_id_text(status->transport_id, status->transport_id_len,
				    ret->transport_id);
}

static bool is_port(const struct listed *listed, const struct mpath_port *port)
{
	return port->relative_target_port == listed->relative_target_port &&
	       strcmp(port->transport_id, listed->transport_id) == 0;
}

/* Which of the ports it is; port_count: none. */
static size_t port_of(const struct pr_full_status *status, uint64_t key,
		      const struct mpath_port *ports, size_t port_count)
{
	struct listed listed;
	size_t i;

	if (!listed_read(status, key, &listed))
		return port_count;
	for (i = 0; i < port_count; i++)
		if (is_port(&listed, &ports[i]))
			break;
	return i;
}

/* ---- learning ---- */

static bool is_known(const struct mpath_port *port)
{
	return port->transport_id[0] != '\0' && port->relative_target_port != 0;
}

static bool could_be(const struct listed *listed, const struct mpath_port *port)
{
	return (port->relative_target_port == 0 ||
		port->relative_target_port == listed->relative_target_port) &&
	       (port->transport_id[0] == '\0' ||
		strcmp(port->transport_id, listed->transport_id) == 0) &&
	       strncmp(port->beginning, listed->transport_id, strlen(port->beginning)) == 0;
}

/* Nothing that is known tells them apart. */
static bool alike(const struct mpath_port *a, const struct mpath_port *b)
{
	return a->relative_target_port == b->relative_target_port &&
	       strcmp(a->transport_id, b->transport_id) == 0 &&
	       strcmp(a->beginning, b->beginning) == 0;
}

/* The first descriptor that could be the port's and is no known one's; returns how many there are. */
static size_t candidates(const uint8_t *data, size_t len, uint64_t key,
			 const struct mpath_port *ports, size_t port_count,
			 const struct mpath_port *like, struct listed *ret_first)
{
	struct pr_full_status status;
	size_t offset = 0, count = 0;
	struct listed listed;
	bool malformed;

	while (pr_full_status_next(data, len, &offset, &status, &malformed))
		if (port_of(&status, key, ports, port_count) == port_count &&
		    listed_read(&status, key, &listed) && could_be(&listed, like) && count++ == 0)
			*ret_first = listed;
	return malformed ? 0 : count;
}

void mpath_status_learn(const uint8_t *data, size_t len, uint64_t key, struct mpath_port *ports,
			size_t port_count)
{
	for (size_t i = 0; i < port_count; i++) {
		struct mpath_port like = ports[i];
		struct listed listed = {.relative_target_port = 0};
		size_t same = 0;

		if (is_known(&like))
			continue;
		for (size_t j = 0; j < port_count; j++)
			same += alike(&ports[j], &like);
		if (candidates(data, len, key, ports, port_count, &like, &listed) != same)
			continue;
		/* Each that is found is no candidate any more. */
		for (size_t j = i; j < port_count; j++) {
			if (!alike(&ports[j], &like))
				continue;
			candidates(data, len, key, ports, port_count, &like, &listed);
			ports[j].relative_target_port = listed.relative_target_port;
			memcpy(ports[j].transport_id, listed.transport_id,
			       sizeof(listed.transport_id));
		}
	}
}

/* ---- folding ---- */

size_t mpath_status_fold(uint8_t *data, size_t len, uint64_t key, const struct mpath_port *ports,
			 size_t port_count, size_t *ret_dropped)
{
	size_t at = HEADER_LEN, next = 0, stays = 0, kept = HEADER_LEN, own = 0;
	struct pr_full_status status;
	bool malformed, holder = false, main_found = false;
	uint8_t scope_type = 0;

	*ret_dropped = 0;
	while (pr_full_status_next(data, len, &next, &status, &malformed)) {
		size_t port = port_of(&status, key, ports, port_count);

		if (port < port_count) {
			if (own++ == 0 || (port == 0 && !main_found))
				stays = at;
			main_found = main_found || port == 0;
			if (status.holder) {
				holder = true;
				scope_type = data[at + 13];
			}
		}
		at = next;
	}
	if (malformed || own < 2)
		return len;
	next = 0;
	at = HEADER_LEN;
	while (pr_full_status_next(data, len, &next, &status, &malformed)) {
		size_t size = next - at;
		bool drop = at != stays && port_of(&status, key, ports, port_count) < port_count;

		if (at == stays && holder) {
			data[at + 12] |= R_HOLDER;
			data[at + 13] = scope_type;
		}
		if (!drop) {
			/* Behind what is still to be read. */
			memmove(data + kept, data + at, size);
			kept += size;
		}
		at = next;
	}
	*ret_dropped = own - 1;
	be_put32(data + 4, (uint32_t)(kept - HEADER_LEN));
	return kept;
}
