"""What the comparisons with HuggingFace's tokenizers share: texts of every script, and the comparison itself.

Texts made of Unicode itself are the same on every machine with the same Python.
"""
import os
import random
import subprocess
import sys
import unicodedata

from tokenizers import Tokenizer

# First and last code points of what random texts are drawn from.
BLOCKS = [(0x20, 0x7F), (0xA0, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x530, 0x58F),
          (0x590, 0x5FF), (0x600, 0x6FF), (0x700, 0x7FF), (0x800, 0x8FF), (0x900, 0x97F), (0x980, 0x9FF), (0xA00, 0xBFF),
          (0xC00, 0xDFF), (0xE00, 0xFFF), (0x1000, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x139F), (0x13A0, 0x16FF),
          (0x1700, 0x18AF), (0x1900, 0x1AFF), (0x1B00, 0x1CFF), (0x1D00, 0x1DFF), (0x1E00, 0x1FFF), (0x2000, 0x206F),
          (0x2070, 0x2BFF), (0x2C00, 0x2FFF), (0x3000, 0x30FF), (0x3100, 0x33FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
          (0xA000, 0xA4CF), (0xA4D0, 0xABFF), (0xAC00, 0xD7FF), (0xE000, 0xF8FF), (0xF900, 0xFDFF), (0xFE00, 0xFFFF),
          (0x10000, 0x107FF), (0x10800, 0x10FFF), (0x11000, 0x11FFF), (0x12000, 0x14FFF), (0x16000, 0x18FFF),
          (0x1B000, 0x1BFFF), (0x1D000, 0x1D7FF), (0x1E000, 0x1EFFF), (0x1F000, 0x1FFFF), (0x20000, 0x2FFFF),
          (0xE0000, 0xE01FF), (0x100000, 0x10FFFF)]


def script_of(text):
    counts = {}
    for ch in text:
        if ch.isalpha() and ord(ch) > 0x7F:
            name = unicodedata.name(ch, "?").split()[0]
            counts[name] = counts.get(name, 0) + 1
    return max(counts, key=counts.get) if counts else "LATIN"


def named_texts():
    """Characters between words of their names, in both cases: real words beside each of them."""
    named = [chr(c) for c in range(0x21, 0x110000)
             if not 0xAC00 <= c <= 0xD7A3 and not 0x4E00 <= c <= 0x9FFF and not 0x20000 <= c <= 0x323AF
             and not 0x3400 <= c <= 0x4DBF and unicodedata.name(chr(c), "")]
    for i, ch in enumerate(named):
        name = unicodedata.name(ch)
        other = named[(i * 7919) % len(named)]
        yield f"{ch}{name.lower()} {ch}{other}, {unicodedata.name(other).title()}{ch}"


def random_texts(count):
    """Of one to three blocks each."""
    rng = random.Random(1)
    for _ in range(count):
        chosen = [rng.choice(BLOCKS) for _ in range(rng.randint(1, 3))]
        yield "".join(chr(rng.randint(*rng.choice(chosen))) for _ in range(rng.randint(1, 40)))


def mixed_texts(parts, count, most):
    """Parts in any order."""
    rng = random.Random(2)
    for _ in range(count):
        yield "".join(rng.choice(parts) for _ in range(rng.randint(1, most)))


def distinct(texts):
    """Each once, without what no text can hold."""
    seen = set()
    for text in texts:
        text = "".join(ch for ch in text if ch != "\0" and not 0xD800 <= ord(ch) <= 0xDFFF)
        if text.strip() and text not in seen:
            seen.add(text)
            yield text


def run(tool, folder, texts, *modes):
    done = subprocess.run([tool, folder, str(1 << 30), "zero", *modes], input="\0".join(texts).encode() + b"\0",
                          capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    answers = done.stdout.decode().split("\0")[:-1]
    if len(answers) != len(texts):
        sys.exit(f"{len(answers)} texts came back of {len(texts)}")
    return answers


def read_tokenizer(path):
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def compare(what, tool, folder, texts, decoder=None):
    """The number of texts that differ in ids or when decoded. `decoder`: whose decoding counts, if not the file's."""
    tokenizer = read_tokenizer(os.path.join(folder, "tokenizer.json"))
    expected = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    decoded = (decoder or tokenizer).decode_batch(expected)
    actual = [[int(number) for number in text.split()] for text in run(tool, folder, texts)]
    back = run(tool, folder, texts, "decode")
    different = [i for i in range(len(texts)) if actual[i] != expected[i] or back[i] != decoded[i]]
    for i in different[:3]:
        for of, ids, text in (("ours", actual[i], back[i]), ("theirs", expected[i], decoded[i])):
            print(f"DIFFERENT {what} {ascii(texts[i])[:100]} {of} {str(ids)[:200]} {ascii(text)[:100]}")
    print(f"{what}: {len(texts)} texts, {len(different)} different", flush=True)
    return len(different)
