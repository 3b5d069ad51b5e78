#!/bin/sh
# tests/cli/virtual_product.sh BIN_DIR - every workload under every scheme on every architecture, in virtual
# time with the TLBs watched: runs to its end, does what it counts, and leaves nothing behind
#
# A run that breaks an invariant (a stale TLB entry, a leaked frame, VMA or table, a page in a hole) stops
# with its seed. A sample is run, drawn from MMSIM_SEED: on each architecture each scheme with one workload and each
# workload under one scheme at least. MMSIM_PRODUCT=all: all of the product.
set -u
bin=$1
seed=$(( ${MMSIM_SEED:-$(date +%s)} & 0x3fffffff))
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failures=0
ops=400 # measured, by all tasks together
echo "virtual_product: MMSIM_SEED=$seed MMSIM_PRODUCT=${MMSIM_PRODUCT:-sample}"

names() {
	"$bin/mmsim" list "$1" | cut -d' ' -f1
}
# The n-th of the words behind it, from 0.
nth() {
	shift "$(($1 + 1))"
	echo "$1"
}
archs=$(names archs) workloads=$(names workloads) schemes=$(names schemes | grep -v -e lock_broken -e lock_null)
workload_count=$(echo "$workloads" | wc -l)

# run ARCH WORKLOADS SCHEMES OPTIONS...: a row for each, with its operations, and their faults where all are
# small pages'.
run() {
	arch=$1 some_workloads=$2 some_schemes=$3
	shift 3
	case ",$some_workloads," in
	*,page_fault*,* | *,mmap1,* | *,pft,*) set -- -p size=1M "$@" ;;
	esac
	set -- run -q -e virtual -a "$arch" -m "$machine" -w "$some_workloads" -s "$some_schemes" -n $ops \
		--seed "$seed" -j "$(nproc)" -p check_invariants=1 "$@"
	timeout 600 "$bin/mmsim" "$@" -o "$tmp/rows.csv" 2>"$tmp/err" || {
		echo "FAILED: mmsim $*"
		cat "$tmp/err"
		failures=$((failures + 1))
		return
	}
	wanted=$(($(echo "$some_workloads" | tr , '\n' | wc -l) * $(echo "$some_schemes" | tr , '\n' | wc -l)))
	awk -F, -v wanted="$wanted" -v arch="$arch" -v ops="$ops" -v thp="$thp" '
		NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
		{ rows++ }
		$at["arch"] != arch || $at["ops"] < ops { bad = bad "\n" $0 }
		thp == "madvise" && $at["workload"] ~ /^page_fault/ && $at["faults"] < 0.9 * $at["ops"] { bad = bad "\n" $0 }
		END { if (bad) print substr(bad, 2, 1000); exit bad || rows != wanted }' "$tmp/rows.csv" || {
		echo "FAILED: mmsim $*: rows are missing, or not as they should be"
		failures=$((failures + 1))
	}
}

list() {
	echo "$1" | paste -sd, -
}
n=$seed
for arch in $archs; do
	# Other CPU counts, orders and huge pages for each architecture and seed.
	n=$(((n * 1103515245 + 12345) & 0x7fffffff))
	cpus=$(nth $((n >> 8 & 3)) 1 2 4 7) schedule=$(nth $((n >> 11 & 1)) time random)
	thp=$(nth $((n >> 13 & 1)) madvise always)
	case $arch in
	arm64*) machine=graviton4 ;;
	ppc64*) machine=power8-80 ;;
	*) machine=$(nth $((n >> 15 & 1)) laptop8 skylake192) ;;
	esac
	set -- -c "$cpus" --schedule "$schedule" -p thp="$thp"
	if [ "${MMSIM_PRODUCT:-}" = all ]; then
		run "$arch" "$(list "$workloads")" "$(list "$schemes")" "$@"
	else
		i=$((n >> 4))
		for scheme in $schemes; do
			# shellcheck disable=SC2086
			run "$arch" "$(nth $((i % workload_count)) $workloads)" "$scheme" "$@"
			i=$((i + 1))
		done
	fi
	run "$arch" "$(list "$workloads")" lock_null -c 1 -t 1 -p thp="$thp"
done
# The largest machine, with memory for its CPUs on each of its nodes: more frames than small ones have names for.
timeout 600 "$bin/mmsim" run -q -e virtual -m power8-1024 -w page_fault1 -s vma_refcnt -c 256 -n 600 --seed "$seed" \
	-o "$tmp/rows.csv" || {
	echo 'FAILED: power8-1024 with 256 CPUs'
	failures=$((failures + 1))
}
[ $failures -eq 0 ]
