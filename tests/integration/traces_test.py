#!/usr/bin/env python3
"""One job and one request, traced by a client, as a collector receives them: validated by opentelemetry-proto's messages, and
whole, from the call that makes the job through its lease, steps and version to the first token.
"""
import http.client
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import tiny_llama  # noqa: E402
from live_graft import SKIPPED, Graft, parse_paths, poll  # noqa: E402
from oracles import ask_oracle, find_python  # noqa: E402

TRACE, SUBMITTER, READER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
# Child and parent, and which process tells of the child.
TREE = [("FinetuningService.CreateJob", SUBMITTER, "server"), ("validate job", "FinetuningService.CreateJob", "server"),
        ("wait for a worker", "FinetuningService.CreateJob", "server"), ("lease", "FinetuningService.CreateJob", "server"),
        ("prepare", "lease", "worker"), ("train", "lease", "worker"), ("steps", "train", "worker"),
        ("evaluate", "train", "worker"), ("store version", "lease", "worker"), ("prove version", "lease", "worker"),
        ("Coordinator.CompleteLease", "lease", "server"), ("version", "Coordinator.CompleteLease", "server"),
        ("InferenceService.Generate", READER, "server"), ("ask worker", "InferenceService.Generate", "server"),
        ("Engine.Generate", "ask worker", "worker"), ("first token", "Engine.Generate", "worker")]

# What goes on when its parent has ended: a job's call is answered before, and its lease ends within the call that ends it.
OUTLIVE = {"validate job", "wait for a worker", "lease", "Coordinator.CompleteLease"}


class Collector:
    """Takes what is posted to it, and refuses the first `refusals` times, as one that is overloaded."""

    def __init__(self, refusals=0):
        collector, self.bodies, self.refusals, self.headers = self, [], refusals, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                collector.headers.append((self.path, self.headers["Content-Type"], self.headers["X-Tenant"]))
                if collector.refusals > 0:
                    collector.refusals -= 1
                    status = 503
                else:
                    collector.bodies.append(body)
                    status = 200
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def names(self):
        return [span["name"] for body in list(self.bodies) for resource in json.loads(body)["resourceSpans"]
                for scope in resource["scopeSpans"] for span in scope["spans"]]


class Environment:
    """Variables that the processes of a block inherit."""

    def __init__(self, **variables):
        self.variables = {name: str(value) for name, value in variables.items()}

    def __enter__(self):
        self.before = dict(os.environ)
        os.environ.update(self.variables)

    def __exit__(self, *_):
        os.environ.clear()
        os.environ.update(self.before)


def parent(span):
    return f"00-{TRACE}-{span}-01"


def port_of(graft, name):
    return json.loads((graft.data / "ports.json").read_text())[name]


