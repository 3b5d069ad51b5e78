#!/bin/sh
# tests/cli/wrong_input.sh BIN_DIR - what a new user types wrong: one line, lower case, exit 2, and
# nothing is written.
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
	"$bin/$program" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
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

printf 'not,a,result\n1,2,3\n' >"$tmp/other.csv"
printf 'workload,scheme,cpus\na,b,c\n' >"$tmp/nocpus.csv"
printf 'workload,scheme,cpus\na,b\n' >"$tmp/short.csv"
: >"$tmp/empty.csv"
head -c 4096 /dev/urandom | tr '\n' '\0' >"$tmp/binary.csv"
printf 'workload,scheme,cpus,ops_per_sec\nw,s,1,5\n' >"$tmp/good.csv"
printf '[a]\ncpus = none\n' >"$tmp/bad.ini"
printf '[global\ncpus = 1\n' >"$tmp/bracket.ini"
printf '[a]\nwork\000load = mmap1\n' >"$tmp/nul.ini"
printf '[a]\n# %0300d\ncpus = none\n' 1 >"$tmp/long.ini"
mkdir "$tmp/folder"

wrong 'unknown command; did you mean replay?' mmsim repaly
wrong 'unknown command; did you mean run?' mmsim rnu
wrong 'unknown command (allowed: run, replay' mmsim explore
wrong 'unknown command' mmsim --wrong
wrong 'unknown command' mmsim help nothing
wrong '--workload: is needed' mmsim run
wrong '--workload=page_fault9: unknown workload; did you mean page_fault' mmsim run -w page_fault9
wrong 'empty name' mmsim run -w ''
wrong 'empty name' mmsim run -w mmap1,,pft
wrong 'named twice' mmsim run -w mmap1,mmap1
wrong '--scheme=vma_refcn: unknown scheme; did you mean vma_refcnt?' mmsim run -w mmap1 -s vma_refcn
wrong '--engine=virtul: unknown engine; did you mean virtual? (allowed: native' mmsim run -w mmap1 -e virtul
wrong '--arch=vax: unknown architecture' mmsim run -w mmap1 -a vax
wrong '--tree=rbb: unknown tree; did you mean rb?' mmsim run -w mmap1 --tree rbb
wrong '--kernel=3.10: unknown kernel era; did you mean 4.12? (allowed: 4.12, 4.15, 6.4, 6.18)' mmsim run -w mmap1 --kernel 3.10
wrong '--param=coverage=7.0: allowed: era, v1, 6.4, 6.7, 6.15' mmsim run -w mmap1 -s vma_rwsem -p coverage=7.0
wrong '--param=coverge: unknown parameter of mmap1; did you mean coverage?' mmsim run -w mmap1 -s vma_rwsem -p coverge=v1
wrong '--param=coverage: a parameter of other schemes than mmap_lock' mmsim run -w mmap1 -s mmap_lock -p coverage=v1
wrong '--machine=laptop8: only in virtual time (--engine=virtual)' mmsim run -w mmap1 --machine laptop8
wrong '--machine=laptp8: unknown machine (nearest: laptop8)' mmsim run -w mmap1 -m laptp8
wrong '--jobs=4: only in virtual time' mmsim run -w mmap1 --jobs 4
wrong '--jobs=0: a whole number from 1' mmsim run -w mmap1 -j 0
wrong '--hot-lines=5: only in virtual time' mmap1 --hot-lines 5
wrong '--host-time: only in virtual time' mmsim run -w mmap1 --host-time
wrong '--schedule=random: only in virtual time' mmsim run -w mmap1 --schedule random
wrong '--param=machine.cost.syscall=5: only in virtual time' mmsim run -w mmap1 -p machine.cost.syscall=5
wrong '--only=2: the sweep has 2 combinations, 0 to 1' mmsim run -w mmap1 -c 1 --only 2
wrong '--no-header: is for CSV' mmsim run -w mmap1 --no-header
wrong 'not with --emit-jobs' mmsim run -w mmap1 --emit-jobs --json "$tmp/x.json"
wrong '--cpsu: unknown option; did you mean --cpus?' mmsim run -w mmap1 --cpsu 4
wrong '--cpus=3000: at most 2048 (MMSIM_CPUS_MAX)' mmsim run -w mmap1 --cpus=3000
wrong '--cpus=0: at least 1' mmsim run -w mmap1 -c 0
wrong '--cpus=-1: numbers, ranges and steps' mmsim run -w mmap1 -c -1
wrong '--cpus=: numbers' mmsim run -w mmap1 -c ''
wrong '--cpus: needs a value' mmsim run -w mmap1 -c
wrong '--threads=0x: a number from 1' mmsim run -w mmap1 -t 0x
wrong 'would have 4096 tasks, at most' mmsim run -w ebizzy -c 2048
wrong '--duration=2: the unit must be' mmsim run -w mmap1 -d 2
wrong '--duration=-2s: a time with its unit' mmsim run -w mmap1 -d -2s
wrong '--ops=5: instead of --duration, not both' mmsim run -w mmap1 -n 5 -d 1s
wrong '--repeats=0: a whole number from 1' mmsim run -w mmap1 -r 0
wrong '--seed=x: a whole number' mmsim run -w mmap1 --seed x
wrong 'did you mean size?' mmsim run -w page_fault1 -p sizes=1M
wrong 'allowed: from 64K to 64G' mmsim run -w page_fault1 -p size=1
wrong '--param=memory=1: allowed: 0, or from 256K (64 pages of 4K)' mmsim run -w mmap1 -p memory=1
wrong '--param=content_words=3: allowed: 0 and powers of two from 1 to 8' mmsim run -w mmap1 -p content_words=3
wrong '--param: multi_fault: part=' multi_fault -p part=16M
wrong '--param: gc_heap: garbage=' gc_heap -p garbage=1M
wrong 'processes=1 share nothing' gc_heap -p heap=shared -p processes=1
wrong '--param: page_fault1: hugetlb=yes: 2 tasks with size=134217728 need -p hugepages=128, or more' mmsim run -w page_fault1 -s mmap_lock -c 2 -p hugetlb=yes
wrong 'hugetlb=yes: 2 tasks with size=2097152 need -p hugepages=2, or more' mmsim run -w page_fault1 -s mmap_lock -c 2 -p hugetlb=yes -p size=2M -p hugepages=1
wrong '--param: page_fault1: hugetlb=yes: ppc64-hash has no huge pages of that size' mmsim run -w page_fault1 -s mmap_lock -c 2 -a ppc64-hash -p hugetlb=yes
wrong '--param: page_fault1: hugetlb=1g: arm64-16k has no huge pages of that size' mmsim run -w page_fault1 -c 1 -a arm64-16k -p hugetlb=1g
wrong '--param=hugepages=10: ppc64-hash has no huge pages of that size (allowed: 0)' mmsim run -w mmap1 -c 1 -a ppc64-hash -p hugepages=10
wrong '--param=hugepages_1g=1: arm64-64k has no huge pages of that size (allowed: 0)' mmsim run -w mmap1 -c 1 -a arm64-64k -p hugepages_1g=1
wrong '--param=memory=100M: hugepages=100 and hugepages_1g=0 take 200M of it (allowed: 0, or more)' mmsim run -w mmap1 -c 1 -p hugepages=100 -p memory=100M
wrong 'key=value is needed' mmsim run -w page_fault1 -p size
wrong 'size is given twice' mmsim run -w page_fault1 -p size=1M -p size=2M
wrong 'is for one task' mmsim run -w mmap1 -s lock_null -c 2
wrong "unexpected argument 'mmap1'" mmsim run mmap1
wrong '--quiet=yes: takes no value' mmsim run -w mmap1 --quiet=yes
wrong 'cannot be written: No such file or directory' mmsim run -w mmap1 -o /no/such/dir/x.csv
wrong 'is a directory' mmsim run -w mmap1 -o "$tmp/folder"
wrong 'is the same file as --output' mmsim run -w mmap1 -o "$tmp/x.csv" --json "$tmp/x.csv"
wrong '--job=/no/such.ini: No such file' mmsim run --job /no/such.ini
wrong 'bad.ini:2: --cpus=none' mmsim run --job "$tmp/bad.ini" -o "$tmp/x.csv"
wrong 'bracket.ini:1: [global: the ] is missing' mmsim run --job "$tmp/bracket.ini"
wrong 'nul.ini:2: holds a NUL byte' mmsim run --job "$tmp/nul.ini"
wrong 'long.ini:3: --cpus=none' mmsim run --job "$tmp/long.ini"
wrong "--job=$tmp/folder: Is a directory" mmsim run -w pft --job "$tmp/folder"
wrong '-w: unknown option' mmap1 -w pft
wrong '--cpus=0: at least 1' page_fault1 -c 0
wrong 'did you mean rng?' ebizzy -p rgn=fixed
wrong 'list schemas: unknown; did you mean schemes?' mmsim list schemas
wrong "unexpected argument 'trees'" mmsim list schemes trees
wrong 'list machine: unknown; did you mean machines?' mmsim list machine
wrong '--output=/no/such/dir/h.ini: cannot be written' mmsim calibrate -o /no/such/dir/h.ini
wrong 'is a directory' mmsim calibrate -o "$tmp/folder"
wrong '--output=: a file name is needed' mmsim calibrate -o ''
wrong '--seconds=0: a whole number from 1 to 600' mmsim calibrate --seconds 0
wrong '--seconds=2s: a whole number' mmsim calibrate --seconds 2s
wrong '--quick: instead of --seconds, not both' mmsim calibrate --quick --seconds 9
wrong '--quik: unknown option; did you mean --quick?' mmsim calibrate --quik
wrong "unexpected argument 'host'" mmsim calibrate host
wrong 'record: a program is needed' mmsim record
wrong 'record: /nonexistent: no such program' mmsim record -- /nonexistent
wrong "record: $tmp/folder: no such program" mmsim record -- "$tmp/folder"
wrong "record: $tmp/other.csv: no such program, or it may not be run" mmsim record -- "$tmp/other.csv"
wrong '--output=/proc/x: cannot be written' mmsim record -o /proc/x -- true
wrong '--output=/no/such/x.zst: cannot be written' mmsim record -o /no/such/x.zst -- true
wrong 'is a directory' mmsim record -o "$tmp/folder" -- true
traces=$(dirname "$0")/../data/traces
# What goes event by event measures nothing: options of a measurement are refused, not ignored.
r() {
	pattern=$1
	shift
	wrong "$pattern" mmsim replay "$traces/pythreads.perf.zst" "$@"
}
r '--trace=q.json: --check goes event by event and measures nothing (allowed: --check, --pid' --check --trace q.json
r '--hot-lines=4: --check goes event by event' --hot-lines 4 --check
r '--lock-stat: --check goes event by event' --check --lock-stat
r '--emit-jobs: --check goes event by event' --check --emit-jobs
r '--only=7: --check goes event by event' --check --only 7
r '--threads=3: --check goes event by event' --check -t 3
r '--repeats=3: --check goes event by event' --check -qr3 -n 5
r '--ops=5: --order=trace goes event by event' --order trace -n 5
r '--cpus=1: --maps-at goes event by event' --maps-at 1 --pid 1 -c 1
r '--param=hugepages=1: --check goes event by event' --check -p hugepages=1
r '--output=x.csv: --check goes event by event' --check -o x.csv
r '--threads=2x: a replay has the tasks of its recording' -t 2x
wrong 'at least one FILE.csv' mmsim compare
wrong 'plot: at least one FILE.csv' mmsim plot
wrong 'No such file or directory' mmsim compare /no/such.csv
wrong 'is empty' mmsim compare "$tmp/empty.csv"
wrong 'it is binary' mmsim compare "$tmp/binary.csv"
wrong 'has no column workload: not a file of results' mmsim compare "$tmp/other.csv"
wrong 'a row without a number of cpus' mmsim compare "$tmp/nocpus.csv"
wrong 'short.csv:2: 2 cells where the header has 3' mmsim compare "$tmp/short.csv"
wrong 'did you mean ops_per_sec?' mmsim compare "$tmp/good.csv" --metric ops_per_second
wrong '--baseline=t: unknown column' mmsim compare "$tmp/good.csv" --baseline t
wrong '--by=nothing: no such column' mmsim compare "$tmp/good.csv" --by nothing
wrong '--better=more: unknown direction' mmsim compare "$tmp/good.csv" --better more
wrong '--output DIR is needed' mmsim plot "$tmp/good.csv"
wrong 'is not a folder' mmsim plot "$tmp/good.csv" -o "$tmp/good.csv"
wrong '--output=/proc/x: cannot be made' mmsim plot "$tmp/good.csv" -o /proc/x
wrong 'has no column workload' mmsim plot "$tmp/other.csv" -o "$tmp/figures"

"$bin/mmsim" replay --help | grep -q -e --threads && echo 'FAILED: replay --help has --threads' &&
	failures=$((failures + 1))
[ -e "$tmp/figures" ] && echo 'FAILED: wrong input made a folder' && failures=$((failures + 1))
[ -n "$(find "$tmp" -name '*.tmp.*')" ] && echo 'FAILED: a temporary file is left' &&
	failures=$((failures + 1))
[ $failures -eq 0 ] && echo ok
exit $((failures != 0))
