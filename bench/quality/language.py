"""bench/quality's runs of language models: graft's LoRA beside PEFT's, and its bottlenecks beside AdapterHub's.

smollm2 on conversations of one question and one answer, loss on the answers: batches of 8, one epoch, rate 1e-3, linear without
warm-up, at most 128 tokens (none has more), no dropout, clipping at 1, fp32. LoRA has rank 8 and alpha 16 on q_proj and v_proj;
bottlenecks stand behind both sublayers, 32 wide, silu. Each side draws its own initial values and orders.
"""
import datetime
import json
import os
import pathlib
import statistics
import sys
import tempfile
import threading

import philox  # Where run.py looks for modules.
import sides

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "training"))
from jobs import Language  # noqa: E402

BASE = "smollm2"
EPOCHS, BATCH, RATE, RANK, ALPHA, SIZE, MAX_LENGTH = 1, 8, 1e-3, 8, 16, 32, 128
EXAMPLES, TEST = 256, 64
METHODS = {"lora": {"rank": RANK, "alpha": ALPHA, "target_modules": ["q_proj", "v_proj"]},
           # AdapterHub's initial values spread twice as far as graft's own default.
           "bottleneck": {"placement": "HOULSBY", "size": SIZE, "init_std": 0.02}}
PEERS = {"PEFT": "lora", "AdapterHub": "bottleneck"}


class Bench:
    """Runs of all sides, under run.py."""

    names = ["graft lora", "PEFT", "graft bottleneck", "AdapterHub"]

    def __init__(self, chosen, folder):
        rows = Language.rows(chosen.data, (chosen.examples or EXAMPLES) + TEST)
        self.chosen, self.folder = chosen, folder
        self.count = len(rows) - TEST
        self.what = f"{self.count} training and {TEST} validation conversations"
        self.files = [self.write("train", rows[:-TEST]), self.write("test", rows[-TEST:])]
        self.starts = threading.Lock()

    def write(self, name, rows):
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def graft(self, method, seed, folder=None):
        """Loss and accuracy. With a folder nothing but the initial values, written there: one step at a rate that changes nothing."""
        length = {"epochs": EPOCHS, "learning_rate": RATE} if folder is None else {"max_steps": 1, "learning_rate": 1e-30}
        job = {"base": BASE, "adapter": "bench", "task": {"causal_lm": {}}, "method": {method: METHODS[method]},
               "dataset": {"train": "bench", "messages_column": "messages"},
               "hyperparameters": {"batch_size": BATCH, "max_length": MAX_LENGTH, "seed": seed, "precision": "FP32", **length}}
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(job, file)
            file.flush()
            return sides.ask_graft(self.chosen, BASE, file.name, self.files, folder)

    def peer(self, name, seed, values, orders):
        method = PEERS[name]
        start = self.folder / f"start-{method}-{seed}"
        if values:
            with self.starts:
                if not start.exists():
                    self.graft(method, seed, start)
        steps = EPOCHS * -(-self.count // BATCH)
        task = {"method": method, "base": str(self.chosen.bases / BASE), "train": str(self.files[0]), "test": str(self.files[1]),
                "seed": seed, "threads": self.chosen.threads, "device": self.chosen.device, "start": str(start) if values else None,
                "batches": philox.batches(self.count, BATCH, seed, steps) if orders else None, "epochs": EPOCHS, "batch": BATCH,
                "rate": RATE, "rank": RANK, "alpha": ALPHA, "size": SIZE, "max_length": MAX_LENGTH}
        python = self.chosen.python if method == "lora" else self.chosen.hub_python
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(task, file)
            file.flush()
            return sides.ask([python, pathlib.Path(__file__).with_name("language_loop.py"), file.name])

    def run(self, name, seed):
        if name.startswith("graft "):
            return self.graft(name.removeprefix("graft "), seed)
        peer, _, exchange = name.partition(" from ")
        return self.peer(peer, seed, *sides.EXCHANGES.get(exchange, (False, False)))


def report(results, what):
    lines = ["| runs | seeds | validation loss, median (spread) | token accuracy, median (spread) | graft's loss over it, seed by seed: median (spread) |",
             "|---|---|---|---|---|"]
    for name, runs in results.items():
        cells = []
        for figure in ("loss", "accuracy"):
            values = [row[figure] for row in runs.values()]
            cells.append(f"{statistics.median(values):.4f} ({min(values):.4f} to {max(values):.4f})")
        ratios = []
        if method := PEERS.get(name.partition(" from ")[0]):
            ratios = [results[f"graft {method}"][seed]["loss"] / row["loss"] for seed, row in runs.items()]
        ratio = f"{statistics.median(ratios):.4f} ({min(ratios):.4f} to {max(ratios):.4f})" if ratios else ""
        lines.append(f"| {name} | {len(runs)} | {cells[0]} | {cells[1]} | {ratio} |")
    command = " ".join(os.path.basename(word) if os.path.isabs(word) else word for word in sys.argv[1:])
    lines += ["", f"{datetime.date.today()}, {what}. `bench/quality/run.py {command}`"]
    return "\n".join(lines) + "\n"
