#include "common/datasets/lines.h"

#include <algorithm>
#include <cstring>

namespace graft::datasets {

StatusOr<bool> LineReader::Next(std::string* line, bool* truncated) {
  line->clear();
  *truncated = false;
  bool any = false;
  for (;;) {
    if (begin_ == end_) {
      GRAFT_ASSIGN_OR_RETURN(end_, source_->Read(buffer_.data(), buffer_.size()));
      begin_ = 0;
      if (end_ == 0) break;
    }
    any = true;
    const char* start = buffer_.data() + begin_;
    const auto* newline = static_cast<const char*>(std::memchr(start, '\n', end_ - begin_));
    const size_t count = newline != nullptr ? static_cast<size_t>(newline - start) : end_ - begin_;
    const size_t room = max_line_bytes_ - std::min(max_line_bytes_, line->size());
    line->append(start, std::min(count, room));
    *truncated |= count > room;
    begin_ += count + (newline != nullptr ? 1 : 0);
    if (newline != nullptr) break;
  }
  if (any) ++line_number_;
  return any;
}

}  // namespace graft::datasets
