#pragma once
/// What a coroutine that reads or writes a stream waits for.

#include <functional>
#include <memory>
#include <utility>

namespace graft::server::calls {

/// A read or write that a coroutine waits for. Confined to the io thread.
struct PendingOp {
  std::function<void(bool)> resume;  ///< Empty unless one waits.
  template <typename Handler>
  void Await(Handler handler) {
    auto shared = std::make_shared<Handler>(std::move(handler));
    resume = [shared](bool ok) {
      Handler complete = std::move(*shared);
      std::move(complete)(ok);
    };
  }
  void Complete(bool ok) {
    if (auto go_on = std::exchange(resume, nullptr)) go_on(ok);
  }
};

}  // namespace graft::server::calls
