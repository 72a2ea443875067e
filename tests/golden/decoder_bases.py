"""The tiny decoders of the golden cases: configurations, random weights, and the proof that each part of them matters.

Weights are scaled so that attention is neither even nor one-hot, and every bias and norm is random: at default initialisation
a forward pass without positions, biases or windows gives almost the same logits, and a test would pass. check_traits makes
that passes with one thing wrong differ.
"""
import json
import math
import os

import torch

VOCAB = 80
LENGTHS = (1, 2, 7, 33, 90)
COMMON = {"vocab_size": VOCAB, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2,
          "intermediate_size": 64, "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def rope(kind="default", theta=10000.0, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **more}}


# name: (family, configuration beyond COMMON, how it is stored). "v4" is config.json as transformers 4 writes it.
BASES = {
    "llama": ("llama", {**rope(), "tie_word_embeddings": False}, {}),
    "llama-linear": ("llama", {**rope("linear", 1000.0, factor=4.0), "tie_word_embeddings": True},
                     {"dtype": torch.bfloat16, "v4": True}),
    # With this theta one frequency is kept, one lies between the bands and two are divided.
    "llama-llama3": ("llama", {**rope("llama3", 500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                      original_max_position_embeddings=64),
                               "max_position_embeddings": 512, "tie_word_embeddings": False}, {"shards": "90KB", "v4": True}),
    # As above: kept, between, divided, divided. attention_factor is the default, 0.1 ln 4 + 1.
    "llama-yarn": ("llama", {**rope("yarn", 100.0, factor=4.0, original_max_position_embeddings=32),
                             "tie_word_embeddings": True}, {"dtype": torch.float16}),
    "llama-bias": ("llama", {**rope(theta=2000.0), "attention_bias": True, "mlp_bias": True, "head_dim": 10,
                             "rms_norm_eps": 1e-3, "tie_word_embeddings": True}, {"dtype": torch.bfloat16}),
    "mistral": ("mistral", {**rope(theta=5000.0), "sliding_window": 16, "head_dim": 12, "tie_word_embeddings": False},
                {"dtype": torch.bfloat16, "v4": True}),
    "qwen2": ("qwen2", {**rope(theta=20000.0), "use_sliding_window": False, "sliding_window": None,
                        "tie_word_embeddings": True}, {}),
    "qwen2-window": ("qwen2", {**rope(theta=20000.0), "use_sliding_window": True, "sliding_window": 12,
                               "max_window_layers": 1, "tie_word_embeddings": False}, {"dtype": torch.float16, "v4": True}),
    "qwen3": ("qwen3", {**rope(theta=3000.0), "head_dim": 12, "use_sliding_window": False, "sliding_window": None,
                        "tie_word_embeddings": False}, {}),
}


def make_config(name):
    import transformers

    family, own, _ = BASES[name]
    return transformers.AutoConfig.for_model(family, **{**COMMON, **own})


def shake(model, generator):
    """Random values of a size that matters everywhere."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            p.data = 1.5 + 0.3 * noise  # After such a norm the scores have no other scale.
        elif name.endswith("norm.weight"):
            p.data = 1.0 + 0.3 * noise
        elif name.endswith(".bias"):
            p.data = 0.3 * noise
        elif "embed_tokens" in name:
            p.data = 0.3 * noise
        elif "lm_head" in name:
            p.data = 2.0 * noise / p.shape[1] ** 0.5
        elif "q_proj" in name or "k_proj" in name:
            p.data = 1.4 * noise / p.shape[1] ** 0.5
        else:
            p.data = noise / p.shape[1] ** 0.5


def to_v4(config, dtype):
    """config.json's content as transformers 4 wrote it."""
    parameters = dict(config.pop("rope_parameters"))
    config.pop("dtype", None)
    config.pop("layer_types", None)
    kind = parameters.pop("rope_type")
    config["rope_theta"] = parameters.pop("rope_theta")
    # The older of its two spellings, where only that was known.
    config["rope_scaling"] = {("type" if kind == "linear" else "rope_type"): kind, **parameters} if kind != "default" else None
    config["torch_dtype"] = str(dtype).removeprefix("torch.")
    config["transformers_version"] = "4.46.0"
    return config


def write_base(name, folder):
    import transformers

    _, _, stored = BASES[name]
    dtype = stored.get("dtype", torch.float32)
    model = transformers.AutoModelForCausalLM.from_config(make_config(name), attn_implementation="eager")
    shake(model, torch.Generator().manual_seed(1000 + list(BASES).index(name)))
    model.to(dtype).save_pretrained(folder, max_shard_size=stored.get("shards", "1GB"))
    path = os.path.join(folder, "config.json")
    with open(path) as file:
        config = json.load(file)
    if stored.get("v4"):
        config = to_v4(config, dtype)
    with open(path, "w") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    write_tokenizer(folder, config["model_type"])


# Readers of a model of this type heed its class rather than the file; so the file says what the class does.
QWEN_SPLIT = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
              "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")


