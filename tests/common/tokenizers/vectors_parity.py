#!/usr/bin/env python3
"""Token ids of llama.cpp's test vectors: vectors_parity.py TOKENIZE_LINES DATA CACHE

Each file of vectors whose vocabulary is in the shared data or the cache; the others are named. Special tokens aren't added.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

SEPARATOR = "\n__ggml_vocab_test__\n"
FAMILIES = {"bert-bge": "tokenizers/bert-base-uncased", "gpt-2": "tokenizers/gpt2", "llama-bpe": "tokenizers/llama-3",
            "llama-spm": "tokenizers/llama-2", "roberta-bpe": "tokenizers/roberta-base", "qwen2": "tokenizers/qwen3"}
LEAST = 47  # Vectors a file has.


def main():
    tool, data, cache = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    faults, checked = [], 0
    files = sorted((data / "tokenizers/llama.cpp-vectors").glob("ggml-vocab-*.gguf.inp"))
    assert {path.name[len("ggml-vocab-"):-len(".gguf.inp")] for path in files} == set(FAMILIES), files
    for path in files:
        family = path.name[len("ggml-vocab-"):-len(".gguf.inp")]
        found = [root / FAMILIES[family] / "tokenizer.json" for root in (data, cache)]
        tokenizer = next((file for file in found if file.exists()), None)
        if tokenizer is None:
            print(f"{family}: no vocabulary at {found[1]}; scripts/setup.sh fetches it")
            return 77
        texts = path.read_text(encoding="utf-8").split(SEPARATOR)
        expected = path.with_suffix(".out").read_text(encoding="ascii").split("\n")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "tokenizer.json").symlink_to(tokenizer.resolve())
            done = subprocess.run([tool, folder, str(1 << 20), "plain", "zero"], input="\0".join(texts).encode() + b"\0",
                                  capture_output=True, check=True)
        actual = done.stdout.decode().split("\0")[:-1]
        assert len(texts) == len(expected) == len(actual) >= LEAST, (family, len(texts), len(expected), len(actual))
        checked += len(texts)
        for text, wanted, ids in zip(texts, expected, actual):
            if wanted.split() != ids.split():
                faults.append(f"{family}: {ascii(text)}: {ids}, not {wanted}")
    print(*faults, sep="\n")
    print(f"{checked} vectors of {len(files)} vocabularies, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
