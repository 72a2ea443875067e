#include "common/tracing/trace_context.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>

#include "common/base/sha256.h"

namespace graft::tracing {
namespace {

constexpr size_t kTraceDigits = 32;
constexpr size_t kSpanDigits = 16;
/// "00-" TRACE "-" SPAN "-" FLAGS
constexpr size_t kTraceAt = 3;
constexpr size_t kSpanAt = kTraceAt + kTraceDigits + 1;
constexpr size_t kFlagsAt = kSpanAt + kSpanDigits + 1;
constexpr size_t kLength = kFlagsAt + 2;
/// So much of a tracestate must be passed on at least (section 3.3.1.5).
constexpr size_t kMaxState = 512;

constexpr std::string_view kDigits = "0123456789abcdef";

bool IsHex(std::string_view text) {
  return text.find_first_not_of(kDigits) == std::string_view::npos;
}

bool IsNonZeroHex(std::string_view text) {
  return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const size_t begin = std::min(text.find_first_not_of(kBlank), text.size());
  const size_t end = text.find_last_not_of(kBlank);
  return end == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

/// Whole entries of a tracestate.
std::string Kept(std::string_view state) {
  std::string kept;
  while (!state.empty()) {
    const size_t comma = std::min(state.find(','), state.size());
    const std::string_view entry = Trimmed(state.substr(0, comma));
    state.remove_prefix(std::min(comma + 1, state.size()));
    const bool is_printable =
        std::ranges::all_of(entry, [](char c) { return c >= ' ' && c <= '~'; });
    if (entry.empty() || !is_printable) continue;
    if (kept.size() + entry.size() + 1 > kMaxState) break;
    AppendTracestate(entry, kept);
  }
  return kept;
}

/// `digits` random ones, not all of them 0.
std::string RandomHex(size_t digits) {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  std::string text;
  do {
    text.clear();
    while (text.size() < digits) {
      for (uint64_t bits = random(), i = 0; i < kSpanDigits; ++i, bits >>= 4)
        text += kDigits[bits & 15];
    }
  } while (!IsNonZeroHex(text));
  return text;
}

}  // namespace

SpanContext ParseTraceparent(std::string_view traceparent, std::string_view tracestate) {
  if (traceparent.size() < kLength) return {};
  const std::string_view version = traceparent.substr(0, 2);
  const std::string_view trace = traceparent.substr(kTraceAt, kTraceDigits);
  const std::string_view span = traceparent.substr(kSpanAt, kSpanDigits);
  const std::string_view flags = traceparent.substr(kFlagsAt, 2);
  const bool is_form = IsHex(version) && version != "ff" && IsNonZeroHex(trace) &&
                       IsNonZeroHex(span) && IsHex(flags) && traceparent[kTraceAt - 1] == '-' &&
                       traceparent[kSpanAt - 1] == '-' && traceparent[kFlagsAt - 1] == '-';
  // What a later version adds stands behind another hyphen (section 3.2.4).
  const bool is_end =
      traceparent.size() == kLength || (version != "00" && traceparent[kLength] == '-');
  if (!is_form || !is_end) return {};
  SpanContext context;
  context.trace_id = trace;
  context.span_id = span;
  context.is_sampled = (kDigits.find(flags[1]) & 1) != 0;
  context.state = Kept(tracestate);
  return context;
}

std::string Traceparent(const SpanContext& context) {
  if (!context.valid()) return {};
  return "00-" + context.trace_id + "-" + context.span_id + (context.is_sampled ? "-01" : "-00");
}

std::string_view TraceIdIn(std::string_view traceparent) {
  return traceparent.substr(std::min(kTraceAt, traceparent.size()), kTraceDigits);
}
std::string_view SpanIdIn(std::string_view traceparent) {
  return traceparent.substr(std::min(kSpanAt, traceparent.size()), kSpanDigits);
}

void AppendTracestate(std::string_view more, std::string& state) {
  if (!state.empty()) state += ',';
  state += more;
}

std::string NewTraceId() { return RandomHex(kTraceDigits); }
std::string NewSpanId() { return RandomHex(kSpanDigits); }
std::string SpanIdOf(std::string_view name) { return Sha256Hex(name).substr(0, kSpanDigits); }

}  // namespace graft::tracing
