/* SPDX-License-Identifier: Apache-2.0 */
/* TransportID, SPC-4 7.6.4. */
#include "pr.h"

#include <string.h>

#include "be.h"
#include "percent.h"

#define LEN_MIN 24
#define ISCSI_HEADER_LEN 4
#define ISCSI_SEPARATOR ",i,0x"

enum protocol { PROTOCOL_FC = 0x0, PROTOCOL_SRP = 0x4, PROTOCOL_ISCSI = 0x5, PROTOCOL_SAS = 0x6 };
enum iscsi_format { ISCSI_DEVICE_NAME = 0, ISCSI_PORT_NAME = 1 };

static bool text_hex(const char *prefix, const uint8_t *bytes, size_t len, char *ret)
{
	char text[PR_TRANSPORT_ID_TEXT_MAX];

	memcpy(text, prefix, strlen(prefix) + 1);
	if (!percent_append_hex(text, sizeof(text), bytes, len))
		return false;
	memcpy(ret, text, strlen(text) + 1);
	return true;
}

static bool contains(const uint8_t *bytes, size_t len, const char *word)
{
	size_t word_len = strlen(word);

	for (size_t i = 0; i + word_len <= len; i++)
		if (!memcmp(bytes + i, word, word_len))
			return true;
	return false;
}

static bool text_iscsi(const uint8_t *id, size_t len, char *ret)
{
	char text[PR_TRANSPORT_ID_TEXT_MAX] = "iscsi:";
	uint8_t name[PR_TRANSPORT_ID_MAX];
	size_t total, name_len;
	const uint8_t *nul;
	uint8_t format = id[0] >> 6;

	if (format != ISCSI_DEVICE_NAME && format != ISCSI_PORT_NAME)
		return false;
	total = ISCSI_HEADER_LEN + (size_t)be_get16(id + 2);
	if (total < LEN_MIN || total % 4 || total > len || total > PR_TRANSPORT_ID_MAX)
		return false;
	nul = memchr(id + ISCSI_HEADER_LEN, '\0', total - ISCSI_HEADER_LEN);
	if (!nul)
		return false;
	name_len = (size_t)(nul - id) - ISCSI_HEADER_LEN;
	if (!name_len)
		return false;

	for (size_t i = 0; i < name_len; i++) {
		name[i] = id[ISCSI_HEADER_LEN + i];
		if (name[i] >= 'A' && name[i] <= 'Z')
			name[i] = (uint8_t)(name[i] - 'A' + 'a');
	}
	/* Without the ISID two ports of one initiator would look the same: all bytes, then. */
	if (format == ISCSI_PORT_NAME && !contains(name, name_len, ISCSI_SEPARATOR))
		return text_hex("id:", id, total, ret);
	if (!percent_append(text, sizeof(text), name, name_len))
		return false;
	memcpy(ret, text, strlen(text) + 1);
	return true;
}

bool pr_transport_id_text(const uint8_t *id, size_t len, char *ret)
{
	uint8_t protocol;

	if (len < LEN_MIN || len % 4)
		return false;
	protocol = id[0] & 0x0f;
	if (protocol == PROTOCOL_ISCSI)
		return text_iscsi(id, len, ret);
	if (id[0] >> 6)
		return false;
	switch (protocol) {
	case PROTOCOL_FC:
		return text_hex("fc:", id + 8, 8, ret);
	case PROTOCOL_SRP:
		return text_hex("srp:", id + 8, 16, ret);
	case PROTOCOL_SAS:
		return text_hex("sas:", id + 4, 8, ret);
	default:
		return text_hex("id:", id, len, ret);
	}
}
