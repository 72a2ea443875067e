#!/usr/bin/env bash
# The forms of the tests that take hours. See --help.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<TEXT
Usage: scripts/test-long.sh [--only NAME,...] [--no-setup] [--no-record]

What scripts/test.sh leaves out because it takes long. Exit code 0 only if all of it passed. The outcome is kept in
docs/results/long.md, which says when each form last ran, how long it took and how it ended.

  abuse    ten minutes of bad clients at the HTTP port
  chaos    kill -9 at every failpoint and at 20 random moments, with jobs of every method
  contract the HTTP API against its document, with more of each request that it tells
  headers  all sources build without precompiled headers, so each includes what it uses
  asan     the unit and rpc tests under the address and undefined-behaviour sanitizers
  smollm2  its references computed anew by transformers, and by PEFT with the folder that graft exports
  tsan     the unit tests of core, stores and common under the thread sanitizer

  --only NAME,...  only these forms
  --no-setup       trust that all is installed and that build/ci is built
  --no-record      leave docs/results/long.md as it is
  --help           this text
TEXT
}

only="abuse,chaos,contract,headers,asan,smollm2,tsan" setup=1 record=1
while [ $# -gt 0 ]; do
  case $1 in
    --only)
      [ $# -ge 2 ] || die "--only needs names"
      only=$2
      shift
      ;;
    --only=*) only=${1#--only=} ;;
    --no-setup) setup=0 ;;
    --no-record) record=0 ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown option $1; see --help" ;;
  esac
  shift
done

cd "$GRAFT_SOURCE"
known=" abuse chaos contract headers asan smollm2 tsan "
IFS=, read -ra names <<<"$only"
for name in "${names[@]}"; do
  case $known in *" $name "*) ;; *) die "there is no form $name; there are$known" ;; esac
done
if [ "$setup" = 1 ]; then ./scripts/test.sh --build-only; fi
jobs=$(graft_build_jobs)
logs=build/long
mkdir -p "$logs"

abuse() { python3 tests/chaos/http_abuse_test.py --bin build/ci/bin --seconds 600; }
chaos() { python3 tests/chaos/chaos_test.py --bin build/ci/bin --long; }
contract() { python3 tests/integration/contract_test.py --source . --bin build/ci/bin --long; }
headers() {
  cmake --preset ci -B build/headers -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON &&
    cmake --build build/headers --parallel "$jobs" -- -k 0 &&
    echo "all sources build without precompiled headers"
}
asan() { ./scripts/test.sh --no-setup --preset asan; }
smollm2() {
  local cache exported=$PWD/$logs/smollm2-lora
  cache=$(graft_cache_dir) && rm -rf "$exported" && mkdir "$exported" &&
    ctest --test-dir build/ci -R '^smollm2_in_float32$' &&
    GRAFT_SMOLLM2_EXPORT=$exported build/ci/bin/smollm2_test --gtest_filter='*AnExportedLora*' &&
    HF_HUB_OFFLINE=1 "$cache/oracle-peft/bin/python" tests/golden/make_smollm2.py check build/ci/smollm2/smollm2 "$exported"
}
tsan() { ./scripts/test.sh --no-setup --preset tsan; }

# keep NAME STATUS SECONDS: the form's row in the page, others as they were.
keep() {
  local page=docs/results/long.md row said
  said=$(grep -E '% tests passed|all ended|answers are those|all was answered|hostile requests took' "$logs/$1.log" || grep -v '^[[:space:]]*$' "$logs/$1.log")
  said=$(tail -n 1 <<<"$said" | tr -d '|\000-\037' | cut -c 1-120)
  row="| $1 | $(date -u +%Y-%m-%d) | $([ "$2" = 0 ] && echo passed || echo FAILED) | $(duration "$3") | $said |"
  if [ ! -e "$page" ]; then
    printf '%s\n' "# The long forms of the tests" "" \
      "What \`scripts/test-long.sh\` last said, form by form; \`scripts/test.sh\` runs the rest each time." "" \
      "| form | ran on | outcome | took | what it said |" "|---|---|---|---|---|" >"$page"
  fi
  grep -v "^| $1 |" "$page" >"$page.new" || true
  printf '%s\n' "$row" >>"$page.new"
  mv "$page.new" "$page"
}

failed=0
for name in "${names[@]}"; do
  start=$SECONDS status=0
  echo "== $name (its output: $logs/$name.log)"
  "$name" >"$logs/$name.log" 2>&1 || status=$?
  tail -n 1 "$logs/$name.log"
  if [ "$status" != 0 ]; then failed=1; fi
  if [ "$record" = 1 ]; then keep "$name" "$status" $((SECONDS - start)); fi
done
exit "$failed"
