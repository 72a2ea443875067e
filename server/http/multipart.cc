#include "server/http/multipart.h"

#include <algorithm>

#include "common/base/utf8.h"
#include "server/http/head.h"

namespace graft::server::http {
namespace {

constexpr size_t kMaxBoundary = 70;
constexpr size_t kMaxPreamble = 4096;
constexpr size_t kMaxPartHead = 8192;

using Event = MultipartParser::Event;

Status Malformed(const char* what) {
  return InvalidArgumentError(std::string("the form is malformed: ") + what)
      .AddDetail({"MALFORMED_FORM", {}, 0, {}, {}});
}

/// The value of `name` in "form-data; name=x; filename=\"y\"", unquoted; nullopt if there is none.
std::optional<std::string> Parameter(std::string_view value, std::string_view name) {
  size_t at = std::min(value.find(';'), value.size());
  while (at < value.size()) {
    std::string_view rest = Trimmed(value.substr(at + 1));
    const size_t equals = rest.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view key = Trimmed(rest.substr(0, equals));
    rest.remove_prefix(equals + 1);
    std::string text;
    size_t used = 0;
    if (rest.starts_with('"')) {
      for (used = 1; used < rest.size() && rest[used] != '"'; ++used) {
        // Of what a browser writes, a path of Windows most of all, a backslash is a part.
        const bool is_escape = rest[used] == '\\' && used + 1 < rest.size() &&
                               (rest[used + 1] == '"' || rest[used + 1] == '\\');
        if (is_escape) ++used;
        text.push_back(rest[used]);
      }
      if (used >= rest.size()) return std::nullopt;
      ++used;
    } else {
      used = std::min(rest.find(';'), rest.size());
      text = Trimmed(rest.substr(0, used));
    }
    if (SameWord(key, name)) return text;
    const size_t next = rest.find(';', used);
    if (next == std::string_view::npos) return std::nullopt;
    at = static_cast<size_t>(rest.data() - value.data()) + next;
  }
  return std::nullopt;
}

/// Where what was found `at`, or else will be, stands at the earliest: limits on it hold however
/// the bytes were cut.
size_t FirstPlace(std::string_view text, size_t at, size_t size) {
  return std::min(at, text.size() - std::min(text.size(), size - 1));
}

/// The name and file name of a part by its head.
StatusOr<Event> PartOf(std::string_view head) {
  Event event;
  event.kind = Event::Kind::kPart;
  bool is_named = false;
  while (!head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return Malformed("a part's head has a line without colon");
    if (!SameWord(Trimmed(line.substr(0, colon)), "content-disposition")) continue;
    const std::string_view value = Trimmed(line.substr(colon + 1));
    const auto name = Parameter(value, "name");
    const std::string_view kind = Trimmed(value.substr(0, std::min(value.find(';'), value.size())));
    if (is_named || !SameWord(kind, "form-data") || !name)
      return Malformed("each part has one Content-Disposition: form-data with a name");
    is_named = true;
    event.name = *name;
    event.file_name = Parameter(value, "filename");
  }
  if (!is_named) return Malformed("a part has no Content-Disposition");
  for (const std::string& text : {event.name, event.file_name.value_or("")}) {
    if (FirstInvalidUtf8(text) != std::string::npos) return Malformed("a name in it isn't UTF-8");
  }
  return event;
}

}  // namespace

StatusOr<std::string> BoundaryOf(std::string_view content_type) {
  const std::string_view type =
      Trimmed(content_type.substr(0, std::min(content_type.find(';'), content_type.size())));
  if (!SameWord(type, "multipart/form-data"))
    return InvalidArgumentError("files are sent as a form: Content-Type: multipart/form-data");
  const auto boundary = Parameter(content_type, "boundary");
  const auto is_fine = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos;
  };
  if (!boundary || boundary->empty() || boundary->size() > kMaxBoundary ||
      boundary->back() == ' ' || !std::ranges::all_of(*boundary, is_fine))
    return InvalidArgumentError("the form's Content-Type has no proper boundary");
  return *boundary;
}

// The first delimiter may stand at the very front, without a line in front of it.
MultipartParser::MultipartParser(const std::string& boundary)
    : delimiter_("\r\n--" + boundary), buffer_("\r\n") {}

StatusOr<Event> MultipartParser::Next() {
  switch (state_) {
    case State::kBetween:
      return NextBetween();
    case State::kHead:
      return NextHead();
    case State::kData:
      return NextData();
    case State::kEnd:
      break;
  }
  Event end;
  end.kind = Event::Kind::kEnd;
  return end;
}

StatusOr<Event> MultipartParser::NextBetween() {
  if (!has_begun_) {
    const size_t at = buffer_.find(delimiter_);
    if (FirstPlace(buffer_, at, delimiter_.size()) > kMaxPreamble)
      return Malformed("its boundary doesn't come");
    if (at == std::string::npos) return Event{};
    buffer_.erase(0, at + delimiter_.size());
    has_begun_ = true;
  }
  if (buffer_.size() < 2) return Event{};
  if (buffer_.starts_with("--")) {
    state_ = State::kEnd;
    buffer_.clear();
    return Next();
  }
  if (!buffer_.starts_with("\r\n")) return Malformed("a boundary goes on in its line");
  // Kept: an empty head is this line's end and the next.
  state_ = State::kHead;
  return NextHead();
}

StatusOr<Event> MultipartParser::NextHead() {
  const size_t end = buffer_.find("\r\n\r\n");
  if (FirstPlace(buffer_, end, 4) > kMaxPartHead) return Malformed("a part's head is too long");
  if (end == std::string::npos) return Event{};
  GRAFT_ASSIGN_OR_RETURN(Event part,
                         PartOf(std::string_view(buffer_).substr(std::min<size_t>(2, end),
                                                                 end - std::min<size_t>(2, end))));
  // The line's end in front of the data stays: a delimiter may follow at once.
  buffer_.erase(0, end + 2);
  has_data_begun_ = false;
  state_ = State::kData;
  return part;
}

StatusOr<Event> MultipartParser::NextData() {
  Event event;
  const size_t at = buffer_.find(delimiter_);
  const size_t lead = has_data_begun_ ? 0 : 2;
  if (at == std::string::npos) {
    // What may be the beginning of a delimiter waits.
    const size_t keep = delimiter_.size() - 1;
    if (buffer_.size() <= keep + lead) return event;
    event.kind = Event::Kind::kData;
    event.data = buffer_.substr(lead, buffer_.size() - keep - lead);
    buffer_.erase(0, buffer_.size() - keep);
    has_data_begun_ = true;
    return event;
  }
  if (at > lead) {
    event.kind = Event::Kind::kData;
    event.data = buffer_.substr(lead, at - lead);
    buffer_.erase(0, at);
    has_data_begun_ = true;
    return event;
  }
  buffer_.erase(0, at + delimiter_.size());
  state_ = State::kBetween;
  event.kind = Event::Kind::kPartEnd;
  return event;
}

}  // namespace graft::server::http
