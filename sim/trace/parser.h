/*
 * sim/trace/parser.h - the line scanner, between load.c (bytes) and trace.h (events)
 */
#ifndef MMSIM_SIM_TRACE_PARSER_H
#define MMSIM_SIM_TRACE_PARSER_H

#include "sim/trace/trace.h"

struct trace_parser;

/* name: of the file, for messages; kept by pointer. NULL: no memory. */
struct trace_parser *trace_parser_create(const char *name, struct trace_error *err);
/*
 * Parse the whole lines in [text, text + bytes); *used: how many bytes they were. The rest, an
 * unfinished line, is to come again at the start of the next call. 0, -EINVAL or -ENOMEM.
 */
int MUST_CHECK trace_parser_feed(struct trace_parser *p, const char *text, size_t bytes,
				 size_t *used);
/* No more bytes; left: how many remained unused. Hands the trace over. */
int MUST_CHECK trace_parser_finish(struct trace_parser *p, size_t left, struct trace **out);
void trace_parser_destroy(struct trace_parser *p);

#endif
