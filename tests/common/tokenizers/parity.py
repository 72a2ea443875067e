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
import subprocess
import sys
import tempfile
import unicodedata

from tokenizers import Tokenizer

LEAST_LINES = 130_000
LEAST_SCRIPTS = 100
PART = 20_000  # Lines that each further pipeline reads.
# First and last code points of what random lines are drawn from.
BLOCKS = [(0x20, 0x7F), (0xA0, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x530, 0x58F),
          (0x590, 0x5FF), (0x600, 0x6FF), (0x700, 0x7FF), (0x800, 0x8FF), (0x900, 0x97F), (0x980, 0x9FF), (0xA00, 0xBFF),
          (0xC00, 0xDFF), (0xE00, 0xFFF), (0x1000, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x139F), (0x13A0, 0x16FF),
          (0x1700, 0x18AF), (0x1900, 0x1AFF), (0x1B00, 0x1CFF), (0x1D00, 0x1DFF), (0x1E00, 0x1FFF), (0x2000, 0x206F),
          (0x2070, 0x2BFF), (0x2C00, 0x2FFF), (0x3000, 0x30FF), (0x3100, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
          (0xA000, 0xA4CF), (0xA4D0, 0xABFF), (0xAC00, 0xD7FF), (0xE000, 0xF8FF), (0xF900, 0xFDFF), (0xFE00, 0xFFFF),
          (0x10000, 0x107FF), (0x10800, 0x10FFF), (0x11000, 0x11FFF), (0x12000, 0x14FFF), (0x16000, 0x18FFF),
          (0x1B000, 0x1BFFF), (0x1D000, 0x1D7FF), (0x1E000, 0x1EFFF), (0x1F000, 0x1FFFF), (0x20000, 0x2FFFF),
          (0xE0000, 0xE01FF), (0x100000, 0x10FFFF)]
SPECIALS = ["[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "a", " ", "b[", "]", "\u0301", "\u4e2d"]


def script_of(line):
    counts = {}
    for ch in line:
        if ch.isalpha() and ord(ch) > 0x7F:
            name = unicodedata.name(ch, "?").split()[0]
            counts[name] = counts.get(name, 0) + 1
    return max(counts, key=counts.get) if counts else "LATIN"


def named_lines():
    """Characters between words of their names, in both cases: real words beside each of them."""
    named = [chr(c) for c in range(0x21, 0x110000)
             if not 0xAC00 <= c <= 0xD7A3 and not 0x4E00 <= c <= 0x9FFF and not 0x20000 <= c <= 0x323AF
             and not 0x3400 <= c <= 0x4DBF and unicodedata.name(chr(c), "")]
    for i, ch in enumerate(named):
        name = unicodedata.name(ch)
        other = named[(i * 7919) % len(named)]
        yield f"{ch}{name.lower()} {ch}{other}, {unicodedata.name(other).title()}{ch}"


def random_lines():
    rng = random.Random(1)
    for _ in range(100_000):
        chosen = [rng.choice(BLOCKS) for _ in range(rng.randint(1, 3))]
        yield "".join(chr(rng.randint(*rng.choice(chosen))) for _ in range(rng.randint(1, 40)))
    for _ in range(3000):
        yield "".join(rng.choice(SPECIALS) for _ in range(rng.randint(1, 8)))
    yield "x" * 100
    yield "x" * 101


def shared_lines(data):
    for path in ("text/tinyshakespeare.txt", "text/valid.txt", "tokenizers/llama.cpp-vectors/ggml-vocab-bert-bge.gguf.inp"):
        with open(os.path.join(data, path), encoding="utf-8") as file:
            yield from file.read().splitlines()


def clean(lines):
    seen = set()
    for line in lines:
        line = "".join(ch for ch in line if ch not in "\r\n" and not 0xD800 <= ord(ch) <= 0xDFFF)
        if line.strip() and line not in seen:
            seen.add(line)
            yield line


def run(tool, folder, lines, *options):
    done = subprocess.run([tool, folder, *options], input="\n".join(lines).encode() + b"\n", capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    answers = done.stdout.decode().split("\n")[:-1]
    if len(answers) != len(lines):
        sys.exit(f"{len(answers)} lines came back of {len(lines)}")
    return answers


def compare(what, tool, folder, lines):
    """The number of lines that differ in ids or in their text when decoded."""
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    expected = [encoding.ids for encoding in tokenizer.encode_batch(lines)]
    actual = [[int(number) for number in line.split()] for line in run(tool, folder, lines)]
    texts = run(tool, folder, lines, str(1 << 20), "decode")
    different = [i for i in range(len(lines)) if actual[i] != expected[i] or texts[i] != tokenizer.decode(expected[i])]
    for i in different[:5]:
        print("DIFFERENT", what, ascii(lines[i]), "ours", actual[i], ascii(texts[i]), "theirs", expected[i],
              ascii(tokenizer.decode(expected[i])))
    print(f"{what}: {len(lines)} lines, {len(different)} different")
    return len(different)


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
    lines = list(clean(named_lines())) + list(clean(random_lines()))
    scripts = {script_of(line) for line in lines}
    print(f"{len(lines)} lines of {len(scripts)} scripts")
    assert len(lines) >= LEAST_LINES, f"only {len(lines)} lines, README states {LEAST_LINES}"
    assert len(scripts) >= LEAST_SCRIPTS, f"only {len(scripts)} scripts"
    part = random.Random(2).sample(lines, PART)
    if len(sys.argv) > 3:
        lines += list(clean(shared_lines(sys.argv[3])))
    different = compare("the base's own", tool, folder, lines)
    with tempfile.TemporaryDirectory() as other:
        for name, pipeline in pipelines(folder):
            with open(os.path.join(other, "tokenizer.json"), "w", encoding="utf-8") as file:
                json.dump(pipeline, file)
            different += compare(name, tool, other, part)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
