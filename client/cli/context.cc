#include "client/cli/context.h"

#include <google/protobuf/util/json_util.h>

#include <cstdio>

#include "client/cli/faults.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "proto/grpc_status.h"

namespace graft::cli {

namespace {

/// The error in protobuf's JSON form with the code's name, as Google's APIs send it over HTTP.
void PrintJsonError(Context& context, const Status& status) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(proto::ToErrorInfo(status), &text, options);
  Json error = *ParseJson(text, "the error");
  error["status"] = StatusCodeName(status.code());
  context.err << Json{{"error", error}}.dump() << "\n";
}

void PrintError(Context& context, const Status& status) {
  context.err << "graft: " << OnOneLine(status.message()) << "\n";
  PrintFaults(context.err, proto::ToErrorInfo(status));
}

}  // namespace

Status UsageError(std::string message) {
  return InvalidArgumentError(std::move(message))
      .AddDetail({std::string(client::kLocalFault), {}, 0, {}, {}});
}

int Refuse(Context& context, const Status& status) {
  if (context.json) {
    PrintJsonError(context, status);
  } else {
    PrintError(context, status);
  }
  if (client::IsUnreachable(status)) return kUnreachable;
  if (client::IsLocal(status)) return kUsage;
  return status.code() == StatusCode::kDeadlineExceeded ? kUnreachable : kRefused;
}

void PrintJson(Context& context, const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  context.out << text << "\n";
}

std::string WithPrefix(const std::string& prefix, const std::string& name) {
  return name.starts_with(prefix) ? name : prefix + name;
}

std::string ShortName(const std::string& name) { return name.substr(name.rfind('/') + 1); }

std::string Age(int64_t seconds) {
  if (seconds < 5) return "just now";
  if (seconds < 120) return std::to_string(seconds) + "s ago";
  if (seconds < 7200) return std::to_string(seconds / 60) + "m ago";
  if (seconds < 172800) return std::to_string(seconds / 3600) + "h ago";
  return std::to_string(seconds / 86400) + "d ago";
}

std::string Fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string Bytes(int64_t bytes) {
  if (bytes < 10'000) return std::to_string(bytes) + " B";
  if (bytes < 10'000'000) return Fixed(static_cast<double>(bytes) / 1024, 1) + " KiB";
  return Fixed(static_cast<double>(bytes) / (1024 * 1024), 1) + " MiB";
}

}  // namespace graft::cli
