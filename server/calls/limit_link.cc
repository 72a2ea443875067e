#include <fmt/format.h>

#include "server/calls/chain.h"

namespace graft::server::calls {
namespace {

class LimitLink : public Link {
 public:
  explicit LimitLink(int max_inference_calls) : max_inference_calls_(max_inference_calls) {}

  Awaitable<Status> Handle(CallState& call, Next next) override {
    if (call.options().cost != Cost::kInference) co_return co_await next();
    if (inference_calls_ >= max_inference_calls_) {
      call.host().probe().InferenceRejected("queue_full");
      co_return ResourceExhaustedError(fmt::format(
          "{} inference requests are in flight; try again in a moment", inference_calls_));
    }
    struct Place {
      explicit Place(int& of) : calls(of) { ++calls; }
      ~Place() { --calls; }
      Place(const Place&) = delete;
      Place& operator=(const Place&) = delete;
      int& calls;
    };
    const Place place(inference_calls_);
    co_return co_await next();
  }

 private:
  const int max_inference_calls_;
  int inference_calls_ = 0;  ///< Admitted and not yet answered.
};

}  // namespace

std::unique_ptr<Link> MakeLimitLink(int max_inference_calls) {
  return std::make_unique<LimitLink>(max_inference_calls);
}

}  // namespace graft::server::calls
