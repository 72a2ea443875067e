#include "server/calls/chain.h"
#include "server/calls/ends.h"

namespace graft::server::calls {
namespace {

class DrainLink : public Link {
 public:
  Awaitable<Status> Handle(CallState& call, Next next) override {
    if (call.host().draining() && call.options().on_drain != OnDrain::kRun) {
      if (call.options().cost == Cost::kInference)
        call.host().probe().InferenceRejected("draining");
      co_return ShuttingDown();
    }
    co_return co_await next();
  }
};

}  // namespace

std::unique_ptr<Link> MakeDrainLink() { return std::make_unique<DrainLink>(); }

}  // namespace graft::server::calls
