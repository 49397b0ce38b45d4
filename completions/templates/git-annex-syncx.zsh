#compdef git-annex-syncx -p git git-annex
#description @SUMMARY@
#
# Completion of git-annex-syncx for zsh. Written by completions/generate.py; after a change there run "make man".
#
# compinit finds this file in a directory of $fpath. It is asked before git's own completion, and leaves to that
# everything but `git annex-syncx ...` and `git annex syncx ...`.

# The place of the last word of the program's name, 0 where it is another program.
__git_annex_syncx_place() {
  emulate -L zsh
  local -i i
  case ${words[1]:t} in
    (git-annex-syncx|annex-syncx) REPLY=1 ;;
    (git-annex) REPLY=2; [[ $words[2] == syncx ]] || REPLY=0 ;;
    (git)
      for (( i = 2; i < CURRENT; i++ )); do
        case $words[i] in
          (-C|-c|--git-dir|--work-tree|--namespace) (( i++ )) ;;
          (-*) ;;
          (annex-syncx) REPLY=$i; return ;;
          (annex) [[ $words[i+1] == syncx ]] && REPLY=$(( i + 1 )); return ;;
          (*) return ;;
        esac
      done
      ;;
  esac
}

# Remotes and groups of the repository that -C names.
__git_annex_syncx_remotes() {
  local -a names expl
  names=(
    ${(f)"$(git $__git_annex_syncx_directories remote 2>/dev/null)"}
    ${${(f)"$(git $__git_annex_syncx_directories config --name-only --get-regexp '^remotes\.' 2>/dev/null)"}#remotes.}
  )
  _wanted remotes expl 'remote or group' compadd -a names
}

__git_annex_syncx_remotes_or_files() {
  _alternative 'remotes:remote or group:__git_annex_syncx_remotes' 'files:file:_files'
}

__git_annex_syncx_commands() {
  local -a commands
  commands=(
@COMMANDS@
  )
  _describe -t commands command commands
}

__git_annex_syncx() {
  local REPLY=0 curcontext=$curcontext state line ret=1
  local -a state_descr __git_annex_syncx_directories
  local -A opt_args
  local -i i
  __git_annex_syncx_place
  (( REPLY && CURRENT > REPLY )) || return 1
  _compskip=all
  for (( i = 2; i < CURRENT - 1; i++ )); do
    [[ $words[i] == -C ]] && __git_annex_syncx_directories+=(-C ${${(Q)words[i+1]}/#\~\//$HOME/})
  done
  words=(git-annex-syncx "${(@)words[REPLY+1,-1]}")
  (( CURRENT -= REPLY - 1 ))

  _arguments -C \
@GLOBALS@
    '(-): :__git_annex_syncx_commands' \
    '(-)*:: :->arguments' && ret=0

  if [[ $state == arguments ]]; then
    curcontext=${curcontext%:*:*}:git-annex-syncx-$words[1]:
    case $words[1] in
@CASES@
    esac
  fi
  return ret
}

__git_annex_syncx "$@"
