# Completion of git-annex-syncx for fish. Written by completions/generate.py; after a change there run "make man".
#
# fish loads this file by itself for `git-annex-syncx`, where it is installed in one of the directories of
# $fish_complete_path. For `git annex-syncx` and `git annex syncx` too, put a line into ~/.config/fish/config.fish:
#     source .../git-annex-syncx.fish

# What stands between the program's name and the cursor; fails where it is another program's name.
function __git_annex_syncx_words
    set -l words (commandline -opc)
    set -l name (string replace -r '.*/' '' -- $words[1])
    set -e words[1]
    if test "$name" = git
        while string match -q -- '-*' "$words[1]"
            contains -- $words[1] -C -c --git-dir --work-tree --namespace
            and set -e words[1]
            set -e words[1]
        end
        set name git-$words[1]
        set -e words[1]
    end
    if test "$name" = git-annex
        set name git-annex-$words[1]
        set -e words[1]
    end
    test "$name" = git-annex-syncx
    or return 1
    string join -- \n $words
    return 0
end

# The command, empty where none is there yet; fails where it is another program.
function __git_annex_syncx_command
    set -l words (__git_annex_syncx_words)
    or return 1
    set -l value no
    for word in $words
        if test $value = yes
            set value no
        else if contains -- $word -C --except --bwlimit -m --message --content-of -J --jobs -b --backend -c --config -N --numcopies --mincopies --semitrust --untrust --user-agent --for --svg --png --map --from --to --objective
            set value yes
        else if not string match -q -- '-*' $word
            echo $word
            return 0
        end
    end
    return 0
end

function __git_annex_syncx_needs_command
    set -l command (__git_annex_syncx_command)
    and test -z "$command"
end

function __git_annex_syncx_using
    set -l command (__git_annex_syncx_command)
    and contains -- "$command" $argv
end

# Remotes and groups of the repository that -C names.
function __git_annex_syncx_remotes
    set -l words (commandline -opc)
    set -l directory
    for i in (seq 2 (count $words))
        if test "$words[$i]" = -C; and set -q words[(math $i + 1)]
            set -a directory -C (string replace -r '^~(?=/|$)' $HOME -- $words[(math $i + 1)])
        end
    end
    git $directory remote 2>/dev/null | string replace -r '$' \tremote
    git $directory config --name-only --get-regexp '^remotes\.' 2>/dev/null | string replace -r '^remotes\.(.*)$' '$1'\tgroup
end

