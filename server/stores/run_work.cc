#include "server/stores/run_work.h"

#include <exception>
#include <new>

namespace graft::server::stores {

Status RunWork(const core::Store::Work& work, core::Transaction& transaction) {
  try {
    return work(transaction);
  } catch (const std::bad_alloc&) {
    return ResourceExhaustedError("job store: out of memory");
  } catch (const std::exception& error) {
    return InternalError(std::string("job store: a transaction threw: ") + error.what());
  }
}

}  // namespace graft::server::stores
