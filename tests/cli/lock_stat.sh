#!/bin/sh
# tests/cli/lock_stat.sh BIN_DIR - --lock-stat natively: the table, the JSON, and the program that runs it
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAILED: $*"
	cat "$tmp"/*.err 2>/dev/null
	exit 1
}
# Long enough that a busy host lets both tasks run in it.
run='run -q -w page_fault1 -c 2 -s mmap_lock,vma_refcnt -d 300ms --warmup 2ms -p size=1M'

"$bin/mmsim" $run --lock-stat -o "$tmp/a.csv" --json "$tmp/a.json" >"$tmp/out" 2>"$tmp/a.err" || fail 'the run'
[ "$(wc -l <"$tmp/a.csv")" -eq 3 ] || fail 'two rows wanted'
grep -q 'lock statistics were taken' "$tmp/a.csv" || fail 'the rows do not say that statistics were taken'
[ "$(grep -c '^lock statistics of page_fault1, ' "$tmp/out")" -eq 2 ] || fail 'a table for each row wanted'
# Under mmap_lock faults take it for read, under vma_refcnt the VMA's lock; both the page-table lock.
awk '/^lock statistics of/ { scheme = $5; next } NF > 10 { n[scheme $1 $2] = $(NF - 9) }
	END { exit !(n["mmap_lock,mmap_lockR"] > 0 && n["vma_refcnt,vmalock"] > 0 && n["mmap_lock,ptlW"] > 0 &&
		!("mmap_lock,vmalock" in n)) }' "$tmp/out" || { cat "$tmp/out"; fail 'not the locks that the schemes take'; }
grep -q '^    mmap_lock_fault_wait+0x[0-9a-f]* ' "$tmp/out" || fail 'no call site by name'
grep -q '"class": "mmap_lock"' "$tmp/a.json" || fail 'no lock statistics in the JSON'

"$bin/mmsim" $run -o - >"$tmp/plain.csv" 2>"$tmp/b.err" || fail 'a run without'
grep -q 'lock statistics' "$tmp/plain.csv" && fail 'statistics that nobody asked for'
# On stdout there is nothing but CSV.
"$bin/mmsim" $run --lock-stat -o - >"$tmp/c.csv" 2>"$tmp/c.err" || fail 'CSV on stdout'
[ "$(wc -l <"$tmp/c.csv")" -eq 3 ] || fail 'the table is in the CSV'
grep -q '^mmap_lock R ' "$tmp/c.err" || fail 'the table is not on stderr'
printf '[global]\nduration = 200ms\ncpus = 1\nlock-stat = yes\n[a]\nworkload = mmap1\nscheme = mmap_lock\n' >"$tmp/job.ini"
"$bin/mmsim" run -q --job "$tmp/job.ini" >"$tmp/out" 2>"$tmp/d.err" || fail 'a job file'
grep -q '^mmap_lock W ' "$tmp/out" || fail 'no table with a job file'
echo ok
