"""The programs are hardened as cmake/GraftHardening.cmake says and take the C++ library from libstdc++, as read from the
binaries themselves.

Usage: binaries_test.py PROGRAM...    (needs binutils' readelf)
"""
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAMS = []


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *arguments], check=True, capture_output=True, text=True).stdout


def faults_of(program, x86):
    """What `program` lacks, a word each."""
    header, dynamic = readelf("-h", program), readelf("-d", program)
    segments, symbols = readelf("-l", program), readelf("--dyn-syms", program)
    with open(program, "rb") as file:
        num_endbr64 = file.read().count(b"\xf3\x0f\x1e\xfa")
    faults = []
    if not re.search(r"Type:\s+DYN", header):
        faults.append("position independence")
    if "GNU_RELRO" not in segments or not re.search(r"BIND_NOW|FLAGS_1.*\bNOW\b", dynamic):
        faults.append("full RELRO")
    if re.search(r"GNU_STACK.*RWE", segments):
        faults.append("a stack that can't run")
    if "__stack_chk_fail" not in symbols:
        faults.append("stack canaries")
    if not re.search(r"\b__\w+_chk\b", symbols.replace("__stack_chk_fail", "")):
        faults.append("checked copies")
    # A few are in every program, from the C library's start-up code; with the flag each function has one.
    if x86 and num_endbr64 < 500:
        faults.append("indirect-branch tracking")
    return faults


def takes_cxx_from_torch(dynamic):
    """The loader takes a symbol from the first library that has it, and torch's export parts of a C++ library."""
    needed = re.findall(r"NEEDED.*\[(.*?)\]", dynamic)
    torch = [i for i, name in enumerate(needed) if name.startswith(("libtorch", "libc10"))]
    if "libstdc++.so.6" not in needed:
        return bool(torch)
    return bool(torch) and min(torch) < needed.index("libstdc++.so.6")


class BinariesTest(unittest.TestCase):
    def test_every_program_is_hardened(self):
        x86 = "X86-64" in readelf("-h", PROGRAMS[0])
        for program in PROGRAMS:
            self.assertEqual([], faults_of(program, x86), program)

    def test_the_cxx_library_stands_before_torch(self):
        for program in PROGRAMS:
            self.assertFalse(takes_cxx_from_torch(readelf("-d", program)), program)
        lines = "0x1 (NEEDED) Shared library: [libtorch_cpu.so]\n0x1 (NEEDED) Shared library: [libstdc++.so.6]\n"
        self.assertTrue(takes_cxx_from_torch(lines))

    def test_a_plain_program_is_found_out(self):
        with tempfile.TemporaryDirectory() as folder:
            source, program = folder + "/plain.c", folder + "/plain"
            with open(source, "w", encoding="ascii") as file:
                file.write("int main(void) { return 0; }\n")
            subprocess.run(["cc", "-no-pie", "-fno-stack-protector", "-fcf-protection=none", "-Wl,-z,norelro",
                            "-Wl,-z,execstack", source, "-o", program], check=True, stderr=subprocess.DEVNULL)
            found = faults_of(program, x86=True)
        self.assertEqual(["position independence", "full RELRO", "a stack that can't run", "stack canaries",
                          "checked copies", "indirect-branch tracking"], found)


if __name__ == "__main__":
    PROGRAMS = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
