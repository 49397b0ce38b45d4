# Completion of git-annex-syncx for bash. Written by completions/generate.py; after a change there run "make man".
#
# bash-completion loads this file by itself for `git-annex-syncx` and `git annex-syncx`, where it is installed in one
# of its directories. For `git annex syncx` too, put a line into ~/.bashrc:  source .../git-annex-syncx

@TABLES@

# Complete ${words[cword]}. $1 is the place of the last word of the program's name in `words`.
__git_annex_syncx() {
    local cur=${words[cword]} prev=${words[cword - 1]} command='' given='' kind='' i IFS=$' \t\n'
    local -a git
    git=(git)
    for ((i = 1; i < cword - 1; i++)); do
        [[ ${words[i]} == -C ]] && git+=(-C "$(__git_annex_syncx_unquoted "${words[i + 1]}")")
    done
    for ((i = $1 + 1; i < cword; i++)); do
        case ${words[i]} in
        @VALUED@) [[ ${words[i + 1]} == = ]] && ((i++)); ((i++)) ;;
        -*) ;;
        *) if [[ $command ]]; then given=yes; else command=${words[i]}; fi ;;
        esac
    done
    if [[ $cur == --*=* ]]; then # one word, as git's completion has it
        prev=${cur%%=*} cur=${cur#*=}
    elif [[ $cur == = ]]; then # three words, as bash has it
        cur=
    elif [[ $prev == = ]]; then
        prev=${words[cword - 2]}
    fi
    COMPREPLY=()
    compopt +o nospace +o default +o bashdefault 2>/dev/null
    kind=$(__git_annex_syncx_kind "$command" "$prev")
    case $kind,$cur in
    directory,*) __git_annex_syncx_directories ;;
    file,*) compopt -o default 2>/dev/null ;;
    remote,*) __git_annex_syncx_offer $(__git_annex_syncx_remotes) ;;
    words\ *) __git_annex_syncx_offer ${kind#words } ;;
    text,*) ;;
    *,-*) __git_annex_syncx_offer $(__git_annex_syncx_options "$command") ;;
    *)
        kind=$(__git_annex_syncx_arguments "$command")
        case $command,$kind in
        ,* | *,command) __git_annex_syncx_offer $__git_annex_syncx_commands ;;
        *,remote) __git_annex_syncx_offer $(__git_annex_syncx_remotes) ;;
        *,words\ *) [[ $given ]] || __git_annex_syncx_offer ${kind#*words } ;;
        *,either) __git_annex_syncx_either ;;
        *,file) compopt -o default 2>/dev/null ;;
        esac
        ;;
    esac
}

# Remotes and groups, one a line. Git does not allow blanks in their names.
__git_annex_syncx_remotes() {
    "${git[@]}" remote 2>/dev/null
    "${git[@]}" config --name-only --get-regexp '^remotes\.' 2>/dev/null | sed 's/^remotes\.//'
}

# Those of the words that begin as the current word does, quoted. Nothing in them is expanded.
__git_annex_syncx_offer() {
    local start word quoted
    start=$(__git_annex_syncx_unquoted "$cur")
    for word; do
        if [[ $word == "$start"* ]]; then
            printf -v quoted %q "$word"
            COMPREPLY+=("$quoted")
        fi
    done
}

# Remotes and groups, and files; hidden ones only when asked for.
__git_annex_syncx_either() {
    local start found quoted
    start=$(__git_annex_syncx_unquoted "$cur")
    __git_annex_syncx_offer $(__git_annex_syncx_remotes)
    while IFS= read -r found; do
        [[ $found == .* && $start != .* ]] && continue
        printf -v quoted %q "$found"
        [[ -d $found ]] && quoted+=/
        COMPREPLY+=("$quoted")
    done < <(compgen -f -- "$start")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

__git_annex_syncx_directories() {
    local found
    compopt -o filenames 2>/dev/null
    while IFS= read -r found; do
        COMPREPLY+=("$found")
    done < <(compgen -d -- "$(__git_annex_syncx_unquoted "$cur")")
}

# A word as the program would see it, for the usual quotes.
__git_annex_syncx_unquoted() {
    local word=${1//[\"\'\\]/}
    [[ $word == '~' || $word == '~/'* ]] && word=$HOME${word#'~'}
    printf '%s\n' "$word"
}

# The place of git's command in `words`.
__git_annex_syncx_git_command() {
    local i
    if [[ ${__git_cmd_idx-} && ${__git_cmd_idx} -gt 0 ]]; then
        echo "$__git_cmd_idx"
        return
    fi
    for ((i = 1; i <= cword; i++)); do
        case ${words[i]} in
        -C | -c | --git-dir | --work-tree | --namespace) ((i++)) ;;
        -*) ;;
        *)
            echo "$i"
            return
            ;;
        esac
    done
    echo 0
}

# `git-annex-syncx ...`
__git_annex_syncx_program() {
    local cword=$COMP_CWORD
    local -a words
    words=("${COMP_WORDS[@]}")
    __git_annex_syncx 0
}

# `git annex-syncx ...`, called by git's own completion
_git_annex_syncx() {
    __git_annex_syncx "$(__git_annex_syncx_git_command)"
}

# `git annex ...`, called by git's own completion: ours after `syncx`, else whatever was there before us
__git_annex_syncx_annex() {
    local at
    at=$(__git_annex_syncx_git_command)
    if [[ ${words[at + 1]} == syncx ]] && ((cword > at + 1)); then
        __git_annex_syncx $((at + 1))
        return
    fi
    if ! declare -F __git_annex_syncx_other >/dev/null; then
        __git_annex_syncx_load git-annex
        __git_annex_syncx_wrap
    fi
    if declare -F __git_annex_syncx_other >/dev/null; then
        __git_annex_syncx_other "$@"
    fi
    if ((cword == at + 1)) && [[ ${words[cword]} && syncx == "${words[cword]}"* ]]; then
        COMPREPLY+=(syncx)
    fi
}

# Put ourselves before another's completion of `git annex`.
__git_annex_syncx_wrap() {
    local there
    there=$(declare -f _git_annex)
    if [[ $there == *__git_annex_syncx_annex* ]]; then
        return
    fi
    [[ $there ]] && eval "__git_annex_syncx_other${there#_git_annex}"
    _git_annex() {
        __git_annex_syncx_annex "$@"
    }
}

# Let bash-completion, where it is at hand, load the completion of another program.
__git_annex_syncx_load() {
    if declare -F _comp_load >/dev/null; then
        _comp_load -- "$1"
    elif declare -F __load_completion >/dev/null; then
        __load_completion "$1"
    else
        return 1
    fi
} >/dev/null 2>&1

# `git ...` where git's own completion is not loaded: it is loaded if it is there, else only our part is completed
__git_annex_syncx_git() {
    local cword=$COMP_CWORD at
    local -a words
    words=("${COMP_WORDS[@]}")
    complete -r git
    if __git_annex_syncx_load git && complete -p git >/dev/null 2>&1; then
        return 124 # bash begins anew, with git's own
    fi
    complete -o bashdefault -o default -F __git_annex_syncx_git git
    at=$(__git_annex_syncx_git_command)
    case ${words[at]} in
    annex-syncx) ((cword > at)) && __git_annex_syncx "$at" ;;
    annex) __git_annex_syncx_annex ;;
    esac
}

__git_annex_syncx_wrap
complete -F __git_annex_syncx_program git-annex-syncx
complete -p git >/dev/null 2>&1 || complete -o bashdefault -o default -F __git_annex_syncx_git git
