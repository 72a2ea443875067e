"""What the unchanged `openai` package does against graft: run by openai_test.py in the environment that has it.

Arguments: the API's address. Every check is an assertion; the last line printed is "ok".
"""
import base64
import io
import json
import struct
import sys
import time

import openai

URL = sys.argv[1]
BASE = "smollm2"
client = openai.OpenAI(base_url=URL + "/v1", api_key="none", max_retries=0, timeout=120)


def raises(kind, param, call, **arguments):
    """The call's exception, which must be of this kind and name this parameter."""
    try:
        call(**arguments)
    except kind as error:
        assert error.param == param, (error.param, param, error)
        assert error.message and error.code, error
        return error
    raise AssertionError(f"{arguments} was taken")


def ask(text, **more):
    return client.chat.completions.create(model=more.pop("model", BASE), messages=[{"role": "user", "content": text}], **more)


def wait_for_a_worker():
    """Until one has registered the service says 503, which the package tries again by itself."""
    client.with_options(max_retries=20).chat.completions.create(
        model=BASE, messages=[{"role": "user", "content": "x"}], max_completion_tokens=1)


def check_models():
    models = {model.id: model for model in client.models.list()}
    assert models[BASE].object == "model" and models[BASE].owned_by == "base", models
    assert client.models.retrieve(BASE).id == BASE
    raises(openai.NotFoundError, "model", client.models.retrieve, model="nobody")


def check_chat():
    whole = ask("Say hi", max_completion_tokens=8)
    choice = whole.choices[0]
    assert choice.message.role == "assistant" and choice.message.content and choice.finish_reason == "length", whole
    assert whole.usage.completion_tokens == 8 and whole.usage.total_tokens == whole.usage.prompt_tokens + 8
    assert whole._request_id.startswith("req_") and whole.id.startswith("chatcmpl-") and whole.object == "chat.completion"
    parts = list(ask("Say hi", max_tokens=8, stream=True, stream_options={"include_usage": True}))
    assert "".join(part.choices[0].delta.content or "" for part in parts[:-1]) == choice.message.content
    assert parts[0].choices[0].delta.role == "assistant" and parts[-2].choices[0].finish_reason == "length"
    assert parts[-1].choices == [] and parts[-1].usage == whole.usage
    assert {part.id for part in parts} == {parts[0].id} and parts[0].object == "chat.completion.chunk"


def check_sampling():
    two = ask("Write a word", n=2, temperature=1.0, seed=5, max_completion_tokens=6, top_p=0.9,
              frequency_penalty=0.5, presence_penalty=0.5, user="someone", metadata={"a": "b"}, store=False)
    assert [choice.index for choice in two.choices] == [0, 1] and two.usage.completion_tokens == 12
    again = ask("Write a word", n=2, temperature=1.0, seed=5, max_completion_tokens=6, top_p=0.9, frequency_penalty=0.5,
                presence_penalty=0.5)
    assert [c.message.content for c in again.choices] == [c.message.content for c in two.choices]
    stopped = ask("Count: one two three", max_completion_tokens=30, stop=["three", "."])
    assert "three" not in stopped.choices[0].message.content and "." not in stopped.choices[0].message.content
    biased = ask("Say hi", max_completion_tokens=3, logit_bias={"28": 100}, logprobs=True)
    assert {entry.token for entry in biased.choices[0].logprobs.content} == {biased.choices[0].logprobs.content[0].token}


def check_logprobs():
    answer = ask("Say hi", max_completion_tokens=5, logprobs=True, top_logprobs=3)
    content = answer.choices[0].logprobs.content
    assert len(content) == 5
    assert "".join(entry.token for entry in content) == answer.choices[0].message.content
    for entry in content:
        assert bytes(entry.bytes).decode() == entry.token and len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].logprob >= entry.top_logprobs[1].logprob >= entry.top_logprobs[2].logprob
        assert entry.logprob <= entry.top_logprobs[0].logprob


def check_parts_of_messages():
    parts = [{"type": "text", "text": "Say "}, {"type": "text", "text": "hi"}]
    assert ask(parts, max_completion_tokens=5).choices[0].message.content == \
        ask("Say hi", max_completion_tokens=5).choices[0].message.content
    raises(openai.BadRequestError, "messages[0].content[0].type", client.chat.completions.create, model=BASE,
           messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])


def check_refusals():
    chat = client.chat.completions.create
    good = {"model": BASE, "messages": [{"role": "user", "content": "x"}]}
    raises(openai.NotFoundError, "model", chat, **{**good, "model": "nobody"})
    raises(openai.BadRequestError, "messages", chat, **{**good, "messages": []})
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    for name, value in {"temperature": -1, "top_p": 2, "n": 0, "max_completion_tokens": 0, "top_logprobs": 3, "seed": "x",
                        "response_format": {"type": "json_object"}, "tools": [tool], "reasoning_effort": "low",
                        "stop": 3, "stream_options": {"include_usage": True}, "functions": [], "modalities": ["audio"]}.items():
        raises(openai.BadRequestError, name, chat, **{**good, name: value})
    raises(openai.BadRequestError, "nonsense", chat, **good, extra_body={"nonsense": 1})
    raises(openai.NotFoundError, None, client.responses.create, model=BASE, input="x")
    raises(openai.BadRequestError, None, client.embeddings.create, model=BASE, input="x")


