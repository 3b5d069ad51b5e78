#!/bin/sh
# tests/cli/virtual_trace.sh BIN_DIR - --trace and --lock-stat in virtual time change nothing of what they
# watch, are the same bytes each time, and are whole files or none. (tests/unit/sim/virtual/test_timeline.c
# reads what is in a trace.)
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAILED: $*"
	exit 1
}
mmsim="timeout 300 $bin/mmsim"
one='run -q -e virtual -m phone8 -c 4 -d 1ms --warmup 500us -o -'

for w in ebizzy 'page_fault1 -p size=1M' 'mmap1 -p size=1M' 'pft -p size=1M'; do
	for s in mmap_lock vma_refcnt; do
		$mmsim $one -w $w -s $s >"$tmp/plain" || fail "$w $s"
		$mmsim $one -w $w -s $s --trace "$tmp/trace" >"$tmp/traced" || fail "$w $s --trace"
		cmp "$tmp/plain" "$tmp/traced" || fail "$w $s: --trace changes what it watches"
		$mmsim $one -w $w -s $s --lock-stat --trace "$tmp/again" >"$tmp/both" 2>"$tmp/locks" ||
			fail "$w $s --lock-stat --trace"
		cmp "$tmp/plain" "$tmp/both" || fail "$w $s: --lock-stat changes what it watches"
		cmp "$tmp/trace" "$tmp/again" || fail "$w $s: a trace is not repeatable"
		$mmsim $one -w $w -s $s --lock-stat >"$tmp/stat" 2>"$tmp/locks2" || fail "$w $s --lock-stat"
		cmp "$tmp/plain" "$tmp/stat" || fail "$w $s: --lock-stat alone changes what it watches"
		cmp "$tmp/locks" "$tmp/locks2" || fail "$w $s: lock statistics are not repeatable"
		grep -qE '^[a-z].* [RW] +[1-9]' "$tmp/locks" || fail "$w $s: no lock in the statistics"
		[ "$(grep -c '"name":"measurement","cat"' "$tmp/trace")" -eq 1 ] || fail "$w $s: no measurement"
		tail -c 100 "$tmp/trace" | grep -q '"whole":true}}$' || fail "$w $s: not whole"
	done
done

# A sweep with workers: tables in order, rows as ever.
sweep='run -q -e virtual -m phone8 -w mmap1,page_fault1 -c 1,4 -d 100us --warmup 10us -p size=1M -o -'
$mmsim $sweep -j 1 >"$tmp/a" || fail 'a sweep'
$mmsim $sweep -j 2 --lock-stat --json "$tmp/json" >"$tmp/b" 2>"$tmp/locks" || fail 'a sweep with two workers'
cmp "$tmp/a" "$tmp/b" || fail 'two workers with statistics are not one without'
$mmsim $sweep -j 1 --lock-stat >"$tmp/b" 2>"$tmp/locks2" || fail 'a sweep with one worker'
cmp "$tmp/locks" "$tmp/locks2" || fail 'statistics depend on workers'
[ "$(grep -c '"lock_stat": \[' "$tmp/json")" -eq 8 ] || fail 'lock statistics of 8 rows wanted in the JSON'

# Long waits by spinning: who keeps the books reads the clock, and must not be taken for a spinner who does.
spins='run -q -e virtual -m ivybridge40 -w gc_heap -p garbage=0 -s range_list,range -c 24 -d 20ms'
$mmsim $spins -o "$tmp/a" 2>/dev/null || fail 'gc_heap'
$mmsim $spins --lock-stat -o "$tmp/b" >"$tmp/locks" 2>&1 || fail 'gc_heap --lock-stat'
cmp "$tmp/a" "$tmp/b" || fail 'gc_heap: --lock-stat changes what it watches'

# Cut: said, and the file can still be read.
$mmsim $one -w ebizzy -s mmap_lock --trace "$tmp/cut" --trace-events 50 >"$tmp/c" 2>"$tmp/err" || fail 'cut'
grep -q -- '--trace=.*: ends after 50 events' "$tmp/err" || fail 'a cut trace does not say so'
grep -q '"events":50,"whole":false}}$' "$tmp/cut" || fail 'a cut trace looks whole'
$mmsim $one -w ebizzy -s mmap_lock >"$tmp/plain" || fail 'plain'
cmp "$tmp/plain" "$tmp/c" || fail 'a cut trace changes the row'

# Wrong input: one line, exit 2, no file.
wrong() {
	text=$1
	shift
	$mmsim "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 2 ] || fail "$*: exit 2 wanted"
	grep -q -- "$text" "$tmp/err" && [ "$(wc -l <"$tmp/err")" -eq 1 ] || fail "$*: $(cat "$tmp/err")"
	[ -e "$tmp/none" ] && fail "$*: a file was made"
	return 0
}
wrong '--trace=.*: is of one run, and this is a sweep of 2' run -e virtual -w mmap1 -c 2 --trace "$tmp/none"
wrong '--trace=.*: only in virtual time' run -w mmap1 -s mmap_lock -c 2 --trace "$tmp/none"
wrong '--trace=.*: not with --emit-jobs' run -e virtual -w mmap1 -s mmap_lock -c 2 --trace "$tmp/none" --emit-jobs
wrong '--trace=.*: is the same file' run -e virtual -w mmap1 -s mmap_lock -c 2 --trace "$tmp/none" -o "$tmp/none"
wrong '--trace=.*: cannot be written' run -e virtual -w mmap1 -s mmap_lock -c 2 --trace "$tmp/no/none"
wrong '--trace-events=0' run -e virtual -w mmap1 -s mmap_lock -c 2 --trace "$tmp/none" --trace-events 0
$mmsim run -q -e virtual -w mmap1 -c 2 -d 100us -o - --only 1 --trace "$tmp/only" >"$tmp/out" || fail '--only'
grep -q 'mmap1, vma_refcnt, 2 cpus' "$tmp/only" || fail '--only: another combination was traced'
ls "$tmp" | grep -q '\.tmp\.' && fail 'a temporary file was left behind'
echo ok
