#!/bin/sh
# Build and test mmsim: one command, on a bare Debian 12 machine, as root or with sudo.
#
#   scripts/test.sh        release build and its tests (a few minutes)
#   scripts/test.sh --ci   also: the debug build that enforces the
#                          lock order, AddressSanitizer + UBSan, ThreadSanitizer, the oracles, long tests;
#                          and virtual time gives the same rows in each of them, and by clang if it is there
#
# Prints the seed of every random test; MMSIM_SEED=N repeats one. With --ci it is made of the code itself, so that
# what passes (or fails) once does so again; other code draws other seeds.
set -eu
cd "$(dirname "$0")/.."

ci=0
case "${1-}" in
"") ;;
--ci) ci=1 ;;
*)
	echo "test.sh: $1: unknown option (allowed: --ci)" >&2
	exit 2
	;;
esac

sh scripts/deps.sh
jobs=$(nproc)

# build_and_test PRESET CTEST-ARGUMENTS... : configure, build, run
build_and_test() {
	preset=$1
	shift
	echo "== $preset: build"
	cmake --preset "$preset" -DMMSIM_WERROR=ON >/dev/null
	cmake --build --preset "$preset" -j "$jobs"
	echo "== $preset: test"
	ctest --preset "$preset" "$@"
}

if [ $ci = 0 ]; then
	build_and_test release -j "$jobs" -LE 'long|oracle'
	exit 0
fi

code=$(git ls-tree HEAD CMakeLists.txt sim mm arch include workloads tests 2>/dev/null | cksum | cut -d' ' -f1)
MMSIM_SEED=${MMSIM_SEED:-$code}
export MMSIM_SEED
echo "== MMSIM_SEED=$MMSIM_SEED"

build_and_test release -j "$jobs"
build_and_test debug -j "$jobs" -LE 'long|oracle'
build_and_test asan -j "$jobs" -LE 'long|oracle'
build_and_test tsan -j "$jobs" -LE 'long|oracle'

echo "== the same rows from each build"
others="build/debug/bin build/asan/bin"
if command -v clang >/dev/null; then
	cmake --preset release -B build/clang -DCMAKE_C_COMPILER=clang -DMMSIM_WERROR=ON >/dev/null
	cmake --build build/clang -j "$jobs" --target mmsim mmsim-virtual
	others="$others build/clang/bin"
fi
# shellcheck disable=SC2086
sh tests/cli/virtual_sweep.sh build/release/bin $others
