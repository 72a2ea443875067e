#!/usr/bin/env python3
"""How fast byte pair encoding is on one thread, and HuggingFace's tokenizers on the same texts: megabytes a second.

    oracle-peft/bin/python bench/tokenizers/byte_pairs.py build/ci/bin/encode_texts DECLARATIONS TOKENIZER_JSON... \
        [--reviews movie_data.csv.gz] [--rounds 3]

The texts are the paragraphs of DECLARATIONS, which scripts/setup.sh fetches, and 8,000 film reviews if their file is named; each
stands once. The two take turns, the best round of each counts, and loading isn't counted. The claim: at least twice as fast.
"""
import argparse
import csv
import gzip
import html
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LEAST = 2.0  # Times as fast as the library.
REVIEWS = 8000


def declarations(folder):
    for path in sorted(folder.glob("*.html")):
        body = path.read_text(encoding="utf-8").partition("<body>")[2]
        for part in re.findall(r"<p\b[^>]*>(.*?)</p>", body, re.DOTALL):
            yield html.unescape(re.sub(r"<[^>]*>", "", part)).strip()


def reviews(path):
    csv.field_size_limit(1 << 30)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        for _, row in zip(range(REVIEWS), rows):
            yield row[0]


def theirs(tokenizer, texts):
    """Seconds to encode and to decode."""
    begin = time.perf_counter()
    encoded = tokenizer.encode_batch_fast(texts)
    middle = time.perf_counter()
    tokenizer.decode_batch([encoding.ids for encoding in encoded])
    return middle - begin, time.perf_counter() - middle, sum(len(encoding.ids) for encoding in encoded)


def ours(program, folder, texts):
    done = subprocess.run([program, folder, texts, "1"], capture_output=True, text=True, check=True)
    encode, decode, tokens, _ = done.stdout.split()
    return float(encode), float(decode), int(tokens)


def measure(options, path, name, texts):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    size = sum(len(text.encode()) for text in texts)
    with tempfile.TemporaryDirectory() as temp:
        folder, file = Path(temp) / "tokenizer", Path(temp) / "texts"
        folder.mkdir()
        (folder / "tokenizer.json").symlink_to(path.resolve())
        file.write_bytes(b"".join(text.encode() + b"\0" for text in texts))
        rounds = [(ours(options.program, folder, file), theirs(tokenizer, texts)) for _ in range(options.rounds)]
    assert all(mine[2] == other[2] for mine, other in rounds), "they don't make the same tokens"
    ratios = []
    for what, at in (("encode", 0), ("decode", 1)):
        mine, other = min(pair[0][at] for pair in rounds), min(pair[1][at] for pair in rounds)
        ratios.append(other / mine)
        print(f"{path.parent.name:12} {name:13} {what}: {size / mine / 1e6:6.1f} MB/s, tokenizers {size / other / 1e6:5.1f} MB/s, "
              f"{other / mine:5.1f} x", flush=True)
    return ratios[0]


def main():
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("declarations", type=Path)
    parser.add_argument("tokenizers", type=Path, nargs="+")
    parser.add_argument("--reviews", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sets = {"many scripts": list(dict.fromkeys(declarations(options.declarations)))}
    if options.reviews:
        sets["film reviews"] = list(dict.fromkeys(reviews(options.reviews)))
    least = min(measure(options, path, name, texts) for path in options.tokenizers for name, texts in sets.items())
    print(f"claim: encoding is at least {LEAST} x as fast, {least:.1f} x: {'holds' if least >= LEAST else 'MISSED'}")
    return 0 if least >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
