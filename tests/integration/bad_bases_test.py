#!/usr/bin/env python3
"""Language models' folders that can't be read as they are: quantised by other programs, cut, half copied. Server and engine each refuse
them with a sentence that names the file and the field or tensor, and go on serving.
"""
import json
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import Graft, parse_paths  # noqa: E402

QUERY = "model.layers.0.self_attn.q_proj.weight"
SIZES = {"F32": 4, "I32": 4, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8}


def read_tensors(path):
    """{name: (dtype, shape, bytes)} of a safetensors file."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"], data[8 + length:][slice(*entry["data_offsets"])])
            for name, entry in header.items()}


def write_tensors(path, tensors):
    header, blob = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def quantised(method, **more):
    return lambda folder: edit_config(folder, quantization_config={"quant_method": method, **more})


def with_tensors(change):
    def apply(folder):
        path = folder / "model.safetensors"
        tensors = read_tensors(path)
        change(tensors)
        write_tensors(path, tensors)
    return apply


def retyped(dtype):
    """A weight as a quantised file has it: as many numbers of another type."""
    def change(tensors):
        _, shape, data = tensors[QUERY]
        tensors[QUERY] = (dtype, shape, bytes(len(data) // 4 * SIZES[dtype]))
    return with_tensors(change)


def gptq_tensors(tensors):
    del tensors[QUERY]
    path = QUERY.removesuffix("weight")
    tensors[path + "qweight"] = ("I32", [6, 48], bytes(6 * 48 * 4))
    tensors[path + "qzeros"] = ("I32", [1, 6], bytes(6 * 4))
    tensors[path + "scales"] = ("F32", [1, 48], bytes(48 * 4))


def bnb_tensors(tensors):
    _, shape, _ = tensors[QUERY]
    tensors[QUERY] = ("U8", [shape[0] * shape[1] // 2, 1], bytes(shape[0] * shape[1] // 2))
    tensors[QUERY + ".absmax"] = ("F32", [36], bytes(36 * 4))


def reshaped(tensors):
    dtype, shape, data = tensors[QUERY]
    tensors[QUERY] = (dtype, [shape[1] // 2, shape[0] * 2], data)


def not_finite(tensors):
    dtype, shape, data = tensors[QUERY]
    tensors[QUERY] = (dtype, shape, struct.pack("<f", float("nan")) + data[4:])


def cut(size):
    """Keeps so many bytes of the weights, or all but so many."""
    def apply(folder):
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:size])
    return apply


def begins_with(text):
    return lambda folder: (folder / "model.safetensors").write_bytes(text + bytes(4096))


def only(name):
    def apply(folder):
        (folder / "model.safetensors").unlink()
        (folder / name).write_bytes(b"GGUF\x03\0\0\0" + bytes(64))
    return apply


def sharded(change):
    """Two shards with an index, of which something is wrong."""
    def apply(folder):
        path = folder / "model.safetensors"
        tensors = read_tensors(path)
        path.unlink()
        names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
        parts = [{}, {}]
        for i, (name, tensor) in enumerate(sorted(tensors.items())):
            parts[i % 2][name] = tensor
        for name, part in zip(names, parts):
            write_tensors(folder / name, part)
        index = {name: names[i] for i in (0, 1) for name in parts[i]}
        change(folder, names, index)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return apply


def misplace(_folder, names, index):
    index[QUERY] = names[1 - names.index(index[QUERY])]


def outside(_folder, _names, index):
    index[QUERY] = "../other.safetensors"


def unknown_end(folder):
    (folder / "generation_config.json").unlink()
    edit_config(folder, eos_token_id=80)


# What is done to a copy of the golden base llama, and what the refusal must name.
ROWS = [
    ("bitsandbytes-4bit", quantised("bitsandbytes", load_in_4bit=True), ["config.json", "quantization_config", "bitsandbytes"]),
    ("bitsandbytes-8bit", quantised("bitsandbytes", load_in_8bit=True), ["config.json", "quantization_config", "bitsandbytes"]),
    ("gptq", quantised("gptq", bits=4, group_size=128), ["config.json", "quantization_config", "gptq"]),
    ("awq", quantised("awq", bits=4), ["config.json", "quantization_config", "awq"]),
    ("fp8", quantised("fp8", weight_block_size=[128, 128]), ["config.json", "quantization_config", "fp8"]),
    ("compressed-tensors", quantised("compressed-tensors"), ["config.json", "quantization_config", "compressed-tensors"]),
    ("unnamed", lambda folder: edit_config(folder, quantization_config={"bits": 4}), ["config.json", "quantization_config"]),
    ("no-object", lambda folder: edit_config(folder, quantization_config="int4"), ["config.json", "quantization_config"]),
    ("gptq-tensors", with_tensors(gptq_tensors), ["q_proj"]),
    ("bnb-tensors", with_tensors(bnb_tensors), [QUERY, "U8"]),
    ("fp8-tensor", retyped("F8_E4M3"), [QUERY, "F8_E4M3"]),
    ("fp8-e5m2-tensor", retyped("F8_E5M2"), [QUERY, "F8_E5M2"]),
    ("int8-tensor", retyped("I8"), [QUERY, "I8"]),
    ("int64-tensor", retyped("I64"), [QUERY, "I64"]),
    ("cut-data", cut(-100), ["model.safetensors"]),
    ("cut-header", cut(400), ["model.safetensors"]),
    ("cut-length", cut(5), ["model.safetensors"]),
    ("empty", cut(0), ["model.safetensors"]),
    ("pickle-inside", begins_with(b"PK\x03\x04"), ["model.safetensors"]),
    ("gguf-inside", begins_with(b"GGUF\x03\0\0\0"), ["model.safetensors"]),
    ("huge-header", begins_with(struct.pack("<Q", 1 << 60)), ["model.safetensors"]),
    ("gguf-only", only("model.gguf"), ["model.safetensors"]),
    ("pickle-only", only("pytorch_model.bin"), ["pickle"]),
    ("missing-tensor", with_tensors(lambda tensors: tensors.pop(QUERY)), [QUERY]),
    ("extra-tensor", with_tensors(lambda tensors: tensors.update({"model.layers.0.self_attn.q_proj.bias": (
        "F32", [48], bytes(192))})), ["model.layers.0.self_attn.q_proj.bias"]),
    ("wrong-shape", with_tensors(reshaped), [QUERY]),
    ("not-finite", with_tensors(not_finite), [QUERY]),
    ("missing-shard", sharded(lambda folder, names, _: (folder / names[1]).unlink()), ["model-00002-of-00002.safetensors"]),
    ("cut-shard", sharded(lambda folder, names, _: (folder / names[1]).write_bytes((folder / names[1]).read_bytes()[:-9])),
     ["model-00002-of-00002.safetensors"]),
    ("misplaced-tensor", sharded(misplace), [QUERY]),
    ("shard-outside", sharded(outside), ["../other.safetensors"]),
    ("own-code", lambda folder: edit_config(folder, auto_map={"AutoModelForCausalLM": "modeling.Mine"}), ["auto_map"]),
    ("unknown-rope", lambda folder: edit_config(folder, rope_parameters={"rope_type": "longrope", "rope_theta": 1e4}), ["longrope"]),
    ("fewer-layers", lambda folder: edit_config(folder, num_hidden_layers=2), ["model.layers.2.", "(it says 2 layers)"]),
    ("more-layers", lambda folder: edit_config(folder, num_hidden_layers=4), ["lack the tensor model.layers.3."]),
    ("far-yarn", lambda folder: edit_config(folder, rope_parameters={"rope_type": "yarn", "rope_theta": 1e4, "factor": 1e9}),
     ["config.json: rope_parameters.factor must be a number"]),
    ("part-of-a-token", lambda folder: (folder / "generation_config.json").write_text('{"do_sample": true, "top_k": 5.5}'),
     ["generation_config.json: top_k must be a whole number"]),
    ("cut-generation", lambda folder: (folder / "generation_config.json").write_text('{"do_sample":'), ["generation_config.json"]),
    ("unknown-end", unknown_end, ["config.json: eos_token_id must be a token"]),
    ("unknown-type", lambda folder: edit_config(folder, model_type="deepseek_v3"), ["deepseek_v3"]),
]
# What the server doesn't look at: it reads no weight's value.
WORKERS_ALONE = ("not-finite",)


def ask_engine(program, folder):
    done = subprocess.run([program, folder, "-"], input="5 9 11\n", capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.strip()


def main():
    options = parse_paths(__doc__, "source", "bin", "adapter-logits")
    good = options.source / "tests/golden/decoders/base-llama"
    adapter = options.source / "tests/golden/decoders/llama-lora"
    faults = []
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        for name, change, _ in [("good", lambda _: None, []), *ROWS]:
            shutil.copytree(good, folder / "bases" / name)
            change(folder / "bases" / name)
        assert ask_engine(options.adapter_logits, folder / "bases/good")[0] == 0, "the base itself is read"
        with Graft(options.bin, folder / "bases", folder) as graft:
            for name, _, words in ROWS:
                code, engine = ask_engine(options.adapter_logits, folder / "bases" / name)
                if code != 1 or not all(word in engine for word in ["the base base: ", *words]):
                    faults.append(f"{name}: the engine ended with {code} and says: {engine}")
                code, output, error = graft.call("import", adapter, "--base", name, "--adapter", "of-" + name)
                if name in WORKERS_ALONE and code == 0:
                    continue
                if code == 0 or not all(word in output + error for word in [f"the base {name} can't be used: ", *words]):
                    faults.append(f"{name}: the server ended with {code} and says: {output}{error}")
            graft.run("import", adapter, "--base", "good", "--adapter", "of-good")
    print(*faults, sep="\n")
    print(f"{len(ROWS)} folders, {len(faults)} answers that aren't as they are to be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
