/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions made and identified, on the LUN's thread. */
#include "lun-iscsi-internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lun-identify.h"

#define LOGIN_MS 5000
#define LOGOUT_MS 1000
#define SERVE_MAX_MS 500

void lun_iscsi_serve(struct lun_iscsi *iscsi, uint64_t until_ms)
{
	uint64_t now_ms = lun_iscsi_now_ms(), wait_ms = until_ms > now_ms ? until_ms - now_ms : 0;
	struct pollfd fds[2] = {{.fd = iscsi->wake, .events = POLLIN}, {.fd = -1}};
	uint64_t count;

	if (iscsi->session != NULL) {
		fds[1].fd = lun_iscsi_session_fd(iscsi->session);
		fds[1].events = lun_iscsi_session_events(iscsi->session);
	}
	if (wait_ms > SERVE_MAX_MS)
		wait_ms = SERVE_MAX_MS;
	if (poll(fds, 2, (int)wait_ms) < 0)
		fds[0].revents = fds[1].revents = 0;
	if ((fds[0].revents & POLLIN) && read(iscsi->wake, &count, sizeof(count)) < 0 &&
	    errno != EAGAIN)
		fds[0].revents = 0;
	if (iscsi->session != NULL)
		lun_iscsi_session_service(iscsi->session, fds[1].revents);
}

/* ---- identification ---- */

struct own_command {
	struct lun_iscsi_command command; /* first */
	bool answered;
};

static void own_answered(struct lun_iscsi_command *command)
{
	((struct own_command *)command)->answered = true;
}

static void close_session(struct lun_iscsi *iscsi)
{
	lun_iscsi_session_close(iscsi->session);
	iscsi->session = NULL;
}

/* Past the guest's queue. Without an answer the session is closed: the command's buffers end here. */
static void execute(void *user, struct lun_io *io)
{
	struct lun_iscsi *iscsi = user;
	struct own_command own = {
		.command = {.cdb = io->cdb,
			    .cdb_len = io->cdb_len,
			    .transfer = LUN_ISCSI_IN,
			    .iov = (struct iovec *)io->iov,
			    .iov_cnt = io->iov_cnt,
			    .data_len = io->data_len,
			    .done = own_answered},
	};
	uint64_t until_ms = lun_iscsi_now_ms() + io->timeout_ms;

	if (iscsi->session != NULL && lun_iscsi_session_send(iscsi->session, &own.command)) {
		while (!own.answered && !lun_iscsi_stopping(iscsi) &&
		       lun_iscsi_session_state(iscsi->session) == LUN_ISCSI_LOGGED_IN &&
		       lun_iscsi_now_ms() < until_ms)
			lun_iscsi_serve(iscsi, until_ms);
	}
	if (own.answered) {
		io->result = (struct lun_result){
			.status = own.command.status,
			.sense_len = own.command.sense_len,
			.residual_bytes = own.command.residual_bytes,
		};
		memcpy(io->result.sense, own.command.sense, own.command.sense_len);
		return;
	}
	close_session(iscsi);
	lun_iscsi_command_drop(&own.command);
	lun_result_not_ready(&io->result);
	io->result.unknown = true;
	io->result.residual_bytes = io->data_len;
}

static bool same_lun(const struct lun_iscsi *iscsi, const char *node,
		     const struct lun_identity *identity, char *reason)
{
	if (iscsi->designator[0] == '\0' || strcmp(iscsi->designator, identity->designator) == 0)
		return true;
	snprintf(reason, LUN_REASON_MAX,
		 "%.200s is another logical unit now: %.100s, and it was %.100s before: nothing is "
		 "sent to it",
		 node, identity->designator, iscsi->designator);
	return false;
}

