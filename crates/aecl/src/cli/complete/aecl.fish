# Completion of aecl for fish: aecl completions fish | source

# The program that is installed now. Tab runs no word that is only typed: `./aecl` may be a stranger's, and so is what
# PATH finds in the current directory.
set -g __aecl_program (command -sa aecl | string match -r '^/.*')[1]

function __aecl_complete
    test -n "$__aecl_program"; or return
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($__aecl_program __complete -- $words[2..-1] 2>/dev/null)
    set -l ended $status
    printf '%s\n' $found
    # Where a file is as good, files are offered as well.
    test $ended -eq 1; and __fish_complete_path (commandline -ct)
end
complete -c aecl -f -k -a '(__aecl_complete)'
