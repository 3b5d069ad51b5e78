#!/bin/sh
# Install into a temporary prefix and build the example against that, as a stranger would.
# usage: use_installed.sh pkg-config|cmake BUILD_DIR SOURCE_DIR CC
set -eu
how=$1 build=$2 source=$3 cc=$4
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cmake --install "$build" --prefix "$tmp/prefix" >/dev/null
pc=$(find "$tmp/prefix" -name mmsim-native.pc)
# The .pc file names the configured prefix; a relocated install says so to pkg-config.
export PKG_CONFIG_PATH="${pc%/*}"

case $how in
pkg-config)
	# shellcheck disable=SC2046
	"$cc" -o "$tmp/first_fault" "$source/examples/first_fault.c" \
		$(pkg-config --define-variable=prefix="$tmp/prefix" --cflags --libs mmsim-native)
	;;
cmake)
	mkdir "$tmp/app"
	cat >"$tmp/app/CMakeLists.txt" <<-CMAKE
		cmake_minimum_required(VERSION 3.25)
		project(app C)
		find_package(mmsim REQUIRED)
		add_executable(first_fault $source/examples/first_fault.c)
		target_link_libraries(first_fault PRIVATE mmsim::native)
	CMAKE
	cmake -S "$tmp/app" -B "$tmp" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$tmp/prefix" >/dev/null
	cmake --build "$tmp" >/dev/null
	;;
esac
"$tmp/first_fault" | tee "$tmp/out"
grep -q 'still reads 42; faults: 2, pages copied: 1' "$tmp/out"

# A header used without saying which engine must not compile.
if "$cc" -D_GNU_SOURCE -I"$tmp/prefix/include" -fsyntax-only "$source/examples/first_fault.c" 2>"$tmp/err"; then
	echo "use_installed.sh: compiled without an engine" >&2
	exit 1
fi
grep -q MMSIM_ENGINE_NATIVE "$tmp/err"
