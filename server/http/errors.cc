#include "server/http/errors.h"

#include "common/base/json.h"
#include "common/base/utf8.h"

namespace graft::server::http {
namespace {

const char* TypeOf(int http_status) {
  if (http_status == 429) return "rate_limit_error";
  return http_status >= 500 ? "server_error" : "invalid_request_error";
}

Json DetailsOf(const Status& status) {
  Json details = Json::array();
  for (const ErrorDetail& detail : status.details()) {
    Json one = Json::object();
    if (!detail.reason.empty()) one["reason"] = detail.reason;
    if (!detail.field.empty()) one["field"] = detail.field;
    if (detail.line != 0) one["line"] = detail.line;
    if (!detail.column.empty()) one["column"] = detail.column;
    if (!detail.message.empty()) one["message"] = detail.message;
    details.push_back(std::move(one));
  }
  return details;
}

/// What isn't UTF-8 in a message is replaced: it may quote what a client sent.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json Error(int http_status, const std::string& message, Json param, const std::string& code) {
  return {{"message", message},
          {"type", TypeOf(http_status)},
          {"param", std::move(param)},
          {"code", code}};
}

}  // namespace

int HttpStatus(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return 200;
    case StatusCode::kInvalidArgument:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kOutOfRange:
    // Not 501: clients take that for a fault that passes, and ask again.
    case StatusCode::kUnimplemented:
      return 400;
    case StatusCode::kUnauthenticated:
      return 401;
    case StatusCode::kPermissionDenied:
      return 403;
    case StatusCode::kNotFound:
      return 404;
    case StatusCode::kAlreadyExists:
    case StatusCode::kAborted:
      return 409;
    case StatusCode::kResourceExhausted:
      return 429;
    case StatusCode::kCancelled:
      return 499;
    case StatusCode::kUnavailable:
      return 503;
    case StatusCode::kDeadlineExceeded:
      return 504;
    case StatusCode::kUnknown:
    case StatusCode::kInternal:
    case StatusCode::kDataLoss:
      break;
  }
  return 500;
}

std::string ErrorBody(const Status& status) {
  Json param = nullptr;
  std::string code = AsciiLower(StatusCodeName(status.code()));
  if (!status.details().empty()) {
    const ErrorDetail& first = status.details().front();
    if (!first.field.empty()) param = first.field;
    if (!first.reason.empty()) code = AsciiLower(first.reason);
  }
  Json error = Error(HttpStatus(status.code()), status.message(), std::move(param), code);
  if (!status.details().empty()) error["details"] = DetailsOf(status);
  return Dump({{"error", std::move(error)}});
}

std::string ErrorBody(const Refusal& refusal) {
  return Dump({{"error", Error(refusal.status, refusal.message, nullptr, refusal.code)}});
}

AnswerHead ErrorHead(int http_status) {
  AnswerHead head;
  head.status = http_status;
  if (http_status == 429 || http_status == 503) head.headers.emplace_back("Retry-After", "1");
  return head;
}

AnswerHead ErrorHead(const Status& status) {
  AnswerHead head = ErrorHead(HttpStatus(status.code()));
  switch (status.code()) {
    case StatusCode::kAlreadyExists:
    case StatusCode::kAborted:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kInternal:
    case StatusCode::kDataLoss:
      head.headers.emplace_back("x-should-retry", "false");
      break;
    default:
      break;
  }
  return head;
}

}  // namespace graft::server::http
