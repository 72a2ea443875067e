#!/usr/bin/env python3
"""Whether graft's runs end as well as PEFT's: test loss and accuracy over many seeds, and a rank test.

LoRA rank 8 on query and value, alpha 16, on MiniLM and CLINC150's small set (150 intents, 50 examples each): learning rate
1e-3, linear without warm-up, batches of 16, 3 epochs, at most 128 tokens, no dropout, clipping at 1, fp32. Each side draws
its own initial values and orders. --exchange also runs PEFT from graft's initial values, from its orders, and from both;
with both it must end where graft does. Needs a release build; standard library only.

  bench/quality/run.py --data data_small.json --seeds 12
"""
import argparse
import datetime
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import philox  # noqa: E402
from live_graft import Graft, poll  # noqa: E402

CACHE = pathlib.Path(os.environ.get("GRAFT_CACHE", pathlib.Path.home() / ".cache" / "graft"))
EPOCHS, BATCH, RATE, RANK, ALPHA, MAX_LENGTH = 3, 16, 1e-3, 8, 16, 128
EXCHANGES = {"graft's initial values": (True, False), "graft's orders": (False, True), "both": (True, True)}


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="CLINC150's data_small.json")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--examples", type=int, default=0, help="only so many training examples")
    parser.add_argument("--exchange", action="store_true", help="also exchange initial values and orders")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--bases", type=pathlib.Path, default=CACHE / "bases")
    parser.add_argument("--python", default=str(CACHE / "oracle-peft/bin/python"))
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


class Ours:
    """graft's runs, through a server as a user would have them."""

    def __init__(self, graft, train, test, folder):
        self.graft, self.train, self.test, self.folder = graft, train, test, folder

    def _job(self, adapter, seed, *more):
        arguments = ["--base", "minilm", "--adapter", adapter, "--train", self.train, "--method", "lora", "--set",
                     f"rank={RANK}", "--set", f"alpha={ALPHA}", "--set", "target_modules=query,value", "--batch-size",
                     str(BATCH), "--seed", str(seed), "--precision", "FP32", "--max-length", str(MAX_LENGTH), *more]
        name = self.graft.submit(*arguments)
        job = poll(f"job {name}", lambda: self.graft._ended(name), deadline=3600, pause=0.5)
        assert job["state"] == "SUCCEEDED", job
        return job

    def run(self, seed):
        job = self._job(f"seed-{seed}", seed, "--lr", str(RATE), "--epochs", str(EPOCHS), "--test", self.test)
        figures = next(e for e in job["evaluations"] if e["split"] == "test")
        return {"loss": figures["loss"], "accuracy": figures["accuracy"]}

    def start(self, seed):
        """A folder with the initial values of a seed: one step at a rate that changes nothing."""
        folder = self.folder / f"start-{seed}"
        if not folder.exists():
            self._job(f"start-{seed}", seed, "--lr", "1e-30", "--max-steps", "1")
            self.graft.run("export", f"start-{seed}@1", folder)
        return str(folder)


def run_peer(chosen, data, index, seed, start=None, batches=None):
    train, test = ([[text, index[label]] for text, label in rows] for rows in data)
    task = {"base": str(chosen.bases / "minilm"), "train": train, "test": test, "labels": len(index), "seed": seed,
            "threads": chosen.threads, "start": start, "batches": batches, "epochs": EPOCHS, "batch": BATCH, "rate": RATE,
            "rank": RANK, "alpha": ALPHA, "max_length": MAX_LENGTH}
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(task, file)
        file.flush()
        done = subprocess.run([chosen.python, pathlib.Path(__file__).with_name("peft_loop.py"), file.name],
                              capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"peft_loop.py ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


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


def report(results, chosen, size):
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
    lines += ["", f"{datetime.date.today()}, {size[0]} training and {size[1]} test examples, {size[2]} classes. "
                  f"`bench/quality/run.py {command}`"]
    return "\n".join(lines) + "\n"


def main():
    chosen = options()
    train, test, index = read_data(chosen.data, chosen.examples)
    results = {"graft": {}, "PEFT": {}, **({f"PEFT from {name}": {} for name in EXCHANGES} if chosen.exchange else {})}
    if chosen.results and chosen.results.exists():
        for line in chosen.results.read_text().splitlines():
            row = json.loads(line)
            results.setdefault(row["runs"], {})[row["seed"]] = row
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        files = write_rows(folder / "train.jsonl", train), write_rows(folder / "test.jsonl", test)
        with Graft(chosen.bin, chosen.bases, folder) as graft:
            ours = Ours(graft, *files, folder)
            steps = EPOCHS * -(-len(train) // BATCH)

            def run(name, seed):
                if name == "graft":
                    return ours.run(seed)
                values, orders = EXCHANGES.get(name.removeprefix("PEFT from "), (False, False))
                return run_peer(chosen, (train, test), index, seed, ours.start(seed) if values else None,
                                philox.batches(len(train), BATCH, seed, steps) if orders else None)

            for seed in range(1, chosen.seeds + 1):
                for name in results:
                    if seed in results[name]:
                        continue
                    results[name][seed] = {"runs": name, "seed": seed, **run(name, seed)}
                    row = results[name][seed]
                    print(f"seed {seed:3}  {name:32} loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}", flush=True)
                    if chosen.results:
                        with open(chosen.results, "a", encoding="utf-8") as file:
                            file.write(json.dumps(row) + "\n")
    text = report(results, chosen, (len(train), len(test), len(index)))
    print("\n" + text)
    if chosen.write:
        pathlib.Path(chosen.write).write_text(text)


if __name__ == "__main__":
    main()
