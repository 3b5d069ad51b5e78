#!/bin/sh
# tests/cli/virtual_limits.sh BIN_DIR - what no virtual run may show: more pages than the memory nodes can
# serve in the time, and a scheme under which somebody waits for ever.
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAILED: $*"
	head -5 "$tmp/err"
	exit 1
}

# Two nodes, each a page per 5 us at the best: 400 000 pages/s, whoever stands in a lock meanwhile. vma_atomic's
# writers starve behind readers, so that its tasks run one after another.
for scheme in mmap_lock vma_atomic range_list; do
	"$bin/mmsim" run -q -e virtual -m ivybridge40 -w page_fault1 -s $scheme -c 16 -d 2ms --warmup 1ms \
		-p machine.cost.page_serial=5000 -o - >"$tmp/out" 2>"$tmp/err" || fail "page_fault1 under $scheme"
	awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "faults_per_sec") c = i }
		 NR == 2 && $c > 408000 { print $c; bad = 1 } END { exit bad || NR != 2 }' "$tmp/out" >"$tmp/err" ||
		fail "$scheme: more faults/s than there are pages to be had"
done

# A range over everything among 40 that come and go.
timeout 60 "$bin/mmsim" run -q -e virtual -m ivybridge40 -w mmap1 -s range_list,range -c 40 -d 2ms --warmup 1ms \
	-o - >"$tmp/out" 2>"$tmp/err" || fail "mmap1 on 40 CPUs"
[ "$(wc -l <"$tmp/out")" -eq 3 ] || fail "mmap1 on 40 CPUs: rows are missing"
echo ok