def qwen_stages():
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": QWEN_SPLIT}, "behavior": "Isolated", "invert": False}
    return {"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
            "post_processor": byte_level, "decoder": byte_level}


def write_tokenizer(folder, model_type):
    """Letters, digits and some merges, so that a server can serve the folder; characters beyond them are dropped."""
    special = ["<pad>", "<s>", "</s>"]
    merges = ["Ġ t", "h e", "Ġt he", "i n", "e r", "o n", "Ġ a", "r e", "Ġ s", "a n", "Ġ w", "o r", "e n", "Ġ c", "i s", "e s",
              "a t", "Ġ b", "o u", "in g", "Ġ o", "Ġo n", "Ġ f", "l l", "Ġa n", "Ġan d", "Ġ m", "e d", "i t", "Ġ p", "Ġ d",
              "l e", "a r", "Ġ h", "s t"]
    tokens = special + list("abcdefghijklmnopqrstuvwxyz") + ["Ġ", ".", ",", "!", "?", "'"] + list("0123456789")
    tokens += [merge.replace(" ", "") for merge in merges]
    assert len(tokens) == len(set(tokens)) == VOCAB
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, token in enumerate(special)],
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                  "vocab": {token: i for i, token in enumerate(tokens)}, "merges": merges}}
    if model_type.startswith("qwen"):
        tokenizer.update(qwen_stages())
    template = ("{% for m in messages %}{{ '<s>' + m['role'] + ' ' + m['content'] + '</s>' }}{% endfor %}"
                "{% if add_generation_prompt %}{{ '<s>assistant ' }}{% endif %}")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "unk_token": "<pad>",
              "bos_token": "<s>", "eos_token": "</s>", "clean_up_tokenization_spaces": False, "model_max_length": 128, "chat_template": template}
    for name, value in (("tokenizer.json", tokenizer), ("tokenizer_config.json", config)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False)
            file.write("\n")


def load(folder, attention="eager", **config):
    import transformers

    return transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention, dtype=torch.float32,
                                                             **config).eval()


def load_variant(name, folder, config=None, change=None):
    """The base with another configuration, or after `change` of its weights {name: tensor}."""
    import transformers

    state = load(folder).state_dict()
    family, own, _ = BASES[name]
    other = transformers.AutoConfig.for_model(family, **{**COMMON, **own, **(config or {})})
    model = transformers.AutoModelForCausalLM.from_config(other, attn_implementation="eager").eval()
    state = {key: value.clone() for key, value in state.items() if key in model.state_dict()}
    if change:
        change(state)
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    return model


# --- Is each part of it seen? -----------------------------------------------------------------------------------------


def heads_of(key, config):
    return config.num_attention_heads if "q_proj" in key else config.num_key_value_heads


def reorder(config, which, order):
    """Rows of q_proj (and k_proj) of each head in another order."""
    def change(state):
        for key in state:
            if "_proj" in key and key.split(".")[-2] in which:
                heads = heads_of(key, config)
                rows = state[key].reshape(heads, -1, *state[key].shape[1:])
                state[key] = order(rows).reshape(state[key].shape)
    return change


