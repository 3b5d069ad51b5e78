#!/bin/sh
# Install, build, and replay a recorded multi-threaded program under two ways of locking its address
# space: one command, on a bare Debian 12 machine, as root or with sudo.
#
#   scripts/demo.sh [TRACE]     default: the bundled recording of Python with 8 threads
set -eu
cd "$(dirname "$0")/.."
trace=${1-tests/data/traces/pythreads.perf.zst}
out=results/demo
jobs=$(nproc)

sh scripts/deps.sh
echo "== building (build/release)"
cmake --preset release >/dev/null
cmake --build --preset release -j "$jobs" --target programs >build/release/demo-build.log 2>&1 || {
	tail -n 30 build/release/demo-build.log >&2
	echo "demo.sh: the build failed; the whole log is build/release/demo-build.log" >&2
	exit 1
}
mmsim=build/release/bin/mmsim

echo "== is the replay right? (every address and every VMA, compared with what the kernel did)"
$mmsim replay "$trace" --check

echo "== how fast is it, under each scheme, on 1 to $jobs CPUs?"
mkdir -p "$out"
cpus=1
[ "$jobs" -gt 1 ] && cpus=1-$jobs
$mmsim replay "$trace" -s mmap_lock,vma_refcnt -c "$cpus" -r 5 -o "$out/replay.csv"
$mmsim compare "$out/replay.csv"
$mmsim plot "$out/replay.csv" -o "$out" >/dev/null

cat <<DONE

table:   $out/replay.csv (one row per scheme, CPU count and repeat, with all counters)
figures: $(find "$out" -name '*.png' | sort | tr '\n' ' ')
next:    $mmsim run -w page_fault1,ebizzy -c $cpus -s mmap_lock,vma_refcnt
         $mmsim list workloads;  $mmsim help replay;  $mmsim record -- your-program
DONE