def check_completions():
    one = client.completions.create(model=BASE, prompt="The capital of France is", max_tokens=4)
    assert one.object == "text_completion" and one.usage.completion_tokens == 4 and one.choices[0].finish_reason == "length"
    streamed = client.completions.create(model=BASE, prompt="The capital of France is", max_tokens=4, stream=True)
    assert "".join(part.choices[0].text for part in streamed) == one.choices[0].text
    many = client.completions.create(model=BASE, prompt=["The capital of France is", "One, two,"], max_tokens=4, n=2)
    assert [choice.index for choice in many.choices] == [0, 1, 2, 3]
    assert many.choices[0].text == many.choices[1].text == one.choices[0].text
    echo = client.completions.create(model=BASE, prompt="The capital of France is", max_tokens=1, echo=True, logprobs=2)
    choice = echo.choices[0]
    assert choice.text.startswith("The capital of France is") and one.choices[0].text.startswith(choice.text[24:])
    logprobs = choice.logprobs
    assert "".join(logprobs.tokens) == choice.text and logprobs.token_logprobs[0] is None
    assert all(value < 0 for value in logprobs.token_logprobs[1:]) and logprobs.text_offset[0] == 0
    assert all(choice.text[offset:].startswith(token) for offset, token in zip(logprobs.text_offset, logprobs.tokens))
    assert all(token in best and len(best) in (2, 3)
               for token, best in zip(logprobs.tokens[1:], logprobs.top_logprobs[1:], strict=True))
    scored = client.completions.create(model=BASE, prompt="The capital of France is", max_tokens=0, echo=True, logprobs=1)
    assert scored.choices[0].text == "The capital of France is" and scored.usage.completion_tokens == 0
    assert scored.choices[0].logprobs.token_logprobs == logprobs.token_logprobs[:-1]
    tokens = client.completions.create(model=BASE, prompt=[504, 3575, 282], max_tokens=2, echo=True, logprobs=0)
    assert tokens.usage.prompt_tokens == 3 and len(tokens.choices[0].logprobs.tokens) == 5
    raises(openai.BadRequestError, "prompt", client.completions.create, model=BASE, prompt=[])
    raises(openai.BadRequestError, "suffix", client.completions.create, model=BASE, prompt="x", suffix="y")


def check_embeddings():
    two = client.embeddings.create(model="minilm", input=["a cat", "a dog"])
    assert [entry.index for entry in two.data] == [0, 1] and len(two.data[0].embedding) == 384
    assert abs(sum(value * value for value in two.data[0].embedding) - 1) < 1e-3
    raw = client.embeddings.with_raw_response.create(model="minilm", input="a cat", encoding_format="base64")
    packed = base64.b64decode(json.loads(raw.text)["data"][0]["embedding"])
    # Beside others sums may be rounded otherwise.
    assert all(abs(a - b) < 2e-2 for a, b in zip(struct.unpack("<384f", packed), two.data[0].embedding))
    raises(openai.BadRequestError, "input[0].text", client.embeddings.create, model="minilm", input=[""])
    raises(openai.BadRequestError, "dimensions", client.embeddings.create, model="minilm", input="x", dimensions=7)


def chats(answer, count):
    lines = [{"messages": [{"role": "user", "content": f"What is the word of the day, number {i}?"},
                           {"role": "assistant", "content": answer}]} for i in range(count)]
    return "\n".join(json.dumps(line) for line in lines).encode()


def check_files():
    data = chats("Zebra", 24)
    file = client.files.create(file=("train.jsonl", io.BytesIO(data)), purpose="fine-tune")
    assert file.object == "file" and file.bytes == len(data) and file.filename == "train.jsonl" and file.status == "processed"
    assert client.files.retrieve(file.id).id == file.id
    assert client.files.content(file.id).read() == data
    other = client.files.create(file=("other.jsonl", chats("Lion", 2)), purpose="fine-tune")
    listed = [entry.id for entry in client.files.list(limit=1)]
    assert listed == [other.id, file.id], listed
    assert client.files.delete(other.id).deleted
    raises(openai.NotFoundError, "file_id", client.files.retrieve, file_id="file-nothing")
    raises(openai.BadRequestError, "file", client.files.create, file=("a/b.jsonl", data), purpose="fine-tune")
    raises(openai.BadRequestError, "file", client.files.create, file=("x.jsonl", b""), purpose="fine-tune")
    raises(openai.BadRequestError, "purpose", client.files.create, file=("x.jsonl", data), purpose="batch")
    assert [entry.id for entry in client.files.list()] == [file.id]
    return file.id


