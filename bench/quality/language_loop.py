"""The peers' half of bench/quality for language models: PEFT's LoRA or AdapterHub's bottleneck in a plain PyTorch loop.

Usage: language_loop.py TASK.json, in the environment that scripts/setup.sh makes of the library. The task:
  {"method": "lora" or "bottleneck", "base": folder, "train": JSONL of conversations, "test": likewise, "seed": N, "threads": N,
   "device": "cpu" or "cuda:N", "start": folder of a version whose tensors are the initial values, or null: own draws,
   "batches": [[indices], ...] of each step, or null: own permutations,
   "epochs", "batch", "rate", "rank", "alpha", "size", "max_length"}
Prints one JSON line: loss and accuracy a token of the test data's answers, how many those are, and the seconds of training.
"""
import json
import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402
from transformers.utils import logging  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "training"))
import hf_language  # noqa: E402
import loop  # noqa: E402

logging.set_verbosity_error()
with open(sys.argv[1], encoding="utf-8") as file:
    task = json.load(file)
torch.set_num_threads(task["threads"])
torch.manual_seed(task["seed"])


def load_base():
    config = AutoConfig.from_pretrained(task["base"])
    with open(os.path.join(task["base"], "config.json"), encoding="utf-8") as file:
        wanted = json.load(file)
    # AdapterHub's version of transformers doesn't read version 5's field.
    config.rope_theta = wanted.get("rope_parameters", wanted).get("rope_theta", 10000.0)
    config.use_cache = False
    return AutoModelForCausalLM.from_pretrained(task["base"], config=config, torch_dtype=torch.float32)


def with_lora(model):
    from peft import LoraConfig, PeftModel, get_peft_model
    if task["start"]:
        return PeftModel.from_pretrained(model, task["start"], is_trainable=True)
    return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=task["rank"], lora_alpha=task["alpha"],
                                            target_modules=["q_proj", "v_proj"]))


def with_bottleneck(model):
    import adapters
    adapters.init(model)
    if task["start"]:
        name = model.load_adapter(task["start"], use_safetensors=True)
    else:
        name = "bench"
        model.add_adapter(name, config=adapters.BnConfig(
            mh_adapter=True, output_adapter=True, original_ln_before=False, non_linearity="swish",
            reduction_factor=model.config.hidden_size / task["size"]))
    model.train_adapter(name)
    return model


tokenizer = hf_language.load_tokenizer(task["base"])
model = {"lora": with_lora, "bottleneck": with_bottleneck}[task["method"]](load_base()).to(task["device"])


def read(path):
    return [hf_language.encode(tokenizer, messages, task["max_length"]) for messages in hf_language.read_conversations(path)]


def loss_of(examples):
    """Summed over the tokens that carry loss; how many are right, and how many they are."""
    batch = {key: rows.to(task["device"]) for key, rows in hf_language.padded(examples, tokenizer.eos_token_id).items()}
    targets = batch.pop("labels")[:, 1:]
    wanted = targets != hf_language.NO_LOSS
    logits = model(**batch).logits[:, :-1][wanted].float()
    loss = torch.nn.functional.cross_entropy(logits, targets[wanted], reduction="sum")
    return loss, (logits.argmax(1) == targets[wanted]).sum().item(), int(wanted.sum())


def mean_loss(batch):
    loss, _, count = loss_of([train[i] for i in batch])
    return loss / count


train, test = read(task["train"]), read(task["test"])
seconds = loop.train(model, task, len(train), mean_loss)

model.eval()
test.sort(key=lambda example: len(example["input_ids"]))
total, right, tokens = 0.0, 0, 0
with torch.no_grad():
    for i in range(0, len(test), 16):
        loss, correct, count = loss_of(test[i:i + 16])
        total, right, tokens = total + loss.item(), right + correct, tokens + count
print(json.dumps({"loss": total / tokens, "accuracy": right / tokens, "tokens": tokens, "seconds": seconds}))
