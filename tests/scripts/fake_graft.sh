#!/usr/bin/env bash
# Stands in for graft and graft-server in quickstart_test.sh, by the name it is called under. FAKE_STATE is a folder;
# the other FAKE_ variables are the faults.
set -eu

version_by_alias() { cat "$FAKE_STATE/live" 2>/dev/null || echo 1; }

case $(basename "$0") in
  graft-server)
    if [ -n "${FAKE_NO_START:-}" ]; then
      echo "the data folder is in use"
      exit 1
    fi
    while [ $# -gt 1 ]; do
      if [ "$1" = --data ]; then echo "{\"grpc\": 1234, \"http\": 0, \"metrics\": 5678, \"pid\": $$}" >"$2/ports.json"; fi
      shift
    done
    echo $$ >"$FAKE_STATE/server"
    trap 'echo stopped >"$FAKE_STATE/stopped"; exit 0' TERM
    while :; do
      sleep 60 &
      wait $!
    done
    ;;
esac

command=$1
shift
version="" base="" json=""
while [ $# -gt 0 ]; do
  case $1 in
    --method) method=$2 ;;
    --adapter) version=${2#*@} ;;
    --base) base=$2 ;;
    --json) json=1 ;;
  esac
  if [ "$command" = promote ] && [ "$1" = packages ]; then echo "$2" >"$FAKE_STATE/live.new"; fi
  last=$1
  shift
done
case $command in
  submit) echo "{\"name\": \"jobs/$method\"}" ;;
  watch) [ "$last" != "${FAKE_FAILED_JOB:-}" ] ;;
  job)
    number=1
    if [ -e "$FAKE_STATE/seen" ]; then number=2; fi
    : >"$FAKE_STATE/seen"
    cat <<JSON
{"adapter_version": "adapters/packages/versions/$number",
 "evaluations": [{"split": "validation", "accuracy": 0.1}, {"split": "test", "accuracy": ${FAKE_ACCURACY:-0.87}}],
 "facts": {"trainable_parameters": "76038", "base_parameters": "22713216", "artifact_bytes": "307200", "seconds": 9.5}}
JSON
    ;;
  promote)
    if [ -z "${FAKE_LOST_PROMOTION:-}" ] && [ -e "$FAKE_STATE/live.new" ]; then
      mv "$FAKE_STATE/live.new" "$FAKE_STATE/live"
    fi
    ;;
  score)
    loss=4
    if [ -z "$base" ]; then loss=${FAKE_LOSS:-2}; fi
    echo "{\"scores\": [{\"log_probability\": -$loss, \"tokens\": [{}]}, {\"log_probability\": -$loss, \"tokens\": [{}]}]}"
    ;;
  generate)
    if [ -z "$json" ]; then
      echo "an answer of ${base:-$version}"
    else
      if [ "$version" = synopsis ]; then version=1; fi
      for part in 1 2 ${FAKE_CHANGED_VERSION:-}; do
        if [ "$part" = 3 ]; then version=3; fi
        echo "{\"text\": \"a\", \"provenance\": {\"adapter_version\": \"adapters/synopsis/versions/$version\"}}"
      done
    fi
    ;;
  classify)
    if [ "$version" = packages ]; then
      version=$(version_by_alias)
      if [ "$last" = "${FAKE_FAILED_REQUEST:-}" ] && [ "$version" = 2 ]; then
        echo "no worker serves minilm" >&2
        exit 4
      fi
    fi
    printf '{"predictions": [%s], "provenance": {"adapter_version": "adapters/packages/versions/%s"}}\n' \
      '{"label": "a"}, {"label": "b"}, {"label": "c"}, {"label": "d"}, {"label": "e"}, {"label": "f"}' "$version"
    ;;
  *) exit 2 ;;
esac
