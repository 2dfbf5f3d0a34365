#!/usr/bin/env bash
# Pretrains both bundled backbones on a GPU machine without a network, and leaves what comes back in few small files.
#   PROMPTGRID_REVISION=... tests/gpu/pretrain.sh OUT CONV_MINUTES VIT_MINUTES [CORPUS] [WHEELS] [DEVICE]
# OUT gets towers-bundled-conv.tar, towers-bundled-vit.tar, bundled-vit.start.pt and log.txt, each under 16 MiB and
# renewed every minute: a run that is cut off has left the last of them. Unpack the two archives into one folder and
# compare them with `python -m promptgrid.tracks.image.pretrain.release.judge FOLDER`.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$1 conv_minutes=$2 vit_minutes=$3
corpus=${4:-.gpu/corpus.zip} wheels=${5:-.gpu/wheels} device=${6:-cuda}
python=${PYTHON:-python3}
work=$(mktemp -d)
mkdir -p "$out" "$work/site"
for wheel in "$wheels"/*.whl; do
  if [ -e "$wheel" ]; then "$python" -m zipfile -e "$wheel" "$work/site"; fi
done
export PYTHONPATH="$PWD/platform:$work/site" PYTHONUNBUFFERED=1

bring() { # the newest finished state into OUT; never half a file
  for name in conv vit; do
    if [ "$work/towers/bundled-$name/card.yaml" -nt "$out/towers-bundled-$name.tar" ]; then
      if tar -C "$work/towers" -cf "$work/partial.tar" --exclude='*.partial' tokens.safetensors "bundled-$name"; then
        cp "$work/partial.tar" "$out/.partial" && mv "$out/.partial" "$out/towers-bundled-$name.tar"
      fi
    fi
  done
  if [ "$work/towers/bundled-vit.start.pt" -nt "$out/bundled-vit.start.pt" ]; then
    cp "$work/towers/bundled-vit.start.pt" "$out/.partial" && mv "$out/.partial" "$out/bundled-vit.start.pt"
  fi
}

"$python" -c "from promptgrid.cli.main import app; app()" pretrain --corpus "$corpus" --out "$work/towers" \
  --guide-minutes "$conv_minutes" --minutes "$vit_minutes" --device "$device" --threads "${THREADS:-8}" > >(tee "$out/log.txt") 2>&1 &
run=$!
while kill -0 "$run" 2>/dev/null; do
  sleep 5
  bring
done
bring
wait "$run"
ls -l "$out"
