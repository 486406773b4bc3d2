/* SPDX-License-Identifier: Apache-2.0 */
/* One registrant in place of the paths of a nexus. */
#include "be.h"
#include "check.h"
#include "lun-mpath-fold.h"

static size_t put_keys(uint8_t *data, const uint64_t *keys, size_t count)
{
	be_put32(data, 7);
	be_put32(data + 4, (uint32_t)(count * 8));
	for (size_t i = 0; i < count; i++)
		be_put64(data + 8 + 8 * i, keys[i]);
	return 8 + 8 * count;
}

static void test_keys(void)
{
	static const uint64_t keys[] = {0xa, 0xb, 0xa, 0xc, 0xa};
	uint8_t data[64];
	size_t len;

	len = put_keys(data, keys, 5);
	CHECK_INT(mpath_keys_drop(data, len, 0xa, 2), 8 + 3 * 8);
	CHECK_INT(be_get32(data), 7);
	CHECK_INT(be_get32(data + 4), 24);
	CHECK_INT(be_get64(data + 8), 0xa);
	CHECK_INT(be_get64(data + 16), 0xb);
	CHECK_INT(be_get64(data + 24), 0xc);
	/* A stranger's stays. */
	len = put_keys(data, keys, 5);
	CHECK_INT(mpath_keys_drop(data, len, 0xa, 1), 8 + 4 * 8);
	/* The last never goes: the LUN knows better than the count. */
	len = put_keys(data, keys, 2);
	CHECK_INT(mpath_keys_drop(data, len, 0xa, 5), len);
	len = put_keys(data, keys, 5);
	CHECK_INT(mpath_keys_drop(data, len, 0xd, 5), len);
	/* Cut, or lying about its length. */
	CHECK_INT(mpath_keys_drop(data, 16, 0xa, 5), 16);
	CHECK_INT(mpath_keys_drop(data, 7, 0xa, 5), 7);
}

/* ---- READ FULL STATUS ---- */

#define K 0xabcd1
#define ID_LEN 52 /* an iSCSI port's */
#define DESCRIPTOR_LEN (24 + ID_LEN)

static uint8_t data[2048];
static size_t data_len;

static void begin(void)
{
	memset(data, 0, sizeof(data));
	be_put32(data, 7);
	data_len = 8;
}

static void text_of(const char *host, char *ret)
{
	snprintf(ret, ID_LEN, "iqn.2026-11.org.example:%s,i,0x00023d000001", host);
}

/* type 0: does not hold. */
static void add(uint64_t key, const char *host, uint16_t port, uint8_t type)
{
	uint8_t *at = data + data_len;

	be_put64(at, key);
	at[12] = type != 0;
	at[13] = type;
	be_put16(at + 18, port);
	be_put32(at + 20, ID_LEN);
	at[24] = 0x45;
	be_put16(at + 26, ID_LEN - 4);
	text_of(host, (char *)at + 28);
	data_len += DESCRIPTOR_LEN;
	be_put32(data + 4, (uint32_t)(data_len - 8));
}

static struct mpath_port own(const char *host, uint16_t port)
{
	struct mpath_port ret = {.relative_target_port = port};
	uint8_t id[ID_LEN] = {0x45, 0, 0, ID_LEN - 4};

	text_of(host, (char *)id + 4);
	CHECK(pr_transport_id_text(id, sizeof(id), ret.transport_id));
	return ret;
}

/* "host/port*type ..." of what is left. */
static const char *left(size_t len)
{
	static char text[512];
	struct pr_full_status status;
	size_t offset = 0;
	bool malformed;

	text[0] = '\0';
	CHECK_INT(be_get32(data + 4), len - 8);
	CHECK_INT(be_get32(data), 7);
	while (pr_full_status_next(data, len, &offset, &status, &malformed)) {
		char host[2] = {(char)status.transport_id[4 + strlen("iqn.2026-11.org.example:")]};

		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%llx:%s/%u",
			 text[0] != '\0' ? " " : "", (unsigned long long)status.key, host,
			 status.relative_target_port);
		if (status.holder)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "*%u",
				 status.type);
	}
	CHECK(!malformed);
	return text;
}

static size_t fold(const struct mpath_port *ports, size_t count, size_t want_dropped)
{
	size_t dropped = 99, len = mpath_status_fold(data, data_len, K, ports, count, &dropped);

	CHECK_INT(dropped, want_dropped);
	return len;
}

static void test_one_registrant(void)
{
	struct mpath_port ports[] = {own("a", 1), own("b", 2), own("c", 1)};

	begin();
	add(0xb0b, "z", 1, 0);
	add(K, "b", 2, 0);
	add(K, "a", 1, 5);
	add(K, "c", 1, 0);
	add(0xb0b, "y", 1, 0);
	CHECK_STR(left(fold(ports, 3, 2)), "b0b:z/1 abcd1:a/1*5 b0b:y/1");
	/* Once more: there is nothing to do. */
	data_len = 8 + be_get32(data + 4);
	CHECK_STR(left(fold(ports, 3, 0)), "b0b:z/1 abcd1:a/1*5 b0b:y/1");
}

static void test_strangers_stay(void)
{
	struct mpath_port ports[] = {own("a", 1), own("b", 2)};

	begin();
	add(K, "s", 1, 0); /* another node with the same key */
	add(K, "b", 1, 0); /* an own initiator port, and a target port that is no path of ours */
	add(K, "b", 2, 0);
	add(0x77, "a", 1, 0); /* an own path with another key */
	add(K, "a", 1, 0);
	CHECK_STR(left(fold(ports, 2, 1)), "abcd1:s/1 abcd1:b/1 77:a/1 abcd1:a/1");
}

