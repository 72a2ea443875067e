#pragma once
/// From files to a dataset: reads the splits, checks every line, numbers the labels, splits by
/// fraction. Every fault is found before a device is taken, each with its line. Pure code over
/// bytes: no threads, no network.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/datasets/bytes.h"
#include "common/datasets/dataset.h"
#include "common/datasets/language.h"
#include "common/datasets/records.h"
#include "common/datasets/report.h"

namespace graft::datasets {

/// One file of a dataset.
struct SourceFile {
  std::string name;  ///< Tells its format.
  /// Gives its bytes, gzip or not. Called at most once an ingestion.
  std::function<StatusOr<std::unique_ptr<ByteSource>>()> open;
};

struct IngestSpec {
  SourceFile train;
  SourceFile validation, test;            ///< No `open`: none.
  double validation_fraction = 0;         ///< [0, 1) of train; only without a validation file.
  double test_fraction = 0;               ///< [0, 1) of train; only without a test file.
  std::vector<std::string> text_columns;  ///< One, or two for pairs.
  std::string label_column;               ///< Empty: unlabelled data.
  /// Set: a language model's data, of these columns; those above and the label names don't count.
  std::optional<LanguageColumns> language;
  /// Fixed names in index order; any other label is a fault. Empty: the distinct labels of train,
  /// sorted by value if all are numbers, else by bytes; then a label that train lacks is a fault.
  std::vector<std::string> label_names;
  std::string format;      ///< "csv", "tsv", "jsonl" for all files; empty: by each one's name.
  bool has_header = true;  ///< CSV and TSV; without one, columns are "1", "2", ...
  /// Keeps at most so many training examples, drawn by seed after the fractions (a file is often
  /// sorted by label). 0: all.
  int64_t max_examples = 0;
  uint64_t seed = 42;            ///< Of the fractions and max_examples.
  bool allow_one_class = false;  ///< For evaluation data: one label, in one example, will do.
  bool labels_optional = false;  ///< The label column, or a value of it, may be absent: label -1.
  int64_t max_bytes = int64_t{4} << 30;  ///< Of all texts in memory.
};

/// Reads everything and reports on it; `dataset`, which may be null, is set only if the report is
/// usable. Faults of the data are in the report: reason, field ("dataset.train", ...), line, column
/// and message; a line is at fault once, with the first thing that is wrong with it.
/// Reasons: those of RecordReader::Next, of Gunzip and of DecodeText; FORMAT_UNKNOWN, NO_EXAMPLES,
/// HEADER_AGAIN, TEXT_EMPTY, LABEL_MISSING, LABEL_TOO_LONG (256 bytes), TOO_MANY_LABELS (10,000),
/// UNKNOWN_LABEL, LABEL_NOT_IN_TRAIN, those of LanguageReader, LABEL_TWINS, LABELS_ARE_NUMBERS (see
/// label_checks.h), ONE_CLASS, TOO_MANY_EXAMPLES (10,000,000 a file), TOO_LARGE, SPLIT_EMPTY (a
/// fraction of no example), LABEL_LOST (a label left train by the fractions or max_examples),
/// UNREADABLE (a source's own InvalidArgument). Errors: InvalidArgument with the field's path if
/// the spec itself is at fault (columns, label names, fractions); what opening or reading a file
/// says (NotFound, Unavailable,
/// ...).
StatusOr<Report> Ingest(const IngestSpec& spec, IngestedDataset* dataset);

}  // namespace graft::datasets
