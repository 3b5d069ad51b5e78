#!/bin/bash
# tests/cli/options_agree.bash BIN_DIR - --help, the manual page and the shell completion know the same commands
# and options, and the manual page is well formed.
set -u
bin=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export PATH="$bin:$PATH"
failures=0

fail() {
	echo "FAILED: $*"
	failures=$((failures + 1))
}

# Options that --help lists, as "--name" and "-n"; not those that its text mentions.
help_options() {
	"$@" --help | sed -nE 's/^ +(-[a-zA-Z], )?(--[a-z-]+)( .*)?$/\1\2/p' | sed 's/, /\n/' | sort -u
}

sed 's/\\-/-/g; s/\\ / /g; s/\\f[A-Z]//g' "$root/docs/mmsim.1" >"$tmp/man"
grep -oE -- '--[a-z][a-z-]*[a-z]' "$tmp/man" | sort -u >"$tmp/man.options"
commands=$(mmsim help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 7 ] || fail "commands of mmsim help: $commands"

source "$root/sim/cli/completion.bash"
# complete WORD...: what the completion offers for the last word
complete_words() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	_mmsim
	printf '%s\n' "${COMPREPLY[@]}" | sort -u
}

for command in $commands; do
	help_options mmsim "$command" >"$tmp/help.$command"
	grep -q . "$tmp/help.$command" || fail "$command --help lists no options"
	while read -r option; do
		grep -qE -- "(^|[^a-z-])$option([^a-z-]|$)" "$tmp/man" || fail "man page: $command $option"
	done < <(grep -vE -- '^(--help|-h)$' "$tmp/help.$command")
	grep -q "^\.B mmsim $command" "$tmp/man" || fail "man page: no synopsis of $command"
	complete_words mmsim "$command" -- >"$tmp/completed"
	grep -- '^--' "$tmp/help.$command" | diff - <(grep -- '^--' "$tmp/completed") >"$tmp/diff" ||
		fail "completion of $command: $(cat "$tmp/diff")"
done
cat "$tmp"/help.* | sort -u >"$tmp/help.options"
# perf's and other programs' options in examples are not ours.
comm -13 "$tmp/help.options" "$tmp/man.options" |
	grep -vxE -- '--(help|array|output|wrap)' >"$tmp/strange" &&
	fail "the man page has options that no command has: $(cat "$tmp/strange")"

complete_words mmsim '' | grep -vE -- '^(help|--version)$' >"$tmp/completed"
diff <(tr ' ' '\n' <<<"$commands" | sort) "$tmp/completed" || fail 'completion of commands'
for workload in $(mmsim list workloads | cut -d' ' -f1); do
	grep -q "^complete .* $workload\( \|$\)" "$root/sim/cli/completion.bash" || fail "no completion of $workload"
	grep -qE "^\.BR (.* )?$workload( |$)" "$tmp/man" || fail "man page: no program $workload"
	[ -x "$bin/$workload" ] || fail "no program $workload"
done
topics=$(mmsim list --help | sed -nE 's/^usage: mmsim list \[(.*)\] \[--json\]/\1/p' | tr -d '|')
[ "$(complete_words mmsim list '')" = "$(tr -s ' ' '\n' <<<"$topics" | sort)" ] || fail 'completion of list'
for topic in $topics; do
	mmsim list "$topic" | grep -q . || fail "list $topic"
	grep -q "^\.RB \[.*$topic" "$tmp/man" || fail "man page: no list $topic"
done
complete_words mmsim run -m l | grep -qx laptop8 || fail 'completion of -m'
for kind in -e -a --tree --kernel --order --better --schedule; do
	complete_words mmsim replay "$kind" '' | grep -q . || fail "completion of $kind"
	while read -r value; do
		# A build for TSan has no virtual engine.
		[ "$value" = virtual ] && [ ! -x "$bin/mmsim-virtual" ] && continue
		mmsim run -w mmap1 "$kind" "$value" --wrong 2>&1 | grep -q -- '--wrong: unknown' ||
			[ "$kind" = --order ] || [ "$kind" = --better ] || fail "completion: $kind $value is none"
	done < <(complete_words mmsim run "$kind" '')
done
complete_words mmsim run -s 'mmap_lock,vma_r' | grep -qx 'mmap_lock,vma_refcnt' || fail 'completion of a list'
complete_words mmsim run -p '' | grep -qx 'content_words=' || fail 'completion of parameters'

if command -v man >/dev/null; then
	MANROFFSEQ='' man --warnings -E UTF-8 -l "$root/docs/mmsim.1" 2>"$tmp/warnings" >/dev/null
	[ -s "$tmp/warnings" ] && fail "man page: $(cat "$tmp/warnings")"
fi

# Limits that are said are those that hold: --help's, the manual's and the program's.
for option in hot-lines:10000 trace-events:1000000000 jobs:4096; do
	limit=${option#*:} option=${option%:*}
	mmsim run --help | grep -A1 -- "--$option " | grep -qw "$limit" || fail "--help: no limit of --$option"
	grep -A2 -- "--$option " "$tmp/man" | grep -qw "$limit" || fail "man page: no limit of --$option"
	mmsim run -w mmap1 "--$option" 99999999999 2>&1 | grep -qw "to $limit is allowed" ||
		fail "--$option: its limit is not $limit"
done

[ $failures -eq 0 ] && echo ok
exit $((failures > 0))
