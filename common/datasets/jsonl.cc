#include "common/datasets/jsonl.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/dialect.h"
#include "common/datasets/record_faults.h"

namespace graft::datasets {
namespace {

/// Of a line with conversations, whose tools have schemas within schemas.
constexpr int kMaxJsonDepth = 80;

/// Writes a scalar as text; false if it is an array or object.
template <typename AnyJson>
bool ToText(const AnyJson& json, std::string& text) {
  switch (json.type()) {
    case Json::value_t::string:
      text = json.template get_ref<const std::string&>();
      return true;
    case Json::value_t::boolean:
      text = json.template get<bool>() ? "true" : "false";
      return true;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      text = json.dump();
      return true;
    case Json::value_t::number_float: {
      constexpr double kExact = 9007199254740992.0;  // 2^53
      const double value = json.template get<double>();
      const bool is_whole = std::abs(value) <= kExact && value == std::trunc(value);
      text = is_whole ? std::to_string(static_cast<int64_t>(value)) : json.dump();
      return true;
    }
    default:
      return false;
  }
}

/// True if a run of digits somewhere is larger than what 64 bits hold.
bool HasLongNumber(std::string_view text) {
  constexpr std::string_view kLargest = "18446744073709551615";
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    const std::string_view digits = text.substr(at, end - at);
    if (digits.size() > kLargest.size() || (digits.size() == kLargest.size() && digits > kLargest))
      return true;
    at = end + 1;
  }
  return false;
}

template <typename AnyJson>
std::vector<std::string> Keys(const AnyJson& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return keys;
}

template <typename AnyJson>
bool OnlyArrays(const AnyJson& object) {
  return std::all_of(object.begin(), object.end(), [](const AnyJson& v) { return v.is_array(); });
}

/// True for a turn of a chat, in OpenAI's form or ShareGPT's.
template <typename AnyJson>
bool IsTurn(const AnyJson& object) {
  return object.contains("role") || (object.contains("from") && object.contains("value"));
}

/// The name of a list of objects in `object`; empty if there is none.
template <typename AnyJson>
std::string ListOfObjects(const AnyJson& object) {
  for (const auto& [name, value] : object.items()) {
    // A chat's turns are no examples.
    if (value.is_array() && !value.empty() && value.front().is_object() && !IsTurn(value.front()) &&
        name != "messages")
      return name;
  }
  return {};
}

/// What to do if the examples are a list within `object`; empty if there is none.
template <typename AnyJson>
std::string ListHint(const AnyJson& object) {
  const std::string list = ListOfObjects(object);
  if (list.empty()) return {};
  return "; if the examples are in " + Quoted(list) + ", write one a line: jq -c '.[" +
         Quoted(list) + "][]' FILE > data.jsonl";
}

/// How far the brackets of `text` are open at its end; 0 if a string is.
int OpenBrackets(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else {
      depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
    }
  }
  return in_string ? 0 : depth;
}

/// What people commonly write instead of JSON; empty if it isn't that.
std::string Hint(std::string_view text) {
  if (text.starts_with("{'")) {
    return "; JSON has double quotes around names and texts: write it with Python's json.dumps";
  }
  if (text.find("NaN") != std::string_view::npos) return "; NaN isn't JSON, write null";
  return {};
}

ByteSet Bytes(std::string_view members) {
  ByteSet set{};
  for (const char c : members) set[static_cast<unsigned char>(c)] = true;
  return set;
}

/// Without white space around and a comma behind.
std::string_view Bare(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  const size_t last = text.find_last_not_of(" \t\r\n,");
  return last == std::string_view::npos || last < begin ? text.substr(begin)
                                                        : text.substr(begin, last - begin + 1);
}

}  // namespace

JsonlReader::JsonlReader(std::unique_ptr<ByteSource> source, RecordOptions options)
    : options_(std::move(options)),
      wants_json_(std::any_of(options_.columns.begin(), options_.columns.end(),
                              [](const Column& column) { return column.is_json; })),
      at_newline_(Bytes("\n")),
      at_structure_(Bytes("{}[]\"")),
      at_string_stop_(Bytes("\"\\")),
      at_scalar_end_(Bytes(",]} \t\r\n")),
      window_(std::move(source)) {}

