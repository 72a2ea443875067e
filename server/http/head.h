#pragma once
/// A request's line and fields, and the rules that they keep before anything else reads them. The
/// parser behind these (Beast 1.81) is laxer; where two readers of one connection could take
/// different bytes for the next request, graft answers 400 and closes.
/// Source: RFC 9112 sections 2.2, 5.2, 6.1 to 6.3; RFC 9110 section 7.2.
/// Thread safety: free functions.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http/refusal.h"

namespace graft::server::http {

inline constexpr size_t kMaxHeadBytes = 16 << 10;
inline constexpr size_t kMaxTargetBytes = 8 << 10;
inline constexpr size_t kMaxFields = 100;

/// What the bytes that have come so far are.
struct Scan {
  enum class Result { kMore, kWhole, kRefused } result = Result::kMore;
  size_t skip = 0;  ///< Of kWhole: bytes of an empty line in front of the request.
  size_t size = 0;  ///< Of kWhole: the head's, behind `skip`, its empty line included.
  Refusal refusal;  ///< Of kRefused.
};

/// Looks for the end of a head in `bytes`. Refuses, as soon as it is there, what isn't a line ended
/// by CR LF, a folded line, a control character, and a head beyond kMaxHeadBytes.
Scan ScanHead(std::string_view bytes);

struct Head {
  std::string method;  ///< "GET"
  std::string target;  ///< "/v1/models?limit=2"
  int version = 11;    ///< 10 or 11.
  std::vector<std::pair<std::string, std::string>> fields;

  /// The first of this name, whose case doesn't matter; empty if there is none.
  std::string_view Find(std::string_view name) const;
  size_t Count(std::string_view name) const;
  /// Whether the list that all of this name make up has `word`, in any case.
  bool Says(std::string_view name, std::string_view word) const;
};

/// Without the spaces and tabs around it.
std::string_view Trimmed(std::string_view text);

/// Exactly one Host; at most one Content-Length, of digits; Transfer-Encoding only once, only
/// "chunked", only in HTTP/1.1 and never beside a Content-Length; no expectation but 100-continue;
/// a target that begins with a slash.
std::optional<Refusal> CheckHead(const Head& head);

/// Case doesn't matter.
bool SameWord(std::string_view a, std::string_view b);
/// Whether the list "a, b" has `word`.
bool HasWord(std::string_view list, std::string_view word);

}  // namespace graft::server::http
