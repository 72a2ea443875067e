#!/usr/bin/env python3
"""What added tokens and long words cost: texts a second of tokenize_lines, and of HuggingFace's tokenizers if they are there.

    python3 bench/tokenizers/run.py build/ci/bin/tokenize_lines [ROUNDS]

Two folders with one vocabulary, of which one has 20,000 added tokens that are matched in normalized text; the same texts in
turns, the loading of the folder taken off. A third folder allows words of 50,000 characters.
"""
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(200)), "a", "##a"]
ADDED = 20_000


def write_folder(folder, added=(), longest=100):
    special = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                "special": True} for i, token in enumerate(WORDS[:5])]
    tokens = [{"id": len(WORDS) + i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
               "normalized": True, "special": False} for i, token in enumerate(added)]
    pieces = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
              {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    pair = pieces + [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    if longest > 100:
        vocabulary["##" + "a" * (longest - 100) + "b"] = len(WORDS)
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special + tokens,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": pieces, "pair": pair, "special_tokens": {
            token: {"id": token, "ids": [i], "tokens": [token]} for i, token in enumerate(WORDS[:5])}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": longest, "vocab": vocabulary}}))
    return folder


def seconds(tool, folder, text):
    begin = time.monotonic()
    subprocess.run([tool, folder], input=text, text=True, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


def reference(folder, lines):
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    begin = time.monotonic()
    for line in lines:
        tokenizer.encode(line)
    return time.monotonic() - begin


def main():
    tool, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    generator = random.Random(1)
    lines = [" ".join(f"w{generator.randrange(200)}" if generator.random() < 0.9 else f"term{generator.randrange(ADDED)}x"
                      for _ in range(400)) for _ in range(4000)]
    with tempfile.TemporaryDirectory() as temp:
        plain = write_folder(Path(temp) / "plain")
        many = write_folder(Path(temp) / "many", [f"term{i}x" for i in range(ADDED)])
        text = "\n".join(lines) + "\n"
        best = {}
        for _ in range(rounds):
            for folder in (plain, many):
                took = seconds(tool, folder, text) - seconds(tool, folder, "w0\n")
                best[folder] = min(took, best.get(folder, took))
        for name, folder in (("no added tokens", plain), (f"{ADDED} added tokens", many)):
            theirs = reference(folder, lines[:400])
            print(f"{name:22} {len(lines) / best[folder]:9.0f} texts/s of 400 words" +
                  (f"; tokenizers {400 / theirs:9.0f}" if theirs else ""))
        ratio = best[many] / best[plain]
        print(f"  claim: {ADDED} added tokens cost {ratio:.2f} x <= 2 x: {'holds' if ratio <= 2 else 'MISSED'}")
        words = write_folder(Path(temp) / "words", longest=50_000)
        took = min(seconds(tool, words, "a" * 50_000 + "\n") - seconds(tool, words, "a\n") for _ in range(rounds))
        print(f"a word of 50000 characters that nearly is one token: {1000 * took:.0f} ms")
    return 0 if ratio <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
