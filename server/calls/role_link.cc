#include "server/calls/chain.h"

namespace graft::server::calls {
namespace {

class RoleLink : public Link {
 public:
  Awaitable<Status> Handle(CallState& call, Next next) override {
    if (call.options().role == Role::kWorker && !call.arrival().worker_access.ok())
      co_return call.arrival().worker_access;
    co_return co_await next();
  }
};

}  // namespace

std::unique_ptr<Link> MakeRoleLink() { return std::make_unique<RoleLink>(); }

}  // namespace graft::server::calls
