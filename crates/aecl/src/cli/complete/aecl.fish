# Completion of aecl for fish: aecl completions fish | source
function __aecl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] __complete -- $words[2..-1] 2>/dev/null)
    set -l ended $status
    printf '%s\n' $found
    # Where a file is as good, files are offered as well.
    test $ended -eq 1; and __fish_complete_path (commandline -ct)
end
complete -c aecl -f -k -a '(__aecl_complete)'
