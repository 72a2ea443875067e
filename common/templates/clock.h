#pragma once
/// The clock that strftime_now() shows to a template, wherever a conversation is rendered: UTC, to
/// the second. So a worker's zone changes no text, and a version is asked in the time zone that it
/// was trained in. Training shows the moment in which its job was created, in every attempt;
/// requests show their own.

#include <chrono>
#include <cstdint>

namespace graft::templates {

/// `unix_seconds`: since 1970, as a job's row has it.
inline std::chrono::sys_seconds ClockAt(int64_t unix_seconds) {
  return std::chrono::sys_seconds(std::chrono::seconds(unix_seconds));
}

inline std::chrono::sys_seconds ClockNow() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

}  // namespace graft::templates
