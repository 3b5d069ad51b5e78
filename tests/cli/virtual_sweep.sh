#!/bin/sh
# tests/cli/virtual_sweep.sh BIN_DIR [OTHER_BIN_DIR...] - a sweep in virtual time is the same bytes every
# time: twice, with one and with two workers, from --emit-jobs, from the workload programs, with a job file,
# with other address layouts, and with the programs of OTHER_BIN_DIRs (a debug build, another compiler:
# all but the version column).
set -u
bin=$1
shift
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAILED: $*" >&2
	exit 1
}
# same A B WHAT: files with the same bytes.
same() {
	cmp "$tmp/$1" "$tmp/$2" || fail "$3"
}
mmsim="timeout 300 $bin/mmsim"
sweep='run -q -e virtual -m phone8 -w mmap1,page_fault1,ebizzy,pft -c 1,2,8 -r 2 -d 300us --warmup 30us
	-p size=1M -p machine.cost.syscall=90.5'

$mmsim $sweep -j 1 -o - >"$tmp/one" || fail 'the sweep'
[ "$(wc -l <"$tmp/one")" -eq 49 ] || fail '48 rows and a header wanted'
awk -F, 'NR == 1 { n = NF; for (i = 1; i <= NF; i++) at[$i] = i; next }
	NF != n || $at["engine"] != "virtual" || $at["machine"] != "phone8" || $at["machine_kind"] == "" ||
	$at["elapsed_ns"] == 0 || $at["ops"] == 0 || $at["host_wall_ns"] != 0 || $at["hw_cycles"] != "" ||
	$at["user_ns"] + $at["system_ns"] == 0 ||
	$at["params"] !~ /machine.cost.syscall=90.5/ { print; exit bad = 1 } END { exit bad }' "$tmp/one" ||
	fail 'a row that is not as it should be'
# Not a constant: repeats have seeds of their own, and CPUs help where nothing is shared.
[ "$(cut -d, -f1-8,11- "$tmp/one" | sort -u | wc -l)" -eq 49 ] || fail 'repeats are alike'

$mmsim $sweep -j 1 -o "$tmp/again" || fail 'the sweep again'
same one again 'twice the same is not the same'
$mmsim $sweep -j 2 -o - >"$tmp/two" || fail 'two workers'
same one two 'two workers are not one'
$mmsim $sweep -j 100 -o "$tmp/many" || fail 'a hundred workers'
same one many 'a hundred workers are not one'
$mmsim $sweep -o - --json "$tmp/json" --hot-lines 3 >"$tmp/hot" 2>"$tmp/lines" || fail 'hot lines'
same one hot 'watching changes what is watched'
grep -q '"hot_lines": \[' "$tmp/json" || fail 'no hot lines in the JSON'
grep -q '"cost.syscall": 90.5' "$tmp/json" || fail 'no machine in the JSON'
[ "$(grep -c '^hot lines of ' "$tmp/lines")" -eq 48 ] || fail 'hot lines of each row wanted'
setarch -R true 2>/dev/null && {
	setarch -R "$bin/mmsim" $sweep -j 1 -o - >"$tmp/fixed" || fail 'without ASLR'
	same one fixed 'addresses of the host decide'
}
(
	export LC_ALL=de_DE.UTF-8 MMSIM_A_LONG_VARIABLE="$(printf '%2000s')"
	$mmsim $sweep -j 1 -o - >"$tmp/env"
)
same one env 'the environment decides'

# --emit-jobs: a command for each row, in any order.
$mmsim $sweep --emit-jobs >"$tmp/jobs" || fail 'emit-jobs'
[ "$(wc -l <"$tmp/jobs")" -eq 48 ] || fail '48 commands wanted'
mkdir "$tmp/out"
awk '{ printf "%s >\"%s/out/%03d\"\n", $0, dir, 999 - NR }' dir="$tmp" "$tmp/jobs" | sort -t/ -k4 |
	sh || fail 'a command of emit-jobs'
