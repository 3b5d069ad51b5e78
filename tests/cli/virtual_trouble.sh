#!/bin/sh
# tests/cli/virtual_trouble.sh BIN_DIR - a sweep with workers that fail, are killed or interrupted: what is
# finished is kept, in order and whole, and the rest is named with its seed.
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAILED: $*"
	cat "$tmp/err" 2>/dev/null
	exit 1
}
# whole FILE: a header, and rows with as many cells.
whole() {
	awk -F, 'NR == 1 { n = NF } NF != n { bad = 1 } END { exit bad || NR < 2 }' "$1" ||
		fail "$1 has half a row, or none"
}
# Combinations in the order of the sweep: repeats ascend.
ascending() {
	cut -d, -f9 "$1" | tail -n +2 | sort -nc || fail "$1 is not in order"
}

# A run that fails: the others go on, exit 1, its seed is named.
for j in 1 2; do
	"$bin/mmsim" run -q -e virtual -j $j -w page_fault1,mmap1 -c 1 -s mmap_lock -n 100 --seed 77 -p memory=2M \
		-p size=64M -o "$tmp/$j.csv" 2>"$tmp/err"
	[ $? -eq 1 ] || fail "-j $j: a failed run is not a failure"
	grep -q '^mmsim: page_fault1, mmap_lock, 1 cpus, 1 tasks, seed 77: .*simulated memory' "$tmp/err" ||
		fail "-j $j: no seed, or no reason"
	[ "$(cut -d, -f1 "$tmp/$j.csv" | tail -1)" = mmap1 ] || fail "-j $j: the others did not run"
done
cmp "$tmp/1.csv" "$tmp/2.csv" || fail 'a failure in a worker changes the others'

# A run that takes long: ebizzy for 1000 simulated seconds, behind short ones.
cat >"$tmp/long.ini" <<JOB
[global]
engine = virtual
scheme = vma_refcnt
output = $tmp/long.csv
[short]
workload = mmap1
cpus = 1
ops = 200
repeats = 5
[long]
workload = ebizzy
cpus = 16
duration = 1000s
JOB
rows() {
	tries=0
	until [ "$(wc -l 2>/dev/null <"$tmp/long.csv")" = 6 ]; do
		sleep 0.1
		tries=$((tries + 1))
		[ $tries -lt 600 ] || fail 'no rows after a minute'
	done
} 2>/dev/null

for signal in TERM INT; do
	# A shell's background jobs ignore SIGINT; env gives it back.
	rm -f "$tmp/long.csv"
	env --default-signal=INT "$bin/mmsim-virtual" run -q -j 2 --job "$tmp/long.ini" 2>"$tmp/err" &
	pid=$!
	rows
	kill -$signal $pid
	wait $pid
	status=$?
	case $signal$status in
	TERM143 | INT130) ;;
	*) fail "SIG$signal was not passed on: $status" ;;
	esac
	whole "$tmp/long.csv"
	ascending "$tmp/long.csv"
	grep -q 'interrupted: 5 of 6 runs are finished' "$tmp/err" || fail 'what was finished is not said'
	[ -z "$(ps -o pid= --ppid $pid)" ] || fail 'a worker is left'
done

# A worker that is killed: exit 1 and its seed.
rm -f "$tmp/long.csv"
"$bin/mmsim-virtual" run -q -j 2 --job "$tmp/long.ini" 2>"$tmp/err" &
pid=$!
rows
kill -KILL $(ps -o pid= --ppid $pid)
wait $pid
[ $? -eq 1 ] || fail 'a killed worker is not a failure'
grep -q '^mmsim: ebizzy, vma_refcnt, 16 cpus, 32 tasks: .*signal 9.*--seed=1$' "$tmp/err" || fail 'no seed'
whole "$tmp/long.csv"

# The sweep is killed: its workers end, too.
rm -f "$tmp/long.csv"
"$bin/mmsim-virtual" run -q -j 2 --job "$tmp/long.ini" 2>"$tmp/err" &
pid=$!
rows
worker=$(ps -o pid= --ppid $pid)
kill -KILL $pid
wait $pid
sleep 0.3
case $(ps -o stat= -p $worker) in
'' | Z*) ;; # ended; who must reap it is not our matter
*) fail 'a worker outlives the sweep' ;;
esac
whole "$tmp/long.csv"
[ -z "$(find "$tmp" -name '*.tmp.*')" ] || fail 'a temporary file is left'

"$bin/mmsim" run -q -e virtual -w mmap1 -c 1,2 -d 100us -j 2 -o - >/dev/full 2>/dev/null &&
	fail 'a full disk is a success'
echo ok
