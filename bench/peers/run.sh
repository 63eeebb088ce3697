#!/usr/bin/env bash
# run.sh - Venturi and what a user would pick instead, on the same events in one run; see README.md.
#
# example: bench/peers/run.sh
#          bench/peers/run.sh --events 20000 --only sqlite
#
# Builds the release where it is missing, then hands all options to compare.py (--help there).
set -eu -o pipefail
cd "$(dirname "$0")/../.."

build=${VENTURI_BUILD:-build/release}
programs=(venturi venturid bench/write_events)

for program in "${programs[@]}"; do
    if [ ! -x "$build/$program" ]; then
        source tools/packages.sh
        install_packages "${packages_build[@]}" >&2
        cmake --preset release >&2
        nice cmake --build --preset release --target venturi venturid write_events >&2
        build=build/release
        break
    fi
done
export VENTURI_BUILD=$build PYTHONDONTWRITEBYTECODE=1
exec python3 bench/peers/compare.py "$@"
