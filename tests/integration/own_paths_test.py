#!/usr/bin/env python3
"""graft's own paths over HTTP, as a client of the standard library sees them: a job by its spec, its events taken up again, a version
out and in as a tar archive that Python's tarfile reads and writes, aliases that two clients change, an upload that breaks off.
"""
import hashlib
import http.client
import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from live_graft import Graft, parse_paths, poll  # noqa: E402
from tiny_model import write_base  # noqa: E402

TEXTS = ["w1 w3 w5", "w11 w13 w15"]


class Client:
    """A connection for each request."""

    def __init__(self, graft):
        self.port = json.loads((graft.data / "ports.json").read_text())["http"]

    def ask(self, method, path, body=None, **headers):
        """(status, body); an object is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if isinstance(body, dict):
            body, headers = json.dumps(body), {"Content-Type": "application/json", **headers}
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def run(self, method, path, body=None, **headers):
        """The answer's JSON of a call that must succeed."""
        status, text = self.ask(method, path, body, **headers)
        assert status == 200, (method, path, status, text)
        return json.loads(text)

    def refused(self, expected, method, path, body=None, **headers):
        status, text = self.ask(method, path, body, **headers)
        assert status == expected, (method, path, status, text)
        return json.loads(text)["error"]["message"]


def rows(count):
    return "text,label\n" + "".join(f"w{10 * (i % 2) + i % 7} w{10 * (i % 2) + i % 5},{'ab'[i % 2]}\n" for i in range(count))


def spec(uri, adapter, **more):
    return {"base": "tiny", "adapter": adapter, "dataset": {"train": uri},
            "method": {"lora": {"rank": 2}}, "hyperparameters": {"max_steps": 12, "batch_size": 4}, **more}


def check_uploads(client):
    """An upload as the body alone; one that breaks off leaves nothing. Returns its URI."""
    data = rows(64).encode()
    dataset = client.run("POST", "/v1/datasets?file_name=train.csv", data)
    assert dataset["name"] == "datasets/" + hashlib.sha256(data).hexdigest() and int(dataset["bytes"]) == len(data), dataset
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    connection.putrequest("POST", "/v1/datasets?file_name=half.csv")
    connection.putheader("Content-Length", str(len(data) + 1))
    connection.endheaders()
    connection.send(data[:100])
    connection.close()
    listed = client.run("GET", "/v1/datasets")["datasets"]
    assert [one["name"] for one in listed] == [dataset["name"]], listed
    assert "file_name" in client.refused(400, "POST", "/v1/datasets", data)
    return dataset["uri"]


def events_of(client, path, **headers):
    """[(id, what)] of a stream of a job's events, to its end."""
    status, text = client.ask("GET", path, **headers)
    if status == 204:
        return []
    assert status == 200, text
    found = []
    for block in text.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in lines and "id" in lines:
            found.append((int(lines["id"]), json.loads(lines["data"])))
    return found


