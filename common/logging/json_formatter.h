#pragma once
/// Lines of a log as JSON. Part of log.h, which uses it; tests do too.

#include <memory>
#include <string>

#include <spdlog/formatter.h>

#include "common/base/json.h"
#include "common/logging/log.h"

namespace graft::logging {

/// One object a line, ASCII alone, whatever the message holds; bytes that aren't UTF-8 become
/// U+FFFD. Its keys, in this order:
///   ts          when, RFC 3339 in UTC with milliseconds
///   level       trace, debug, info, warn, error, critical, as --log-level has them
///   logger      the program's kind, "server" or "worker"
///   pid         its process
///   message     a sentence
///   job, worker, request_id    what it is about; not there where its writer doesn't know
///   trace_id, span_id          where that stands in a trace, as W3C Trace Context has them
/// Thread safety: as spdlog's formatters, one thread at a time.
class JsonFormatter final : public spdlog::formatter {
 public:
  explicit JsonFormatter(int pid) : pid_(pid) {}
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) override;
  std::unique_ptr<spdlog::formatter> clone() const override;

 private:
  const int pid_;
};

namespace internal {
/// What the line that this thread writes is about.
struct Context {
  Fields fields;
  const OrderedJson* relayed = nullptr;  ///< Another process' line, to be written as it is.
};
Context& ThreadsContext();
}  // namespace internal

/// Reads a line that JsonFormatter wrote, with a level that there is. Returns null if it is none.
OrderedJson ParseRecord(std::string_view line);
/// The level of such a line.
spdlog::level::level_enum LevelOf(const OrderedJson& record);

}  // namespace graft::logging
