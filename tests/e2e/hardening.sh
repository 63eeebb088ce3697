#!/usr/bin/env bash
# Goal:   a release is hardened in fact, not only by its flags.
# Method: read the ELF files; only a build that asked for hardening is held to it.
set -eu -o pipefail

grep -q '^VENTURI_HARDEN:BOOL=ON' "$VENTURI_BUILD/CMakeCache.txt" || exit 77

failed=0
want() { # WHAT CONDITION...: what is promised, and the command that shows it
    local what=$1
    shift
    "$@" || {
        echo "$program: $what"
        failed=1
    }
}
has() { grep -qE "$1" <<<"$2"; }
has_not() { ! grep -qE "$1" <<<"$2"; }

for program in venturid venturi; do
    headers=$(readelf --wide --file-header --segments --dynamic --notes "$VENTURI_BUILD/$program")
    strings=$(strings -n 6 "$VENTURI_BUILD/$program")

    want "is no position-independent executable" has 'FLAGS_1.*PIE' "$headers"
    want "binds lazily" has 'FLAGS_1.*NOW' "$headers"
    want "has no read-only relocations" has 'GNU_RELRO' "$headers"
    want "has an executable stack" has 'GNU_STACK.* RW ' "$headers"
    want "names the directory it was built in" has_not "^$VENTURI_SRC/" "$strings"
    want "has a run path" has_not '(RPATH|RUNPATH)' "$headers"
done
exit "$failed"
