/* sim/cli/results_internal.h - the pieces of a results sink: CSV, JSON, table */
#ifndef MMSIM_CLI_RESULTS_INTERNAL_H
#define MMSIM_CLI_RESULTS_INTERNAL_H

#include "sim/cli/results.h"

struct json_sink;
struct json_sink *json_sink_open(const struct results_config *cfg);
bool json_sink_add(struct json_sink *js, const struct result *r);
/* Text of the whole document, allocated; NULL: no memory. */
char *json_sink_text(const struct json_sink *js);
void json_sink_free(struct json_sink *js);

void table_header(FILE *out, u32 workload_width, u32 scheme_width);
void table_row(FILE *out, u32 workload_width, u32 scheme_width, const struct result *r);

#endif
