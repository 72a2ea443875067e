#include "common/datasets/ingest.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/utf8.h"
#include "common/datasets/dialect.h"
#include "common/datasets/label_checks.h"
#include "common/datasets/labelled.h"
#include "common/datasets/labels.h"
#include "common/datasets/records.h"
#include "common/datasets/split.h"

namespace graft::datasets {
namespace {

constexpr size_t kMaxExamples = 10'000'000;  // Of one file.

/// Every example needs a label, and there must be two.
bool IsTraining(const IngestSpec& spec) {
  return !spec.language && !spec.label_column.empty() && !spec.labels_optional &&
         !spec.allow_one_class;
}

Status SpecFault(const std::string& field, const std::string& what) {
  return InvalidArgumentError(field + ": " + what).At(field);
}

Status CheckColumns(const IngestSpec& spec) {
  const std::vector<std::string>& texts = spec.text_columns;
  if (texts.empty() || texts.size() > 2) {
    return SpecFault("dataset.text_columns", "name one column, or two for pairs of texts");
  }
  for (const std::string& name : texts) {
    if (name.empty()) return SpecFault("dataset.text_columns", "a column's name is empty");
  }
  if (texts.size() == 2 && texts[0] == texts[1]) {
    return SpecFault("dataset.text_columns", "both name the column " + Quoted(texts[0]));
  }
  for (const std::string& name : texts) {
    if (name != spec.label_column) continue;
    return SpecFault("dataset.label_column",
                     Quoted(name) + " is also a text column; name the column of the labels");
  }
  return OkStatus();
}

Status CheckFraction(const std::string& name, double fraction, bool has_file) {
  const std::string field = "dataset." + name + "_fraction";
  if (!(fraction >= 0 && fraction < 1)) return SpecFault(field, "must be at least 0 and below 1");
  if (fraction > 0 && has_file) {
    return SpecFault(field, "dataset." + name + " is given too; give one of them");
  }
  return OkStatus();
}

Status CheckLabelNames(const IngestSpec& spec) {
  const std::string field = "task.sequence_classification.label_names";
  if (spec.label_names.size() > kMaxLabels) {
    return SpecFault(field, std::to_string(spec.label_names.size()) + " names; the limit is " +
                                std::to_string(kMaxLabels));
  }
  if (spec.label_names.size() == 1 && !spec.allow_one_class) {
    return SpecFault(field, "a classifier needs two labels or more");
  }
  std::set<std::string_view> seen;
  for (const std::string& name : spec.label_names) {
    if (name.empty() || name.size() > kMaxLabelBytes ||
        FirstInvalidUtf8(name) != std::string_view::npos) {
      return SpecFault(field,
                       "a name must be UTF-8 of 1 to " + std::to_string(kMaxLabelBytes) + " bytes");
    }
    if (!seen.insert(name).second) return SpecFault(field, Quoted(name) + " stands twice");
  }
  // A version's own names are what they are: those that were trained before stay usable.
  if (spec.allow_one_class) return OkStatus();
  if (const auto twins = FindNameTwins(spec.label_names)) return SpecFault(field, *twins);
  return OkStatus();
}

Status CheckSpec(const IngestSpec& spec) {
  if (!spec.train.open) return SpecFault("dataset.train", "name the training data");
  if (!spec.language) {
    GRAFT_RETURN_IF_ERROR(CheckColumns(spec));
    GRAFT_RETURN_IF_ERROR(CheckLabelNames(spec));
  }
  GRAFT_RETURN_IF_ERROR(
      CheckFraction("validation", spec.validation_fraction, spec.validation.open != nullptr));
  GRAFT_RETURN_IF_ERROR(CheckFraction("test", spec.test_fraction, spec.test.open != nullptr));
  if (spec.validation_fraction + spec.test_fraction >= 1) {
    return SpecFault("dataset.validation_fraction",
                     "with test_fraction it leaves nothing to train on");
  }
  if (spec.max_examples < 0) return SpecFault("dataset.max_examples", "can't be negative");
  return OkStatus();
}

/// True for a fault that each line behind it would repeat.
bool EndsReading(const ErrorDetail& fault) {
  return fault.reason == "TOO_MANY_LABELS" || fault.reason == "SHAPE_AMBIGUOUS";
}

/// Reads one file into examples and faults.
class SplitIngester {
 public:
  SplitIngester(const IngestSpec& spec, std::string field, ExampleReader& reader,
                int64_t& bytes_left, Report& report)
      : spec_(spec),
        field_(std::move(field)),
        reader_(reader),
        bytes_left_(bytes_left),
        report_(report) {}

