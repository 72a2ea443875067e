#include "common/datasets/ingest.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "common/base/random.h"
#include "common/base/sha256.h"

namespace graft::datasets {
namespace {

constexpr size_t kMaxLabels = 10000;

/// An example before its label has a number.
struct RawExample {
  std::string text, text_pair, label;
  int64_t line = 0;
};

void AddFault(Report& report, const std::string& field, ErrorDetail detail) {
  detail.field = field;
  if (report.errors.size() < kMaxListedFaults) {
    report.errors.push_back(std::move(detail));
  } else {
    ++report.omitted_errors;
  }
}

bool IsBlank(const std::string& text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string::npos; }

/// Reads one file's examples; faults go to the report.
StatusOr<std::vector<RawExample>> ReadFile(const IngestSpec& spec, const SourceFile& file, const std::string& field,
                                           int64_t max_examples, int64_t* bytes_left, Report& report) {
  std::vector<RawExample> examples;
  const auto format = FormatOf(file.name, spec.format);
  if (!format.ok()) {
    AddFault(report, field, {"FORMAT_UNKNOWN", {}, 0, {}, format.status().message()});
    return examples;
  }
  GRAFT_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, file.open());
  ReaderOptions options{.format = *format, .has_header = spec.has_header, .columns = spec.text_columns};
  const bool labelled = !spec.label_column.empty();
  if (labelled) options.columns.push_back(spec.label_column);
  auto reader = RecordReader::Open(Gunzip(std::move(source)), options);
  if (!reader.ok()) {
    const Status& status = reader.status();
    if (status.code() != StatusCode::kInvalidArgument) return status;
    AddFault(report, field, status.details().empty() ? ErrorDetail{"BAD_GZIP", {}, 0, {}, status.message()}
                                                     : status.details().front());
    return examples;
  }
  for (;;) {
    std::optional<RecordFault> fault;
    auto next = (*reader)->Next(&fault);
    if (!next.ok()) {
      if (next.status().code() != StatusCode::kInvalidArgument) return next.status();
      AddFault(report, field, {"BAD_GZIP", {}, 0, {}, next.status().message()});
      return examples;
    }
    if (fault) {
      const bool fatal = fault->fatal;
      AddFault(report, field, std::move(fault->detail));
      if (fatal) return examples;
      continue;
    }
    if (!next->has_value()) break;
    Record& record = **next;
    RawExample example;
    example.line = record.line;
    bool good = true;
    for (size_t i = 0; i < spec.text_columns.size(); ++i) {
      const std::string& column = spec.text_columns[i];
      if (!record.values[i]) {
        AddFault(report, field, {"TEXT_MISSING", {}, record.line, column, "the column \"" + column + "\" is missing here"});
        good = false;
      } else if (IsBlank(*record.values[i])) {
        AddFault(report, field, {"TEXT_EMPTY", {}, record.line, column, "the text is empty"});
        good = false;
      } else {
        (i == 0 ? example.text : example.text_pair) = std::move(*record.values[i]);
      }
    }
    if (labelled) {
      if (!record.values.back() || IsBlank(*record.values.back())) {
        AddFault(report, field, {"LABEL_MISSING", {}, record.line, spec.label_column, "the label is missing"});
        good = false;
      } else {
        example.label = std::move(*record.values.back());
      }
    }
    if (!good) continue;
    *bytes_left -= static_cast<int64_t>(example.text.size() + example.text_pair.size());
    if (*bytes_left < 0) {
      AddFault(report, field, {"TOO_LARGE", {}, record.line, {}, "the texts are larger than " + std::to_string(spec.max_bytes) + " bytes; split the data, or set dataset.max_examples"});
      return examples;
    }
    examples.push_back(std::move(example));
    if (max_examples > 0 && static_cast<int64_t>(examples.size()) >= max_examples) break;
  }
  if (examples.empty() && report.errors.empty()) {
    AddFault(report, field, {"NO_EXAMPLES", {}, 0, {}, "the file has a header but no examples"});
  }
  return examples;
}

bool IsInteger(const std::string& text) {
  const size_t digits = text.find_first_not_of("0123456789", text[0] == '-' ? 1 : 0);
  return digits == std::string::npos && text.size() <= 18 && text != "-" && !text.empty();
}

/// Labels sorted as numbers if all are, else by their bytes.
std::vector<std::string> SortedLabels(const std::set<std::string>& labels) {
  std::vector<std::string> sorted(labels.begin(), labels.end());
  if (std::all_of(sorted.begin(), sorted.end(), IsInteger)) {
    std::sort(sorted.begin(), sorted.end(), [](const std::string& a, const std::string& b) {
      return std::make_pair(std::strtoll(a.c_str(), nullptr, 10), a) < std::make_pair(std::strtoll(b.c_str(), nullptr, 10), b);
    });
  }
  return sorted;
}

/// Moves a fraction of whole groups of equal texts from `train` to `to`, in an order fixed by seed and texts.
void TakeFraction(std::vector<RawExample>& train, double fraction, uint64_t seed, uint64_t stream,
                  std::vector<RawExample>& to) {
  std::unordered_map<std::string, size_t> groups;
  std::vector<size_t> group_of(train.size());
  for (size_t i = 0; i < train.size(); ++i) {
    group_of[i] = groups.emplace(train[i].text + '\0' + train[i].text_pair, groups.size()).first->second;
  }
  std::vector<int64_t> sizes(groups.size());
  for (const size_t group : group_of) ++sizes[group];
  const auto order = RandomPermutation(static_cast<uint32_t>(groups.size()), seed, RandomStream::kSplit, stream);
  const auto wanted = static_cast<int64_t>(fraction * static_cast<double>(train.size()) + 0.5);
  std::unordered_set<size_t> taken;
  int64_t count = 0;
  for (const uint32_t group : order) {
    if (count >= wanted) break;
    taken.insert(group);
    count += sizes[group];
  }
  std::vector<RawExample> kept;
  for (size_t i = 0; i < train.size(); ++i) (taken.contains(group_of[i]) ? to : kept).push_back(std::move(train[i]));
  train = std::move(kept);
}

SplitReport DescribeSplit(const std::string& name, const std::vector<RawExample>& examples) {
  SplitReport split;
  split.name = name;
  split.examples = static_cast<int64_t>(examples.size());
  double total = 0;
  for (const RawExample& example : examples) {
    const auto bytes = static_cast<int64_t>(example.text.size() + example.text_pair.size());
    split.min_bytes = total == 0 ? bytes : std::min(split.min_bytes, bytes);
    split.max_bytes = std::max(split.max_bytes, bytes);
    total += static_cast<double>(bytes);
    if (!example.label.empty()) ++split.labels[example.label];
  }
  if (!examples.empty()) split.mean_bytes = total / static_cast<double>(examples.size());
  return split;
}

void AddWarnings(const std::vector<RawExample>& train, const SplitReport& split, Report& report) {
  std::unordered_map<std::string, std::string> label_of;
  int64_t duplicates = 0;
  int64_t contradictions = 0;
  for (const RawExample& example : train) {
    const auto [seen, is_new] = label_of.emplace(example.text + '\0' + example.text_pair, example.label);
    if (is_new) continue;
    ++duplicates;
    contradictions += seen->second != example.label ? 1 : 0;
  }
  if (duplicates > 0) report.warnings.push_back(std::to_string(duplicates) + " training examples repeat the text of another");
  if (contradictions > 0) {
    report.warnings.push_back(std::to_string(contradictions) + " training examples have the text of another but a different label");
  }
  for (const auto& [label, count] : split.labels) {
    if (count < 2 && report.warnings.size() < 10) report.warnings.push_back("the label \"" + label.substr(0, 80) + "\" has a single training example");
  }
}

}  // namespace

