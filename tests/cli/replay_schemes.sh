#!/bin/sh
# tests/cli/replay_schemes.sh BIN_DIR - the recordings, under every correct scheme and every VMA tree that
# it takes: --check finds nothing different, and the mappings at a recorded moment are what the kernel
# showed, but for [vsyscall], which is no VMA, and for files that were deleted.
set -u
bin=$1
traces=$(dirname "$0")/../data/traces
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failures=0
checked=0

schemes=$("$bin/mmsim" list schemes | awk '!/^lock_/ { print $1 }')
for scheme in $schemes; do
	for tree in maple rb; do
		for name in pythreads overlap gcc mariadb java48; do
			"$bin/mmsim" replay --check -s "$scheme" --tree "$tree" \
				"$traces/$name.perf.zst" >"$tmp/out" 2>&1
			status=$?
			if [ $status -eq 2 ] && [ "$(wc -l <"$tmp/out")" -eq 1 ] && grep -q tree "$tmp/out"; then
				echo "$scheme does not take --tree $tree"
				break
			fi
			if [ $status -ne 0 ] || ! grep -q '  *0 different' "$tmp/out" ||
				grep different "$tmp/out" | grep -qv ' 0 different'; then
				echo "FAILED: $name, -s $scheme --tree $tree: status $status"
				cat "$tmp/out"
				failures=$((failures + 1))
			fi
			checked=$((checked + 1))
			for maps in "$traces/$name".*.maps; do
				pid=${maps%.maps}
				pid=${pid##*.}
				at=$(head -1 "$maps" | grep -o '[0-9][0-9]*\.[0-9][0-9]*' | head -1)
				[ -n "$at" ] || continue
				"$bin/mmsim" replay -q --maps-at "$at" --pid "$pid" -s "$scheme" --tree "$tree" \
					"$traces/$name.perf.zst" >"$tmp/maps" 2>"$tmp/err"
				grep -v '^#\|vsyscall' "$maps" | sed 's/ (deleted)$//' >"$tmp/kernel"
				if ! sed 's/ (deleted)$//' "$tmp/maps" | diff "$tmp/kernel" - >"$tmp/diff"; then
					echo "FAILED: maps of $name, process $pid, -s $scheme --tree $tree"
					head "$tmp/diff"
					cat "$tmp/err"
					failures=$((failures + 1))
				fi
			done
		done
	done
done
echo "$checked recordings replayed, $failures failures"
[ "$checked" -ge 20 ] && [ $failures -eq 0 ]
