#include <algorithm>

#include <boost/asio/steady_timer.hpp>

#include "server/calls/chain.h"
#include "server/calls/ends.h"

namespace graft::server::calls {
namespace {

class DeadlineLink : public Link {
 public:
  Awaitable<Status> Handle(CallState& call, Next next) override {
    asio::steady_timer timer(call.runtime().io());
    timer.expires_after(std::max(call.context().TimeLeft(), std::chrono::milliseconds(0)));
    timer.async_wait([weak = call.weak_from_this()](const boost::system::error_code& error) {
      if (auto self = weak.lock(); self && !error) self->InterruptWith(Interrupt::kDeadline);
    });
    Status status = co_await next();
    // What another process was asked within the call's deadline ends at it too, and says nothing.
    const bool says_nothing =
        status.code() == StatusCode::kDeadlineExceeded && status.details().empty();
    co_return says_nothing ? Late(call) : status;
  }
};

}  // namespace

std::unique_ptr<Link> MakeDeadlineLink() { return std::make_unique<DeadlineLink>(); }

}  // namespace graft::server::calls
