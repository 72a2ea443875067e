#include <zlib.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/datasets/bytes.h"

namespace graft::datasets {
namespace {

constexpr size_t kInputBytes = size_t{64} << 10;
constexpr size_t kBlockBytes = size_t{64} << 10;

std::string Mebibytes(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

/// Plain bytes pass through, gzip is inflated; both are counted.
class GunzipSource : public ByteSource {
 public:
  GunzipSource(std::unique_ptr<ByteSource> source, std::string name, const GunzipLimits& limits)
      : source_(std::move(source)), name_(std::move(name)), limits_(limits), input_(kInputBytes) {}
  ~GunzipSource() override {
    if (inflating_) inflateEnd(&stream_);
  }
  GunzipSource(const GunzipSource&) = delete;
  GunzipSource& operator=(const GunzipSource&) = delete;

  StatusOr<size_t> Read(char* buffer, size_t size) override {
    if (!status_.ok()) return status_;
    if (!opened_) status_ = Open();
    if (!status_.ok()) return status_;
    // One byte more than may be given tells that there is more.
    size = static_cast<size_t>(std::min<uint64_t>(size, limits_.max_bytes - given_ + 1));
    auto count = inflating_ ? ReadBlock(buffer, size) : Copy(buffer, size);
    if (!count.ok()) {
      status_ = count.status();
      return status_;
    }
    given_ += *count;
    if (given_ <= limits_.max_bytes) return *count;
    status_ = Fault("TOO_LARGE", "it holds more than " + Mebibytes(limits_.max_bytes) +
                                     " of text, which is the limit; split it or send fewer lines");
    return *count > 1 ? StatusOr<size_t>(*count - 1) : StatusOr<size_t>(status_);
  }

 private:
  Status Fault(std::string reason, const std::string& what) const {
    Status status = InvalidArgumentError(what);
    status.AddDetail({std::move(reason), {}, 0, {}, what});
    return status;
  }

  /// Reads more input behind what is left of it; false at its end.
  StatusOr<bool> Refill() {
    std::copy(input_.begin() + static_cast<ptrdiff_t>(begin_),
              input_.begin() + static_cast<ptrdiff_t>(end_), input_.begin());
    end_ -= begin_;
    begin_ = 0;
    GRAFT_ASSIGN_OR_RETURN(const size_t size,
                           source_->Read(input_.data() + end_, input_.size() - end_));
    end_ += size;
    taken_ += size;
    return size > 0;
  }

  Status Open() {
    while (end_ < 2) {
      GRAFT_ASSIGN_OR_RETURN(const bool more, Refill());
      if (!more) break;
    }
    opened_ = true;
    const bool has_magic = end_ >= 2 && input_[0] == '\x1f' && input_[1] == '\x8b';
    if (!has_magic && IsGzipName(name_)) {
      if (end_ < 2) return Truncated();
      return Fault("BAD_GZIP",
                   "its name ends in .gz but it isn't a gzip file; "
                   "rename it or compress it");
    }
    if (!has_magic) return OkStatus();
    constexpr int kGzipOnly = 15 + 16;
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) return InternalError("zlib can't be started");
    inflating_ = true;
    block_.resize(kBlockBytes);
    return OkStatus();
  }

  StatusOr<size_t> Copy(char* buffer, size_t size) {
    if (begin_ == end_) {
      GRAFT_ASSIGN_OR_RETURN(const bool more, Refill());
      if (!more) return size_t{0};
    }
    size = std::min(size, end_ - begin_);
    std::copy_n(input_.data() + begin_, size, buffer);
    begin_ += size;
    return size;
  }

  Status Truncated() const {
    return Fault("BAD_GZIP", "the gzip file ends in the middle; copy or compress it again");
  }

  /// Moves to the next member; false if there is none.
  StatusOr<bool> NextMember() {
    for (;;) {
      while (begin_ < end_ && input_[begin_] == '\0') ++begin_;
      if (begin_ < end_) break;
      GRAFT_ASSIGN_OR_RETURN(const bool more, Refill());
      if (!more) return false;
    }
    if (inflateReset(&stream_) != Z_OK) return InternalError("zlib can't be reset");
    return true;
  }

  /// Gives what is inflated; what is at fault behind it is told once all of that is given, so that
  /// a fault lies at the same place however the data is read.
  StatusOr<size_t> ReadBlock(char* buffer, size_t size) {
    if (block_begin_ == block_end_) {
      GRAFT_RETURN_IF_ERROR(fault_);
      block_begin_ = block_end_ = 0;
      fault_ = FillBlock();
      if (block_end_ == 0) {
        GRAFT_RETURN_IF_ERROR(fault_);
        return size_t{0};
      }
    }
    size = std::min(size, block_end_ - block_begin_);
    std::copy_n(block_.data() + block_begin_, size, buffer);
    block_begin_ += size;
    return size;
  }

  /// Inflates until the block is full, the data ends or is at fault.
  Status FillBlock() {
    while (!ended_ && block_end_ < block_.size()) {
      if (between_members_) {
        GRAFT_ASSIGN_OR_RETURN(const bool more, NextMember());
        between_members_ = false;
        ended_ = !more;
        continue;
      }
      if (begin_ == end_) {
        GRAFT_ASSIGN_OR_RETURN(const bool more, Refill());
        if (!more) return Truncated();
      }
      stream_.next_in = reinterpret_cast<Bytef*>(input_.data() + begin_);
      stream_.avail_in = static_cast<uInt>(end_ - begin_);
      stream_.next_out = reinterpret_cast<Bytef*>(block_.data() + block_end_);
      stream_.avail_out = static_cast<uInt>(block_.size() - block_end_);
      const int code = inflate(&stream_, Z_NO_FLUSH);
      begin_ = end_ - stream_.avail_in;
      const size_t size = block_.size() - block_end_ - stream_.avail_out;
      block_end_ += size;
      inflated_ += size;
      if (code == Z_STREAM_END) {
        between_members_ = true;
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        return Fault("BAD_GZIP", std::string("the gzip data is damaged (") +
                                     (stream_.msg != nullptr ? stream_.msg : "zlib") +
                                     "); copy or compress it again");
      }
    }
    const uint64_t consumed = taken_ - (end_ - begin_);
    if (inflated_ > limits_.ratio_free_bytes && inflated_ / limits_.max_ratio > consumed) {
      return Fault("TOO_LARGE", "the gzip data grows more than " +
                                    std::to_string(limits_.max_ratio) +
                                    " fold, which no real text does; send it uncompressed");
    }
    return OkStatus();
  }

  const std::unique_ptr<ByteSource> source_;
  const std::string name_;
  const GunzipLimits limits_;
  std::vector<char> input_;
  size_t begin_ = 0, end_ = 0;  // The unread part of input_.
  std::vector<char> block_;
  size_t block_begin_ = 0, block_end_ = 0;  // The part of block_ that isn't given yet.
  Status fault_;                            // Behind the block.
  uint64_t taken_ = 0, inflated_ = 0, given_ = 0;
  bool opened_ = false, inflating_ = false, between_members_ = false, ended_ = false;
  z_stream stream_{};
  Status status_;
};

}  // namespace

std::unique_ptr<ByteSource> Gunzip(std::unique_ptr<ByteSource> source, std::string name,
                                   const GunzipLimits& limits) {
  return std::make_unique<GunzipSource>(std::move(source), std::move(name), limits);
}

}  // namespace graft::datasets