StatusOr<Report> Ingest(const IngestSpec& spec, IngestedDataset* dataset) {
  Report report;
  int64_t bytes_left = spec.max_bytes;
  std::vector<RawExample> train, validation, test;
  GRAFT_ASSIGN_OR_RETURN(train, ReadFile(spec, spec.train, "dataset.train", spec.max_examples, &bytes_left, report));
  if (spec.validation.open) {
    GRAFT_ASSIGN_OR_RETURN(validation, ReadFile(spec, spec.validation, "dataset.validation", 0, &bytes_left, report));
  }
  if (spec.test.open) {
    GRAFT_ASSIGN_OR_RETURN(test, ReadFile(spec, spec.test, "dataset.test", 0, &bytes_left, report));
  }
  // Fractions are of the whole file, so the second is taken of what the first left.
  if (spec.test_fraction > 0 && !train.empty()) TakeFraction(train, spec.test_fraction, spec.seed, 1, test);
  if (spec.validation_fraction > 0 && !train.empty()) {
    TakeFraction(train, spec.validation_fraction / (1 - spec.test_fraction), spec.seed, 2, validation);
  }

  IngestedDataset result;
  result.has_pair = spec.text_columns.size() == 2;
  std::map<std::string, int32_t> ids;
  if (!spec.label_column.empty() && !train.empty()) {
    std::set<std::string> in_train;
    for (const RawExample& example : train) in_train.insert(example.label);
    result.label_names = spec.label_names.empty() ? SortedLabels(in_train) : spec.label_names;
    if (result.label_names.size() > kMaxLabels) {
      AddFault(report, "dataset.train", {"TOO_MANY_LABELS", {}, 0, spec.label_column, std::to_string(result.label_names.size()) + " different labels; the limit is 10,000. Is \"" + spec.label_column + "\" the label column?"});
      return report;
    }
    for (size_t i = 0; i < result.label_names.size(); ++i) ids[result.label_names[i]] = static_cast<int32_t>(i);
    if (in_train.size() < 2 && !spec.allow_one_class) {
      AddFault(report, "dataset.train", {"ONE_CLASS", {}, 0, spec.label_column, "every training example has the label \"" + in_train.begin()->substr(0, 80) + "\"; a classifier needs at least two"});
    }
  }
  const std::pair<const char*, std::pair<std::vector<RawExample>*, std::vector<Example>*>> splits[] = {
      {"train", {&train, &result.train}}, {"validation", {&validation, &result.validation}}, {"test", {&test, &result.test}}};
  for (const auto& [name, from_to] : splits) {
    auto& [from, to] = from_to;
    if (from->empty() && std::string_view(name) != "train") continue;
    report.splits.push_back(DescribeSplit(name, *from));
    if (std::string_view(name) == "train") AddWarnings(train, report.splits.back(), report);
    for (RawExample& raw : *from) {
      Example example;
      if (!spec.label_column.empty()) {
        const auto id = ids.find(raw.label);
        if (id == ids.end()) {
          const bool fixed = !spec.label_names.empty();
          AddFault(report, std::string("dataset.") + name,
                   {fixed ? "UNKNOWN_LABEL" : "LABEL_NOT_IN_TRAIN", {}, raw.line, spec.label_column,
                    "the label \"" + raw.label.substr(0, 80) + "\" is not " +
                        (fixed ? "one of task.sequence_classification.label_names" : "in the training data")});
          continue;
        }
        example.label = id->second;
      }
      example.text = std::move(raw.text);
      example.text_pair = std::move(raw.text_pair);
      to->push_back(std::move(example));
    }
  }
  if (report.usable() && dataset != nullptr) *dataset = std::move(result);
  return report;
}

std::string Report::Summary() const {
  if (!usable()) {
    const int64_t faults = static_cast<int64_t>(errors.size()) + omitted_errors;
    std::string text = faults == 1 ? "the data has a fault: " : "the data has " + std::to_string(faults) + " faults; the first: ";
    const ErrorDetail& first = errors.front();
    text += first.field;
    if (first.line > 0) text += " line " + std::to_string(first.line);
    return text + ": " + first.message;
  }
  std::string text;
  for (const SplitReport& split : splits) {
    text += (text.empty() ? "" : ", ") + std::to_string(split.examples) + " examples in " + split.name;
  }
  return text + (splits.empty() || splits.front().labels.empty() ? "" : ", " + std::to_string(splits.front().labels.size()) + " labels");
}

Status ToStatus(const Report& report) {
  if (report.usable()) return OkStatus();
  Status status = InvalidArgumentError(report.Summary());
  for (const ErrorDetail& error : report.errors) status.AddDetail(error);
  return status;
}

}  // namespace graft::datasets
