#!/bin/bash
# Lets Grafana ask InfluxDB 2 in InfluxQL: maps the database and its retention policy to the bucket. Runs at each start.
set -euo pipefail

mapped=$(influx v1 dbrp list --db "$DATABASE" --rp "$RETENTION_POLICY" --json | tr -d '[:space:]')
# A virtual mapping is one that InfluxDB guesses from the bucket's name.
if [[ $mapped != '[]' && $mapped != *'"virtual":true'* ]]; then
    echo "$DATABASE/$RETENTION_POLICY is mapped already."
    exit 0
fi
bucket=$(influx bucket list --name "$BUCKET" --hide-headers | cut --fields=1)
influx v1 dbrp create --db "$DATABASE" --rp "$RETENTION_POLICY" --bucket-id "$bucket" --default
