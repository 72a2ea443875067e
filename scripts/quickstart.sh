#!/usr/bin/env bash
# The main job, from an empty machine to two adapters that serve on one base. See --help.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

margin=0.40 # How far held-out accuracy must be above the share of the largest section.

usage() {
  cat <<TEXT
Usage: scripts/quickstart.sh [--keep] [--data DIR] [--port N] [--metrics-port N] [--no-setup] [--bin DIR]

Installs what is missing, builds graft, starts a server and runs the main jobs on real data, what apt knows of packages.

A classifier: descriptions are sorted into six sections. Two adapters of the base model minilm are trained, LoRA and
Houlsby's bottleneck; both answer on the one base, and one is promoted over the other while requests run.

A chat model: smollm2 learns to describe a package in one line. Held-out answers are scored before and after; base and
adapter answer side by side; two adapters write at once on the one base, and one is replaced while it writes.

Exit code 0 only if no request failed, both classifiers are right on held-out texts at least $margin more often than
always naming the largest section would be, and the chat model's loss on held-out answers fell by a quarter.

  --keep            leave the server running, with its data in --data
  --data DIR        where the server keeps everything (default: a temporary folder; with --keep ./graft-data)
  --port N          gRPC port (default: any free one; with --keep 7070)
  --metrics-port N  port for Prometheus (default: any free one; with --keep 9464)
  --no-setup        trust that all is installed
  --bin DIR         take graft, graft-server and graft-worker from DIR and build nothing
  --help            this text
TEXT
}

keep=0 data="" port="" metrics_port="" setup=1 bin=""
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=1 ;;
    --no-setup) setup=0 ;;
    --data | --port | --metrics-port | --bin)
      [ $# -ge 2 ] || die "$1 needs a value"
      case $1 in
        --data) data=$2 ;;
        --port) port=$2 ;;
        --metrics-port) metrics_port=$2 ;;
        --bin) bin=$2 ;;
      esac
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown option $1; see --help" ;;
  esac
  shift
done
for number in "$port" "$metrics_port"; do
  case $number in *[!0-9]*) die "$number is not a port" ;; esac
done

# --- Set up and build ----------------------------------------------------------------------------------------------

cache=$(graft_cache_dir) || die "neither GRAFT_CACHE nor HOME is set"
export GRAFT_CACHE=$cache  # Whole, for what runs in another folder.
if [ "$setup" = 1 ]; then "$GRAFT_SOURCE/scripts/setup.sh" --no-tests; fi
for tool in jq apt-cache; do command -v "$tool" >/dev/null || die "$tool is missing; run without --no-setup"; done
if [ -z "$bin" ]; then
  echo "building graft (a first build takes some minutes)"
  build_log=$GRAFT_SOURCE/build/quickstart.log
  mkdir -p "$GRAFT_SOURCE/build"
  graft_build release "$build_log" graft graft-server graft-worker ||
    die "the build failed: $(grep -m 1 -iE 'error[: ]' "$build_log" || tail -n 1 "$build_log"). Details: $build_log"
  bin=$GRAFT_SOURCE/build/release/bin
fi
bin=$(cd "$bin" && pwd) || die "there is no folder $bin"
for program in graft graft-server graft-worker; do [ -x "$bin/$program" ] || die "$bin has no program $program"; done
started=$SECONDS

# --- A server ------------------------------------------------------------------------------------------------------

scratch=$(mktemp -d)
if [ "$keep" = 1 ]; then
  data=${data:-$PWD/graft-data} port=${port:-7070} metrics_port=${metrics_port:-9464}
else
  data=${data:-$scratch/data} port=${port:-0} metrics_port=${metrics_port:-0}
fi
mkdir -p "$data" || die "cannot create $data"
data=$(cd "$data" && pwd)
server_log=$scratch/server.log
if [ "$keep" = 1 ]; then server_log=$data/server.log; fi
server_pid="" finished=0 clients=()

end() {
  : >"$scratch/stop"
  if [ -n "$server_pid" ] && { [ "$keep" = 0 ] || [ "$finished" = 0 ]; }; then
    kill -TERM "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
  fi
  wait ${clients[@]+"${clients[@]}"} 2>/dev/null || true
  if [ "$finished" = 0 ] && [ -s "$server_log" ]; then
    echo "the last lines of the server's log:" >&2
    tail -n 5 "$server_log" >&2
  fi
  rm -rf "$scratch"
}
trap end EXIT
trap 'exit 130' INT TERM

