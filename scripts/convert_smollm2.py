#!/usr/bin/env python3
"""Makes a folder as transformers saves them of SmolLM2's GGUF file. See --help.

Needs numpy alone: the two libraries that read such files would bring a dozen others into every set-up, and transformers' own
conversion splits no digits. Anything in the file that this was not written for ends it with a sentence, for a converter that
passes over a statement makes a model that answers almost as it should.
"""
import argparse
import hashlib
import json
import mmap
import os
import shutil
import signal
import struct
import sys
import tempfile

import numpy as np

READ_FIELDS = {"attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon", "block_count",
               "context_length", "embedding_length", "feed_forward_length", "rope.dimension_count", "rope.freq_base",
               "vocab_size"}
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
CONTROL_TOKEN = 3
OUTER = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
         "output.weight": "lm_head.weight"}
IN_LAYER = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
            "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
            "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}


class Refused(Exception):
    pass


# --- GGUF, versions 2 and 3 -------------------------------------------------------------------------------------------


class Gguf:
    """The fields of a file, and its tensors' places: {name: (shape, type, offset)}, shapes as numpy has them."""

    def __init__(self, path):
        with open(path, "rb") as file:
            if file.read(4) != b"GGUF":
                raise Refused(f"{path} is no GGUF file")
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 4
        version = self._scalar("I")
        if version not in (2, 3):
            raise Refused(f"{path} is GGUF of version {version}; 2 and 3 are read")
        num_tensors, num_fields = self._scalar("Q"), self._scalar("Q")
        self.fields = {}
        for _ in range(num_fields):
            name = self._string()
            self.fields[name] = self._value(self._scalar("I"))
        self.tensors = {}
        for _ in range(num_tensors):
            name = self._string()
            sizes = [self._scalar("Q") for _ in range(self._scalar("I"))]
            self.tensors[name] = (tuple(reversed(sizes)), self._scalar("I"), self._scalar("Q"))
        alignment = self.fields.get("general.alignment", 32)
        self._start = -(-self._at // alignment) * alignment

    def _scalar(self, form):
        value, = struct.unpack_from("<" + form, self.data, self._at)
        self._at += struct.calcsize("<" + form)
        return value

    def _string(self):
        length = self._scalar("Q")
        self._at += length
        return self.data[self._at - length:self._at].decode()

    def _value(self, kind):
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            kind, count = self._scalar("I"), self._scalar("Q")
            return [self._value(kind) for _ in range(count)]
        return self._scalar(SCALARS[kind])

    def tensor(self, name):
        """As float32; quantised values are block by block scale * q (+ minimum)."""
        shape, kind, offset = self.tensors[name]
        count = int(np.prod(shape))
        sizes = {0: 4 * count, 3: count // 32 * 20, 8: count // 32 * 34}
        if kind not in sizes:
            raise Refused(f"the tensor {name} is of GGUF's type {kind}; 0 (F32), 3 (Q4_1) and 8 (Q8_0) are read")
        raw = np.frombuffer(self.data, np.uint8, sizes[kind], self._start + offset)
        if kind == 0:
            return raw.view("<f4").reshape(shape)
        blocks = raw.reshape(count // 32, -1)
        scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
        if kind == 8:
            return (blocks[:, 2:].view(np.int8) * scales).reshape(shape)
        minima = blocks[:, 2:4].copy().view("<f2").astype(np.float32)
        quants = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
        return (quants * scales + minima).reshape(shape)


# --- What transformers reads ------------------------------------------------------------------------------------------


def model_config(gguf, dtype):
    fields, own = gguf.fields, {}
    if fields.get("general.architecture") != "llama":
        raise Refused(f"the file's architecture is {fields.get('general.architecture')!r}, not 'llama'")
    for name, value in fields.items():
        if name.startswith("llama."):
            own[name.removeprefix("llama.")] = value
    if set(own) != READ_FIELDS:
        raise Refused("the file's llama fields are not those of SmolLM2: " + ", ".join(sorted(set(own) ^ READ_FIELDS)))
    head_dim = own["embedding_length"] // own["attention.head_count"]
    if own["rope.dimension_count"] != head_dim:
        raise Refused(f"{own['rope.dimension_count']} of each head's {head_dim} dimensions are rotated")
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": own["vocab_size"],
        "hidden_size": own["embedding_length"], "intermediate_size": own["feed_forward_length"],
        "num_hidden_layers": own["block_count"], "num_attention_heads": own["attention.head_count"],
        "num_key_value_heads": own["attention.head_count_kv"], "head_dim": head_dim, "hidden_act": "silu",
        "attention_bias": False, "mlp_bias": False, "max_position_embeddings": own["context_length"],
        # Stored as float32; its shortest decimal is what was meant, 1e-05.
        "rms_norm_eps": float(str(np.float32(own["attention.layer_norm_rms_epsilon"]))),
        "rope_theta": own["rope.freq_base"], "rope_scaling": None,
        "tie_word_embeddings": "output.weight" not in gguf.tensors, **special_ids(gguf), "torch_dtype": dtype}


def special_ids(gguf):
    return {f"{name}_token_id": gguf.fields[f"tokenizer.ggml.{key}_token_id"]
            for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))}


def tokenizer(gguf):
    field = {name.removeprefix("tokenizer.ggml."): value for name, value in gguf.fields.items()}
    kind = field.get("model"), field.get("pre"), field.get("add_bos_token"), field.get("add_space_prefix")
    if kind != ("gpt2", "smollm", False, False):
        raise Refused(f"the file's tokenizer is not SmolLM2's: model, pre, add_bos_token, add_space_prefix are {kind}")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokens = field["tokens"]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True}
                         for i, kind in enumerate(field["token_type"]) if kind == CONTROL_TOKEN],
        "normalizer": None,
        # "smollm" means that digits stand alone before GPT-2's expression is applied.
        "pre_tokenizer": {"type": "Sequence",
                          "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": {**byte_level, "add_prefix_space": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                  "vocab": {token: i for i, token in enumerate(tokens)}, "merges": field["merges"]}}


