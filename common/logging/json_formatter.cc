#include "common/logging/json_formatter.h"

#include <algorithm>
#include <array>
#include <chrono>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace graft::logging {
namespace {

/// By spdlog's numbers of them.
constexpr std::array<const char*, 6> kLevels = {"trace", "debug", "info",
                                                "warn",  "error", "critical"};
constexpr JsonLimits kRecordLimits = {64 << 10, 4, 64};

std::string Timestamp(spdlog::log_clock::time_point time) {
  const auto since = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(static_cast<std::time_t>(seconds.count())),
                     (since - seconds).count());
}

std::string Text(std::string_view text) { return std::string(text); }

}  // namespace

namespace internal {
Context& ThreadsContext() {
  thread_local Context context;
  return context;
}
}  // namespace internal

void JsonFormatter::format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) {
  const internal::Context& context = internal::ThreadsContext();
  OrderedJson record;
  if (context.relayed != nullptr) {
    record = *context.relayed;
  } else {
    const auto level = std::min(static_cast<size_t>(message.level), kLevels.size() - 1);
    record = {{"ts", Timestamp(message.time)},
              {"level", kLevels[level]},
              {"logger", Text({message.logger_name.data(), message.logger_name.size()})},
              {"pid", pid_},
              {"message", Text({message.payload.data(), message.payload.size()})}};
  }
  for (const auto& [name, value] : {std::pair("job", context.fields.job),
                                    {"worker", context.fields.worker},
                                    {"request_id", context.fields.request_id},
                                    {"trace_id", context.fields.trace_id},
                                    {"span_id", context.fields.span_id}}) {
    if (!value.empty() && !record.contains(name)) record[name] = Text(value);
  }
  const std::string text =
      record.dump(-1, ' ', /*ensure_ascii=*/true, OrderedJson::error_handler_t::replace);
  line.append(text.data(), text.data() + text.size());
  line.push_back('\n');
}

std::unique_ptr<spdlog::formatter> JsonFormatter::clone() const {
  return std::make_unique<JsonFormatter>(pid_);
}

OrderedJson ParseRecord(std::string_view line) {
  if (!line.starts_with("{\"ts\":")) return nullptr;
  StatusOr<OrderedJson> record = ParseOrderedJson(line, "a line of a log", kRecordLimits);
  if (!record.ok() || !record->is_object()) return nullptr;
  for (const char* name : {"ts", "level", "logger", "message"}) {
    const auto found = record->find(name);
    if (found == record->end() || !found->is_string()) return nullptr;
  }
  const std::string level = (*record)["level"];
  return std::find(kLevels.begin(), kLevels.end(), level) == kLevels.end() ? nullptr
                                                                           : std::move(*record);
}

spdlog::level::level_enum LevelOf(const OrderedJson& record) {
  const std::string level = record.at("level");
  const auto found = std::find(kLevels.begin(), kLevels.end(), level);
  return static_cast<spdlog::level::level_enum>(found - kLevels.begin());
}

}  // namespace graft::logging
