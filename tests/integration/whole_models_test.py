#!/usr/bin/env python3
"""transformers 4 and 5 compute graft's logits of a language model's whole export, with nothing but the folder.

For every golden decoder base, so with each rope, window, bias and head: graft trains `full` as a language model, of some bases also as
a classifier, and LoRA, which is merged. The engine's logits of a `full` version are compared with both libraries', and what version 4
makes of a merged model with what 5 does. Exit code 77: skipped, with a sentence that says what is missing.
"""
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "integration")]
from foreign_decoders_test import LABELS, difference  # noqa: E402
from live_graft import SKIPPED, Graft, parse_paths  # noqa: E402
from oracles import ask_oracle, find_oracles  # noqa: E402

ORACLE = Path(__file__).with_name("whole_models_oracle.py")
TOLERANCE = 1e-4  # Of the standard deviation of a text's logits; both sides compute in fp32.
# Longer than the windows and than the contexts that ropes were stretched from; no padding token.
IDS = [[5, 9, 11], [17], [(i * 29 + 3) % 77 + 3 for i in range(90)]]
ENDLESS = "qwen2"  # A base whose config.json alone says where texts end; its family has no default.
CLASSIFIERS = ("llama-yarn", "mistral", "qwen2-window")
JOB = ("--precision", "FP32", "--batch-size", "4")


def write_bases(source, bases):
    for folder in sorted((source / "tests/golden/decoders").glob("base-*")):
        shutil.copytree(folder, bases / folder.name.removeprefix("base-"))
    (bases / ENDLESS / "generation_config.json").unlink()
    return sorted(path.name for path in bases.iterdir())


def write_data(folder):
    texts = [f"the {a} is on the {b}." for a in ("cat", "hat", "mat") for b in ("bed", "red house", "sea")]
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (folder / "labels.csv").write_text("text,label\n" + "".join(f"{t},{LABELS[i % 3]}\n" for i, t in enumerate(texts)))


def engine_logits(program, base, exported, folder):
    """The engine's own, of the files that are the version's: what the export adds is no part of it."""
    manifest = json.loads((exported / "graft.json").read_text())
    version = folder / "versions" / exported.name
    version.mkdir(parents=True)
    for name in (*manifest["files"], "graft.json"):
        shutil.copy(exported / name, version)
    done = subprocess.run([program, base, version], input="".join(" ".join(map(str, ids)) + "\n" for ids in IDS),
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{version}: {done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def export_all(graft, bases, folder):
    """Trains and exports; yields a task of the oracle each."""
    language = ("--task", "causal_lm", "--train", folder / "texts.jsonl", "--max-steps", "1", "--lr", "1e-3")
    # So many steps that the logits of a new head differ.
    labels = ("--train", folder / "labels.csv", "--max-steps", "40", "--lr", "1e-2")
    for base in bases:
        kinds = [("full", "full", language, ()), ("merged", "lora", (*language, "--set", "rank=2"), ("--merged",))]
        if base in CLASSIFIERS:
            kinds.append(("labels", "full", labels, ()))
        for kind, method, job, merged in kinds:
            name = f"{base}-{kind}"
            graft.train("--base", base, "--adapter", name, "--method", method, *job, *JOB)
            graft.run("export", name + "@1", folder / "exported" / name, *merged)
            yield {"folder": str(folder / "exported" / name), "ids": IDS, "classifies": kind == "labels", "base": base,
                   "kind": kind}


def main():
    options = parse_paths(__doc__, "source", "bin", "adapter-logits")
    pythons = find_oracles()
    if pythons is None:
        return SKIPPED
    faults = []
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        bases = write_bases(options.source, folder / "bases")
        assert len(bases) == 9, bases
        write_data(folder)
        with Graft(options.bin, folder / "bases", folder) as graft:
            tasks = list(export_all(graft, bases, folder))
        answers = {version: ask_oracle(pythons[library], ORACLE, tasks, folder)
                   for version, library in (("4", "adapters"), ("5", "transformers"))}
        for task, *told in zip(tasks, *answers.values(), strict=True):
            exported = Path(task["folder"])
            if task["kind"] == "merged":  # What 5 computes foreign_decoders_test.py compares with PEFT.
                pairs = [("4 and 5", told[0]["logits"], told[1]["logits"])]
            else:
                ours = engine_logits(options.adapter_logits, folder / "bases" / task["base"], exported, folder)
                pairs = [(version, ours, answer["logits"]) for version, answer in zip(answers, told)]
            for version, ours, theirs in pairs:
                error = difference(ours, theirs)
                print(f"{exported.name:22} transformers {version:8} {error:.1e} of the logits' deviation", flush=True)
                if error > TOLERANCE:
                    faults.append(f"{exported.name}, transformers {version}: {error:.1e}")
            for version, answer in zip(answers, told):
                assert answer["version"].startswith(version + "."), answer["version"]
                said = {key: answer[key] for key in ("bos", "end", "pad", "labels")}
                wanted = {"bos": 1, "end": 2, "pad": 0, "labels": LABELS if task["classifies"] else None}
                if said != wanted:
                    faults.append(f"{exported.name}, transformers {version}, says {said} for {wanted}")
    assert not faults, "\n".join(faults)
    print("the same in both versions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