static void test_holder_is_kept(void)
{
	struct mpath_port ports[] = {own("a", 1), own("b", 2)};

	/* Another own path holds. */
	begin();
	add(K, "a", 1, 0);
	add(K, "b", 2, 6);
	CHECK_STR(left(fold(ports, 2, 1)), "abcd1:a/1*6");
	/* All registrants. */
	begin();
	add(K, "a", 1, 7);
	add(K, "b", 2, 7);
	add(0xb0b, "z", 1, 7);
	CHECK_STR(left(fold(ports, 2, 1)), "abcd1:a/1*7 b0b:z/1*7");
	/* A stranger does: the guest does not. */
	begin();
	add(K, "a", 1, 0);
	add(K, "z", 1, 5);
	add(K, "b", 2, 0);
	CHECK_STR(left(fold(ports, 2, 1)), "abcd1:a/1 abcd1:z/1*5");
}

static void test_main_path_is_not_listed(void)
{
	struct mpath_port ports[] = {own("a", 1), own("b", 2), own("c", 3)};

	begin();
	add(K, "c", 3, 0);
	add(K, "b", 2, 5);
	CHECK_STR(left(fold(ports, 3, 1)), "abcd1:c/3*5");
	begin();
	add(0xb0b, "z", 1, 0);
	CHECK_STR(left(fold(ports, 3, 0)), "b0b:z/1");
	begin();
	CHECK_STR(left(fold(ports, 3, 0)), "");
}

static void test_cut_or_malformed_stays(void)
{
	struct mpath_port ports[] = {own("a", 1), own("b", 2)};
	uint8_t before[sizeof(data)];
	size_t dropped, all;

	begin();
	add(K, "a", 1, 0);
	add(K, "b", 2, 0);
	all = data_len;
	memcpy(before, data, sizeof(data));
	for (size_t len = 0; len < all; len++) {
		CHECK_INT(mpath_status_fold(data, len, K, ports, 2, &dropped), len);
		CHECK_INT(dropped, 0);
	}
	CHECK(memcmp(before, data, sizeof(data)) == 0);
	/* A TransportID that is longer than what there is. */
	be_put32(data + 8 + DESCRIPTOR_LEN + 20, ID_LEN + 4);
	CHECK_INT(mpath_status_fold(data, all, K, ports, 2, &dropped), all);
	CHECK_INT(dropped, 0);
}

/* ---- what is not known of a port ---- */

/* beginning: of the host's name alone. */
static struct mpath_port of_host(const char *host, uint16_t port)
{
	struct mpath_port ret = {.relative_target_port = port};

	snprintf(ret.beginning, sizeof(ret.beginning),
		 "iscsi:iqn.2026-11.org.example:%s%%2Ci%%2C0x", host);
	return ret;
}

static bool is(const struct mpath_port *port, const char *host, uint16_t number)
{
	struct mpath_port wanted = own(host, number);

	return strcmp(port->transport_id, wanted.transport_id) == 0 &&
	       port->relative_target_port == number;
}

static void test_learnt(void)
{
	struct mpath_port ports[] = {of_host("a", 1), of_host("b", 0), own("c", 3)};

	begin();
	add(0xb0b, "z", 1, 0);
	add(K, "b", 2, 0);
	add(K, "c", 3, 0);
	add(K, "a", 1, 5);
	mpath_status_learn(data, data_len, K, ports, 3);
	CHECK(is(&ports[0], "a", 1) && is(&ports[1], "b", 2) && is(&ports[2], "c", 3));
	CHECK_STR(left(fold(ports, 3, 2)), "b0b:z/1 abcd1:a/1*5");
}

/* Two paths that only the LUN can tell apart: as many are listed, so they are these. */
static void test_learnt_together(void)
{
	struct mpath_port ports[] = {{.beginning = ""}, {.beginning = ""}, own("c", 3)};

	begin();
	add(K, "a", 1, 0);
	add(K, "c", 3, 0);
	add(K, "b", 2, 0);
	mpath_status_learn(data, data_len, K, ports, 3);
	CHECK(is(&ports[0], "a", 1) && is(&ports[1], "b", 2));
}

/* Another node with the key: which is whose cannot be told, and nothing is taken for own. */
static void test_not_learnt(void)
{
	struct mpath_port ports[] = {{.beginning = ""}, {.beginning = ""}};
	struct mpath_port named = of_host("a", 1), absent = of_host("x", 1);
	uint8_t before[sizeof(data)];

	begin();
	add(K, "a", 1, 0);
	add(K, "b", 2, 0);
	add(K, "s", 3, 0);
	memcpy(before, data, sizeof(data));
	mpath_status_learn(data, data_len, K, ports, 2);
	CHECK_STR(ports[0].transport_id, "");
	CHECK_STR(ports[1].transport_id, "");
	CHECK_INT(fold(ports, 2, 0), data_len);
	CHECK(memcmp(before, data, sizeof(data)) == 0);
	mpath_status_learn(data, data_len, K, &absent, 1);
	CHECK_STR(absent.transport_id, "");
	mpath_status_learn(data, data_len - 1, K, &named, 1);
	CHECK_STR(named.transport_id, "");
	mpath_status_learn(data, data_len, K, &named, 1);
	CHECK(is(&named, "a", 1));
}

int main(void)
{
	CHECK_RUN(test_keys);
	CHECK_RUN(test_one_registrant);
	CHECK_RUN(test_strangers_stay);
	CHECK_RUN(test_holder_is_kept);
	CHECK_RUN(test_main_path_is_not_listed);
	CHECK_RUN(test_cut_or_malformed_stays);
	CHECK_RUN(test_learnt);
	CHECK_RUN(test_learnt_together);
	CHECK_RUN(test_not_learnt);
	return check_summary();
}
