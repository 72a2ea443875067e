#include "common/datasets/jsonl.h"

#include <cmath>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/record_faults.h"

namespace graft::datasets {
namespace {

/// Writes a scalar as text; false if it is an array or object.
bool ToText(const Json& json, std::string& text) {
  switch (json.type()) {
    case Json::value_t::string:
      text = json.get_ref<const std::string&>();
      return true;
    case Json::value_t::boolean:
      text = json.get<bool>() ? "true" : "false";
      return true;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      text = json.dump();
      return true;
    case Json::value_t::number_float: {
      constexpr double kExact = 9007199254740992.0;  // 2^53
      const double value = json.get<double>();
      const bool is_whole = std::abs(value) <= kExact && value == std::trunc(value);
      text = is_whole ? std::to_string(static_cast<int64_t>(value)) : json.dump();
      return true;
    }
    default:
      return false;
  }
}

std::vector<std::string> Keys(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return keys;
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

JsonlReader::JsonlReader(std::unique_ptr<ByteSource> source, RecordOptions options)
    : options_(std::move(options)), window_(std::move(source)) {
  at_newline_['\n'] = true;
}

StatusOr<ReadStep> JsonlReader::Next(Record& record, ErrorDetail& fault) {
  if (!has_begun_) {
    has_begun_ = true;
    if (window_.At(0) == 0xEF && window_.At(1) == 0xBB && window_.At(2) == 0xBF) window_.Consume(3);
  }
  while (!at_end_ && !broke_off_) {
    const size_t end = window_.Find(0, at_newline_, options_.max_record_bytes);
    const int stop = window_.At(end);
    GRAFT_RETURN_IF_ERROR(window_.status());
    const int64_t line = window_.line();
    if (stop >= 0 && stop != '\n') {
      fault = RecordTooLong(line, options_.max_record_bytes);
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
    const std::string_view text = window_.Slice(0, end);
    if (stop < 0) at_end_ = true;
    if (IsBlank(text)) {
      window_.Consume(end + (stop < 0 ? 0 : 1));
      continue;
    }
    const ReadStep step = ToRecord(text, line, record, fault);
    window_.Consume(end + (stop < 0 ? 0 : 1));
    return step;
  }
  return ReadStep::kEnd;
}

ReadStep JsonlReader::ToRecord(std::string_view text, int64_t line, Record& record,
                               ErrorDetail& fault) {
  if (std::optional<ErrorDetail> bad = CheckUtf8(text, line, "")) {
    fault = *std::move(bad);
    return ReadStep::kFault;
  }
  if (!has_object_ && text[text.find_first_not_of(" \t\r")] == '[') {
    fault = {"BAD_JSON",
             {},
             line,
             {},
             "the file begins with a JSON array; write one object a line, without brackets around "
             "them or commas between them"};
    broke_off_ = true;
    return ReadStep::kFault;
  }
  const JsonLimits limits{.max_bytes = options_.max_record_bytes, .max_depth = 32};
  StatusOr<Json> json = ParseJson(text, "the line", limits);
  if (!json.ok()) {
    fault = {"BAD_JSON", {}, line, {}, Printable(json.status().message(), 200)};
    return ReadStep::kFault;
  }
  if (!json->is_object()) {
    fault = {
        "BAD_JSON", {}, line, {}, "the line isn't a JSON object; write {\"column\": value, ...}"};
    return ReadStep::kFault;
  }
  const bool is_first = !std::exchange(has_object_, true);
  record.line = line;
  record.values.resize(options_.columns.size());
  for (size_t i = 0; i < options_.columns.size(); ++i) {
    const Column& column = options_.columns[i];
    Value& value = record.values[i];
    value.is_present = false;
    value.text.clear();
    const auto at = json->find(column.name);
    if (at == json->end()) {
      if (!column.is_required) continue;
      fault = MissingColumn(column.name, Keys(*json), line);
      // The first line stands for the file: a wrong column name is one fault, not one a line.
      broke_off_ = is_first;
      return ReadStep::kFault;
    }
    if (at->is_null()) continue;
    value.is_present = ToText(*at, value.text);
    if (!value.is_present) {
      fault = {"WRONG_TYPE",
               {},
               line,
               Printable(column.name),
               "the value is " + std::string(at->is_array() ? "an array" : "an object") +
                   "; it must be a string, a number or a boolean"};
      return ReadStep::kFault;
    }
  }
  return ReadStep::kRecord;
}

}  // namespace graft::datasets