echo
echo "== starting graft-server"
setsid "$bin/graft-server" --data "$data" --bases "$cache/bases" --listen "127.0.0.1:$port" --http 127.0.0.1:0 \
  --metrics "127.0.0.1:$metrics_port" >"$server_log" 2>&1 </dev/null &
server_pid=$!
waited=0
# Ports of an earlier server may still stand there.
until jq -e ".pid == $server_pid" "$data/ports.json" >/dev/null 2>&1; do
  kill -0 "$server_pid" 2>/dev/null || die "graft-server did not start"
  waited=$((waited + 1))
  [ "$waited" -le 300 ] || die "graft-server was not ready within 30 seconds"
  sleep 0.1
done
ports=$(cat "$data/ports.json")
export GRAFT_SERVER
GRAFT_SERVER=127.0.0.1:$(jq -r '.grpc | tostring | sub(".*:"; "")' <<<"$ports")
metrics_port=$(jq -r '.metrics | tostring | sub(".*:"; "")' <<<"$ports")
echo "gRPC on $GRAFT_SERVER, metrics on 127.0.0.1:$metrics_port, data in $data"

graft() { "$bin/graft" "$@"; }

# --- Real data, and two jobs ---------------------------------------------------------------------------------------

echo
echo "== real data: descriptions of packages, to be sorted into their sections"
csv=$scratch/packages.csv
"$GRAFT_SOURCE/scripts/make_package_dataset.sh" "$csv" | awk '{ printf "%s%s %d", sep, $1, $2; sep = ", " } END { print "" }' ||
  die "there is no data to train on; the reason is above"
majority=$(awk -F , 'NR > 1 { ++n[$NF]; ++all } END { for (s in n) if (n[s] > most) most = n[s]; printf "%.3f", most / all }' "$csv")
echo "$(($(wc -l <"$csv") - 1)) texts; a fifth is held out; the largest section holds $majority of all"

# train NAME OPTIONS...: submits, watches, and leaves the job as JSON in $scratch/NAME.json.
train() {
  local name=$1 job
  shift
  echo
  echo "== training: $name"
  job=$(graft submit --json "$@" | jq -r '.name') || die "the job for $name was refused"
  graft watch "${job#jobs/}" || die "the job for $name did not succeed"
  graft job "${job#jobs/}" --json >"$scratch/$name.json" || die "the job for $name could not be read"
}

sections=(--base minilm --adapter packages --train "$csv" --text-column text --label-column section --test-fraction 0.2)
train lora "${sections[@]}" --method lora --set rank=8 --lr 2e-3 --epochs 1 --promote
train houlsby "${sections[@]}" --method bottleneck --set size=32 --lr 2e-3 --epochs 1

# figure NAME JQ: one value of a job.
figure() { jq -er "$2" "$scratch/$1.json"; }
version_of() { figure "$1" '.adapter_version | sub(".*/"; "")'; }
lora=$(version_of lora) || die "the LoRA job names no version"
houlsby=$(version_of houlsby) || die "the Houlsby job names no version"

# --- Two adapters, one base ----------------------------------------------------------------------------------------

echo
echo "== both adapters answer on the one base"
texts=("a small and fast modal text editor for the terminal" "turn-based strategy game with hexagonal maps"
  "command line client for the XMPP protocol" "typeface family with support for Cyrillic and Greek"
  "simulation of molecular dynamics" "multitrack recorder with effects for musicians")
for version in "$lora" "$houlsby"; do
  graft classify --json --adapter "packages@$version" "${texts[@]}" >"$scratch/answers-$version" ||
    die "packages@$version did not answer"
done
printf '%-56s %-16s %s\n' text "lora (@$lora)" "houlsby (@$houlsby)"
for i in "${!texts[@]}"; do
  printf '%-56s %-16s %s\n' "${texts[$i]}" \
    "$(jq -rs "[.[].predictions[]][$i].label" "$scratch/answers-$lora")" \
    "$(jq -rs "[.[].predictions[]][$i].label" "$scratch/answers-$houlsby")"
