#pragma once
/// Reads a language model's examples: plain texts, prompts with completions, or conversations.

#include <string>
#include <vector>

#include "common/datasets/example_reader.h"

namespace graft::datasets {

/// Which columns are asked for; empty: not. Of one shape at most.
struct LanguageColumns {
  std::string text = {}, prompt = {}, completion = {}, messages = {}, tools = {};
};

/// The shape is that of the columns that are asked for; else the one whose columns, under their
/// default names, the first file's first example has; all others must have it too.
/// Reasons of faults, beside chat.h's: SHAPE_AMBIGUOUS, behind which nothing can be read,
/// COLUMN_MISSING, TEXT_EMPTY, HEADER_AGAIN.
class LanguageReader : public ExampleReader {
 public:
  explicit LanguageReader(const LanguageColumns& columns);

  void AskFor(RecordOptions& options) override;
  std::optional<ErrorDetail> Read(Record& record, bool has_header, Example& example) override;
  void Explain(ErrorDetail& fault) const override;

  /// kLabelled while it isn't known.
  Shape shape() const { return shape_; }

 private:
  enum Place : size_t { kTextAt, kPromptAt, kCompletionAt, kMessagesAt, kToolsAt, kPlaces };

  const std::string& name(Place place) const { return names_[place]; }
  /// Takes the shape of the first record. Errors: ambiguous, or it has none.
  std::optional<ErrorDetail> FindShape(const Record& record);
  std::optional<ErrorDetail> ReadConversation(Record& record, Example& example) const;
  const Value& at(const Record& record, Place place) const { return record.values[index_[place]]; }
  bool IsHeader(const Record& record) const;
  /// TEXT_EMPTY or COLUMN_MISSING unless there is text; `may_be_empty`: any will do.
  std::optional<ErrorDetail> Take(Record& record, Place place, bool may_be_empty,
                                  std::string& text) const;

  std::vector<std::string> names_;  ///< By place.
  Shape shape_ = Shape::kLabelled;
  std::vector<size_t> index_;  ///< By place: of its value in a record.
};

}  // namespace graft::datasets
