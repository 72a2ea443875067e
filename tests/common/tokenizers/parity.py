"""Compares tokenize_lines with HuggingFace's tokenizers on real lines of many scripts and on random code points.

    oracle-peft/bin/python parity.py TOKENIZE_LINES BASE_FOLDER [DATA_FOLDER]

Exits 1 with the first differing line. The lines are gettext translations and package descriptions that every Debian machine
with these packages has, texts inside the Python environment, the shared data if its folder is there, and random strings.
"""
import gettext
import glob
import os
import random
import subprocess
import sys
import unicodedata

from tokenizers import Tokenizer

tool, folder = sys.argv[1], sys.argv[2]
data = sys.argv[3] if len(sys.argv) > 3 else ""


def script_of(line):
    counts = {}
    for ch in line:
        if ch.isalpha():
            name = unicodedata.name(ch, "?").split()[0]
            counts[name] = counts.get(name, 0) + 1
    return max(counts, key=counts.get) if counts else "NONE"


def lines():
    for path in sorted(glob.glob("/usr/share/locale/*/LC_MESSAGES/*.mo")):
        try:
            with open(path, "rb") as f:
                catalog = gettext.GNUTranslations(f)._catalog
        except Exception:
            continue
        for text in catalog.values():
            if isinstance(text, str):
                yield from text.splitlines()
    library = os.path.dirname(os.__file__)
    for path in sorted(glob.glob(library + "/**/*.txt", recursive=True) +
                       glob.glob(library + "/test/cjkencodings/*utf8*.txt"))[:400]:
        try:
            with open(path, encoding="utf-8") as f:
                yield from f.read().splitlines()
        except Exception:
            continue
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True).stdout.decode("utf-8", "replace")
    yield from text.splitlines()[:200000:5]
    if data:
        for path in ("text/tinyshakespeare.txt", "text/valid.txt", "tokenizers/llama.cpp-vectors/ggml-vocab-bert-bge.gguf.inp"):
            with open(os.path.join(data, path), encoding="utf-8") as f:
                yield from f.read().splitlines()
        import gzip
        with gzip.open(os.path.join(data, "imdb/movie_data.csv.gz"), "rt", encoding="utf-8") as f:
            for i, line in enumerate(f):
                if i >= 4000:
                    break
                yield line
    rng = random.Random(1)
    blocks = [(0x20, 0x7F), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0xDFF), (0xE00, 0xFFF),
              (0x1100, 0x11FF), (0x1E00, 0x206F), (0x2070, 0x2FFF), (0x3000, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xABFF),
              (0xAC00, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0x2FFFF), (0xE0000, 0x10FFFF)]
    for i in range(20000):
        chosen = [rng.choice(blocks) for _ in range(rng.randint(1, 3))]
        yield "".join(chr(rng.randint(*rng.choice(chosen))) for _ in range(rng.randint(1, 60)))
    specials = ["[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "a", " ", "b[", "]", "\u0301", "\u4e2d"]
    for i in range(3000):
        yield "".join(rng.choice(specials) for _ in range(rng.randint(1, 8)))
    yield "x" * 100
    yield "x" * 101


wanted, seen, counts = [], set(), {}
for line in lines():
    line = "".join(ch for ch in line if ch not in "\r\n" and not 0xD800 <= ord(ch) <= 0xDFFF)
    if not line.strip() or line in seen:
        continue
    script = script_of(line)
    if counts.get(script, 0) >= 6000:
        continue
    counts[script] = counts.get(script, 0) + 1
    seen.add(line)
    wanted.append(line)

tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
tokenizer.no_truncation()
tokenizer.no_padding()
expected = [e.ids for e in tokenizer.encode_batch(wanted)]
run = subprocess.run([tool, folder], input="\n".join(wanted).encode() + b"\n", capture_output=True)
if run.returncode != 0:
    sys.exit(run.stderr.decode())
actual = [[int(t) for t in line.split()] for line in run.stdout.decode().splitlines()]
if len(actual) != len(expected):
    sys.exit(f"{len(actual)} lines came back of {len(expected)}")
different = [i for i in range(len(expected)) if actual[i] != expected[i]]
for i in different[:5]:
    print("DIFFERENT", ascii(wanted[i]), [hex(ord(c)) for c in wanted[i]][:40], "ours", actual[i], "theirs", expected[i])
print(f"{len(wanted)} lines, {len(different)} different; by script:",
      ", ".join(f"{k} {v}" for k, v in sorted(counts.items(), key=lambda kv: -kv[1])))
sys.exit(1 if different else 0)
