#!/usr/bin/env bash
# quickstart.sh and what makes its data against stand-ins: what they say and when they fail.
# The real thing is run by scripts/quickstart.sh itself.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
scripts=$here/../../scripts
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
mkdir "$temp/bin" "$temp/path"
for program in graft graft-server graft-worker; do ln -s "$here/fake_graft.sh" "$temp/bin/$program"; done
ln -s "$here/fake_apt_cache.sh" "$temp/path/apt-cache"
export PATH=$temp/path:$PATH TMPDIR=$temp GRAFT_CACHE=$temp/cache

fail() {
  echo "FAILED: $*" >&2
  cat "$temp/out" >&2
  exit 1
}

# quickstart EXPECTED_CODE PATTERN [VARIABLE=VALUE...] [-- OPTIONS...]
quickstart() {
  local expected=$1 pattern=$2 code=0 settings=()
  shift 2
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    settings+=("$1")
    shift
  done
  if [ $# -gt 0 ]; then shift; fi
  rm -rf "$temp/state"
  mkdir "$temp/state"
  env FAKE_STATE="$temp/state" ${settings[@]+"${settings[@]}"} \
    "$scripts/quickstart.sh" --no-setup --bin "$temp/bin" "$@" >"$temp/out" 2>&1 </dev/null || code=$?
  [ "$code" = "$expected" ] || fail "exit code $code, not $expected, with: ${settings[*]-} $*"
  grep -Eq -- "$pattern" "$temp/out" || fail "no line matches '$pattern', with: ${settings[*]-} $*"
}

# The data set: quoted where needed, sections without their area, no text twice or in two sections.
apt-cache >/dev/null
"$scripts/make_package_dataset.sh" "$temp/a.csv" >"$temp/out" || fail "no data set"
[ "$(wc -l <"$temp/a.csv")" = 721 ] || fail "not 720 rows"
[ "$(head -n 1 "$temp/a.csv")" = text,section ] || fail "no header"
[ "$(grep -c '^"a ""universe/fonts"" thing, number [0-9]*",fonts$' "$temp/a.csv")" = 120 ] || fail "fonts are wrong"
[ "$(grep -c '^"a ""games"" thing, number 1",games$' "$temp/a.csv")" = 1 ] || fail "a text stands there twice"
if grep -q 'two sections\|kernel' "$temp/a.csv"; then fail "a row that should be left out"; fi
"$scripts/make_package_dataset.sh" "$temp/b.csv" >/dev/null
cmp -s "$temp/a.csv" "$temp/b.csv" || fail "the same lists gave another file"
FAKE_PACKAGES=700 "$scripts/make_package_dataset.sh" "$temp/b.csv" >"$temp/out"
grep -qx 'net 500' "$temp/out" || fail "more than 500 of a section"
if FAKE_PACKAGES=5 "$scripts/make_package_dataset.sh" "$temp/c.csv" >"$temp/out" 2>&1; then fail "30 rows are enough"; fi
grep -q 'apt-get update' "$temp/out" || fail "no word on what to do"
if ls "$temp"/c.csv* >/dev/null 2>&1; then fail "a half-written file is left"; fi

quickstart 0 '^lora +0\.870 +0\.167 +76038 \(0\.33 %\) +300 KiB +9\.5$'
grep -q '^0 requests failed; the first after the promotion was answered by packages@2$' "$temp/out" || fail "no count"
grep -q '^[0-9]* answers by packages@1$' "$temp/out" || fail "nothing was answered before the promotion"
grep -q '^[0-9]* answers by packages@2$' "$temp/out" || fail "nothing was answered after the promotion"
grep -q '^loss on held-out answers: 4 before, 2 after$' "$temp/out" || fail "no loss before and after"
grep -q '^  adapter synopsis *an answer of synopsis *$' "$temp/out" || fail "the adapter's answer is missing"
grep -q '^stream 1: 2 pieces, all by adapters/synopsis/versions/1$' "$temp/out" || fail "nothing is said of the streams"
[ -e "$temp/state/stopped" ] || fail "the server was left running"

quickstart 1 'loss on held-out answers went from 4 to 3.5 only' FAKE_LOSS=3.5
quickstart 1 'a stream changed its version in the middle' FAKE_CHANGED_VERSION=3
quickstart 1 'accuracy is less than 0.40 above the majority share 0.167' FAKE_ACCURACY=0.56
quickstart 1 'the job for houlsby did not succeed' FAKE_FAILED_JOB=bottleneck
quickstart 1 '[1-9][0-9]* requests failed during the promotion' FAKE_FAILED_REQUEST="turn-based strategy game with hexagonal maps"
quickstart 1 'after the promotion packages@1 answered, not packages@2' FAKE_LOST_PROMOTION=1
[ -e "$temp/state/stopped" ] || fail "the server was left running after a fault"
quickstart 1 'graft-server did not start' FAKE_NO_START=1
grep -q 'the data folder is in use' "$temp/out" || fail "the server's own words are missing"
quickstart 1 'there is no data to train on' FAKE_PACKAGES=2
if FAKE_PACKAGES=50 "$scripts/make_synopsis_dataset.sh" "$temp/c.jsonl" >"$temp/out" 2>&1; then fail "300 rows are enough"; fi
grep -q 'apt-get update' "$temp/out" || fail "no word on what to do"
quickstart 1 'unknown option --fast' -- --fast
quickstart 1 'eighty is not a port' -- --port eighty
quickstart 0 '--keep' -- --help

# What an earlier server left behind is not taken for this one's.
mkdir "$temp/kept"
echo '{"grpc": 1, "metrics": 2, "pid": 1}' >"$temp/kept/ports.json"
quickstart 0 'the server still runs' -- --keep --data "$temp/kept"
grep -q '^gRPC on 127.0.0.1:1234' "$temp/out" || fail "an earlier server's ports were taken"
server=$(cat "$temp/state/server")
kill -0 "$server" || fail "--keep did not keep the server"
grep -q "stop it with: kill $server" "$temp/out" || fail "the wrong process is named"
kill -TERM "$server"
echo "all as expected"
