"""graft as a user has it: a graft-server started as a process, and the graft command with --json."""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import time


class GraftError(Exception):
    """A sentence that says what failed and what to do."""


def _end_with_parent():
    """Linux: the child is asked to end when this program dies, however it dies."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Server:
    """A graft-server over one data folder, with one worker; a context manager.

    One is started for each job, so that the worker's memory high-water is that job's and not an earlier one's.
    """

    def __init__(self, binaries, data, bases):
        self._binaries, self._data, self._bases = binaries, data, bases
        self._process = None

    def __enter__(self):
        os.makedirs(self._data, exist_ok=True)
        ports = os.path.join(self._data, "ports.json")
        with contextlib.suppress(FileNotFoundError):
            os.remove(ports)
        log_path = os.path.join(self._data, "server.log")
        deadline = time.monotonic() + 60
        try:
            self._start(log_path)
            while not os.path.exists(ports):
                ended = self._process.poll() is not None
                if ended and "another graft-server" in tail(log_path, 1) and time.monotonic() < deadline:
                    time.sleep(0.5)  # One that an ended program left is still finishing.
                    self._start(log_path)
                elif ended:
                    raise GraftError(f"graft-server did not start; {log_path} says why:\n{tail(log_path)}")
                if time.monotonic() > deadline:
                    raise GraftError(f"graft-server was not ready within a minute; see {log_path}")
                time.sleep(0.05)
            with open(ports, encoding="utf-8") as file:
                self._port = json.load(file)["grpc"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, log_path):
        with open(log_path, "ab") as log:
            self._process = subprocess.Popen(
                [os.path.join(self._binaries, "graft-server"), "--data", self._data, "--bases", self._bases,
                 "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--workers", "1"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=_end_with_parent)

    def __exit__(self, *_):
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def graft(self, *arguments, timeout=600):
        """The messages that `graft --json ARGUMENTS` prints."""
        command = [os.path.join(self._binaries, "graft"), "--json", "--server", f"127.0.0.1:{self._port}",
                   "--timeout", str(timeout), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise GraftError(f"graft {arguments[0]} failed: {(done.stderr or done.stdout).strip()}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def events(self, job):
        """The events of a job as they come, until it ends."""
        command = [os.path.join(self._binaries, "graft"), "--json", "--server", f"127.0.0.1:{self._port}", "watch",
                   job.removeprefix("jobs/")]
        watch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            for line in watch.stdout:
                yield json.loads(line)
        finally:
            watch.terminate()
            watch.wait()

    def worker_peak_bytes(self):
        """VmHWM summed over the server's workers; 0 where /proc does not tell."""
        peak = 0
        for pid in _children(self._process.pid):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                    status = dict(line.split(":", 1) for line in file if ":" in line)
                if status["Name"].strip() == "graft-worker":
                    peak += int(status.get("VmHWM", "0").split()[0]) * 1024
        return peak


def _children(parent):
    with contextlib.suppress(OSError):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, ValueError):
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    if int(file.read().rpartition(")")[2].split()[1]) == parent:
                        yield int(pid)


def tail(path, lines=5):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-lines:]).rstrip()
    except OSError:
        return ""


def submit(server, settings, step, paths):
    """Submits the step's job, or finds the one that an interrupted program left in the server's store."""
    for job in server.graft("jobs"):
        if job["state"] not in ("FAILED", "CANCELLED"):
            return job["name"], True
    options = [word for name, value in step.run.fields for word in ("--set", f"{name}={value}")]
    job, = server.graft(
        "submit", "--base", settings.base, "--adapter", step.run.key, "--train", paths["train"],
        "--validation", paths["validation"], "--method", step.run.method, *options,
        "--epochs", f"{settings.epochs:g}", "--lr", f"{step.learning_rate:g}", "--seed", str(step.seed),
        "--batch-size", str(settings.batch_size), "--max-length", str(settings.max_length),
        "--precision", settings.precision, "--hp", f"warmup_ratio={settings.warmup_ratio:g}",
        "--hp", "evaluations_per_epoch=0", "--description", "bench/article " + step.key())
    return job["name"], False


def train(server, settings, step, paths, show):
    """Runs the job of a step to its end; returns its result. show(progress message) is called now and then."""
    name, resumed = submit(server, settings, step, paths)
    for event in server.events(name):
        if "progress" in event:
            show(event["progress"])
    job, = server.graft("job", name.removeprefix("jobs/"))
    # Before anything else runs on that worker.
    peak = server.worker_peak_bytes()
    facts = job.get("facts", {})
    result = {"kind": "train", "run": step.run.key, "learning_rate": step.learning_rate, "seed": step.seed,
              "method": job["spec"]["method"], "job": name, "attempts": len(job.get("attempts", ())),
              "trainable_parameters": int(facts.get("trainable_parameters", 0)),
              "base_parameters": int(facts.get("base_parameters", 0)),
              "artifact_bytes": int(facts.get("artifact_bytes", 0)),
              "train_tokens": int(facts.get("train_tokens", 0)), "steps": int(facts.get("total_steps", 0)),
              "seconds": float(facts.get("seconds", 0)), "precision": job.get("resolved_precision", ""),
              "peak_memory_bytes": peak or int(facts.get("peak_memory_bytes", 0)),
              "peak_memory_source": ("worker's resident high-water" if peak else "the job's own figure"),
              "resumed": resumed, "validation_accuracy": None, "validation_loss": None}
    if job["state"] == "FAILED" and "NON_FINITE_LOSS" in json.dumps(job.get("error", {})):
        return result | {"error": job["error"].get("message", "")}
    if job["state"] != "SUCCEEDED":
        error = job.get("error", {}).get("message", "no reason is given")
        raise GraftError(f"job {name} ({step.key()}) ended {job['state']}: {error}")
    evaluation = [e for e in job["evaluations"] if e["split"] == "validation"][-1]
    return result | {"validation_accuracy": float(evaluation.get("accuracy", 0)),
                     "validation_loss": float(evaluation.get("loss", 0)), "version": job["adapter_version"]}


def test(server, step, trained, parts):
    """Evaluates what a step trained on the test data, which comes as several files so that no call takes long."""
    adapter, version = trained["version"].split("/")[1::2]
    started = time.monotonic()
    examples = right = 0
    for path in parts:
        answer, = server.graft("evaluate", f"{adapter}@{version}", path)
        part = int(answer["evaluation"]["examples"])
        examples += part
        right += round(float(answer["evaluation"].get("accuracy", 0)) * part)
    return {"kind": "test", "run": step.run.key, "learning_rate": step.learning_rate, "seed": step.seed,
            "test_accuracy": right / examples, "test_examples": examples, "sha256": answer["adapter_version_sha256"],
            "seconds": round(time.monotonic() - started, 3)}


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
