#!/bin/sh
# tests/cli/walk.sh BIN_DIR - mmsim walk: what it prints, for every architecture; tables in files; wrong input
#
# tests/data/walk/expected.txt has commands and, behind each, all that it prints and its exit status.
set -u
bin=$1
data=$(cd "$(dirname "$0")/../data/walk" && pwd) || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failures=0

fail() {
	echo "FAILED: $*"
	failures=$((failures + 1))
}

# ---- text, case by case ------------------------------------------------------------------------
sed -n 's/^\$ mmsim //p' "$data/expected.txt" >"$tmp/commands"
while IFS= read -r args; do
	echo "\$ mmsim $args"
	# shellcheck disable=SC2086
	(cd "$data" && "$bin/mmsim" $args 2>&1)
	echo "exit $?"
done <"$tmp/commands" >"$tmp/printed"
diff "$data/expected.txt" "$tmp/printed" || fail "the output differs from tests/data/walk/expected.txt"

# Every architecture there is has a case, and its default layout can be walked.
"$bin/mmsim" list archs | cut -d' ' -f1 >"$tmp/archs"
while read -r arch; do
	grep -q "^$arch: " "$data/expected.txt" || fail "$arch: no case in expected.txt"
	"$bin/mmsim" walk -a "$arch" 0x600008 --access write | grep -q '^result      physical' ||
		fail "$arch: a write to the default data"
done <"$tmp/archs"
# Who sets Accessed, as the list says: a first touch faults where software does.
"$bin/mmsim" list archs >"$tmp/listed"
while read -r arch line; do
	"$bin/mmsim" walk -a "$arch" --map 0x400000:64K:ro 0x400000 >"$tmp/out"
	case $line in
	*'hardware sets Accessed'*) grep -q '^written .* set ' "$tmp/out" ;;
	*'the hash fault sets Accessed'*) grep -q '^counted .*HASH_FAULT' "$tmp/out" ;;
	*'software sets Accessed'*) grep -q '^result  *fault at .*: software must set Accessed first$' "$tmp/out" ;;
	*) false ;;
	esac || fail "$arch: a first touch, where $line"
done <"$tmp/listed"

# What Linux sends where it looks for no mapping: to a user only.
"$bin/mmsim" walk 0x800000000000 | grep -q '^kernel      sends SIGSEGV, SI_KERNEL' || fail 'a #GP: the signal'
"$bin/mmsim" walk --kernel 0x800000000000 | grep -q 'SIGSEGV' && fail "the kernel's own #GP is a signal"
"$bin/mmsim" walk -a ppc64-radix 0x10000000000000 | grep -q '^kernel      sends SIGSEGV, SEGV_BNDERR' ||
	fail 'ppc64: no such address: the signal'
"$bin/mmsim" walk -a ppc64-hash --map 0x10000:64K:rw --regs keys=0xc000000000000000 0x10000 |
	grep -q '^kernel      sends SIGSEGV, SEGV_PKUERR' || fail 'ppc64-hash: AMR'

# A group of contiguous entries of each size that a granule has; the neighbours lie behind one another.
while read -r arch size pages last; do
	for at in 0x40000000 "$last"; do
		"$bin/mmsim" walk -a "$arch" --map "0x40000000:$size:rw:$size@0x40000000" "$at" >"$tmp/out"
		grep -q "^result      physical $at, " "$tmp/out" && grep -q "one of $pages contiguous pages" "$tmp/out" &&
			grep -q ' Contiguous ' "$tmp/out" || fail "$arch: $size at $at"
	done
done <<-'end'
	arm64-4k 64K 16 0x4000fff8
	arm64-4k 32M 16 0x41fffff8
	arm64-16k 2M 128 0x401ffff8
	arm64-16k 1G 32 0x7ffffff8
	arm64-64k 2M 32 0x401ffff8
end

# ---- files ---------------------------------------------------------------------------------------
while read -r arch; do
	"$bin/mmsim" walk -a "$arch" --dump "$tmp/dump" --touch 0x600000:write 0x400010 >"$tmp/built" &&
		"$bin/mmsim" walk --table "$tmp/dump" --touch 0x600000:write 0x400010 >"$tmp/read" &&
		diff "$tmp/built" "$tmp/read" || fail "$arch: --dump and --table differ"
	"$bin/mmsim" walk -a "$arch" --dump - | diff - "$tmp/dump" || fail "$arch: --dump -"
