/* SPDX-License-Identifier: Apache-2.0 */
#include "lun-sg-status.h"

#include <errno.h>
#include <string.h>

/* enum scsi_host_status of include/scsi/scsi_status.h, which is not in the kernel's user API. */
enum host_status {
	DID_OK = 0x00,
	DID_NO_CONNECT = 0x01,
	DID_BUS_BUSY = 0x02,
	DID_TIME_OUT = 0x03,
	DID_BAD_TARGET = 0x04,
	DID_ABORT = 0x05,
	DID_PARITY = 0x06,
	DID_ERROR = 0x07,
	DID_RESET = 0x08,
	DID_BAD_INTR = 0x09,
	DID_PASSTHROUGH = 0x0a,
	DID_SOFT_ERROR = 0x0b,
	DID_IMM_RETRY = 0x0c,
	DID_REQUEUE = 0x0d,
	DID_TRANSPORT_DISRUPTED = 0x0e,
	DID_TRANSPORT_FAILFAST = 0x0f,
	DID_TARGET_FAILURE = 0x10,
	DID_NEXUS_FAILURE = 0x11,
	DID_ALLOC_FAILURE = 0x12,
	DID_MEDIUM_ERROR = 0x13,
	DID_TRANSPORT_MARGINAL = 0x14,
};

/* The lower half of driver_status. Kernel 5.14 and newer set SENSE or nothing. */
enum driver_status {
	DRIVER_MASK = 0x0f,
	DRIVER_OK = 0x00,
	DRIVER_TIMEOUT = 0x06,
	DRIVER_SENSE = 0x08
};

enum answer {
	ANSWER_STATUS,	   /* the LUN's status stands */
	ANSWER_BUSY,	   /* try again */
	ANSWER_NOT_READY,  /* no way to the LUN */
	ANSWER_TIMEOUT,	   /* ABORTED COMMAND, LUN COMMUNICATION TIME-OUT */
	ANSWER_ABORTED,	   /* ABORTED COMMAND, LUN COMMUNICATION FAILURE */
	ANSWER_BAD_FIELD,  /* ILLEGAL REQUEST, INVALID FIELD IN CDB */
	ANSWER_BAD_OPCODE, /* ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE */
};

/*
 * Without a status from the LUN nobody knows whether it executed the command: drivers use nearly
 * every one of these codes for commands that they had sent, too. So all but ANSWER_STATUS are
 * unknown.
 */
static const uint8_t host_answers[] = {
	[DID_OK] = ANSWER_STATUS,
	/* The port is gone or the session is down for good: libiscsi after its replacement time-out,
	 * FC after dev_loss. */
	[DID_NO_CONNECT] = ANSWER_NOT_READY,
	[DID_BAD_TARGET] = ANSWER_NOT_READY,
	/* fast_io_fail has run out: the path is down now and may come back. */
	[DID_TRANSPORT_FAILFAST] = ANSWER_NOT_READY,
	[DID_TRANSPORT_MARGINAL] = ANSWER_NOT_READY,
	/* Congestion or a link that flickers; the kernel has already tried again for as long as the
	 * time-out allowed. */
	[DID_BUS_BUSY] = ANSWER_BUSY,
	[DID_SOFT_ERROR] = ANSWER_BUSY,
	[DID_IMM_RETRY] = ANSWER_BUSY,
	[DID_REQUEUE] = ANSWER_BUSY,
	[DID_TRANSPORT_DISRUPTED] = ANSWER_BUSY,
	[DID_TIME_OUT] = ANSWER_TIMEOUT,
	/* Ended by the error handler, by somebody's reset, or in the adapter. The initiator's rule
	 * for ABORTED COMMAND, to send it again, is the right one. */
	[DID_ABORT] = ANSWER_ABORTED,
	[DID_RESET] = ANSWER_ABORTED,
	[DID_PARITY] = ANSWER_ABORTED,
	[DID_ERROR] = ANSWER_ABORTED,
	[DID_BAD_INTR] = ANSWER_ABORTED,
	/* The middle layer's own notes on a status that is there: RESERVATION CONFLICT is
	 * NEXUS_FAILURE before 5.19, and never carries sense data. */
	[DID_PASSTHROUGH] = ANSWER_STATUS,
	[DID_TARGET_FAILURE] = ANSWER_STATUS,
	[DID_NEXUS_FAILURE] = ANSWER_STATUS,
	[DID_ALLOC_FAILURE] = ANSWER_STATUS,
	[DID_MEDIUM_ERROR] = ANSWER_STATUS,
};