for program in git-annex-syncx git git-annex
    complete -c $program -n __git_annex_syncx_command -f
    complete -c $program -n __git_annex_syncx_needs_command -f -a push -d 'Push the branch and the git-annex branch to all remotes at once'
    complete -c $program -n __git_annex_syncx_needs_command -f -a pull -d 'Fetch from all remotes at once, then merge'
    complete -c $program -n __git_annex_syncx_needs_command -f -a merge -d 'Merge what was received (synced/*) and fetched'
    complete -c $program -n __git_annex_syncx_needs_command -f -a transfer -d 'Send and get content as the plan says, and drop what is not wanted'
    complete -c $program -n __git_annex_syncx_needs_command -f -a sync -d 'Commit, fetch, merge, push, transfer content, push'
    complete -c $program -n __git_annex_syncx_needs_command -f -a status -d 'Show who is ahead or behind, and what waits to be tried again'
    complete -c $program -n __git_annex_syncx_needs_command -f -a merge-driver -d 'Let git itself unite texts in its merges'
    complete -c $program -n __git_annex_syncx_needs_command -f -a hooks -d 'Let git\'s hooks start the phases: after a commit, and when something is received'
    complete -c $program -n __git_annex_syncx_needs_command -f -a retry -d 'Try again what failed and is due, refs and content (for cron)'
    complete -c $program -n __git_annex_syncx_needs_command -f -a pause -d 'Hold all automatic work, or that with some remotes'
    complete -c $program -n __git_annex_syncx_needs_command -f -a resume -d 'End pauses, and do what has waited'
    complete -c $program -n __git_annex_syncx_needs_command -f -a watch -d 'Look after the repository in the foreground: refs, drives, timers (for systemd and the like)'
    complete -c $program -n __git_annex_syncx_needs_command -f -a service -d 'Start watch, or retry and sync, with the user\'s session'
    complete -c $program -n __git_annex_syncx_needs_command -f -a signal -d 'Tell others that there is news, hear them, or try the channels of syncx.signal'
    complete -c $program -n __git_annex_syncx_needs_command -f -a map -d 'Show the network: who has whom as a remote, and what that costs'
    complete -c $program -n __git_annex_syncx_needs_command -f -a plan -d 'Show the cheapest tree and who carries what to whom'
    complete -c $program -n __git_annex_syncx_needs_command -f -a help -d 'Show the manual page of a command'
    complete -c $program -n __git_annex_syncx_needs_command -l version -f -d 'Show the version and exit'
    complete -c $program -n __git_annex_syncx_needs_command -s C -x -a '(__fish_complete_directories)' -d 'Work in this repository'
    complete -c $program -n __git_annex_syncx_needs_command -l json -f -d 'One JSON object a line on standard output'
    complete -c $program -n __git_annex_syncx_needs_command -s q -l quiet -f -d 'Nothing but failures'
    complete -c $program -n __git_annex_syncx_needs_command -s v -l verbose -f -d 'Say what is done; twice: say everything'
    complete -c $program -n __git_annex_syncx_needs_command -s h -l help -f -d 'Show this message and exit'
    complete -c $program -n '__git_annex_syncx_using push pull merge transfer sync status merge-driver hooks retry pause resume watch service signal map plan help' -s C -x -a '(__fish_complete_directories)' -d 'Work in this repository'
    complete -c $program -n '__git_annex_syncx_using push pull merge transfer sync status merge-driver hooks retry pause resume watch service signal map plan help' -l json -f -d 'One JSON object a line on standard output'
    complete -c $program -n '__git_annex_syncx_using push pull merge transfer sync status merge-driver hooks retry pause resume watch service signal map plan help' -s q -l quiet -f -d 'Nothing but failures'
    complete -c $program -n '__git_annex_syncx_using push pull merge transfer sync status merge-driver hooks retry pause resume watch service signal map plan help' -s v -l verbose -f -d 'Say what is done; twice: say everything'
    complete -c $program -n '__git_annex_syncx_using push pull transfer sync status' -l except -x -a '(__git_annex_syncx_remotes)' -d 'Leave out this remote or group; repeats'
    complete -c $program -n '__git_annex_syncx_using push pull merge transfer sync status merge-driver hooks retry pause resume watch service signal map plan help' -s h -l help -f -d 'Show this message and exit'
    complete -c $program -n '__git_annex_syncx_using pull merge sync' -l allow-unrelated-histories -l no-allow-unrelated-histories -f -d 'Join histories that share no commit'
    complete -c $program -n '__git_annex_syncx_using pull merge sync' -l allow-deletes -f -d 'Let more files be removed than syncx.maxDelete allows'
    complete -c $program -n '__git_annex_syncx_using merge' -l forward -f -d 'Push the result onward'
    complete -c $program -n '__git_annex_syncx_using transfer sync' -s A -l all -f -d 'Also keys that no file of the tree uses'
    complete -c $program -n '__git_annex_syncx_using transfer sync' -l drop -l no-drop -f -d 'Whether to drop what is not wanted (default: yes)'
    complete -c $program -n '__git_annex_syncx_using transfer sync' -l bwlimit -x -d 'Limit of all transfers together (syncx.bwlimit)'
    complete -c $program -n '__git_annex_syncx_using transfer' -s n -l dry-run -f -d 'Show what would go where; move nothing'
    complete -c $program -n '__git_annex_syncx_using sync' -l commit -l no-commit -f -d 'Commit local changes first (default: annex.autocommit)'
    complete -c $program -n '__git_annex_syncx_using sync' -s m -l message -x -d 'The message of that commit'
    complete -c $program -n '__git_annex_syncx_using sync' -l content -l no-content -s g -f -d 'Transfer content (default: annex.synccontent, else yes)'
    complete -c $program -n '__git_annex_syncx_using sync' -l content-of -x -a '(__fish_complete_directories)' -d 'Content of files there alone; repeats'
    complete -c $program -n '__git_annex_syncx_using sync' -l pull -l no-pull -f -d 'Whether to get anything from remotes (default: yes)'
    complete -c $program -n '__git_annex_syncx_using sync' -l push -l no-push -f -d 'Whether to send anything to remotes (default: yes)'
    complete -c $program -n '__git_annex_syncx_using sync' -l cleanup -f -d 'Do nothing but remove the synced/ branches, here and at the remotes'
    complete -c $program -n '__git_annex_syncx_using sync' -s F -l fast -f -d 'With the remotes of the lowest cost alone'
    complete -c $program -n '__git_annex_syncx_using sync' -l only-annex -s a -l not-only-annex -f -d 'Leave git\'s branches alone: only the git-annex branch and content (default: annex.synconlyannex)'
    complete -c $program -n '__git_annex_syncx_using sync' -l resolvemerge -l no-resolvemerge -f -d 'Whether a merge may resolve conflicts (default: annex.resolvemerge, else yes)'
    complete -c $program -n '__git_annex_syncx_using sync' -s J -l jobs -x -d 'So many remotes, and transfers with each, at once (syncx.jobs, syncx.transferJobs)'
    complete -c $program -n '__git_annex_syncx_using sync' -s b -l backend -x -d 'What keys are made with in an import (annex.backend)'
    complete -c $program -n '__git_annex_syncx_using sync' -s c -l config -x -d 'Override git\'s configuration for this run; repeats'
    complete -c $program -n '__git_annex_syncx_using sync' -s d -l debug -l no-debug -f -d 'The same as -vv'
    complete -c $program -n '__git_annex_syncx_using sync' -s N -l numcopies -x -d 'Of each file so many copies are kept'
    complete -c $program -n '__git_annex_syncx_using sync' -l mincopies -x -d 'Never drop below so many copies'
    complete -c $program -n '__git_annex_syncx_using sync' -l rebalance -f -d 'Let balanced preferred content move files'
    complete -c $program -n '__git_annex_syncx_using sync' -l semitrust -x -a '(__git_annex_syncx_remotes)' -d 'Take a repository as semitrusted; repeats'
    complete -c $program -n '__git_annex_syncx_using sync' -l untrust -x -a '(__git_annex_syncx_remotes)' -d 'Take a repository as untrusted; repeats'
    complete -c $program -n '__git_annex_syncx_using sync' -l user-agent -x -d 'What web servers are told'
    complete -c $program -n '__git_annex_syncx_using sync' -l notify-start -f -d 'Show a notice on the desktop when a transfer starts'
    complete -c $program -n '__git_annex_syncx_using sync' -l notify-finish -f -d 'Show a notice on the desktop when a transfer is done'
    complete -c $program -n '__git_annex_syncx_using merge-driver' -l global -f -d 'In all repositories of this user'
    complete -c $program -n '__git_annex_syncx_using merge-driver' -l force -f -d 'Take the place of another merge.default'
    complete -c $program -n '__git_annex_syncx_using pause' -l for -x -a '30m 2h 8h 1d' -d 'End by itself after 90s, 30m, 2h or 1d'
    complete -c $program -n '__git_annex_syncx_using service' -l timer -f -d 'Not watch all the time, but retry and sync by a timer'
    complete -c $program -n '__git_annex_syncx_using service' -l cron -f -d 'Show the lines for cron instead'
    complete -c $program -n '__git_annex_syncx_using map' -l refresh -f -d 'Ask the repositories that can be reached (git annex map)'
    complete -c $program -n '__git_annex_syncx_using map' -l publish -f -d 'Tell the others the links of this repository'
    complete -c $program -n '__git_annex_syncx_using map plan' -l dot -f -d 'Print the graph in Graphviz\'s language'
    complete -c $program -n '__git_annex_syncx_using map plan' -l svg -r -d 'Write a picture; needs Graphviz'
    complete -c $program -n '__git_annex_syncx_using map plan' -l png -r -d 'Write a picture; needs Graphviz'
    complete -c $program -n '__git_annex_syncx_using plan' -l map -r -d 'Plan for the network in this file; - is standard input'
    complete -c $program -n '__git_annex_syncx_using plan' -l from -x -d 'Who holds the content; repeats'
    complete -c $program -n '__git_annex_syncx_using plan' -l to -x -d 'Who wants the content; repeats'
    complete -c $program -n '__git_annex_syncx_using plan' -l objective -x -a 'cost time' -d 'What is to be least'
    complete -c $program -n '__git_annex_syncx_using plan' -l relays -l no-relays -f -d 'Whether content may pass through relays'
    complete -c $program -n '__git_annex_syncx_using push pull sync status pause resume' -f -a '(__git_annex_syncx_remotes)'
    complete -c $program -n '__git_annex_syncx_using transfer' -F -a '(__git_annex_syncx_remotes)'
    complete -c $program -n '__git_annex_syncx_using plan' -F
    complete -c $program -n '__git_annex_syncx_using help' -f -a 'push pull merge transfer sync status merge-driver hooks retry pause resume watch service signal map plan help'
    complete -c $program -n '__git_annex_syncx_using merge-driver hooks; and not __fish_seen_subcommand_from install uninstall status' -f -a 'install uninstall status'
    complete -c $program -n '__git_annex_syncx_using service; and not __fish_seen_subcommand_from install uninstall show' -f -a 'install uninstall show'
    complete -c $program -n '__git_annex_syncx_using signal; and not __fish_seen_subcommand_from send listen test' -f -a 'send listen test'
end
