#include "server/calls/fault.h"

#include <new>

#include <spdlog/spdlog.h>

#include "common/base/guard.h"
#include "common/base/ids.h"
#include "common/logging/log.h"

namespace graft::server::calls {

Status Unexpected(std::string_view what, const LogText& why) {
  const std::string id = NewId(SystemClock().Now());
  logging::Error({.request_id = id}, "{} failed unexpectedly [{}]: {}", what, id, why.text_);
  return InternalError("unexpected fault " + id + "; the server's log tells more");
}

Status Unexpected(std::string_view what, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    return CurrentExceptionToStatus();
  } catch (const std::exception& e) {
    return Unexpected(what, LogText(e.what()));
  } catch (...) {
    return Unexpected(what, LogText("an exception of no known type"));
  }
}

}  // namespace graft::server::calls
