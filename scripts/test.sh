#!/usr/bin/env bash
# Sets up, builds and runs all tests. See --help.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<TEXT
Usage: scripts/test.sh [--preset NAME] [--no-setup] [--build-only] [CTEST OPTIONS]

Installs what is missing (scripts/setup.sh), builds everything with warnings as errors and runs every test.
Exit code 0 only if all of that succeeded and no test skipped itself but those in tests/skips.txt. What is not listed here goes to ctest:

  scripts/test.sh -L unit          only tests that carry the label unit (others: rpc, integration, chaos, slow)
  scripts/test.sh -R Wordpiece     only tests whose name matches

  --preset NAME  a configure and test preset of CMakePresets.json (default: ci; also dev, asan, tsan)
  --no-setup     trust that all is installed
  --build-only   stop after the build
  --help         this text
TEXT
}

preset=ci setup=1 build_only=0
ctest_options=()
while [ $# -gt 0 ]; do
  case $1 in
    --preset)
      [ $# -ge 2 ] || die "--preset needs a name"
      preset=$2
      shift
      ;;
    --preset=*) preset=${1#--preset=} ;;
    --no-setup) setup=0 ;;
    --build-only) build_only=1 ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) ctest_options+=("$1") ;;
  esac
  shift
done

cd "$GRAFT_SOURCE"
if [ "$setup" = 1 ]; then ./scripts/setup.sh; fi
for tool in cmake ctest ninja; do
  command -v "$tool" >/dev/null || die "$tool is missing; run without --no-setup"
done
jobs=$(graft_build_jobs)

echo "configuring (preset $preset)"
mkdir -p build
configure_log=build/configure-$preset.log
if ! cmake --preset "$preset" >"$configure_log" 2>&1; then
  cat "$configure_log" >&2
  die "cmake could not configure build/$preset; the reason is above"
fi
echo "building with $jobs jobs"
cmake --build "build/$preset" --parallel "$jobs" || die "the build failed; the first error is above"
if [ "$build_only" = 1 ]; then exit 0; fi

# Tests share the cores with each other: those that start workers would only slow each other down beyond that.
echo "testing"
results=$PWD/build/$preset/results.xml
status=0
ctest --preset "$preset" --no-tests=error --parallel "$(nproc)" --output-junit "$results" \
  ${ctest_options[@]+"${ctest_options[@]}"} || status=$?
python3 tests/skips.py "$results" tests/skips.txt || status=1
exit "$status"
