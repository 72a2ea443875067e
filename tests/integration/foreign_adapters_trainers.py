"""Adapter folders as training programs leave them, for foreign_adapters_test.py.

Usage: foreign_adapters_trainers.py SOURCE OUT, in PEFT's reference environment. transformers' Trainer and TRL really train and save;
Axolotl's and LLaMA-Factory's rows are PEFT's folder with the files that those programs add. Prints what foreign_adapters_peft.py does.
"""
import json
import shutil
import sys
import warnings
from pathlib import Path

import peft
import torch
from datasets import Dataset
from foreign_adapters_peft import LABELS, logits_of, shake, write_beside
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments
from transformers.utils import logging
from trl import RewardConfig, RewardTrainer

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
logging.disable_progress_bar()

# What is to come of each folder:
# name, base, who trains, what is imported of what it left, what is expected, a word of the refusal or warning.
ROWS = [
    ("trainer-checkpoint", "bert", "trainer", "checkpoint-2", "equal", "left aside"),
    ("trainer-output", "bert", "trainer", "", "equal", ""),
    ("trainer-distilbert", "distilbert", "trainer", "", "equal", ""),
    ("trainer-saved-beside-checkpoints", "bert", "trainer-saved", "", "equal", "left aside"),
    ("trainer-two-checkpoints", "bert", "trainer-twice", "", "refused", "checkpoint-1"),
    ("trl-reward", "bert", "trl", "", "refused", "1 output"),
    ("trl-reward-checkpoint", "bert", "trl", "checkpoint-2", "refused", "1 output"),
    ("axolotl", "bert", "axolotl", "", "equal", "left aside"),
    ("axolotl-distilbert", "distilbert", "axolotl", "", "equal", "left aside"),
    ("llama-factory-output", "bert", "llama-factory", "", "equal", "left aside"),
    ("llama-factory-reward", "bert", "llama-factory-reward", "", "refused", "CAUSAL_LM"),
]
TARGETS = {"bert": None, "distilbert": ["q_lin", "v_lin"]}


def model_of(base, family, labels):
    named = {} if labels == 1 else {"id2label": dict(enumerate(LABELS)), "label2id": {name: i for i, name in enumerate(LABELS)}}
    plain = AutoModelForSequenceClassification.from_pretrained(base, num_labels=labels, **named)
    config = peft.LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=TARGETS[family])
    return plain, config


def common_options(folder, every):
    return {"output_dir": str(folder), "max_steps": 2, "save_steps": every, "per_device_train_batch_size": 2, "report_to": [],
            "use_cpu": True, "disable_tqdm": True, "bf16": False, "logging_strategy": "no"}


def train(base, family, folder, how):
    """A short run of transformers' Trainer; the model that it trained."""
    plain, config = model_of(base, family, len(LABELS))
    model = peft.get_peft_model(plain, config)
    shake(model)
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = [{**tokenizer(text, truncation=True, padding="max_length", max_length=8), "labels": i % len(LABELS)}
            for i, text in enumerate(["w1 w2", "w3", "w4 w5 w6", "w7"])]
    options = TrainingArguments(**common_options(folder, 1 if how == "trainer-twice" else 2), learning_rate=1e-2)
    trainer = Trainer(model=model, args=options, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    if how == "trainer-saved":
        trainer.save_model(str(folder))
    return model


def train_reward(base, family, folder):
    plain, config = model_of(base, family, 1)
    options = RewardConfig(**common_options(folder, 2), max_length=16, gradient_checkpointing=False, eos_token="[SEP]")
    pairs = Dataset.from_list([{"chosen": "w1 w2", "rejected": "w3 w4"}] * 4)
    trainer = RewardTrainer(model=plain, args=options, train_dataset=pairs, processing_class=AutoTokenizer.from_pretrained(base),
                            peft_config=config)
    trainer.train()
    trainer.save_model(str(folder))


def save(base, family, folder, how):
    """PEFT's files and those that Axolotl or LLaMA-Factory add to them."""
    plain, config = model_of(base, family, len(LABELS))
    model = peft.get_peft_model(plain, config)
    shake(model)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    write_beside(folder, "README.md", "training_args.bin")
    if how == "axolotl":
        shutil.copy(base / "config.json", folder)  # The base's: it knows no labels.
        write_beside(folder, "debug.log", "axolotl.yaml", "tokens_state.json")
    else:
        write_beside(folder, "all_results.json", "train_results.json", "trainer_log.jsonl", "trainer_state.json",
                     "training_loss.png", "chat_template.jinja", "Modelfile")
    if how == "llama-factory-reward":
        write_beside(folder, "value_head.safetensors")
        path = folder / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "task_type": "CAUSAL_LM"}))
    shutil.copytree(folder, folder.with_name("checkpoint"))
    shutil.move(folder.with_name("checkpoint"), folder / "checkpoint-2")
    return model


def make(source, out):
    """Makes every folder; yields the rows' outcomes."""
    for name, family, how, part, expect, words in ROWS:
        base = source / f"tests/golden/data/base-{family}"
        folder = out / "trainers" / name
        torch.manual_seed(3)
        if how == "trl":
            model = train_reward(str(base), family, folder)
        elif how.startswith("trainer"):
            model = train(str(base), family, folder, how)
        else:
            model = save(base, family, folder, how)
        logits = logits_of(model.eval(), base) if expect == "equal" else None
        yield {"name": name, "folder": str(folder / part), "base": family, "labels": ["score"] if how == "trl" else LABELS,
               "expect": expect, "words": words, "logits": logits, "arguments": []}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for made in make(Path(sys.argv[1]), Path(sys.argv[2])):
        print(json.dumps(made), flush=True)
