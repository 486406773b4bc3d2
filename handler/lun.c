/* SPDX-License-Identifier: Apache-2.0 */
/* What all backends have in common, and the choice of one. */
#include "lun.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "lun-emulate.h"
#include "lun-file.h"
#include "lun-iscsi.h"
#include "lun-mpath.h"
#include "lun-sg.h"

/* Reservations are prmig's own: by word, or because a file has none. */
static bool wants_emulation(const struct cfgstring *cfg)
{
	return cfg->pr == CFGSTRING_PR_EMULATE || (cfg->lun_is_path && lun_file_is(cfg->lun));
}

static bool refuse_passthrough(const struct cfgstring *cfg, char *reason)
{
	if (cfg->pr != CFGSTRING_PR_PASSTHROUGH || !wants_emulation(cfg))
		return false;
	snprintf(reason, LUN_REASON_MAX,
		 "pr=passthrough: a file has no persistent reservations to pass through; leave the "
		 "option out, and prmig emulates them");
	return true;
}

/* The file backend's: a file, or by word a block device that takes no SCSI commands. */
static bool is_file(const struct cfgstring *cfg)
{
	if (lun_file_is(cfg->lun))
		return true;
	return cfg->pr == CFGSTRING_PR_EMULATE && !lun_mpath_is(cfg->lun) &&
	       lun_file_is_node(cfg->lun);
}

bool lun_check(const struct cfgstring *cfg, bool *ret_missing, char *reason)
{
	*ret_missing = false;
	if (refuse_passthrough(cfg, reason))
		return false;
	if (!cfg->lun_is_path)
		return lun_iscsi_check(cfg, ret_missing, reason);
	if (is_file(cfg))
		return lun_file_check(cfg, ret_missing, reason);
	return lun_mpath_is(cfg->lun) ? lun_mpath_check(cfg, ret_missing, reason)
				      : lun_sg_check(cfg, ret_missing, reason);
}

/* By what data goes. */
static struct lun *backend_new(const struct cfgstring *cfg, const char *name, char *reason)
{
	if (!cfg->lun_is_path)
		return lun_iscsi_new(cfg, name, reason);
	if (is_file(cfg))
		return lun_file_new(cfg, reason);
	return lun_mpath_is(cfg->lun) ? lun_mpath_new(cfg, name, reason) : lun_sg_new(cfg, reason);
}

struct lun *lun_new(const struct cfgstring *cfg, const char *name, char *reason)
{
	struct lun *backend;

	if (refuse_passthrough(cfg, reason))
		return NULL;
	backend = backend_new(cfg, name, reason);
	if (backend == NULL || !wants_emulation(cfg))
		return backend;
	return lun_emulate_new(backend, cfg, name, cfg->lun_is_path && lun_file_is(cfg->lun),
			       reason);
}

bool lun_connect(struct lun *lun, struct lun_identity *ret_identity, char *reason)
{
	return lun->ops->connect(lun, ret_identity, reason);
}

bool lun_hold(struct lun *lun, bool force, char *reason)
{
	return lun->ops->hold == NULL || lun->ops->hold(lun, force, reason);
}

bool lun_is_emulated(const struct lun *lun)
{
	return lun->ops->hold != NULL;
}

bool lun_is_connected(struct lun *lun)
{
	return lun->ops->is_connected(lun);
}

void lun_submit(struct lun *lun, struct lun_io *io)
{
	lun->ops->submit(lun, io);
}

struct lun_waiter {
	struct lun_io io; /* first: execute_done finds the waiter by it */
	sem_t answered;
};

static void lun_execute_done(struct lun_io *io)
{
	struct lun_waiter *waiter = (struct lun_waiter *)io;

	sem_post(&waiter->answered);
}

void lun_execute(struct lun *lun, struct lun_io *io)
{
	struct lun_waiter waiter = {.io = *io};

	sem_init(&waiter.answered, 0, 0);
	waiter.io.done = lun_execute_done;
	lun_submit(lun, &waiter.io);
	while (sem_wait(&waiter.answered) != 0)
		; /* EINTR: the buffers are in use until the answer is here */
	sem_destroy(&waiter.answered);
	io->result = waiter.io.result;
}

void lun_spread(struct lun *lun, uint64_t key, enum lun_spread spread)
{
	if (lun->ops->spread != NULL)
		lun->ops->spread(lun, key, spread);
}

void lun_seek(struct lun *lun, uint64_t key)
{
	if (lun->ops->seek != NULL)
		lun->ops->seek(lun, key);
}

unsigned int lun_nexus_changes(struct lun *lun)
{
	return lun->ops->nexus_changes != NULL ? lun->ops->nexus_changes(lun) : 0;
}

size_t lun_paths(struct lun *lun, struct lun_path_state *ret_paths, unsigned int *ret_changes)
{
	if (lun->ops->paths != NULL)
		return lun->ops->paths(lun, ret_paths, ret_changes);
	*ret_changes = 0;
	return 0;
}

void lun_destroy(struct lun *lun)
{
	if (lun != NULL)
		lun->ops->destroy(lun);
}

void lun_result_status(struct lun_result *ret_result, uint8_t status)
{
	*ret_result = (struct lun_result){.status = status};
}

void lun_result_check_condition(struct lun_result *ret_result, enum scsi_sense_key key,
				uint16_t asc_ascq)
{
	lun_result_status(ret_result, SCSI_CHECK_CONDITION);
	ret_result->sense_len = scsi_sense_build(ret_result->sense, key, asc_ascq);
}

void lun_result_not_ready(struct lun_result *ret_result)
{
	lun_result_check_condition(ret_result, SCSI_NOT_READY,
				   SCSI_ASC_LUN_NOT_READY_CAUSE_NOT_REPORTABLE);
}
