#include "common/datasets/dataset.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "common/base/json.h"
#include "common/base/utf8.h"

namespace graft::datasets {
namespace {

constexpr std::string_view kFormat = "graft.dataset.v1", kLanguageFormat = "graft.dataset.v2";
/// By their names in the latter.
constexpr std::array<std::pair<std::string_view, Shape>, 3> kShapes = {
    {{"text", Shape::kText}, {"completion", Shape::kCompletion}, {"messages", Shape::kMessages}}};
/// Ingestion's limit on label names and their length keeps a true header far below this.
constexpr size_t kMaxHeaderBytes = size_t{64} << 20;
constexpr std::string_view kHexDigits = "0123456789abcdef";

/// The character behind the backslash, or 0 if `c` is written as \u00XX or as it is.
char ShortEscape(char c) {
  switch (c) {
    case '"':
    case '\\':
      return c;
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return 0;
  }
}

bool NeedsEscape(char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; }

void AppendString(std::string_view text, std::string& out) {
  out += '"';
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!NeedsEscape(c)) continue;
    out.append(text, begin, i - begin);
    begin = i + 1;
    out += '\\';
    if (const char escape = ShortEscape(c); escape != 0) {
      out += escape;
    } else {
      out += "u00";
      out += kHexDigits[static_cast<unsigned char>(c) >> 4];
      out += kHexDigits[static_cast<unsigned char>(c) & 15];
    }
  }
  out.append(text, begin);
  out += '"';
}

void AppendCounts(const IngestedDataset& dataset, std::string& out) {
  out += ",\"splits\":{\"train\":" + std::to_string(dataset.train.size()) +
         ",\"validation\":" + std::to_string(dataset.validation.size()) +
         ",\"test\":" + std::to_string(dataset.test.size()) + "}}\n";
}

void AppendHeader(const IngestedDataset& dataset, std::string& out) {
  out += "{\"format\":\"";
  if (dataset.shape != Shape::kLabelled) {
    out += kLanguageFormat;
    out += "\",\"shape\":\"";
    for (const auto& [name, shape] : kShapes) {
      if (shape == dataset.shape) out += name;
    }
    out += '"';
    return AppendCounts(dataset, out);
  }
  out += kFormat;
  out += "\",\"labels\":[";
  for (size_t i = 0; i < dataset.label_names.size(); ++i) {
    if (i > 0) out += ',';
    AppendString(dataset.label_names[i], out);
  }
  out += dataset.has_pair ? "],\"pair\":true" : "],\"pair\":false";
  AppendCounts(dataset, out);
}

/// Reads one line of the stored form, from its front to its end.
class LineParser {
 public:
  explicit LineParser(std::string_view line) : rest_(line) {}

  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool AtEnd() const { return rest_.empty(); }

  /// Takes a string in the one form that AppendString writes.
  bool TakeString(std::string& text) {
    if (!Take('"')) return false;
    text.clear();
    for (;;) {
      size_t size = 0;
      while (size < rest_.size() && !NeedsEscape(rest_[size])) ++size;
      text.append(rest_.substr(0, size));
      rest_.remove_prefix(size);
      if (Take('"')) return FirstInvalidUtf8(text) == std::string_view::npos;
      if (!TakeEscape(text)) return false;
    }
  }

  bool TakeInteger(int32_t& value) {
    const char* end = rest_.data() + rest_.size();
    const auto [stop, error] = std::from_chars(rest_.data(), end, value);
    if (error != std::errc()) return false;
    const std::string_view digits = rest_.substr(0, static_cast<size_t>(stop - rest_.data()));
    if (digits != std::to_string(value)) return false;  // "01", "-0"
    rest_.remove_prefix(digits.size());
    return true;
  }

 private:
  bool TakeEscape(std::string& text) {
    if (!Take('\\') || rest_.empty()) return false;
    constexpr std::string_view kShort = "\"\\\b\f\n\r\t";
    for (const char c : kShort) {
      if (!Take(ShortEscape(c))) continue;
      text += c;
      return true;
    }
    for (int i = 0; i < 0x20; ++i) {
      const auto c = static_cast<char>(i);
      const std::array<char, 5> form = {'u', '0', '0', kHexDigits[static_cast<size_t>(i) >> 4],
                                        kHexDigits[static_cast<size_t>(i) & 15]};
      if (ShortEscape(c) != 0 || !rest_.starts_with(std::string_view(form.data(), form.size())))
        continue;
      rest_.remove_prefix(form.size());
      text += c;
      return true;
    }
    return false;
  }

  std::string_view rest_;
};

Status Torn(size_t line, const std::string& what) {
  return DataLossError("the stored dataset is damaged at line " + std::to_string(line) + ": " +
                       what + "; submit its source again");
}

/// Takes a line with its LF from the front of `bytes`; nullopt if there is none.
bool TakeLine(std::string_view& bytes, std::string_view& line) {
  const size_t end = bytes.find('\n');
  if (end == std::string_view::npos) return false;
  line = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  return true;
}

struct Header {
  IngestedDataset dataset;  // Without examples.
  std::array<uint64_t, 3> counts{};
};

