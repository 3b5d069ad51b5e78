#!/bin/sh
# tests/cli/compare_table.sh BIN_DIR - the comparison table, figure by figure, against one worked out by
# hand: signs (positive is better), harmonic and arithmetic means, stars, missing values.
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/in.csv" <<'CSV'
workload,scheme,engine,cpus,threads,ops_per_sec,op_ns_p99
w,old,native,1,1,100,50
w,old,native,1,1,102,50
w,old,native,1,1,104,50
w,new,native,1,1,200,25
w,new,native,1,1,202,25
w,new,native,1,1,204,25
w,new,native,2,2,300,
w,old,native,2,2,400,
CSV
cat >"$tmp/want" <<'TABLE'
w: ops_per_sec, higher is better  (native engine)
             cpus                     old                     new
Min             1       100.00 (   0.00%)       200.00 ( 100.00%)
Min             2       400.00 (   0.00%)       300.00 ( -25.00%)
Hmean           1       101.97 (   0.00%)       201.99 *  98.08%*
Hmean           2       400.00 (   0.00%)       300.00 ( -25.00%)
Stddev          1         2.00 (   0.00%)         2.00 (   0.00%)
Stddev          2         0.00 (   0.00%)         0.00 (   0.00%)
CoeffVar        1         1.96 (   0.00%)         0.99 (  49.50%)
CoeffVar        2         0.00 (   0.00%)         0.00 (   0.00%)
Max             1       104.00 (   0.00%)       204.00 (  96.15%)
Max             2       400.00 (   0.00%)       300.00 ( -25.00%)

w: op_ns_p99, lower is better  (native engine)
             cpus                     old                     new
Min             1        50.00 (   0.00%)        25.00 (  50.00%)
Min             2                       -                       -
Amean           1        50.00 (   0.00%)        25.00 *  50.00%*
Amean           2                       -                       -
Stddev          1         0.00 (   0.00%)         0.00 (   0.00%)
Stddev          2                       -                       -
CoeffVar        1         0.00 (   0.00%)         0.00 (   0.00%)
CoeffVar        2                       -                       -
Max             1        50.00 (   0.00%)        25.00 (  50.00%)
Max             2                       -                       -
TABLE
"$bin/mmsim" compare "$tmp/in.csv" --metric ops_per_sec,op_ns_p99 >"$tmp/got" || exit 1
diff -u "$tmp/want" "$tmp/got" && echo ok
