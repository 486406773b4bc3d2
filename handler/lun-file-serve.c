/* SPDX-License-Identifier: Apache-2.0 */
/* One command to a file. */
#include "lun-file-internal.h"

#include "iov.h"
#include "log.h"

/* As many bytes as the CDB speaks of. False: answered. */
static bool data_out_fits(struct file_serving *serving)
{
	struct disk_command *command = &serving->command;

	serving->data_out_len = (uint64_t)command->data_blocks * serving->block_len;
	if (command->action == DISK_UNMAP || command->action == DISK_MODE_SELECT)
		serving->data_out_len = command->list_len;
	if (command->data_exact && serving->io->data_len != serving->data_out_len) {
		disk_refuse(command, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
		return false;
	}
	if (serving->io->data_len >= serving->data_out_len)
		return true;
	disk_refuse(command, SCSI_ABORTED_COMMAND, SCSI_ASC_DATA_PHASE_ERROR);
	return false;
}

static void take_list(struct file_serving *serving, const struct disk *disk)
{
	const struct lun_io *io = serving->io;
	size_t len = serving->command.list_len;

	if (len > DISK_LIST_MAX)
		len = DISK_LIST_MAX;
	len = iov_gather(io->iov, io->iov_cnt, serving->scratch, len);
	disk_take_list(disk, io->cdb, serving->scratch, len, &serving->command);
}

static void answer(struct file_serving *serving)
{
	const struct disk_command *command = &serving->command;
	struct lun_io *io = serving->io;

	lun_result_status(&io->result, command->status);
	io->result.sense_len = (uint8_t)disk_sense(command, io->result.sense);
	if (command->reply_len > 0)
		serving->transferred = (uint32_t)iov_scatter(io->iov, io->iov_cnt, command->reply,
							     command->reply_len);
	else if (serving->data_out_len > 0 && command->status == SCSI_GOOD &&
		 serving->status == 0 && !serving->gone)
		serving->transferred = (uint32_t)serving->data_out_len;
	if (serving->status != 0) {
		lun_result_status(&io->result, serving->status);
	} else if (serving->gone) {
		lun_result_not_ready(&io->result);
		io->result.unknown = true;
	}
	io->result.residual_bytes = io->data_len - serving->transferred;
}

/* What the disk is at this moment; *ret_resized: how often its size has changed. */
static int look(struct file_disk *disk, struct disk *ret_now, unsigned int *ret_resized)
{
	uint64_t blocks, before;
	int error = file_medium_size(disk, &blocks);

	if (error != 0)
		return error;
	pthread_mutex_lock(&disk->lock);
	before = disk->disk.blocks;
	if (before != blocks) {
		disk->disk.blocks = blocks;
		disk->resized++;
	}
	*ret_now = disk->disk;
	*ret_resized = disk->resized;
	pthread_mutex_unlock(&disk->lock);
	if (blocks < before)
		log_error("%s has become shorter: %llu blocks of %u bytes, and had %llu; what was "
			  "beyond is lost",
			  disk->path, (unsigned long long)blocks, ret_now->block_len_bytes,
			  (unsigned long long)before);
	else if (blocks > before)
		log_info("%s has become longer: %llu blocks of %u bytes, and had %llu", disk->path,
			 (unsigned long long)blocks, ret_now->block_len_bytes,
			 (unsigned long long)before);
	return 0;
}

void file_serve(struct file_disk *disk, unsigned int *seen, struct lun_io *io, uint8_t *scratch,
		bool *ret_gone)
{
	bool reports = io->cdb[0] == SCSI_REQUEST_SENSE;
	struct file_serving serving = {.disk = disk, .io = io, .scratch = scratch};
	uint16_t attention = 0;
	unsigned int resized;
	struct disk now;
	int error = look(disk, &now, &resized);

	if (error != 0) {
		file_fail(&serving, error, false);
		answer(&serving);
		*ret_gone = serving.gone;
		return;
	}
	serving.block_len = now.block_len_bytes;
	if ((reports || !scsi_cdb_ignores_unit_attention(io->cdb[0])) &&
	    __atomic_exchange_n(seen, resized, __ATOMIC_SEQ_CST) != resized)
		attention = SCSI_ASC_CAPACITY_DATA_CHANGED;
	if (attention != 0 && !reports) {
		disk_refuse(&serving.command, SCSI_UNIT_ATTENTION, attention);
	} else if (now.blocks == 0 && !scsi_cdb_ignores_unit_attention(io->cdb[0])) {
		disk_refuse(&serving.command, SCSI_NOT_READY,
			    SCSI_ASC_LUN_NOT_READY_CAUSE_NOT_REPORTABLE);
	} else {
		disk_begin(&now, io->cdb, io->cdb_len, attention, &serving.command);
		serving.offset = serving.command.lba * serving.block_len;
		serving.len = (uint64_t)serving.command.blocks * serving.block_len;
		if (data_out_fits(&serving)) {
			if (serving.command.action == DISK_UNMAP ||
			    serving.command.action == DISK_MODE_SELECT)
				take_list(&serving, &now);
			file_act(&serving, &now);
		}
	}
	answer(&serving);
	*ret_gone = serving.gone;
}
