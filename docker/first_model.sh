#!/bin/sh
# What a first start of the job needs: a history, the customers' past folded from it, and a champion. Made once.
set -eu

if [ -e "$HISTORY/ready" ]; then
    echo "History and champion are there already."
    exit 0
fi
# A morning in 2000: at 500 transactions a second, simulated time runs 288 times faster than the clock, and reaches today
# after a month. From then on the job refuses the traffic, because it is in the future.
python -m generator history --out "$HISTORY" --live-start 2000-01-01T08:00:00Z
python -m ml train "$HISTORY" --state-out "$HISTORY/state" --promote
touch "$HISTORY/ready"
