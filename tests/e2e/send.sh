#!/usr/bin/env bash
# Goal:   what venturi send says is what the oracle says, although the daemon is killed in
#         mid-stream; refused lines are named; exit statuses are those of the manual.
# Method: real calls with retries and disorder go to a daemon that is killed with SIGKILL three
#         times; the summaries of the client and of the daemon are compared with the oracle's.
#         Then small inputs, a table of them.
set -eu -o pipefail

dir=$(mktemp -d /tmp/venturi_send_XXXXXX)
daemon=0
port=0
http=0
failed=0
stop() {
    [ "$daemon" = 0 ] || kill -9 "$daemon" 2>/dev/null || true
    cat "$dir"/log.* 2>/dev/null || true
    rm -rf "$dir"
}
trap stop EXIT

azure=$VENTURI_SRC/tests/data/azure-llm-2023
oracle=$VENTURI_SRC/tests/oracle/oracle.py
data=$dir/data
starts=0

start() { # until the daemon is ready
    starts=$((starts + 1))
    local log=$dir/log.$starts ready=
    : >"$log" # there before the background process makes it
    "$VENTURI_BUILD/venturid" --data "$data" --catalog "$azure/catalog.json" \
        --listen "127.0.0.1:$port" --http 127.0.0.1:0 --lane-bytes 16M 2>"$log" &
    daemon=$!
    for _ in $(seq 600); do
        ready=$(sed -nE 's/.*frames on [^ ]*:([0-9]+), http on [^ ]*:([0-9]+).*/\1 \2/p' "$log")
        [ -z "$ready" ] || break
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.05
    done
    if [ -z "$ready" ]; then
        echo "the daemon does not start"
        exit 1
    fi
    port=${ready% *}
    http=${ready#* }
}
send() {
    "$VENTURI_BUILD/venturi" send --to "127.0.0.1:$port" --token-file "$data/admin.token" "$@"
}
same() { # WHAT GOT WANT
    [ "$2" = "$3" ] || {
        echo "$1: want $3, got $2"
        failed=1
    }
}
# Sorted keys on one line.
canonical() { python3 -c 'import json, sys
print(json.dumps(json.load(sys.stdin), sort_keys=True))'; }

# ---- a real stream, and three crashes

python3 "$azure/make_events.py" --retries 3 --shuffle 30 >"$dir/events.jsonl"
python3 "$oracle" "$azure/catalog.json" "$dir/events.jsonl" --summary |
    python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["summary"]))' |
    canonical >"$dir/want"
start
send --rate 15000 --batch 100 "$dir/events.jsonl" >"$dir/said" &
client=$!
for pause in 0.3 0.5 0.4; do
    sleep "$pause"
    kill -9 "$daemon"
    wait "$daemon" 2>/dev/null || true
    start
done
status=0
wait "$client" || status=$?
same "status after crashes" "$status" 0
curl -sS -H "Authorization: Bearer $(cat "$data/admin.token")" \
    "http://127.0.0.1:$http/v1/summary" | canonical >"$dir/got"
same "summary of the daemon" "$(cat "$dir/got")" "$(cat "$dir/want")"
# Frames whose ack was lost are counted as resumed, so the client knows the total at least.
same "events that the client accounts for" \
    "$(python3 -c 'import json, sys; s = json.load(sys.stdin)
print(s["received"] + s.get("resumed", 0))' <"$dir/said")" "$(wc -l <"$dir/events.jsonl")"

# ---- the same producer and epoch again: what the daemon has is not sent again

# ACCEPTED CONFLICTS DUPLICATES [REASONS [MORE]]: a summary with one exception for each reason
summary() {
    python3 -c 'import json, sys
accepted, conflicts, duplicates = map(int, sys.argv[1:4])
reasons = sys.argv[4].split() if len(sys.argv) > 4 else []
said = {"accepted": accepted, "conflicts": conflicts, "duplicates": duplicates,
        "exceptions": len(reasons), "exceptions_by_reason": {reason: 1 for reason in reasons},
        "received": accepted + duplicates + len(reasons)}
said.update(json.loads(sys.argv[5]) if len(sys.argv) > 5 else {})
print(json.dumps(said, sort_keys=True))' "$@"
}
for _ in 1 2; do
    head -n 500 "$dir/events.jsonl" >"$dir/part.jsonl"
    send --producer spool --epoch 3 "$dir/part.jsonl" >"$dir/said"
done
same "a spool sent again" "$(canonical <"$dir/said")" "$(summary 0 0 0 '' '{"resumed": 500}')"

# ---- small inputs: NAME TEXT STATUS SUMMARY

line='{"tenant":"contoso","type":"llm.call","id":"send-1","time":"2023-11-16T18:00:00Z",'
line=$line'"props":{"input_tokens":1,"output_tokens":2}}'
try() {
    local status=0
    printf '%b' "$2" | send - >"$dir/said" 2>"$dir/err" || status=$?
    same "$1: status" "$status" "$3"
    same "$1: summary" "$(canonical <"$dir/said")" "$4"
}
try "nothing" '' 0 "$(summary 0 0 0)"
try "one event" "$line\\n" 0 "$(summary 1 0 0)"
try "again, without its LF" "$line" 0 "$(summary 0 0 1)"
try "another content" "${line/:2\}/:3\}}\\n" 0 "$(summary 0 1 1)"
try "no id in a session that nobody named" \
    '{"tenant":"contoso","type":"llm.call"}\n{"tenant":"nobody"}\n' 0 \
    "$(summary 0 0 0 'missing_id unknown_tenant')"
try "lines that are no events" "[1]\\n$line\\n{\"a\":NaN}\\n" 3 \
    "$(summary 0 0 1 '' '{"refused_lines": 2}')"
same "which lines" "$(grep -oE 'line [0-9]+' "$dir/err" | sort -u | tr '\n' ' ')" "line 1 line 3 "

# ---- statuses

status=0
send >/dev/null 2>&1 || status=$?
same "no file" "$status" 2
status=0
send --batch 0 "$dir/part.jsonl" >/dev/null 2>&1 || status=$?
same "a batch of none" "$status" 2
status=0
VENTURI_TOKEN=vt_0 "$VENTURI_BUILD/venturi" send --to "127.0.0.1:$port" "$dir/part.jsonl" \
    >/dev/null 2>"$dir/err" || status=$?
same "another token" "$status" 1
grep -q VT_BAD_TOKEN "$dir/err" || same "another token: message" "$(cat "$dir/err")" VT_BAD_TOKEN
kill -TERM "$daemon"
status=0
wait "$daemon" || status=$?
daemon=0
same "a clean stop" "$status" 0
status=0
send --timeout 1 "$dir/part.jsonl" >/dev/null 2>&1 || status=$?
same "nobody there" "$status" 1
exit "$failed"
