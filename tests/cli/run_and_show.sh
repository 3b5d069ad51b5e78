#!/bin/sh
# tests/cli/run_and_show.sh BIN_DIR - run every workload shortly; the CSV, the JSON, the tables and the
# figures that come of it; interrupting a run.
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAILED: $*"
	exit 1
}
run() {
	"$bin/mmsim" run -q -c 1,2 -n 2000 --warmup 0 "$@" || fail "run $*"
}

small='-p size=1M -p slot=256K -p part=128K -p regions=1 -p garbage=4K'
workloads=$("$bin/mmsim" list workloads | wc -l)
run -w all $small -r 2 \
	-o "$tmp/a.csv" --json "$tmp/a.json"
[ "$(wc -l <"$tmp/a.csv")" -eq $((workloads * 2 * 2 * 2 + 1)) ] ||
	fail "a.csv: $workloads x 2 x 2 x 2 rows and a header wanted"
"$bin/ebizzy" -q -c 1 -n 500 --warmup 0 -s mmap_lock,vma_refcnt -o - >"$tmp/b.csv" || fail ebizzy
[ "$(wc -l <"$tmp/b.csv")" -eq 3 ] || fail 'ebizzy: 2 rows and a header wanted on stdout'
head -1 "$tmp/a.csv" | grep -q '^workload,scheme,tree,arch,engine,' || fail 'header'
[ "$(cut -d, -f1-2 "$tmp/b.csv" | tail -1)" = ebizzy,vma_refcnt ] || fail 'b.csv'
# Each row has as many cells as the header (no cell of these has a comma).
awk -F, 'NR == 1 { n = NF } NF != n { bad = 1 } END { exit bad }' "$tmp/a.csv" || fail 'ragged rows'
grep -q '"latency_buckets"' "$tmp/a.json" || fail 'a.json has no histograms'

"$bin/mmsim" compare "$tmp/a.csv" "$tmp/b.csv" >"$tmp/table" || fail compare
grep -q '^Hmean  *2 ' "$tmp/table" || fail 'no Hmean row'
"$bin/mmsim" compare "$tmp/a.csv" --metric op_ns_p99,lock_wait_ns --baseline vma_refcnt \
	>"$tmp/table" || fail 'compare --metric'
grep -q '^Amean  *1 ' "$tmp/table" || fail 'no Amean row'
"$bin/mmsim" compare --by file "$tmp/b.csv" "$tmp/b.csv" >/dev/null || fail 'compare --by file'

if command -v gnuplot >/dev/null; then
	"$bin/mmsim" plot "$tmp/a.csv" "$tmp/b.csv" -o "$tmp/new/figures" >"$tmp/list" || fail plot
	while read -r png; do
		[ -s "$png" ] && [ -s "${png%.png}.svg" ] || fail "$png is missing or empty"
	done <"$tmp/list"
	rm "$tmp/new/figures/ebizzy-counters.png"
	(cd "$tmp/new/figures" && gnuplot ebizzy-counters.gp) || fail 'gnuplot by hand'
	[ -s "$tmp/new/figures/ebizzy-counters.png" ] || fail 'gnuplot by hand made no figure'
	# On the most CPUs no task ended an operation: nothing per operation can be drawn.
	awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } NR > 1 && $at["cpus"] == 2 && $1 == "mmap1" {
		$at["ops"] = 0; $at["ops_per_sec"] = 0 } NR == 1 || $1 == "mmap1"' "$tmp/a.csv" >"$tmp/none.csv"
	"$bin/mmsim" plot -q "$tmp/none.csv" -o "$tmp/new/none" || fail 'plot of a point without operations'
else
	echo 'gnuplot is not installed: figures are not tested'
fi

cat >"$tmp/job.ini" <<JOB
[global]
cpus = 1
ops = 500
warmup = 0
output = $tmp/job.csv
[faults]
workload = page_fault1
param = size=1M
[maps]
workload = mmap1
scheme = vma_refcnt
JOB
"$bin/mmsim" run -q --job "$tmp/job.ini" -r 2 || fail 'job file'
[ "$(wc -l <"$tmp/job.csv")" -eq 7 ] || fail 'job.csv: 6 rows and a header wanted'

# Interrupted: finished rows are there, whole, and the signal is what ends the program.
"$bin/mmsim" run -q -w mmap1 -c 1 -d 50ms --warmup 0 -r 100000 -o "$tmp/int.csv" 2>/dev/null &
pid=$!
tries=0
until [ -s "$tmp/int.csv" ]; do
	sleep 0.1
	tries=$((tries + 1))
	[ $tries -lt 600 ] || fail 'no row after a minute'
done
kill -TERM $pid
wait $pid
[ $? -eq 143 ] || fail 'SIGTERM was not passed on'
awk -F, 'NR == 1 { n = NF } NF != n { bad = 1 } END { exit bad || NR < 2 }' "$tmp/int.csv" ||
	fail 'int.csv has half a row'
[ -z "$(find "$tmp" -name '*.tmp.*')" ] || fail 'a temporary file is left'

# The tree is the scheme's own, or the one that is named.
"$bin/mmsim" run -q -w mmap1 -c 1 -n 1000 --tree rb -o "$tmp/rb.csv" || fail '--tree rb'
[ "$(tail -n +2 "$tmp/rb.csv" | cut -d, -f3 | sort -u)" = rb ] || fail 'rb.csv: column tree'
"$bin/mmsim" run -q -w mmap1 -c 1 -n 1000 -o "$tmp/own.csv" || fail 'the own tree'
[ "$(tail -n +2 "$tmp/own.csv" | cut -d, -f3 | sort -u)" = maple ] || fail 'own.csv: column tree'
# An era brings its tree; a scheme's parameter goes to the schemes that have it.
"$bin/mmsim" run -q -w mmap1 -c 1 -n 1000 -s mmap_lock,vma_rwsem --kernel 4.15 -p coverage=6.4 \
	-o "$tmp/era.csv" || fail '--kernel 4.15'
[ "$(tail -n +2 "$tmp/era.csv" | cut -d, -f2,3,28,29 | paste -sd' ')" = \
	'mmap_lock,rb,,4.15 vma_rwsem,rb,coverage=6.4,4.15' ] || fail 'era.csv: tree, params, kernel'
"$bin/mmsim" list schemes --json | grep -q vma_lock_placement || fail 'list schemes: parameters'

"$bin/mmsim" --version | grep -q '^mmsim [0-9]' || fail 'version'
"$bin/mmsim" help run | grep -q -- '--scheme LIST' || fail 'help run'
"$bin/pft" --help | grep -q '^usage: pft ' || fail 'pft --help'
for topic in workloads params schemes trees archs counters; do
	"$bin/mmsim" list $topic | grep -q . || fail "list $topic"
	"$bin/mmsim" list $topic --json | grep -q '^\[' || fail "list $topic --json"
done
"$bin/mmsim" run -q -w mmap1 -c 1 -n 100 >/dev/full 2>/dev/null && fail 'a full disk is a success'
echo ok
