#!/bin/sh
# Judges snap diff by the test estate's own list of what it changed: seeds the
# estate, collects, lets it drift, collects again, compares. ORACLE is its
# program; SEED and SCALE say which estate (2, 0.5). The first argument is snap.
set -e
snap=$1
: "${ORACLE:?name the test estate\'s program}"
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
export ORACLE_RUN="$dir/run" MOTO_PORT="${MOTO_PORT:-5381}" FRONT_PORT="${FRONT_PORT:-5380}"
mkdir "$ORACLE_RUN"
trap '"$ORACLE" down >/dev/null 2>&1; rm -rf "$dir"' EXIT
"$ORACLE" up --cache
"$ORACLE" seed "${SEED:-2}" "${SCALE:-0.5}" --no-verify >"$dir/seed.log" 2>&1 || { tail "$dir/seed.log" >&2; exit 1; }
eval "$("$ORACLE" profiles "$dir/profiles")"
collect() { "$snap" collect --aws-sync-all-profiles --aws-regions us-east-1,eu-west-1,ap-southeast-2 -o "$1" 2>/dev/null | head -1; }
collect "$dir/before"
"$ORACLE" drift "${SEED:-2}" >"$dir/changes.json"
collect "$dir/after"
code=0
"$snap" diff "$dir/before" "$dir/after" --format json -o "$dir/report.json" || code=$?
test $code -eq 1 || { echo "snap diff ended with $code" >&2; exit 1; }
# A target group without a load balancer is in neither snapshot: Cartography
# reads target groups by load balancer.
cd "$here/../.." && "${GO:-go}" run ./diff/drift -except unused "$dir/changes.json" "$dir/report.json"
