#!/bin/sh
# tests/cli/virtual_walk.sh BIN_DIR - mmsim walk --machine: what TLBs and walk caches have, step by step, on every
# kind of MMU; wrong input
#
# Addresses of frames and costs may change with the model; what is looked at here may not.
set -u
bin=$1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failures=0

fail() {
	echo "FAILED: $*"
	failures=$((failures + 1))
}

# Run walk; step N of it; and what must (not) be in step N.
walk() {
	what=$*
	"$bin/mmsim" walk "$@" >"$tmp/out" 2>"$tmp/err" || {
		fail "mmsim walk $*: $(cat "$tmp/err")"
		: >"$tmp/out"
	}
}
step() {
	awk -v n="$1" '/^[0-9]+\. / { on = ($1 == n ".") } on' "$tmp/out"
}
has() {
	step "$1" | grep -q -e "$2" || {
		fail "mmsim walk $what: step $1 lacks: $2"
		step "$1"
	}
}
lacks() {
	! step "$1" | grep -q -e "$2" || {
		fail "mmsim walk $what: step $1 has: $2"
		step "$1"
	}
}
# How many entries step N has read, as shown and as counted.
reads() {
	shown=$(step "$1" | grep -c -E '^[^ ].{8} +[0-9]+  0x[0-9a-f]+ +[0-9a-f]{16}  ')
	counted=$(step "$1" | sed -n 's/^counted.*TLB_WALK_READ \([0-9]*\).*/\1/p')
	[ "$shown" -eq "$2" ] && [ "${counted:-0}" -eq "$2" ] ||
		fail "mmsim walk $what: step $1 read $shown entries, counted ${counted:-0}, not $2"
}
physical() {
	step "$1" | sed -n 's/^result      physical //p'
}

# ---- access, again, neighbour, mprotect, munmap, another address space ---------------------------
# machine, arch, page bytes, name of an address space, levels of tree, levels of walk caches (0: hashed)
sequence() {
	machine=$1 arch=$2 page=$3 name=$4 levels=$5 caches=$6
	next=$(printf '0x%x' $((0x600000 + page)))
	walk -m "$machine" -a "$arch" --touch 0x600000:write --touch 0x600008 --touch "$next:write" \
		--do "mprotect:0x600000:$page:r" --touch 0x600000 --touch 0x600000:write \
		--do "munmap:0x600000:$page" --touch 0x600000 --do switch:2 --touch "$next" --do switch:1 --touch "$next"
	# 1: nothing is there; a fault; then a walk of all levels, and both TLBs are filled.
	has 1 '^miss  *L1 '
	has 1 '^miss  *L2 '
	has 1 '^refused  *fault at .*: nothing is mapped there$'
	has 1 '^kernel  *reads: write of 0x600000 by a user: nothing is mapped there$'
	has 1 "^filled  *L1 .* $name [0-9]*, 0x600000 is 0x[0-9a-f]*, rw-, dirty$"
	has 1 "^filled  *L2 .* $name [0-9]*, 0x600000 is "
	has 1 '^counted .*FAULT_ANON 1.*TLB_MISS 2'
	# 2: a hit, at the same frame; no walk.
	has 2 '^hit  *L1 '
	lacks 2 '^walk from'
	lacks 2 '^filled'
	[ "$(printf '0x%x' $(($(physical 1) + 8)))" = "$(physical 2)" ] || fail "$arch: 8 bytes on is another frame"
	# 3: the neighbour: its walk begins at the last level's table.
	has 3 '^miss  *L1 '
	lacks 3 '^walk from  *the root'
	# 4, 5, 6: mprotect drops the entry; a read fills a lesser one; a write is refused, by it or a walk.
	has 4 '^dropped  *L1 .* 0x600000 is '
	has 4 '^dropped  *L2 .* 0x600000 is '
	lacks 4 "^dropped .* $next is "
	has 5 '^miss  *L1 '
	has 5 '^filled  *L1 .* 0x600000 is .*, r--'
	has 6 '^refuses  *L1 .* r--'
	has 6 '^refused  *fault at .*: the access is forbidden$'
	has 6 '^kernel  *reads: write of 0x600000 by a user: the access is forbidden$'
	has 6 '^kernel  *gives up: SIGSEGV, SEGV_ACCERR'
	lacks 6 '^result  *physical'
	# 7, 8: the mapping goes; nothing is found any more.
	has 8 '^miss  *L1 '
	has 8 '^kernel  *gives up: SIGSEGV, SEGV_MAPERR'
	# 10, 12: another address space has a name of its own and finds nothing; the first one's entry is still there.
	has 10 '^miss  *L1 '
	has 10 '^refused '
	has 12 '^hit  *L1 .* rw-'
	[ "$(physical 12)" = "$(physical 3)" ] || fail "$arch: back in the first address space, another frame"
	first=$(step 8 | sed -n "1s/.* $name //p") second=$(step 10 | sed -n "1s/.* $name //p")
	[ -n "$first" ] && [ "$first" != "$second" ] || fail "$arch: both address spaces are $name $first"
	if [ "$caches" -eq 0 ]; then
		has 1 '^tree  *the kernel'
		has 1 '^hash table .* second doubleword: R C '
		has 1 '^counted .*HASH_INSERT 1.*SLB_MISS 1'
		return
	fi
	reads 1 $((levels + 1)) # the root's entry alone, then all
	has 1 '^walk from  *the root, '
	[ "$(step 1 | grep -c '^filled  *walk cache')" -eq "$caches" ] || fail "$arch: walk caches filled by step 1"
	has 3 '^walk from  *walk cache'
	reads 3 2 # the last level, before and after the fault
	has 10 '^walk from  *the root, '
}
sequence laptop8 x86_64 4096 PCID 4 3
sequence laptop8 x86_64-la57 4096 PCID 5 3
sequence graviton4 arm64-4k 4096 ASID 4 3
sequence graviton4 arm64-64k 65536 ASID 3 2
sequence laptop8 ppc64-radix 65536 PID 4 3
sequence power8-80 ppc64-hash 65536 PID 4 0

