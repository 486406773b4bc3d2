/* SPDX-License-Identifier: Apache-2.0 */
/* A command's data, in pieces. */
#ifndef PRMIG_IOV_H
#define PRMIG_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/* The sum of the pieces, in bytes. */
size_t iov_len(const struct iovec *iov, size_t iov_cnt);
/* Copies what there is, at most size bytes, from the pieces to buffer; returns how many. */
size_t iov_gather(const struct iovec *iov, size_t iov_cnt, void *buffer, size_t size);
/* Copies buffer, as far as the pieces reach, into them; returns how many bytes. */
size_t iov_scatter(const struct iovec *iov, size_t iov_cnt, const void *buffer, size_t len);

#endif
