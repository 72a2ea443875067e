"""A peer's half of bench/serving: llama.cpp, as the package xllamacpp has it, in this process.

    python llama_generate.py MODEL.gguf [--streams N] [--tokens N] [--prompt TEXT] [--threads N] [--flash on|off|auto]
    python llama_generate.py --convert FROM.gguf MODEL.gguf

The second form writes a GGUF's weights in BF16 (packages gguf and numpy). Prints one JSON line like generate_bench's; step_ms
is llama.cpp's own figure of its decoding, without its prompt.
"""
import argparse
import json
import os
import sys
import threading
import time


def convert(source, target):
    import gguf
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, inner)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        kind = gguf.GGMLQuantizationType.BF16 if len(tensor.shape) > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--convert")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompt", default="The")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--flash", choices=["on", "off", "auto"], default="auto")
    arguments = parser.parse_args()
    if arguments.convert:
        return convert(arguments.convert, arguments.model)

    import xllamacpp
    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.n_parallel = arguments.streams
    params.n_ctx = 512 * arguments.streams
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = arguments.threads
    params.cpuparams_batch.n_threads = arguments.threads
    params.flash_attn_type = {"on": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
                              "off": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
                              "auto": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO}[arguments.flash]
    server = xllamacpp.Server(params)

    def ask(number, tokens, answers):
        answers[number] = server.handle_completions({"prompt": f"{arguments.prompt} {number}", "n_predict": tokens,
                                                     "temperature": 0, "ignore_eos": True, "cache_prompt": False})

    def generate(tokens):
        answers = [None] * arguments.streams
        threads = [threading.Thread(target=ask, args=(i, tokens, answers)) for i in range(arguments.streams)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - start, answers

    generate(4)
    seconds, answers = generate(arguments.tokens)
    answers = [json.loads(a) if isinstance(a, (str, bytes)) else a for a in answers]
    tokens = arguments.streams * arguments.tokens
    figures = {"tokens": tokens, "seconds": seconds, "tokens_per_second": tokens / seconds}
    timings = answers[0].get("timings")
    if timings:
        figures["step_ms"] = timings["predicted_per_token_ms"]
    figures["text"] = (answers[0].get("content") or answers[0].get("choices", [{}])[0].get("text", ""))[:80]
    print(json.dumps(figures), flush=True)
    sys.stdout.flush()
    os._exit(0)  # Its threads hold the process.


if __name__ == "__main__":
    main()
