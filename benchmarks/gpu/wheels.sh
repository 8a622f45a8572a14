#!/usr/bin/env bash
# Collect the packages that a bare machine with torch lacks, as wheels, so that it needs no network:
#   benchmarks/gpu/wheels.sh DIR
# PYTHON (default python3.12) is of the machine's version; it builds what is published as source only.
set -euo pipefail
folder="${1:?usage: wheels.sh DIR}"
here="$(cd "$(dirname "$0")" && pwd)"
python="${PYTHON:-python3.12}"
mkdir -p "$folder"
rm -f "$folder"/*.whl
names="$(mktemp)"
trap 'rm -f "$names"' EXIT
sed '/^#/d;/^$/d' "$here/wheels.txt" > "$names"
"$python" -m pip wheel -q --no-deps --prefer-binary -c "$here/../../constraints.txt" -w "$folder" -r "$names"
du -sh "$folder"
