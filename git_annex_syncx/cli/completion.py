"""Completion in bash, zsh and fish: click finds what to offer, a function of each shell asks it.

`_GIT_ANNEX_SYNCX_COMPLETE=bash_source git-annex-syncx` prints the function for bash. The function passes the line up
to the cursor in COMP_LINE and reads a line for each offer: its type (`plain`, `file`, `dir`), value and help.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys

import click
from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, split_arg_string

PROGRAM = "git-annex-syncx"
CURSOR = "\0"  # stands where the cursor is, so that a word of which nothing is written yet is a word too
GIT_VALUED = ("-C", "-c", "--git-dir", "--work-tree", "--namespace")  # options of git with a value in the next word
# `git annex-syncx ` or the like, git's own options in it: zsh and fish start a program only where this stands.
CALL = rf"^([^ ]*/)?git(( +({'|'.join(GIT_VALUED)}) +[^ ]+| +-[^ ]+)* +annex|-annex)( +|-)syncx "

BASH = r"""# Completion of git-annex-syncx for bash: _GIT_ANNEX_SYNCX_COMPLETE=bash_source git-annex-syncx
#
# bash-completion loads this file by itself for `git-annex-syncx` and `git annex-syncx`, where it is installed in one
# of its directories. For `git annex syncx` too, put a line into ~/.bashrc:  source .../git-annex-syncx

