#!/bin/sh
# tests/cli/virtual_wrong_input.sh BIN_DIR - what may be typed wrong about a simulated machine: one line,
# lower case, exit 2, and nothing is written.
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failures=0

# wrong PATTERN PROGRAM ARGS...: exit 2, one line on stderr that has PATTERN, nothing on stdout.
wrong() {
	pattern=$1
	program=$2
	shift 2
	timeout 60 "$bin/$program" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	if [ $status -ne 2 ] || [ "$(wc -l <"$tmp/err")" -ne 1 ] || [ -s "$tmp/out" ] ||
		! grep -qF -e "$pattern" "$tmp/err" || ! grep -q "^$program: " "$tmp/err" ||
		[ -e "$tmp/x.csv" ]; then
		echo "FAILED: $program $*: status $status, wanted 2 and one line with: $pattern"
		cat "$tmp/err" "$tmp/out"
		failures=$((failures + 1))
		rm -f "$tmp/x.csv"
	fi
}
v() {
	pattern=$1
	shift
	wrong "$pattern" mmsim run -e virtual -w mmap1 "$@"
}

printf '[machine]\nname = odd\n[latency]\nl1 = soon\n' >"$tmp/soon.ini"
printf '[latency]\nl9 = 4\n' >"$tmp/l9.ini"
printf '[machine]\narch = vax\n' >"$tmp/vax.ini"
printf '[topology]\ncores = 1000\nsockets = 60\n' >"$tmp/huge.ini"
printf '[global]\nengine = virtual\nmachine = phone8\n[a]\nworkload = mmap1\ncpus = 9\n' >"$tmp/nine.ini"
printf '[a]\nworkload = mmap1\nengine = virtual\n' >"$tmp/late.ini"

v '--machine=laptop9: unknown machine (nearest: laptop8)' -m laptop9
v '--machine=: a machine' -m ''
v 'No such file or directory' -m ./none.ini
v 'arch=vax: unknown (mmsim list archs)' -m "$tmp/vax.ini"
v "soon.ini: latency.l1=soon: must be ns" -m "$tmp/soon.ini"
v 'l9.ini: [latency] l9=4: unknown' -m "$tmp/l9.ini"
v 'at most 1024' -m "$tmp/huge.ini"
v '--cpus=17: machine laptop8 has 16' -c 1,17
v '--cpus=9: machine phone8 has 8' -m phone8 -c 9
v '--cpus=3000: at most 2048' -c 3000
v '--param=machine.cost.sycall: not a number of a machine' -p machine.cost.sycall=4
v '--param=machine.cost.syscall=-4: must be ns' -p machine.cost.syscall=-4
v '--param=machine.topology.cores=0: must be a whole number from 1' -p machine.topology.cores=0
v 'makes 2048 CPUs, at most 1024' -p machine.topology.cores=1024
v 'machine.cost.syscall is given twice' -p machine.cost.syscall=4 -p machine.cost.syscall=5
v '--schedule=fair: unknown schedule (allowed: time, random)' --schedule fair
v '--hot-lines=0: a whole number from 1' --hot-lines 0
v '--hot-lines=10001: a whole number from 1 to 10000' --hot-lines 10001
v '--trace=-: a file name is needed' -c 1 -s mmap_lock --trace -
v '--trace=: a file name is needed' -c 1 -s mmap_lock --trace ''
v '--jobs=0: a whole number from 1' -j 0
v '--jobs=x: a whole number' -j x
v '--only=10: the sweep has 10 combinations, 0 to 9' --only 10
v '--emit-jobs=3: takes no value' --emit-jobs=3
v '--json=' --emit-jobs --json "$tmp/x.json"
v '--output=' --emit-jobs -o "$tmp/x.csv"
v '--output=-: not with --emit-jobs' --emit-jobs -o -
v '--trace-events=5: is for --trace' --trace-events 5
v '--seed=18446744073709551615: at most 18446744073709551614 with --repeats=2' --seed 18446744073709551615 -r 2
v 'would have 4096 tasks, at most' -t 256x
v 'is for one task' -s lock_null -c 2
wrong '--cpus=17: machine laptop8 has 16' ebizzy -c 17 -e virtual
wrong '--cpus=17: machine laptop8 has 16' mmsim run -w mmap1 -qe virtual -c 17
wrong '--cpus=9: machine phone8 has 8' mmsim run --job "$tmp/nine.ini"
wrong 'late.ini:3: engine: belongs in [global]' mmsim run --job "$tmp/late.ini"
trace=$(dirname "$0")/../data/traces/pythreads.perf.zst
wrong "--trace=$tmp/x.csv: --check goes event by event and measures nothing" \
	mmsim replay "$trace" --check -e virtual --trace "$tmp/x.csv"
wrong '--machine=phone8: --order=trace goes event by event' mmsim replay "$trace" --order trace -e virtual -m phone8
wrong '--param: page_fault1: hugetlb=yes: 2 tasks with size=134217728 need -p hugepages=128, or more' mmsim run -e virtual -w page_fault1 -s mmap_lock -c 2 -p hugetlb=yes
wrong 'hugetlb=yes: 2 tasks with size=2097152 need -p hugepages=2, or more' mmsim run -e virtual -w page_fault1 -s mmap_lock -c 2 -p hugetlb=yes -p size=2M -p hugepages=1
wrong '--param: page_fault1: hugetlb=yes: ppc64-hash has no huge pages of that size' mmsim run -e virtual -w page_fault1 -s mmap_lock -c 2 -a ppc64-hash -p hugetlb=yes
wrong '--param: page_fault1: hugetlb=1g: arm64-16k has no huge pages of that size' mmsim run -e virtual -w page_fault1 -c 1 -a arm64-16k -p hugetlb=1g
wrong '--param=hugepages=10: ppc64-hash has no huge pages of that size (allowed: 0)' mmsim run -e virtual -w mmap1 -c 1 -a ppc64-hash -p hugepages=10
wrong '--param=hugepages_1g=1: arm64-64k has no huge pages of that size (allowed: 0)' mmsim run -e virtual -w mmap1 -c 1 -a arm64-64k -p hugepages_1g=1
wrong '--param=memory=100M: hugepages=100 and hugepages_1g=0 take 200M of it (allowed: 0, or more)' mmsim run -e virtual -w mmap1 -c 1 -p hugepages=100 -p memory=100M
# The last one counts, and a native run knows nothing of machines.
wrong '--machine=phone8: only in virtual time' mmsim run -e virtual -w mmap1 -m phone8 -e native

[ -n "$(find "$tmp" -name '*.tmp.*')" ] && echo 'FAILED: a temporary file is left' &&
	failures=$((failures + 1))
[ $failures -eq 0 ] && echo ok
exit $((failures != 0))
