#pragma once
/// Faults that nobody expects: the caller reads a number, the log the rest.

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/status.h"

namespace graft::server::calls {

/// What only the log may tell: nobody else can read it.
class LogText {
 public:
  explicit LogText(std::string text) : text_(std::move(text)) {}

 private:
  friend Status Unexpected(std::string_view what, const LogText& why, const std::string& id);
  std::string text_;
};

/// Internal with a number under which the log tells more; `what` failed. `id` is the number, where
/// the caller has one already. Thread-safe.
Status Unexpected(std::string_view what, const LogText& why, const std::string& id = {});
/// The same of an exception; out of memory is ResourceExhausted. Requires: `error` isn't null.
Status Unexpected(std::string_view what, const std::exception_ptr& error,
                  const std::string& id = {});

}  // namespace graft::server::calls