__git_annex_syncx() {
    local kind value path i IFS=$' \t\n'
    COMPREPLY=()
    compopt +o nospace +o default +o bashdefault 2>/dev/null
    while IFS=$'\t' read -r kind value _; do
        case $kind in
        plain) COMPREPLY+=("$value") ;;
        file | dir) # compgen -f or -d; hidden ones only when asked for
            value=${value/#'~/'/$HOME/}
            while IFS= read -r path; do
                [[ ${path##*/} == .* && ${value##*/} != .* ]] && continue
                [[ -d $path ]] && path+=/
                COMPREPLY+=("$path")
            done < <(compgen "-${kind:0:1}" -- "$value")
            ;;
        esac
    done < <(COMP_LINE=${COMP_LINE:0:COMP_POINT} %(complete_var)s=bash_complete %(program)s 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
    for i in "${!COMPREPLY[@]}"; do
        printf -v "COMPREPLY[i]" %%q "${COMPREPLY[i]}"
    done
}

# `git annex-syncx ...`, called by git's own completion
_git_annex_syncx() {
    __git_annex_syncx
}

# `git annex ...`, called by git's own completion: ours after `syncx`, else git-annex's own
__git_annex_syncx_annex() {
    local line=${COMP_LINE:0:COMP_POINT} word=${COMP_WORDS[COMP_CWORD]}
    if [[ $line == *annex\ syncx\ * ]]; then
        __git_annex_syncx
        return
    fi
    if ! declare -F __git_annex_syncx_other >/dev/null; then
        __git_annex_syncx_load git-annex
        __git_annex_syncx_wrap
    fi
    if declare -F __git_annex_syncx_other >/dev/null; then
        __git_annex_syncx_other "$@"
    fi
    if [[ ${COMP_WORDS[COMP_CWORD - 1]} == annex && $word && syncx == "$word"* ]]; then
        COMPREPLY+=(syncx)
    fi
}

# Stand before another's completion of `git annex`.
__git_annex_syncx_wrap() {
    local there
    there=$(declare -f _git_annex)
    if [[ $there != *__git_annex_syncx_annex* ]]; then
        [[ $there ]] && eval "__git_annex_syncx_other${there#_git_annex}"
        _git_annex() {
            __git_annex_syncx_annex "$@"
        }
    fi
}

# Let bash-completion, where it is at hand, load the completion of another program.
__git_annex_syncx_load() {
    if declare -F _comp_load; then
        _comp_load -- "$1"
    else
        declare -F __load_completion && __load_completion "$1"
    fi
} >/dev/null 2>&1

# `git ...` where git's own completion is not loaded: it is loaded if it is there, else only our part is completed
__git_annex_syncx_git() {
    complete -r git
    if __git_annex_syncx_load git && complete -p git >/dev/null 2>&1; then
        return 124 # bash begins anew, with git's own
    fi
    complete -o bashdefault -o default -F __git_annex_syncx_git git
    case ${COMP_LINE:0:COMP_POINT} in
    *\ annex-syncx\ *) __git_annex_syncx ;;
    *\ annex\ *) __git_annex_syncx_annex ;;
    esac
}

__git_annex_syncx_wrap
complete -F __git_annex_syncx git-annex-syncx
complete -p git >/dev/null 2>&1 || complete -o bashdefault -o default -F __git_annex_syncx_git git
"""

ZSH = r"""#compdef git-annex-syncx -p git git-annex
#description keep git-annex repositories together, phase by phase
#
# Completion of git-annex-syncx for zsh: _GIT_ANNEX_SYNCX_COMPLETE=zsh_source git-annex-syncx
#
# compinit finds this file in a directory of $fpath. It is asked before git's own completion, and leaves to that
# everything but `git annex-syncx ...` and `git annex syncx ...`.

__git_annex_syncx() {
  local line="${(j: :)words[1,CURRENT-1]} $PREFIX" kind value text ret=1
  local -a offers plain
  [[ ${words[1]:t} == git-annex-syncx || $line =~ '%(call)s' ]] || return 1
  _compskip=all
  offers=("${(@f)$(COMP_LINE=$line %(complete_var)s=zsh_complete %(program)s 2>/dev/null)}")
  compset -P '--*='
  for line in $offers; do
    IFS=$'\t' read -r kind value text <<< $line
    case $kind in
      (file) _files && ret=0 ;;
      (dir) _directories && ret=0 ;;
      (plain) plain+=("${value//:/\\:}:$text") ;;
    esac
  done
  (( $#plain )) && _describe -V 'git-annex-syncx' plain && ret=0
  return ret
}

if [[ $funcstack[1] == _git-annex-syncx ]]; then # called from a directory of $fpath
  __git_annex_syncx "$@"
else
  compdef __git_annex_syncx git-annex-syncx -p git git-annex
fi
"""

FISH = r"""# Completion of git-annex-syncx for fish: _GIT_ANNEX_SYNCX_COMPLETE=fish_source git-annex-syncx
#
# fish loads this file by itself for `git-annex-syncx`, where it is installed in one of the directories of
# $fish_complete_path. For `git annex-syncx` and `git annex syncx` too, put a line into ~/.config/fish/config.fish:
#     source .../git-annex-syncx.fish

function __git_annex_syncx
    set -l option (commandline -ct | string match -r '^--[^=]*=')
    for line in (env COMP_LINE=(commandline -cp) %(complete_var)s=fish_complete %(program)s 2>/dev/null)
        set -l offer (string split -m 2 \t -- $line)
        switch $offer[1]
            case file
                string replace -r '^' "$option" -- (__fish_complete_path $offer[2])
            case dir
                string replace -r '^' "$option" -- (__fish_complete_directories $offer[2])
            case plain
                printf '%%s%%s\t%%s\n' "$option" $offer[2] "$offer[3]"
        end
    end
end

complete -c git-annex-syncx -f -a '(__git_annex_syncx)'
for program in git git-annex
    complete -c $program -n 'commandline -cp | string match -qr "%(call)s"' -f -a '(__git_annex_syncx)'
end
"""


class _Shell(ShellComplete):
    """A shell whose function tells the line in COMP_LINE and reads offers of three fields, divided by tabs."""

    def source(self) -> str:
        """Return the function; it names the program by its path where that is not on the PATH, as in a venv."""
        program = PROGRAM if shutil.which(PROGRAM) else shlex.quote(os.path.abspath(sys.argv[0]))
        return self.source_template % {"complete_var": self.complete_var, "program": program, "call": CALL}

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the program's own words before the one at the cursor, and what is written of that one."""
        *words, incomplete = split_arg_string(os.environ["COMP_LINE"] + CURSOR)
        return own_words(words), incomplete.removesuffix(CURSOR)

    def format_completion(self, item: CompletionItem) -> str:
        """Return the fields of an offer."""
        return f"{item.type}\t{item.value}\t{item.help or ''}".rstrip("\n")


class Bash(_Shell):
    """Completion in bash."""

    name, source_template = "bash", BASH


class Zsh(_Shell):
    """Completion in zsh."""

    name, source_template = "zsh", ZSH


class Fish(_Shell):
    """Completion in fish."""

    name, source_template = "fish", FISH


def answer(group: click.Group, variable: str) -> int:
    """Do what the environment variable asks for, `bash_source` or `bash_complete`; return an exit code."""
    from click.shell_completion import shell_complete

    for shell in (Bash, Zsh, Fish):
        add_completion_class(shell)
    return shell_complete(group, {}, PROGRAM, variable, os.environ[variable])


def own_words(words: list[str]) -> list[str]:
    """Return what follows the program's name: `git -C other annex syncx push` -> `-C other push`."""
    rest, directories = words[1:], list[str]()
    name = os.path.basename(words[0]) if words else ""
    if name == "git":
        while rest and rest[0].startswith("-"):
            count = 2 if rest[0] in GIT_VALUED else 1
            directories += rest[:count] if rest[0] == "-C" else []
            rest = rest[count:]
        name = f"git-{rest[0]}" if rest else name  # or an alias of the user's
        rest = rest[1:]
    return directories + (rest[1:] if name == "git-annex" else rest)
