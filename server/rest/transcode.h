#pragma once
/// Methods of graft.v1 as HTTP: protobuf's JSON form with the proto's field names, the body being
/// the request message; of a GET its query. What is left out has the field's default.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/message.h>

#include "common/base/json.h"
#include "common/base/status.h"
#include "server/calls/await.h"
#include "server/calls/call.h"
#include "server/http/request.h"

namespace graft::server::rest {

/// A field that the path fills: {"name", "jobs/{job}"}.
struct Binding {
  std::string_view field;
  std::string_view form;
};

/// `form` with the request's arguments in it.
std::string FillIn(std::string_view form, const http::Request& request);

/// "jobs/x" -> "x"
std::string IdOf(const std::string& name);

/// The request's body, one JSON object; an empty body is an empty one.
/// Errors: InvalidArgument.
StatusOr<Json> BodyOf(const http::Request& request);

/// Fills `message` from body, query and path.
/// Errors: InvalidArgument at the field, also for one that there isn't or that is said twice.
Status ReadMessage(const http::Request& request, const std::vector<Binding>& bindings,
                   google::protobuf::Message& message);

/// One line. What isn't UTF-8 is replaced.
std::string Dump(const Json& json);

/// Absent fields are written too: lists as [], numbers as 0; 64-bit ones are strings.
StatusOr<std::string> JsonText(const google::protobuf::Message& message);
/// The same as a value.
StatusOr<Json> ToJson(const google::protobuf::Message& message);

/// A unary method as a handler. `service` outlives it.
template <typename Service, typename Request, typename Response>
http::Handler Transcoded(
    Service& service,
    calls::Awaitable<StatusOr<Response>> (Service::*method)(calls::CallContext&, const Request&),
    std::vector<Binding> bindings = {}) {
  return [&service, method, bindings = std::move(bindings)](
             calls::CallContext& context, const http::Request& request,
             http::Responder& out) -> calls::Awaitable<Status> {
    Request message;
    GRAFT_CO_RETURN_IF_ERROR(ReadMessage(request, bindings, message));
    GRAFT_CO_ASSIGN_OR_RETURN(const Response response,
                              co_await (service.*method)(context, message));
    GRAFT_CO_ASSIGN_OR_RETURN(std::string text, JsonText(response));
    out.Send({}, std::move(text));
    co_return OkStatus();
  };
}

}  // namespace graft::server::rest
