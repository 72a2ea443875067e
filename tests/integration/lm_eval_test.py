#!/usr/bin/env python3
"""What lm-eval finds of a model that graft serves (`--model local-completions`) it also finds of that model in
transformers (`--model hf`): the figures of four kinds of tasks and the answer to each request, of SmolLM2-135M-Instruct
alone and with a LoRA.

Exit code 77: skipped, with a sentence that says what is missing.
"""
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import SKIPPED, Graft, parse_paths, poll  # noqa: E402
from lm_eval_tasks import write_tasks  # noqa: E402
from oracles import cache, find_python  # noqa: E402
from tiny_model import write_lora  # noqa: E402

BASE = "smollm2"
LAYERS, HIDDEN, RANK = 30, 576, 4
OUTPUTS = {"q_proj": 576, "v_proj": 192}
TOLERANCE = 1e-3  # Of log-likelihoods from -0.1 to -190, where both sides compute in fp32.
SHARES = ("acc", "acc_norm", "exact_match")  # Figures that count answers; the others are of log-likelihoods.
FIGURES = {"choices": ("acc", "acc_norm"), "paragraphs": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
           "endings": ("acc", "perplexity"), "answers": ("exact_match",)}


def own_tolerance():
    """Of the base's log-likelihoods: a processor that is fast at bf16 serves it in bf16."""
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return 0.5 if "amx_bf16" in flags or "avx512_bf16" in flags else TOLERANCE


def write_adapter(folder, scale):
    """A LoRA of the base. What is imported is served in fp32: of scale 0 it is the base in fp32, on any processor."""
    draw, tensors = random.Random(7).uniform, {}
    for layer in range(LAYERS):
        for module, outputs in OUTPUTS.items():
            name = f"base_model.model.model.layers.{layer}.self_attn.{module}.lora_"
            for side, shape, bound in (("A", [RANK, HIDDEN], 0.06), ("B", [outputs, RANK], scale)):
                tensors[f"{name}{side}.weight"] = shape, [draw(-bound, bound) for _ in range(shape[0] * shape[1])]
    write_lora(folder, tensors, task_type="CAUSAL_LM", r=RANK, target_modules=list(OUTPUTS), modules_to_save=None)
    return folder


class Evaluation:
    """What one run of lm-eval found."""

    def __init__(self, folder):
        (results,) = folder.glob("*/results_*.json")
        found = json.loads(results.read_text())["results"]
        self.figures, self.samples = {}, {}
        for task, names in FIGURES.items():
            values = {name.partition(",")[0]: value for name, value in found[task].items()}  # "acc,none"
            self.figures.update({(task, name): values[name] for name in names})
            (path,) = folder.glob(f"*/samples_{task}_*.jsonl")
            self.samples.update({(task, row["doc_id"]): row for row in map(json.loads, path.read_text().splitlines())})

    def texts(self):
        """{(task, number): what the model wrote}"""
        return {key: row["resps"] for key, row in self.samples.items() if key[0] == "answers"}

    def likelihoods(self):
        """{(task, number, which of several): (log-likelihood, whether the model's own choice would be the same)}"""
        found = {}
        for (task, number), row in self.samples.items():
            for i, (answer,) in enumerate(row["resps"] if task != "answers" else []):
                value, is_own = answer if isinstance(answer, list) else (answer, "")
                found[task, number, i] = float(value), is_own
        return found


