#pragma once
/// A dataset as the rest of graft sees it, and its stored form. Ingestion (ingest.h) makes it, the
/// object store keeps its stored form under that form's SHA-256, workers parse it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::datasets {

struct Example {
  std::string text;       ///< UTF-8.
  std::string text_pair;  ///< UTF-8; empty without pairs.
  int32_t label = -1;     ///< Index into label_names; -1 if there is none.

  friend bool operator==(const Example&, const Example&) = default;
};

struct IngestedDataset {
  std::vector<std::string> label_names;
  bool has_pair = false;
  std::vector<Example> train, validation, test;

  friend bool operator==(const IngestedDataset&, const IngestedDataset&) = default;
};

/// Writes the stored form: a line {"format":"graft.dataset.v1","labels":["neg","pos"],"pair":false,
/// "splits":{"train":2,"validation":0,"test":0}} (without the break) and then a line per example,
/// train first, then validation, then test: ["text",1] or with pairs ["text","pair",1] Compact
/// JSON, every line ended by LF; only ", \ and control characters are escaped. Equal datasets give
/// equal bytes on every machine.
/// Requires: all strings are UTF-8; labels are -1 or indices.
std::string Serialize(const IngestedDataset& dataset);

/// Reads the stored form. Accepts only what Serialize writes, byte for byte, so that
/// Serialize(*Parse(bytes)) == bytes; its memory is bounded by a multiple of bytes.size().
/// Errors: DataLoss with the line that is torn or forged.
StatusOr<IngestedDataset> Parse(std::string_view bytes);

}  // namespace graft::datasets
