#pragma once
/// How a program logs: lines of text, or of JSON for what collects logs. Also what a line is about,
/// which JSON tells in fields of their own. Thread safety: StartLogging before other threads; the
/// rest is thread-safe.

#include <string>
#include <string_view>
#include <utility>

#include <spdlog/spdlog.h>

#include "common/base/status.h"
#include "common/logging/fields.h"

namespace graft::logging {

enum class Format { kText, kJson };

/// What --log-format may say.
inline constexpr const char* kText = "text";
inline constexpr const char* kJson = "json";

/// From here on all that spdlog is told goes to standard error: what is at least of `level`, a line
/// each. `logger` names the program's kind ("server"); `format` is kText or kJson, `level` a name
/// of spdlog's.
void StartLogging(const std::string& logger, const std::string& format, const std::string& level);
/// What StartLogging was told; kText before.
Format format();

namespace internal {
/// Hands `fields` to the formatter while a line is written in this thread.
class Attached {
 public:
  explicit Attached(const Fields& fields);
  ~Attached();
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;
};
}  // namespace internal

/// spdlog::log with fields.
template <typename... Arguments>
void Log(spdlog::level::level_enum level, const Fields& fields,
         spdlog::format_string_t<Arguments...> text, Arguments&&... arguments) {
  const internal::Attached attached(fields);
  spdlog::log(level, text, std::forward<Arguments>(arguments)...);
}
template <typename... Arguments>
void Info(const Fields& fields, spdlog::format_string_t<Arguments...> text,
          Arguments&&... arguments) {
  Log(spdlog::level::info, fields, text, std::forward<Arguments>(arguments)...);
}
template <typename... Arguments>
void Warn(const Fields& fields, spdlog::format_string_t<Arguments...> text,
          Arguments&&... arguments) {
  Log(spdlog::level::warn, fields, text, std::forward<Arguments>(arguments)...);
}
template <typename... Arguments>
void Error(const Fields& fields, spdlog::format_string_t<Arguments...> text,
           Arguments&&... arguments) {
  Log(spdlog::level::err, fields, text, std::forward<Arguments>(arguments)...);
}

/// Logs a line that the process of `worker` wrote. One that is a line of its log in JSON stays what
/// it is, its time and level too, and gets the worker's name.
void Relay(std::string_view worker, std::string_view line);

/// Tells why a program can't go on: in the log if that is JSON, else as "PROGRAM: why" on standard
/// error. Returns `code`.
int Fail(const std::string& program, const Status& status, int code);

}  // namespace graft::logging
