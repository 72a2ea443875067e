#include "common/base/guard.h"

#include <exception>
#include <new>
#include <string>

#include "common/base/utf8.h"

namespace graft {
namespace {

constexpr size_t kMaxText = 1024;

/// Making the sentence may need the memory that there isn't.
Status OutOfMemory() {
  return ResourceExhaustedError("out of memory").AddDetail({"OUT_OF_MEMORY", {}, 0, {}, {}});
}

}  // namespace

Status CurrentExceptionToStatus() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  } catch (const std::exception& error) {
    return InternalError("unexpected: " + Printable(error.what(), kMaxText));
  } catch (...) {
    return InternalError("unexpected: an exception of unknown type");
  }
}

std::thread StartThread(std::function<void()> body, std::function<void(const Status&)> failed) {
  return std::thread([body = std::move(body), failed = std::move(failed)] {
    const Status status = Contained(body);
    // Whoever can't even be told has nothing left to lose.
    if (!status.ok()) static_cast<void>(Contained([&] { failed(status); }));
  });
}

}  // namespace graft
