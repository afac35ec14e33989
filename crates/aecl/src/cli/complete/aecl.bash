# Completion of aecl for bash: source <(aecl completions bash)
_aecl() {
    local line found ended
    COMPREPLY=()
    found=$("${1/#\~/$HOME}" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    ended=$?
    while IFS=$'\t' read -r line _; do
        [[ -n $line ]] && COMPREPLY+=("$line")
    done <<<"$found"
    # Where a file is as good, bash completes files.
    [[ $ended -eq 1 ]] && compopt -o default 2>/dev/null
    return 0
}
complete -F _aecl aecl
