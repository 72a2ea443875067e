#!/usr/bin/env python3
"""How OpenMP's threads should wait for one another: training and serving under libgomp's settings, quiet and on busy cores.

libgomp's threads spin before they sleep, which saves a wake-up where cores are free and takes them from others where they
aren't. Each round runs every setting once, in turn: a job of LoRA on short texts alone and beside busy loops, one a core, and a
short text classified again and again in the same four ways. What counts is the median over rounds of the ratio to the first setting
within a round. Needs graft's programs and train_bench; standard library only.

  bench/waiting/run.py --rounds 5
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from live_graft import Graft  # noqa: E402

CACHE = pathlib.Path(os.environ.get("GRAFT_CACHE", pathlib.Path.home() / ".cache" / "graft"))
SETTINGS = {"libgomp's default": {"GOMP_SPINCOUNT": "300000"}, "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
            "GOMP_SPINCOUNT=0": {"GOMP_SPINCOUNT": "0"}, "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"}}
KINDS = {"training": "tokens/s", "training, busy": "tokens/s", "classify": "texts/s", "classify, busy": "texts/s"}


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=320)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--bases", type=pathlib.Path, default=CACHE / "bases")
    parser.add_argument("--write", help="Markdown file for the result")
    return parser.parse_args()


@contextlib.contextmanager
def busy(loops):
    """Other programs that want every core."""
    children = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def write_data(path, examples):
    choose = random.Random(3)
    words = ["ship", "late", "lost", "card", "pay", "help", "open", "close", "new", "old", "thanks", "order"]
    rows = [{"text": " ".join(choose.choices(words, k=12)), "label": f"l{i % 4}"} for i in range(examples)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def train(chosen, folder, environment):
    command = [chosen.bin / "train_bench", "--threads", str(chosen.threads), chosen.bases, "minilm", folder / "job.json",
               folder / "train.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    result = json.loads(done.stdout.splitlines()[-1])
    return result["tokens"] / result["seconds"]


def classify(graft, requests):
    graft.run("classify", "--adapter", "waits", "the order is late")
    start = time.monotonic()
    for _ in range(requests):
        graft.run("classify", "--adapter", "waits", "the order is late")
    return requests / (time.monotonic() - start)


@contextlib.contextmanager
def serving(chosen, folder, environment):
    """A server whose worker has the setting; an adapter is live."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    with tempfile.TemporaryDirectory(dir=folder) as data, Graft(chosen.bin, chosen.bases, pathlib.Path(data)) as graft:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        graft.train("--base", "minilm", "--adapter", "waits", "--train", folder / "train.jsonl", "--method", "lora", "--max-steps", "2",
                    "--promote")
        yield graft


def measure(chosen, folder, environment):
    speeds = {}
    with busy(0):
        speeds["training"] = train(chosen, folder, environment)
    with busy(chosen.threads):
        speeds["training, busy"] = train(chosen, folder, environment)
    with serving(chosen, folder, environment) as graft:
        speeds["classify"] = classify(graft, chosen.requests)
        with busy(chosen.threads):
            speeds["classify, busy"] = classify(graft, chosen.requests)
    return speeds


def report(chosen, results):
    first = next(iter(results))
    lines = ["| setting | " + " | ".join(f"{kind}: {unit} (ratio)" for kind, unit in KINDS.items()) + " |",
             "|---" * (len(KINDS) + 1) + "|"]
    for name, rounds in results.items():
        cells = []
        for kind in KINDS:
            ratios = [ours[kind] / base[kind] for ours, base in zip(rounds, results[first])]
            cells.append(f"{statistics.median(r[kind] for r in rounds):.0f} ({statistics.median(ratios):.2f}; {min(ratios):.2f} "
                         f"to {max(ratios):.2f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    command = " ".join(os.path.basename(word) if os.path.isabs(word) else word for word in sys.argv[1:])
    lines += ["", f"{datetime.date.today()}, {chosen.threads} threads, {chosen.rounds} rounds. `bench/waiting/run.py {command}`"]
    return "\n".join(lines) + "\n"


def main():
    chosen = options()
    job = {"base": "minilm", "adapter": "bench", "task": {"sequence_classification": {}}, "method": {"lora": {"rank": 8}},
           "dataset": {"train": "bench"}, "hyperparameters": {"epochs": 1, "batch_size": 8, "max_length": 64, "precision": "FP32"}}
    results = {name: [] for name in SETTINGS}
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        (folder / "job.json").write_text(json.dumps(job))
        write_data(folder / "train.jsonl", chosen.examples)
        for number in range(chosen.rounds):
            names = list(SETTINGS)
            random.Random(number).shuffle(names)
            for name in names:
                results[name].append(measure(chosen, folder, SETTINGS[name]))
                shown = "  ".join(f"{kind} {speed:.1f}" for kind, speed in results[name][-1].items())
                print(f"round {number + 1}  {name:24} {shown}", flush=True)
    text = report(chosen, results)
    print("\n" + text)
    if chosen.write:
        pathlib.Path(chosen.write).write_text(text)


if __name__ == "__main__":
    main()
