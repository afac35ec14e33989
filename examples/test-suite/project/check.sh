#!/bin/sh
# A test suite of two tests. It also says what it could reach, which is nothing.
set -e
test "$(printf 'a\nb\n' | wc -l)" -eq 2 && echo "ok counts lines"
test -z "$(ls /home /root 2>/dev/null)" && echo "ok sees nobody's home"
