/* SPDX-License-Identifier: Apache-2.0 */
/* The TransportID that belongs to a port's name in sysfs. */
#include "check.h"
#include "lun.h"
#include "pr.h"

static const char *text_of(const char *initiator_port)
{
	static char text[PR_TRANSPORT_ID_TEXT_MAX];
	struct lun_path path = {0};

	snprintf(path.initiator_port, sizeof(path.initiator_port), "%s", initiator_port);
	return lun_path_transport_id(&path, text) ? text : NULL;
}

/* As READ FULL STATUS shows the same port. */
static void test_iscsi(void)
{
	static const char name[] = "iqn.2026-11.org.example:A,i,0x00023d000001";
	uint8_t id[64] = {0x45, 0, 0, 44};
	char shown[PR_TRANSPORT_ID_TEXT_MAX];

	memcpy(id + 4, name, sizeof(name));
	CHECK(pr_transport_id_text(id, 48, shown));
	CHECK_STR(text_of(name), shown);
	CHECK_STR(text_of("iqn.2026-11.org.example:A,i,0x00023D000001"), shown);
	CHECK(text_of("iqn.2026-11.org.example:a") == NULL);
}

/* Where the driver shows no ISID. */
static void test_beginning(void)
{
	struct lun_path path = {.initiator_port = "iqn.2026-11.org.example:A,session12"};
	char text[PR_TRANSPORT_ID_TEXT_MAX];

	CHECK(!lun_path_transport_id(&path, text));
	CHECK_STR(text, "iscsi:iqn.2026-11.org.example:a%2Ci%2C0x");
	path = (struct lun_path){.initiator_port = "SCSI host 3 channel 0"};
	CHECK(!lun_path_transport_id(&path, text));
	CHECK_STR(text, "");
}

static void test_fibre_channel(void)
{
	static const uint8_t id[24] = {0, [8] = 0x21, 0, 0, 0x24, 0xff, 0x01, 0x02, 0xAB};
	char shown[PR_TRANSPORT_ID_TEXT_MAX];

	CHECK(pr_transport_id_text(id, sizeof(id), shown));
	CHECK_STR(text_of("0x21000024ff0102ab"), shown);
	CHECK_STR(text_of("0x21000024FF0102AB"), shown);
	CHECK(text_of("0x21000024ff0102") == NULL);
	CHECK(text_of("0x21000024ff0102zz") == NULL);
}

static void test_others(void)
{
	CHECK(text_of("") == NULL);
	CHECK(text_of("SCSI host 3 channel 0") == NULL);
}

int main(void)
{
	CHECK_RUN(test_iscsi);
	CHECK_RUN(test_beginning);
	CHECK_RUN(test_fibre_channel);
	CHECK_RUN(test_others);
	return check_summary();
}
