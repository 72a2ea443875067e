#include "server/core/store.h"

#include <future>

namespace graft::server::core {

Status Store::WriteNow(Work work) {
  auto done = std::make_shared<std::promise<Status>>();
  Write(std::move(work), [done](Status status) { done->set_value(std::move(status)); });
  return done->get_future().get();
}

Status Store::ReadNow(Work work) {
  auto done = std::make_shared<std::promise<Status>>();
  Read(std::move(work), [done](Status status) { done->set_value(std::move(status)); });
  return done->get_future().get();
}

}  // namespace graft::server::core
