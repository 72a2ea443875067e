#pragma once
/// Who a request may say it was sent to, and from which site. A page that someone visits can make
/// the browser call a port of this machine by a name of its own (DNS rebinding): so the name must
/// be one of ours even on loopback. Thread safety: const after construction.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/refusal.h"

namespace graft::server::http {

class Authorities {
 public:
  /// `names`: hosts besides those that always hold, in any case; "graft.example.com" holds with any
  /// port, "graft.example.com:8443" with that one.
  explicit Authorities(std::vector<std::string> names);

  /// `host` may be localhost, an address of loopback, `local` (the address that the connection came
  /// in at) or one of the names, each with any port. `origin` may be absent, or as `host`, or one
  /// of the names. Returns a refusal (403, or 400 if it is no authority at all).
  std::optional<Refusal> Check(std::string_view host, std::optional<std::string_view> origin,
                               std::string_view local) const;

 private:
  bool IsNamed(std::string_view authority) const;
  std::vector<std::string> names_;
};

/// "host", "host:80", "[::1]:80" as lower-case host without brackets and port, which may be empty.
struct Authority {
  std::string host;
  std::string port;
};
std::optional<Authority> ParseAuthority(std::string_view text);

}  // namespace graft::server::http