static const struct {
	int error;
	uint8_t answer;
	bool unknown;
	bool gone;
} error_answers[] = {
	/* The device was removed. A block node says so before it sends, an sg node also of a
	 * command in flight. */
	{ENODEV, ANSWER_NOT_READY, true, true},
	{ENXIO, ANSWER_NOT_READY, true, true},
	/* The node is no SCSI device any more, or the descriptor is none: nothing was sent. */
	{ENOTTY, ANSWER_NOT_READY, false, true},
	{EBADF, ANSWER_NOT_READY, false, true},
	/* No request or no memory for it. */
	{ENOMEM, ANSWER_BUSY, false, false},
	{EAGAIN, ANSWER_BUSY, false, false},
	{EBUSY, ANSWER_BUSY, false, false},
	/* More segments than the adapter takes, a CDB longer than the kernel's. */
	{EINVAL, ANSWER_BAD_FIELD, false, false},
	{EMSGSIZE, ANSWER_BAD_FIELD, false, false},
	/* The kernel's filter for processes without CAP_SYS_RAWIO. */
	{EPERM, ANSWER_BAD_OPCODE, false, false},
	/* Others, EINTR of an sg node and EFAULT from copying data back among them: it may have
	 * been executed. */
};

static void answer_result(enum answer answer, bool unknown, struct lun_result *ret_result)
{
	switch (answer) {
	case ANSWER_BUSY:
		lun_result_status(ret_result, SCSI_BUSY);
		break;
	case ANSWER_NOT_READY:
		lun_result_not_ready(ret_result);
		break;
	case ANSWER_TIMEOUT:
		lun_result_check_condition(ret_result, SCSI_ABORTED_COMMAND,
					   SCSI_ASC_LUN_COMMUNICATION_TIMEOUT);
		break;
	case ANSWER_BAD_FIELD:
		lun_result_check_condition(ret_result, SCSI_ILLEGAL_REQUEST,
					   SCSI_ASC_INVALID_FIELD_IN_CDB);
		break;
	case ANSWER_BAD_OPCODE:
		lun_result_check_condition(ret_result, SCSI_ILLEGAL_REQUEST,
					   SCSI_ASC_INVALID_OPERATION_CODE);
		break;
	case ANSWER_STATUS:
	case ANSWER_ABORTED:
		lun_result_check_condition(ret_result, SCSI_ABORTED_COMMAND,
					   SCSI_ASC_LUN_COMMUNICATION_FAILURE);
		break;
	}
	ret_result->unknown = unknown;
}

static void error_result(const struct lun_sg_outcome *outcome, struct lun_result *ret_result,
			 bool *ret_gone)
{
	for (size_t i = 0; i < sizeof(error_answers) / sizeof(error_answers[0]); i++) {
		if (error_answers[i].error != outcome->error)
			continue;
		*ret_gone = error_answers[i].gone;
		answer_result(error_answers[i].answer, error_answers[i].unknown, ret_result);
		return;
	}
	answer_result(ANSWER_ABORTED, true, ret_result);
}

/* The status as the LUN gave it. */
static void status_result(const struct lun_sg_outcome *outcome, uint8_t status,
			  struct lun_result *ret_result)
{
	lun_result_status(ret_result, status);
	if (status == SCSI_CHECK_CONDITION) {
		ret_result->sense_len =
			outcome->sense_len < SCSI_SENSE_MAX ? outcome->sense_len : SCSI_SENSE_MAX;
		memcpy(ret_result->sense, outcome->sense, ret_result->sense_len);
	}
	/* LIO's tcm_loop and iscsi_tcp give the count of an overflow here, too: what the LUN had beyond a
	 * buffer that it has filled. More than the buffer can only be that. */
	if (outcome->residual > 0 && (uint32_t)outcome->residual <= outcome->data_len)
		ret_result->residual_bytes = (uint32_t)outcome->residual;
}

void lun_sg_outcome_result(const struct lun_sg_outcome *outcome, struct lun_result *ret_result,
			   bool *ret_gone)
{
	uint8_t driver = outcome->driver_status & DRIVER_MASK;
	enum answer answer = ANSWER_ABORTED;

	*ret_gone = false;
	if (outcome->error != 0) {
		error_result(outcome, ret_result, ret_gone);
	} else {
		if (outcome->host_status < sizeof(host_answers) / sizeof(host_answers[0]))
			answer = host_answers[outcome->host_status];
		if (answer != ANSWER_TIMEOUT && outcome->status != SCSI_GOOD) {
			/* Whatever the host adapter thinks of it, the LUN has answered. */
			status_result(outcome, outcome->status, ret_result);
			return;
		}
		if (answer != ANSWER_STATUS) {
			answer_result(answer, true, ret_result);
		} else if (driver == DRIVER_SENSE && outcome->sense_len > 0) {
			/* Kernels before 5.14: a driver that fetched the sense data itself. */
			status_result(outcome, SCSI_CHECK_CONDITION, ret_result);
			return;
		} else if (driver != DRIVER_OK && driver != DRIVER_SENSE) {
			answer_result(driver == DRIVER_TIMEOUT ? ANSWER_TIMEOUT : ANSWER_ABORTED,
				      true, ret_result);
		} else {
			status_result(outcome, SCSI_GOOD, ret_result);
			return;
		}
	}
	ret_result->residual_bytes = outcome->data_len;
}
