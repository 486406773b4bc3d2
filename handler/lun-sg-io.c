/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-sg.h"

#include <assert.h>
#include <errno.h>
#include <scsi/sg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lun-sg-status.h"

#define SG_FLAG_Q_AT_TAIL 0x10 /* <scsi/sg.h> of glibc lacks it */
#define IOV_MAX_KERNEL 1024    /* UIO_MAXIOV */

/* The ring's iovec is given to the kernel as it is. */
static_assert(sizeof(struct sg_iovec) == sizeof(struct iovec), "sg_iovec and iovec");
static_assert(offsetof(struct sg_iovec, iov_base) == offsetof(struct iovec, iov_base), "iov_base");
static_assert(offsetof(struct sg_iovec, iov_len) == offsetof(struct iovec, iov_len), "iov_len");

static int direction_sg(const struct lun_io *io)
{
	if (io->data_len == 0 || io->direction == SCSI_DIR_NONE)
		return SG_DXFER_NONE;
	return io->direction == SCSI_DIR_OUT ? SG_DXFER_TO_DEV : SG_DXFER_FROM_DEV;
}

void lun_sg_execute(int fd, bool char_device, uint32_t max_transfer_bytes, struct lun_io *io,
		    bool *ret_gone)
{
	uint8_t sense[SCSI_SENSE_MAX] = {0};
	struct sg_io_hdr hdr = {
		.interface_id = 'S',
		.dxfer_direction = direction_sg(io),
		.cmd_len = (unsigned char)io->cdb_len,
		.mx_sb_len = sizeof(sense),
		.cmdp = (unsigned char *)io->cdb,
		.sbp = sense,
		.timeout = io->timeout_ms,
		/* An sg node would queue at the head, and turn the order of commands round. */
		.flags = char_device ? SG_FLAG_Q_AT_TAIL : 0,
	};
	struct lun_sg_outcome outcome = {0};

	*ret_gone = false;
	if (io->cdb_len > LUN_SG_CDB_MAX || io->iov_cnt > IOV_MAX_KERNEL ||
	    (max_transfer_bytes != 0 && io->data_len > max_transfer_bytes)) {
		lun_result_check_condition(&io->result, SCSI_ILLEGAL_REQUEST,
					   SCSI_ASC_INVALID_FIELD_IN_CDB);
		io->result.residual_bytes = io->data_len;
		return;
	}
	if (hdr.dxfer_direction != SG_DXFER_NONE) {
		hdr.dxfer_len = io->data_len;
		hdr.dxferp = io->iov_cnt == 1 ? io->iov[0].iov_base : (void *)io->iov;
		hdr.iovec_count = io->iov_cnt == 1 ? 0 : (unsigned short)io->iov_cnt;
	}
	if (ioctl(fd, SG_IO, &hdr) != 0)
		outcome.error = errno;
	outcome.status = hdr.status;
	outcome.host_status = hdr.host_status;
	outcome.driver_status = hdr.driver_status;
	outcome.residual = hdr.resid;
	outcome.data_len = hdr.dxfer_len;
	outcome.sense = sense;
	outcome.sense_len = hdr.sb_len_wr;
	lun_sg_outcome_result(&outcome, &io->result, ret_gone);
}
