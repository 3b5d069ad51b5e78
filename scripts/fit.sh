#!/bin/bash
# Fit a machine's constants (two at the most) to its published points, and check them.
#
#	scripts/fit.sh [--bin MMSIM] [--check | --write] MACHINE
#
# Without an option: finds the constants, prints predicted against published, writes nothing.
# --write   puts them into sim/machines/MACHINE.ini
# --check   takes the machine as it is; fails if a point is further off than is allowed for it
#
# A point that fits is met by its constant alone: at one thread the time of a fault grows with the
# local work one for one; at all threads the rate is one page per node and page_serial. So each
# step corrects both constants by what is missing, and a few steps are enough.
set -eu

STEPS=6
here=$(cd "$(dirname "$0")/.." && pwd)
bin=$here/build/bin/mmsim
mode=print

while [ $# -gt 1 ]; do
	case $1 in
	--bin) bin=$2; shift ;;
	--check) mode=check ;;
	--write) mode=write ;;
	*) echo "fit.sh: $1: unknown" >&2; exit 2 ;;
	esac
	shift
done
machine=${1:?usage: fit.sh [--bin MMSIM] [--check | --write] MACHINE}
ini=$here/sim/machines/$machine.ini

# Published points: CPUs, operations per second, what it is for, percent that it may be off.
case $machine in
ivybridge40)
	run="-w pft -s mmap_lock --kernel 4.15 -d 20ms"
	work_key=cost.fault_work serial_key=cost.page_serial
	points="1:628011:fits:15 4:2475859:check:15 40:3362504:fits:15"
	;;
power8-80)
	# One point and one constant: an unmapped page's tlbie, which every record pays for in turn.
	run="-w ebizzy -s mmap_lock --kernel 4.12 -d 150ms --warmup 50ms"
	work_key=cost.tlbi_broadcast serial_key=
	points="80:38942:fits:15"
	;;
*)
	echo "fit.sh: $machine: no published points are known here" >&2
	exit 2
	;;
esac

value_of() { # KEY, as in the file
	sed -n "s/^${1#*.} = //p" "$ini"
}

rate() { # CPUS WORK SERIAL: operations per second
	# shellcheck disable=SC2086
	"$bin" run -q -e virtual -m "$machine" $run -c "$1" -o - \
		-p "machine.$work_key=$2" ${serial_key:+-p "machine.$serial_key=$3"} |
		awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "ops_per_sec") col = i }
			 NR == 2 { print $col }'
}

fitted() { # 1: the first point that fits a constant, $: the last
	echo "$points" | tr ' ' '\n' | grep ':fits:' | sed -n "$1p"
}

work=$(value_of $work_key)
serial=0
[ -z "$serial_key" ] || serial=$(value_of $serial_key)
if [ $mode != check ]; then
	IFS=: read -r one_cpus one_rate _ <<<"$(fitted 1)"
	IFS=: read -r all_cpus all_rate _ <<<"$(fitted '$')"
	for ((step = 0; step < STEPS; step++)); do
		one=$(rate "$one_cpus" "$work" "$serial")
		all=$(rate "$all_cpus" "$work" "$serial")
		read -r work serial < <(awk -v w="$work" -v s="$serial" -v o="$one" -v a="$all" \
			-v op="$one_rate" -v ap="$all_rate" 'BEGIN {
				new = s * a / ap
				printf "%.1f %.1f\n", w + 1e9 / op - 1e9 / o - (new - s), new }')
	done
fi

echo "$machine: $work_key = $work${serial_key:+, $serial_key = $serial}"
printf '%6s %12s %12s %8s\n' CPUs published predicted off
too_far=0
for point in $points; do
	IFS=: read -r cpus want kind allowed <<<"$point"
	got=$(rate "$cpus" "$work" "$serial")
	off=$(awk -v g="$got" -v w="$want" 'BEGIN { printf "%.1f", (g / w - 1) * 100 }')
	printf '%6d %12d %12.0f %7s%%  %s\n' "$cpus" "$want" "$got" "$off" "$kind"
	if awk -v o="$off" -v a="$allowed" 'BEGIN { exit !(o < -a || o > a) }'; then
		too_far=1
	fi
done
if [ $mode = write ]; then
	sed -i "s/^${work_key#*.} = .*/${work_key#*.} = $work/" "$ini"
	[ -z "$serial_key" ] || sed -i "s/^${serial_key#*.} = .*/${serial_key#*.} = $serial/" "$ini"
	echo "written to $ini"
fi
if [ $mode = check ] && [ $too_far = 1 ]; then
	echo "fit.sh: $machine: a point is further off than is allowed" >&2
	exit 1
fi
