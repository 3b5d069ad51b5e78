#!/bin/sh
# tests/cli/virtual_curves.sh BIN_DIR - the shapes of docs/CURVES.md hold: at few points, in short runs, with
# room for whoever changes the model a little. What they are and why: docs/CURVES.md.
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0

# run NAME MACHINE CPUS SCHEMES ARGS...: "SCHEME OPERATIONS_PER_SECOND" lines in $tmp/NAME
run() {
	name=$1 machine=$2 cpus=$3 schemes=$4
	shift 4
	timeout 120 "$bin/mmsim" run -q -j 1 -e virtual -m "$machine" -c "$cpus" -s "$schemes" "$@" -o "$tmp/csv" || {
		echo "FAILED: $name: mmsim run"
		exit 1
	}
	awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
		{ print $at["scheme"], $at["ops_per_sec"] }' "$tmp/csv" >"$tmp/$name"
}

# ratio NAME A B LOW HIGH: A's rate over B's
ratio() {
	awk -v name="$1" -v a="$2" -v b="$3" -v low="$4" -v high="$5" '
		{ rate[$1] = $2 }
		END {
			r = rate[b] > 0 ? rate[a] / rate[b] : 0
			ok = r >= low && r <= high
			printf "%s: %s / %s = %.3f, wanted %s to %s%s\n", name, a, b, r, low, high, ok ? "" : "  FAILED"
			exit !ok
		}' "$tmp/$1" || failed=1
}

# Faults inside one VMA: per-VMA locks are one contended line, as mmap_lock is; speculation has none.
run pft-4 ivybridge40 4 mmap_lock,vma_refcnt,spf -w pft -p size=16M --warmup 1ms -d 4ms
ratio pft-4 vma_refcnt mmap_lock 0.95 1.05
ratio pft-4 spf mmap_lock 1.05 2
run pft-24 skylake192 24 mmap_lock,vma_refcnt,spf -w pft -p size=32M --warmup 1ms -d 2ms
ratio pft-24 vma_refcnt mmap_lock 0.8 1.6
ratio pft-24 spf mmap_lock 4 24

# A VMA per thread: now they are a line each. With unmapping among it, readers also no longer wait for writers.
run own-24 skylake192 24 mmap_lock,vma_refcnt -w page_fault1 -p vmas=own --warmup 5ms -d 3ms
ratio own-24 vma_refcnt mmap_lock 4 24
run own-4m skylake192 12 mmap_lock,vma_refcnt -w page_fault1 -p vmas=own -p size=4M --warmup 10ms -d 5ms
ratio own-4m vma_refcnt mmap_lock 3 12

# The price of the range lock itself, nobody in the way: a few per cent.
run alone ivybridge40 1 mmap_lock,range_full -w pft -p size=16M --warmup 1ms -d 20ms
ratio alone range_full mmap_lock 0.95 1
run calls ivybridge40 1 mmap_lock,range_full -w mmap1 --warmup 1ms -d 5ms
ratio calls range_full mmap_lock 0.95 1

# Writers on VMAs of their own: ranges let them run at once. With many faults among them the tree of
# ranges and its spin lock are the limit; the list has no lock.
run flips ivybridge40 10 mmap_lock,range,range_list -w gc_heap -p garbage=0 --warmup 4ms -d 10ms
ratio flips range mmap_lock 1.4 6
ratio flips range_list mmap_lock 2.5 10
run collections ivybridge40 10 mmap_lock,range,range_list -w gc_heap --warmup 10ms -d 20ms
ratio collections range_list mmap_lock 2 10

[ $failed -eq 0 ] && echo ok
exit $failed
