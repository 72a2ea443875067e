#!/usr/bin/env python3
"""Whether graft's runs end as well as PEFT's: test loss and accuracy over many seeds, and a rank test.

LoRA rank 8 on query and value, alpha 16, on MiniLM and CLINC150's small set (150 intents, 50 examples each): learning rate
1e-3, linear without warm-up, batches of 16, 3 epochs, at most 128 tokens, no dropout, clipping at 1, fp32. Each side draws
its own initial values and orders. --exchange also runs PEFT from graft's initial values, from its orders, and from both;
with both it must end where graft does. Needs train_bench (cmake --build build/release --target train_bench makes it) and, for
the peer, a Python with PEFT; standard library only.

  bench/quality/run.py --data data_small.json --seeds 12

--job language: LoRA (rank 8 on q_proj and v_proj) and bottlenecks on smollm2 and conversations, beside PEFT and AdapterHub; see
language.py.

  bench/quality/run.py --job language --data instruction-data.json --seeds 3
"""
import argparse
import datetime
import json
import math
import os
import pathlib
import statistics
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import language  # noqa: E402
import philox  # noqa: E402
from sides import EXCHANGES, ask, ask_graft  # noqa: E402

CACHE = pathlib.Path(os.environ.get("GRAFT_CACHE", pathlib.Path.home() / ".cache" / "graft"))
BASE = "minilm"
EPOCHS, BATCH, RATE, RANK, ALPHA, MAX_LENGTH = 3, 16, 1e-3, 8, 16, 128


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", choices=["classification", "language"], default="classification")
    parser.add_argument("--data", required=True, help="CLINC150's data_small.json; language: a JSON list of instructions")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--examples", type=int, default=0, help="only so many training examples")
    parser.add_argument("--exchange", action="store_true", help="also exchange initial values and orders")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda:N, of both sides")
    parser.add_argument("--parallel", type=int, default=1, help="so many runs at a time")
    parser.add_argument("--graft", type=pathlib.Path, default=ROOT / "build/release/bin/train_bench")
    parser.add_argument("--bases", type=pathlib.Path, default=CACHE / "bases")
    parser.add_argument("--python", default=str(CACHE / "oracle-peft/bin/python"))
    parser.add_argument("--hub-python", default=str(CACHE / "oracle-adapters/bin/python"), help="with AdapterHub's library")
    parser.add_argument("--results", type=pathlib.Path, help="JSON lines; what stands there isn't run again")
    parser.add_argument("--write", help="Markdown file for the result")
    return parser.parse_args()


def read_data(path, examples):
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    names = sorted({label for _, label in data["train"]})
    index = {name: i for i, name in enumerate(names)}
    train = data["train"]
    if examples:
        train = [train[i] for i in philox.permutation(len(train), 1, philox.SHUFFLE, 0)[:examples]]
        index = {name: i for i, name in enumerate(sorted({label for _, label in train}))}
    return train, [row for row in data["test"] if row[1] in index], index


def write_rows(path, rows):
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return path


