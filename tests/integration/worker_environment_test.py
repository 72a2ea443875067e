#!/usr/bin/env python3
"""What the environment says to workers: their OpenMP threads sleep where they wait, whoever starts them, unless their user says
otherwise; and a server whose workers refuse what it says ends, and says why."""
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from live_graft import Graft, Process, parse_paths, poll  # noqa: E402

NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def waiting_of(pid):
    """The settings of a process, once it is the worker: the program that starts again has the same number."""
    def look():
        words = dict(entry.split("=", 1) for entry in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in entry)
        found = {name: words[name] for name in NAMES if name in words}
        return found or None
    return poll("the worker's environment", look)


def child_of(pid):
    def look():
        children = [task.read_text().split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
        return next((child for some in children for child in some if name_of(child) == "graft-worker"), None)
    return poll("the worker's start", look)


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None


def expect(what, found, wanted):
    print(f"{what:28} {found}", flush=True)
    assert found == wanted, f"{what}: {found}, not {wanted}"


def check_refused(server, folder, variable, value, why):
    command = [server, "--data", folder / "data", "--bases", folder / "bases", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
               "--metrics", "none", "--workers", "1"]
    refused = Process(f"refused-{variable}", command, folder, {**os.environ, variable: value})
    try:
        expect(f"{variable}={value}", poll("the server's end", lambda: (refused.child.poll(),) if refused.child.poll() is not None
                                         else None), (1,))
        assert f"gave it: {why}" in refused.text(), refused.text()
    finally:
        refused.stop()


def main():
    options = parse_paths(__doc__, "bin")
    for name in NAMES:
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        (folder / "bases").mkdir()
        with Graft(options.bin, folder / "bases", folder) as graft:
            expect("started by the server", waiting_of(child_of(graft.process.child.pid)), {"GOMP_SPINCOUNT": "0"})
        for name, value in (("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "7000")):
            command = [options.bin.resolve() / "graft-worker", "--server", "127.0.0.1:1", "--bases", folder / "bases"]
            worker = Process(f"worker-{name}", command, folder, {**os.environ, name: value})
            try:
                poll("the worker's start", lambda: "engine at" in worker.text())
                expect(f"{name}={value}", waiting_of(worker.child.pid), {name: value})
            finally:
                worker.stop()
        worker = Process("worker", command, folder, dict(os.environ))
        try:
            poll("the worker's start", lambda: "engine at" in worker.text())
            expect("started by hand", waiting_of(worker.child.pid), {"GOMP_SPINCOUNT": "0"})
            assert name_of(worker.child.pid) == "graft-worker"
        finally:
            worker.stop()
        server = options.bin.resolve() / "graft-server"
        check_refused(server, folder, "GRAFT_MEMORY", "much", '--memory: "much" isn\'t a size')
        check_refused(server, folder, "GRAFT_KV_MEMORY", "0", "graft-worker: --kv-memory must be at least 1")
    return 0


if __name__ == "__main__":
    sys.exit(main())
