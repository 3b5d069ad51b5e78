#!/bin/sh
# scripts/curves.sh [BIN_DIR [OUT_DIR]] - all data and figures of docs/CURVES.md, from nothing, in virtual
# time: the same bytes everywhere, in about half an hour of one core. Into OUT_DIR (results/curves):
#	MACHINE-CURVE.csv	a row per scheme and CPU count, with all counters
#	MACHINE-CURVE.why	for each row the hot lines and the lock statistics
#	curves.csv, curves.md	operations per second: one line each; the tables of docs/CURVES.md
#	curves-MACHINE.png, .svg	all of them on a page (plots/curves.gp)
#	figures/		each, by mmsim plot: throughput, speed-up, latency, counters
# Environment: CURVES, MACHINES: only these; JOBS: so many at once (1).
set -eu
bin=${1:-build/bin}
out=${2:-results/curves}
schemes=mmap_lock,range_full,range,range_list,vma_refcnt,spf

# Curve, its workload and parameters, warm-up and window on ivybridge40, and on a larger machine, where the
# slowest scheme's operation takes that long. Windows of page_fault1 end before a task has written its
# 128 MiB: faults alone; -4m has the mmap and munmap, too.
all="
pft               pft                              1ms   5ms    1ms   5ms
page_fault1       page_fault1                      8ms  15ms    8ms  15ms
page_fault1-own   page_fault1,vmas=own             8ms  15ms    8ms  15ms
page_fault1-4m    page_fault1,vmas=own,size=4M    60ms  60ms   60ms  60ms
mmap1             mmap1                           20ms  30ms   20ms  30ms
ebizzy            ebizzy                          20ms  50ms   40ms 100ms
multi_fault       multi_fault                      2ms   5ms    2ms   5ms
gc_heap           gc_heap                         40ms 150ms  100ms 400ms
gc_heap-flips     gc_heap,garbage=0               40ms 150ms  100ms 400ms
"

cpus_of() {
	case $1 in
	ivybridge40) echo 1,2,4,10,20,40 ;;
	skylake192) echo 1,4,24,96,192 ;;
	*) echo 1:1024 ;;
	esac
}

rates() { # MACHINE CURVE: from the curve's own file
	awk -F, -v machine="$1" -v curve="$2" '
	NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
	{
		printf "%s,%s,%s,%s,%.0f,%s,%s,%s,%s,%s,%s,%s\n", curve, machine, $at["scheme"], $at["cpus"],
			$at["ops_per_sec"], $at["ops"], $at["elapsed_ns"], $at["tree"], $at["arch"], $at["kernel"],
			$at["seed"], $at["version"]
	}' "$out/$1-$2.csv"
}

tables() { # of curves.csv, whose rows are sorted by scheme and CPUs as mmsim run writes them
	awk -F, '
	function short(x) {
		if (x >= 999500) return sprintf("%.2f M", x / 1e6)
		if (x >= 9995) return sprintf("%.1f K", x / 1e3)
		return sprintf("%.0f", x)
	}
	NR == 1 { next }
	{
		line = $2 " " $4
		if (!($1 in lines)) curve[++curves] = $1
		if (!(($1, line) in seen)) { seen[$1, line] = 1; at[$1, ++lines[$1]] = line }
		if (!($3 in known)) { known[$3] = 1; scheme[++schemes] = $3 }
		rate[$1, line, $3] = $5
	}
	END {
		for (c = 1; c <= curves; c++) {
			printf "\n%s\n\n| machine, CPUs |", curve[c]
			for (s = 1; s <= schemes; s++) printf " %s |", scheme[s]
			printf "\n|---|"
			for (s = 1; s <= schemes; s++) printf "--:|"
			for (l = 1; l <= lines[curve[c]]; l++) {
				line = at[curve[c], l]
				printf "\n| %s |", line
				for (s = 1; s <= schemes; s++) printf " %s |", short(rate[curve[c], line, scheme[s]])
			}
			printf "\n"
		}
	}' "$out/curves.csv"
}

here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
echo curve,machine,scheme,cpus,ops_per_sec,ops,elapsed_sim_ns,tree,arch,kernel,seed,version >"$out/curves.csv"
for machine in ${MACHINES:-ivybridge40 skylake192}; do
	echo "$all" | while read -r curve what warmup window big_warmup big_window; do
		[ -n "$curve" ] || continue
		case " ${CURVES:-$curve} " in *" $curve "*) ;; *) continue ;; esac
		[ "$machine" = ivybridge40 ] || warmup=$big_warmup window=$big_window
		params=
		for param in $(echo "$what" | tr , ' '); do
			case $param in *=*) params="$params -p $param" ;; esac
		done
		echo "$machine $curve" >&2
		# shellcheck disable=SC2086
		"$bin/mmsim" run -q -j "${JOBS:-1}" -e virtual -m "$machine" -w "${what%%,*}" $params -s $schemes \
			-c "$(cpus_of "$machine")" --warmup "$warmup" -d "$window" --hot-lines 4 --lock-stat \
			-o "$out/$machine-$curve.csv" >"$out/$machine-$curve.why" 2>&1 </dev/null ||
			{ tail -3 "$out/$machine-$curve.why" >&2; exit 1; }
		rates "$machine" "$curve" >>"$out/curves.csv"
	done
	gnuplot -e "csv='$out/curves.csv'; machine='$machine'; out='$out/curves-$machine'" "$here/plots/curves.gp"
done
tables >"$out/curves.md"
for csv in "$out"/*-*.csv; do
	"$bin/mmsim" plot -q "$csv" -o "$out/figures/$(basename "$csv" .csv)"
done