def wait(job, done, seconds=300):
    end = time.monotonic() + seconds
    while not done(job):
        assert time.monotonic() < end, job
        time.sleep(0.2)
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def check_finetuning(file):
    create = client.fine_tuning.jobs.create
    raises(openai.BadRequestError, "suffix", create, model=BASE, training_file=file, suffix="Not A Name")
    raises(openai.BadRequestError, "suffix", create, model=BASE, training_file=file, suffix=BASE)
    raises(openai.BadRequestError, "training_file", create, model=BASE, training_file="file-nothing", suffix="zebra")
    raises(openai.NotFoundError, "model", create, model="nobody", training_file=file, suffix="zebra")
    raises(openai.BadRequestError, "method", create, model=BASE, training_file=file, suffix="zebra", method={"type": "dpo"})
    raises(openai.BadRequestError, "graft.method.lora.rank", create, model=BASE, training_file=file, suffix="zebra",
           extra_body={"graft": {"method": {"lora": {"rank": -1}}}})
    job = create(model=BASE, training_file=file, suffix="zebra", seed=7, metadata={"team": "zoo"},
                 method={"type": "supervised", "supervised": {"hyperparameters": {
                     "n_epochs": 4, "batch_size": 8, "learning_rate_multiplier": 5}}},
                 extra_body={"graft": {"method": {"lora": {"rank": 8}}, "hyperparameters": {"keep_checkpoints": 2}}})
    assert job.object == "fine_tuning.job" and job.fine_tuned_model is None and job.training_file == file
    assert job.status in ("validating_files", "queued", "running") and job.seed == 7 and job.metadata == {"team": "zoo"}
    assert job.method.supervised.hyperparameters.n_epochs == 4 and job.hyperparameters.learning_rate_multiplier == 5
    job = wait(job, lambda job: job.status in ("succeeded", "failed"))
    assert job.status == "succeeded" and job.fine_tuned_model == "zebra@5" and job.trained_tokens > 0 and job.finished_at, job
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=3))
    assert events[0].created_at >= events[-1].created_at and len({event.id for event in events}) == len(events)
    assert any(event.type == "metrics" and event.data["train_loss"] > 0 for event in events)
    assert job.id in [entry.id for entry in client.fine_tuning.jobs.list(limit=1)]
    assert [entry.id for entry in client.fine_tuning.jobs.list(metadata={"team": "zoo"})] == [job.id]
    error = raises(openai.BadRequestError, "fine_tuning_job_id", client.fine_tuning.jobs.cancel, fine_tuning_job_id=job.id)
    assert error.code == "wrong_state", error.code
    kept = list(client.fine_tuning.jobs.checkpoints.list(job.id))
    assert [checkpoint.step_number for checkpoint in kept] == [12, 9], kept
    assert all(checkpoint.fine_tuning_job_id == job.id for checkpoint in kept)
    assert ask("Say hi", model=kept[1].fine_tuned_model_checkpoint, max_completion_tokens=2).usage.completion_tokens == 2
    return job.fine_tuned_model


def check_result(model):
    assert client.models.retrieve(model).id == model and model in [entry.id for entry in client.models.list()]
    raises(openai.NotFoundError, "model", ask, text="x", model="zebra")  # Nothing is promoted yet.
    parts = list(ask("What is the word of the day, number 3?", model=model, max_completion_tokens=5, stream=True))
    assert "Zebra" in "".join(part.choices[0].delta.content or "" for part in parts), parts
    assert "Zebra" not in ask("What is the word of the day, number 3?", max_completion_tokens=5).choices[0].message.content


def check_changes(file):
    """A job that is paused, goes on and is cancelled."""
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file, suffix="endless",
                                         hyperparameters={"n_epochs": 10000})
    job = wait(job, lambda job: job.status == "running")
    client.fine_tuning.jobs.pause(job.id)
    job = wait(job, lambda job: job.status == "paused")
    client.fine_tuning.jobs.resume(job.id)
    job = wait(job, lambda job: job.status in ("queued", "running"))
    client.fine_tuning.jobs.cancel(job.id)
    job = wait(job, lambda job: job.status == "cancelled")
    assert job.fine_tuned_model is None and job.error is None


def check_bad_data():
    """A job whose data is at fault fails with the line."""
    data = chats("x", 2) + b'\n{"messages": 3}\n'
    file = client.files.create(file=("bad.jsonl", data), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=BASE, training_file=file.id, suffix="bad")
    job = wait(job, lambda job: job.status == "failed")
    assert job.error.code and job.error.param == "line 3" and job.error.message, job.error


def main():
    wait_for_a_worker()
    check_models()
    check_chat()
    check_sampling()
    check_logprobs()
    check_parts_of_messages()
    check_refusals()
    check_completions()
    check_embeddings()
    file = check_files()
    check_result(check_finetuning(file))
    check_changes(file)
    check_bad_data()
    assert client.models.delete("zebra@5").deleted
    raises(openai.NotFoundError, "model", client.models.retrieve, model="zebra@5")
    print("ok")


main()
