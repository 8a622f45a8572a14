#!/usr/bin/env bash
# Check and measure vceval on a GPU, in under nine minutes. See README.md beside this file.
#   benchmarks/gpu/run.sh [--device cuda|cpu] [--tiny] [--out DIR] [--budget SECONDS] [--wheels DIR] [--python PY]
set -euo pipefail
began="$(date +%s)"
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
python=python3 wheels='' rest=()
while [ $# -gt 0 ]; do
    case "$1" in
        --wheels) wheels="$(cd "$2" && pwd)"; shift 2 ;;
        --python) python="$2"; shift 2 ;;
        *) rest+=("$1"); shift ;;
    esac
done
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
# Not this folder's sources but the installed package is what is measured
export PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 PIP_DISABLE_PIP_VERSION_CHECK=1
if [ -n "$wheels" ]; then
    install=("$python" -m pip install -q --no-index --no-deps --no-cache-dir --no-compile --root-user-action=ignore --target "$work/site")
    "${install[@]}" "$wheels"/*.whl
    # What is not compiled beforehand is kept once it is, as an ordinary installation has it
    export PYTHONPATH="$work/site" PYTHONPYCACHEPREFIX="$work/compiled"
    mkdir "$work/source"
    (cd "$root" && cp -r LICENSE README.md pyproject.toml setup.cfg setup.py vceval metrics benchmarks reports "$work/source")
    "${install[@]}" --no-build-isolation --upgrade "$work/source"
fi
"$python" "$here/steps.py" --root "$root" --work "$work" --began "$began" "${rest[@]}"
