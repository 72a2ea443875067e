#pragma once
/// From files to an ingested dataset: every fault found before a device is taken, each with its line.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/datasets/bytes.h"
#include "common/datasets/dataset.h"
#include "common/datasets/records.h"

namespace graft::datasets {

/// One file of a dataset.
struct SourceFile {
  std::string name;                                            ///< Tells its format, and gzip by its bytes.
  std::function<StatusOr<std::unique_ptr<ByteSource>>()> open; ///< Called once.
};

struct IngestSpec {
  SourceFile train;
  SourceFile validation, test;           ///< No `open`: none.
  double validation_fraction = 0, test_fraction = 0;
  std::vector<std::string> text_columns; ///< 1, or 2 for pairs.
  std::string label_column;              ///< Empty: unlabelled data.
  std::vector<std::string> label_names;  ///< In id order; empty: the training data's, sorted.
  std::string format;                    ///< "", "csv", "tsv", "jsonl"
  bool has_header = true;
  int64_t max_examples = 0;              ///< Of train; 0: all.
  uint64_t seed = 42;                    ///< Of the splits.
  bool allow_one_class = false;          ///< For evaluation data.
  int64_t max_bytes = int64_t{4} << 30;  ///< Of texts in memory.
};

/// Faults are listed up to this many; the rest is counted.
inline constexpr size_t kMaxListedFaults = 20;

struct SplitReport {
  std::string name;
  int64_t examples = 0;
  std::map<std::string, int64_t> labels;
  int64_t min_bytes = 0, max_bytes = 0;
  double mean_bytes = 0;
};

/// What was found, usable or not.
struct Report {
  std::vector<SplitReport> splits;
  std::vector<ErrorDetail> errors;   ///< Up to kMaxListedFaults, in file order.
  int64_t omitted_errors = 0;
  std::vector<std::string> warnings;
  bool usable() const { return errors.empty(); }
  std::string Summary() const;       ///< One sentence.
};

/// Reads everything and reports on it; `dataset` is filled only if the report is usable.
/// Faults: EMPTY_FILE, COLUMN_MISSING, DUPLICATE_COLUMN, FIELD_COUNT, UNCLOSED_QUOTE, BAD_QUOTE, BAD_UTF8, BAD_JSON,
///   WRONG_TYPE, RECORD_TOO_LONG, TEXT_MISSING, TEXT_EMPTY, LABEL_MISSING, UNKNOWN_LABEL, LABEL_NOT_IN_TRAIN, ONE_CLASS,
///   TOO_MANY_LABELS, NO_EXAMPLES, BAD_GZIP, TOO_LARGE. ErrorDetail::field is "dataset.train" and so on.
/// Splits by fraction are fixed by the seed and the texts alone; equal texts always fall on one side.
/// Errors:    what opening or reading a source says (NotFound, ...); never for a fault of the data.
StatusOr<Report> Ingest(const IngestSpec& spec, IngestedDataset* dataset);

/// The report as a Status: OK if usable, else InvalidArgument with the faults as details.
Status ToStatus(const Report& report);

}  // namespace graft::datasets
