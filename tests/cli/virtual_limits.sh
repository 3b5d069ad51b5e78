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

# A huge page is one fault for all its pages. (A window that ends inside a page has one more.)
"$bin/mmsim" run -q -e virtual -m laptop8 -w page_fault1 -s mmap_lock,vma_refcnt,range,spf -c 2 -d 2ms --warmup 0 \
	-p size=4M -p hugetlb=yes -p hugepages=4 -o - >"$tmp/out" 2>"$tmp/err" || fail 'page_fault1 on huge pages'
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
	 { pages = $at["ops"] / 512; n = $at["FAULT_HUGETLB"]; if (n < pages || n > pages + 4 || n < 8) { print n, pages; exit 1 } }
	 END { exit NR != 5 }' "$tmp/out" >"$tmp/err" || fail 'not a fault per huge page'
"$bin/mmsim" run -q -w page_fault1 -s mmap_lock -c 2 -p size=3M -p hugetlb=yes -p hugepages=3 2>"$tmp/err" && fail 'a pool too small'
grep -q 'hugetlb=yes: 2 tasks with size=4194304 need -p hugepages=4, or more' "$tmp/err" || fail 'a pool too small: no such message'
"$bin/mmsim" run -q -e virtual -m ivybridge40 -w gc_heap -p heap=shared -p barrier=page -c 4 -d 1ms -s mmap_lock \
	-o - 2>"$tmp/err" | grep -q 'no operation began and ended in the window' || fail 'an empty window without a word'

# Waits are of the tasks' own windows, and so is what they are a part of.
"$bin/mmsim" run -e virtual -m skylake192 -w ebizzy -s mmap_lock -c 4 -d 2ms -r 2 >"$tmp/out" 2>"$tmp/err" || fail 'ebizzy'
awk '$1 == "ebizzy" { rows++; if ($11 + 0 < 50 || $11 + 0 > 100) { print; exit bad = 1 } } END { exit bad || rows != 2 }' "$tmp/out" ||
	fail 'waits of more than the time, or of nearly none'

# Alone, a program flushes its own TLB: nothing goes by the fabric because of the CPU that set it up.
"$bin/mmsim" run -q -e virtual -m power8-80 -a ppc64-radix -w page_fault1 -s mmap_lock -c 1,2 -d 2ms --warmup 200us -p size=1M \
	-p processes=1 -o - >"$tmp/out" 2>"$tmp/err" || fail 'page_fault1 alone on ppc64-radix'
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
	 { rate[NR] = $at["ops_per_sec"]; if ($at["TLB_BROADCAST"] != 0 || $at["TLB_FLUSH_LOCAL"] == 0) { print $0; exit 1 } }
	 END { exit rate[3] < 1.7 * rate[2] || rate[3] > 2.1 * rate[2] }' "$tmp/out" >"$tmp/err" || fail 'flushes of one CPU leave it'
echo ok
