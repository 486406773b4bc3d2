/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages into tcmu-runner's own log. One place; any thread; text without a newline. Never with
 * secrets.
 */
#ifndef PRMIG_LOG_H
#define PRMIG_LOG_H

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
