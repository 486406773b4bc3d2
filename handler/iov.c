/* SPDX-License-Identifier: Apache-2.0 */
#include "iov.h"

#include <string.h>

size_t iov_len(const struct iovec *iov, size_t iov_cnt)
{
	size_t len = 0;

	for (size_t i = 0; i < iov_cnt; i++)
		len += iov[i].iov_len;
	return len;
}

size_t iov_gather(const struct iovec *iov, size_t iov_cnt, void *buffer, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < iov_cnt && len < size; i++) {
		size_t part = iov[i].iov_len < size - len ? iov[i].iov_len : size - len;

		memcpy((char *)buffer + len, iov[i].iov_base, part);
		len += part;
	}
	return len;
}

size_t iov_scatter(const struct iovec *iov, size_t iov_cnt, const void *buffer, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < iov_cnt && at < len; i++) {
		size_t part = iov[i].iov_len < len - at ? iov[i].iov_len : len - at;

		memcpy(iov[i].iov_base, (const char *)buffer + at, part);
		at += part;
	}
	return at;
}
