#pragma once
/// What ingestion found: counts, faults, warnings. The answer of CheckDataset, and the Status of a
/// job whose data is at fault.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/datasets/dataset.h"

namespace graft::datasets {

struct SplitReport {
  std::string name;                       ///< "train", "validation", "test"
  int64_t examples = 0;                   ///< Usable ones.
  std::map<std::string, int64_t> labels;  ///< Name -> examples; also names without any.
  /// Bytes of text (with its pair) per example; 0 without examples.
  int64_t min_bytes = 0;
  double mean_bytes = 0;
  int64_t max_bytes = 0;
};

/// Faults are listed up to this many; the rest is counted.
inline constexpr size_t kMaxListedFaults = 20;

/// What was found, usable or not.
struct Report {
  std::vector<SplitReport> splits;  ///< Those that have a source or a fraction.
  std::vector<ErrorDetail> errors;  ///< The first kMaxListedFaults, by split and line.
  int64_t omitted_errors = 0;
  std::vector<std::string> warnings;  ///< A sentence each.

  bool usable() const { return errors.empty(); }

  /// Keeps the fault or counts it.
  void AddError(ErrorDetail error);

  /// One sentence: what there is, or how many faults and the first one.
  std::string Summary() const;
};

/// OK if usable; else InvalidArgument, its message the summary, its details the listed faults.
Status ToStatus(const Report& report);

/// Counts one split. A label of -1 counts nowhere.
SplitReport CountSplit(std::string name, const std::vector<Example>& examples,
                       const std::vector<std::string>& label_names);

/// Sentences on what is allowed but doubtful: repeated texts, one text with two labels, held-out
/// texts that are also in train, very long texts, texts that were converted badly or are numbers,
/// uneven labels, labels without training examples. What labels' names tell: label_checks.h.
/// Requires: `dataset` is as its files had it, before fractions are split off.
std::vector<std::string> FindDoubts(const IngestedDataset& dataset);

}  // namespace graft::datasets
