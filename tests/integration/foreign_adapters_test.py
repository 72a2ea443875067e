#!/usr/bin/env python3
"""Adapter folders that other programs wrote load with those programs' logits, or are refused by a sentence that says why.

Makers beside this file, each run in its own reference environment, write the folders and say what is to come of each; all are
imported into one live server. Exit code 77: skipped, with a sentence that says what is missing.
"""
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import SKIPPED, Graft, parse_paths  # noqa: E402

TOLERANCE = 2e-4  # Of the standard deviation of the logits; both sides compute in fp32.
TEXTS = ["w1 w2 w3", "w40 w7 w7 w19 w80 w5", "w91", "w30 w31 w32 w33 w34 w35 w36 w37 w38 w39 w60 w61"]  # The makers' own.
# Maker, its environment, and how many of its rows must load.
MAKERS = [("foreign_adapters_peft.py", "oracle-peft", 40), ("foreign_adapters_trainers.py", "oracle-peft", 7),
          ("foreign_adapters_adapterhub.py", "oracle-adapters", 54)]


def make(maker, python, source, out):
    done = subprocess.run([python, Path(__file__).with_name(maker), source, out], capture_output=True, text=True, timeout=600,
                          check=False, env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    assert done.returncode == 0, f"{maker} failed:\n{done.stderr[-3000:]}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]


def difference(ours, theirs):
    """Largest difference, in standard deviations of the reference."""
    flat = [x for row in theirs for x in row]
    mean = sum(flat) / len(flat)
    spread = math.sqrt(sum((x - mean) ** 2 for x in flat) / len(flat))
    return max(abs(a - b) for ours_row, theirs_row in zip(ours, theirs) for a, b in zip(ours_row, theirs_row)) / spread


def check(graft, row):
    """Why the row isn't as expected; nothing if it is."""
    labels = [part for label in row["labels"] for part in ("--label-name", label)]
    name = row["name"]
    code, output, error = graft.call("import", row["folder"], "--base", row["base"], "--adapter", name, *labels, *row["arguments"])
    if row["expect"] == "refused":
        if code == 0:
            return "was imported and is to be refused"
        return None if row["words"].lower() in (output + error).lower() else f"doesn't say {row['words']!r}: {output}{error}"
    if code != 0:
        return f"was refused: {output}{error}"
    version = json.loads(output.splitlines()[-1])
    said = " ".join(version.get("warnings", [])) + (" left aside" if version.get("files_left_aside") else "")
    if row["words"].lower() not in said.lower():
        return f"doesn't say {row['words']!r}: {version}"
    ours, _ = graft.logits(name + "@1", TEXTS)
    error = difference(ours, row["logits"])
    return None if error <= TOLERANCE else f"differs by {error:.1e} of the logits' deviation"


def main():
    options = parse_paths(__doc__, "source", "bin")
    cache = Path(os.environ.get("GRAFT_CACHE", Path.home() / ".cache" / "graft"))
    for _, environment, _ in MAKERS:
        if not (cache / environment / "bin/python").exists():
            print(f"skipped: {cache / environment} is missing; scripts/setup.sh installs it")
            return SKIPPED
    faults, loaded, refused = [], 0, 0
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        for family in ("bert", "distilbert"):
            shutil.copytree(options.source / f"tests/golden/data/base-{family}", folder / "bases" / family)
        with Graft(options.bin, folder / "bases", folder) as graft:
            for maker, environment, least in MAKERS:
                rows = make(maker, cache / environment / "bin/python", options.source, folder / "made")
                good = 0
                for row in rows:
                    fault = check(graft, row)
                    print(f"{maker} {row['name']:26} {row['expect']:8} {'ok' if fault is None else fault}", flush=True)
                    if fault is not None:
                        faults.append(f"{row['name']} {fault}")
                    good += fault is None and row["expect"] == "equal"
                    refused += fault is None and row["expect"] == "refused"
                assert good >= least, f"{good} folders of {maker} load, {least} must"
                loaded += good
    print(f"{loaded} folders load with equal logits, {refused} are refused as written down")
    assert not faults, faults
    assert (loaded, refused) == (101, 40), "README says how many there are"
    return 0


if __name__ == "__main__":
    sys.exit(main())
