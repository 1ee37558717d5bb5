# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Completion for msrguard(8). Works with and without the bash-completion package.

# The rules of the running policy by their first word; nothing without permission.
_msrguard_rules()
{
	msrguard show 2>/dev/null | awk '$1 ~ /^[0-9]/ { print $1 }'
}

# The ids of the VMs that run, and of their processes.
_msrguard_vms()
{
	local file=/sys/kernel/msrguard/vms/list
	[[ ! -r $file ]] || awk '!/^#/ { print $1; print $2 }' "$file" 2>/dev/null
}

_msrguard_files()
{
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_msrguard()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} words=

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		words='status load show explain add del mode verify watch top vms rules check diff import learn help --help --version'
	else
		case $command in
		help) ((COMP_CWORD > 2)) || words='status load show explain add del mode verify watch top vms rules check diff import learn' ;;
		status) words='--json --help' ;;
		verify)
			case $previous in
			--wait | -w) return ;;
			esac
			words='--json --wait --help'
			[[ $current == -* ]] || words+=" $(_msrguard_vms)"
			;;
		watch)
			case $previous in
			--count | -n | --buffer | -b) return ;;
			--vm) words=$(_msrguard_vms) ;;
			--msr) words=$(_msrguard_rules) ;;
			--verdict) words='denied dropped masked audited' ;;
			--dir) words='read write' ;;
			*) words='--json --hyperv --journal --vm --msr --verdict --dir --count --buffer --help' ;;
			esac
			;;
		top)
			case $previous in
			--batch | -b | --delay | -d) return ;;
			esac
			words='--once --batch --delay --help'
			;;
		vms)
			words='--json --help'
			[[ $current == -* ]] || words+=" $(_msrguard_vms)"
			;;
		rules) words='--hits --unused --json --help' ;;
		load | import)
			if [[ $current != -* ]]; then
				_msrguard_files "$current"
				return
			fi
			words='- --help'
			;;
		check | diff)
			case $previous in
			--vendor) words='intel amd hygon zhaoxin centaur' ;;
			--family | --model | --stepping) return ;;
			*)
				if [[ $current != -* ]]; then
					_msrguard_files "$current"
					[[ $command != diff || active != "$current"* ]] || COMPREPLY+=(active)
					return
				fi
				words='--json --vendor --family --model --stepping --help'
				[[ $command == diff ]] || words+=' --strict --kernel-lists --print'
				;;
			esac
			;;
		learn)
			case $previous in
			--for | -f) return ;;
			--vm) words=$(_msrguard_vms) ;;
			--base | -b | --output | -o)
				_msrguard_files "$current"
				return
				;;
			*) words='--for --vm --base --output --help' ;;
			esac
			;;
		add)
			case $COMP_CWORD in
			2) words='default --help' ;;
			3 | 4) words='allow deny drop mask=' ;;
			*) words='audit quiet' ;;
			esac
			;;
		del)
			words=--help
			[[ $current == -* ]] || words=$(_msrguard_rules)
			;;
		mode) ((COMP_CWORD > 2)) || words='off audit enforce --help' ;;
		show) words='--names --plain --help' ;;
		explain)
			words='--json --help'
			[[ $current == -* ]] || words+=" $(_msrguard_rules)"
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
	[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != mask= ]] || compopt -o nospace 2>/dev/null
}

complete -F _msrguard msrguard
