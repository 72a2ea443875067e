#include "server/calls/fault.h"

#include <new>

#include <spdlog/spdlog.h>

#include "common/base/guard.h"
#include "common/base/ids.h"
#include "common/logging/log.h"

namespace graft::server::calls {

Status Unexpected(std::string_view what, const LogText& why, const logging::Fields& about) {
  const std::string id =
      about.request_id.empty() ? NewId(SystemClock().Now()) : std::string(about.request_id);
  logging::Fields fields = about;
  fields.request_id = id;
  logging::Error(fields, "{} failed unexpectedly [{}]: {}", what, id, why.text_);
  return InternalError("unexpected fault " + id + "; the server's log tells more");
}

Status Unexpected(std::string_view what, const std::exception_ptr& error,
                  const logging::Fields& about) {
  try {
    std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    return CurrentExceptionToStatus();
  } catch (const std::exception& e) {
    return Unexpected(what, LogText(e.what()), about);
  } catch (...) {
    return Unexpected(what, LogText("an exception of no known type"), about);
  }
}

}  // namespace graft::server::calls
