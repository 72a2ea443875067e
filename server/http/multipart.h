#pragma once
/// The parts of a form with files, multipart/form-data, as its bytes come: pure, and bounded in
/// memory by what is fed at once.
/// Source: RFC 7578; RFC 2046 section 5.1.1. Stricter where readers differ: no space behind a
/// boundary, no part without a name.
/// Thread safety: confined to one thread.

#include <optional>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace graft::server::http {

/// The boundary of `Content-Type: multipart/form-data; boundary=...`.
/// Errors: InvalidArgument if it is another type, or no boundary of 1 to 70 fine characters.
StatusOr<std::string> BoundaryOf(std::string_view content_type);

class MultipartParser {
 public:
  explicit MultipartParser(const std::string& boundary);

  struct Event {
    enum class Kind {
      kMore,     ///< Feed more.
      kPart,     ///< A part begins: name, and the file's name if it is one.
      kData,     ///< Bytes of it.
      kPartEnd,  ///< It is over.
      kEnd,      ///< All are.
    } kind = Kind::kMore;
    std::string name;
    std::optional<std::string> file_name;
    std::string data;
  };
  void Feed(std::string_view bytes) { buffer_ += bytes; }
  /// What comes next. Errors: InvalidArgument, at which it stays.
  StatusOr<Event> Next();

 private:
  enum class State { kBetween, kHead, kData, kEnd };
  StatusOr<Event> NextBetween();
  StatusOr<Event> NextHead();
  StatusOr<Event> NextData();

  const std::string delimiter_;  ///< CR LF, two dashes, the boundary.
  std::string buffer_;
  State state_ = State::kBetween;
  bool has_begun_ = false;       ///< A delimiter was seen.
  bool has_data_begun_ = false;  ///< Of this part; before, the buffer begins with its head's end.
};

}  // namespace graft::server::http
