#!/bin/sh
# Install what building and testing need, on Debian 12 (or a relative), as root or with sudo.
# Does nothing, and needs no network, when everything is there.
set -eu

packages="build-essential cmake ninja-build pkg-config git ca-certificates
liburcu-dev libjemalloc-dev libcmocka-dev libpfm4-dev libhwloc-dev libarchive-dev libjansson-dev
libinih-dev gnuplot-nox zstd xz-utils qemu-system-ppc binutils-powerpc64-linux-gnu qemu-system-arm
binutils-aarch64-linux-gnu gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user qemu-system-x86"

missing=""
for p in $packages; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps.sh: this is not a Debian system; install the equivalents of:$missing" >&2
	exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "deps.sh: not root and no sudo; install:$missing" >&2; exit 1; }
	as_root="sudo"
fi
echo "deps.sh: installing$missing" >&2
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
