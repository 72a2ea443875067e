#!/usr/bin/env python3
"""Every panel of the dashboard and every rule, against a real Prometheus that scrapes a live server during a job.

The server trains two jobs, answers requests and generates texts; its worker is killed in the middle, so that lost leases,
retries and swaps have something to show. Then each query must have an answer with a finite number in it.
Exit code 77: skipped, with a sentence that says what is missing.
"""
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from live_graft import SKIPPED, Graft, Process, parse_paths, poll  # noqa: E402

TEXTS = {"fruit": "apple banana cherry melon grape orange lemon peach", "tool": "hammer saw drill wrench pliers file chisel level"}


TEXT_BASE = "base-llama"  # Of the golden cases: tiny, and generates text.


def replace_once(text, old, new):
    changed, count = re.subn(old, lambda _: new, text)
    assert count >= 1, f"prometheus.yml has no {old} to replace"
    return changed


class Prometheus:
    """A Prometheus with the project's configuration, but a scrape each second and the server's own target file."""

    def __init__(self, source, targets, folder):
        config = (source / "prometheus.yml").read_text()
        config = replace_once(config, r"(?m)^  scrape_interval: .*", "  scrape_interval: 1s")
        config = replace_once(config, r"(?m)^  evaluation_interval: .*", "  evaluation_interval: 1s")
        config = replace_once(config, r"\S+/prometheus-targets\.json", str(targets))
        (folder / "prometheus.yml").write_text(config)
        shutil.copy(source / "rules.yml", folder)
        self.process = Process("prometheus", ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
                                              "--web.listen-address=127.0.0.1:0"], folder)
        listening = poll("Prometheus' start", lambda: self.process.check() and re.search(
            r'"Listening on" address=127\.0\.0\.1:(\d+)', self.process.text()))
        self.base = f"http://127.0.0.1:{listening[1]}/api/v1/"
        poll("Prometheus' readiness", self.ready)

    def ready(self):
        try:
            with urllib.request.urlopen(self.base.replace("api/v1/", "-/ready"), timeout=10) as reply:
                return reply.status == 200
        except urllib.error.HTTPError:
            return False

    def get(self, path, **parameters):
        try:
            with urllib.request.urlopen(f"{self.base}{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode(errors='replace')}") from error

    def values(self, query):
        """The query's numbers now."""
        data = self.get("query", query=query)
        samples = [data] if data["resultType"] == "scalar" else data["result"]
        return [float(sample["value"][1]) for sample in samples]


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def check_layout(dashboard):
    """What Grafana needs and what keeps the page readable."""
    cells = {}
    for panel in dashboard["panels"]:
        place, title = panel["gridPos"], panel["title"]
        assert place["x"] + place["w"] <= 24, f"{title} is wider than the page"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, f"{title} lies on {cells.get((x, y))}"
                cells[x, y] = title
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)), "two panels have one id"
    variables = [v["name"] for v in dashboard["templating"]["list"] if v["type"] == "datasource"]
    assert variables == ["datasource"], variables
    for panel in panels(dashboard):
        title = panel["title"]
        assert len(panel["description"]) > 20, f"{title} has no description"
        assert panel["fieldConfig"]["defaults"]["unit"], f"{title} has no unit"
        assert panel["targets"], f"{title} has no query"
        for item in [panel, *panel["targets"]]:
            assert item["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, f"{title}: fixed data source"


def metric_names(text):
    """Names of graft's metrics and recordings in a query; not in its quoted label values."""
    return set(re.findall(r"\b(?:graft[_:]|process_)[a-z0-9_:]+\b", re.sub(r'"[^"]*"|by \([^)]*\)', " ", text)))


def write_csv(path):
    lines = ["text,label"]
    for label, words in TEXTS.items():
        words = words.split()
        for i in range(120):
            lines.append(f"a {words[i % 8]} and a {words[i // 8 % 8]} number {i},{label}")
    path.write_text("\n".join(lines) + "\n")


def submit(graft, csv, adapter, steps):
    return graft.submit("--base", "minilm", "--adapter", adapter, "--train", csv, "--method", "lora", "--set", "rank=4",
                        "--max-steps", steps, "--batch-size", 16, "--test-fraction", 0.2, "--precision", "FP32",
                        "--promote")


def workers(graft):
    """Ids of the server's worker processes."""
    pid = graft.process.child.pid
    children = " ".join(p.read_text() for p in Path(f"/proc/{pid}/task").glob("*/children"))
    names = {int(child): Path(f"/proc/{child}/comm") for child in children.split()}
    return [child for child, name in names.items() if name.exists() and name.read_text().strip() == "graft-worker"]


def use(graft, folder):
    """One job undisturbed, one whose worker is killed in the middle, requests all the time."""
    csv = folder / "data.csv"
    write_csv(csv)
    graft.finish(submit(graft, csv, "first", steps=8))
    assert graft.call("classify", "--adapter", "no-such-adapter", "text")[0] != 0
    job = submit(graft, csv, "second", steps=150)
    poll("the first step", lambda: int(graft.run("job", job).get("progress", {}).get("step", 0)) > 0)
    for text in ("a ripe melon", "a rusty saw", "a sour lemon"):
        graft.run("classify", "--adapter", "first", text)
    assert graft.run("job", job)["state"] == "RUNNING", "the job is too short to be disturbed"
    (worker,) = workers(graft)
    os.kill(worker, signal.SIGKILL)
    poll("the new worker", lambda: workers(graft) not in ([], [worker]))
    graft.run("classify", "--adapter", "first", "a sharp chisel")  # Must be loaded by the new worker.
    graft.finish(job)
    graft.run("classify", "--adapter", "second", "a sweet grape")
    for seed in range(3):
        graft.run("generate", "--base", TEXT_BASE, "--seed", seed, "--min-tokens", 60, "--max-tokens", 60, "the cat")


def check_queries(prometheus, queries):
    """Every query gets a finite number, soon: the last scrape may be a second away."""
    left = dict(queries)

    def answered():
        for title, query in list(left.items()):
            values = prometheus.values(query)
            if any(math.isfinite(value) for value in values):
                del left[title]
        return not left
    try:
        poll("answers", answered, pause=0.5)
    except AssertionError:
        raise AssertionError("no data: " + "; ".join(
            f"{title}: {query} -> {prometheus.values(query)}" for title, query in left.items())) from None


def check_rules(prometheus):
    """Every rule was evaluated without an error; returns the recordings' names and all expressions."""
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    for rule in rules:
        assert rule["health"] == "ok", f"{rule['name']}: {rule.get('lastError')}"
    silent = {"GraftServerDown", "GraftNoWorker", "GraftJobsFailing", "GraftRequestsFail", "GraftQueueStands"}
    for rule in rules:
        if rule["type"] == "alerting" and rule["name"] in silent:
            assert rule["state"] != "firing", f"{rule['name']} fires although all is well"
    return {r["name"]: r["name"] for r in rules if r["type"] == "recording"}, [rule["query"] for rule in rules]


def run(options):
    deploy = options.source / "deploy"
    dashboard = json.loads((deploy / "grafana" / "graft.json").read_text())
    check_layout(dashboard)
    for tool in ("prometheus", "promtool"):
        if shutil.which(tool) is None:
            print(f"skipped: {tool} is not installed; scripts/setup.sh installs Debian's package prometheus")
            return SKIPPED
    for what, file in (("check", "rules.yml"), ("test", "rules_test.yml")):
        subprocess.run(["promtool", what, "rules", file], cwd=deploy / "prometheus", check=True)
    bases = Path(os.environ.get("GRAFT_CACHE") or Path.home() / ".cache" / "graft") / "bases"
    if not (bases / "minilm" / "model.safetensors").exists():
        print(f"skipped: there is no base model in {bases / 'minilm'}; scripts/setup.sh installs it")
        return SKIPPED

    with tempfile.TemporaryDirectory(prefix="graft-dashboard-") as name:
        folder, processes = Path(name), []
        try:
            own = folder / "bases"
            own.mkdir()
            (own / "minilm").symlink_to(bases / "minilm")
            shutil.copytree(options.source / "tests" / "golden" / "decoders" / TEXT_BASE, own / TEXT_BASE)
            graft = Graft(options.bin, own, folder)
            processes.append(graft.process)
            prometheus = Prometheus(deploy / "prometheus", graft.data / "prometheus-targets.json", folder)
            processes.append(prometheus.process)
            # From zero on: what happened before the first scrape is no increase.
            check_queries(prometheus, {job: f'sum(up{{job="{job}"}}) == 1' for job in ("graft-server", "graft-worker")})
            use(graft, folder)
            queries = {f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "5m")
                       for panel in panels(dashboard) for target in panel["targets"]}
            recordings, rules = check_rules(prometheus)
            check_queries(prometheus, {**queries, **recordings})
            known = set(prometheus.get("label/__name__/values"))
            used = set().union(*(metric_names(text) for text in [*queries.values(), *rules]))
            assert len(used) > 20 and used <= known, f"nobody exports {sorted(used - known)}"
            print(f"{len(queries)} queries of {len(panels(dashboard))} panels, {len(rules)} rules, {len(used)} metrics")
        except BaseException:
            for process in processes:
                print(f"--- the end of {process.name}'s log\n{process.text()[-4000:]}", file=sys.stderr)
            raise
        finally:
            for process in reversed(processes):
                process.stop()
    return 0


def main():
    options = parse_paths(__doc__, "source", "bin")
    options.source, options.bin = options.source.resolve(), options.bin.resolve()
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
