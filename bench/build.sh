#!/usr/bin/env bash
# Measures how long builds take, and writes docs/results/build.md. See --help.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

usage() {
  cat <<TEXT
Usage: bench/build.sh [OUT]

Builds the last commit in a clone of its own, without ccache: the three programs as shipped, everything with its
tests, and graft-worker again after one file of the engine was touched. Takes half an hour on two cores, which
should have nothing else to do. Writes the first part of OUT (default: docs/results/build.md), up to its first "## "; what
stands from there on is kept.
TEXT
}
case ${1:-} in -h | --help) usage && exit 0 ;; -*) die "unknown option $1; see --help" ;; esac
out=${1:-$GRAFT_SOURCE/docs/results/build.md}

export CCACHE_DISABLE=1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git clone --quiet --shared "$GRAFT_SOURCE" "$scratch/graft"
cd "$scratch/graft"

# timed NAME PRESET TARGET...: builds; seconds, steps and warnings go to $scratch/NAME.
timed() {
  local name=$1 preset=$2 log=$scratch/$1.log start=$EPOCHREALTIME
  shift 2
  cmake --build "build/$preset" --parallel "$(graft_build_jobs)" --target "$@" >"$log" 2>&1 ||
    die "the build failed: $(grep -m 1 -iE 'error[: ]' "$log" || tail -n 1 "$log")"
  awk -v begin="$start" -v end="$EPOCHREALTIME" 'match($0, /^\[[0-9]+\/[0-9]+\]/) { ++steps } / warning: / { ++warnings }
    END { printf "%.0f %d %d\n", end - begin, steps, warnings }' "$log" >"$scratch/$name"
  echo "$name: $(awk '{ printf "%d s, %d steps, %d warnings", $1, $2, $3 }' "$scratch/$name")"
}

# row NAME TITLE LIMIT
row() {
  awk -v title="$2" -v limit="$3" '
    function said(s) { return s < 100 ? s " s" : int(s / 60) " min " s % 60 " s" }
    { printf "| %s | %s | %s | %d | %d |\n", title, said($1), said(limit), $2, $3 }' "$scratch/$1"
}

programs=(graft graft-server graft-worker)
for preset in release ci; do cmake --preset "$preset" >"$scratch/$preset.log" 2>&1 || die "configuring $preset failed"; done
timed programs release "${programs[@]}"
touch worker/engine/loop/loop.cc
timed relinked release "${programs[@]}"
timed everything ci all

{
  cat <<TEXT
# Builds, measured

$(date -u +%F), $(nproc) cores ($(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)), commit $(git rev-parse --short HEAD), $(c++ --version | head -n 1), no ccache.

    bench/build.sh

| build | took | at most | steps | warnings |
|---|---|---|---|---|
TEXT
  row programs "the first of the three programs, as shipped" 360
  row everything "all, with tests" 900
  row relinked "the programs again after one .cc of the engine" 30
  if [ -e "$out" ]; then echo && sed -n '/^## /,$p' "$out"; fi
} >"$scratch/build.md"
mv "$scratch/build.md" "$out"
echo "written: $out"
