#!/bin/sh
# tests/cli/virtual_hot_lines.sh BIN_DIR - --hot-lines tells where the time went: first the lock or field that a
# kernel developer would name, with the waiting for it, and the sum of all lines is the time that is lost.
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAILED: $*"
	cat "$tmp/lines"
	exit 1
}
# hot ARGS...: the report in $tmp/lines, its row in $tmp/csv
hot() {
	timeout 120 "$bin/mmsim" run -q -j 1 -e virtual --hot-lines 4 -o "$tmp/csv" "$@" >"$tmp/lines" || fail "$*"
}
# first NAME LOW HIGH: the first line is called so, and took between LOW and HIGH per cent of the time
first() {
	awk -v name="$1" -v low="$2" -v high="$3" 'NR == 4 { exit !($1 == name && $NF + 0 >= low && $NF + 0 <= high) }' \
		"$tmp/lines" || fail "wanted first: $1, $2 to $3 %"
}
# detail TEXT: of the first line
detail() {
	sed -n '5,/^[^ ]/p' "$tmp/lines" | grep -q "^    $1" || fail "wanted below the first line: $1"
}

# False sharing: readers of the VMA's fields lose the line to those who write the lock in it.
hot -m ivybridge40 -w pft -p size=8M -s vma_rwsem -p vma_lock_placement=embedded -c 8 -d 500us --warmup 500us
first 'vma->vm_lock.count' 15 60
detail 'written: vma->vm_lock.count; read: .*vma->vm_start'
hot -m ivybridge40 -w pft -p size=8M -s vma_rwsem -p vma_lock_placement=separate -c 8 -d 500us --warmup 500us
first 'vm_lock->count' 3 40
! grep -q 'read:.*vma->vm_start' "$tmp/lines" || fail 'nothing is shared falsely'

# Two tasks per CPU wait for mmap_lock nearly all of the time, and the lock statistics say the same.
hot -m skylake192 -w ebizzy -s mmap_lock -c 12 -d 5ms --warmup 1ms --lock-stat
first 'mm->mmap_lock.count' 60 100
detail 'waited for: mm->mmap_lock.count, [0-9]* times, '
awk '$1 == "mm->mmap_lock.count" { lines = $(NF - 1) } $1 == "mmap_lock" { stat += $5 }
	END { exit !(lines > 0.9 * stat && stat > 0) }' "$tmp/lines" || fail 'less waiting than in the lock statistics'

# A queued spin lock: its waiters spin on nodes of their own; the time is the lock's.
hot -m ivybridge40 -w pft -p size=8M -s range -c 8 -d 1ms --warmup 500us
first 'mm->mmap_range.lock' 40 100
! grep -q 'queue node' "$tmp/lines" || fail 'waiting is charged to the queue'
grep -q '^range_lock of a fault ' "$tmp/lines" || fail 'the nodes in the tree have no name'

# The line is not written, but fetched along with its neighbour, which is.
hot -m skylake192 -w page_fault1 -s vma_refcnt -c 24 -d 1ms --warmup 500us
grep -A2 '^mm->mm_lock_seq' "$tmp/lines" | grep -q 'fetched along with the line of mm->mmap_lock.count' ||
	fail 'who fetches the line of mm_lock_seq?'

# The groups of a hash table have a name.
hot -m power8-80 -w pft -s mmap_lock -c 8 -d 1ms --hot-lines 30
grep -q '^hash table group ' "$tmp/lines" || fail 'the groups of the hash table have no name'

# No report is above 100 per cent.
awk '$1 == "all" && $2 == "lines" { seen = 1; bad = $NF + 0 > 100 } END { exit !(seen && !bad) }' "$tmp/lines" ||
	fail 'the sum of all lines'

# A window in which nothing ended has no shares.
hot -m skylake192 -w gc_heap -s mmap_lock -c 96 -d 1us --warmup 1us
grep -q '^no operation began and ended in the window' "$tmp/lines" || fail 'a table of an empty window'
! grep -q '^mm->\|^all lines' "$tmp/lines" || fail 'a table of an empty window'
echo ok
