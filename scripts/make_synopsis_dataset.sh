#!/usr/bin/env bash
# Makes a real data set for a chat model out of what apt knows: packages, and the one line that describes each.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<TEXT
Usage: scripts/make_synopsis_dataset.sh FILE.jsonl

Writes conversations of one question and one answer, a JSON object a line, as OpenAI's chat form has them: a package's
name and section are asked about, its short description from 'apt-cache dumpavail' is the answer. At most $most,
in a fixed shuffled order. Prints their number. The same package lists give the same file.
TEXT
}

most=4000
least=600

output_file "$@"
command -v apt-cache >/dev/null || die "apt-cache is missing; this data set is made of Debian's or Ubuntu's package lists"
command -v jq >/dev/null || die "jq is missing; scripts/setup.sh installs it"
mkdir -p "$(dirname "$out")" || die "cannot create the folder of $out"

# The order is that of a hash of the name, so that a prefix of the file is a fair sample. Of packages that share a
# description, as a library and its headers do, one is enough.
export LC_ALL=C
apt-cache dumpavail | awk '
  BEGIN { for (i = 1; i < 256; ++i) code[sprintf("%c", i)] = i }
  function flush(  hash, i) {
    if (name != "" && section != "" && length(text) > 15 && !(text in seen)) {
      seen[text] = 1
      hash = 7
      for (i = 1; i <= length(name); ++i) hash = (hash * 257 + code[substr(name, i, 1)]) % 2147483647
      printf "%010d\t%s\t%s\t%s\n", hash, name, section, text
    }
    name = section = text = ""
  }
  /^$/ { flush() }
  /^Package: / { name = substr($0, 10) }
  /^Section: / { section = substr($0, 10); sub(/^.*\//, "", section) }
  /^Description(-en)?: / && text == "" { text = $0; sub(/^[^:]*: */, "", text); gsub(/[\t\r]+/, " ", text) }
  END { flush() }' | sort | awk -v most="$most" 'NR <= most' |
  jq -cR 'split("\t") | {messages: [
    {role: "user", content: "Describe the package \(.[1]) of the section \(.[2]) in one line."},
    {role: "assistant", content: .[3]}]}' >"$out.new" || {
  rm -f "$out.new"
  die "could not write $out; is the disk full?"
}

rows=$(wc -l <"$out.new")
if [ "$rows" -lt "$least" ]; then
  rm -f "$out.new"
  die "apt knows only $rows packages; fetch its package lists first: apt-get update (as root)"
fi
mv "$out.new" "$out"
echo "$rows"
