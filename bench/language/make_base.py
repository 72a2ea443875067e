"""Makes a base of a known shape with random weights in bfloat16, for benches of speed: speed doesn't hang on values.

    python make_base.py SHAPE OUT [--seed N]      SHAPE: llama-3.1-8b, llama-3.2-1b or smollm2-135m

The folder has config.json, shards and a vocab.txt of words "w0", "w1", ...: a text of n such words has n tokens and two
more. Needs torch and safetensors; uses a GPU if there is one, for drawing 8 billion numbers on a CPU takes minutes.
"""
import argparse
import json
import os

import torch
from safetensors.torch import save_file

SHAPES = {
    "llama-3.1-8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                         num_key_value_heads=8, vocab_size=128256, max_position_embeddings=8192, rope_theta=500000.0,
                         tie_word_embeddings=False),
    "llama-3.2-1b": dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
                         num_key_value_heads=8, vocab_size=128256, max_position_embeddings=8192, rope_theta=500000.0,
                         tie_word_embeddings=True),
    "smollm2-135m": dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                         num_key_value_heads=3, vocab_size=49152, max_position_embeddings=8192, rope_theta=100000.0,
                         tie_word_embeddings=True),
}
WORDS = 4096


def tensors(shape):
    """Names and shapes, a list a shard: the embeddings, then layers by four."""
    hidden, middle = shape["hidden_size"], shape["intermediate_size"]
    head = hidden // shape["num_attention_heads"]
    kv = shape["num_key_value_heads"] * head
    vocabulary = [shape["vocab_size"], hidden]
    first = [("model.embed_tokens.weight", vocabulary), ("model.norm.weight", [hidden])]
    if not shape["tie_word_embeddings"]:
        first.append(("lm_head.weight", vocabulary))
    yield first
    shard = []
    for i in range(shape["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        shard += [(layer + "input_layernorm.weight", [hidden]), (layer + "post_attention_layernorm.weight", [hidden]),
                  (layer + "self_attn.q_proj.weight", [hidden, hidden]), (layer + "self_attn.k_proj.weight", [kv, hidden]),
                  (layer + "self_attn.v_proj.weight", [kv, hidden]), (layer + "self_attn.o_proj.weight", [hidden, hidden]),
                  (layer + "mlp.gate_proj.weight", [middle, hidden]), (layer + "mlp.up_proj.weight", [middle, hidden]),
                  (layer + "mlp.down_proj.weight", [hidden, middle])]
        if i % 4 == 3:
            yield shard
            shard = []
    if shard:
        yield shard


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    os.makedirs(args.out, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device=device).manual_seed(args.seed)

    def draw(size):
        if len(size) == 1:
            return torch.ones(size, dtype=torch.bfloat16)
        return (torch.randn(size, generator=generator, device=device, dtype=torch.bfloat16) * 0.02).cpu()

    shards = list(tensors(shape))
    index, total = {}, 0
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        drawn = {name: draw(size) for name, size in shard}
        save_file(drawn, os.path.join(args.out, file), metadata={"format": "pt"})
        index.update({name: file for name in drawn})
        total += sum(tensor.nbytes for tensor in drawn.values())
    with open(os.path.join(args.out, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": total}, "weight_map": index}, f)
    config = dict(shape, model_type="llama", architectures=["LlamaForCausalLM"], hidden_act="silu", rms_norm_eps=1e-5,
                  torch_dtype="bfloat16", bos_token_id=2, eos_token_id=3)
    with open(os.path.join(args.out, "config.json"), "w") as f:
        json.dump(config, f, indent=2)
    with open(os.path.join(args.out, "vocab.txt"), "w") as f:
        f.write("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(WORDS)]) + "\n")
    with open(os.path.join(args.out, "tokenizer_config.json"), "w") as f:
        json.dump({"tokenizer_class": "BertTokenizer", "do_lower_case": False}, f)
    print(json.dumps({"base": args.out, "parameters": total // 2}))


if __name__ == "__main__":
    main()
