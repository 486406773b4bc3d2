/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest commands that run on the nexus's own thread, one after the other: PERSISTENT RESERVE OUT, RESERVE and RELEASE, and
 * those whose data-in prmig rewrites.
 */
#include "nexus-internal.h"

#include <string.h>

#include "iov.h"

#define RSOC_BYTES 0x4000

/* The guest's own bytes, as they came. */
static void forward(struct nexus *nexus, struct nexus_request *request,
		    struct lun_result *ret_result)
{
	lun_execute(nexus->lun, &request->io);
	*ret_result = request->io.result;
}

static void run_pr_out(struct nexus *nexus, struct nexus_request *request)
{
	bool migrate_pr = nexus->config.cfg.migrate_pr;
	struct handover handover;
	struct lun_result result;
	uint8_t list[PR_OUT_LIST_MAX];
	size_t list_len = iov_gather(request->iov, request->iov_cnt, list, sizeof(list));
	uint16_t refusal = pr_out_refusal(request->cdb, list, request->io.data_len, migrate_pr);
	enum handover_wire wire;

	if (refusal != 0) {
		nexus_complete_check(nexus, request, SCSI_ILLEGAL_REQUEST, refusal);
		return;
	}
	if (!migrate_pr) {
		forward(nexus, request, &result);
		nexus_complete(nexus, request, &result, 0);
		return;
	}
	nexus_handover(nexus, &handover);
	if (handover_guest_repeats(&handover, request->cdb, list, list_len)) {
		nexus_complete_status(nexus, request, SCSI_GOOD);
		return;
	}
	if (handover_guest_begin(&handover, request->cdb, list, list_len) != NEXUS_OK) {
		/* What prmig could not remember must not happen. */
		nexus_complete_check(nexus, request, SCSI_ILLEGAL_REQUEST,
				     SCSI_ASC_INSUFFICIENT_REGISTRATION_RESOURCES);
		return;
	}
	forward(nexus, request, &result);
	nexus_watch_result(nexus, &result, true);
	wire = nexus_wire(&result);
	if (wire == HANDOVER_UNKNOWN) {
		/* Unsettled, it stays in the journal for the next resynchronisation. */
		handover_guest_settle(&handover, !result.unknown);
	} else {
		/* Registered again: its cluster has taken it back. */
		bool fenced = nexus->record.fenced;

		handover_guest_end(&handover, wire);
		if (nexus->record.fenced != fenced)
			nexus_notify_fenced(nexus, nexus->record.fenced, nexus->record.key);
	}
	nexus_spread(nexus, false);
	nexus_complete(nexus, request, &result, 0);
}

/* SCSI-2. With a registration of its own and CRH=1 a GOOD RESERVE makes no reservation (SPC-3, 5.6.2). */
static void run_reserve(struct nexus *nexus, struct nexus_request *request)
{
	bool reserve = request->cdb[0] == SCSI_RESERVE_6 || request->cdb[0] == SCSI_RESERVE_10;
	struct handover handover;
	struct lun_result result;

	forward(nexus, request, &result);
	nexus_watch_result(nexus, &result, true);
	if (nexus->config.cfg.migrate_pr && result.status == SCSI_GOOD &&
	    nexus->record.scsi2 != (reserve && nexus->record.key == 0)) {
		nexus_handover(nexus, &handover);
		nexus->record.scsi2 = !nexus->record.scsi2;
		handover.ops->save(handover.user);
	}
	nexus_complete(nexus, request, &result, 0);
}

static uint32_t max_blocks(struct nexus *nexus)
{
	uint32_t blocks, max_bytes, block_len;

	pthread_mutex_lock(&nexus->lock);
	max_bytes = nexus->identity.max_transfer_bytes;
	block_len = nexus->identity.block_len_bytes;
	pthread_mutex_unlock(&nexus->lock);
	if (max_bytes == 0 ||
	    (nexus->config.max_transfer_bytes != 0 && nexus->config.max_transfer_bytes < max_bytes))
		max_bytes = nexus->config.max_transfer_bytes;
	blocks = block_len != 0 ? max_bytes / block_len : 0;
	return blocks;
}

