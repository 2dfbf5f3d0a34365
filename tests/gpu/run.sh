#!/usr/bin/env bash
# Everything that only a GPU can show, on a bare machine: no Ray, no MLflow, no network.
#
#   tests/gpu/run.sh [OUT]      OUT: where each part leaves its JSON (default build/gpu/out); a finished part is not run again
#
#   PARTS="checks bench"         only these parts
#   CHECKS="captured or half"    of the first part only these tests, as pytest's -k
#   FAMILIES="coop:10 vpt:10"    of the benchmark only these families and numbers of classes
#   GRID="transfer"              of the grid only the pairs of source and target
#   DEVICE=cpu TINY=1            a rehearsal at small sizes; SLOWER=6 gives every part six times its limit
#   LIMIT=60                     seconds of every part, in place of its own
#   PYTHON=...                   default python3
#
# What that machine's Python lacks are the wheels in .gpu/wheels (`make gpu-wheels`). The most valuable part comes first;
# each has its own time limit, and writes what it has found after every row, so that a run cut off still tells it.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${1:-build/gpu/out}
device=${DEVICE:-cuda}
python=${PYTHON:-python3}
tiny=${TINY:+--tiny}
for wheel in .gpu/wheels/*.whl; do
  [ -e "$wheel" ] && [ -z "${TINY:-}" ] && "$python" -m zipfile -e "$wheel" build/gpu/site
done
export PYTHONPATH="platform:.:tests/gpu/absent:build/gpu/site" PYTHONUNBUFFERED=1 PROMPTGRID_GPU_DEVICE=$device
export PROMPTGRID_CACHE=${PROMPTGRID_CACHE:-build/gpu/cache}
mkdir -p "$out"
# Another package may have brought a `tests` of its own; ours comes first where it is a package too.
"$python" -c 'import tests.gpu.part' 2>/dev/null || touch tests/__init__.py tests/gpu/__init__.py tests/contracts/__init__.py
declare -A limit=([checks]=140 [suite]=70 [bench]=130 [grid]=80 [pretrain]=40)
failed=0
for part in ${PARTS:-checks suite bench grid pretrain}; do
  if [ -f "$out/$part.json" ] && grep -q '"complete": true' "$out/$part.json"; then
    echo "== $part: done before"
    continue
  fi
  echo "== $part, at most ${limit[$part]} s"
  began=$SECONDS
  timeout --kill-after=5 $((${LIMIT:-${limit[$part]}} * ${SLOWER:-1})) "$python" -m "tests.gpu.$part" \
    --device "$device" --out "$out/$part.json" $tiny >"$out/$part.log" 2>&1
  code=$?
  echo "== $part: exit $code after $((SECONDS - began)) s"
  if [ $code -ne 0 ]; then
    failed=1
    tail -n 25 "$out/$part.log"
  fi
done
"$python" -m tests.gpu.table "$out" --out "$out" || failed=1
exit $failed
