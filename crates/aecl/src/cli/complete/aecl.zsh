#compdef aecl
# Completion of aecl for zsh: source <(aecl completions zsh), or a file named _aecl in a directory of $fpath.
_aecl() {
    local found ended line
    local -a offers
    found=$(${~words[1]} __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    ended=$?
    for line in ${(f)found}; do
        offers+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    (( $#offers )) && _describe -V aecl offers
    (( ended == 1 )) && _files
    return 0
}
if [[ ${funcstack[1]} == _aecl ]]; then
    _aecl "$@"
else
    compdef _aecl aecl
fi