def tokenizer_config(gguf):
    field = {name.removeprefix("tokenizer.ggml."): value for name, value in gguf.fields.items()}
    named = {name: field["tokens"][field[f"{key}_token_id"]]
             for name, key in (("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"),
                               ("pad_token", "padding"))}
    # Of the class GPT2Tokenizer transformers 5 would replace the split of digits by GPT-2's.
    return {"tokenizer_class": "PreTrainedTokenizerFast", **named, "clean_up_tokenization_spaces": False,
            "model_max_length": gguf.fields["llama.context_length"],
            "chat_template": gguf.fields["tokenizer.chat_template"]}


def readme(gguf, source, dtype):
    return f"""---
license: {gguf.fields["general.license"]}
base_model: {gguf.fields["general.organization"]}/SmolLM2-135M-Instruct
---
# SmolLM2-135M-Instruct

A chat model of 135 million parameters by {gguf.fields["general.organization"]}, under the Apache License 2.0. graft's
scripts/convert_smollm2.py made this folder of {os.path.basename(source)}. The weights are the
values of that file's four-bit blocks, stored as {dtype}: close to the original model's, not equal to them.
"""


# --- Weights ----------------------------------------------------------------------------------------------------------


def transformers_name(name):
    if name in OUTER:
        return OUTER[name]
    parts = name.split(".")
    if len(parts) != 4 or parts[0] != "blk" or parts[2] not in IN_LAYER or parts[3] != "weight":
        raise Refused(f"the tensor {name} has no place in a llama of transformers")
    return f"model.layers.{parts[1]}.{IN_LAYER[parts[2]]}.weight"


def rows_in_halves(weight, num_heads):
    """GGUF pairs a head's rows for the rotation as 0-1, 2-3, ...; transformers pairs its two halves."""
    rows, columns = weight.shape
    return weight.reshape(num_heads, rows // num_heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def to_bfloat16(values):
    """The bits of the nearest bfloat16s, ties to even; values are finite."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def write_weights(gguf, config, dtype, path):
    """Byte for byte as the safetensors library writes them. Returns the file's SHA-256."""
    names = sorted((transformers_name(name), name) for name in gguf.tensors)
    size = 2 if dtype == "bfloat16" else 4
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, stored in names:
        shape = gguf.tensors[stored][0]
        end = offset + size * int(np.prod(shape))
        header[name] = {"dtype": "BF16" if size == 2 else "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        def write(data):
            file.write(data)
            digest.update(data)

        write(struct.pack("<Q", len(text)) + text)
        for i, (name, stored) in enumerate(names):
            weight = gguf.tensor(stored)
            if not np.isfinite(weight).all():
                raise Refused(f"the tensor {stored} holds a value that is not finite")
            if ".attn_q." in stored:
                weight = rows_in_halves(weight, config["num_attention_heads"])
            if ".attn_k." in stored:
                weight = rows_in_halves(weight, config["num_key_value_heads"])
            write((to_bfloat16(weight) if size == 2 else weight.astype("<f4")).tobytes())
            if i % 50 == 0:
                print(f"wrote {i} of {len(names)} tensors", flush=True)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def convert(source, folder, dtype, sha256):
    gguf = Gguf(source)
    config = model_config(gguf, dtype)
    files = {"config.json": config, "generation_config.json": special_ids(gguf), "tokenizer.json": tokenizer(gguf),
             "tokenizer_config.json": tokenizer_config(gguf)}
    for name, value in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, indent=None if name == "tokenizer.json" else 2)
            file.write("\n")
    with open(os.path.join(folder, "README.md"), "w", encoding="utf-8") as file:
        file.write(readme(gguf, source, dtype))
    found = write_weights(gguf, config, dtype, os.path.join(folder, "model.safetensors"))
    if sha256 and found != sha256:
        raise Refused(f"the weights are not the expected ones: the SHA-256 of model.safetensors is {found}")


def main():
    parser = argparse.ArgumentParser(description="Makes a folder that transformers and graft read of the GGUF file of "
                                     "SmolLM2-135M-Instruct. The folder appears whole or not at all.")
    parser.add_argument("gguf", metavar="FILE.gguf")
    parser.add_argument("out", metavar="OUT", help="the folder to make; it must not be there yet")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16",
                        help="float32 holds the file's values exactly, in twice the bytes (default: %(default)s)")
    parser.add_argument("--sha256", metavar="HEX", help="what model.safetensors must have; else no folder is made")
    options = parser.parse_args()
    out = os.path.abspath(options.out)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: sys.exit("convert_smollm2.py: interrupted"))
    temporary = None
    try:
        if os.path.lexists(out):
            raise Refused(f"{out} is there already")
        # Beside its place, so that a rename moves it; its name is none that a base can have.
        temporary = tempfile.mkdtemp(prefix=f".{os.path.basename(out)}-", dir=os.path.dirname(out))
        convert(options.gguf, temporary, options.dtype, options.sha256)
        os.chmod(temporary, 0o755)
        os.rename(temporary, out)
        temporary = None
    except (Refused, OSError) as error:
        sys.exit(f"convert_smollm2.py: {error}")
    except (struct.error, KeyError, ValueError, UnicodeDecodeError) as error:
        sys.exit(f"convert_smollm2.py: {options.gguf} is cut short or no file of SmolLM2 ({error!r})")
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    main()