  /// True if the whole file was seen. Errors: of a file that can't be opened or read.
  StatusOr<bool> Read(const SourceFile& file, std::vector<Example>& examples) {
    const auto format = FormatOf(file.name, spec_.format);
    if (!format.ok()) {
      Add({"FORMAT_UNKNOWN", {}, 0, {}, format.status().message()});
      return false;
    }
    GRAFT_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, file.open());
    const bool has_header = spec_.has_header && *format != Format::kJsonl;
    RecordOptions options;
    options.format = *format;
    options.has_header = spec_.has_header;
    reader_.AskFor(options);
    const auto reader = NewRecordReader(Gunzip(std::move(source), file.name), std::move(options));

    Record record;
    ErrorDetail fault;
    bool has_faults = false;
    for (;;) {
      const auto step = reader->Next(record, fault);
      if (!step.ok()) {
        if (step.status().code() != StatusCode::kInvalidArgument) return step.status();
        fault = {"UNREADABLE", {}, 0, {}, Printable(step.status().message(), 300)};
        const Status status = step.status();
        if (!status.details().empty()) fault = status.details().front();
        if (fault.reason != "NOT_TEXT") fault.line = reader->line();
        Add(fault);
        return false;
      }
      if (*step == ReadStep::kEnd) break;
      if (*step == ReadStep::kRecord) {
        if (examples.size() == kMaxExamples) {
          Add({"TOO_MANY_EXAMPLES",
               {},
               record.line,
               {},
               "the file has more than " + std::to_string(kMaxExamples) +
                   " examples, which is the limit"});
          return false;
        }
        Example example;
        std::optional<ErrorDetail> bad = reader_.Read(record, has_header, example);
        if (!bad) {
          bytes_left_ -= static_cast<int64_t>(example.text.size() + example.text_pair.size());
          examples.push_back(std::move(example));
        }
        if (!bad && bytes_left_ >= 0) continue;
        if (!bad) {
          bad = ErrorDetail{"TOO_LARGE",
                            {},
                            record.line,
                            {},
                            "the texts have more than " + std::to_string(spec_.max_bytes) +
                                " bytes, which is the limit; send fewer or shorter ones"};
        }
        fault = *std::move(bad);
      } else {
        reader_.Explain(fault);
      }
      has_faults = true;
      Add(fault);
      if (EndsReading(fault) || bytes_left_ < 0) return false;
    }
    if (const EmptyRows rows = reader->empty_rows(); rows.count > 0) {
      report_.warnings.push_back(field_ + ": " + std::to_string(rows.count) +
                                 (rows.count == 1
                                      ? " row holds nothing and was skipped (line "
                                      : " rows hold nothing and were skipped (the first is line ") +
                                 std::to_string(rows.first_line) + ")");
    }
    if (examples.empty() && !has_faults) {
      Add(has_header ? ErrorDetail{"NO_EXAMPLES",
                                   {},
                                   reader->line(),
                                   {},
                                   "the file has a header but no example"}
                     : ErrorDetail{"EMPTY_FILE", {}, 0, {}, "the file is empty"});
    }
    return !reader->broke_off();
  }

 private:
  void Add(ErrorDetail fault) {
    fault.field = field_;
    report_.AddError(std::move(fault));
  }

  const IngestSpec& spec_;
  const std::string field_;
  ExampleReader& reader_;
  int64_t& bytes_left_;
  Report& report_;
};

/// What can only be judged once all lines are good. Labels are already in their final order.
void Finish(const IngestSpec& spec, IngestedDataset& dataset, Report& report) {
  if (IsTraining(spec)) {
    std::set<int32_t> seen;
    for (const Example& example : dataset.train) seen.insert(example.label);
    if (seen.size() == 1) {
      report.AddError({"ONE_CLASS", "dataset.train", 0, Printable(spec.label_column),
                       "every example has the label " +
                           Quoted(dataset.label_names[static_cast<size_t>(*seen.begin())]) +
                           "; a classifier needs two or more"});
      return;
    }
  }
  const auto train_labels = [&] {
    std::vector<bool> seen(dataset.label_names.size());
    for (const Example& example : dataset.train) {
      if (example.label >= 0) seen[static_cast<size_t>(example.label)] = true;
    }
    return seen;
  };
  const std::vector<bool> had = train_labels();
  const Status split =
      SplitByFraction(spec.validation_fraction, spec.test_fraction, spec.seed, dataset);
  for (const ErrorDetail& detail : split.details()) report.AddError(detail);
  if (!split.ok()) return;
  const std::vector<bool> had_after_split = train_labels();
  if (spec.max_examples > 0) {
    KeepAtMost(static_cast<uint64_t>(spec.max_examples), spec.seed, dataset.train);
  }
  if (!IsTraining(spec)) return;
  const std::vector<bool> has = train_labels();
  for (size_t i = 0; i < has.size(); ++i) {
    if (has[i] || !had[i]) continue;
    const bool by_fraction = !had_after_split[i];
    report.AddError({"LABEL_LOST",
                     by_fraction ? (spec.validation_fraction > 0 ? "dataset.validation_fraction"
                                                                 : "dataset.test_fraction")
                                 : "dataset.max_examples",
                     0, Printable(spec.label_column),
                     by_fraction
                         ? "all examples labelled " + Quoted(dataset.label_names[i]) +
                               " fell out of train by the fractions; add examples of it, or give "
                               "validation and test as files"
                         : "no example labelled " + Quoted(dataset.label_names[i]) +
                               " is among the max_examples kept; raise it"});
  }
}

}  // namespace