# Whose flush empties the walk caches: x86's INVLPG does, arm64's and ppc64's last-level operations do not.
walk -m laptop8 --touch 0x600000:write --touch 0x601000:write --do munmap:0x600000:4K --touch 0x602000
has 3 '^dropped  *every walk-cache entry of PCID '
has 4 '^walk from  *the root'
walk -m graviton4 --touch 0x600000:write --touch 0x601000:write --do munmap:0x600000:4K --touch 0x602000
lacks 3 'walk-cache'
has 4 '^walk from  *walk cache (level 2)'
has 3 '^counted .*TLB_BROADCAST 1'

# A huge leaf is one entry; unmapping a part of it splits it.
walk -m laptop8 --touch 0x40000000:write --touch 0x40123000 --do munmap:0x40000000:4K --touch 0x40123000
has 1 '^filled  *L1 (2 MiB) .* 0x40000000 is '
has 2 '^hit  *L1 (2 MiB) '
has 3 '^counted .*THP_SPLIT 1'
has 4 '^filled  *L1 (4 KiB) .* 0x40123000 is '
[ "$(physical 2)" = "$(physical 4)" ] || fail 'a split moved a page'

# Leaves of 1 GiB, from a pool: two address spaces have one each; a part cannot be unmapped.
for machine in laptop8:x86_64 laptop8:x86_64-la57 graviton4:arm64-4k power8-80:ppc64-radix; do
	walk -m "${machine%:*}" -a "${machine#*:}" --map 0x40000000:1G:rw:1G --touch 0x40000000:write --touch 0x40123456 \
		--do switch:2 --touch 0x40000000:write --do munmap:0x40000000:64K --do munmap:0x40000000:1G --touch 0x40000000
	has 1 ' 1 GiB at 0x'
	has 1 '^filled  *L1 (1 GiB) .* 0x40000000 is '
	has 1 '^counted .*FAULT_HUGETLB 1'
	has 2 '^hit  *L1 (1 GiB) '
	[ "$(printf '0x%x' $(($(physical 1) + 0x123456)))" = "$(physical 2)" ] || fail "$machine: inside a leaf of 1 GiB"
	[ "$(physical 1)" != "$(physical 4)" ] || fail "$machine: two address spaces have one page"
	has 5 '^result  *Invalid argument$'
	has 6 '^dropped  *L1 (1 GiB) '
	has 7 '^kernel  *gives up: SIGSEGV, SEGV_MAPERR'
done
walk -m laptop8 --do mmap:0x80000000:2G:rw:1G --touch 0xc0000000:write
has 2 '^counted .*FAULT_HUGETLB 1'

# No address at all: no TLB is asked, and the signal is not that of a page fault (but for arm64, which has one).
walk -m laptop8 --touch 0x800000000000
lacks 1 '^miss'
has 1 '^exception  *#GP'
has 1 '^kernel  *sends SIGSEGV, SI_KERNEL'
lacks 1 'SEGV_MAPERR'
walk -m power8-80 -a ppc64-radix --touch 0x10000000000000
has 1 '^kernel  *sends SIGSEGV, SEGV_BNDERR'
walk -m graviton4 --touch 0x1000000000000
lacks 1 '^miss'
has 1 '^kernel  *gives up: SIGSEGV, SEGV_MAPERR'
# What the TLB refuses is refused at the level of its leaf.
walk -m graviton4 --map 0x40000000:2M:rw:2M --touch 0x40000000:write --do mprotect:0x40000000:2M:r --touch 0x40000000 \
	--touch 0x40000000:write
has 4 '^refuses  *L1 (2 MiB) '
has 4 'permission fault, level 2$'

