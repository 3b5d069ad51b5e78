#!/bin/sh
# tests/charges/workloads.sh MMSIM_VIRTUAL_CHECKED TRACES_DIR - no workload and no recording makes a plain
# access that is not charged: mmap_lock and vma_refcnt on 1, 4 and 64 CPUs, the others on 6; fork, mremap,
# mprotect, mlock and exec come from the recordings.
set -u
bin=$1
traces=$2
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAILED: $*"
	head -40 "$tmp/err"
	exit 1
}
workloads=$("$bin" list workloads -q 2>/dev/null | cut -d' ' -f1 | grep -v replay | paste -sd, -)
[ -n "$workloads" ] || workloads=ebizzy,pft,page_fault1,page_fault2,page_fault3,mmap1,multi_fault,gc_heap

"$bin" run -q -j 2 -w "$workloads" -s mmap_lock,vma_refcnt -c 1,4,64 -m skylake192 -d 300us -o "$tmp/rows.csv" \
	2>"$tmp/err" || fail 'a workload'
"$bin" run -q -j 2 -w "$workloads" -s mmap_lock_bravo,range_full,range,range_list,spf,spf_seqcount,vma_rwsem,vma_atomic -c 6 -m skylake192 -d 100us \
	-o "$tmp/rows.csv" 2>"$tmp/err" || fail 'a workload under another scheme'
for trace in gcc pythreads; do
	"$bin" replay -q -s mmap_lock,vma_refcnt -c 1,8 -m skylake192 -o "$tmp/replay.csv" \
		"$traces/$trace.perf.zst" 2>"$tmp/err" || fail "replay $trace"
done
echo ok
