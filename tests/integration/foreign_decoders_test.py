#!/usr/bin/env python3
"""LoRA folders of language models that other programs wrote compute those programs' logits, or are refused by a sentence that says
why; and PEFT computes the same with the folder that graft exports.

Makers beside this file, run in PEFT's reference environment, write the folders and say what is to come of each; all are imported
into one live server and exported again, and the engine computes logits of what was exported. Exit code 77: skipped, with a sentence
that says what is missing.
"""
import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import SKIPPED, Graft  # noqa: E402
from oracles import find_oracles  # noqa: E402

TOLERANCE = 1e-4  # Of the standard deviation of a text's logits; both sides compute in fp32.
IDS = [[5, 9, 11], [40, 7, 7, 19, 79, 5, 33, 12], [17], [(i * 29 + 3) % 77 + 3 for i in range(40)]]  # The makers' own.
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
MAKERS = ("foreign_decoders_peft.py", "foreign_decoders_trainers.py")
COUNTS = (51, 27)  # Folders that load with equal logits, and those that are refused: README says how many.


def run_maker(python, maker, *arguments):
    done = subprocess.run([python, Path(__file__).with_name(maker), *arguments], capture_output=True, text=True, timeout=900,
                          check=False, env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    assert done.returncode == 0, f"{maker} failed:\n{done.stderr[-3000:]}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]


def difference(ours, theirs):
    """Largest difference, in standard deviations of each text's logits."""
    worst = 0.0
    for our_rows, their_rows in zip(ours, theirs, strict=True):
        flat = [x for row in their_rows for x in row]
        mean = sum(flat) / len(flat)
        spread = math.sqrt(sum((x - mean) ** 2 for x in flat) / len(flat))
        assert spread > 0.05, "logits that hardly differ prove nothing"
        for our_row, their_row in zip(our_rows, their_rows, strict=True):
            worst = max(worst, *(abs(a - b) / spread for a, b in zip(our_row, their_row, strict=True)))
    return worst


def engine_logits(program, base, version):
    done = subprocess.run([program, base, version], input="".join(" ".join(map(str, ids)) + "\n" for ids in IDS),
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{version}: {done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


class Table:
    """What became of the rows."""

    def __init__(self, options, graft, folder):
        self.options, self.graft, self.folder = options, graft, folder
        self.loaded, self.refused, self.faults = [], [], []

    def check(self, row):
        """Why the row isn't as expected; nothing if it is."""
        name = row["name"]
        code, output, error = self.graft.call("import", row["folder"], "--base", row["base"], "--adapter", name, *row["arguments"])
        if row["expect"] == "refused":
            if code == 0:
                return "was imported and is to be refused"
            if row["words"].lower() not in (output + error).lower():
                return f"doesn't say {row['words']!r}: {output}{error}"
            self.refused.append(row)
            return None
        if code != 0:
            return f"was refused: {output}{error}"
        version = json.loads(output.splitlines()[-1])
        said = " ".join(version.get("warnings", []))
        if version.get("files_left_aside"):
            said += " left aside " + " ".join(version["files_left_aside"])
        if row["words"].lower() not in said.lower():
            return f"doesn't say {row['words']!r}: {version}"
        exported = self.folder / "exported" / name
        self.graft.run("export", name + "@1", exported)
        template = exported / "chat_template.jinja"
        if row["template"] and (not template.exists() or template.read_text() != row["template"]):
            return "lost its chat template"
        bases = self.folder / "bases"
        error = difference(engine_logits(self.options.adapter_logits, bases / row["base"], exported), row["logits"])
        if error > TOLERANCE:
            return f"differs by {error:.1e} of the logits' deviation"
        self.loaded.append(row)
        return None

    def check_rows(self, rows):
        for row in rows:
            fault = self.check(row)
            print(f"{row['name']:26} {row['expect']:8} {'ok' if fault is None else fault}", flush=True)
            if fault is not None:
                self.faults.append(f"{row['name']} {fault}")

    def check_exports(self, python):
        """PEFT with what graft exported against PEFT with what it had saved itself."""
        asked = self.folder / "exported.json"
        exported = {str(self.folder / "exported" / row["name"]): row for row in self.loaded}
        asked.write_text(json.dumps([(folder, row["base"], row["classifies"]) for folder, row in exported.items()]))
        for answer in run_maker(python, "foreign_decoders_peft.py", self.options.source, "read", asked):
            row = exported.pop(answer["folder"])
            error = difference(answer["logits"], row["logits"])
            if error > TOLERANCE:
                self.faults.append(f"PEFT reads {row['name']} otherwise from graft's folder: {error:.1e}")
        assert not exported, "PEFT was asked for each"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--adapter-logits", type=Path, required=True)
    options = parser.parse_args()
    oracles = find_oracles()
    if oracles is None:
        return SKIPPED
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        for family in FAMILIES:
            shutil.copytree(options.source / f"tests/golden/decoders/base-{family}", folder / "bases" / family)
        rows = [row for maker in MAKERS for row in run_maker(oracles["peft"], maker, options.source, folder / "made")]
        with Graft(options.bin, folder / "bases", folder) as graft:
            table = Table(options, graft, folder)
            table.check_rows(rows)
            table.check_exports(oracles["peft"])
    print(f"{len(table.loaded)} folders load with equal logits, {len(table.refused)} are refused as written down")
    assert not table.faults, table.faults
    assert (len(table.loaded), len(table.refused)) == COUNTS, "README says how many there are"
    return 0


if __name__ == "__main__":
    sys.exit(main())
