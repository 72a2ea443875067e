#include "common/logging/log.h"

#include <unistd.h>

#include <atomic>
#include <iostream>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "common/logging/json_formatter.h"

namespace graft::logging {
namespace {

std::atomic<Format> chosen_format = Format::kText;

}  // namespace

void StartLogging(const std::string& logger, const std::string& format, const std::string& level) {
  chosen_format = format == kJson ? Format::kJson : Format::kText;
  if (chosen_format == Format::kJson) {
    // No colours, on a terminal neither.
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto json = std::make_shared<spdlog::logger>(logger, std::move(sink));
    json->set_formatter(std::make_unique<JsonFormatter>(::getpid()));
    spdlog::set_default_logger(std::move(json));
  } else {
    spdlog::set_default_logger(spdlog::stderr_color_mt(logger));
  }
  spdlog::set_level(spdlog::level::from_str(level));
}

Format format() { return chosen_format; }

namespace internal {
Attached::Attached(const Fields& fields) { ThreadsContext().fields = fields; }
Attached::~Attached() { ThreadsContext() = {}; }
}  // namespace internal

void Relay(std::string_view worker, std::string_view line) {
  const internal::Attached attached({.worker = worker});
  if (format() == Format::kJson) {
    const OrderedJson record = ParseRecord(line);
    if (!record.is_null()) {
      internal::ThreadsContext().relayed = &record;
      spdlog::log(LevelOf(record), "a worker's line");
      return;
    }
  }
  spdlog::info("[{}] {}", worker, line);
}

int Fail(const std::string& program, const Status& status, int code) {
  if (format() == Format::kJson) {
    spdlog::critical("{}", status.message());
  } else {
    std::cerr << program << ": " << status.message() << "\n";
  }
  return code;
}

}  // namespace graft::logging