done <"$tmp/archs"
# An image: PML4 at 0x10000, then 0x11000, 0x12000, 0x13000; page 5 at 0xabc000, writable.
for entry in '0 \147\020\001' '4096 \147\040\001' '8192 \147\060\001' '12328 \147\300\253'; do
	# shellcheck disable=SC2059
	printf "${entry#* }" | dd of="$tmp/image" bs=1 seek="${entry%% *}" conv=notrunc 2>/dev/null
done
truncate -s 16384 "$tmp/image"
"$bin/mmsim" walk --table "$tmp/image" --base 0x10000 --root 0x10000 0x5678 >"$tmp/out"
grep -q '^result      physical 0xabc678, in a page of 4 KiB; all levels together give users rwx$' "$tmp/out" ||
	fail "an image"
"$bin/mmsim" walk --json --touch 0x600000:write 0x800000000000 >"$tmp/json" &&
	grep -q '"exception": "#GP, vector 13' "$tmp/json" && grep -q '"physical": "0x100004000"' "$tmp/json" ||
	fail "--json"

# A key register that nobody looks at: said on stderr; the access is made all the same.
for keys in 'keys=0xc0' 'keys=0xc0,PKE=0'; do
	"$bin/mmsim" walk --map 0x1000:4K:rw/3 --regs "$keys" 0x1000 2>&1 >"$tmp/out" |
		grep -qxF 'mmsim: --regs=keys=0xc0: without effect while PKE is 0 (--regs PKE=1)' &&
		grep -q '^result      physical' "$tmp/out" || fail "$keys: no hint of PKE"
done
"$bin/mmsim" walk --map 0x1000:4K:rw/3 --regs keys=0xc0,PKE=1 0x1000 2>"$tmp/err" >"$tmp/out"
[ -s "$tmp/err" ] && fail "a hint of PKE, which is 1"
grep -q '^result      fault' "$tmp/out" || fail "key 3 forbids nothing"
"$bin/mmsim" walk -a ppc64-hash --map 0x10000:64K:rw --regs keys=1 0x10000 2>&1 >"$tmp/out" | grep -q . &&
	fail "ppc64-hash: a hint, where keys always count"

