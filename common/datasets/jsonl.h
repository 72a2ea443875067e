#pragma once
/// JSON Lines, or one JSON array of the same objects; the rules are records.h's.

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
  StatusOr<ReadStep> NextLine(Record& record, ErrorDetail& fault);
  StatusOr<ReadStep> SkipLongLine(size_t end, ErrorDetail& fault);
  StatusOr<ReadStep> NextElement(Record& record, ErrorDetail& fault);
  /// Behind the blanks and commas at the position; what else stands there is left.
  void SkipBetweenElements();
  /// Behind the JSON value at the position; max_record_bytes if it is longer, or where the data
  /// ends.
  size_t ValueEnd();
  /// A fault behind which nothing can be read.
  ReadStep BreakOff(ErrorDetail& fault, std::string message);

  ReadStep ToRecord(std::string_view text, int64_t line, Record& record, ErrorDetail& fault);
  /// `text` is that of `json`, which is Json or OrderedJson.
  template <typename AnyJson>
  ReadStep FromJson(std::string_view text, const StatusOr<AnyJson>& json, int64_t line,
                    Record& record, ErrorDetail& fault);
  template <typename AnyJson>
  ReadStep ToValues(std::string_view text, const AnyJson& object, int64_t line, Record& record,
                    ErrorDetail& fault);

  const RecordOptions options_;
  const bool wants_json_;  ///< A column may be a list or an object.
  ByteSet at_newline_{}, at_structure_{}, at_string_stop_{}, at_scalar_end_{};
  Window window_;
  bool has_begun_ = false, in_array_ = false;
  bool has_object_ = false, at_end_ = false, broke_off_ = false;
};

}  // namespace graft::datasets