class Harness:
    """lm-eval, with the tasks' files and what it finds in `folder`."""

    def __init__(self, python, folder, address):
        self.python, self.folder, self.address = python, folder, address
        self.base, self.tasks = cache() / "bases" / BASE, write_tasks(folder)

    def run(self, name, model, model_args, *options):
        began, out = time.monotonic(), self.folder / name
        arguments = ",".join(f"{key}={value}" for key, value in model_args.items())
        done = subprocess.run(
            [self.python, "-m", "lm_eval", "run", "--model", model, "--model_args", arguments, "--tasks",
             ",".join(map(str, self.tasks)), "--output_path", out, "--log_samples", *options],
            capture_output=True, text=True, timeout=300, check=False, cwd=self.folder,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
                 "HF_HOME": str(self.folder / f"{name}-cache"), "OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, f"{name}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        return Evaluation(out)

    def in_transformers(self, name, **more):
        return self.run(name, "hf", {"pretrained": self.base, "dtype": "float32", **more}, "--device", "cpu",
                        "--batch_size", "8")

    def served(self, name, model, batch_size, **more):
        return self.run(name, "local-completions", {
            "model": model, "base_url": f"{self.address}/v1/completions", "tokenizer": self.base,
            "tokenizer_backend": "huggingface", "max_retries": 1, **more}, "--batch_size", str(batch_size))


def evaluate(paths, python, folder):
    """{name of a run: what it found}"""
    lora = write_adapter(folder / "lora", 0.12)
    with Graft(paths.bin, cache() / "bases", folder) as graft, ThreadPoolExecutor(2) as pool:
        graft.run("import", write_adapter(folder / "unchanged", 0), "--base", BASE, "--adapter", "unchanged")
        graft.run("import", lora, "--base", BASE, "--adapter", "lora")
        poll("a worker", lambda: graft.call("score", "--base", BASE, "x y")[0] == 0)
        address = f"http://127.0.0.1:{json.loads((graft.data / 'ports.json').read_text())['http']}"
        harness = Harness(python, folder, address)
        ids, texts = {"tokenized_requests": True}, {"tokenized_requests": False}
        runs = [pool.submit(harness.in_transformers, "hf"),
                pool.submit(harness.served, "ids", "unchanged@1", 1, num_concurrent=4, **ids),
                pool.submit(harness.in_transformers, "hf-lora", peft=lora),
                pool.submit(harness.served, "texts", "unchanged@1", 8, **texts),
                pool.submit(harness.served, "lora", "lora@1", 8, **ids),
                pool.submit(harness.served, "base", BASE, 1, num_concurrent=4, **texts)]
        names = ("hf", "ids", "hf-lora", "texts", "lora", "base")
        return dict(zip(names, [run.result() for run in runs], strict=True))


def is_decided(row, lengths, tolerance):
    """Whether one choice is the likeliest by more than the tolerance can change."""
    values = [(float(value), length) for ((value, _),), length in zip(row["resps"], lengths, strict=True)]
    best, of = max(values, key=lambda pair: pair[0] / pair[1])
    return all((value + tolerance) / length < (best - tolerance) / of for value, length in values if value != best)


def check_choices(ours, theirs, tolerance):
    """The same choice is right where the tolerance leaves it no other; returns how many those are, of both kinds."""
    count = 0
    for key, row in theirs.samples.items():
        if key[0] != "choices":
            continue
        choices = row["doc"]["choices"]
        for figure, lengths in (("acc", [1] * len(choices)), ("acc_norm", [len(choice) for choice in choices])):
            if is_decided(row, lengths, tolerance):
                assert ours.samples[key][figure] == row[figure], (key, figure, ours.samples[key], row)
                count += 1
    return count


def distances(ours, theirs):
    """{(task, number, which of several): how far the two log-likelihoods are apart}"""
    mine, others = ours.likelihoods(), theirs.likelihoods()
    assert mine.keys() == others.keys(), mine.keys() ^ others.keys()
    return {key: abs(mine[key][0] - others[key][0]) for key in others}


def check_same(ours, theirs, tolerance):
    """Returns a sentence on how far they are apart."""
    apart = distances(ours, theirs)
    worst = max(apart, key=apart.get)
    assert apart[worst] <= tolerance, (worst, apart[worst])
    decided = check_choices(ours, theirs, tolerance)
    for key, value in theirs.figures.items():
        if key[1] not in SHARES:  # Made of means, in which differences shrink.
            assert abs(math.log(ours.figures[key] / value)) <= tolerance / 4, (key, ours.figures[key], value)
    if tolerance == TOLERANCE:
        assert {key: ours.figures[key] for key in theirs.figures if key[1] in SHARES} == \
            {key: value for key, value in theirs.figures.items() if key[1] in SHARES}, (ours.figures, theirs.figures)
        assert [own for _, own in ours.likelihoods().values()] == [own for _, own in theirs.likelihoods().values()]
        assert ours.texts() == theirs.texts(), (ours.texts(), theirs.texts())
    return f"{len(apart)} log-likelihoods up to {apart[worst]:.1e} apart, {decided} choices the same"


def check_teeth(found):
    """The checks see another model, and the tasks have right answers and wrong ones."""
    theirs = found["hf"]
    apart = distances(found["lora"], theirs)
    assert min(apart.values()) > 5 * TOLERANCE, min(apart, key=apart.get)
    assert all(found["lora"].figures[key] != value for key, value in theirs.figures.items() if key[1] not in SHARES)
    for tolerance in (TOLERANCE, own_tolerance()):
        try:
            check_same(found["lora"], theirs, tolerance)
        except AssertionError:
            continue
        raise AssertionError(f"a model with a LoRA passes for the one without, at {tolerance}")
    for key, value in theirs.figures.items():
        assert key[1] not in SHARES or 0 < value < 1, (key, value)


def main():
    paths = parse_paths(__doc__, "bin")
    python = find_python("oracle-lm-eval")
    if python is None:
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="graft-lm-eval-") as name:
        found = evaluate(paths, python, Path(name))
    for key in found["hf"].figures:
        print(f"{'/'.join(key):28}", *(f"{name} {run.figures[key]:.6g}" for name, run in found.items()), sep="  ")
    for ours, theirs, tolerance in (("ids", "hf", TOLERANCE), ("texts", "hf", TOLERANCE),
                                    ("lora", "hf-lora", TOLERANCE), ("base", "hf", own_tolerance())):
        print(f"{ours} and {theirs}: {check_same(found[ours], found[theirs], tolerance)}")
    check_teeth(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
