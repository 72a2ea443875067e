#pragma once
/// A dataset as the rest of graft sees it, and its stored form. Ingestion (ingest.h) makes it, the
/// object store keeps its stored form under that form's SHA-256, workers parse it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace graft::datasets {

/// What the two strings of an example are.
enum class Shape {
  kLabelled,    ///< A classifier's text, or pair of texts.
  kText,        ///< A language model's text.
  kCompletion,  ///< A prompt and its completion.
  kMessages,    ///< A conversation and its tools, as chat.h writes them; the latter may be empty.
};

struct Example {
  std::string text;       ///< UTF-8.
  std::string text_pair;  ///< UTF-8; empty without pairs.
  int32_t label = -1;     ///< Index into label_names; -1 if there is none.
  /// Of its file, where it was read; not part of its value, and the stored form has it not.
  int64_t line = 0;

  friend bool operator==(const Example& a, const Example& b) {
    return a.text == b.text && a.text_pair == b.text_pair && a.label == b.label;
  }
};

struct IngestedDataset {
  Shape shape = Shape::kLabelled;
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
///
/// A language model's has the header {"format":"graft.dataset.v2","shape":"text","splits":{...}},
/// the shape being "text", "completion" or "messages", and lines of one string (of texts) or two:
/// ["text"], ["prompt","completion"], ["[{\"role\":...}]",""].
/// Requires: all strings are UTF-8; labels are -1 or indices.
std::string Serialize(const IngestedDataset& dataset);

/// Reads the stored form. Accepts only what Serialize writes, byte for byte, so that
/// Serialize(*Parse(bytes)) == bytes; its memory is bounded by a multiple of bytes.size().
/// Errors: DataLoss with the line that is torn or forged.
StatusOr<IngestedDataset> Parse(std::string_view bytes);

}  // namespace graft::datasets
