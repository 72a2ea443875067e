#!/usr/bin/env python3
"""Adapter folders of language models that other programs wrote compute those programs' logits, or are refused by a sentence that says
why; PEFT computes the same with the folder that graft exports, and transformers alone with the model that graft merges.

Makers beside this file, run in PEFT's reference environment, write the folders and say what is to come of each; all are imported
into one live server and exported again, and the engine computes logits of what was exported. Exit code 77: skipped, with a sentence
that says what is missing.
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
from oracles import find_oracles  # noqa: E402

TOLERANCE = 1e-4  # Of the standard deviation of a text's logits; both sides compute in fp32.
LABELS = ["negative", "neutral", "positive"]
MERGED_TOLERANCE = 1e-3  # Of bases in bf16 a few weights are rounded the other way; of others it is 1e-6.
IDS = [[5, 9, 11], [40, 7, 7, 19, 79, 5, 33, 12], [17], [(i * 29 + 3) % 77 + 3 for i in range(40)]]  # The makers' own.
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
# Maker and its environment.
MAKERS = (("foreign_decoders_peft.py", "peft"), ("foreign_decoders_trainers.py", "peft"), ("foreign_decoders_adapterhub.py", "adapters"))
BOTTLENECKS = MAKERS[-1][0]
# What graft trains whole beside a LoRA: names of which PEFT, that compares paths' ends, takes more than graft does.
TRAINED = [("llama", "norm,input_layernorm"), ("qwen2", "norm,embed_tokens"), ("mistral", "norm,mlp,up_proj,lm_head"),
           ("qwen3", "model.norm,1.mlp")]
COUNTS = (58, 30)  # Folders that load with equal logits, and those that are refused: README says how many.


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
        self.merged = 0.0  # Largest difference of a merged model's logits.

    def check(self, row):
        """Why the row isn't as expected; nothing if it is."""
        name, adapter = row["name"], "of-" + row["name"]
        code, output, error = self.graft.call("import", row["folder"], "--base", row["base"], "--adapter", adapter, *row["arguments"])
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
        self.graft.run("export", adapter + "@1", exported)
        code, output, error = self.graft.call("export", "--merged", adapter + "@1", self.folder / "merged" / name)
        if row["maker"] == BOTTLENECKS and (code == 0 or "has layers of its own" not in output + error):
            return f"was merged, which nobody can: {output}{error}"
        if row["maker"] != BOTTLENECKS and code != 0:
            return f"wasn't merged: {output}{error}"
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

    def check_bottlenecks(self, python):
        """AdapterHub with what graft exported against AdapterHub with what it had saved itself."""
        for answer, row in self.read(python, BOTTLENECKS, [row for row in self.loaded if row["maker"] == BOTTLENECKS]):
            error = difference(answer["logits"], row["logits"])
            if error > TOLERANCE:
                self.faults.append(f"AdapterHub reads {row['name']} otherwise from graft's folder: {error:.1e}")

    def read(self, python, maker, rows):
        """What the maker's library computes with the exported folders of these rows."""
        asked = self.folder / "exported.json"
        exported = {str(self.folder / "exported" / row["name"]): row for row in rows}
        asked.write_text(json.dumps([(folder, str(self.folder / "merged" / row["name"]), row["base"], row["classifies"])
                                     for folder, row in exported.items()]))
        answers = run_maker(python, maker, self.options.source, "read", asked)
        assert [answer["folder"] for answer in answers] == list(exported), "each was asked for"
        return [(answer, exported[answer["folder"]]) for answer in answers]

    def check_exports(self, python):
        """PEFT with what graft exported, and transformers with what it merged, against PEFT with what it had saved itself."""
        for answer, row in self.read(python, MAKERS[0][0], [row for row in self.loaded if row["maker"] != BOTTLENECKS]):
            error = difference(answer["logits"], row["logits"])
            if error > TOLERANCE:
                self.faults.append(f"PEFT reads {row['name']} otherwise from graft's folder: {error:.1e}")
            error = difference(answer["merged_logits"], answer["merged_by_peft"])
            self.merged = max(self.merged, error)
            if error > MERGED_TOLERANCE:
                self.faults.append(f"{row['name']} merged differs by {error:.1e}")
            if answer["labels"] != (LABELS if row["classifies"] else []) or answer["end"] not in (None, 2):
                self.faults.append(f"{row['name']} merged lost its labels or its end: {answer}")
            if not row["classifies"] and answer["chat"] != ("<user>the cat" if row["template"] else "<s>user the cat</s>"):
                self.faults.append(f"{row['name']} merged renders {answer['chat']!r}")


    def check_trained(self, python):
        """PEFT with modules that graft trained whole, against the engine."""
        texts = self.folder / "texts.jsonl"
        texts.write_text("".join(json.dumps({"text": f"the {a} is on the {b}."}) + "\n" for a in ("cat", "hat") for b in ("bed", "sea")))
        rows = []
        for base, modules in TRAINED:
            name = f"trained-{base}"
            self.graft.train("--base", base, "--adapter", name, "--method", "lora", "--task", "causal_lm", "--train", texts,
                             "--max-steps", "5", "--lr", "1e-2", "--precision", "FP32", "--set", "rank=2",
                             "--set", f"modules_to_save={modules}")
            self.graft.run("export", name + "@1", self.folder / "exported" / name)
            self.graft.run("export", "--merged", name + "@1", self.folder / "merged" / name)
            rows.append({"name": name, "base": base, "classifies": False})
        for answer, row in self.read(python, MAKERS[0][0], rows):
            ours = engine_logits(self.options.adapter_logits, self.folder / "bases" / row["base"], answer["folder"])
            error = difference(answer["logits"], ours)
            print(f"{row['name']:26} PEFT reads it with logits {error:.1e} apart", flush=True)
            if error > TOLERANCE:
                self.faults.append(f"PEFT reads {row['name']} otherwise: {error:.1e}")
            if (error := difference(answer["merged_logits"], answer["merged_by_peft"])) > MERGED_TOLERANCE:
                self.faults.append(f"{row['name']} merged differs by {error:.1e}")


def main():
    options = parse_paths(__doc__, "source", "bin", "adapter-logits")
    oracles = find_oracles()
    if oracles is None:
        return SKIPPED
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        for family in FAMILIES:
            shutil.copytree(options.source / f"tests/golden/decoders/base-{family}", folder / "bases" / family)
        rows = [{**row, "maker": maker} for maker, library in MAKERS
                for row in run_maker(oracles[library], maker, options.source, folder / "made")]
        with Graft(options.bin, folder / "bases", folder) as graft:
            table = Table(options, graft, folder)
            table.check_rows(rows)
            table.check_exports(oracles["peft"])
            table.check_bottlenecks(oracles["adapters"])
            table.check_trained(oracles["peft"])
    print(f"merged models differ by up to {table.merged:.1e} of the logits' deviation")
    print(f"{len(table.loaded)} folders load with equal logits, {len(table.refused)} are refused as written down")
    assert not table.faults, table.faults
    assert (len(table.loaded), len(table.refused)) == COUNTS, "README says how many there are"
    return 0


if __name__ == "__main__":
    sys.exit(main())
