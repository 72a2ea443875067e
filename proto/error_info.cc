#include "proto/error_info.h"

#include <utility>

namespace graft::proto {
namespace {

/// Length of the valid UTF-8 character at the front of `text`, 0 if there is none.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

void FillDetail(const ErrorDetail& from, graft::v1::ErrorDetail& to) {
  to.set_reason(CutText(from.reason, 64));
  to.set_field(CutText(from.field, 256));
  to.set_line(from.line);
  to.set_column(CutText(from.column, 256));
  to.set_message(CutText(from.message, 512));
}

}  // namespace

std::string CutText(std::string_view text, size_t max_bytes) {
  std::string out;
  size_t fits = 0;  // Longest prefix that leaves room for the dots.
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const std::string_view character = length == 0 ? std::string_view("?") : text.substr(0, length);
    if (out.size() + character.size() > max_bytes) return out.substr(0, fits) + "...";
    out += character;
    if (out.size() + 3 <= max_bytes) fits = out.size();
    text.remove_prefix(character.size());
  }
  return out;
}

StatusCode StatusCodeFromNumber(int code) {
  if (code < 0 || code > static_cast<int>(StatusCode::kUnauthenticated))
    return StatusCode::kUnknown;
  return static_cast<StatusCode>(code);
}

graft::v1::ErrorInfo ToErrorInfo(const Status& status) {
  graft::v1::ErrorInfo info;
  info.set_code(static_cast<int>(status.code()));
  info.set_message(CutText(status.message(), kMaxMessageBytes));
  for (const ErrorDetail& detail : status.details()) {
    if (info.details_size() == kMaxDetails) break;
    FillDetail(detail, *info.add_details());
  }
  info.set_omitted_details(static_cast<int64_t>(status.details().size()) - info.details_size());
  return info;
}

Status FromErrorInfo(const graft::v1::ErrorInfo& info) {
  Status status(StatusCodeFromNumber(info.code()), info.message());
  for (const graft::v1::ErrorDetail& detail : info.details()) {
    status.AddDetail(
        {detail.reason(), detail.field(), detail.line(), detail.column(), detail.message()});
  }
  return status;
}

Status PrefixFields(Status status, std::string_view prefix) {
  Status out(status.code(), status.message());
  for (ErrorDetail detail : status.details()) {
    detail.field =
        detail.field.empty() ? std::string(prefix) : std::string(prefix) + "." + detail.field;
    out.AddDetail(std::move(detail));
  }
  return out;
}

}  // namespace graft::proto
