#!/usr/bin/env bash
# flips.sh - every bit of a small store, flipped: the whole of tests/sim/sim_flips.c, of which the
# stage with sanitizers runs a share.
exec "$VENTURI_BUILD/tests/sim/sim_flips" --share 1