# The zero page, then a store to it: the TLB's entry refuses, the kernel copies, the frame is another.
walk -m laptop8 --touch 0x600000 --touch 0x600000:write
has 2 '^refuses  *L1 '
has 2 '^dropped  *L2 '
has 2 '^error code  0x7$'
[ "$(physical 1)" != "$(physical 2)" ] || fail 'a store went to the zero page'
# What the TLB refuses is a protection fault, whatever an earlier walk has found.
for arch in ppc64-radix ppc64-hash; do
	walk -m power8-80 -a $arch --touch 0x600000 --touch 0x600000:write
	has 2 '^refuses  *L1 '
	has 2 '^DSISR  *0xa000000$'
done

# The fifth page of a set of four ways pushes out the first, which L2 still has.
at=0
set --
while [ $at -lt 5 ]; do
	set -- "$@" --touch "$(printf '0x%x:write' $((0x1000000 + at * 65536)))"
	at=$((at + 1))
done
walk -m laptop8 --map 0x1000000:1M:rw "$@" --touch 0x1000000
has 5 '^dropped  *L1 (4 KiB) set 0 way 0: PCID [0-9]*, 0x1000000 is '
has 6 '^hit  *L2 '
has 6 '^filled  *L1 (4 KiB) set 0 '
has 6 '^counted .*TLB_L2_HIT 1'

walk -m laptop8 --json --touch 0x600000:write 0x600000
grep -q '"context_is": "PCID"' "$tmp/out" && grep -q '"event": "walk cache filled"' "$tmp/out" &&
	grep -q '"event": "hit"' "$tmp/out" || fail '--json'

# ---- wrong input: one line, exit 2, nothing on stdout ----------------------------------------------
wrong() {
	pattern=$1
	shift
	"$bin/mmsim" walk "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	if [ $status -ne 2 ] || [ "$(wc -l <"$tmp/err")" -ne 1 ] || [ -s "$tmp/out" ] ||
		! grep -qF -e "$pattern" "$tmp/err"; then
		fail "mmsim walk $*: status $status, wanted 2 and one line with: $pattern"
		cat "$tmp/err" "$tmp/out"
	fi
}
wrong '--machine=laptop9: unknown machine' -m laptop9
wrong "--machine=: a machine's name or file is needed" --machine=
wrong '--do=switch:1: goes with --machine' --do switch:1
wrong '--do=swich: unknown step; did you mean switch?' -m laptop8 --do swich:1
wrong '--do=switch:0: 1 to 8 is allowed' -m laptop8 --do switch:0
wrong '--do=switch:: 1 to 8 is allowed' -m laptop8 --do switch
wrong '--do=munmap:0x1000: an address and a length are needed' -m laptop8 --do munmap:0x1000
wrong '--do=mprotect:0x1000:4K: PERMS are needed' -m laptop8 --do mprotect:0x1000:4K
wrong '--do=mmap:0x100000:4K:rk: with --machine PERMS are of r, w, x and -' -m laptop8 --do mmap:0x100000:4K:rk
wrong '--map=0x100000:4K:r@0x1000: with --machine PERMS are of r, w, x and -' -m laptop8 --map 0x100000:4K:r@0x1000
wrong '--map=0x10000:64K:r:64K: with --machine x86_64 has pages of 4 KiB, 2 MiB and 1 GiB' -m laptop8 --map 0x10000:64K:r:64K
wrong '--map=0:64G:r:64G: with --machine arm64-16k has pages of 16 KiB and 32 MiB' -m graviton4 -a arm64-16k --map 0:64G:r:64G
wrong '--map=0x10000:4K:r:4K: with --machine ppc64-hash has pages of 64 KiB' -m power8-80 --map 0x10000:4K:r:4K
wrong '--map=0x40000000:256G:r:1G: mmap: Cannot allocate memory' -m laptop8 --map 0x40000000:256G:r:1G
wrong '--map=0x100000:4K:r: mmap: File exists' -m laptop8 --map 0x100000:4K:r --map 0x100000:4K:r
wrong '--map=0x100001:4K:r: address and length must be multiples of 0x1000, and not 0' -m laptop8 --map 0x100001:4K:r
wrong '--map=0x1000:0:rw: address and length must be multiples of 0x1000, and not 0' -m laptop8 --map 0x1000:0:rw
wrong '--do=mmap:0x40000000:1G:rw:64K: with --machine arm64-4k has pages of' -m graviton4 --do mmap:0x40000000:1G:rw:64K
wrong '--table: not with --machine' -m laptop8 --table f 0
wrong '--regs: not with --machine' -m laptop8 --regs WP=0
wrong '--kernel: not with --machine' -m laptop8 --kernel
wrong '--touch=x: an address is needed' -m laptop8 --touch x
wrong 'walk y: an address is needed' -m laptop8 y
sed 's/^l1_entries = .*/l1_entries = 0/' "$(dirname "$0")/../../sim/machines/laptop8.ini" >"$tmp/none.ini"
wrong 'has no TLBs to show' -m "$tmp/none.ini"
[ $failures -eq 0 ]