bool Has(const Json& object, const char* key) { return object.is_object() && object.contains(key); }

/// Reads what comes before the splits; false if it isn't as it must be.
bool ParseKind(const Json& root, IngestedDataset& dataset) {
  if (!Has(root, "format")) return false;
  if (root["format"] == kLanguageFormat) {
    for (const auto& [name, shape] : kShapes) {
      if (root.value("shape", Json()) == name) dataset.shape = shape;
    }
    return dataset.shape != Shape::kLabelled;
  }
  if (root["format"] != kFormat || !Has(root, "labels") || !root["labels"].is_array() ||
      !Has(root, "pair") || !root["pair"].is_boolean()) {
    return false;
  }
  dataset.has_pair = root["pair"].get<bool>();
  for (const Json& label : root["labels"]) {
    if (!label.is_string()) return false;
    dataset.label_names.push_back(label.get<std::string>());
  }
  return true;
}

StatusOr<Header> ParseHeader(std::string_view line, size_t bytes_behind) {
  auto json = ParseJson(line, "its header", {.max_bytes = kMaxHeaderBytes, .max_depth = 3});
  if (!json.ok()) return Torn(1, json.status().message());
  const Json& root = *json;
  const Status wrong = Torn(1, "its header isn't that of " + std::string(kFormat) + " or " +
                                   std::string(kLanguageFormat));
  Header header;
  if (!ParseKind(root, header.dataset) || !Has(root, "splits") || !root["splits"].is_object())
    return wrong;
  constexpr std::array<const char*, 3> kSplits = {"train", "validation", "test"};
  // The shortest lines are ["",0] and [""] with LF; a count beyond that would only reserve memory.
  uint64_t most = bytes_behind / (header.dataset.shape == Shape::kLabelled ? 7 : 5);
  for (size_t i = 0; i < kSplits.size(); ++i) {
    const Json& splits = root["splits"];
    if (!Has(splits, kSplits[i]) || !splits[kSplits[i]].is_number_unsigned()) return wrong;
    header.counts[i] = splits[kSplits[i]].get<uint64_t>();
    if (header.counts[i] > most) return Torn(1, "it counts more examples than there are");
    most -= header.counts[i];
  }
  return header;
}

bool ParseExample(std::string_view line, const IngestedDataset& dataset, Example& example) {
  LineParser parser(line);
  if (!parser.Take('[') || !parser.TakeString(example.text)) return false;
  if (dataset.shape != Shape::kLabelled) {
    const bool is_whole =
        dataset.shape == Shape::kText || (parser.Take(',') && parser.TakeString(example.text_pair));
    return is_whole && parser.Take(']') && parser.AtEnd();
  }
  if (!parser.Take(',')) return false;
  if (dataset.has_pair && (!parser.TakeString(example.text_pair) || !parser.Take(','))) {
    return false;
  }
  if (!parser.TakeInteger(example.label) || !parser.Take(']') || !parser.AtEnd()) return false;
  return example.label >= -1 && example.label < static_cast<int64_t>(dataset.label_names.size());
}

}  // namespace

std::string Serialize(const IngestedDataset& dataset) {
  std::string out;
  size_t size = 1024;
  for (const auto* split : {&dataset.train, &dataset.validation, &dataset.test}) {
    for (const Example& example : *split)
      size += example.text.size() + example.text_pair.size() + 16;
  }
  out.reserve(size + size / 16);
  AppendHeader(dataset, out);
  for (const auto* split : {&dataset.train, &dataset.validation, &dataset.test}) {
    for (const Example& example : *split) {
      out += '[';
      AppendString(example.text, out);
      if (dataset.shape != Shape::kLabelled) {
        if (dataset.shape != Shape::kText) {
          out += ',';
          AppendString(example.text_pair, out);
        }
        out += "]\n";
        continue;
      }
      out += ',';
      if (dataset.has_pair) {
        AppendString(example.text_pair, out);
        out += ',';
      }
      out += std::to_string(example.label) + "]\n";
    }
  }
  return out;
}

StatusOr<IngestedDataset> Parse(std::string_view bytes) {
  std::string_view line;
  std::string_view rest = bytes;
  if (!TakeLine(rest, line)) return Torn(1, "it has no header line");
  GRAFT_ASSIGN_OR_RETURN(Header header, ParseHeader(line, rest.size()));
  IngestedDataset& dataset = header.dataset;
  size_t number = 1;
  const std::array<std::vector<Example>*, 3> splits = {&dataset.train, &dataset.validation,
                                                       &dataset.test};
  for (size_t i = 0; i < splits.size(); ++i) {
    splits[i]->resize(header.counts[i]);
    for (Example& example : *splits[i]) {
      ++number;
      if (!TakeLine(rest, line)) return Torn(number, "it ends before its last example");
      if (!ParseExample(line, dataset, example)) return Torn(number, "no example is written so");
    }
  }
  if (!rest.empty()) return Torn(number + 1, "more lines than its header counts");
  std::string written;
  AppendHeader(dataset, written);
  if (!bytes.starts_with(written)) return Torn(1, "its header isn't as graft writes it");
  return std::move(header.dataset);
}

}  // namespace graft::datasets
