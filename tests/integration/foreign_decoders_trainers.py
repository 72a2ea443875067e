"""LoRA folders of language models as training programs leave them, for foreign_decoders_test.py.

Usage: foreign_decoders_trainers.py SOURCE OUT, in PEFT's reference environment. transformers' Trainer and TRL really train and save;
Unsloth's, Axolotl's and LLaMA-Factory's rows are PEFT's folder with what those programs write in it and beside it. Prints what
foreign_decoders_peft.py does.
"""
import json
import shutil
import sys
import warnings
from pathlib import Path

import peft
import torch
from datasets import Dataset
from foreign_adapters_peft import edit, shake, write_beside
from foreign_decoders_peft import LINEARS, UNSLOTH, load_base, logits_of
from transformers import AutoTokenizer, Trainer, TrainingArguments
from transformers.utils import logging
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
logging.disable_progress_bar()

# What is to come of each folder:
# name, base, who trains, what is imported of what it left, what is expected, a word of the refusal or warning.
ROWS = [
    ("trainer-checkpoint", "llama", "trainer", "checkpoint-2", "equal", "left aside"),
    ("trainer-output", "qwen2", "trainer", "", "equal", ""),
    ("trl-sft", "llama", "sft", "", "equal", "left aside"),
    ("trl-sft-checkpoint", "mistral", "sft", "checkpoint-2", "equal", "left aside"),
    ("trl-sft-all-linear", "qwen3", "sft-all", "", "equal", "left aside"),
    ("trl-dpo", "llama", "dpo", "", "equal", "left aside"),
    ("unsloth", "qwen2", "unsloth", "", "equal", "left aside"),
    ("unsloth-regex", "llama", "unsloth-regex", "", "equal", "left aside"),
    ("unsloth-new-pad-token", "llama", "unsloth-pad", "", "refused", "<|PAD_TOKEN|>"),
    ("axolotl", "mistral", "axolotl", "", "equal", "left aside"),
    ("axolotl-embeddings", "llama", "axolotl-embeddings", "", "equal", "left aside"),
    ("axolotl-new-tokens", "qwen2", "axolotl-tokens", "", "refused", "82 rows"),
    ("llama-factory", "qwen3", "llama-factory", "", "equal", "left aside"),
    ("llama-factory-checkpoint", "llama", "llama-factory", "checkpoint-2", "equal", "left aside"),
    ("llama-factory-ppo", "qwen2", "llama-factory-ppo", "", "equal", "value_head.safetensors"),
    ("llama-factory-dora", "llama", "llama-factory-dora", "", "refused", "use_dora"),
]


def common_options(folder):
    return {"output_dir": str(folder), "max_steps": 2, "save_steps": 2, "per_device_train_batch_size": 2, "report_to": [],
            "use_cpu": True, "disable_tqdm": True, "bf16": False, "logging_strategy": "no", "learning_rate": 1e-2}


def config_of(targets=None, **more):
    return peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=targets, **more)


def train(base, folder, how):
    """A short run; the model that it trained."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = peft.get_peft_model(load_base(base, False), config_of(LINEARS if how.endswith("all") else None))
    shake(model)
    if how == "trainer":
        ids = [tokenizer(text, padding="max_length", max_length=12)["input_ids"] for text in ("the cat sat on", "a dog ran in")]
        rows = [{"input_ids": row, "attention_mask": [1] * 12, "labels": row} for row in ids * 2]
        trainer = Trainer(model=model, args=TrainingArguments(**common_options(folder)), train_dataset=rows,
                          processing_class=tokenizer)
    elif how == "dpo":
        pairs = [{"prompt": "the cat", "chosen": " sat on the", "rejected": " ran in"}] * 4
        trainer = DPOTrainer(model=model, args=DPOConfig(**common_options(folder), gradient_checkpointing=False),
                             train_dataset=Dataset.from_list(pairs), processing_class=tokenizer)
    else:
        chats = [{"messages": [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sat on the"}]}] * 4
        trainer = SFTTrainer(model=model, args=SFTConfig(**common_options(folder), gradient_checkpointing=False),
                             train_dataset=Dataset.from_list(chats), processing_class=tokenizer)
    trainer.train()
    trainer.save_model(str(folder))
    return trainer.model


def save(base, folder, how):
    """PEFT's files and those that the program `how` adds to them."""
    program, _, variant = how.rpartition("-") if how.count("-") > (how.startswith("llama")) else (how, "", "")
    plain = load_base(base, False)
    tokenizer = AutoTokenizer.from_pretrained(base)
    if variant == "pad":
        tokenizer.add_special_tokens({"pad_token": "<|PAD_TOKEN|>"})
    if variant == "tokens":
        tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"])
        plain.resize_token_embeddings(plain.config.vocab_size + 2)
    targets = UNSLOTH if variant == "regex" else LINEARS
    more = {"use_dora": True} if variant == "dora" else {}
    if variant in ("embeddings", "tokens"):
        more["modules_to_save"] = ["embed_tokens", "lm_head"]
    model = peft.get_peft_model(plain, config_of(targets, **more))
    shake(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_beside(folder, "README.md", "training_args.bin")
    if program == "unsloth":
        edit(folder, base_model_name_or_path="unsloth/somebase-bnb-4bit", inference_mode=True,
             auto_mapping={"base_model_class": type(plain).__name__, "parent_library": type(plain).__module__, "unsloth_fixed": True})
    elif program == "axolotl":
        shutil.copy(Path(base) / "config.json", folder)
        write_beside(folder, "debug.log", "tokens_state.json")
    else:
        write_beside(folder, "all_results.json", "train_results.json", "trainer_log.jsonl", "trainer_state.json",
                     "training_loss.png", "Modelfile")
    if variant == "ppo":
        write_beside(folder, "value_head.safetensors")
    shutil.copytree(folder, folder.with_name("checkpoint"))
    shutil.move(folder.with_name("checkpoint"), folder / "checkpoint-2")
    return model


def make(source, out):
    """Makes every folder; yields the rows' outcomes."""
    for name, family, how, part, expect, words in ROWS:
        base = str(source / f"tests/golden/decoders/base-{family}")
        folder = out / "trainers" / name
        torch.manual_seed(3)
        makes = train if how in ("trainer", "sft", "sft-all", "dpo") else save
        model = makes(base, folder, how).eval()
        yield {"name": name, "folder": str(folder / part), "base": family, "expect": expect, "words": words, "arguments": [],
               "logits": logits_of(model) if expect == "equal" else None, "classifies": False, "template": None}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for made in make(Path(sys.argv[1]), Path(sys.argv[2])):
        print(json.dumps(made), flush=True)
