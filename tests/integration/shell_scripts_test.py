#!/usr/bin/env python3
"""The completions and manual pages of the three programs hold what their --help holds, and nothing else.

Bash completes real lines; zsh and fish read their scripts where they are there, and so does groff the pages.
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from live_graft import parse_paths  # noqa: E402

SHELLS = ("bash", "zsh", "fish")


def output(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def flags_of_help(text):
    """The long names that --help lists, and the values that it gives for each."""
    flags = {}
    for line in text.splitlines():
        found = re.match(r"  (?:-\w,)?(--[\w-]+)(?: \w+:\{([^}]*)\})?", line)
        if found:
            flags[found.group(1)] = found.group(2).split(",") if found.group(2) else []
    return flags


def commands_of_help(text):
    return re.findall(r"^  ([a-z]+) ", text.partition("Subcommands:")[2], re.MULTILINE)


class Program:
    def __init__(self, path, folder):
        self.path, self.name = path, path.name
        self.has_commands = self.name == "graft"
        self.scripts = {}
        for shell in SHELLS:
            self.scripts[shell] = folder / f"{self.name}.{shell}"
            request = ["completions", shell] if self.has_commands else ["--completions", shell]
            self.scripts[shell].write_text(output(path, *request))
        self.page = folder / f"{self.name}.1"
        self.page.write_text(output(path, "man" if self.has_commands else "--man-page"))
        self.root = flags_of_help(output(path, "--help"))
        self.commands = commands_of_help(output(path, "--help"))

    def bash(self, *words):
        """What bash offers in place of the last word."""
        function = "_" + self.name.replace("-", "_")
        return output("bash", "-c", f'source "{self.scripts["bash"]}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                      f'{function}; printf "%s\\n" "${{COMPREPLY[@]}}"', "bash", self.name, *words).split()

    def check_completions(self):
        assert set(self.bash("--")) == set(self.root), (self.name, self.root)
        if self.has_commands:
            assert set(self.bash("")) == set(self.commands) and len(self.commands) > 20, self.commands
        self.check_values([], self.root)
        for command in self.commands:
            flags = flags_of_help(output(self.path, command, "--help"))
            assert set(self.bash(command, "--")) == set(flags) | set(self.root) - {"--version"}, command
            self.check_values([command], flags)
        for shell in SHELLS:
            if shutil.which(shell):
                output(shell, "-n", self.scripts[shell])

    def check_values(self, before, flags):
        for flag, values in flags.items():
            if values:
                assert set(self.bash(*before, flag, "")) == set(values), (before, flag, values)

    def check_page(self):
        """Every command and option of --help has its paragraph, and no other has one."""
        sections = re.split(r"^\.SS (.*)\n", self.page.read_text(), flags=re.MULTILINE)

        def items(text):
            # An option's paragraph begins with its names, each in bold.
            heads = re.findall(r"^\.TP\n(.*)$", text, re.MULTILINE)
            return {name.replace("\\-", "-") for head in heads for name in re.findall(r"\\fB(\\-\\-.*?)\\fR", head)}

        assert items(sections[0]) == set(self.root), items(sections[0]) ^ set(self.root)
        assert [name.replace("\\-", "-") for name in sections[1::2]] == self.commands
        for command, text in zip(self.commands, sections[2::2]):
            flags = set(flags_of_help(output(self.path, command, "--help"))) - {"--help"}
            assert items(text) == flags, (command, items(text) ^ flags)
        if shutil.which("groff"):
            done = subprocess.run(["groff", "-man", "-ww", "-z", str(self.page)], capture_output=True, text=True,
                                  timeout=60, check=True)
            assert not done.stderr, done.stderr
            shown = output("groff", "-man", "-Tascii", "-P-cbou", self.page)
            for flag in self.root:
                assert flag in shown, flag


def check_choices(graft):
    """Values that the API has, which --help tells in words."""
    for flag, some in (("--method", {"lora", "full"}), ("--task", {"causal_lm"}), ("--schedule", {"cosine"}),
                       ("--precision", {"bf16"}), ("--loss-on", {"answers", "all"}), ("--format", {"csv", "jsonl"})):
        offered = set(graft.bash("submit", flag, ""))
        assert some <= offered, (flag, offered)
        assert not any("unspecified" in value for value in offered), offered
    assert set(graft.bash("completions", "")) == set(SHELLS)


def main():
    arguments = parse_paths(__doc__, "bin")
    with tempfile.TemporaryDirectory(prefix="graft-scripts-") as folder:
        for name in ("graft", "graft-server", "graft-worker"):
            program = Program(arguments.bin.resolve() / name, Path(folder))
            program.check_completions()
            program.check_page()
            print(f"{name}: {len(program.commands)} commands, {len(program.root)} options of its own")
            if program.has_commands:
                check_choices(program)


if __name__ == "__main__":
    main()
