#include "common/datasets/labelled.h"

#include <algorithm>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/dialect.h"

namespace graft::datasets {

void LabelledReader::AskFor(RecordOptions& options) {
  for (const std::string& name : spec_.text_columns) options.columns.push_back({name, true});
  if (!spec_.label_column.empty())
    options.columns.push_back({spec_.label_column, !spec_.labels_optional});
}

void LabelledReader::Explain(ErrorDetail& fault) const {
  if (fault.reason != "COLUMN_MISSING") return;
  const auto has = [&](const char* name) {
    return fault.message.find(Quoted(name)) != std::string::npos;
  };
  if (has("messages") || (has("prompt") && has("completion"))) {
    fault.message +=
        "; if it is to train a language model, say so: task.causal_lm (--task causal_lm)";
  }
}

std::string LabelledReader::SomeNames() const {
  constexpr size_t kMost = 8;
  const std::vector<std::string>& names = labels_.names();
  std::string list;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i)
    list += (i == 0 ? "" : ", ") + Quoted(names[i], 40);
  return names.size() > kMost ? list + ", ..." : list;
}

std::string LabelledReader::UnknownLabel(const std::string& name) {
  std::string text = "the label " + Quoted(name) +
                     (labels_.is_fixed() ? " isn't one of the label names, which are " + SomeNames()
                                         : " stands nowhere in the training data");
  // Of a fault that is only counted nobody reads the message.
  const bool is_listed = report_.errors.size() < kMaxListedFaults;
  const auto twin = is_listed ? labels_.FindTwin(name) : std::nullopt;
  if (!twin) {
    return text + (labels_.is_fixed() ? "" : "; correct it, or train on an example of it");
  }
  const int64_t line = labels_.first_lines()[twin->index];
  return text + "; there is " + Quoted(labels_.names()[twin->index]) +
         (line > 0 ? " (line " + std::to_string(line) + " of dataset.train)" : "") + ", which " +
         (twin->is_same ? "is the same label in other spaces, invisible characters or forms of "
                          "the same letters"
                        : "differs only in case, spaces, hyphens or apostrophes") +
         ": write it alike";
}

std::optional<ErrorDetail> LabelledReader::ToLabel(const Value& value, int64_t line,
                                                   int32_t& label) {
  const auto fault = [&](std::string reason, std::string message) {
    return ErrorDetail{
        std::move(reason), {}, line, Printable(spec_.label_column), std::move(message)};
  };
  if (!value.is_present || IsBlank(value.text)) {
    if (spec_.labels_optional) return std::nullopt;
    return fault("LABEL_MISSING", "the label is missing; fill it in or drop the line");
  }
  if (value.text.size() > kMaxLabelBytes) {
    return fault("LABEL_TOO_LONG", "the label has " + std::to_string(value.text.size()) +
                                       " bytes; is this the column of the labels? The limit is " +
                                       std::to_string(kMaxLabelBytes));
  }
  const std::optional<int32_t> index = labels_.Find(value.text, line);
  if (!index) {
    return fault(labels_.is_fixed() ? "UNKNOWN_LABEL" : "LABEL_NOT_IN_TRAIN",
                 UnknownLabel(value.text));
  }
  if (labels_.size() > kMaxLabels) {
    return fault("TOO_MANY_LABELS", "more than " + std::to_string(kMaxLabels) +
                                        " distinct labels; is this the column of the labels?");
  }
  label = *index;
  return std::nullopt;
}

bool LabelledReader::IsHeader(const Record& record) const {
  if (spec_.label_column.empty()) return false;
  const auto names_itself = [](const Value& value, const std::string& name) {
    return value.is_present && Stripped(value.text) == Stripped(name);
  };
  for (size_t i = 0; i < spec_.text_columns.size(); ++i) {
    if (!names_itself(record.values[i], spec_.text_columns[i])) return false;
  }
  return names_itself(record.values.back(), spec_.label_column);
}

std::optional<ErrorDetail> LabelledReader::Read(Record& record, bool has_header, Example& example) {
  const size_t num_texts = spec_.text_columns.size();
  std::optional<ErrorDetail> fault;
  if (has_header && IsHeader(record)) {
    return ErrorDetail{"HEADER_AGAIN",
                       {},
                       record.line,
                       {},
                       "the line is the header once more, as where files were put one behind the "
                       "other; drop it"};
  }
  // First the label, so that it counts as seen even if the text is at fault.
  if (record.values.size() > num_texts) {
    fault = ToLabel(record.values[num_texts], record.line, example.label);
  }
  for (size_t i = num_texts; i-- > 0;) {
    if (record.values[i].is_present && !IsBlank(record.values[i].text)) continue;
    fault = ErrorDetail{"TEXT_EMPTY",
                        {},
                        record.line,
                        Printable(spec_.text_columns[i]),
                        "the text is empty; fill it in or drop the line"};
  }
  if (fault) return fault;
  example.text = std::move(record.values[0].text);
  if (num_texts == 2) example.text_pair = std::move(record.values[1].text);
  example.line = record.line;
  return std::nullopt;
}

}  // namespace graft::datasets
