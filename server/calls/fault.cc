#include "server/calls/fault.h"

#include <new>

#include <spdlog/spdlog.h>

#include "common/base/guard.h"
#include "common/base/ids.h"
#include "common/logging/log.h"

namespace graft::server::calls {

Status Unexpected(std::string_view what, const LogText& why, const std::string& known) {
  const std::string id = known.empty() ? NewId(SystemClock().Now()) : known;
  logging::Error({.request_id = id}, "{} failed unexpectedly [{}]: {}", what, id, why.text_);
  return InternalError("unexpected fault " + id + "; the server's log tells more");
}

Status Unexpected(std::string_view what, const std::exception_ptr& error, const std::string& id) {
  try {
    std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    return CurrentExceptionToStatus();
  } catch (const std::exception& e) {
    return Unexpected(what, LogText(e.what()), id);
  } catch (...) {
    return Unexpected(what, LogText("an exception of no known type"), id);
  }
}

}  // namespace graft::server::calls
