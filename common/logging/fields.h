#pragma once
/// What a line of the log is about; see log.h.

#include <string_view>

namespace graft::logging {

/// What a line is about, as far as its writer knows. Text says so in the message only.
struct Fields {
  std::string_view job = {};
  std::string_view worker = {};
  std::string_view request_id = {};  ///< Of a call or fault, as its caller knows it.
  /// Of the trace that it belongs to: see common/tracing.
  std::string_view trace_id = {};
  std::string_view span_id = {};
};

}  // namespace graft::logging
