#pragma once
/// Reads a classifier's examples: a text or two, and a label.

#include <string>

#include "common/datasets/example_reader.h"
#include "common/datasets/ingest.h"
#include "common/datasets/labels.h"

namespace graft::datasets {

inline constexpr size_t kMaxLabels = 10000;
inline constexpr size_t kMaxLabelBytes = 256;

/// Borrows all of what it is made with; `report` tells whether another fault would be listed.
class LabelledReader : public ExampleReader {
 public:
  LabelledReader(const IngestSpec& spec, LabelTable& labels, const Report& report)
      : spec_(spec), labels_(labels), report_(report) {}

  void AskFor(RecordOptions& options) override;
  /// Reasons of faults: HEADER_AGAIN, TEXT_EMPTY, LABEL_MISSING, LABEL_TOO_LONG, TOO_MANY_LABELS,
  /// UNKNOWN_LABEL, LABEL_NOT_IN_TRAIN.
  std::optional<ErrorDetail> Read(Record& record, bool has_header, Example& example) override;
  void Explain(ErrorDetail& fault) const override;

 private:
  /// The first of the label names: those given, or those of the version that is evaluated.
  std::string SomeNames() const;
  std::string UnknownLabel(const std::string& name);
  std::optional<ErrorDetail> ToLabel(const Value& value, int64_t line, int32_t& label);
  /// True if every column holds its own name.
  bool IsHeader(const Record& record) const;

  const IngestSpec& spec_;
  LabelTable& labels_;
  const Report& report_;
};

}  // namespace graft::datasets
