"""What bench/training trains: for each kind of job its data, graft's spec, and the peer's options.

A job has: rows(path, count); spec(base, precision); precisions of graft's side; peer: the peer's arguments; sweep: groups of
options of the peer's, tried one group after the other, each beside the best of the groups before; examples, warmup: defaults.
"""
import csv
import gzip
import json
import random


class Classification:
    """LoRA rank 8 on query and value, batches of 16 reviews cut at 512 tokens, one epoch."""

    base, examples, warmup = "minilm", 288, 2
    data = "CSV (or .csv.gz) with the columns review and sentiment"
    precisions = ("FP32", "BF16")
    peers = {"peer fp32": ["--precision", "fp32"], "peer bf16": ["--precision", "bf16"]}
    peer = ["--job", "classification", "--batch", "16", "--max-length", "512", "--rate", "5e-4"]
    sweep = []
    graft = []

    @staticmethod
    def rows(path, count):
        opener = gzip.open if path.endswith(".gz") else open
        with opener(path, "rt", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        random.Random(7).shuffle(rows)
        return [{"text": row["review"], "label": row["sentiment"]} for row in rows[:count]]

    @staticmethod
    def spec(base, precision):
        return {
            "base": base, "adapter": "bench", "task": {"sequence_classification": {}},
            "method": {"lora": {"rank": 8, "alpha": 16, "target_modules": ["query", "value"]}},
            "dataset": {"train": "bench", "text_columns": ["text"], "label_column": "label"},
            "hyperparameters": {"epochs": 1, "batch_size": 16, "max_length": 512, "learning_rate": 5e-4,
                                "precision": precision}}


class Language:
    """LoRA rank 8 on q_proj and v_proj, batches of 8 conversations of one question and one answer, loss on the answers, one
    epoch. Conversations of the instructions have 42 to 104 tokens, 57 in the mean, a quarter of which carry loss: 128 cut none.
    """

    base, examples, warmup = "smollm2", 320, 4
    data = "JSON list of records with instruction, input and output"
    precisions = ("AUTO",)
    peers = {"peer": []}
    peer = ["--job", "language", "--batch", "8", "--max-length", "128", "--rate", "2e-4"]
    sweep = [
        [["--precision", "bf16"], ["--precision", "fp32"], ["--precision", "autocast"]],
        [["--batches", "padded"], ["--batches", "kept"], ["--batches", "packed"]],
        [["--attention", "sdpa"], ["--attention", "eager"]],
        [["--adapters", "fp32"], ["--adapters", "bf16"]],
        [["--order", "grouped"], ["--order", "random"]],
        [[], ["--threads", "1"]],
        [[], ["--compile"]],
    ]
    graft = ["--products"]

    @staticmethod
    def rows(path, count):
        with open(path, encoding="utf-8") as file:
            records = json.load(file)
        random.Random(7).shuffle(records)
        return [{"messages": conversation(record)} for record in records[:count]]

    @staticmethod
    def spec(base, precision):
        return {
            "base": base, "adapter": "bench", "task": {"causal_lm": {}},
            "method": {"lora": {"rank": 8, "alpha": 16, "target_modules": ["q_proj", "v_proj"]}},
            "dataset": {"train": "bench", "messages_column": "messages"},
            "hyperparameters": {"epochs": 1, "batch_size": 8, "max_length": 128, "learning_rate": 2e-4,
                                "precision": precision}}


def conversation(record):
    question = record["instruction"] + ("\n" + record["input"] if record["input"] else "")
    return [{"role": "user", "content": question}, {"role": "assistant", "content": record["output"]}]


JOBS = {"classification": Classification, "language": Language}
