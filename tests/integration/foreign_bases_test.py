#!/usr/bin/env python3
"""Base folders as transformers 4, transformers 5, the Hub and its older days leave them, read as transformers reads them.

For each row of foreign_bases.py's table: token ids equal to AutoTokenizer's from that very folder, whole and cut, in every
version of transformers that can load it; and the first token's last state equal to the model's, over a live server. Rows that
aren't read are refused with the words that the table states. Exit code 77: skipped, with a sentence that says what is missing.
"""
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from foreign_bases import CUT, EMBEDDED, LOADS, PAIR, TABLE, TEXTS  # noqa: E402
from live_graft import SKIPPED, Graft, parse_paths  # noqa: E402
from oracles import find_oracles  # noqa: E402

MAKER = Path(__file__).with_name("foreign_bases.py")


def tolerance():
    """Of an embedding's standard deviation. A processor that is fast at bf16 serves in bf16; transformers' own bf16 is up to
    0.08 away from its fp32 on such bases."""
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return 0.15 if "amx_bf16" in flags or "avx512_bf16" in flags else 1e-4


def run_maker(python, action, folder):
    done = subprocess.run([python, MAKER, action, folder], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{python} {MAKER} {action} failed:\n{done.stderr[-3000:]}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def tokenize(program, folder, max_length):
    """Ids of each text; or the sentence that refuses the folder."""
    done = subprocess.run([program, folder, str(max_length)], input="\n".join(TEXTS) + "\n", capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode != 0:
        return done.stderr.strip()
    return [[int(number) for number in line.split()] for line in done.stdout.splitlines()]


def distance(ours, theirs):
    """Largest difference, in standard deviations of the reference."""
    mean = sum(theirs) / len(theirs)
    spread = math.sqrt(sum((x - mean) ** 2 for x in theirs) / len(theirs))
    assert spread > 0.05, "embeddings that hardly differ prove nothing"
    return max(abs(a - b) for a, b in zip(ours, theirs)) / spread


def check_tokens(name, program, folder, readings):
    """The faults of a row's ids against each version that can load it."""
    whole, cut = tokenize(program, folder, 1 << 20), tokenize(program, folder, CUT)
    if isinstance(whole, str):
        return [f"{name}: its tokenizer isn't read: {whole}"]
    faults = []
    loaded = [reading for reading in readings if "ids" in reading]
    if not loaded:
        faults.append(f"{name}: no version of transformers loads it: {readings}")
    for reading in loaded:
        for ours, theirs, what in ((whole, reading["ids"], "ids"), (cut, reading["cut"], "ids, cut")):
            for text, mine, other in zip(TEXTS, ours, theirs):
                if mine != other:
                    faults.append(f"{name}: transformers {reading['version']}, {what} of {ascii(text)}: {mine}, not {other}")
                    break
    return faults


def check_embeddings(name, graft, readings):
    ours = []
    for texts in (EMBEDDED, ["--pair", *PAIR]):
        code, output, error = graft.call("embed", "--base", name, *texts)
        if code != 0:
            return [f"{name}: refused: {error.strip()}"]
        ours += [row["values"] for row in json.loads(output.splitlines()[-1])["embeddings"]]
    faults = []
    for reading in readings:
        for text, mine, theirs in zip([*EMBEDDED, PAIR], ours, reading.get("embeddings", [])):
            if distance(mine, theirs) > tolerance():
                faults.append(f"{name}: transformers {reading['version']}, embedding of {ascii(text)}: "
                              f"{distance(mine, theirs):.2g} apart")
                break
    return faults


def check_refused(name, graft, words):
    code, _, error = graft.call("embed", "--base", name, "w1")
    if code == 0:
        return [f"{name}: read, where the table says that it is refused"]
    message = json.loads(error)["error"]["message"]
    return [] if words in message else [f"{name}: refused without the words {words!r}: {message}"]


def main():
    options = parse_paths(__doc__, "bin", "tokenize-lines")
    oracles = find_oracles()
    if oracles is None:
        return SKIPPED
    pythons = [oracles["adapters"], oracles["peft"]]  # transformers 4 and 5.

    assert (len(TABLE), sum(row[3] == LOADS for row in TABLE)) == (54, 37), "README says how many there are"
    faults = []
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        bases = folder / "bases"
        bases.mkdir()
        for python in pythons:
            run_maker(python, "make", bases)
        readings = {}
        for python in pythons:
            for row in run_maker(python, "read", bases):
                readings.setdefault(row["name"], []).append(row)
        with Graft(options.bin, bases, folder) as graft:
            for name, _, _, outcome in TABLE:
                if outcome != LOADS:
                    faults += check_refused(name, graft, outcome)
                    continue
                faults += check_tokens(name, options.tokenize_lines, bases / name, readings[name])
                faults += check_embeddings(name, graft, readings[name])
    print(*faults, sep="\n")
    wrong = {fault.split(":")[0] for fault in faults}
    print(f"{len(TABLE) - len(wrong)} of {len(TABLE)} base folders as the table says, "
          f"{sum(row[3] == LOADS for row in TABLE)} of them read")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