/*
 * REPORT SUPPORTED OPERATION CODES grows shorter: the LUN is asked for the whole of it. Returns the guest's own ALLOCATION LENGTH.
 */
static size_t widen_rsoc(uint8_t *cdb)
{
	size_t allocation_len =
		(size_t)cdb[6] << 24 | (size_t)cdb[7] << 16 | (size_t)cdb[8] << 8 | cdb[9];

	cdb[6] = cdb[7] = 0;
	cdb[8] = RSOC_BYTES >> 8;
	cdb[9] = RSOC_BYTES & 0xff;
	return allocation_len;
}

static size_t rewrite(struct nexus *nexus, const uint8_t *cdb, uint8_t *data, size_t len)
{
	const struct cfgstring *cfg = &nexus->config.cfg;
	uint32_t blocks;

	switch (cdb[0]) {
	case SCSI_INQUIRY:
		blocks = max_blocks(nexus);
		if (blocks != 0)
			scsi_vpd_clamp_block_limits(data, len, blocks);
		return len;
	case SCSI_PR_IN:
		if (cfg->migrate_pr)
			pr_capabilities_mask(data, len);
		return len;
	default:
		return scsi_rsoc_rewrite(cdb, data, len, cfg->filter, cfg->migrate_pr);
	}
}

static void run_rewritten(struct nexus *nexus, struct nexus_request *request)
{
	uint8_t cdb[16];
	size_t cdb_len = scsi_cdb_length(request->cdb), len = 0;
	size_t wanted = request->io.data_len, ask_len = wanted;
	struct lun_result result;
	struct iovec iov = {.iov_base = nexus->scratch};
	struct lun_io io = {
		.cdb = cdb,
		.cdb_len = cdb_len,
		.iov = &iov,
		.timeout_ms = request->io.timeout_ms,
	};

	memcpy(cdb, request->cdb, cdb_len);
	if (cdb[0] == SCSI_MAINTENANCE_IN) {
		size_t allocation_len = widen_rsoc(cdb);

		if (allocation_len < wanted)
			wanted = allocation_len;
		ask_len = RSOC_BYTES;
	}
	if (ask_len > sizeof(nexus->scratch))
		ask_len = sizeof(nexus->scratch);
	iov.iov_len = ask_len;
	io.iov_cnt = ask_len > 0 ? 1 : 0;
	io.direction = ask_len > 0 ? SCSI_DIR_IN : SCSI_DIR_NONE;
	io.data_len = (uint32_t)ask_len;
	memset(nexus->scratch, 0, ask_len);
	lun_execute(nexus->lun, &io);
	result = io.result;
	nexus_watch_result(nexus, &result, true);
	if (result.status == SCSI_GOOD && result.residual_bytes <= ask_len) {
		len = rewrite(nexus, cdb, nexus->scratch, ask_len - result.residual_bytes);
		if (len > wanted)
			len = wanted;
		iov_scatter(request->iov, request->iov_cnt, nexus->scratch, len);
	}
	result.residual_bytes = (uint32_t)(request->io.data_len - len);
	nexus_complete(nexus, request, &result, len);
}

void nexus_run_request(struct nexus *nexus, struct nexus_request *request)
{
	struct lun_result result;
	bool told;

	/* One that met a command of prmig's own while this one was waiting: the LUN thinks that the guest knows. */
	pthread_mutex_lock(&nexus->lock);
	told = nexus_take_unit_attention_locked(nexus, request->cdb, &result);
	pthread_mutex_unlock(&nexus->lock);
	if (told) {
		nexus_complete(nexus, request, &result, 0);
		return;
	}
	if (request->info.class == SCSI_CLASS_PR_OUT)
		run_pr_out(nexus, request);
	else if (request->info.class == SCSI_CLASS_RESERVE)
		run_reserve(nexus, request);
	else
		run_rewritten(nexus, request);
}