def check_job(client, uri):
    """Made by its spec, paused and resumed, followed to its end, and taken up again behind any event. Returns its id."""
    made = client.run("POST", "/v1/jobs", {"spec": spec(uri, "a", priority=1), "request_id": "one"})
    again = client.run("POST", "/v1/jobs", {"spec": spec(uri, "a", priority=1), "request_id": "one"})
    assert made["name"] == again["name"], (made, again)
    job = made["name"].removeprefix("jobs/")
    events = events_of(client, f"/v1/jobs/{job}/events")
    numbers = [number for number, _ in events]
    assert numbers == list(range(1, len(events) + 1)) and len(events) > 4, numbers
    assert events[-1][1]["state_change"]["to"] == "SUCCEEDED", events[-1]
    for last in (1, len(events) // 2, len(events) - 1):
        assert events_of(client, f"/v1/jobs/{job}/events", Last_Event_ID=str(last)) == events[last:], last
        assert events_of(client, f"/v1/jobs/{job}/events?after_event={last}") == events[last:], last
    assert events_of(client, f"/v1/jobs/{job}/events", Last_Event_ID=str(len(events))) == [], "204: it is over"
    assert client.run("GET", f"/v1/jobs/{job}")["state"] == "SUCCEEDED"
    assert "can't be cancelled" in client.refused(400, "POST", f"/v1/jobs/{job}/cancel")
    return job


def archive(files, form=tarfile.PAX_FORMAT, folder="", change=None):
    """A tar archive of {name: bytes}; `change` may alter each header."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(folder + name)
            entry.size = len(data)
            if change:
                change(entry)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def check_archives(client, graft):
    """A version out and in again, by every form that tarfile writes; what is no folder's archive leaves nothing."""
    status, body = client.ask("GET", "/v1/adapters/a@1/export")
    assert status == 200, body
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
    graft.run("export", "a@1", graft.data.parent / "exported")
    assert files == {path.name: path.read_bytes() for path in (graft.data.parent / "exported").iterdir()}, files.keys()

    wanted = graft.logits("a@1", TEXTS)
    forms = [(tarfile.USTAR_FORMAT, ""), (tarfile.GNU_FORMAT, "./"), (tarfile.PAX_FORMAT, "lora/"),
             (tarfile.GNU_FORMAT, "f" * 120 + "/"), (tarfile.PAX_FORMAT, "f" * 120 + "/")]
    for number, (form, folder) in enumerate(forms, 1):
        version = client.run("POST", "/v1/adapters/b/import?base=tiny", archive(files, form, folder))
        assert version["name"] == f"adapters/b/versions/{number}", version
    assert graft.logits("b@1", TEXTS) == graft.logits("b@5", TEXTS) == wanted
    assert client.run("POST", "/v1/adapters/b/import?base=tiny&request_id=x", archive(files))["name"] == \
        client.run("POST", "/v1/adapters/b/import?base=tiny&request_id=x", archive(files))["name"]

    def link(entry):
        entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, "/etc/passwd", 0
    whole = archive(files)
    twice = io.BytesIO()
    with tarfile.open(fileobj=twice, mode="w") as tar:
        for folder in ("x/", "y/"):
            entry = tarfile.TarInfo(folder + "adapter_config.json")
            entry.size = len(files["adapter_config.json"])
            tar.addfile(entry, io.BytesIO(files["adapter_config.json"]))
    for what, body in (("a link", archive(files, change=link)), ("two of one name", twice.getvalue()), ("cut", whole[:2000]),
                       ("not a tar", b"PK" + bytes(2000)), ("nothing", bytes(1024)),
                       ("no adapter", archive({"readme.txt": b"x"}))):
        assert client.refused(400, "POST", "/v1/adapters/c/import?base=tiny", body), what
    assert "called" in client.refused(400, "POST", "/v1/adapters/c/import?base=tiny", twice.getvalue())
    client.refused(404, "GET", "/v1/adapters/c")
    assert client.refused(404, "POST", "/v1/adapters/c/import?base=other", whole)


def check_aliases(client):
    """Of two who change what they both have read one wins."""
    read = client.run("GET", "/v1/adapters/b")
    first = client.run("PUT", "/v1/adapters/b/aliases/live", {"version": "1", "etag": read["etag"]})
    assert first["aliases"] == {"live": "1"}, first
    client.refused(409, "PUT", "/v1/adapters/b/aliases/live", {"version": "2", "etag": read["etag"]})
    client.run("PUT", "/v1/adapters/b/aliases/live", {"version": "2", "etag": first["etag"]})
    back = client.run("POST", "/v1/adapters/b/rollback", {})
    assert back["aliases"] == {"live": "1"}, back


def check_ends(client, uri, job):
    """A job that is cancelled, and one that is deleted."""
    name = client.run("POST", "/v1/jobs", {"spec": spec(uri, "d", hyperparameters={"max_steps": 100000})})["name"]
    client.run("POST", f"/v1/{name}/cancel")
    poll("the job's end", lambda: client.run("GET", f"/v1/{name}")["state"] == "CANCELLED")
    client.run("DELETE", f"/v1/jobs/{job}")
    client.refused(404, "GET", f"/v1/jobs/{job}")
    assert client.run("GET", "/v1/jobs")["total_size"] == "1"


def main():
    arguments = parse_paths(__doc__, "bin")
    with tempfile.TemporaryDirectory(prefix="graft-own-paths-") as name:
        folder = Path(name)
        (folder / "bases").mkdir()
        write_base(folder / "bases" / "tiny")
        with Graft(arguments.bin, folder / "bases", folder) as graft:
            client = Client(graft)
            uri = check_uploads(client)
            job = check_job(client, uri)
            check_archives(client, graft)
            check_aliases(client)
            check_ends(client, uri, job)


if __name__ == "__main__":
    main()
