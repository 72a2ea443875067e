#pragma once
/// Faults that nobody expects: the caller reads a number, the log the rest.

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "common/logging/fields.h"

namespace graft::server::calls {

/// What only the log may tell: nobody else can read it.
class LogText {
 public:
  explicit LogText(std::string text) : text_(std::move(text)) {}

 private:
  friend Status Unexpected(std::string_view what, const LogText& why, const logging::Fields& about);
  std::string text_;
};

/// Internal with a number under which the log tells more; `what` failed. The number is that of the
/// request that it is `about`, where that has one. Thread-safe.
Status Unexpected(std::string_view what, const LogText& why, const logging::Fields& about = {});
/// The same of an exception; out of memory is ResourceExhausted. Requires: `error` isn't null.
Status Unexpected(std::string_view what, const std::exception_ptr& error,
                  const logging::Fields& about = {});

}  // namespace graft::server::calls
