#include <algorithm>
#include <array>
#include <utility>

#include "common/base/file.h"
#include "common/base/utf8.h"
#include "common/datasets/decode.h"

namespace graft::datasets {
namespace {

constexpr std::string_view kExcel =
    "is an Excel workbook; save it as \"CSV UTF-8\" in Excel, or write it with pandas: "
    "pandas.read_excel(\"data.xlsx\").to_csv(\"data.csv\", index=False)";
constexpr std::string_view kOpenDocument =
    "is an OpenDocument file; save the sheet as CSV in UTF-8";
constexpr std::string_view kParquet =
    "is a Parquet file; write it as text with pandas: "
    "pandas.read_parquet(\"data.parquet\").to_csv(\"data.csv\", index=False)";
constexpr std::string_view kArrow =
    "is an Arrow or Feather file; write it as text: a Hugging Face dataset has "
    "to_csv(\"data.csv\"), and pandas.read_feather(...).to_csv(\"data.csv\", index=False) does it "
    "for Feather";
constexpr std::string_view kZip = "is a zip archive; unzip it and name the file in it";
constexpr std::string_view kTar = "is a tar archive; unpack it and name the file in it";
constexpr std::string_view kSevenZip = "is a 7z archive; unpack it and name the file in it";
constexpr std::string_view kZstd =
    "is packed with zstd; graft reads text or gzip: zstd -dc FILE | gzip > data.csv.gz";
constexpr std::string_view kBzip2 =
    "is packed with bzip2; graft reads text or gzip: bzip2 -dc FILE | gzip > data.csv.gz";
constexpr std::string_view kXz =
    "is packed with xz; graft reads text or gzip: xz -dc FILE | gzip > data.csv.gz";
constexpr std::string_view kGzipTwice = "is a gzip file packed twice; unpack it once: gzip -d FILE";
constexpr std::string_view kSqlite =
    "is an SQLite database; export the table: sqlite3 -csv -header FILE \"select ...\" > data.csv";
constexpr std::string_view kPickle =
    "is a Python pickle, which graft never loads; write the data as CSV or JSON Lines";
constexpr std::string_view kNumpy = "holds NumPy arrays; write the data as CSV or JSON Lines";
constexpr std::string_view kPdf = "is a PDF; put its texts and labels into CSV or JSON Lines";
constexpr std::string_view kXml = "is XML; write its texts and labels as CSV or JSON Lines";
constexpr std::string_view kUtf32 =
    "is UTF-32; convert it: iconv -f UTF-32 -t UTF-8 FILE > data.csv";

constexpr std::string_view kTable =
    "is a table printed for people (Markdown, psql), not CSV; export it as CSV";

using Known = std::pair<std::string_view, std::string_view>;

using namespace std::string_view_literals;
constexpr std::array<Known, 19> kFronts = {{{"PAR1", kParquet},
                                            {"ARROW1", kArrow},
                                            {"FEA1", kArrow},
                                            {"\xFF\xFF\xFF\xFF", kArrow},
                                            {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", kExcel},
                                            {"7z\xBC\xAF\x27\x1C", kSevenZip},
                                            {"\x28\xB5\x2F\xFD", kZstd},
                                            {"BZh", kBzip2},
                                            {"\xFD"
                                             "7zXZ",
                                             kXz},
                                            {"\x1F\x8B", kGzipTwice},
                                            {"SQLite format 3", kSqlite},
                                            {"\x80\x02", kPickle},
                                            {"\x80\x03", kPickle},
                                            {"\x80\x04", kPickle},
                                            {"\x80\x05", kPickle},
                                            {"\x93NUMPY", kNumpy},
                                            {"%PDF-", kPdf},
                                            {"\xFF\xFE\0\0"sv, kUtf32},
                                            {"\0\0\xFE\xFF"sv, kUtf32}}};

constexpr std::array<Known, 24> kEnds = {{{".xlsx", kExcel},
                                          {".xls", kExcel},
                                          {".xlsm", kExcel},
                                          {".xlsb", kExcel},
                                          {".ods", kOpenDocument},
                                          {".parquet", kParquet},
                                          {".pq", kParquet},
                                          {".arrow", kArrow},
                                          {".feather", kArrow},
                                          {".zip", kZip},
                                          {".tar", kTar},
                                          {".tgz", kTar},
                                          {".tar.gz", kTar},
                                          {".7z", kSevenZip},
                                          {".zst", kZstd},
                                          {".bz2", kBzip2},
                                          {".xz", kXz},
                                          {".sqlite", kSqlite},
                                          {".db", kSqlite},
                                          {".pkl", kPickle},
                                          {".pickle", kPickle},
                                          {".npy", kNumpy},
                                          {".pdf", kPdf},
                                          {".xml", kXml}}};

std::string_view InZip(std::string_view front) {
  if (front.find("mimetypeapplication/vnd.oasis.opendocument") != std::string_view::npos)
    return kOpenDocument;
  const bool is_office = front.find("[Content_Types].xml") != std::string_view::npos ||
                         front.find("xl/") != std::string_view::npos;
  return is_office ? kExcel : kZip;
}

bool IsUtf32(std::string_view front) {
  return front.size() >= 8 && front.substr(1, 3) == "\0\0\0"sv &&
         front.substr(5, 3) == "\0\0\0"sv && front[0] != '\0' && front[4] != '\0';
}

/// True for "|---|:---:|" or "-----+-----" below the first line.
bool IsPrintedTable(std::string_view text) {
  const size_t first = text.find('\n');
  if (first == std::string_view::npos) return false;
  std::string_view rule = text.substr(first + 1);
  rule = rule.substr(0, rule.find('\n'));
  const size_t last = rule.find_last_not_of(" \t\r");
  rule = rule.substr(0, last == std::string_view::npos ? 0 : last + 1);
  return rule.find_first_not_of("-+|: ") == std::string_view::npos &&
         rule.find("--") != std::string_view::npos &&
         rule.find_first_of("+|") != std::string_view::npos;
}

}  // namespace

std::optional<std::string> ForeignFormat(std::string_view front) {
  const auto say = [](std::string_view what) { return "the file " + std::string(what); };
  if (const std::string_view what = StandIn(front); !what.empty()) return say(what);
  if (front.starts_with("PK\3\4")) return say(InZip(front));
  for (const auto& [begin, what] : kFronts) {
    if (front.starts_with(begin)) return say(what);
  }
  if (front.size() > 262 && front.substr(257, 5) == "ustar") return say(kTar);
  if (IsUtf32(front)) return say(kUtf32);
  const size_t text = front.find_first_not_of(" \t\r\n");
  if (text == std::string_view::npos) return std::nullopt;
  const std::string first = AsciiLower(front.substr(text, 64));
  if (first.starts_with("<?xml")) return say(kXml);
  if (IsPrintedTable(front.substr(text))) return say(kTable);
  return std::nullopt;
}

std::optional<std::string> ForeignName(std::string_view name) {
  for (const auto& [end, what] : kEnds) {
    if (name.ends_with(end)) return "by its name, the file " + std::string(what);
  }
  return std::nullopt;
}

}  // namespace graft::datasets
