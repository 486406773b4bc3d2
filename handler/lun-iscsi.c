/* SPDX-License-Identifier: Apache-2.0 */
/* The iscsi backend as lun.h has it; the work is done on the LUN's thread. */
#include "lun-iscsi.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lun-iscsi-internal.h"

/* Of this process: a second login of the same nexus would end the first one's session. Before any LUN's
 * own lock. */
static pthread_mutex_t claims_lock = PTHREAD_MUTEX_INITIALIZER;
static struct lun_iscsi *claims;

static struct lun_iscsi *to_iscsi(struct lun *lun)
{
	return (struct lun_iscsi *)lun;
}

static void wake(struct lun_iscsi *iscsi)
{
	uint64_t one = 1;
	ssize_t written;

	do
		written = write(iscsi->wake, &one, sizeof(one));
	while (written < 0 && errno == EINTR);
}

static void iscsi_submit(struct lun *lun, struct lun_io *io)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	bool first;

	io->deadline_ms = lun_iscsi_now_ms() + io->timeout_ms;
	pthread_mutex_lock(&iscsi->lock);
	first = iscsi->submitted.first == NULL;
	lun_iscsi_queue_put(&iscsi->submitted, io);
	pthread_mutex_unlock(&iscsi->lock);
	if (first)
		wake(iscsi);
}

static bool iscsi_is_connected(struct lun *lun)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	bool connected;

	pthread_mutex_lock(&iscsi->lock);
	connected = iscsi->link != LUN_ISCSI_GONE && !iscsi->renewed;
	pthread_mutex_unlock(&iscsi->lock);
	return connected;
}

/* False: another has it. Kept until it is destroyed, or claims another. */
static bool claim(struct lun_iscsi *iscsi, const struct lun_iscsi_definition *definition,
		  char *reason)
{
	struct lun_iscsi *other;

	pthread_mutex_lock(&claims_lock);
	for (other = claims; other != NULL; other = other->next_claim)
		if (other != iscsi && lun_iscsi_definition_same_nexus(&other->claim, definition))
			break;
	if (other != NULL)
		snprintf(reason, LUN_REASON_MAX,
			 "%s.conf and %s.conf, which nexus '%s' uses, name the same "
			 "initiator, target and LUN: the LUN could not tell the two guests apart; "
			 "give this one an initiator name of its own",
			 iscsi->name, other->name, other->nexus);
	if (other == NULL) {
		if (iscsi->claim.target[0] == '\0') {
			iscsi->next_claim = claims;
			claims = iscsi;
		}
		iscsi->claim = *definition;
		explicit_bzero(iscsi->claim.password, sizeof(iscsi->claim.password));
	}
	pthread_mutex_unlock(&claims_lock);
	return other == NULL;
}

static void unclaim(struct lun_iscsi *iscsi)
{
	struct lun_iscsi **at;

	pthread_mutex_lock(&claims_lock);
	for (at = &claims; *at != NULL; at = &(*at)->next_claim) {
		if (*at == iscsi) {
			*at = iscsi->next_claim;
			break;
		}
	}
	pthread_mutex_unlock(&claims_lock);
}

/* Another nexus would be another guest to the LUN. Until the first connect nothing is bound to it. */
static bool define_locked(struct lun_iscsi *iscsi, const struct lun_iscsi_definition *definition,
			  char *reason)
{
	if (iscsi->identity.designator[0] != '\0' &&
	    (!lun_iscsi_definition_same_nexus(&iscsi->definition, definition) ||
	     strcmp(iscsi->definition.move, definition->move) != 0)) {
		snprintf(reason, LUN_REASON_MAX,
			 "target, lun, initiator or move in %s.conf have changed while it was in "
			 "use: "
			 "change them back, or delete the backstore and create it again",
			 iscsi->name);
		return false;
	}
	iscsi->definition = *definition;
	return true;
}

static bool iscsi_connect(struct lun *lun, struct lun_identity *ret_identity, char *reason)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);
	struct lun_iscsi_definition definition;
	bool good;

	if (!lun_iscsi_read_definition(iscsi->name, &definition, reason))
		return false;
	good = iscsi->probe || claim(iscsi, &definition, reason);
	pthread_mutex_lock(&iscsi->lock);
	iscsi->missing = false;
	good = good && define_locked(iscsi, &definition, reason);
	explicit_bzero(&definition, sizeof(definition));
	if (good && iscsi->renewed) {
		/* Identified when it was made again. */
		iscsi->renewed = false;
		*ret_identity = iscsi->identity;
		ret_identity->unit_attention_count = 0;
	} else if (good) {
		iscsi->connect_wanted = true;
		wake(iscsi);
		while (iscsi->connect_wanted)
			pthread_cond_wait(&iscsi->concluded, &iscsi->lock);
		good = iscsi->connect_good;
		if (good)
			*ret_identity = iscsi->identity;
		else
			snprintf(reason, LUN_REASON_MAX, "%s", iscsi->reason);
	}
	pthread_mutex_unlock(&iscsi->lock);
	return good;
}

