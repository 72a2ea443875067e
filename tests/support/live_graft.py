"""A graft-server with its worker as real processes, and the CLI as their client, for tests written in Python.

Standard library only. Every wait is a poll with a deadline; every process ends with the test.
"""
import argparse
import json
import subprocess
import time
from pathlib import Path

DEADLINE = 120  # Seconds that any one thing may take; a busy machine needs some of it.
SKIPPED = 77    # Exit code that ctest reads as "skipped".


PATHS = {"source": "the project's folder", "bin": "folder with graft, graft-server and graft-worker",
         "adapter-logits": "the program of that name", "tokenize-lines": "the program of that name"}


def parse_paths(description, *names):
    """A test's options, each a path that must be given."""
    parser = argparse.ArgumentParser(description=description)
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True, help=PATHS[name])
    return parser.parse_args()


def poll(what, condition, deadline=DEADLINE, pause=0.05):
    """Returns what `condition` returns once it is true; ends the test if that takes too long."""
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"{what} took more than {deadline} s")
        time.sleep(pause)


class Process:
    """A program with its output in a file, or with `errors` standard error in that one; stopped, or else killed, at the end."""

    def __init__(self, name, command, folder, environment=None, errors=None):
        self.name, self.log = name, folder / f"{name}.log"
        with open(self.log, "ab") as output, open(errors or self.log, "ab") as error_output:
            self.child = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output,
                                          stderr=error_output, cwd=folder, env=environment)

    def text(self):
        return self.log.read_text(errors="replace")

    def check(self):
        assert self.child.poll() is None, f"{self.name} ended with {self.child.returncode}: {self.text()[-2000:]}"
        return True

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Graft:
    """A server with one worker on free ports, over the bases of a folder. A context manager: it stops both at the end."""

    def __init__(self, bin_folder, bases, folder, *options, errors=None):
        bin_folder = bin_folder.resolve()
        self.cli, self.data = bin_folder / "graft", folder / "data"
        self.process = Process("server", [
            bin_folder / "graft-server", "--data", self.data, "--bases", bases, "--listen", "127.0.0.1:0", "--http",
            "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--workers", "1", *options], folder, errors=errors)
        self.address = poll("the server's start", self._listening)

    def _listening(self):
        self.process.check()
        try:
            ports = json.loads((self.data / "ports.json").read_text())
        except (OSError, ValueError):
            return None
        return f"127.0.0.1:{ports['grpc']}" if ports.get("pid") == self.process.child.pid else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()

    def call(self, *arguments, text=None):
        """Runs the CLI with --json; returns (exit code, standard output, standard error)."""
        done = subprocess.run([str(self.cli), "--server", self.address, "--timeout", str(DEADLINE), "--json",
                               *map(str, arguments)], input=text, capture_output=True, text=True, timeout=2 * DEADLINE,
                              check=False)
        return done.returncode, done.stdout, done.stderr

    def run(self, *arguments, text=None):
        """The same for a call that must succeed; returns its last message."""
        code, output, error = self.call(*arguments, text=text)
        assert code == 0, f"graft {' '.join(map(str, arguments))} ended with {code}: {output}{error}"
        return json.loads(output.splitlines()[-1]) if output.strip() else {}

    def submit(self, *arguments):
        """Submits a job; returns its name."""
        return self.run("submit", *arguments)["name"].removeprefix("jobs/")

    def finish(self, name):
        """Waits for a job's end; returns the job, which must have succeeded."""
        job = poll(f"job {name}", lambda: self.ended(name))
        assert job["state"] == "SUCCEEDED", job
        return job

    def train(self, *arguments):
        return self.finish(self.submit(*arguments))

    def ended(self, name):
        """The job if it has ended, else None."""
        job = self.run("job", name)
        return job if job["state"] in ("SUCCEEDED", "FAILED", "CANCELLED") else None

    def logits(self, adapter, texts):
        """Logits of each text, and the hash of the version that computed them."""
        answer = self.run("classify", "--adapter", adapter, "--logits", *texts)
        return [p["logits"] for p in answer["predictions"]], answer["provenance"]["adapter_version_sha256"]
