#pragma once
/// Port. Brings a batch to a collector; implemented by curl_transport.h.

#include <chrono>
#include <functional>
#include <string>

namespace graft::otlp {

struct Answer {
  int status = 0;  ///< HTTP's; 0: none came, and `error` says why.
  std::string body = {};
  std::string error = {};
  std::chrono::seconds retry_after{0};  ///< What the collector asks for; 0: nothing.
};

/// Thread safety: confined to one thread.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Blocks for `at_most`. `go_on` is asked now and then; once it says no there is no answer.
  virtual Answer Post(const std::string& body, std::chrono::milliseconds at_most,
                      const std::function<bool()>& go_on) = 0;
};

}  // namespace graft::otlp