def write_data(folder):
    tiny_llama.write_base(folder / "bases" / "tiny")
    path = folder / "data.jsonl"
    rows = [{"text": f"the {i % 7} of {i % 5}"} for i in range(48)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def submit(graft, data):
    return graft.submit("--task", "causal_lm", "--base", "tiny", "--adapter", "a", "--train", f"file://{data}", "--method",
                        "lora", "--max-steps", "6", "--batch-size", "4", "--validation-fraction", "0.2")


def stream(graft):
    """The first event of a text, and what the answer says of its trace."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(graft, "http"), timeout=60)
    body = json.dumps({"model": "a@1", "prompt": "the 3", "max_tokens": 4, "stream": True})
    connection.request("POST", "/v1/completions", body,
                       {"Content-Type": "application/json", "traceparent": parent(READER), "tracestate": "client=1"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    events = answer.read().decode()
    assert events.count("data: ") >= 2, events
    return answer.getheader("traceparent")


def spans_sent(graft, name):
    """{result: spans} that a process' metrics tell."""
    port = port_of(graft, "metrics") if name == "server" else port_of(graft, "worker_metrics")[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return {result: sum(float(line.split()[-1]) for line in lines
                        if line.startswith("graft_trace_spans_total") and f'"{result}"' in line)
            for result in ("sent", "dropped")}


def traced_run(bin_folder, folder, collector):
    """Runs a job and a request; returns (job, the request's traceparent, the log's records)."""
    data = write_data(folder)
    log = folder / "errors.log"
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": 20,
                "OTEL_EXPORTER_OTLP_HEADERS": "X-Tenant=a%20b"}
    with Environment(**settings), Graft(bin_folder, folder / "bases", folder, "--data-roots", str(folder),
                                        "--log-format", "json", errors=log) as graft:
        with Environment(TRACEPARENT=parent(SUBMITTER), TRACESTATE="client=1"):
            job = submit(graft, data)
        row = graft.finish(job)
        assert row["trace_id"] == TRACE, row
        told = stream(graft)
        poll("the last spans", lambda: {"first token", "InferenceService.Generate"} <= set(collector.names()))
        for process in ("server", "worker"):
            counts = spans_sent(graft, process)
            assert counts["sent"] > 0 and counts["dropped"] == 0, (process, counts)
    return job, told, [json.loads(line) for line in log.read_text().splitlines()]


def check_tree(spans):
    """Each span of TREE is where it belongs, told by its process, within its parent's time unless it outlives that."""
    by_name = {}
    for span in spans:
        by_name.setdefault(span["name"], span)
    ids = {span["id"] for span in spans} | {SUBMITTER, READER}
    assert len({span["id"] for span in spans}) == len(spans), "an id is there twice"
    for span in spans:
        assert span["trace"] == TRACE and span["parent"] in ids, span
        assert 1.7e18 < span["start"] <= span["end"], span
        assert not span["failed"] and span["state"] == "client=1", span
    for child, above, process in TREE:
        span = by_name[child]
        assert span["parent"] == (by_name[above]["id"] if above in by_name else above), (child, above)
        assert span["resource"]["service.name"] == f"graft-{process}", span
        assert above not in by_name or by_name[above]["start"] <= span["start"], (child, above)
        if child not in OUTLIVE and above in by_name:
            assert span["end"] <= by_name[above]["end"], (child, above)
    return by_name


def check_whole(spans, job, told):
    by_name = check_tree([span for span in spans if span["trace"] == TRACE])
    for name in ("FinetuningService.CreateJob", "validate job", "wait for a worker", "lease"):
        assert by_name[name]["attributes"]["graft.job"] == job, by_name[name]
    stretches = sorted((span["attributes"]["graft.first_step"], span["attributes"]["graft.last_step"])
                       for span in spans if span["name"] == "steps")
    assert [first for first, _ in stretches] == [1, *(last + 1 for _, last in stretches[:-1])], stretches
    assert stretches[-1][1] == 6, stretches
    version = by_name["version"]
    assert version["attributes"]["graft.version"] == "adapters/a/versions/1", version
    request = by_name["InferenceService.Generate"]
    assert told == f"00-{TRACE}-{request['id']}-01", told
    assert "first token" in request["events"] and request["links"] == [[TRACE, version["id"]]], request
    assert request["attributes"]["http.route"] == "/v1/completions", request
    assert len({span["resource"]["service.instance.id"] for span in spans}) == 2, "server and worker"


def check_log(records, job):
    about = [record for record in records if record.get("job") == job]
    assert len(about) >= 3, about
    assert all(record.get("trace_id") == TRACE for record in about), about


def without_collector(bin_folder, folder, data):
    """A collector that can't be reached holds nothing up; what is lost is counted and told."""
    (folder / "down").mkdir()
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": 1,
                "OTEL_BSP_EXPORT_TIMEOUT": 1}
    with Environment(**settings), Graft(bin_folder, folder / "bases", folder / "down", "--data-roots",
                                        str(folder)) as graft:
        graft.finish(submit(graft, data))
        poll("the count of dropped spans", lambda: spans_sent(graft, "server")["dropped"] > 0)
        assert spans_sent(graft, "server")["sent"] == 0
        told = poll("the log's line", lambda: "spans of traces were dropped" in graft.process.text())
        assert told
    assert "stopped" in graft.process.text(), graft.process.text()


def refused_settings(bin_folder, folder):
    """What can't be done stops the start, by name."""
    for name, value in (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")):
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", name: value}
        done = subprocess.run([str(bin_folder / "graft-server"), "--data", str(folder / "refused"), "--bases",
                               str(folder / "bases")], capture_output=True, text=True, timeout=60, check=False,
                              env=environment)
        assert done.returncode == 2 and name in done.stderr, done


def main():
    arguments = parse_paths(__doc__, "bin")
    python = find_python("http-clients")
    if python is None:
        sys.exit(SKIPPED)
    bin_folder = arguments.bin.resolve()
    with tempfile.TemporaryDirectory(prefix="graft-traces-") as name:
        folder, collector = Path(name), Collector(refusals=1)
        job, told, records = traced_run(bin_folder, folder, collector)
        assert set(collector.headers) == {("/v1/traces", "application/json", "a b")}, collector.headers
        spans = ask_oracle(python, Path(__file__).with_name("traces_oracle.py"), collector.bodies, folder)[0]
        check_whole(spans, job, told)
        check_log(records, job)
        print(f"{len(spans)} spans in {len(collector.bodies)} batches: {sorted({span['name'] for span in spans})}")
        without_collector(bin_folder, folder, folder / "data.jsonl")
        refused_settings(bin_folder, folder)


if __name__ == "__main__":
    main()
