# Completion of aecl for bash: source <(aecl completions bash)

# The program that is installed now. Tab runs no word that is only typed: `./aecl` may be a stranger's, and so is what
# PATH finds in the current directory.
_aecl_program=
while read -r _aecl_found; do
    if [[ $_aecl_found == /* ]]; then
        _aecl_program=$_aecl_found
        break
    fi
done < <(type -aP aecl)
unset _aecl_found

_aecl() {
    local line found ended
    COMPREPLY=()
    [[ -n $_aecl_program ]] || return 0
    found=$("$_aecl_program" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    ended=$?
    while IFS=$'\t' read -r line _; do
        [[ -n $line ]] && COMPREPLY+=("$line")
    done <<<"$found"
    # Where a file is as good, bash completes files.
    [[ $ended -eq 1 ]] && compopt -o default 2>/dev/null
    return 0
}
complete -F _aecl aecl
