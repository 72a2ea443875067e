"""A peer's half of bench/serving: mistral.rs (package mistralrs), in this process, each stream with a LoRA of its own if asked for.

    python mistralrs_generate.py BASE_FOLDER [--streams N] [--adapters N] [--tokens N] [--prompt TEXT] [--dtype F32|BF16]

It takes its threads from RAYON_NUM_THREADS and the processor. Prints one JSON line like generate_bench's.
"""
import argparse
import json
import os
import tempfile
import time

import numpy
from safetensors.numpy import save_file


def make_adapter(folder, config, seed):
    os.makedirs(folder)
    random = numpy.random.default_rng(seed)
    hidden, kv = config["hidden_size"], config["num_key_value_heads"] * config["head_dim"]
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        for name, out in (("q_proj", config["num_attention_heads"] * config["head_dim"]), ("v_proj", kv)):
            path = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[path + ".lora_A.weight"] = random.normal(0, 0.02, (8, hidden)).astype("float32")
            tensors[path + ".lora_B.weight"] = random.normal(0, 0.02, (out, 8)).astype("float32")
    save_file(tensors, folder + "/adapter_model.safetensors")
    with open(folder + "/adapter_config.json", "w") as f:
        json.dump({"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 16, "lora_dropout": 0.0,
                   "bias": "none", "target_modules": ["q_proj", "v_proj"], "base_model_name_or_path": "base"}, f)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--adapters", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompt", default="The")
    parser.add_argument("--dtype", default="F32")
    arguments = parser.parse_args()
    import mistralrs
    dtype = getattr(mistralrs.ModelDType, arguments.dtype)
    which = mistralrs.Which.Lora(arguments.base, dtype=dtype) if arguments.adapters else mistralrs.Which.Plain(
        arguments.base, dtype=dtype)
    runner = mistralrs.Runner(which, max_seqs=max(arguments.streams, 1), prefix_cache_n=0)
    with tempfile.TemporaryDirectory() as scratch, open(arguments.base + "/config.json") as config:
        config = json.load(config)
        for i in range(arguments.adapters):
            make_adapter(f"{scratch}/{i}", config, i)
            runner.load_lora_adapter(f"a{i}", f"{scratch}/{i}")

    def start(number, tokens):
        adapter = f"a{number % arguments.adapters}" if arguments.adapters else None
        return runner.send_chat_completion_request(mistralrs.ChatCompletionRequest(
            messages=[{"role": "user", "content": f"{arguments.prompt} {number}"}], model="default", max_tokens=tokens,
            temperature=0.0, ignore_eos=True, stream=True, adapter=adapter))

    def generate(tokens):
        begin = time.perf_counter()
        streams = [start(i, tokens) for i in range(arguments.streams)]  # Returns at once; the chunks are kept.
        pieces = sum(len(list(stream)) for stream in streams)
        if pieces < tokens * arguments.streams * 3 // 4:
            raise SystemExit(f"{pieces} pieces came of {tokens * arguments.streams} tokens")
        return time.perf_counter() - begin, tokens * arguments.streams

    generate(4)
    seconds, tokens = generate(arguments.tokens)
    print(json.dumps({"tokens": tokens, "seconds": seconds, "tokens_per_second": tokens / seconds}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
