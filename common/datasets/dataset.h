#pragma once
/// An ingested dataset: checked, split, its labels numbered. What the object store keeps and workers read.
///
/// Stored form: UTF-8 lines. The first is
///   {"format":"graft.dataset.v1","labels":[...],"pair":false,"splits":{"test":0,"train":N,"validation":M}}
/// then one JSON array an example, train first, then validation, then test: [label, "text"] or [label, "text", "pair"].
/// Equal data gives equal bytes, so that their SHA-256 names it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::datasets {

struct Example {
  std::string text;
  std::string text_pair;
  int32_t label = -1;  ///< Index into label_names; -1 if unlabelled.
  friend bool operator==(const Example&, const Example&) = default;
};

struct IngestedDataset {
  std::vector<std::string> label_names;
  bool has_pair = false;
  std::vector<Example> train, validation, test;
  friend bool operator==(const IngestedDataset&, const IngestedDataset&) = default;
};

std::string Serialize(const IngestedDataset& dataset);

/// Errors:    DataLoss if the bytes are torn or aren't the stored form.
StatusOr<IngestedDataset> Parse(std::string_view bytes);

}  // namespace graft::datasets