namespace {

void AddDoubts(const IngestSpec& spec, const LabelTable& labels, const IngestedDataset& dataset,
               Report& report) {
  const auto add = [&](std::vector<std::string> doubts) {
    for (std::string& doubt : doubts) report.warnings.push_back(std::move(doubt));
  };
  add(FindDoubts(dataset));
  if (IsTraining(spec)) add(FindLabelDoubts(labels, dataset.train, spec.has_header));
  const auto train = static_cast<int64_t>(dataset.train.size());
  const auto format = FormatOf(spec.train.name, spec.format);
  if (!spec.has_header && format.ok() && *format == Format::kJsonl) {
    report.warnings.push_back(
        "has_header is false, which has no effect on JSON: its columns have "
        "names");
  }
  if (spec.max_examples > train) {
    report.warnings.push_back("max_examples is " + std::to_string(spec.max_examples) +
                              ", more than the " + std::to_string(train) +
                              " training examples there are: it has no effect");
  }
}

}  // namespace

StatusOr<Report> Ingest(const IngestSpec& spec, IngestedDataset* dataset) {
  GRAFT_RETURN_IF_ERROR(CheckSpec(spec));
  Report report;
  IngestedDataset result;
  result.has_pair = !spec.language && spec.text_columns.size() == 2;
  LabelTable labels(spec.label_names);
  LabelledReader labelled(spec, labels, report);
  LanguageReader language(spec.language.value_or(LanguageColumns()));
  ExampleReader& reader =
      spec.language ? static_cast<ExampleReader&>(language) : static_cast<ExampleReader&>(labelled);
  int64_t bytes_left = spec.max_bytes;
  const auto read = [&](const SourceFile& file, const std::string& name,
                        std::vector<Example>& into) {
    return SplitIngester(spec, "dataset." + name, reader, bytes_left, report).Read(file, into);
  };
  GRAFT_ASSIGN_OR_RETURN(const bool is_whole, read(spec.train, "train", result.train));
  // Of a file that broke off we don't know all labels, so none of the others' is called unknown.
  if (is_whole) labels.Close();
  if (IsTraining(spec)) {
    for (ErrorDetail& twins : FindLabelTwins(labels, spec.label_column))
      report.AddError(std::move(twins));
  }
  if (spec.validation.open) {
    GRAFT_RETURN_IF_ERROR(read(spec.validation, "validation", result.validation).status());
  }
  if (spec.test.open) GRAFT_RETURN_IF_ERROR(read(spec.test, "test", result.test).status());

  result.shape = language.shape();
  const std::vector<int32_t> new_index = labels.Sort();
  result.label_names = labels.names();
  for (auto* split : {&result.train, &result.validation, &result.test}) {
    for (Example& example : *split) {
      if (example.label >= 0) example.label = new_index[static_cast<size_t>(example.label)];
    }
  }
  if (report.usable() && IsTraining(spec)) {
    if (auto scores = FindScores(labels, result.train, spec.label_column))
      report.AddError(*std::move(scores));
  }
  if (report.usable()) {
    AddDoubts(spec, labels, result, report);
    Finish(spec, result, report);
  }
  const auto count = [&](const std::string& name, const std::vector<Example>& examples) {
    report.splits.push_back(CountSplit(name, examples, result.label_names));
  };
  count("train", result.train);
  if (spec.validation.open || spec.validation_fraction > 0) count("validation", result.validation);
  if (spec.test.open || spec.test_fraction > 0) count("test", result.test);
  if (report.usable() && dataset != nullptr) *dataset = std::move(result);
  return report;
}

}  // namespace graft::datasets
