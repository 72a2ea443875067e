#!/usr/bin/env bash
# Makes a real data set for text classification out of what apt knows: package descriptions and their section.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<TEXT
Usage: scripts/make_package_dataset.sh FILE.csv

Writes a CSV with the columns text and section: short descriptions from 'apt-cache dumpavail' in the sections
$sections, at most $per_section distinct ones of each, in a fixed shuffled order.
Prints a line for each section with its number of rows. The same package lists give the same file.
TEXT
}

sections="editors fonts games net science sound"
per_section=500
min_rows=600

output_file "$@"
command -v apt-cache >/dev/null || die "apt-cache is missing; this data set is made of Debian's or Ubuntu's package lists"
mkdir -p "$(dirname "$out")" || die "cannot create the folder of $out"

# Section names may carry their archive area ("universe/games"). A text that stands in two sections says nothing
# about either. The order is that of a hash of the text, so that a prefix of the file is a fair sample.
export LC_ALL=C
apt-cache dumpavail | awk -v sections="$sections" '
  BEGIN { n = split(sections, names, " "); for (i = 1; i <= n; ++i) wanted[names[i]] = 1 }
  function flush() {
    if (section in wanted && length(text) > 0) {
      if (!(text in home)) home[text] = section
      else if (home[text] != section) home[text] = ""
    }
    section = text = ""
  }
  /^$/ { flush(); next }
  /^Section: / { section = substr($0, 10); sub(/^.*\//, "", section) }
  /^Description(-en)?: / && text == "" { text = $0; sub(/^[^:]*: */, "", text); gsub(/[\t\r]+/, " ", text) }
  END {
    flush()
    for (i = 1; i < 256; ++i) code[sprintf("%c", i)] = i
    for (text in home) {
      if (home[text] == "") continue
      hash = 7
      for (i = 1; i <= length(text); ++i) hash = (hash * 257 + code[substr(text, i, 1)]) % 2147483647
      printf "%010d\t%s\t%s\n", hash, home[text], text
    }
  }' | sort | awk -F '\t' -v limit="$per_section" -v out="$out.new" '
  BEGIN { print "text,section" > out }
  count[$2] < limit {
    ++count[$2]
    text = $3
    if (text ~ /[",]/) { gsub(/"/, "\"\"", text); text = "\"" text "\"" }
    print text "," $2 > out
  }
  END { for (section in count) printf "%s %d\n", section, count[section] }' | sort >"$out.counts" ||
  die "could not write $out; is the disk full?"

rows=$(awk '{ rows += $2 } END { print rows + 0 }' "$out.counts")
if [ "$rows" -lt "$min_rows" ] || [ "$(wc -l <"$out.counts")" -lt "$(wc -w <<<"$sections")" ]; then
  rm -f "$out.new" "$out.counts"
  die "apt knows only $rows fitting packages; fetch its package lists first: apt-get update (as root)"
fi
cat "$out.counts"
rm -f "$out.counts"
mv "$out.new" "$out"
