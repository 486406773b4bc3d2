/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an SG_IO ended with, as a SCSI result: pure. Host and driver status, and the errno of an
 * SG_IO that failed, become what a transport would have answered.
 */
#ifndef PRMIG_LUN_SG_STATUS_H
#define PRMIG_LUN_SG_STATUS_H

#include "lun.h"

struct lun_sg_outcome {
	int error;	/* errno of the ioctl; 0: it returned */
	uint8_t status; /* the rest as in struct sg_io_hdr; only read with error 0 */
	uint16_t host_status;
	uint16_t driver_status;
	int residual;
	uint32_t data_len;
	const uint8_t *sense;
	uint8_t sense_len;
};

/* *ret_gone: the device behind the file descriptor is gone for good; connect again. */
void lun_sg_outcome_result(const struct lun_sg_outcome *outcome, struct lun_result *ret_result,
			   bool *ret_gone);

#endif
