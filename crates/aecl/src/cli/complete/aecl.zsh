#compdef aecl
# Completion of aecl for zsh: source <(aecl completions zsh), or a file named _aecl in a directory of $fpath.

# The program that is installed now. Tab runs no word that is only typed: `./aecl` may be a stranger's, and so is what
# PATH finds in the current directory.
typeset -g _aecl_program=
() {
    local -a all
    all=(${(f)"$(whence -pa aecl)"})
    all=(${(M)all:#/*})
    _aecl_program=${all[1]}
}

_aecl() {
    local found ended line
    local -a offers
    [[ -n $_aecl_program ]] || return 0
    found=$($_aecl_program __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
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
