#!/bin/sh
# Install torch into an environment: sh install_torch.sh PYTHON VERSION BUILD [pip options …]
#
# BUILD is cpu, cuda or auto: cpu on a Linux machine that shows no NVIDIA GPU, else whatever pip's index gives.
# The CPU build carries the local version +cpu. pip finds it where its index or --find-links has it; else uv fetches
# it, which knows where each build lies. Nothing falls back to the plain name, whose wheels bring gigabytes of CUDA.
set -eu
python=$1 version=$2 build=$3
shift 3
uv="uv==0.13.9"

install() { "$python" -m pip install -qq --disable-pip-version-check "$@"; }

has_gpu() { nvidia-smi >/dev/null 2>&1; }

if [ "$build" = auto ]; then
  build=cuda
  if [ "$(uname -s)" = Linux ] && ! has_gpu; then build=cpu; fi
fi

case $build in
cuda)
  install "$@" "torch==$version"
  ;;
cpu)
  install "$@" "torch==$version+cpu" 2>/dev/null && exit 0
  install "$uv" 2>/dev/null && "$python" -m uv --quiet pip install --python "$python" --torch-backend cpu "torch==$version" && exit 0
  echo "the CPU build of torch $version was not found" >&2
  echo "    Say where its wheels are, TORCH_OPTIONS=\"--find-links FOLDER\", or take what pip's index gives: TORCH_BUILD=cuda." >&2
  exit 1
  ;;
*)
  echo "TORCH_BUILD is cpu, cuda or auto, not '$build'" >&2
  exit 2
  ;;
esac
