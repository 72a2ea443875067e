#pragma once
/// JSON Lines; the rules are records.h's.

#include <memory>

#include "common/base/json.h"
#include "common/datasets/records.h"
#include "common/datasets/window.h"

namespace graft::datasets {

class JsonlReader : public RecordReader {
 public:
  JsonlReader(std::unique_ptr<ByteSource> source, RecordOptions options);

  StatusOr<ReadStep> Next(Record& record, ErrorDetail& fault) override;
  bool broke_off() const override { return broke_off_; }
  int64_t line() const override { return window_.line(); }

 private:
  ReadStep ToRecord(std::string_view text, int64_t line, Record& record, ErrorDetail& fault);

  const RecordOptions options_;
  ByteSet at_newline_{};
  Window window_;
  bool has_begun_ = false, has_object_ = false, at_end_ = false, broke_off_ = false;
};

}  // namespace graft::datasets
