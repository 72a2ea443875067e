#include "common/base/fault.h"

#include <string>
#include <utility>

namespace graft {
namespace {

constexpr std::string_view kOfStore = "OBJECT_STORE";

bool HasReason(const Status& status, std::string_view reason) {
  for (const ErrorDetail& detail : status.details()) {
    if (detail.reason == reason) return true;
  }
  return false;
}

/// The field of the first detail, which is the most important.
std::string_view FieldOf(const Status& status) {
  return status.details().empty() ? std::string_view() : status.details().front().field;
}

}  // namespace

std::string_view FaultName(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "";
    case Fault::kJob:
      return "JOB";
    case Fault::kData:
      return "DATA";
    case Fault::kWorker:
      return "WORKER";
    case Fault::kStore:
      return "STORE";
  }
  return "";
}

Fault FaultOf(const Status& status) {
  if (status.ok()) return Fault::kNone;
  if (HasReason(status, kOfStore)) return Fault::kStore;
  const std::string_view field = FieldOf(status);
  switch (status.code()) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kNotFound:
    case StatusCode::kAlreadyExists:
    case StatusCode::kOutOfRange:
    case StatusCode::kUnimplemented:
      return field.starts_with("dataset") || field.starts_with("spec.dataset") ? Fault::kData
                                                                               : Fault::kJob;
    case StatusCode::kResourceExhausted:
      return HasReason(status, "DEVICE_OUT_OF_MEMORY") && !field.empty() ? Fault::kJob
                                                                         : Fault::kWorker;
    default:
      return Fault::kWorker;
  }
}

bool IsWorthRetrying(const Status& status) {
  const Fault fault = FaultOf(status);
  return fault == Fault::kWorker ||
         (fault == Fault::kStore && status.code() != StatusCode::kNotFound);
}

Status OfStore(Status status) {
  if (!status.ok()) status.AddDetail({std::string(kOfStore), {}, 0, {}, {}});
  return status;
}

}  // namespace graft
