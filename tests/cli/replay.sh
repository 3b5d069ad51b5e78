#!/bin/sh
# tests/cli/replay.sh BIN_DIR - mmsim replay as a user types it: checks, maps, runs, and recordings that
# are none (one line, lower case, exit 2, nothing written).
set -u
bin=$1
traces=$(dirname "$0")/../data/traces
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failures=0

fail() {
	echo "FAILED: $*"
	cat "$tmp/err" "$tmp/out" | head -20
	failures=$((failures + 1))
}

# wrong PATTERN ARGS...
wrong() {
	pattern=$1
	shift
	"$bin/mmsim" replay "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	if [ $status -ne 2 ] || [ "$(wc -l <"$tmp/err")" -ne 1 ] || [ -s "$tmp/out" ] ||
		! grep -qF -e "$pattern" "$tmp/err" || [ -e "$tmp/x.csv" ]; then
		fail "replay $*: status $status, wanted 2 and one line with: $pattern"
	fi
}

# ends STATUS ARGS...: that exit status
ends() {
	want=$1
	shift
	"$bin/mmsim" replay -q "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	[ $status -eq "$want" ] || fail "replay $*: status $status, wanted $want"
}

gcc=$traces/gcc.perf.zst
zstd -dcq "$gcc" >"$tmp/gcc.txt" || exit 1
: >"$tmp/empty"
head -c 100000 "$gcc" >"$tmp/cut.zst"
head -c 100000 "$tmp/gcc.txt" >"$tmp/cut.txt"
gzip -c "$tmp/gcc.txt" >"$tmp/gcc.gz"
head -c 100000 "$tmp/gcc.gz" >"$tmp/cut.gz"
head -c 65536 /dev/urandom >"$tmp/binary"
printf 'hello\nworld\n' >"$tmp/text"
sed '100s/error_code=.*/error_code=/' "$tmp/gcc.txt" >"$tmp/bad.txt"
sed '40s/fd: .*//' "$tmp/gcc.txt" | sed '40s/.*/x/' >"$tmp/odd.txt"

wrong 'a recording is needed'
wrong 'No such file' "$tmp/nothing"
wrong 'is a directory' "$tmp"
wrong 'is empty' "$tmp/empty"
wrong 'cannot be read to its end' "$tmp/cut.zst" -o "$tmp/x.csv"
wrong 'cannot be read to its end' "$tmp/cut.gz"
wrong 'the last line is cut off' "$tmp/cut.txt" -o "$tmp/x.csv"
wrong ':1: ' "$tmp/binary" -o "$tmp/x.csv"
wrong "text:1: not a line of perf script: 'hello'" "$tmp/text"
wrong "odd.txt:40: not a line of perf script: 'x'" "$tmp/odd.txt"
wrong 'standard input: is empty' -
wrong 'no such process' "$gcc" --pid 1
wrong 'needs --pid' "$gcc" --maps-at 809.3
wrong 'has no mappings at that time' "$gcc" --maps-at 1 --pid 12090
wrong 'a time of the recording' "$gcc" --maps-at now --pid 12090
wrong 'unknown order' "$gcc" --order time
wrong 'none, recorded' "$gcc" --think much
wrong 'measures nothing' "$gcc" --check -o "$tmp/x.csv"
wrong 'replays in the order of the trace' "$gcc" --check --order program
wrong 'unknown scheme' "$gcc" -s none -o "$tmp/x.csv"
wrong "unexpected argument 'b'" "$gcc" b
wrong '--arch=arm64-64k: recordings are of 4 KiB pages, and these are of 64 KiB' "$gcc" -a arm64-64k
wrong '--arch=arm64-16k: recordings are of 4 KiB pages' "$gcc" -a arm64-16k --check
sed '3s/$/\x00/' "$tmp/gcc.txt" >"$tmp/nul.txt"
wrong 'nul.txt:3: holds a NUL byte' "$tmp/nul.txt"

ends 0 --check "$gcc"
grep -q '^total$' "$tmp/out" || fail 'no total'
ends 0 --check --pid 12093 "$tmp/gcc.gz"
grep -q '33 equal          0 different' "$tmp/out" || fail 'results of pid 12093'
ends 0 --check -s mmap_lock,vma_refcnt "$tmp/gcc.txt"
[ "$(grep -c '^scheme ' "$tmp/out")" -eq 2 ] || fail 'one part per scheme'
zstd -dcq "$gcc" | "$bin/mmsim" replay --check - >"$tmp/out" 2>"$tmp/err" || fail 'standard input'

# a kernel that placed one mapping a page lower
sed '40,60s/sys_exit_mmap: 0x7fa0c1bb8000/sys_exit_mmap: 0x7fa0c1bb7000/' "$tmp/gcc.txt" >"$tmp/moved.txt"
ends 1 --check "$tmp/moved.txt"
grep -q 'recorded 7fa0c1bb7000' "$tmp/out" || fail 'the difference is not shown'

ends 0 --maps-at 809.346148675 --pid 12093 "$gcc"
grep -v '^#\|vsyscall' "$traces/gcc.12093.maps" | diff - "$tmp/out" >"$tmp/err" || fail 'maps of 12093'

ends 0 -s mmap_lock,vma_refcnt -c 1,2 -o "$tmp/r.csv" "$gcc"
[ "$(wc -l <"$tmp/r.csv")" -eq 5 ] || fail 'rows of results'
[ "$(grep -c '^replay,.*trace=gcc.perf.zst' "$tmp/r.csv")" -eq 4 ] || fail 'the trace is named'
grep -q 'not as recorded' "$tmp/r.csv" && fail 'a result not as recorded'
ends 0 --order program --think x0.01 -s vma_refcnt --pid 12092 "$gcc"

# Lines that are doubled or out of order: differences, never a crash.
zstdcat "$gcc" >"$tmp/gcc.txt"
awk '{ print; print }' "$tmp/gcc.txt" >"$tmp/doubled.txt"
ends 1 --check "$tmp/doubled.txt"
shuf --random-source="$tmp/gcc.txt" "$tmp/gcc.txt" >"$tmp/shuffled.txt"
ends 1 --check "$tmp/shuffled.txt"
# Such a recording is not replayed as if nothing were: a line on stderr, and in the notes.
for order in --check '--order=trace' '-c 1 -s mmap_lock'; do
	"$bin/mmsim" replay -q $order "$tmp/shuffled.txt" >"$tmp/out" 2>"$tmp/err"
	grep -q 'shuffled.txt:[0-9]*: the time goes backwards ([0-9]* lines)' "$tmp/err" ||
		fail "$order: no word of the time"
done
grep -q "the recording's time goes backwards" "$tmp/out" || fail 'the time is not in the notes'
sed 's/$/\r/' "$tmp/gcc.txt" >"$tmp/crlf.txt"
rm -f "$tmp/x.csv"
wrong 'CR LF' --check "$tmp/crlf.txt"

exit $((failures > 0))
