#!/bin/sh
# tests/cli/virtual_line_names.sh BIN_DIR - every line that a workload makes hot has the name of a field: what no
# layout covers (include/mmsim/charge.h) is reported as mm+0x4c0 or region+0x1240, and that is what fails here.
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAILED: $*"
	exit 1
}
# named ARGS...
named() {
	timeout 120 "$bin/mmsim" run -q -j 1 -e virtual --hot-lines 4000 -o "$tmp/csv" "$@" >"$tmp/lines" || fail "$*"
	! grep -E '[^ ]\+(0|0x[0-9a-f]+)([ ,]|$)' "$tmp/lines" || fail "no names in: $*"
}
# has NAME: as the name of a line
has() {
	grep -qE "^$1 " "$tmp/lines" || fail "no line is called $1"
}

named -m skylake192 -w all -s mmap_lock,vma_rwsem,spf_seqcount -c 4 -d 200us
named -m skylake192 -w page_fault2,page_fault3 -s mmap_lock,spf --tree rb -c 2 -d 200us
named -m skylake192 -w page_fault1 -s vma_rwsem -p hugetlb=yes -p size=8M -p hugepages=16 -c 2 -d 200us
named -m graviton4 -w mmap1,gc_heap,ebizzy -s all -c 4 -d 200us
named -m power8-80 -w page_fault3 -s mmap_lock -c 4 -d 200us

# The right ones: of two fields that are far from each other, and of two locks of which one is not used.
named -m ivybridge40 -w gc_heap -s range_list -c 8 -d 500us
has 'mm->tlb_gen'
named -m ivybridge40 -w gc_heap -s mmap_lock_bravo -c 8 -d 500us
has 'mm->mmap_bravo.sem.count'
has 'bravo_table->slots'
# A word that is a lock under one scheme and a sequence count under another.
named -m ivybridge40 -w mmap1 -s spf -c 8 -d 500us
has 'vma->vm_sequence'
echo ok
