#pragma once
/// How a function of the services becomes a handler.

#include "server/http/request.h"
#include "server/service/services.h"

namespace graft::server::rest {

using Answering = calls::Awaitable<Status> (*)(service::Services&, calls::CallContext&,
                                               const http::Request&, http::Responder&);

/// `services` outlives it.
inline http::Handler HandlerOf(service::Services& services, Answering answer) {
  return
      [&services, answer](calls::CallContext& context, const http::Request& request,
                          http::Responder& out) { return answer(services, context, request, out); };
}

}  // namespace graft::server::rest
