"""Compares tokenize_lines with HuggingFace's tokenizers on lines of every script.

    oracle-peft/bin/python parity.py TOKENIZE_LINES BASE_FOLDER [DATA_FOLDER]

Exits 1 with the first differing lines, or if there were fewer lines or scripts than stated below. The lines are made of
Unicode itself, so that every machine with the same Python has the same: each character between its names, and random strings
of one to three blocks; the shared data, if its folder is there, comes on top. BASE_FOLDER's own pipeline reads all of them;
others that foreign folders carry read a part, and all are decoded again.
"""
import json
import os
import random
import sys
import tempfile

from parity_support import compare, distinct, mixed_texts, named_texts, random_texts, script_of

LEAST_LINES = 130_000
LEAST_SCRIPTS = 100
PART = 20_000  # Lines that each further pipeline reads.
SPECIALS = ["[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "a", " ", "b[", "]", "\u0301", "\u4e2d"]


def made_lines():
    yield from named_texts()
    yield from random_texts(100_000)
    yield from mixed_texts(SPECIALS, 3000, 8)
    yield "x" * 100
    yield "x" * 101


def shared_lines(data):
    for path in ("text/tinyshakespeare.txt", "text/valid.txt", "tokenizers/llama.cpp-vectors/ggml-vocab-bert-bge.gguf.inp"):
        with open(os.path.join(data, path), encoding="utf-8") as file:
            yield from file.read().splitlines()


def clean(texts):
    return list(distinct(text.replace("\r", "").replace("\n", "") for text in texts))


def pipelines(folder):
    """The base's tokenizer.json with other stages."""
    with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
        text = file.read()

    def with_stages(**stages):
        return {**json.loads(text), **stages}

    cased = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
             "lowercase": False}
    plain = {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}]}
    parts = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"}]}
    yield "cased", with_stages(normalizer=cased)
    yield "accents kept", with_stages(normalizer={**cased, "strip_accents": False, "lowercase": True, "clean_text": False})
    yield "plain", with_stages(normalizer=plain, pre_tokenizer={"type": "Whitespace"})
    yield "in parts", with_stages(pre_tokenizer=parts, decoder={"type": "WordPiece", "prefix": "##", "cleanup": False})
    added = with_stages()
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    count = len(added["model"]["vocab"])
    contents = [("the", {"single_word": True}), ("Of", {"normalized": False}), ("small letter", {"lstrip": True, "rstrip": True}),
                ("small", {}), ("WITH", {"normalized": False, "rstrip": True}), ("\u0438", {"single_word": True})]
    for content, more in contents:
        known = added["model"]["vocab"].get(content)
        added["added_tokens"].append({"id": count if known is None else known, "content": content, **flags, **more})
        count += known is None
    yield "added tokens", added


def main():
    tool, folder = sys.argv[1], sys.argv[2]
    lines = clean(made_lines())
    scripts = {script_of(line) for line in lines}
    print(f"{len(lines)} lines of {len(scripts)} scripts")
    assert len(lines) >= LEAST_LINES, f"only {len(lines)} lines, README states {LEAST_LINES}"
    assert len(scripts) >= LEAST_SCRIPTS, f"only {len(scripts)} scripts"
    part = random.Random(2).sample(lines, PART)
    if len(sys.argv) > 3:
        lines += clean(shared_lines(sys.argv[3]))
    different = compare("the base's own", tool, folder, lines)
    with tempfile.TemporaryDirectory() as other:
        for name, pipeline in pipelines(folder):
            with open(os.path.join(other, "tokenizer.json"), "w", encoding="utf-8") as file:
                json.dump(pipeline, file)
            different += compare(name, tool, other, part)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
