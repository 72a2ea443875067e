#pragma once
/// What every command has: the connection, where to print, and how.

#include <chrono>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include <google/protobuf/message.h>

#include "client/lib/client.h"

namespace graft::cli {

/// 0 ok, 1 the job failed, 2 usage, 3 cannot reach the server, 4 refused, 5 the answer could not be
/// written.
enum ExitCode {
  kOk = 0,
  kJobFailed = 1,
  kUsage = 2,
  kUnreachable = 3,
  kRefused = 4,
  kNotWritten = 5
};

/// How long calls may take that do more than look something up, unless --timeout says otherwise.
inline constexpr std::chrono::minutes kPromoteTimeout{5};    ///< Workers load and prove a version.
inline constexpr std::chrono::minutes kDataTimeout{10};      ///< The server reads data.
inline constexpr std::chrono::minutes kEvaluateTimeout{30};  ///< A worker runs over data.

struct Context {
  std::ostream& out;
  std::ostream& err;
  bool terminal = false;      ///< Standard output is one.
  bool err_terminal = false;  ///< Standard error is one.
  bool in_terminal = false;   ///< Standard input is one.
  bool json = false;
  client::ClientOptions options;
  std::optional<std::chrono::milliseconds> chosen_timeout;  ///< --timeout, if it was given.
  std::unique_ptr<client::Client> client;

  std::chrono::milliseconds Timeout(std::chrono::milliseconds otherwise) const {
    return chosen_timeout.value_or(otherwise);
  }
};

/// What the user typed can't be meant; no server was asked. Refuse answers kUsage to it.
Status UsageError(std::string message);

/// Prints the error with its details, a line each, to `err`; with --json as one line {"error":
/// {"code", "status", "message", "details"}} whose "status" is the code's name. Returns the exit
/// code it means.
int Refuse(Context& context, const Status& status);

/// Prints a message in protobuf's JSON form (field names as in the proto), on one line.
void PrintJson(Context& context, const google::protobuf::Message& message);

/// "jobs/x" and "x" -> "jobs/x".
std::string WithPrefix(const std::string& prefix, const std::string& name);

/// "jobs/x" -> "x"
std::string ShortName(const std::string& name);

/// "3m ago", "just now", "2h ago", "5d ago".
std::string Age(int64_t seconds);
/// 12345678 -> "11.8 MB"
std::string Bytes(int64_t bytes);
std::string Fixed(double value, int digits);

}  // namespace graft::cli
