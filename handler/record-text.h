/* SPDX-License-Identifier: Apache-2.0 */
/* What state files and state lines have in common as text; for record*.c alone. */
#ifndef PRMIG_RECORD_TEXT_H
#define PRMIG_RECORD_TEXT_H

#include "fields.h"
#include "record.h"

#define RECORD_MAJOR 1
#define RECORD_VERSION "1.0"
/* Of a line of a nexus that moves whole, which a reader that does not know of that must not take. */
#define RECORD_MAJOR_WHOLE 2
#define RECORD_VERSION_WHOLE "2.0"

/* prefix: in front of each key, "" in a state line. */
void record_text_add_terms(struct fields_writer *writer, const char *prefix,
			   const struct record_terms *terms);
/* Each get: false with reason (NEXUS_MESSAGE_MAX bytes) naming the field; ret untouched. */
bool record_text_get_terms(const char *text, char separator, const char *prefix,
			   struct record_terms *ret, char *reason);
void record_text_add_unit_attentions(struct fields_writer *writer,
				     const struct unit_attentions *queue);
bool record_text_get_unit_attentions(const char *text, char separator,
				     struct unit_attentions *ret_queue, char *reason);
void record_text_add_transport_ids(struct fields_writer *writer,
				   const char (*ids)[PR_TRANSPORT_ID_TEXT_MAX], size_t limit);
void record_text_get_transport_ids(const char *text, char separator,
				   char (*ids)[PR_TRANSPORT_ID_TEXT_MAX]);
/* key: the TransportID's bytes; key-port: the relative target port. */
void record_text_add_port(struct fields_writer *writer, const char *key,
			  const struct record_port *port);
bool record_text_get_port(const char *text, char separator, const char *key,
			  struct record_port *ret_port, char *reason);
bool record_text_check(const char *text, char separator, unsigned int major, const char *what,
		       char *reason);

#endif
