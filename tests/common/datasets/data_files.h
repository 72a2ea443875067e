#pragma once
/// The forms of data files that people bring, and what becomes of each: read, with these labels, or
/// refused in words that lead on. docs/data.md follows from this table.

#include <string>
#include <string_view>
#include <vector>

#include "tests/common/datasets/support.h"

namespace graft::datasets {

struct DataFile {
  std::string shows;  ///< What it is an example of.
  std::string name;
  std::string bytes;
  /// "ham=2 spam=2": read, with so many examples of each label. "! a | b": refused in a message
  /// that holds each of the pieces.
  std::string outcome;
  std::string first_text = {};  ///< If read; empty: any.
  std::string warning = {};     ///< A piece of a warning; empty: none is looked for.
  bool has_header = true;
  std::string format = {};
};

/// ASCII as UTF-16.
inline std::string Utf16(std::string_view text, bool big_endian, bool mark) {
  std::string out = !mark ? "" : big_endian ? "\xFE\xFF" : "\xFF\xFE";
  for (const char c : text) {
    if (big_endian) out += '\0';
    out += c;
    if (!big_endian) out += '\0';
  }
  return out;
}

inline std::string WithLineEnd(std::string text, std::string_view line_end) {
  std::string out;
  for (const char c : text) out += c == '\n' ? std::string(line_end) : std::string(1, c);
  return out;
}

inline std::string Literal(std::string_view bytes) { return std::string(bytes); }

/// Files whose form is at issue: separators, quotes, encodings, containers.
inline std::vector<DataFile> FormFiles() {
  using namespace std::string_view_literals;
  const std::string csv = "text,label\nw1 w2,spam\nw3 w4,ham\n";
  const std::string both = "ham=1 spam=1";
  const std::string array =
      "[\n {\"text\": \"w1 w2\", \"label\": \"spam\"},\n {\"text\": \"w3\", \"label\": "
      "\"ham\"}\n]\n";
  const std::string lines =
      "{\"text\":\"w1 w2\",\"label\":\"spam\"}\n{\"text\":\"w3\",\"label\":\"ham\"}\n";
  std::vector<DataFile> files = {
      {"plain CSV", "a.csv", csv, both, "w1 w2"},
      {"no line end at the end", "a.csv", csv.substr(0, csv.size() - 1), both},
      {"CRLF", "a.csv", WithLineEnd(csv, "\r\n"), both, "w1 w2"},
      {"classic Mac line ends", "mac.csv", WithLineEnd(csv, "\r"), both, "w1 w2"},
      {"blank lines", "a.csv", "\n\ntext,label\n\nw1,spam\n\n\nw2,ham\n\n", both},
      {"a spreadsheet's rows of nothing", "a.csv", csv + ",\n,\n", both},
      {"a separator at each line's end", "a.csv", "text,label,\nw1,spam,\nw2,ham,\n", both},
      {"one only in the rows", "a.csv", "text,label\nw1,spam,\nw2,ham,\n", both},
      {"semicolons", "a.csv", "text;label\nw1, w2;spam\nw3 w4;ham\n", both, "w1, w2"},
      {"semicolons and quotes", "a.csv", "\"text\";\"label\"\n\"a;b\";spam\nw;ham\n", both, "a;b"},
      {"a sep= line", "a.csv", "sep=,\ntext,label\nw1,spam\nw2,ham\n", both, "w1"},
      {"a sep= line, semicolon", "a.csv", "sep=;\r\ntext;label\r\na,b;spam\r\nw;ham\r\n", both,
       "a,b"},
      {"a quoted sep= line", "a.csv", "\"sep=;\"\ntext;label\nw1;spam\nw2;ham\n", both},
      {"sep= for a tab", "a.csv", "sep=\t\ntext\tlabel\nw1\tspam\nw2\tham\n", both},
      {"tabs in a .csv", "a.csv", "text\tlabel\nw1, w2\tspam\nw3\tham\n", both, "w1, w2"},
      {"pipes", "a.csv", "text|label\nw1, w2|spam\nw3|ham\n", both, "w1, w2"},
      {"commas in a .tsv", "a.tsv", "text,label\n\"w1, w2\",spam\nw3,ham\n", both, "w1, w2"},
      {"tabs without a header", "a.csv", "w1, w2\tspam\nw3\tham\n", both, "w1, w2", {}, false},
      {"semicolons, other names", "a.csv", "phrase;kind\nw1;spam\nw2;ham\n",
       "! \"phrase\", \"kind\" | \"text\""},
      {"semicolons without a header", "a.csv", "w1;spam\nw2;ham\n", "! semicolon", {}, {}, false},
      {"spaces after commas", "a.csv", "text, label\n\"w1\", spam\n\"w2, w3\", ham\n", both, "w1"},
      {"spaces before quotes", "a.csv", "text,label\n\"w1\", \"spam\"\n\"w2, w3\", \"ham\"\n",
       both},
      {"a space behind a quote", "a.csv", "text,label\n\"w1, w2\" ,spam\nw3,ham\n", both, "w1, w2"},
      {"doubled quotes", "a.csv", "text,label\n\"say \"\"hi\"\"\",spam\nw2,ham\n", both,
       "say \"hi\""},
      {"quotes inside", "a.csv", "text,label\nsay \"hi\",spam\nw2,ham\n", both, "say \"hi\""},
      {"texts of many lines", "a.csv", "text,label\n\"a\nb\r\nc\",spam\nw2,ham\n", both,
       "a\nb\r\nc"},
      {"backslashes before quotes", "a.csv", "text,label\n\"say \\\"hi\\\"\",spam\nw2,ham\n",
       "! double each quote | backslash"},
      {"a quote never closed", "a.csv", "text,label\n\"w1,spam\nw2,ham\n", "! never closed"},
      {"a comma without quotes", "a.csv", "text,label\nw1, w2, w3,spam\nw2,ham\n",
       "! 4 fields | double quotes"},
      {"byte order mark", "a.csv", "\xEF\xBB\xBF" + csv, both, "w1 w2"},
      {"two byte order marks", "a.csv", "\xEF\xBB\xBF\xEF\xBB\xBF" + csv, both, "w1 w2"},
      {"a mark within the header's quotes", "a.csv",
       "\"\xEF\xBB\xBFtext\",\"label\"\nw1,spam\nw2,ham\n", both, "w1"},
      {"a header in spaces", "a.csv", "text ,label\xC2\xA0\nw1,spam\nw2,ham\n", both, "w1"},
      {"a header in capitals", "a.csv", "Text,Label\nw1,spam\nw2,ham\n", "! \"Text\""},
      {"two files in one", "a.csv", csv + csv, "! header once more"},
      {"a Markdown table", "a.csv", "| text | label |\n|------|:-----:|\n| w1 | spam |\n",
       "! printed for people | CSV"},
      {"psql's own table", "a.csv", " text | label \n------+-------\n w1   | spam\n(1 row)\n",
       "! printed for people | CSV"},
      {"a number beyond 64 bits", "a.jsonl", "{\"text\":\"w1\",\"label\":18446744073709551617}\n",
       "! more digits | in quotes"},
      {"a comment above the header", "a.csv", "# exported\n" + csv, "! begins with # | comments"},
      {"no header", "a.csv", "w1 w2,spam\nw3 w4,ham\n", "! header"},
      {"a header taken as data", "a.csv", csv, "ham=1 label=1 spam=1", {}, "header", false},
      {"UTF-16 with a mark", "a.csv", Utf16(csv, false, true), both, "w1 w2"},
      {"UTF-16, big end first", "a.csv", Utf16(csv, true, true), both, "w1 w2"},
      {"UTF-16 without a mark", "a.csv", Utf16(csv, false, false), both, "w1 w2"},
      {"UTF-16, big end first, no mark", "a.csv", Utf16(csv, true, false), both, "w1 w2"},
      {"UTF-16, tabs, as Excel's Unicode text", "a.csv",
       Utf16("text\tlabel\r\nw1, w2\tspam\r\nw3\tham\r\n", false, true), both, "w1, w2"},
      {"UTF-16 JSON Lines", "a.jsonl", Utf16(lines, false, true), both, "w1 w2"},
      {"UTF-16 cut in a character", "a.csv", Utf16(csv, false, true) + "x", "! UTF-16 | middle"},
      {"UTF-32", "a.csv", Literal("\xFF\xFE\0\0t\0\0\0e\0\0\0"sv), "! UTF-32"},
      {"Windows-1252", "a.csv", "text,label\ncaf\xE9 w1,spam\nw2,ham\n",
       "! 0xE9 | UTF-8 | caf\xC3\xA9 | iconv"},
      {"zero bytes", "a.csv", Literal("text,label\nw\0001,spam\nw2,ham\n"sv), "! zero byte"},
      {"gzip", "a.csv.gz", Gzip(csv), both, "w1 w2"},
      {"gzip under another name", "a.csv", Gzip(csv), both, "w1 w2"},
      {"gzip twice", "a.csv.gz", Gzip(Gzip(csv)), "! gzip | twice"},
      {"no gzip under its name", "a.csv.gz", csv, "! .gz | isn't a gzip file"},
      {"an Excel workbook", "a.csv", Literal("PK\3\4\x14\0\6\0[Content_Types].xml"sv),
       "! Excel | save"},
      {"a workbook by its name", "a.xlsx", Literal("PK\3\4"sv), "! Excel | CSV"},
      {"an old workbook", "a.csv", "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "! Excel"},
      {"a zip", "a.csv", Literal("PK\3\4\x14\0\0\0data.csv"sv), "! zip | unzip"},
      {"Parquet", "a.parquet", "PAR1xxxxPAR1", "! Parquet | to_csv"},
      {"Parquet under another name", "a.csv", "PAR1xxxxPAR1", "! Parquet | to_csv"},
      {"zstd", "a.csv", "\x28\xB5\x2F\xFD....", "! zstd | gzip"},
      {"bzip2", "a.jsonl.bz2", "BZh91AY", "! bzip2 | gzip"},
      {"a web page", "a.csv", "<!DOCTYPE html>\n<html>\n", "! web page"},
      {"a pointer of Git LFS", "a.csv",
       "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "! git lfs pull"},
      {"a PDF", "a.csv", "%PDF-1.7\n", "! PDF"},
      {"empty", "a.csv", "", "! empty"},
      {"only blank lines", "a.csv", "\n\n  \n", "! empty"},
      {"only a header", "a.csv", "text,label\n", "! no example"},
      {"a text file", "a.txt", csv, "! .txt | format"},
      {"format in capitals", "a.txt", csv, both, "w1 w2", {}, true, "CSV"},
      {"JSON Lines", "a.jsonl", lines, both, "w1 w2"},
      {"JSON Lines, CRLF", "a.ndjson", WithLineEnd(lines, "\r\n"), both},
      {"JSON Lines with commas", "a.jsonl", WithLineEnd(lines, ",\n"), both, "w1 w2"},
      {"JSON Lines in a .json", "a.json", lines, both},
      {"a JSON array", "a.json", array, both, "w1 w2"},
      {"a JSON array on one line", "a.jsonl", WithLineEnd(array, ""), both, "w1 w2"},
      {"a JSON array never closed", "a.json", array.substr(0, array.size() - 2), "! never closed"},
      {"a JSON array of arrays", "a.json", "[[\"w1\",\"spam\"],[\"w2\",\"ham\"]]", "! object"},
      {"JSON over many lines", "a.json", "{\n  \"data\": [\n    {\"text\": \"w1\"}\n]}\n",
       "! one object a line | jq"},
      {"a list in an object", "a.json",
       "{\"version\": 1, \"data\": [{\"text\": \"w1\", \"label\": \"spam\"}]}\n",
       "! if the examples are in \"data\" | jq -c '.[\"data\"][]'"},
      {"a table by columns", "a.json", "{\"text\":[\"a\",\"b\"],\"label\":[0,1]}\n",
       "! array | orient"},
      {"Python's braces", "a.jsonl", "{'text': 'w1', 'label': 'spam'}\n", "! double quotes"},
      {"NaN in JSON", "a.jsonl", "{\"text\":\"w1\",\"label\":NaN}\n", "! NaN"},
      {"CSV named .jsonl", "a.jsonl", csv, "! isn't JSON | csv"},
      {"JSON Lines named .csv", "a.csv", lines, "! JSON | jsonl"},
      {"one JSON line cut", "a.jsonl", lines + "{\"text\":\"w5\",\"lab\n", "! JSON"},
      {"lists as labels in JSON", "a.jsonl", "{\"text\":\"w1\",\"label\":[\"a\",\"b\"]}\n",
       "! array | one label"},
      {"columns twice", "a.csv", "text,label,text\nw1,spam,w2\n", "! twice"},
      {"characters lost on the way",
       "a.csv",
       "text,label\nw\xEF\xBF\xBD,spam\nw2,ham\n",
       both,
       {},
       "lost"},
      {"UTF-8 read as Latin-1 once",
       "a.csv",
       "text,label\ncaf\xC3\x83\xC2\xA9,spam\nw2,ham\n",
       both,
       {},
       "twice"},
  };
  return files;
}

/// Files whose labels are at issue.
inline std::vector<DataFile> LabelFiles() {
  const auto csv = [](const std::vector<std::string>& labels) {
    std::string text = "text,label\n";
    for (size_t i = 0; i < labels.size(); ++i)
      text += "w" + std::to_string(i) + " x," + labels[i] + "\n";
    return text;
  };
  const auto many = [&](int count, int each, auto name) {
    std::vector<std::string> labels;
    for (int i = 0; i < count * each; ++i) labels.push_back(name(i % count));
    return csv(labels);
  };
  const auto tenths = [](int i) { return std::to_string(i / 10) + "." + std::to_string(i % 10); };
  const auto whole = [](int i) { return std::to_string(i * 3); };
  const auto twins = [&](const std::string& other) { return csv({"spam", "ham", "ham", other}); };
  return {
      {"a no-break space", "a.csv", twins("spam\xC2\xA0"),
       "! \"spam\" | line 2 | \"spam\\u00a0\" | line 5"},
      {"a zero-width space", "a.csv",
       twins("sp\xE2\x80\x8B"
             "am"),
       "! \"sp\\u200bam\" | line 5"},
      {"a byte order mark in a label", "a.csv", twins("\xEF\xBB\xBFspam"), "! \"\\ufeffspam\""},
      {"a soft hyphen", "a.csv",
       twins("sp\xC2\xAD"
             "am"),
       "! \"sp\\u00adam\""},
      {"NFC and NFD", "a.csv", csv({"caf\xC3\xA9", "x", "x", "cafe\xCC\x81"}),
       "! line 2 | (there U+00E9) | (there U+0065 U+0301) | line 5"},
      {"full width", "a.csv", twins("\xEF\xBD\x93pam"), "! line 2 | line 5"},
      {"a space at the end", "a.csv", twins("spam "), "! \"spam \" | line 5"},
      {"an ideographic space", "a.csv", twins("\xE3\x80\x80spam"), "! \"\\u3000spam\""},
      {"a line end in a label", "a.jsonl",
       "{\"text\":\"w1\",\"label\":\"spam\"}\n{\"text\":\"w3\",\"label\":\"spam\\n\"}\n"
       "{\"text\":\"w5\",\"label\":\"ham\"}\n",
       "! \"spam\\n\" | line 1 | line 2"},
      {"a dash for a hyphen",
       "a.csv",
       csv({"e-mail", "x", "e\xE2\x80\x93mail"}),
       "e-mail=1 e\xE2\x80\x93mail=1 x=1",
       {},
       "hyphens"},
      {"two apostrophes",
       "a.csv",
       csv({"can't", "x", "can\xE2\x80\x99t"}),
       "can't=1 can\xE2\x80\x99t=1 x=1",
       {},
       "apostrophes"},
      {"pandas' missing value", "a.csv", csv({"<NA>", "x"}), "<NA>=1 x=1", {}, "missing value"},
      {"case", "a.csv", twins("Spam"), "Spam=1 ham=2 spam=1", {}, "case"},
      {"case beyond ASCII",
       "a.csv",
       csv({"\xC3\xA4rger", "x", "\xC3\x84rger"}),
       "x=1 \xC3\x84rger=1 \xC3\xA4rger=1",
       {},
       "case"},
      {"case of sharp s",
       "a.csv",
       csv({"Stra\xC3\x9F"
            "e",
            "x", "STRASSE"}),
       "STRASSE=1 Stra\xC3\x9F"
       "e=1 x=1",
       {},
       "case"},
      {"inner spaces",
       "a.csv",
       csv({"not spam", "ham", "not  spam"}),
       "ham=1 not  spam=1 not spam=1",
       {},
       "spaces"},
      {"letters of two alphabets",
       "a.csv",
       csv({"spam", "ham", "sp\xD0\xB0m"}),
       "ham=1 spam=1 sp\xD0\xB0m=1",
       {},
       "look"},
      {"superscripts stay apart", "a.csv", csv({"m2", "x", "m\xC2\xB2"}), "m2=1 m\xC2\xB2=1 x=1"},
      {"scores", "a.csv", many(51, 2, tenths), "! 51 different numbers | regression"},
      {"scores with decimal commas", "a.csv",
       many(30, 1, [](int i) { return "\"0," + std::to_string(100 + i) + "\""; }),
       "! 30 different numbers | regression"},
      {"few decimals, many rows",
       "a.csv",
       many(3, 10, tenths),
       "0.0=10 0.1=10 0.2=10",
       {},
       "regression"},
      {"many whole numbers", "a.csv", many(30, 2, whole), "30 labels", {}, "regression"},
      {"class ids", "a.csv", many(4, 5, [](int i) { return std::to_string(i); }),
       "0=5 1=5 2=5 3=5"},
      {"one number spelt twice",
       "a.csv",
       csv({"1", "0", "1.0", "0"}),
       "0=2 1=1 1.0=1",
       {},
       "same number"},
      {"a negative zero", "a.csv", csv({"-0", "0", "-0", "0"}), "-0=2 0=2", {}, "same number"},
      {"control characters in a label",
       "a.csv",
       csv({"\x1b[31mred\x1b[0m", "plain", "\x1b[31mred\x1b[0m", "plain"}),
       "\\u001b[31mred\\u001b[0m=2 plain=2",
       {},
       "control a screen"},
      {"lists as labels",
       "a.csv",
       csv({"\"['joy', 'love']\"", "['joy']", "['anger']"}),
       "3 labels",
       {},
       "list"},
      {"a label of its own for each",
       "a.csv",
       many(40, 1, [](int i) { return "id" + std::to_string(i); }),
       "40 labels",
       {},
       "own label"},
      {"missing values by name",
       "a.csv",
       csv({"a", "b", "nan", "a"}),
       "a=2 b=1 nan=1",
       {},
       "missing value"},
      {"texts that are numbers",
       "a.csv",
       "text,label\n1,a\n2,b\n3,a\n4,b\n5,a\n6,b\n7,a\n8,b\n9,a\n10,b\n",
       "a=5 b=5",
       {},
       "numbers"},
  };
}

}  // namespace graft::datasets