def variants(name):
    """What a wrong forward pass might do: {what: (configuration, change of the weights)}."""
    family, own, _ = BASES[name]
    config = make_config(name)
    parameters = own["rope_parameters"]
    plain = rope(theta=parameters["rope_theta"])
    size = config.head_dim if getattr(config, "head_dim", None) else config.hidden_size // config.num_attention_heads
    result = {
        "theta of the default": (rope(**{**rename(parameters), "theta": 700.0}), None),
        "neighbours rotated instead of halves": (
            {}, reorder(config, ("q_proj", "k_proj"),
                        lambda rows: torch.cat([rows[:, 0::2], rows[:, 1::2]], dim=1))),
        # Query head i reading KV head i mod 2 instead of i div 3.
        "KV heads tiled": ({}, lambda state: tile(state, config, size)),
        "norms of ones": ({}, lambda state: [value.fill_(1.0) for key, value in state.items() if "layernorm" in key]),
        "final norm of ones": ({}, lambda state: state["model.norm.weight"].fill_(1.0)),
        "gate and up swapped": ({}, swap_gate_and_up),
    }
    if parameters["rope_type"] != "default":
        result["no scaling"] = (plain, None)
        result["linear scaling"] = (rope("linear", parameters["rope_theta"], factor=2.0), None)
    if parameters["rope_type"] == "llama3":
        result["no band between"] = (rope(**{**rename(parameters), "high_freq_factor": 1.0001}), None)
    if parameters["rope_type"] == "yarn":
        result["no attention factor"] = (rope(**rename(parameters), attention_factor=1.0), None)
        result["no ramp"] = (rope(**rename(parameters), beta_fast=1.0), None)
    biases = {"llama-bias": "qkvo", "qwen2": "qkv", "qwen2-window": "qkv"}.get(name, "")
    for letter in biases:
        result[f"no bias of {letter}"] = ({}, without_bias(letter + "_proj"))
    if name == "llama-bias":
        result["another epsilon"] = ({"rms_norm_eps": 1e-2}, None)
        for part in ("gate_proj", "up_proj", "down_proj"):
            result[f"no bias of {part}"] = ({}, without_bias(part))
    window = own.get("sliding_window")
    if window:
        for what, other in (("no window", None), ("a window longer by one", window + 1), ("shorter by one", window - 1)):
            result[what] = ({"sliding_window": other}, None)
    if name == "qwen2-window":
        result["windows in all layers"] = ({"max_window_layers": 0}, None)
        result["windows in the last layer"] = ({"max_window_layers": 2}, None)
    if name == "qwen3":
        for part in ("q_norm", "k_norm"):
            result[f"{part} of 1.5"] = ({}, fill(part, 1.5))
    return result


def rename(parameters):
    return {("kind" if k == "rope_type" else "theta" if k == "rope_theta" else k): v for k, v in parameters.items()}


def tile(state, config, size):
    groups = config.num_attention_heads // config.num_key_value_heads
    order = [kv + config.num_key_value_heads * i for kv in range(config.num_key_value_heads) for i in range(groups)]
    for key in state:
        if "q_proj" in key:
            state[key] = state[key].reshape(-1, size, *state[key].shape[1:])[order].reshape(state[key].shape)
        elif "o_proj.weight" in key:
            columns = state[key].reshape(state[key].shape[0], -1, size)
            state[key] = columns[:, order].reshape(state[key].shape)


def swap_gate_and_up(state):
    for key in list(state):
        if "gate_proj" in key:
            other = key.replace("gate_proj", "up_proj")
            state[key], state[other] = state[other], state[key]


def without_bias(part):
    return lambda state: [value.zero_() for key, value in state.items() if key.endswith(part + ".bias")]


def fill(part, number):
    return lambda state: [value.fill_(number) for key, value in state.items() if part in key]


def check_traits(name, folder, ids):
    """Raises unless every variant moves some logit of the text by a twentieth of their standard deviation."""
    with torch.no_grad():
        logits = load(folder).forward(ids).logits
        for what, (config, change) in variants(name).items():
            other = load_variant(name, folder, config, change)(ids).logits
            moved = ((other - logits).abs().max() / logits.std()).item()
            if moved < 0.05:
                raise RuntimeError(f"{name}: {what} moves the logits by {moved:.4f} standard deviations only")
        same = load_variant(name, folder)(ids).logits
        assert torch.equal(same, logits), f"{name}: config.json is not what was meant"


def check_attention(name, folder, ids):
    """Raises unless the entropy of attention lies well between one-hot and even, in every layer. Returns the share of the
    greatest possible by layers."""
    model = load(folder)
    window = [getattr(layer.self_attn, "sliding_window", None) or ids.shape[1] for layer in model.model.layers]
    with torch.no_grad():
        attentions = model(ids, output_attentions=True).attentions
    shares = []
    for weights, width in zip(attentions, window):
        p = weights[0, :, 8:]
        entropy = -(p * p.clamp_min(1e-30).log()).sum(-1)
        greatest = torch.tensor([math.log(min(i + 1, width)) for i in range(8, ids.shape[1])])
        shares.append((entropy / greatest).mean().item())
        assert (p > 0).sum(-1).max() <= width
    if not all(0.2 < share < 0.85 for share in shares):
        raise RuntimeError(f"{name}: attention's entropy is {shares} of the greatest possible")
    return shares