bool lun_iscsi_identify(struct lun_iscsi *iscsi, bool fully, struct lun_identity *ret_identity,
			bool *ret_missing, char *reason)
{
	struct lun_iscsi_definition definition;
	struct lun_identity identity;
	bool good;
	char node[LUN_DEVICE_MAX];
	struct lun_way way = {
		.execute = execute,
		.user = iscsi,
		.node = node,
		.size_bytes = iscsi->size_bytes,
		.block_len_bytes = iscsi->block_len_bytes,
		.capacity_may_wait = true,
	};

	pthread_mutex_lock(&iscsi->lock);
	definition = iscsi->definition;
	identity = iscsi->identity;
	pthread_mutex_unlock(&iscsi->lock);
	identity.unit_attention_count = 0;
	explicit_bzero(definition.password, sizeof(definition.password));
	snprintf(node, sizeof(node), "LUN %u (lun= in %s.conf) of target %.223s at %s",
		 definition.lun, iscsi->name, definition.target, definition.portal);
	good = fully ? lun_identify_fully(&way, &identity, ret_missing, reason)
		     : lun_identify(&way, identity.designator, ret_missing, reason);
	if (!good)
		return false;
	*ret_missing = false;
	if (!same_lun(iscsi, node, &identity, reason))
		return false;
	memcpy(iscsi->designator, identity.designator, sizeof(iscsi->designator));
	iscsi->block_len_bytes = identity.block_len_bytes;
	iscsi->size_bytes = identity.blocks * identity.block_len_bytes;
	/* Not the portal: by whichever it comes, this is the nexus, and there is one of it. */
	snprintf(identity.device, sizeof(identity.device), "%s/%u by %s", definition.target,
		 definition.lun, definition.initiator);
	/* All ports of that name: some targets tell initiators apart by no more. */
	identity.path_count = 1;
	snprintf(identity.paths[0].initiator_port, LUN_PORT_MAX, "%s", definition.initiator);
	snprintf(identity.paths[0].target_port, LUN_PORT_MAX, "%s", definition.target);
	*ret_identity = identity;
	return true;
}

/* ---- login and logout ---- */

static bool choose_isid(const struct lun_iscsi *iscsi,
			const struct lun_iscsi_definition *definition, bool away, uint8_t *isid)
{
	lun_iscsi_definition_isid(definition, isid);
	/* With the ISID of the nexus it would end the session of whoever has it now. */
	return (!iscsi->probe && !away) ||
	       getrandom(isid + 1, LUN_ISCSI_ISID_LEN - 1, 0) == LUN_ISCSI_ISID_LEN - 1;
}

static bool open_session(struct lun_iscsi *iscsi, char *portal, char *reason)
{
	struct lun_iscsi_definition definition;
	uint8_t isid[LUN_ISCSI_ISID_LEN];
	bool away;

	pthread_mutex_lock(&iscsi->lock);
	definition = iscsi->definition;
	away = iscsi->away;
	pthread_mutex_unlock(&iscsi->lock);
	memcpy(portal, definition.portal, sizeof(definition.portal));
	/* What a session beside the nexus does is nothing of the guest's to a target that goes by names. */
	if (away)
		memcpy(definition.initiator, definition.move, sizeof(definition.initiator));
	if (choose_isid(iscsi, &definition, away, isid))
		iscsi->session = lun_iscsi_session_open(&definition, isid, reason);
	else
		snprintf(reason, LUN_REASON_MAX, "no random numbers: %s", strerror(errno));
	explicit_bzero(&definition, sizeof(definition));
	return iscsi->session != NULL;
}

bool lun_iscsi_log_in(struct lun_iscsi *iscsi, bool fully, struct lun_identity *ret_identity,
		      bool *ret_missing, char *reason)
{
	uint64_t until_ms = lun_iscsi_now_ms() + LOGIN_MS;
	char portal[LUN_ISCSI_PORTAL_MAX + 1];
	enum lun_iscsi_session_state state = LUN_ISCSI_CONNECTING;

	*ret_missing = true;
	if (!open_session(iscsi, portal, reason))
		return false;
	while (state == LUN_ISCSI_CONNECTING && lun_iscsi_now_ms() < until_ms &&
	       !lun_iscsi_stopping(iscsi)) {
		lun_iscsi_serve(iscsi, until_ms);
		lun_iscsi_expire(iscsi);
		state = lun_iscsi_session_state(iscsi->session);
	}
	if (state == LUN_ISCSI_LOGGED_IN) {
		iscsi->pinged_ms = iscsi->logged_in_ms = lun_iscsi_now_ms();
		if (lun_iscsi_identify(iscsi, fully, ret_identity, ret_missing, reason))
			return true;
	} else if (state == LUN_ISCSI_CONNECTING) {
		snprintf(reason, LUN_REASON_MAX, "portal %s does not answer within %d s", portal,
			 LOGIN_MS / 1000);
	} else {
		snprintf(reason, LUN_REASON_MAX, "%s", lun_iscsi_session_error(iscsi->session));
	}
	close_session(iscsi);
	return false;
}

void lun_iscsi_log_out(struct lun_iscsi *iscsi)
{
	uint64_t until_ms = lun_iscsi_now_ms() + LOGOUT_MS;

	if (iscsi->session == NULL)
		return;
	if (lun_iscsi_session_state(iscsi->session) == LUN_ISCSI_LOGGED_IN)
		lun_iscsi_session_logout(iscsi->session);
	while (lun_iscsi_session_state(iscsi->session) == LUN_ISCSI_LOGGED_IN &&
	       lun_iscsi_now_ms() < until_ms)
		lun_iscsi_serve(iscsi, until_ms);
	close_session(iscsi);
}