class Bench:
    """Runs of both sides."""

    names = ["graft", "PEFT"]

    def __init__(self, chosen, folder):
        train, test, index = read_data(chosen.data, chosen.examples)
        data = (train, test)
        self.what = f"{len(train)} training and {len(test)} test examples, {len(index)} classes"
        self.chosen, self.folder = chosen, folder
        self.data = [[[text, index[label]] for text, label in rows] for rows in data]
        self.labels = len(index)
        self.files = [write_rows(folder / f"{name}.jsonl", rows) for name, rows in zip(("train", "test"), data)]
        self.starts = threading.Lock()
        self.steps = EPOCHS * -(-len(data[0]) // BATCH)

    def graft(self, seed, folder=None):
        """Loss and accuracy. With a folder nothing but the initial values, written there: one step at a rate that changes nothing."""
        length = {"epochs": EPOCHS, "learning_rate": RATE} if folder is None else {"max_steps": 1, "learning_rate": 1e-30}
        job = {"base": BASE, "adapter": "bench", "task": {"sequence_classification": {}},
               "method": {"lora": {"rank": RANK, "alpha": ALPHA, "target_modules": ["query", "value"]}},
               "dataset": {"train": "bench", "text_columns": ["text"], "label_column": "label"},
               "hyperparameters": {"batch_size": BATCH, "max_length": MAX_LENGTH, "seed": seed, "precision": "FP32", **length}}
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(job, file)
            file.flush()
            return ask_graft(self.chosen, BASE, file.name, self.files, folder)

    def peer(self, seed, values, orders):
        start = self.folder / f"start-{seed}"
        if values:
            with self.starts:
                if not start.exists():
                    self.graft(seed, start)
        task = {"base": str(self.chosen.bases / BASE), "train": self.data[0], "test": self.data[1], "labels": self.labels,
                "seed": seed, "threads": self.chosen.threads, "device": self.chosen.device, "start": str(start) if values else None,
                "batches": philox.batches(len(self.data[0]), BATCH, seed, self.steps) if orders else None, "epochs": EPOCHS,
                "batch": BATCH, "rate": RATE, "rank": RANK, "alpha": ALPHA, "max_length": MAX_LENGTH}
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(task, file)
            file.flush()
            return ask([self.chosen.python, pathlib.Path(__file__).with_name("peft_loop.py"), file.name])

    def run(self, name, seed):
        if name == "graft":
            return self.graft(seed)
        return self.peer(seed, *EXCHANGES.get(name.removeprefix("PEFT from "), (False, False)))


def rank_test(a, b):
    """Mann-Whitney's U of a, and the two-sided p of a U so far from its mean (normal, with a correction for ties)."""
    values = sorted(a + b)
    rank = {v: (values.index(v) + 1 + values.index(v) + values.count(v)) / 2 for v in set(values)}
    u = sum(rank[v] for v in a) - len(a) * (len(a) + 1) / 2
    n = len(a) + len(b)
    ties = sum(values.count(v) ** 3 - values.count(v) for v in set(values))
    deviation = math.sqrt(len(a) * len(b) / 12 * (n + 1 - ties / (n * (n - 1))))
    distance = max(abs(u - len(a) * len(b) / 2) - 0.5, 0) / (deviation or 1)
    return u, math.erfc(distance / math.sqrt(2))


def report(results, what):
    lines = ["| runs | seeds | test loss, median (spread) | test accuracy, median (spread) | rank test against graft: loss, accuracy |",
             "|---|---|---|---|---|"]
    for name, runs in results.items():
        cells = []
        for figure in ("loss", "accuracy"):
            values = [run[figure] for run in runs.values()]
            cells.append(f"{statistics.median(values):.4f} ({min(values):.4f} to {max(values):.4f})")
        tests = "" if name == "graft" else ", ".join(
            f"p = {rank_test([r[f] for r in results['graft'].values()], [r[f] for r in runs.values()])[1]:.2f}"
            for f in ("loss", "accuracy"))
        lines.append(f"| {name} | {len(runs)} | {cells[0]} | {cells[1]} | {tests} |")
    command = " ".join(os.path.basename(word) if os.path.isabs(word) else word for word in sys.argv[1:])
    lines += ["", f"{datetime.date.today()}, {what}. `bench/quality/run.py {command}`"]
    return "\n".join(lines) + "\n"


def settings(chosen):
    """What two rows of one table must have in common."""
    common = {"data": pathlib.Path(chosen.data).name, "examples": chosen.examples, "device": chosen.device.split(":")[0]}
    return common if chosen.job == "classification" else {**common, "job": chosen.job}


def read_results(path, common):
    """{(runs, seed): row} of an earlier call."""
    lines = path.read_text().splitlines() if path and path.exists() else []
    rows = [json.loads(line) for line in lines]
    if any(row.get(key) != value for row in rows for key, value in common.items()):
        sys.exit(f"{path} holds runs with other settings than {common}; give another file as --results")
    return {(row["runs"], row["seed"]): row for row in rows}


def run_all(bench, wanted, parallel, keep):
    """Calls keep(name, seed, figures) after each run; once one has failed none begins."""
    failed = threading.Event()

    def run_one(which):
        if failed.is_set():
            return None
        try:
            return bench.run(*which)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(parallel) as pool:
        runs = {pool.submit(run_one, which): which for which in wanted}
        try:
            for run in as_completed(runs):
                if figures := run.result():
                    keep(*runs[run], figures)
        finally:
            failed.set()


def main():
    chosen = options()
    kind = Bench
    if chosen.job == "language":
        kind = language.Bench
    names = [*kind.names, *(f"{peer} from {name}" for peer in kind.names if not peer.startswith("graft")
                            for name in EXCHANGES if chosen.exchange)]
    common = settings(chosen)
    done = read_results(chosen.results, common)
    # A seed's runs stand together, so that all sides are as far when the time is up.
    wanted = [(name, seed) for seed in range(1, chosen.seeds + 1) for name in names if (name, seed) not in done]

    def keep(name, seed, figures):
        row = done[name, seed] = {"runs": name, "seed": seed, **common, **figures}
        print(f"seed {seed:3}  {name:32} loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}", flush=True)
        if chosen.results:
            with open(chosen.results, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    with tempfile.TemporaryDirectory() as temp:
        try:
            bench = kind(chosen, pathlib.Path(temp))
            run_all(bench, wanted, chosen.parallel, keep)
        except (RuntimeError, OSError) as error:
            sys.exit(str(error))
    results = {name: {seed: done[name, seed] for seed in range(1, chosen.seeds + 1)} for name in names}
    text = (report if kind is Bench else language.report)(results, bench.what)
    print("\n" + text)
    if chosen.write:
        pathlib.Path(chosen.write).write_text(text)


if __name__ == "__main__":
    main()
