#!/usr/bin/env bash
# demo.sh - on a fresh Debian 12: installs what is missing, builds a release, runs the main job.
set -eu -o pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh

build=build/release

# demo_main: what a stranger watches. Everything before it is preparation.
demo_main() {
    python3 tools/demo_run.py "$build" "$@"
}

# quietly LOG COMMAND...: shows the output only where it matters.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 || {
        tail -n 40 "$log" >&2
        echo "demo.sh: failed: $*" >&2
        exit 1
    }
}

install_packages "${packages_build[@]}"
mkdir -p "$build"
echo "building $build"
quietly "$build/configure.log" cmake --preset release
quietly "$build/build.log" cmake --build --preset release --target venturid venturi
demo_main "$@"
