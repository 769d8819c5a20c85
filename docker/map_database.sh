#!/bin/bash
# Lets Grafana ask InfluxDB 2 in InfluxQL: maps the database and its retention policy to the bucket, and makes a token that can
# read that bucket alone, in the file READER. Runs at each start.
set -euo pipefail

bucket=$(influx bucket list --name "$BUCKET" --hide-headers | cut --fields=1)

mapped=$(influx v1 dbrp list --db "$DATABASE" --rp "$RETENTION_POLICY" --json | tr -d '[:space:]')
# A virtual mapping is one that InfluxDB guesses from the bucket's name.
if [[ $mapped != '[]' && $mapped != *'"virtual":true'* ]]; then
    echo "$DATABASE/$RETENTION_POLICY is mapped already."
else
    influx v1 dbrp create --db "$DATABASE" --rp "$RETENTION_POLICY" --bucket-id "$bucket" --default
fi

if [[ -s $READER ]] && influx auth list --hide-headers | grep --quiet --fixed-strings --file="$READER"; then
    echo "Grafana's token is there already."
    exit 0
fi
# Grafana is another user, and this folder is mounted in its container alone.
chmod 711 "$(dirname "$READER")"
made=$(influx auth create --read-bucket "$bucket" --description grafana --json)
token=$(sed --quiet 's/.*"token": *"\([^"]*\)".*/\1/p' <<< "$made")
[[ -n $token ]]
printf '%s' "$token" > "$READER"
chmod 444 "$READER"
