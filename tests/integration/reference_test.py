#!/usr/bin/env python3
"""PEFT, AdapterHub and transformers read what graft wrote, and graft reads what they wrote, with the same logits.

For both families: graft trains a job, exports its version, and the library computes logits from that folder; the library makes
an adapter, saves it, graft imports it and classifies. Nothing in between but the libraries' own load and save.
Exit code 77: skipped, with a sentence that says what is missing.
"""
import math
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import SKIPPED, Graft, parse_paths  # noqa: E402
from oracles import ask_oracle, find_oracles  # noqa: E402

ORACLE = Path(__file__).with_name("reference_oracle.py")
TOLERANCE = 1e-4  # Of the standard deviation of the logits; both sides compute in fp32.
LABELS = ["negative", "neutral", "positive"]
WORDS = 92  # "w0" to "w91" are the words of the golden bases' vocabulary.
Q_V = {"bert": ["query", "value"], "distilbert": ["q_lin", "v_lin"]}
LINEARS = {"bert": ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"],
           "distilbert": ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"]}


def cases(family):
    """name, library, options of graft submit, the library's own configuration (None: it has no format of its own)."""
    houlsby = {"mh_adapter": True, "output_adapter": True, "original_ln_before": False, "non_linearity": "swish",
               "reduction_factor": 8}
    pfeiffer = {"mh_adapter": False, "output_adapter": True, "original_ln_before": True, "non_linearity": "relu",
                "reduction_factor": 6}
    return [
        ("lora", "peft", ["--method", "lora", "--set", "rank=4", "--set", "alpha=12"],
         {"r": 4, "lora_alpha": 12, "target_modules": Q_V[family]}),
        ("rslora-all", "peft", ["--method", "lora", "--set", "rank=3", "--set", "alpha=5", "--set", "rslora=true",
                                "--set", "target_modules=" + ",".join(LINEARS[family])],
         {"r": 3, "lora_alpha": 5, "use_rslora": True, "target_modules": LINEARS[family]}),
        ("houlsby", "adapters", ["--method", "bottleneck", "--set", "size=6"], houlsby),
        ("pfeiffer", "adapters", ["--method", "bottleneck", "--set", "placement=PFEIFFER", "--set", "size=8"], pfeiffer),
        ("last-layers", "transformers", ["--method", "last_layers", "--set", "num_layers=1"], None),
        ("full", "pipeline", ["--method", "full"], None),
    ]


# Bases whose tokenizer transformers 5 saved, in forms that version 4 can't read.
SAVED_BY_5 = {"bertgeneric": "generic", "bertspecial": "special"}
SAVE = """
import pathlib, sys
import transformers
folder, form = pathlib.Path(sys.argv[1]), sys.argv[2]
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
if form == "special":
    tokenizer.add_special_tokens({"additional_special_tokens": ["w5"]})
else:
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, unk_token="[UNK]",
        cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", mask_token="[MASK]")
tokenizer.save_pretrained(folder)
(folder / "vocab.txt").unlink()
"""


def sentence(generator, label, longest=30):
    """Words of the label's own third of the vocabulary, so that there is something to learn."""
    words = range(label * WORDS // 3, (label + 1) * WORDS // 3)
    return " ".join(f"w{generator.choice(words)}" for _ in range(generator.randint(1, longest)))


def write_data(path):
    generator = random.Random(3)
    with open(path, "w", encoding="utf-8") as file:
        file.write("text,label\n")
        for i in range(96):
            file.write(f"{sentence(generator, i % 3)},{LABELS[i % 3]}\n")


def difference(ours, theirs):
    """Largest difference, in standard deviations of the reference."""
    flat = [x for row in theirs for x in row]
    mean = sum(flat) / len(flat)
    spread = math.sqrt(sum((x - mean) ** 2 for x in flat) / len(flat))
    assert spread > 0.05, f"logits that hardly differ prove nothing: {theirs}"
    return max(abs(a - b) for a_row, b_row in zip(ours, theirs) for a, b in zip(a_row, b_row)) / spread


def check(what, ours, theirs):
    error = difference(ours, theirs)
    print(f"{what:46} {error:.1e} of the logits' standard deviation", flush=True)
    assert error <= TOLERANCE, f"{what}: {ours} against {theirs}"


def main():
    options = parse_paths(__doc__, "source", "bin")
    pythons = find_oracles()
    if pythons is None:
        return SKIPPED
    pythons["transformers"] = pythons["pipeline"] = pythons["peft"]
    pythons["pipeline of transformers 4"] = pythons["adapters"]

    generator = random.Random(9)
    texts = [sentence(generator, i % 3) for i in range(12)]
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        for family in ("bert", "distilbert"):
            shutil.copytree(options.source / f"tests/golden/data/base-{family}", folder / "bases" / family)
        for base, form in SAVED_BY_5.items():
            shutil.copytree(folder / "bases/bert", folder / "bases" / base)
            subprocess.run([pythons["peft"], "-c", SAVE, folder / "bases" / base, form], check=True)
        data = folder / "train.csv"
        write_data(data)
        with Graft(options.bin, folder / "bases", folder) as graft:
            ours, theirs = {}, {library: [] for library in pythons}
            for base in ("bert", "distilbert", *SAVED_BY_5):
                family = "distilbert" if base == "distilbert" else "bert"
                common = {"family": family, "base": str(folder / "bases" / base), "texts": texts, "labels": LABELS}
                for name, library, submit, config in cases(family):
                    if base in SAVED_BY_5 and library != "pipeline":
                        continue
                    adapter = f"{base}-{name}"
                    graft.train("--base", base, "--adapter", adapter, "--train", data, "--epochs", "8",
                                "--lr", "1e-2" if name != "full" else "2e-3", "--precision", "FP32", "--max-length", "40", *submit)
                    exported = folder / "exported" / adapter
                    graft.run("export", adapter + "@1", exported)
                    asked = texts
                    if library == "pipeline":  # Also one that both must cut.
                        asked = texts + [" ".join(texts)]
                        for pipeline in ("pipeline", "pipeline of transformers 4"):
                            theirs[pipeline].append({**common, "action": "pipeline", "folder": str(exported),
                                                     "adapter": adapter, "texts": asked})
                    else:
                        theirs[library].append({**common, "library": library, "action": "read", "folder": str(exported),
                                                "adapter": adapter})
                    if library in ("peft", "transformers"):  # Nothing but transformers reads what is merged.
                        merged = folder / "merged" / adapter
                        graft.run("export", "--merged", adapter + "@1", merged)
                        theirs["pipeline"].append({**common, "action": "pipeline", "folder": str(merged), "adapter": adapter})
                    ours[adapter] = graft.logits(adapter + "@1", asked)
                    if config is not None:
                        theirs[library].append({**common, "library": library, "action": "write", "config": config,
                                                "folder": str(folder / "made" / adapter), "adapter": adapter})
            for library, tasks in theirs.items():
                for task, logits in zip(tasks, ask_oracle(pythons[library], ORACLE, tasks, folder)):
                    adapter = task["adapter"]
                    if task["action"] != "write":
                        check(f"{library} reads {adapter}", ours[adapter][0], logits)
                        continue
                    labels = [part for label in LABELS for part in ("--label-name", label)]
                    graft.run("import", task["folder"], "--base", task["family"], "--adapter", adapter + "-imported",
                              "--max-length", "40", *labels)
                    check(f"graft reads {library}'s {adapter}", graft.logits(adapter + "-imported@1", texts)[0], logits)
            # graft's own export comes back as the very same version.
            for adapter, (_, version) in ours.items():
                graft.run("import", folder / "exported" / adapter, "--base", adapter.split("-")[0], "--adapter",
                          adapter + "-back")
                assert graft.logits(adapter + "-back@1", texts)[1] == version, adapter
    print("all the same, both ways")
    return 0


if __name__ == "__main__":
    sys.exit(main())