done

# --- Promotion while requests run ----------------------------------------------------------------------------------

echo
echo "== promoting houlsby over lora while requests run"
# client NUMBER: asks the live version again and again; a line per answer, a line per failure.
client() {
  while [ ! -e "$scratch/stop" ]; do
    graft classify --json --adapter packages "${texts[$(($1 % ${#texts[@]}))]}" >>"$scratch/live-$1" 2>>"$scratch/errors" ||
      echo failed >>"$scratch/failures"
  done
}
answers() { cat "$scratch"/live-* | wc -l; }
# answered COUNT: waits until so many requests were answered, or some failed, or a minute is over.
answered() {
  local tries=0
  until [ "$(answers)" -ge "$1" ] || [ -s "$scratch/failures" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 600 ] || die "requests are not answered"
    sleep 0.1
  done
}
for number in 1 2 3 4; do : >"$scratch/live-$number"; done
: >"$scratch/failures"
for number in 1 2 3 4; do
  client "$number" &
  clients+=($!)
done
answered 40
graft promote packages "$houlsby" >"$scratch/promoted" || die "the promotion was refused"
after=$(graft classify --json --adapter packages "${texts[0]}" | jq -r '.provenance.adapter_version | sub(".*/"; "")') ||
  die "packages did not answer after the promotion"
answered $(($(answers) + 40))
: >"$scratch/stop"
wait "${clients[@]}"
failures=$(wc -l <"$scratch/failures")
cat "$scratch"/live-* | jq -r '.provenance.adapter_version | sub(".*/"; "")' | sort -n | uniq -c |
  awk '{ printf "%d answers by packages@%s\n", $1, $2 }'
echo "$failures requests failed; the first after the promotion was answered by packages@$after"

# --- A chat model --------------------------------------------------------------------------------------------------

echo
echo "== real data for a chat model: packages, each to be described in one line"
chats=$scratch/synopses.jsonl held_out=$scratch/held-out.jsonl
"$GRAFT_SOURCE/scripts/make_synopsis_dataset.sh" "$scratch/all.jsonl" >/dev/null ||
  die "there is no data to train on; the reason is above"
head -n 48 "$scratch/all.jsonl" >"$held_out"
tail -n +49 "$scratch/all.jsonl" >"$chats"
tail -n 1 "$chats" | jq -c .messages
echo "$(wc -l <"$chats") conversations; $(wc -l <"$held_out") more are held out"

# The held-out conversations as smollm2 reads them: what stands in front of the answer, which ends with its line, and the
# answer.
mapfile -d '' pairs < <(
  jq -j '.messages | ("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n" +
    "<|im_start|>user\n\(.[0].content)<|im_end|>\n<|im_start|>assistant\n", .[1].content + "<|im_end|>\n") + "\u0000"' "$held_out")
# loss WHO...: mean negative log-probability of a held-out token.
loss() {
  graft score --json --pair "$@" "${pairs[@]}" |
    jq -rs '[.[].scores[]] | (map(.logProbability // .log_probability) | add) as $sum |
      (map(.tokens | length) | add) as $tokens | -$sum / $tokens * 1000 | round / 1000' || die "the held-out answers could not be scored"
}
before=$(loss --base smollm2)

chat=(--task causal_lm --base smollm2 --train "$chats" --max-length 128 --batch-size 8)
train synopsis "${chat[@]}" --adapter synopsis --method lora --set rank=8 --set target_modules=all-linear \
  --lr 2e-3 --max-steps 100 --promote
after_loss=$(loss --adapter synopsis)
echo "loss on held-out answers: $before before, $after_loss after"
train synopsis-bottleneck "${chat[@]}" --adapter synopsis --method bottleneck --set size=32 --lr 2e-3 --max-steps 20
second=$(version_of synopsis-bottleneck) || die "the bottleneck job names no version"

echo
echo "== base and adapter side by side"
questions=("Describe the package gnome-chess of the section games in one line."
  "Describe the package libjpeg-dev of the section libdevel in one line."
  "Describe the package fonts-noto of the section fonts in one line.")
