"""A Llama of two layers that reads bytes, with a chat template, written with nothing but struct and json."""
import json
import random

from tiny_model import safetensors

HIDDEN, LAYERS, HEADS, KV_HEADS, INTERMEDIATE, POSITIONS = 32, 2, 4, 2, 48, 256
SPECIAL = ["<pad>", "<s>", "</s>"]
TEMPLATE = ("{% for m in messages %}{{ '<s>' + m['role'] + ':' + (m['content'] or '') + '</s>' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<s>assistant:' }}{% endif %}")


def byte_alphabet():
    """GPT-2's characters for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def write_tokenizer(folder, template):
    vocabulary = SPECIAL + byte_alphabet()
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "pre_tokenizer": byte_level,
        "post_processor": None, "decoder": byte_level,
        "added_tokens": [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, token in enumerate(SPECIAL)],
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": False, "byte_fallback": False, "vocab": {token: i for i, token in enumerate(vocabulary)},
                  "merges": []}}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>",
              "clean_up_tokenization_spaces": False, "model_max_length": POSITIONS}
    if template:
        config["chat_template"] = template
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return len(vocabulary)


def write_base(folder, template=TEMPLATE):
    """A HuggingFace folder; without a chat template if that is empty."""
    folder.mkdir(parents=True)
    vocabulary = write_tokenizer(folder, template)
    generator, tensors = random.Random(8), {}

    def linear(name, size_in, size_out, scale=None):
        scale = scale or size_in ** -0.5
        tensors[name + ".weight"] = [size_out, size_in], [generator.gauss(0, scale) for _ in range(size_in * size_out)]

    def norm(name):
        tensors[name + ".weight"] = [HIDDEN], [1.0] * HIDDEN

    width = HIDDEN // HEADS
    linear("model.embed_tokens", HIDDEN, vocabulary, 0.5)
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        norm(layer + "input_layernorm")
        norm(layer + "post_attention_layernorm")
        for part, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            linear(f"{layer}self_attn.{part}_proj", HIDDEN, heads * width)
        linear(layer + "self_attn.o_proj", HEADS * width, HIDDEN)
        linear(layer + "mlp.gate_proj", HIDDEN, INTERMEDIATE)
        linear(layer + "mlp.up_proj", HIDDEN, INTERMEDIATE)
        linear(layer + "mlp.down_proj", INTERMEDIATE, HIDDEN)
    norm("model.norm")
    linear("lm_head", HIDDEN, vocabulary)
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "intermediate_size": INTERMEDIATE,
        "vocab_size": vocabulary, "max_position_embeddings": POSITIONS, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "rope_theta": 10000.0, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}))