StatusOr<ReadStep> JsonlReader::Next(Record& record, ErrorDetail& fault) {
  if (at_end_ || broke_off_) return ReadStep::kEnd;
  if (!std::exchange(has_begun_, true)) {
    while (window_.At(0) == ' ' || window_.At(0) == '\t' || window_.At(0) == '\r' ||
           window_.At(0) == '\n') {
      window_.Consume(1);
    }
    in_array_ = window_.At(0) == '[';
    if (in_array_) window_.Consume(1);
  }
  return in_array_ ? NextElement(record, fault) : NextLine(record, fault);
}

StatusOr<ReadStep> JsonlReader::SkipLongLine(size_t end, ErrorDetail& fault) {
  fault = RecordTooLong(window_.line(), options_.max_record_bytes);
  for (size_t passed = end;;) {
    window_.Consume(passed);
    passed = window_.Find(0, at_newline_, options_.max_record_bytes);
    if (const int c = window_.At(passed); c < 0 || c == '\n') {
      window_.Consume(passed + (c < 0 ? 0 : 1));
      break;
    }
  }
  GRAFT_RETURN_IF_ERROR(window_.status());
  return ReadStep::kFault;
}

StatusOr<ReadStep> JsonlReader::NextLine(Record& record, ErrorDetail& fault) {
  while (!at_end_) {
    const size_t end = window_.Find(0, at_newline_, options_.max_record_bytes);
    const int stop = window_.At(end);
    GRAFT_RETURN_IF_ERROR(window_.status());
    if (stop >= 0 && stop != '\n') return SkipLongLine(end, fault);
    const std::string_view text = Bare(window_.Slice(0, end));
    at_end_ = stop < 0;
    const ReadStep step =
        text.empty() ? ReadStep::kEnd : ToRecord(text, window_.line(), record, fault);
    window_.Consume(end + (stop < 0 ? 0 : 1));
    if (step != ReadStep::kEnd) return step;
  }
  return ReadStep::kEnd;
}

void JsonlReader::SkipBetweenElements() {
  for (;;) {
    const int c = window_.At(0);
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != ',') return;
    window_.Consume(1);
  }
}

size_t JsonlReader::ValueEnd() {
  const size_t limit = options_.max_record_bytes;
  int depth = 0;
  for (size_t at = 0; at < limit;) {
    if (depth == 0 && window_.At(at) != '{' && window_.At(at) != '[' && window_.At(at) != '"')
      return std::max<size_t>(window_.Find(at, at_scalar_end_, limit), 1);
    at = window_.Find(at, at_structure_, limit);
    const int c = window_.At(at);
    if (at >= limit || c < 0) return at;
    ++at;
    if (c == '"') {
      for (;;) {
        at = window_.Find(at, at_string_stop_, limit);
        const int stop = window_.At(at);
        if (at >= limit || stop < 0) return at;
        at += stop == '\\' ? 2 : 1;
        if (stop == '"') break;
      }
    } else {
      depth += c == '{' || c == '[' ? 1 : -1;
    }
    if (depth <= 0) return at;
  }
  return limit;
}

StatusOr<ReadStep> JsonlReader::NextElement(Record& record, ErrorDetail& fault) {
  SkipBetweenElements();
  GRAFT_RETURN_IF_ERROR(window_.status());
  if (window_.At(0) < 0) {
    return BreakOff(fault, "the JSON array that begins the file is never closed; copy it again");
  }
  if (window_.At(0) == ']') {
    window_.Consume(1);
    SkipBetweenElements();
    GRAFT_RETURN_IF_ERROR(window_.status());
    at_end_ = true;
    if (window_.At(0) < 0) return ReadStep::kEnd;
    return BreakOff(fault,
                    "more follows behind the JSON array that begins the file; write one object a "
                    "line, without brackets around them");
  }
  const size_t end = ValueEnd();
  const int behind = window_.At(end);
  GRAFT_RETURN_IF_ERROR(window_.status());
  if (end >= options_.max_record_bytes) {
    fault = RecordTooLong(window_.line(), options_.max_record_bytes);
    broke_off_ = true;
    return ReadStep::kFault;
  }
  if (behind < 0) {
    return BreakOff(fault, "the JSON array that begins the file is never closed; copy it again");
  }
  const ReadStep step = ToRecord(window_.Slice(0, end), window_.line(), record, fault);
  window_.Consume(end);
  return step;
}

ReadStep JsonlReader::BreakOff(ErrorDetail& fault, std::string message) {
  fault = {"BAD_JSON", {}, window_.line(), {}, std::move(message)};
  broke_off_ = true;
  return ReadStep::kFault;
}

