#!/usr/bin/env bash
# run.sh - what tools/test.sh calls; see run.py.
exec python3 "$(dirname "$0")/run.py" "$@"
