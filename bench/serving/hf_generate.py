"""A peer's half of bench/serving: transformers' generate on a padded batch, with PEFT's adapters mixed in it if asked for.

    python hf_generate.py BASE_FOLDER [--streams N] [--adapters N] [--tokens N] [--prompt TEXT] [--dtype bfloat16|float32]
                          [--threads N] [--attention sdpa|eager]

Prints one JSON line like generate_bench's.
"""
import argparse
import json
import os
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("base")
parser.add_argument("--streams", type=int, default=1)
parser.add_argument("--adapters", type=int, default=0)
parser.add_argument("--tokens", type=int, default=64)
parser.add_argument("--prompt", required=True)
parser.add_argument("--dtype", default="bfloat16")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--attention", default="sdpa")
arguments = parser.parse_args()

os.environ["HF_HUB_OFFLINE"] = "1"
import torch  # noqa: E402
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast  # noqa: E402
from transformers.utils import logging  # noqa: E402

logging.set_verbosity_error()
torch.set_num_threads(arguments.threads)
torch.manual_seed(1)
tokenizer = PreTrainedTokenizerFast.from_pretrained(arguments.base, padding_side="left")
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
model = AutoModelForCausalLM.from_pretrained(arguments.base, dtype=getattr(torch, arguments.dtype),
                                             attn_implementation=arguments.attention).eval()
names = {}
if arguments.adapters:
    from peft import LoraConfig, get_peft_model
    config = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False,
                        task_type="CAUSAL_LM")
    model = get_peft_model(model, config, adapter_name="a0").eval()
    for i in range(1, arguments.adapters):
        model.add_adapter(f"a{i}", config)
    model.to(getattr(torch, arguments.dtype))
    names = {"adapter_names": [f"a{i % arguments.adapters}" for i in range(arguments.streams)]}
batch = tokenizer([f"{arguments.prompt} {i}" for i in range(arguments.streams)], return_tensors="pt", padding=True)
batch.pop("token_type_ids", None)


def generate(tokens):
    with torch.inference_mode():
        return model.generate(**batch, do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens,
                              pad_token_id=tokenizer.pad_token_id, **names)


generate(4)
start = time.perf_counter()
output = generate(arguments.tokens)
seconds = time.perf_counter() - start
tokens = arguments.streams * arguments.tokens
print(json.dumps({"tokens": tokens, "seconds": seconds, "tokens_per_second": tokens / seconds,
                  "first": output[0, batch["input_ids"].shape[1]:].tolist()}))
