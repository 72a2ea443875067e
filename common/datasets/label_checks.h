#pragma once
/// What can be wrong with a dataset's labels as a whole, though each line is good. Pure functions.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/datasets/dataset.h"
#include "common/datasets/labels.h"

namespace graft::datasets {

/// LABEL_TWINS for each label that is one with an earlier one (see SameLabelKey), at its first line
/// of train, with both spellings and lines.
std::vector<ErrorDetail> FindLabelTwins(const LabelTable& labels, std::string_view column);

/// The two names that are one label, for a message; nullopt if all differ.
std::optional<std::string> FindNameTwins(const std::vector<std::string>& names);

/// LABELS_ARE_NUMBERS if the labels, which nobody has named, are scores rather than classes: many
/// decimals, or each of them rare.
std::optional<ErrorDetail> FindScores(const LabelTable& labels, const std::vector<Example>& train,
                                      std::string_view column);

/// Sentences on labels that are allowed but doubtful: labels that differ only in case, spaces,
/// hyphens, apostrophes or alphabet, one number spelt twice, whole numbers and decimals that may be
/// scores, lists, names of missing values, an own label for nearly each example, a header read as
/// an example. Requires: labels are sorted, and `train` is as its file had it.
std::vector<std::string> FindLabelDoubts(const LabelTable& labels,
                                         const std::vector<Example>& train, bool has_header);

}  // namespace graft::datasets
