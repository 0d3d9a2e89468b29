#!/bin/sh
# Real Jupyter clients against the kernel: the conformance suite, and nbconvert beside our own runner.
#   test/interop/interop.sh [NOTEBOOK ...]      default: notebooks/tutorials/00-kernel.ipynb
# Its Python packages live in a virtual environment of their own (UNILAB_JUPYTER_VENV, default .cache/jupyter).
# Exits 0 with a printed reason where they cannot be installed.
set -eu
cd "$(dirname "$0")/../.."
venv=${UNILAB_JUPYTER_VENV:-$PWD/.cache/jupyter}
out=$PWD/out/interop
if [ ! -x "$venv/bin/jupyter-nbconvert" ]; then
  if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet jupyter_kernel_test==0.7.0 nbconvert==7.17.2 nbclient==0.11.0 ipykernel; }; then
    echo "interop: skipped, the Jupyter packages could not be installed"
    rm -rf "$venv"
    exit 0
  fi
fi
mkdir -p "$out"
bin/unilab kernel install --prefix "$venv"
export JUPYTER_PATH="$venv/share/jupyter" UNILAB_HISTORY="$out/history.jsonl"
rm -f "$UNILAB_HISTORY"
status=0
(cd test/interop && PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m unittest -v conformance) || status=1
[ $# -gt 0 ] || set -- notebooks/tutorials/00-kernel.ipynb
for notebook in "$@"; do
  name=$(basename "$notebook" .ipynb)
  "$venv/bin/jupyter" nbconvert --execute --to notebook --ExecutePreprocessor.timeout=600 --output "$name.nbconvert" --output-dir "$out" "$notebook" || status=1
  bin/unilab run "$notebook" --out "$out/$name.unilab.ipynb" || status=1
  "$venv/bin/python" test/interop/compare.py "$out/$name.nbconvert.ipynb" "$out/$name.unilab.ipynb" || status=1
done
exit $status
