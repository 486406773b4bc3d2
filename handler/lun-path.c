/* SPDX-License-Identifier: Apache-2.0 */
/* The TransportID that belongs to a port's name. */
#include "lun.h"

#include <string.h>

#include "percent.h"
#include "pr.h"

#define ISCSI_SEPARATOR ",i,0x"
#define FC_NAME_DIGITS 16

static void lower(const char *text, char *ret)
{
	for (size_t i = 0; i <= strlen(text); i++)
		ret[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
}

bool lun_path_transport_id(const struct lun_path *path, char *ret)
{
	char name[LUN_PORT_MAX], text[PR_TRANSPORT_ID_TEXT_MAX] = "iscsi:";
	char *port;
	bool whole;

	ret[0] = '\0';
	lower(path->initiator_port, name);
	if (strncmp(name, "0x", 2) == 0 && strlen(name + 2) == FC_NAME_DIGITS &&
	    strspn(name + 2, "0123456789abcdef") == FC_NAME_DIGITS) {
		memcpy(ret, "fc:", 3);
		memcpy(ret + 3, name + 2, FC_NAME_DIGITS + 1);
		return true;
	}
	port = strchr(name, ',');
	if (port == NULL)
		return false;
	whole = strncmp(port, ISCSI_SEPARATOR, strlen(ISCSI_SEPARATOR)) == 0;
	/* Another port's number is the kernel's for the session, and the ISID is not shown. */
	if (!whole)
		memcpy(port, ISCSI_SEPARATOR, sizeof(ISCSI_SEPARATOR));
	if (!percent_append(text, sizeof(text), (const uint8_t *)name, strlen(name)))
		return false;
	memcpy(ret, text, strlen(text) + 1);
	return whole;
}
