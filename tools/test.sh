#!/usr/bin/env bash
# test.sh - every gate by one command, on a fresh Debian 12 as on a developer's machine.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
source tools/packages.sh

usage() {
    cat <<'EOF'
test.sh - installs what is missing, builds, and runs every gate

example: tools/test.sh
example: tools/test.sh --quick
example: tools/test.sh --stage asan

usage: tools/test.sh [--quick] [--stage NAME]... [--list]

  --quick        only the stages dev and lint, and the unit tests without sanitizers
  --stage NAME   only this stage; may be repeated
  --list         print the stages and exit

Every stage runs, whatever failed before it. Logs stay in build/test/. VENTURI_JOBS is the number
of parallel jobs (cores), VENTURI_FUZZ_SECONDS the time of each fuzzer (30). The last line is
"N passed, N failed"; a skipped test is neither.
exit status: 0 all passed, 1 something failed, 2 usage
EOF
}

all_stages=(dev clang lint asan release tsan fuzz mutation)
declare -A stage_about=(
    [dev]="build with gcc, warnings are errors"
    [clang]="build with clang, warnings are errors"
    [lint]="floors, headers, rules, format, tidy"
    [asan]="unit, sim and some prop tests under ASan and UBSan"
    [release]="release build; e2e, crash, prop, power and golden tests"
    [tsan]="thread tests under TSan"
    [fuzz]="each fuzzer for a while, under ASan and UBSan"
    [mutation]="planted faults, each must turn a test red"
    [unit]="unit tests without sanitizers (--quick)"
)

stages=()
while [ $# -gt 0 ]; do
    case "$1" in
    --quick) stages+=(dev lint unit) ;;
    --stage)
        [ -n "${2:-}" ] && [ -n "${stage_about[$2]:-}" ] || {
            echo "--stage wants one of: ${all_stages[*]} unit" >&2
            exit 2
        }
        stages+=("$2")
        shift
        ;;
    --list)
        for stage in "${all_stages[@]}" unit; do
            printf '%-9s %s\n' "$stage" "${stage_about[$stage]}"
        done
        exit 0
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
[ ${#stages[@]} -gt 0 ] || stages=("${all_stages[@]}")

jobs=${VENTURI_JOBS:-$(nproc)}
fuzz_seconds=${VENTURI_FUZZ_SECONDS:-30}
slow_seconds=30 # all gates have 25 minutes together, so a test that takes longer is named
logs=build/test
passed=0
failed=0
skipped=0
failures=() # "name|log file"
rows=()     # "stage|seconds|passed|failed|skipped"

# Old sanitizers need the address space that newer kernels randomise away.
run=()
setarch "$(uname -m)" -R true 2>/dev/null && run=(setarch "$(uname -m)" -R)

pass() { passed=$((passed + 1)); }
fail() { # NAME LOG
    failed=$((failed + 1))
    failures+=("$1|$2")
}

# step NAME COMMAND...: one test by itself; its output goes to a log.
step() {
    local name=$1 log="$logs/${1//\//_}.log"
    shift
    if "$@" >"$log" 2>&1; then
        pass
    else
        fail "$name" "$log"
        return 1
    fi
}

configure_and_build() { # PRESET [CMAKE OPTION...]
    local preset=$1
    shift
    cmake --preset "$preset" "$@" && cmake --build --preset "$preset" -j "$jobs" -- --quiet
}

# ctest_run PRESET LABELS: every ctest test counts as one, read from ctest's own report.
ctest_run() {
    local preset=$1 labels=$2 report counts verdict name seconds log="$logs/ctest_$1.log"
    report=$PWD/$logs/ctest_$preset.xml
    rm -f "$report"
    "${run[@]}" ctest --preset "$preset" -L "^($labels)\$" -j "$jobs" --output-on-failure \
        --output-junit "$report" >"$log" 2>&1
    if grep -q '^No tests were found' "$log"; then
        echo "  no tests of $labels yet"
        return
    fi
    counts=$(python3 tools/junit.py "$report" "$logs" "$preset") || {
        fail "$preset: ctest" "$log"
        return
    }
    while IFS='|' read -r verdict name log seconds; do
        [ "$seconds" -lt "$slow_seconds" ] || echo "  slow: $preset: $name took $seconds s"
        case "$verdict" in
        passed) pass ;;
        failed) fail "$preset: $name" "$log" ;;
        skipped)
            skipped=$((skipped + 1))
            echo "  skipped: $preset: $name"
            ;;
        esac
    done <<<"$counts"
}

