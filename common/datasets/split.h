#pragma once
/// Which examples are the same text, and splits by fraction that keep those together.
/// Pure functions.

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/status.h"
#include "common/datasets/dataset.h"

namespace graft::datasets {

/// Numbers the distinct texts (text and pair, byte for byte) in order of their first appearance.
struct TextGroups {
  std::vector<uint32_t> group_of;  ///< [examples]
  uint32_t num_groups = 0;
};

/// Requires: fewer than 2^32 examples.
TextGroups GroupByText(const std::vector<const Example*>& examples);

/// Moves fractions of dataset.train to validation and test. Groups of equal text are drawn whole,
/// in the order RandomPermutation(groups, seed, kSplit, 0): each goes to test if it fits into what
/// is left of round(test_fraction * n), else to validation by the same rule, else it stays. Within
/// a split the order of the file is kept. A function of its arguments alone. Requires: fractions in
/// [0, 1), their sum below 1; a split with a fraction is empty.
/// Errors: InvalidArgument SPLIT_EMPTY (dataset.validation_fraction or dataset.test_fraction) if a
/// split with a fraction gets no example, or nothing stays in train.
Status SplitByFraction(double validation_fraction, double test_fraction, uint64_t seed,
                       IngestedDataset& dataset);

/// Keeps `count` examples, drawn by (seed, kSplit, 1), in the order of the file. No-op if there are
/// no more than that.
void KeepAtMost(uint64_t count, uint64_t seed, std::vector<Example>& examples);

}  // namespace graft::datasets