ls -r "$tmp/out"/* | xargs cat >"$tmp/joined"
same one joined 'emit-jobs is not the sweep'
$mmsim $sweep --emit-jobs --no-header | head -1 | grep -q -e ' --only=0 --no-header$' ||
	fail 'emit-jobs without a header'
$mmsim run -e virtual -w mmap1 -p rng=fixed --emit-jobs -c 1 >"$tmp/jobs" 2>/dev/null &&
	fail 'wrong input is emitted'
[ -s "$tmp/jobs" ] && fail 'wrong input is emitted, with a complaint'

# Ways to say the same.
$mmsim run -qe virtual -w mmap1 -m phone8 -c 2 -d 300us -o - >"$tmp/a" || fail '-qe virtual'
"$bin/mmap1" -q --engine=virtual -m phone8 -c 2 -d 300us -o - >"$tmp/b" || fail 'mmap1 -e virtual'
same a b 'mmap1 is not run -w mmap1'
"$bin/mmsim-virtual" run -q -w mmap1 -m phone8 -c 2 -d 300us -o - >"$tmp/b" || fail 'mmsim-virtual'
same a b 'mmsim-virtual is not -e virtual'
printf '[global]\nengine = virtual\nmachine = phone8\nduration = 300us\n[a]\nworkload = mmap1\ncpus = 2\n' >"$tmp/job.ini"
$mmsim run -q --job "$tmp/job.ini" -o - >"$tmp/b" || fail 'a job file'
same a b 'a job file is not -e virtual'
$mmsim run -q -e virtual -w mmap1 -m phone8 -c 2 -d 300us -o - --host-time >"$tmp/b" || fail '--host-time'
cmp -s "$tmp/a" "$tmp/b" && fail '--host-time changes nothing'
$mmsim run -q -e virtual -w mmap1 -m phone8 -c 2 -d 300us -o - --schedule random >"$tmp/b" || fail 'random'
$mmsim run -q -e virtual -w mmap1 -m phone8 -c 2 -d 300us -o - --schedule random >"$tmp/c" || fail 'random'
same b c 'random is not repeatable'
grep -q ',schedule=random,' "$tmp/b" || fail 'the row does not tell its schedule'

# A machine of one's own, with a name from its file.
printf '[machine]\nkind = calibrated\n[topology]\ncores = 2\nsmt = 1\n' >"$tmp/mine.ini"
$mmsim run -q -e virtual -w mmap1 -m "$tmp/mine.ini" -s mmap_lock -d 300us -o - >"$tmp/b" || fail 'a file'
[ "$(cut -d, -f6,7 "$tmp/b" | tr '\n' ' ')" = 'machine,cpus mine,1 mine,2 ' ] || fail 'cpus of mine.ini'
$mmsim run -q -e virtual -w mmap1 -m "$tmp/mine.ini" -t 5 -c 2 -n 1000 -o - >"$tmp/b" || fail '5 tasks, 2 cpus'
[ "$(cut -d, -f8 "$tmp/b" | tail -1)" = 5 ] || fail '5 tasks wanted'

# Of each build: that sweep, every scheme on machines that invalidate by IPI, by broadcast and serialised, and
# a recording.
rows() {
	"$1/mmsim" $sweep -j 1 -o - >"$tmp/rows" || fail "$1"
	for m in laptop8 graviton4 power8-80; do
		"$1/mmsim" run -q -e virtual -m $m -w ebizzy,pft,page_fault2,gc_heap -s all -c 6 -d 200us --warmup 20us \
			-p size=1M -j 1 -o - >>"$tmp/rows" || fail "$1 on $m"
		"$1/mmsim" replay -q -e virtual -m $m -a x86_64 -c 4 -s mmap_lock,vma_refcnt -j 1 -o - \
			"$(dirname "$0")/../data/traces/gcc.perf.zst" >>"$tmp/rows" || fail "$1: the recording on $m"
	done
	sed 's/,[0-9.]*+[0-9a-f]*\(\.dirty\)*,/,VERSION,/' "$tmp/rows"
}
[ $# -gt 0 ] && rows "$bin" >"$tmp/one.v"
for other; do
	rows "$other" >"$tmp/other.v"
	same one.v other.v "$other gives other rows"
done
echo ok
