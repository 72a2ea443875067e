#include "common/base/ids.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <random>

#include "common/base/utf8.h"

namespace graft {
namespace {

class RealClock : public Clock {
 public:
  TimeUs Now() override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

/// Crockford's: no i, l, o, u.
constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/// The id after `id`; its last digit counts fastest.
std::string Next(std::string id) {
  for (auto digit = id.rbegin(); digit != id.rend(); ++digit) {
    const size_t value = kAlphabet.find(*digit) + 1;
    *digit = kAlphabet[value % kAlphabet.size()];
    if (value < kAlphabet.size()) break;
  }
  return id;
}

Status BadName(std::string_view name, std::string_view what, std::string_view field,
               std::string_view letters) {
  const bool vowel =
      !what.empty() && std::string_view("aeiou").find(what[0]) != std::string_view::npos;
  return InvalidArgumentError(Quoted(name, 80) + " can't name " + (vowel ? "an " : "a ") +
                              std::string(what) + ": use 1 to 63 of " + std::string(letters) +
                              ", 0-9, '.', '_' and '-', starting with a letter or digit")
      .At(std::string(field), "BAD_NAME");
}

}  // namespace

Clock& SystemClock() {
  static RealClock clock;
  return clock;
}

std::string NewId(TimeUs now) {
  thread_local std::random_device device;
  std::string id(26, '0');
  auto ms = static_cast<uint64_t>(now / 1000);
  for (int i = 9; i >= 0; --i, ms >>= 5) id[static_cast<size_t>(i)] = kAlphabet[ms & 31];
  uint64_t bits = 0;
  for (size_t i = 0; i < 16; ++i) {
    if (i % 6 == 0) bits = device();
    id[10 + i] = kAlphabet[bits & 31];
    bits >>= 5;
  }
  static std::mutex mutex;
  static std::string last;
  const std::lock_guard lock(mutex);
  if (last.compare(0, 10, id, 0, 10) == 0) id = Next(last);
  last = id;
  return id;
}

bool IsValidName(std::string_view name) {
  const auto is_small = [](char c) { return c < 'A' || c > 'Z'; };
  return IsValidBaseName(name) && std::all_of(name.begin(), name.end(), is_small);
}

bool IsValidBaseName(std::string_view name) {
  const auto is_alnum = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 63 && is_alnum(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
}

Status CheckName(std::string_view name, std::string_view what, std::string_view field) {
  return IsValidName(name) ? OkStatus() : BadName(name, what, field, "a-z");
}

Status CheckBaseName(std::string_view name, std::string_view field) {
  return IsValidBaseName(name) ? OkStatus() : BadName(name, "base", field, "a-z, A-Z");
}

}  // namespace graft
