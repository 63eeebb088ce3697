#!/usr/bin/env bash
# soak.sh - the long runs: what tools/test.sh does for seconds, for as long as one likes.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
source tools/packages.sh

usage() {
    cat <<'EOF'
soak.sh - long runs of the property test, of crashes, of kills under load and of the fuzzers

example: tools/soak.sh --cases 10000
example: tools/soak.sh --kills 2000 --points 1000000
example: tools/soak.sh --minutes 60

usage: tools/soak.sh [--cases N] [--kills N] [--points N] [--images N]
                     [--disks N] [--damages N] [--minutes N]

  --cases N     random catalogs and streams against the oracle, engine and rating
  --kills N     SIGKILL at a random moment under load, then recovery and a full comparison
  --points N    distinct crash points of the simulated disk: N of the log, N / 20 of the whole
                engine, at most 100 a seed, and N / 10000 runs with failures. 20000000 are 20 M and
                1 M over 10,000 seeds: some 10 and 17 minutes of a core
  --images N    power cuts of a real ext4 (as root), 200 of each history
  --disks N     small disks that foreign files fill and empty; and EIO at each of the first 1,000
                writes and syncs of a script, ENOSPC at each call that may meet it
  --damages N   random damages of sealed data, each repaired bit for bit from the second copy;
                and N / 10 stores whose backup ends after each of its operations
  --minutes N   half of it the fuzzers, then all of the above in turn with fresh seeds

Seeds are printed; logs stay in build/soak/. The end is a table of what ran.
exit status: 0 all passed, 1 something failed, 2 usage
EOF
}

wanted=()
while [ $# -gt 0 ]; do
    case "$1" in
    --cases | --kills | --points | --images | --disks | --damages | --minutes)
        [[ "${2:-}" =~ ^[1-9][0-9]*$ ]] || {
            echo "soak.sh: $1 wants a number above 0" >&2
            exit 2
        }
        wanted+=("soak_${1#--} $2")
        shift
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done
[ ${#wanted[@]} -gt 0 ] || {
    usage >&2
    exit 2
}

jobs=${VENTURI_JOBS:-$(nproc)}
logs=build/soak
rows=() # "what|seconds|result|its last line"
failed=0
no_limit=100000000 # seconds

run=()
setarch "$(uname -m)" -R true 2>/dev/null && run=(setarch "$(uname -m)" -R)

build() { # PRESET
    local log=$logs/build_$1.log
    echo "== build: $1"
    { cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs" -- --quiet; } >"$log" 2>&1 &&
        return
    failed=1
    rows+=("build $1|0|FAILED|$log")
    return 1
}

fresh_seed() { echo $((RANDOM * 32768 + RANDOM + 1)); }

# step WHAT COMMAND...: its output goes to a log whose last line stands in the table.
step() {
    local what=$1 start=$SECONDS result=passed log
    log="$logs/$(printf '%03d' ${#rows[@]})_${1//[^a-z0-9]/_}.log"
    shift
    echo "== $what: $*"
    VENTURI_BUILD=$PWD/build/release VENTURI_SRC=$PWD "$@" >"$log" 2>&1 || {
        result=FAILED
        failed=1
        tail -n 20 "$log" | sed 's/^/    /'
    }
    rows+=("$what|$((SECONDS - start))|$result|$(tail -n 1 "$log" | cut -c 1-200)")
}

soak_cases() { # COUNT
    build release || return
    step "engine cases" python3 tests/prop/engine.py --cases "$1"
    step "rating cases" python3 tests/prop/rating.py --cases "$1"
}

soak_kills() { # COUNT
    build release || return
    step "kills" python3 tests/crash/kill.py --kills "$1"
}

soak_points() { # COUNT
    build release || return
    step "log points" build/release/tests/sim/sim_log --points "$1" \
        --faults $(($1 / 1000000 + 1)) --seed "$(fresh_seed)"
    step "engine points" build/release/tests/sim/sim_engine --points $(($1 / 20 + 1)) \
        --per-seed 100 --twice 100 --faults $(($1 / 10000 + 1)) --seconds $no_limit \
        --seed "$(fresh_seed)"
}

soak_images() { # COUNT
    local left=$1
    build release || return
    while [ "$left" -gt 0 ]; do
        step "power cuts" build/release/tests/power/power_cut --seed "$(fresh_seed)" \
            --images $((left < 200 ? left : 200))
        left=$((left - 200))
    done
}

soak_disks() { # COUNT
    build release || return
    step "disks" build/release/tests/sim/sim_disk --stride 1 --runs "$1" --seed "$(fresh_seed)"
}

soak_damages() { # COUNT
    build release || return
    step "damages repaired" build/release/tests/sim/sim_repair --damages "$1" --seed "$(fresh_seed)"
    step "ends of a backup" build/release/tests/sim/sim_backup --runs $(($1 / 10 + 1)) \
        --seed "$(fresh_seed)"
}

# fuzz_for NAME SECONDS: on a copy of the corpus, so that a run leaves no new file in the tree.
fuzz_for() {
    local corpus=tests/fuzz/corpus/${1#fuzz_} work=$logs/$1
    rm -rf "$work"
    mkdir -p "$work/corpus" "$work/found"
    [ -d "$corpus" ] && cp -r "$corpus/." "$work/corpus/"
    step "$1" "${run[@]}" "build/fuzz/tests/fuzz/$1" -max_total_time="$2" -timeout=5 \
        -rss_limit_mb=2048 -artifact_prefix="$work/found/" -fork="$jobs" \
        "$work/corpus"
}

soak_minutes() { # MINUTES
    local until fuzzers=(tests/fuzz/fuzz_*.c) fuzzer
    build asan && build release && build fuzz || return
    until=$((SECONDS + $1 * 60))
    for fuzzer in "${fuzzers[@]}"; do
        fuzz_for "$(basename "$fuzzer" .c)" $(($1 * 30 / ${#fuzzers[@]} + 1))
    done
    while [ "$SECONDS" -lt "$until" ]; do
        step "engine points, asan" "${run[@]}" build/asan/tests/sim/sim_engine --points 100000 \
            --faults 100000 --seconds 60 --seed "$(fresh_seed)"
        step "log points, asan" "${run[@]}" build/asan/tests/sim/sim_log --points 50000 \
            --seed "$(fresh_seed)"
        step "kills" python3 tests/crash/kill.py --kills 100
        step "engine cases" python3 tests/prop/engine.py --cases 400
        step "rating cases" python3 tests/prop/rating.py --cases 400
    done
}

mkdir -p "$logs"
install_packages "${packages_build[@]}" "${packages_test[@]}" || exit 1
for each in "${wanted[@]}"; do
    $each
done

echo
printf '%-22s %8s  %-7s %s\n' what seconds result "its last line"
for row in "${rows[@]}"; do
    IFS='|' read -r what seconds result last <<<"$row"
    printf '%-22s %8s  %-7s %s\n' "$what" "$seconds" "$result" "$last"
done
exit "$failed"
