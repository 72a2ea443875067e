#!/usr/bin/env python3
"""With --log-format json each line that graft-server writes to standard error is a JSON object, its worker's lines too:
over a job, a worker that is killed, and a start that fails.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from live_graft import Graft, parse_paths, poll  # noqa: E402
from tiny_model import write_base  # noqa: E402

LEVELS = {"trace", "debug", "info", "warn", "error", "critical"}


def records(text):
    """Every line, read and checked."""
    found = []
    for line in text.splitlines():
        record = json.loads(line)
        assert {"ts", "level", "logger", "pid", "message"} <= set(record), line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["ts"]), line
        assert record["level"] in LEVELS and record["logger"] in ("server", "worker"), line
        found.append(record)
    return found


def about(found, **fields):
    return [r for r in found if all(r.get(name) == value for name, value in fields.items())]


def run(bin_folder, folder):
    (folder / "bases").mkdir()
    write_base(folder / "bases" / "tiny")
    data = folder / "data.csv"
    data.write_text("text,label\n" + "".join(f"w{i} w{i + 1},{'ab'[i % 2]}\n" for i in range(12)))
    log = folder / "errors.log"
    with Graft(bin_folder, folder / "bases", folder, "--log-format", "json", "--data-roots", str(folder),
               errors=log) as graft:
        job = graft.submit("--base", "tiny", "--adapter", "a", "--train", f"file://{data}", "--method", "lora",
                           "--max-steps", "2")
        graft.finish(job)
        worker = poll("the worker's own line",
                      lambda: about(records(log.read_text()), logger="worker", level="info"))[0]
        os.kill(worker["pid"], signal.SIGKILL)
        poll("the next worker", lambda: len({r["pid"] for r in about(records(log.read_text()), logger="worker")}) > 1)
    found = records(log.read_text())
    server = {r["pid"] for r in about(found, logger="server")}
    assert server == {graft.process.child.pid}, server
    told = about(found, job=job)
    assert len(told) >= 3 and any(r.get("worker") == worker["worker"] for r in told), told
    assert any("killed by signal 9" in r["message"] for r in about(found, worker=worker["worker"])), found
    assert "graft-server is ready" in graft.process.text()
    assert about(found, message="stopped")
    print(f"{len(found)} lines, {len(told)} of them about the job")
    failing_start(bin_folder, folder)


def failing_start(bin_folder, folder):
    done = subprocess.run([str(bin_folder / "graft-server"), "--data", str(folder / "other"), "--bases",
                           str(folder / "no \"bases\""), "--log-format", "json"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done
    assert any('no "bases"' in r["message"] for r in about(records(done.stderr), level="critical")), done.stderr


def main():
    arguments = parse_paths(__doc__, "bin")
    with tempfile.TemporaryDirectory(prefix="graft-json-log-") as folder:
        run(arguments.bin.resolve(), Path(folder))


if __name__ == "__main__":
    main()
