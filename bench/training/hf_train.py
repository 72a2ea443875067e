"""The peer's half of bench/training: transformers' Trainer with a PEFT LoRA.

Usage: hf_train.py BASE_FOLDER DATA.jsonl [--job classification|language] [--precision bf16|fp32] [--defaults] ...
Prints one JSON line like train_bench's: real (non-padding) tokens and seconds of the steps after the warm-up.
--defaults is what a user gets who sets nothing but the precision: padding to the longest of a batch, examples in
random order, the base's dropout on. Without it everything that makes it faster is on.

A language model's bf16 is that of its weights; "autocast" is bf16 over fp32 weights, which is what a classifier's bf16 is.
"""

import argparse
import json
import os
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("base")
parser.add_argument("data")
parser.add_argument("--job", choices=["classification", "language"], default="classification")
parser.add_argument("--precision", choices=["bf16", "fp32", "autocast"], default="bf16")
parser.add_argument("--defaults", action="store_true")
parser.add_argument("--compile", action="store_true")
parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
parser.add_argument("--order", choices=["grouped", "random"], default="grouped", help="by length, or not")
parser.add_argument("--batches", choices=["padded", "kept", "packed"], default="padded",
                    help="of a language model: padded; with logits from the first loss on; one row without padding")
parser.add_argument("--adapters", choices=["fp32", "bf16"], default="fp32", help="of a language model in bf16: LoRA's type")
parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--max-length", type=int, default=512)
parser.add_argument("--examples", type=int, default=0, help="only the first so many")
parser.add_argument("--rank", type=int, default=8)
parser.add_argument("--rate", type=float, default=5e-4)
parser.add_argument("--epochs", type=float, default=1)
parser.add_argument("--warmup", type=int, default=2)
parser.add_argument("--output", default="/tmp/hf_train")
arguments = parser.parse_args()

os.environ["HF_HUB_OFFLINE"] = "1"
on_cpu = arguments.device == "cpu"
if not on_cpu:  # Trainer takes every GPU that it sees.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    chosen = int(arguments.device.removeprefix("cuda").removeprefix(":") or 0)
    os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[chosen] if visible else str(chosen)
import torch  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer,
    TrainerCallback, TrainingArguments)
from transformers.utils import logging  # noqa: E402

import hf_language  # noqa: E402

if not on_cpu and not torch.cuda.is_available():
    raise SystemExit(f"this Python's torch can't use {arguments.device}")
logging.set_verbosity_error()
torch.set_num_threads(arguments.threads)
torch.manual_seed(42)


def classification():
    """Model, examples, and what makes a batch of some."""
    tokenizer = AutoTokenizer.from_pretrained(arguments.base)
    dropout = {} if arguments.defaults else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = AutoModelForSequenceClassification.from_pretrained(
        arguments.base, num_labels=2, attn_implementation=arguments.attention, dtype=torch.float32, **dropout)
    model = get_peft_model(model, LoraConfig(
        task_type="SEQ_CLS", r=arguments.rank, lora_alpha=2 * arguments.rank, target_modules=["query", "value"]))
    labels, examples = {}, []
    with open(arguments.data, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            encoded = tokenizer(row["text"], truncation=True, max_length=arguments.max_length)
            encoded["labels"] = labels.setdefault(row["label"], len(labels))
            examples.append(dict(encoded))
    return model, examples, DataCollatorWithPadding(tokenizer)


def language():
    tokenizer = hf_language.load_tokenizer(arguments.base)
    dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(arguments.base, attn_implementation=arguments.attention, dtype=dtype)
    model.config.use_cache = False
    model = get_peft_model(model, LoraConfig(
        task_type="CAUSAL_LM", r=arguments.rank, lora_alpha=2 * arguments.rank, target_modules=["q_proj", "v_proj"]),
        autocast_adapter_dtype=arguments.adapters == "fp32")
    examples = [hf_language.encode(tokenizer, messages, arguments.max_length)
                for messages in hf_language.read_conversations(arguments.data)]
    batches = hf_language.BATCHES[arguments.batches]
    return model, examples, lambda some: batches(some, tokenizer.eos_token_id)


class Clock(TrainerCallback):
    """Notes the end of each step."""

    def __init__(self):
        self.ends, self.processor = [], []

    def on_step_end(self, args, state, control, **kwargs):
        if not on_cpu:
            torch.cuda.synchronize()  # graft's steps end with the device's answer too: the gradient's norm.
        self.ends.append(time.perf_counter())
        self.processor.append(time.process_time())


class Counting:
    """Counts the real tokens of each batch in the order in which they are taken."""

    def __init__(self, collate):
        self.collate = collate
        self.tokens = []

    def __call__(self, features):
        self.tokens.append(sum(feature["length"] for feature in features))
        return self.collate([{k: v for k, v in feature.items() if k != "length"} for feature in features])


model, examples, collate = {"classification": classification, "language": language}[arguments.job]()
examples = examples[:arguments.examples or None]
for example in examples:
    example["length"] = len(example["input_ids"])
grouped = arguments.order == "grouped" and not arguments.defaults
best = {"train_sampling_strategy": "group_by_length"} if grouped else {}
autocasts = arguments.precision == ("bf16" if arguments.job == "classification" else "autocast")
clock, collator = Clock(), Counting(collate)
trainer = Trainer(
    model=model,
    args=TrainingArguments(
        output_dir=arguments.output, per_device_train_batch_size=arguments.batch, num_train_epochs=arguments.epochs,
        learning_rate=arguments.rate, bf16=autocasts, use_cpu=on_cpu, torch_compile=arguments.compile,
        save_strategy="no", report_to=[], logging_strategy="no", disable_tqdm=True, remove_unused_columns=False,
        dataloader_num_workers=0, **best),
    train_dataset=examples, data_collator=collator, callbacks=[clock])
trainer.train()

steps = len(clock.ends)
first = arguments.warmup
print(json.dumps({
    "tokens": sum(collator.tokens[first:steps]),
    "seconds": clock.ends[-1] - clock.ends[first - 1],
    "cpu_seconds": clock.processor[-1] - clock.processor[first - 1],
    "steps": steps - first,
    "loss": trainer.state.log_history[-1].get("train_loss"),
    "precision": arguments.precision}))