bool lun_iscsi_place(struct lun_iscsi *iscsi, bool away, char *reason)
{
	bool good;

	pthread_mutex_lock(&iscsi->lock);
	iscsi->place_away = away;
	iscsi->place_wanted = true;
	wake(iscsi);
	while (iscsi->place_wanted)
		pthread_cond_wait(&iscsi->concluded, &iscsi->lock);
	good = iscsi->place_good;
	if (!good)
		snprintf(reason, LUN_REASON_MAX, "%s", iscsi->reason);
	pthread_mutex_unlock(&iscsi->lock);
	return good;
}

static void iscsi_destroy(struct lun *lun)
{
	struct lun_iscsi *iscsi = to_iscsi(lun);

	pthread_mutex_lock(&iscsi->lock);
	iscsi->stopping = true;
	pthread_mutex_unlock(&iscsi->lock);
	wake(iscsi);
	pthread_join(iscsi->thread, NULL);
	/* After the logout: until then the name is taken. */
	unclaim(iscsi);
	close(iscsi->wake);
	pthread_cond_destroy(&iscsi->concluded);
	pthread_mutex_destroy(&iscsi->lock);
	explicit_bzero(&iscsi->definition, sizeof(iscsi->definition));
	free(iscsi);
}

static const struct lun_ops iscsi_ops = {
	.name = "iscsi",
	.connect = iscsi_connect,
	.is_connected = iscsi_is_connected,
	.submit = iscsi_submit,
	.move = &lun_iscsi_move,
	.destroy = iscsi_destroy,
};

static int thread_start(struct lun_iscsi *iscsi)
{
	sigset_t all, old;
	int error;

	/* The daemon's signals are its own affair, and a connection that breaks gives SIGPIPE. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&iscsi->thread, NULL, lun_iscsi_run, iscsi);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error == 0)
		pthread_setname_np(iscsi->thread, "prmig-iscsi");
	return error;
}

/* nexus: whose it is; NULL: just to look. */
static struct lun_iscsi *make(const struct cfgstring *cfg, const char *nexus, char *reason)
{
	struct lun_iscsi *iscsi = calloc(1, sizeof(*iscsi));
	int error;

	if (iscsi == NULL) {
		snprintf(reason, LUN_REASON_MAX, "%s: out of memory", cfg->lun);
		return NULL;
	}
	iscsi->lun.ops = &iscsi_ops;
	snprintf(iscsi->name, sizeof(iscsi->name), "%.*s", CFGSTRING_NAME_MAX, cfg->lun);
	iscsi->probe = nexus == NULL;
	if (nexus != NULL)
		snprintf(iscsi->nexus, sizeof(iscsi->nexus), "%s", nexus);
	iscsi->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&iscsi->lock, NULL);
	pthread_cond_init(&iscsi->concluded, NULL);
	error = iscsi->wake < 0 ? errno : thread_start(iscsi);
	if (error == 0)
		return iscsi;
	snprintf(reason, LUN_REASON_MAX, "%s: cannot start a thread: %s", cfg->lun,
		 strerror(error));
	if (iscsi->wake >= 0)
		close(iscsi->wake);
	pthread_cond_destroy(&iscsi->concluded);
	pthread_mutex_destroy(&iscsi->lock);
	free(iscsi);
	return NULL;
}

struct lun *lun_iscsi_new(const struct cfgstring *cfg, const char *name, char *reason)
{
	struct lun_iscsi *iscsi = make(cfg, name, reason);

	return iscsi != NULL ? &iscsi->lun : NULL;
}

bool lun_iscsi_check(const struct cfgstring *cfg, bool *ret_missing, char *reason)
{
	struct lun_iscsi *iscsi = make(cfg, NULL, reason);
	struct lun_identity identity;
	bool good;

	*ret_missing = false;
	if (iscsi == NULL)
		return false;
	good = iscsi_connect(&iscsi->lun, &identity, reason);
	*ret_missing = iscsi->missing;
	iscsi_destroy(&iscsi->lun);
	return good;
}
