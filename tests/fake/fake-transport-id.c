/* SPDX-License-Identifier: Apache-2.0 */
/* TransportIDs of iSCSI (SPC-4, 7.6.4.6). */
#include "fake-internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ISCSI_NAME 0x05
#define ISCSI_PORT 0x45

bool fake_same_initiator_port(const struct fake_nexus *a, const struct fake_nexus *b)
{
	return a->isid == b->isid && strcasecmp(a->name, b->name) == 0;
}

size_t fake_transport_id_build(const struct fake_nexus *nexus, uint8_t *ret_id)
{
	char text[256];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s,i,0x%012llx", nexus->name,
				      (unsigned long long)nexus->isid);
	size_t padded = (len + 1 + 3) / 4 * 4;

	if (padded < 20)
		padded = 20;
	memset(ret_id, 0, 4 + padded);
	ret_id[0] = ISCSI_PORT;
	put16(ret_id + 2, (uint16_t)padded);
	memcpy(ret_id + 4, text, len);
	return 4 + padded;
}

size_t fake_transport_id_length(const uint8_t *id, size_t len)
{
	size_t total;

	if (len < 24)
		return 0;
	if ((id[0] & 0x0f) != 5)
		return (id[0] & 0xc0) == 0 ? 24 : 0;
	if (id[0] != ISCSI_NAME && id[0] != ISCSI_PORT)
		return 0;
	total = 4 + (size_t)get16(id + 2);
	return total >= 24 && total % 4 == 0 && total <= len ? total : 0;
}

bool fake_transport_id_names(const uint8_t *id, const struct fake_nexus *nexus)
{
	const char *text = (const char *)id + 4;
	size_t text_len;
	char port[256];
	int len;

	if (id[0] != ISCSI_NAME && id[0] != ISCSI_PORT)
		return false; /* its bytes 2 and 3 are no length */
	text_len = strnlen(text, get16(id + 2));
	if (id[0] == ISCSI_NAME)
		return text_len == strlen(nexus->name) &&
		       strncasecmp(text, nexus->name, text_len) == 0;
	len = snprintf(port, sizeof(port), "%s,i,0x%012llx", nexus->name,
		       (unsigned long long)nexus->isid);
	return text_len == (size_t)len && strncasecmp(text, port, text_len) == 0;
}
