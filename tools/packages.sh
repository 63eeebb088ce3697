# packages.sh - sourced: what Debian 12 has to have, and install_packages to get what is missing.

# Enough to build a release and run the demonstration.
packages_build=(
    gcc libc6-dev cmake ninja-build pkg-config python3 ca-certificates curl jq tzdata
    liburing-dev liblz4-dev libxxhash-dev libssl-dev libmsgpack-dev libyajl-dev libgmp-dev
    libroaring-dev libmicrohttpd-dev libcurl4-openssl-dev libjemalloc-dev libcriterion-dev
)

# On top of that: gates, sanitizers and fuzzers.
packages_test=(
    clang clang-tidy clang-format libclang-rt-14-dev llvm-14 binutils git util-linux procps ccache
    libfuse3-dev e2fsprogs mount
)

# install_packages NAME...: quiet, and silent where nothing is missing.
install_packages() {
    local missing=() name as_root=() log
    for name in "$@"; do
        dpkg-query -W -f='${Status}\n' "$name" 2>/dev/null | grep -q '^install ok installed$' ||
            missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "to install as root: apt-get install ${missing[*]}" >&2
            return 1
        }
        as_root=(sudo)
    fi
    echo "installing ${#missing[@]} packages: ${missing[*]}"
    log=$(mktemp)
    # An unreachable foreign source must not stop us: what counts is whether the install works.
    "${as_root[@]}" apt-get -qq update >"$log" 2>&1 || true
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive TZ=Etc/UTC apt-get -qq -y \
        --no-install-recommends install "${missing[@]}" >>"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}
