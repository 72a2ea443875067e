#pragma once
/// From a file's records to examples of one kind: what ingest.h reads files with.

#include <optional>

#include "common/datasets/dataset.h"
#include "common/datasets/records.h"

namespace graft::datasets {

/// Thread safety: confined to one thread.
class ExampleReader {
 public:
  virtual ~ExampleReader() = default;
  /// Says which columns the next file's records are to have.
  virtual void AskFor(RecordOptions& options) = 0;
  /// Makes an example of a record, or says what is wrong with it (`field` is the caller's).
  /// `has_header`: the file named its columns.
  virtual std::optional<ErrorDetail> Read(Record& record, bool has_header, Example& example) = 0;
  /// Adds to a fault of the records what to do about it.
  virtual void Explain(ErrorDetail& /*fault*/) const {}
};

}  // namespace graft::datasets
