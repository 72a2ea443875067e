#include "server/rest/tar.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "common/base/utf8.h"

namespace graft::server::rest {
namespace {

constexpr size_t kBlock = 512;
constexpr int64_t kMaxAside = 64 << 10;
constexpr size_t kNameBytes = 100;
constexpr int64_t kMostBytes = int64_t{1} << 50;
constexpr int64_t kMostOctal = (int64_t{1} << 33) - 1;

constexpr char kLongName = 'L';  ///< GNU's.

using Event = TarReader::Event;

/// Places in a header.
constexpr size_t kMode = 100, kSize = 124, kTime = 136, kSum = 148, kType = 156, kMagic = 257;

Status NoTar(const std::string& what) {
  return InvalidArgumentError("the body is no tar archive that graft reads: " + what)
      .AddDetail({"MALFORMED_TAR", {}, 0, {}, {}});
}

int64_t Padded(int64_t size) { return (size + 511) / 512 * 512; }

void Put(std::string& header, size_t at, const std::string& text) {
  std::copy(text.begin(), text.end(), header.begin() + static_cast<ptrdiff_t>(at));
}

/// The sum of a header's bytes, its own field counted as spaces.
int64_t SumOf(std::string_view header) {
  int64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i)
    sum += i >= kSum && i < kSum + 8 ? ' ' : static_cast<unsigned char>(header[i]);
  return sum;
}

std::string Header(const std::string& name, int64_t size, char type) {
  std::string header(kBlock, '\0');
  Put(header, 0, name.substr(0, kNameBytes));
  Put(header, kMode, "0000644");
  Put(header, kMode + 8, "0000000");
  Put(header, kMode + 16, "0000000");
  Put(header, kSize, fmt::format("{:011o}", std::min(size, kMostOctal)));
  Put(header, kTime, "00000000000");
  header[kType] = type;
  Put(header, kMagic,
      std::string("ustar\0"
                  "00",
                  8));
  Put(header, kSum, fmt::format("{:06o}", SumOf(header)));
  header[kSum + 7] = ' ';
  return header;
}

/// "30 size=8589934592\n": its length counts itself.
std::string Record(const std::string& key, const std::string& value) {
  size_t length = key.size() + value.size() + 3;
  const auto all = [&](size_t digits_of) { return length + std::to_string(digits_of).size(); };
  size_t total = all(length);
  total = all(total);
  return fmt::format("{} {}={}\n", total, key, value);
}

std::string Field(std::string_view header, size_t at, size_t size) {
  const std::string_view field = header.substr(at, size);
  return std::string(field.substr(0, std::min(field.find('\0'), field.size())));
}

StatusOr<int64_t> Octal(std::string_view header, size_t at, size_t size) {
  std::string digits = Field(header, at, size);
  std::erase(digits, ' ');
  int64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, 8);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || number < 0)
    return NoTar("a header has no proper number");
  return number;
}

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::string TarHeader(const std::string& name, int64_t size) {
  std::string records;
  if (name.size() > kNameBytes) records += Record("path", name);
  if (size > kMostOctal) records += Record("size", std::to_string(size));
  const auto bytes = static_cast<int64_t>(records.size());
  std::string header;
  if (bytes > 0) header = Header("pax_header", bytes, 'x') + records + TarPadding(bytes);
  return header + Header(name, size, '0');
}

std::string TarPadding(int64_t size) {
  return std::string(static_cast<size_t>(Padded(size) - size), '\0');
}

std::string TarEnd() { return std::string(2 * kBlock, '\0'); }

StatusOr<Event> TarReader::Next() {
  Event end;
  end.kind = Event::Kind::kEnd;
  if (is_over_) return end;
  if (left_ > 0) return NextData();
  const auto skipped =
      static_cast<int64_t>(std::min(buffer_.size(), static_cast<size_t>(padding_)));
  buffer_.erase(0, static_cast<size_t>(skipped));
  padding_ -= skipped;
  if (padding_ > 0) return Event{};
  if (aside_ > 0) {
    GRAFT_ASSIGN_OR_RETURN(const bool is_taken, TakeAside());
    if (!is_taken) return Event{};
    return Next();
  }
  return NextHeader();
}

StatusOr<Event> TarReader::NextData() {
  Event event;
  if (buffer_.empty()) return event;
  event.kind = Event::Kind::kData;
  const auto size = std::min(buffer_.size(), static_cast<size_t>(left_));
  event.data = buffer_.substr(0, size);
  buffer_.erase(0, size);
  left_ -= static_cast<int64_t>(size);
  return event;
}

StatusOr<bool> TarReader::TakeAside() {
  const auto size = static_cast<size_t>(aside_);
  if (buffer_.size() < size) return false;
  if (is_name_) {
    path_ = Field(buffer_, 0, size);
  } else {
    GRAFT_RETURN_IF_ERROR(TakeRecords(std::string_view(buffer_).substr(0, size)));
  }
  padding_ = Padded(aside_) - aside_;
  buffer_.erase(0, size);
  aside_ = 0;
  return true;
}

Status TarReader::TakeRecords(std::string_view rest) {
  while (!rest.empty()) {
    size_t length = 0;
    const auto [digits, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto front = static_cast<size_t>(digits - rest.data()) + 1;
    if (error != std::errc() || length <= front || length > rest.size() || rest[length - 1] != '\n')
      return NoTar("a pax header is malformed");
    const std::string_view record = rest.substr(front, length - front - 1);
    const size_t equals = std::min(record.find('='), record.size());
    const std::string_view key = record.substr(0, equals);
    const std::string value(record.substr(std::min(equals + 1, record.size())));
    if (key == "path") path_ = value;
    if (key == "size") {
      const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), size_);
      if (fault != std::errc() || end != value.data() + value.size() || size_ < 0 ||
          size_ > kMostBytes)
        return NoTar("a pax header has no proper size");
    }
    rest.remove_prefix(length);
  }
  return OkStatus();
}

StatusOr<Event> TarReader::NextHeader() {
  if (buffer_.size() < kBlock) return Event{};
  const std::string header = buffer_.substr(0, kBlock);
  buffer_.erase(0, kBlock);
  if (std::ranges::all_of(header, [](char c) { return c == '\0'; })) {
    if (!has_begun_) return NoTar("it has no file");
    is_over_ = true;
    return Next();
  }
  GRAFT_ASSIGN_OR_RETURN(const int64_t sum, Octal(header, kSum, 8));
  if (sum != SumOf(header)) return NoTar("a header's checksum is wrong");
  has_begun_ = true;
  GRAFT_ASSIGN_OR_RETURN(int64_t size, Octal(header, kSize, 12));
  const char type = header[kType];
  if (type == 'x' || type == 'g' || type == kLongName) {
    if (size > kMaxAside || size <= 0) return NoTar("a header of a file's name has no fine size");
    aside_ = size;
    is_name_ = type == kLongName;
    return Next();
  }
  const std::string path = std::exchange(path_, {});
  if (const int64_t told = std::exchange(size_, -1); told >= 0) size = told;
  if (type == '5') return Next();
  if (type != '0' && type != '\0') return NoTar("it has what is no plain file, as a link");
  Event event;
  event.kind = Event::Kind::kFile;
  event.name = BaseName(path.empty() ? Field(header, 0, kNameBytes) : path);
  event.size = size;
  if (event.name.empty()) return NoTar("a file has no name");
  left_ = size;
  padding_ = Padded(size) - size;
  return event;
}

}  // namespace graft::server::rest
