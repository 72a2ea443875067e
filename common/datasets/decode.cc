#include "common/datasets/decode.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/utf8.h"

namespace graft::datasets {
namespace {

constexpr size_t kFrontBytes = size_t{64} << 10;
constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";

Status Fault(std::string reason, const std::string& what) {
  Status status = InvalidArgumentError(what);
  status.AddDetail({std::move(reason), {}, 0, {}, what});
  return status;
}

/// A source that is made in pieces: Fill makes the next one.
class PieceSource : public ByteSource {
 public:
  StatusOr<size_t> Read(char* buffer, size_t size) final {
    while (used_ == piece_.size()) {
      GRAFT_RETURN_IF_ERROR(status_);
      if (at_end_) return size_t{0};
      piece_.clear();
      used_ = 0;
      status_ = Fill(piece_, at_end_);
    }
    size = std::min(size, piece_.size() - used_);
    std::copy_n(piece_.data() + used_, size, buffer);
    used_ += size;
    return size;
  }

 private:
  /// Appends to `piece`; sets `at_end` once nothing comes any more. What it appended is given
  /// before its error is.
  virtual Status Fill(std::string& piece, bool& at_end) = 0;

  std::string piece_;
  size_t used_ = 0;
  bool at_end_ = false;
  Status status_;
};

/// Appends up to `size` bytes of `source`, fewer only at its end or before an error.
Status ReadUpTo(ByteSource& source, size_t size, std::string& bytes, bool& at_end) {
  std::vector<char> buffer(size);
  for (size_t left = size; left > 0 && !at_end;) {
    GRAFT_ASSIGN_OR_RETURN(const size_t count, source.Read(buffer.data(), left));
    bytes.append(buffer.data(), count);
    left -= count;
    at_end = count == 0;
  }
  return OkStatus();
}

/// One step of UTF-16 to UTF-8; keeps what is cut between two pieces.
class Utf16Decoder {
 public:
  explicit Utf16Decoder(bool is_big_endian) : is_big_endian_(is_big_endian) {}

  Status Decode(std::string_view bytes, std::string& text) {
    for (const char c : bytes) {
      if (!has_byte_) {
        byte_ = static_cast<unsigned char>(c);
        has_byte_ = true;
        continue;
      }
      has_byte_ = false;
      const uint32_t second = static_cast<unsigned char>(c);
      GRAFT_RETURN_IF_ERROR(Take(is_big_endian_ ? byte_ << 8 | second : second << 8 | byte_, text));
    }
    return OkStatus();
  }

  Status Finish() const {
    if (!has_byte_ && high_ == 0) return OkStatus();
    return Fault("BAD_UTF16",
                 "the UTF-16 text ends in the middle of a character; copy the file "
                 "again, or save it as UTF-8");
  }

 private:
  Status Take(uint32_t unit, std::string& text) {
    const bool is_low = unit >= 0xDC00 && unit <= 0xDFFF;
    if (is_low != (high_ != 0)) {
      return Fault("BAD_UTF16",
                   "the UTF-16 text is damaged here (half of a pair stands alone); "
                   "save the file as UTF-8");
    }
    if (unit >= 0xD800 && unit <= 0xDBFF) {
      high_ = unit;
      return OkStatus();
    }
    AppendUtf8(is_low ? 0x10000 + ((high_ - 0xD800) << 10) + (unit - 0xDC00) : unit, text);
    high_ = 0;
    return OkStatus();
  }

  const bool is_big_endian_;
  bool has_byte_ = false;
  uint32_t byte_ = 0, high_ = 0;
};

/// UTF-16 to UTF-8, and no byte order marks.
class UnicodeSource : public PieceSource {
 public:
  explicit UnicodeSource(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

 private:
  Status Fill(std::string& piece, bool& at_end) override {
    std::string bytes;
    const Status read = ReadUpTo(*source_, kFrontBytes, bytes, at_end);
    std::string_view rest = bytes;
    if (!std::exchange(has_begun_, true)) GRAFT_RETURN_IF_ERROR(Begin(rest));
    if (!decoder_) {
      piece.append(rest);
    } else {
      GRAFT_RETURN_IF_ERROR(decoder_->Decode(rest, piece));
      if (at_end) GRAFT_RETURN_IF_ERROR(decoder_->Finish());
    }
    return read;
  }

  Status Begin(std::string_view& front) {
    if (const auto what = ForeignFormat(front)) return Fault("NOT_TEXT", *what);
    const auto zero = [&](size_t i) { return front[i] == '\0'; };
    const bool is_long = front.size() >= 4;
    if (front.starts_with("\xFE\xFF") || front.starts_with("\xFF\xFE")) {
      decoder_.emplace(front[0] == '\xFE');
      front.remove_prefix(2);
    } else if (is_long && !zero(0) && zero(1) && !zero(2) && zero(3)) {
      decoder_.emplace(false);
    } else if (is_long && zero(0) && !zero(1) && zero(2) && !zero(3)) {
      decoder_.emplace(true);
    }
    while (!decoder_ && front.starts_with(kUtf8Mark)) front.remove_prefix(kUtf8Mark.size());
    return OkStatus();
  }

  const std::unique_ptr<ByteSource> source_;
  bool has_begun_ = false;
  std::optional<Utf16Decoder> decoder_;
};

/// CR to LF, if that is how the text's lines end.
class LineEndSource : public PieceSource {
 public:
  explicit LineEndSource(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

 private:
  Status Fill(std::string& piece, bool& at_end) override {
    const Status read = ReadUpTo(*source_, kFrontBytes, piece, at_end);
    if (!std::exchange(has_begun_, true)) {
      converts_ = piece.find('\r') != std::string::npos && piece.find('\n') == std::string::npos;
    }
    if (!converts_) return read;
    std::string text;
    for (const char c : piece) {
      const bool is_second = c == '\n' && after_cr_;
      after_cr_ = c == '\r';
      if (!is_second) text += after_cr_ ? '\n' : c;
    }
    piece = std::move(text);
    return read;
  }

  const std::unique_ptr<ByteSource> source_;
  bool has_begun_ = false, converts_ = false, after_cr_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> DecodeText(std::unique_ptr<ByteSource> source) {
  return std::make_unique<LineEndSource>(std::make_unique<UnicodeSource>(std::move(source)));
}

}  // namespace graft::datasets
