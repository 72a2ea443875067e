#include "common/datasets/window.h"

#include <algorithm>

namespace graft::datasets {
namespace {
constexpr size_t kChunkBytes = size_t{128} << 10;
}

bool Window::FillTo(size_t offset) {
  while (offset >= data_.size() - begin_ && !at_end_) {
    if (begin_ > 0) {
      data_.erase(0, begin_);
      begin_ = 0;
    }
    const size_t old_size = data_.size();
    data_.resize(old_size + kChunkBytes);
    auto size = source_->Read(data_.data() + old_size, kChunkBytes);
    data_.resize(old_size + (size.ok() ? *size : 0));
    if (!size.ok()) status_ = size.status();
    at_end_ = !size.ok() || *size == 0;
  }
  return offset < data_.size() - begin_;
}

size_t Window::Find(size_t offset, const ByteSet& stop, size_t limit) {
  while (offset < limit && At(offset) >= 0) {
    const size_t seen = std::min(limit, data_.size() - begin_);
    const char* bytes = data_.data() + begin_;
    while (offset < seen && !stop[static_cast<unsigned char>(bytes[offset])]) ++offset;
    if (offset < seen) return offset;
  }
  return offset;
}

void Window::Consume(size_t size) {
  const std::string_view passed = Slice(0, size);
  line_ += std::count(passed.begin(), passed.end(), '\n');
  begin_ += size;
}

}  // namespace graft::datasets