stage_dev() { step "dev build" configure_and_build dev; }
stage_clang() { step "clang build" configure_and_build clang; }

stage_lint() {
    step "dev configure" cmake --preset dev && ctest_run dev lint
}

stage_unit() {
    step "dev build for unit tests" configure_and_build dev && ctest_run dev "unit|sim"
}

stage_asan() {
    step "asan build" configure_and_build asan && ctest_run asan "unit|sim|prop"
}

stage_release() {
    step "release build" configure_and_build release -DVENTURI_WERROR=ON &&
        ctest_run release "e2e|crash|prop|power|golden"
}

stage_tsan() { step "tsan build" configure_and_build tsan && ctest_run tsan thread; }

# fuzz_one NAME: from a copy of the corpus, so that a run leaves no new file in the tree.
fuzz_one() {
    local name=$1 corpus=tests/fuzz/corpus/${1#fuzz_} work=$logs/$1
    rm -rf "$work"
    mkdir -p "$work/corpus" "$work/found"
    [ -d "$corpus" ] && cp -r "$corpus/." "$work/corpus/"
    ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
        "${run[@]}" "build/fuzz/tests/fuzz/$name" -max_total_time="$fuzz_seconds" -timeout=5 \
        -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$work/found/" "$work/corpus" \
        >"$logs/$name.log" 2>&1
    echo $? >"$work/status"
}

stage_fuzz() {
    step "fuzz build" configure_and_build fuzz || return
    local names=() name
    for name in tests/fuzz/fuzz_*.c; do
        [ -f "$name" ] && names+=("$(basename "$name" .c)")
    done
    for name in "${names[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
        fuzz_one "$name" &
    done
    wait
    for name in "${names[@]}"; do
        if [ "$(cat "$logs/$name/status")" = 0 ]; then
            pass
        else
            fail "$name" "$logs/$name.log"
        fi
    done
}

stage_mutation() {
    [ -f tests/mutation/run.sh ] || {
        echo "  there is no tests/mutation/run.sh yet"
        return
    }
    local log=$logs/mutation.log counts
    bash tests/mutation/run.sh 2>&1 | tee "$log" | grep -E '^  ' # its progress is indented
    counts=$(tail -n 1 "$log")
    if [[ "$counts" =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        [ "${BASH_REMATCH[2]}" -eq 0 ] && return
        fail "planted faults: ${BASH_REMATCH[2]} survived" "$log"
        failed=$((failed + BASH_REMATCH[2] - 1))
    else
        fail "planted faults" "$log"
    fi
}

run_stage() {
    local stage=$1 start=$SECONDS p=$passed f=$failed s=$skipped
    echo "== $stage: ${stage_about[$stage]}"
    "stage_$stage"
    p=$((passed - p)) f=$((failed - f)) s=$((skipped - s))
    rows+=("$stage|$((SECONDS - start))|$p|$f|$s")
    echo "   $((SECONDS - start)) s, $p passed, $f failed"
}

mkdir -p "$logs"
start=$SECONDS
install_packages "${packages_build[@]}" "${packages_test[@]}" || {
    echo "0 passed, 1 failed"
    exit 1
}
rows+=("install|$((SECONDS - start))|0|0|0")
for stage in "${stages[@]}"; do
    run_stage "$stage"
done

for failure in "${failures[@]}"; do
    echo
    echo "FAILED ${failure%%|*} (${failure#*|}); the end of its output:"
    tail -n 40 "${failure#*|}" | sed 's/^/    /'
done

echo
printf '%-10s %8s %8s %8s %8s\n' stage seconds passed failed skipped
for row in "${rows[@]}"; do
    IFS='|' read -r stage seconds row_passed row_failed row_skipped <<<"$row"
    printf '%-10s %8s %8s %8s %8s\n' "$stage" "$seconds" "$row_passed" "$row_failed" "$row_skipped"
done
printf '%-10s %8s %8s %8s %8s\n' total $((SECONDS - start)) "$passed" "$failed" "$skipped"
for failure in "${failures[@]}"; do
    echo "failed: ${failure%%|*}"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
