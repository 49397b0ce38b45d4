# Completion of git-annex-syncx for fish: _GIT_ANNEX_SYNCX_COMPLETE=fish_source git-annex-syncx
#
# fish loads this file by itself for `git-annex-syncx`, where it is installed in one of the directories of
# $fish_complete_path. For `git annex-syncx` and `git annex syncx` too, put a line into ~/.config/fish/config.fish:
#     source .../git-annex-syncx.fish

function __git_annex_syncx
    set -l option (commandline -ct | string match -r '^--[^=]*=')
    for line in (env COMP_LINE=(commandline -cp) _GIT_ANNEX_SYNCX_COMPLETE=fish_complete git-annex-syncx 2>/dev/null)
        set -l offer (string split -m 2 \t -- $line)
        switch $offer[1]
            case file
                string replace -r '^' "$option" -- (__fish_complete_path $offer[2])
            case dir
                string replace -r '^' "$option" -- (__fish_complete_directories $offer[2])
            case plain
                printf '%s%s\t%s\n' "$option" $offer[2] "$offer[3]"
        end
    end
end

complete -c git-annex-syncx -f -a '(__git_annex_syncx)'
for program in git git-annex
    complete -c $program -n 'commandline -cp | string match -qr "^([^ ]*/)?git(( +(-C|-c|--git-dir|--work-tree|--namespace) +[^ ]+| +-[^ ]+)* +annex|-annex)( +|-)syncx "' -f -a '(__git_annex_syncx)'
end