ReadStep JsonlReader::ToRecord(std::string_view text, int64_t line, Record& record,
                               ErrorDetail& fault) {
  if (std::optional<ErrorDetail> bad = CheckUtf8(text, line, "")) {
    fault = *std::move(bad);
    return ReadStep::kFault;
  }
  if (!has_object_ && !in_array_ && text.front() != '{') {
    return BreakOff(fault,
                    "the first line isn't JSON: it must be an object, {\"column\": value, ...}; if "
                    "the file is CSV or TSV, say format csv or tsv, or name it so");
  }
  const JsonLimits limits{.max_bytes = options_.max_record_bytes,
                          .max_depth = wants_json_ ? kMaxJsonDepth : 32};
  const std::string_view what = in_array_ ? "the element" : "the line";
  return wants_json_ ? FromJson(text, ParseOrderedJson(text, what, limits), line, record, fault)
                     : FromJson(text, ParseJson(text, what, limits), line, record, fault);
}

template <typename AnyJson>
ReadStep JsonlReader::FromJson(std::string_view text, const StatusOr<AnyJson>& json, int64_t line,
                               Record& record, ErrorDetail& fault) {
  if (!json.ok()) {
    if (!has_object_ && !in_array_ && OpenBrackets(text) > 0) {
      return BreakOff(fault,
                      "the first line isn't a whole JSON object; write one object a line, as jq -c "
                      "does: jq -c . FILE > data.jsonl (or jq -c '.data[]' if they are in a list "
                      "called data)");
    }
    fault = {"BAD_JSON", {}, line, {}, Printable(json.status().message(), 200) + Hint(text)};
    return ReadStep::kFault;
  }
  if (!json->is_object()) {
    fault = {"BAD_JSON",
             {},
             line,
             {},
             std::string(in_array_ ? "the array's element" : "the line") +
                 " isn't a JSON object; write {\"column\": value, ...}"};
    broke_off_ = in_array_ && !has_object_;
    return ReadStep::kFault;
  }
  return ToValues(text, *json, line, record, fault);
}

template <typename AnyJson>
ReadStep JsonlReader::ToValues(std::string_view text, const AnyJson& object, int64_t line,
                               Record& record, ErrorDetail& fault) {
  const bool is_first = !std::exchange(has_object_, true);
  if (is_first && !HasOneGroup(Keys(object), options_)) {
    fault = MissingColumns(options_.any_of, Keys(object), line);
    if (!in_array_) fault.message += ListHint(object);
    broke_off_ = true;
    return ReadStep::kFault;
  }
  record.line = line;
  record.values.resize(options_.columns.size());
  for (size_t i = 0; i < options_.columns.size(); ++i) {
    const Column& column = options_.columns[i];
    Value& value = record.values[i];
    value.is_present = false;
    value.text.clear();
    const auto at = object.find(column.name);
    if (at == object.end()) {
      if (!column.is_required) continue;
      fault = MissingColumn(column.name, Keys(object), line);
      if (is_first && !in_array_) fault.message += ListHint(object);
      // The first line stands for the file: a wrong column name is one fault, not one a line.
      broke_off_ = is_first;
      return ReadStep::kFault;
    }
    if (at->is_null()) continue;
    if (column.is_json && at->is_structured()) {
      value.is_present = true;
      value.text = at->dump();
      continue;
    }
    constexpr double kMostExact = 18446744073709551616.0;  // 2^64
    if (at->is_number_float() && std::abs(at->template get<double>()) >= kMostExact &&
        HasLongNumber(text)) {
      fault = {"WRONG_TYPE",
               {},
               line,
               Printable(column.name),
               "the number has more digits than JSON's readers keep; write it in quotes"};
      return ReadStep::kFault;
    }
    value.is_present = ToText(*at, value.text);
    if (!value.is_present) {
      fault = {"WRONG_TYPE",
               {},
               line,
               Printable(column.name),
               "the value is " + std::string(at->is_array() ? "an array" : "an object") +
                   "; it must be a string, a number or a boolean: graft reads one text and one "
                   "label an example" +
                   (is_first ? "; a table by columns becomes records with pandas' "
                               "to_json(orient=\"records\", lines=True)"
                             : "")};
      broke_off_ = is_first && at->is_array() && OnlyArrays(object);
      return ReadStep::kFault;
    }
  }
  return ReadStep::kRecord;
}

}  // namespace graft::datasets
