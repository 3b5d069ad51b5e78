#!/bin/sh
# plots/make.sh [BIN_DIR [OUT_DIR]] - the figures of the native workloads on this machine, from nothing:
# one sweep (about a minute per 2 CPUs), its CSV and JSON, its figures. Rows carry version and commit.
set -eu
bin=${1:-build/bin}
out=${2:-results/native}
cpus=1
n=2
while [ $n -le "$(nproc)" ]; do
	cpus=$cpus,$n
	n=$((n * 2))
done
mkdir -p "$out"
"$bin/mmsim" run -w all -c "$cpus,$(nproc)" -d 500ms -r 5 -o "$out/native.csv" --json "$out/native.json"
"$bin/mmsim" compare "$out/native.csv" >"$out/native.txt"
"$bin/mmsim" plot "$out/native.csv" -o "$out"
