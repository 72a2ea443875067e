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
should have nothing else to do. Writes the table into OUT (default: docs/results/build.md).
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

# row NAME TITLE BEFORE LIMIT
row() {
  awk -v title="$2" -v before="$3" -v limit="$4" '
    function said(s) { return s < 100 ? s " s" : int(s / 60) " min " s % 60 " s" }
    { printf "| %s | %s | %s | %s | %d | %d |\n", title, before, said($1), said(limit), $2, $3 }' "$scratch/$1"
}

programs=(graft graft-server graft-worker)
for preset in release ci; do cmake --preset "$preset" >"$scratch/$preset.log" 2>&1 || die "configuring $preset failed"; done
timed programs release "${programs[@]}"
touch worker/engine/loop.cc
timed relinked release "${programs[@]}"
timed everything ci all

{
  cat <<TEXT
# Builds, measured

$(date -u +%F), $(nproc) cores ($(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)), commit $(git rev-parse --short HEAD), $(c++ --version | head -n 1), no ccache.

    bench/build.sh

| build | before | now | at most | steps | warnings |
|---|---|---|---|---|---|
TEXT
  row programs "the first of the three programs, as shipped" "14 min 16 s (225 steps); 12 min 26 s (257 steps) with precompiled headers alone; 10 min 22 s before JSON and fmt were instantiated once" 360
  row everything "all, with tests" "21 min 10 s (535 steps) before tests had their own way" 900
  row relinked "the programs again after one .cc of the engine" "not measured" 30
  cat <<'TEXT'

What shortened them: precompiled headers by kind of file (cmake/GraftPrecompiled.cmake). GCC's hold no instantiated
template: what a header's plain functions use is instantiated anew at the end of each file, needed or not, so such
functions are kept out of them (nlohmann::json's literal, libtorch's autograd). Two fifths of the code that the compiler wrote
was thrown away by the linker, as other files had the same: so fmt's formatter and nlohmann::json are instantiated in one file,
CLI11 is compiled in one file too, and a Status is one word whose copies are no inline code. Generated protobuf code is
compiled at -O1. GCC collects its garbage later (ggc-min-heapsize). Tests are compiled at -O1 too, what they test as it is shipped,
and what twenty tests of the services share (a whole server, a worker) is compiled once.

Where the programs' time goes, by single files: server/rpc a fifth (coroutines and gRPC's handlers; in four files that were
looked at, two thirds of it is optimising), the engine another, generated code a tenth. An empty file takes 0.4 s of one core with
the plain header, 1.2 with that of the services, 2.6 with libtorch's, where 1.2 of it come with the first of its operators' headers
(by way of ATen/core/IListRef.h).

Tried and left: clang 19 compiles the same files in 1 / 1.37 of GCC 12's time (11 files of all kinds, 128 s against
176 s of one core), but it starts a second OpenMP runtime beside libtorch's. Waiting in the server's coroutines behind one
std::function instead of a template a type: no gain. -O1 for the services: a tenth to a fifth of a file's time, which isn't worth a
second level of optimisation; some 40 s of the whole. A lighter ATen/DeviceGuard.h in front of libtorch's: half a second in three of
five files of the engine, nothing in the others, which need the list anyhow.
TEXT
} >"$scratch/build.md"
mv "$scratch/build.md" "$out"
echo "written: $out"
