# sim/cli/completion.bash - bash completion of mmsim and the workload programs
# Options come from --help, names from `mmsim list`, so nothing here needs to be kept up to date.
_mmsim()
{
	local program=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local command=() words='' head=''

	COMPREPLY=()
	if [[ ${program##*/} == mmsim ]]; then
		if ((COMP_CWORD == 1)); then
			words=$("$program" help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')
			mapfile -t COMPREPLY < <(compgen -W "$words help --version" -- "$cur")
			return
		fi
		command=("${COMP_WORDS[1]}")
	fi
	case $prev in
	-w | --workload | -s | --scheme)
		[[ $prev == -w || $prev == --workload ]] && words=workloads || words=schemes
		words="all $(mmsim list $words 2>/dev/null | cut -d' ' -f1)"
		[[ $cur == *,* ]] && head=${cur%,*},
		mapfile -t COMPREPLY < <(compgen -P "$head" -W "$words" -- "${cur##*,}")
		return
		;;
	-a | --arch) words=$(mmsim list archs 2>/dev/null | cut -d' ' -f1) ;;
	-p | --param)
		words=$(mmsim list params 2>/dev/null | sed 's/^[^ ]* *\([^=]*=\).*/\1/' | sort -u)
		[[ $cur == m* ]] && words+=" $(mmsim list machines --json 2>/dev/null |
			sed -n 's/.*"key": "\(.*\)".*/machine.\1=/p' | sort -u)"
		;;
	-e | --engine) words='native virtual' ;;
	--tree) words=$(mmsim list trees 2>/dev/null | cut -d' ' -f1) ;;
	--kernel) words='4.12 4.15 6.4 6.18' ;;
	--order) words='trace program' ;;
	--think) words='none recorded' ;;
	--better) words='higher lower' ;;
	-m | --machine) words=$(mmsim list machines 2>/dev/null | cut -d' ' -f1) ;;
	--schedule) words='time random' ;;
	--access) words='read write exec' ;;
	list) [[ $cur == -* ]] || words='workloads params schemes trees archs machines counters' ;;
	esac
	if [[ -z $words && $cur == -* ]]; then
		words=$("$program" "${command[@]}" --help 2>/dev/null | grep -oE -- '--[a-z-]+' | sort -u)
	fi
	if [[ $prev == -m || $prev == --machine ]]; then # or a file
		mapfile -t COMPREPLY < <(compgen -f -W "$words" -- "$cur")
	elif [[ -n $words ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -o bashdefault -F _mmsim mmsim ebizzy pft page_fault1 page_fault2 page_fault3 mmap1 multi_fault gc_heap