# ---- wrong input: one line, lower case, exit 2, nothing on stdout ----------------------------------
wrong() {
	pattern=$1
	shift
	(cd "$data" && "$bin/mmsim" walk "$@" >"$tmp/out" 2>"$tmp/err" </dev/null)
	status=$?
	if [ $status -ne 2 ] || [ "$(wc -l <"$tmp/err")" -ne 1 ] || [ -s "$tmp/out" ] ||
		! grep -qF -e "$pattern" "$tmp/err"; then
		fail "mmsim walk $*: status $status, wanted 2 and one line with: $pattern"
		cat "$tmp/err" "$tmp/out"
	fi
}
wrong '--arch=x86: unknown architecture' -a x86
wrong 'walk 12x: an address is needed' 12x
wrong 'walk -1' -- -1
wrong "walk: unexpected argument '2'" 1 2
wrong '--access=red: unknown access; did you mean read?' --access red
wrong '--kernel: instead of --user, not both' --kernel --user
wrong '--map=0x1000: a length is needed' --map 0x1000
wrong '--map=x: an address is needed first' --map x
wrong 'PERMS are needed' --map 0x1000:4K
wrong 'PERMS are of' --map 0x1000:4K:rz
wrong 'has protection keys from 0 to 15' --map 0x1000:4K:r/16
wrong 'arm64-4k has no protection keys' -a arm64-4k --map 0x1000:4K:r/1
wrong 'has no global pages' -a ppc64-radix --map 0x10000:64K:rg
wrong '--map=0x10000:64K:r:64K: x86_64 has no pages of 0x10000 bytes (allowed: 4 KiB, 2 MiB and 1 GiB)' --map 0x10000:64K:r:64K
wrong 'ppc64-hash has no pages of 0x1000000 bytes' -a ppc64-hash --map 0x1000000:16M:r:16M
wrong '--map=0x1001:4K:r: address and length must be multiples of 0x1000' --map 0x1000:4K:r --map 0x1001:4K:r
wrong 'multiples of 0x1000' --map 0x1000:1:r
wrong '1 to 1048576 pages are allowed' --map 0x1000:8G:r
wrong '--map=0x1000:0:rw: 1 to 1048576 pages are allowed' --map 0x1000:0:rw
wrong '--map=0:8K:r: 0x1000 is mapped already' --map 0x1000:4K:r --map 0:8K:r
wrong '0x201000 is mapped already' --map 0x200000:2M:r:2M --map 0x201000:4K:r
wrong '0x200000 is mapped already' --map 0x201000:4K:r --map 0x200000:2M:r:2M
wrong '--map=0x7ffffffff000:8K:r: x86_64 has no address 0x800000000000' --map 0x7ffffffff000:8K:r
wrong '--map=0x1000:4K:r@0x400000000000: physical addresses of x86_64 have 46 bits' --map 0x1000:4K:r@0x400000000000
wrong '--map=0x200000:2M:r:2M@0x1000: physical address 0x1000: must be a multiple of the page size' --map 0x200000:2M:r:2M@0x1000
wrong 'something is left over' --map 0x1000:4K:r:4K@0x1000,
wrong '--touch=here: an address is needed' --touch here
wrong '--touch=wrte: unknown access; did you mean write?' --touch 0x400000:wrte
wrong 'x86_64 has no such register (allowed: keys, WP, SMEP' --regs smpe=1
wrong '--regs=SMEP=2: 0 or 1 is allowed' --regs SMEP=2
wrong '--regs=keys: its value must be a number' --regs keys=x
wrong '--regs=keys=0x1: arm64-4k has no such register (allowed: TCR.HA, ' -a arm64-4k --regs keys=1
wrong '--regs=keys=0x1: ppc64-radix has no such register (allowed: none)' -a ppc64-radix --regs keys=1
wrong '--regs=keys=0x100000000: at most 32 bits are allowed' --regs keys=0x100000000
wrong 'NAME=VALUE is needed' --regs SMEP
wrong '--root: goes with --table' --root 0x1000
wrong '--base: goes with --table' --base 0x1000
wrong '--map=0x1000:4K:r: instead of --table' --table restricted.txt --map 0x1000:4K:r 0
wrong 'walk: an address is needed' --table restricted.txt
wrong '--arch=arm64-4k: restricted.txt has tables of x86_64 (leave --arch out' --table restricted.txt -a arm64-4k 0
wrong '--table=/nowhere: cannot be read' --table /nowhere 0
wrong '--table=: a file name is needed' --table '' 0
wrong '--root=0x7: outside of the file' --table restricted.txt --root 7 0
wrong '--root: is needed' --table "$tmp/image" 0
wrong 'outside of the file' --table "$tmp/image" --root 0x10000 0
wrong 'leads to a table at 0x7000000000, outside of the file' --table restricted.txt 0x10000000000
wrong '--dump=/no/such/folder/f: cannot be written' --dump /no/such/folder/f
: >"$tmp/empty"
wrong 'the file is empty' --table "$tmp/empty" 0
printf 'root 0x1000\n0x1000 zz\n' >"$tmp/bad"
wrong 'line 2: an address and an entry are needed' --table "$tmp/bad" 0
printf 'arch vax\n' >"$tmp/bad"
wrong 'line 1: unknown architecture' --table "$tmp/bad" 0
printf '# c\nroot here\n' >"$tmp/bad"
wrong 'line 2: root: an address is needed' --table "$tmp/bad" 0
printf 'root 0x1000\n0x1001 1\n' >"$tmp/bad"
wrong 'line 2: the address must be a multiple of 8' --table "$tmp/bad" 0

# Tables of noise: never a crash.
for n in 1 2 3; do
	head -c 65536 /dev/urandom >"$tmp/noise"
	while read -r arch; do
		for kind in read write exec; do
			"$bin/mmsim" walk -a "$arch" --table "$tmp/noise" --root 0 --access $kind \
				0x123456789 >"$tmp/out" 2>&1
			status=$?
			if [ $status -ne 0 ] && [ $status -ne 2 ]; then
				cp "$tmp/noise" "/tmp/walk-noise.$$"
				fail "$arch: status $status from noise, kept as /tmp/walk-noise.$$"
			fi
		done
	done <"$tmp/archs"
done
[ $failures -eq 0 ]