for question in "${questions[@]}"; do
  echo "$question"
  for who in "--base smollm2" "--adapter synopsis"; do
    # shellcheck disable=SC2086
    answer=$(graft generate --chat $who --temperature 0 --max-tokens 40 "$question") || die "$who did not answer"
    printf '  %-20s %s\n' "${who#--}" "$(tr '\n' ' ' <<<"$answer" | cut -c 1-150)"
  done
done

echo
echo "== two adapters write at once on the one base, and one is replaced meanwhile"
# write WHO FILE: a stream of pieces, each with the version that wrote it.
write() { graft generate --json --chat --adapter "$1" --temperature 0 --min-tokens 60 --max-tokens 60 "${questions[0]}" >"$2"; }
write synopsis "$scratch/stream-1" &
streams=($!)
write "synopsis@$second" "$scratch/stream-2" &
streams+=($!)
until [ -s "$scratch/stream-1" ] || ! kill -0 "${streams[0]}" 2>/dev/null; do sleep 0.05; done
graft promote synopsis "$second" >"$scratch/promoted" || die "the promotion was refused"
for stream in "${streams[@]}"; do wait "$stream" || die "a stream broke off"; done
for number in 1 2; do
  jq -rs --arg number "$number" '(map(.provenance.adapterVersion // .provenance.adapter_version) | unique) as $versions |
    "stream \($number): \(length) pieces, all by \($versions | join(" and "))"' "$scratch/stream-$number"
done
[ "$(jq -rs 'map(.provenance.adapterVersion // .provenance.adapter_version) | unique | length' "$scratch/stream-1")" = 1 ] ||
  die "a stream changed its version in the middle"

# --- What came out -------------------------------------------------------------------------------------------------

echo
printf '%-10s %18s %15s %22s %14s %9s\n' method "held-out accuracy" "majority share" "trainable parameters" "artifact" seconds
verdict=0
for name in lora houlsby; do
  # shellcheck disable=SC2016
  figures=$(figure "$name" '
    .facts as $f | ([.evaluations[] | select(.split == "test")] | last) as $test
    | ($f.trainable_parameters | tonumber) as $trained
    | [$test.accuracy // 0, $trained, $trained / ($f.base_parameters | tonumber) * 100,
       ($f.artifact_bytes | tonumber) / 1024, $f.seconds] | map(tostring) | join(" ")') ||
    die "the $name job does not tell its held-out accuracy, parameters, bytes and seconds"
  read -r accuracy trained percent kib seconds <<<"$figures"
  printf '%-10s %18.3f %15s %13d (%4.2f %%) %10.0f KiB %9.1f\n' \
    "$name" "$accuracy" "$majority" "$trained" "$percent" "$kib" "$seconds"
  awk -v a="$accuracy" -v m="$majority" -v margin="$margin" 'BEGIN { exit !(a >= m + margin) }' || verdict=1
done
echo "everything after the build took $((SECONDS - started)) s"
echo
if [ "$failures" -gt 0 ]; then
  sort "$scratch/errors" | uniq -c | sort -rn | head -n 3 >&2
  die "$failures requests failed during the promotion"
fi
[ "$after" = "$houlsby" ] || die "after the promotion packages@$after answered, not packages@$houlsby"
awk -v before="$before" -v after="$after_loss" 'BEGIN { exit !(after <= before * 0.75) }' ||
  die "the chat model's loss on held-out answers went from $before to $after_loss only"
[ "$verdict" = 0 ] || die "an adapter's accuracy is less than $margin above the majority share $majority"

finished=1
echo "Where to look next:"
if [ "$keep" = 1 ]; then
  disown "$server_pid" 2>/dev/null || true
  echo "  the server still runs (process $server_pid, log $server_log); stop it with: kill $server_pid"
  echo "  $bin/graft --server $GRAFT_SERVER jobs | adapters | adapter packages | rollback packages"
  echo "  $bin/graft --server $GRAFT_SERVER classify --adapter packages \"an editor of bitmap fonts\""
  echo "  $bin/graft --server $GRAFT_SERVER chat --adapter synopsis"
  echo "  metrics: 127.0.0.1:$metrics_port/metrics"
else
  echo "  scripts/quickstart.sh --keep leaves the server running, to try the commands of: $bin/graft --help"
fi
echo "  README.md has a tour; docs/architecture.md tells how a job goes through the files"
