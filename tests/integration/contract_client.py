"""The checks of contract_test.py, in the environment that has schemathesis. Argument: a task as that test writes it.

The last line printed is "ok".
"""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import requests
import yaml
from contract_hostile import check_hostile
from openapi_spec_validator import validate

TASK = json.loads(Path(sys.argv[1]).read_text())
# Beside all that isn't said here. What a check says of what the document can't tell stands in contract_hooks.py.
CONFIG = """
[generation]
database = "none"
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]
[checks.negative_data_rejection]
expected-statuses = ["400", "404", "405", "409", "413", "414", "415", "503"]
[checks.missing_required_header]
expected-statuses = ["400", "415"]
"""
# Of the two operations on a job's spec the short form takes the one that needn't read data first.
SHORT = ("--generation-deterministic", "--exclude-operation-id", "estimateJob")


def check_document():
    text = Path(TASK["document"]).read_text()
    document = yaml.safe_load(text)
    validate(document)
    served = requests.get(TASK["url"] + "/openapi.yaml", timeout=20)
    assert served.text == text and served.headers["Content-Type"] == "application/yaml", served.headers
    made = requests.get(TASK["url"] + "/openapi.json", timeout=20)
    assert made.json() == document and made.headers["Content-Type"] == "application/json", made.headers
    return document


def close(schema):
    """Forbids what a schema of an answer doesn't name. The document leaves that open, for answers may get more fields."""
    if isinstance(schema, list):
        for one in schema:
            close(one)
    elif isinstance(schema, dict):
        if "allOf" in schema:
            schema["unevaluatedProperties"] = False
            return
        for one in schema.values():
            close(one)
        if isinstance(schema.get("properties"), dict):
            schema.setdefault("additionalProperties", False)


def closed(document):
    document = json.loads(json.dumps(document))
    for name, schema in document["components"]["schemas"].items():
        if name != "Envelope" and "Request" not in name:
            close(schema)
    return document


def events(answer):
    """The data of each event."""
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/event-stream", answer.text
    lines = [event.splitlines()[-1] for event in answer.text.split("\n\n") if event and not event.startswith(":")]
    assert lines and all(line.startswith("data: ") for line in lines), answer.text
    return [line.removeprefix("data: ") for line in lines]


def check_streams(document):
    """Each event of a stream is what the operation's description says."""
    components = closed(document)["components"]
    url, job = TASK["url"], TASK["names"]["job"]
    chat = {"model": "smollm2", "messages": [{"role": "user", "content": "x"}], "max_completion_tokens": 3, "logprobs": True,
            "top_logprobs": 2, "stream": True, "stream_options": {"include_usage": True}}
    text = {"model": "smollm2", "prompt": ["x", "y"], "max_tokens": 3, "logprobs": 1, "echo": True, "stream": True}
    for name, answer in (("ChatCompletionChunk", requests.post(url + "/v1/chat/completions", json=chat, timeout=60)),
                         ("Completion", requests.post(url + "/v1/completions", json=text, timeout=60)),
                         ("JobEvent", requests.get(f"{url}/v1/jobs/{job}/events", timeout=60))):
        read = events(answer)
        assert name == "JobEvent" or read.pop() == "[DONE]", answer.text
        assert len(read) > 2, answer.text
        for event in read:
            jsonschema.validate(json.loads(event), {"$ref": f"#/components/schemas/{name}", "components": components},
                                jsonschema.Draft202012Validator)


def check_rows():
    """What neither a schema nor a table of values can say: (method, path, body, headers, status)."""
    job, adapter = TASK["names"]["job"], TASK["names"]["adapter"]
    json_type = {"Content-Type": "application/json"}
    rows = [("POST", f"/v1/fine_tuning/jobs/{job}/cancel", b"[1", json_type, 400),
            ("POST", f"/v1/fine_tuning/jobs/{job}/pause", b'{"nonsense": 1}', json_type, 400),
            ("GET", f"/v1/jobs/{job}/events?after_event=x", None, {"Last-Event-ID": "1"}, 400),
            ("GET", f"/v1/jobs/{job}/events?after_event=-1", None, {}, 400),
            ("GET", f"/v1/jobs/{job}/events", None, {"Last-Event-ID": "9" * 19}, 400),
            ("GET", f"/v1/jobs/{job}/events?after_event=99", None, {}, 400),
            ("GET", "/v1/jobs/estimate", None, {}, 405), ("GET", "/v1/datasets/check", None, {}, 405),
            ("POST", f"/v1/jobs/{job}/cancel", b"{}", json_type, 400), ("POST", "/v1/jobs", b"{}", {}, 415),
            ("GET", f"/v1/adapters/{adapter}", b"{}", json_type, 400), ("DELETE", "/v1/adapters/nobody", None, {}, 404),
            ("PATCH", "/v1/jobs", b"{}", json_type, 405), ("GET", "/v1/nothing", None, {}, 404),
            ("DELETE", f"/v1/adapters/{adapter}/versions/0", None, {}, 400), ("DELETE", "/v1/jobs/nobody", None, {}, 404),
            ("DELETE", f"/v1/adapters/{adapter}/versions/99", None, {}, 404), ("DELETE", "/v1/files/nothing", None, {}, 404),
            ("DELETE", "/v1/datasets/nothing", None, {}, 404)]
    for method, path, body, headers, status in rows:
        answer = requests.request(method, TASK["url"] + path, data=body, headers=headers, timeout=60)
        assert answer.status_code == status, f"{method} {path} {body} -> {answer.status_code} {answer.text}"


def run_schemathesis(document):
    document = closed(document)
    document["components"]["schemas"]["Events"] = {"type": "object"}  # An event at a time; check_streams reads them.
    folder = Path(TASK["folder"])
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "schemathesis.toml").write_text(CONFIG)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", TASK["url"], "--checks", "all",
         "--exclude-checks", "positive_data_acceptance",  # What is well formed may still name what isn't there.
         "--phases", "examples,coverage,fuzzing", "--max-examples", "400" if TASK["long"] else "3", "--seed", "1",
         "--continue-on-failure", "--no-shrink", "--request-timeout", "60", "--max-response-time", "60", "--suppress-health-check", "all", "--no-color",
         "--warnings", "off", *(() if TASK["long"] else SHORT)],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "contract_hooks", "PYTHONPATH": str(Path(__file__).parent)})
    print(f"schemathesis ran {time.monotonic() - start:.0f} s")
    assert done.returncode == 0, done.stdout[-18000:] + done.stderr[-3000:]


DOCUMENT = check_document()
FAULTS = []
for check in (check_rows, lambda: check_streams(DOCUMENT), lambda: check_hostile(DOCUMENT, TASK),
              lambda: run_schemathesis(DOCUMENT)):
    try:
        check()
    except (AssertionError, jsonschema.ValidationError) as error:
        FAULTS.append(str(error))
print("\n\n".join(FAULTS) or "ok")
sys.exit(bool(FAULTS))
