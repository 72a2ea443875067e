#include "server/http/connection_set.h"

#include <utility>

namespace graft::server::http {

bool ConnectionSet::Add(std::shared_ptr<Connection> connection) {
  std::shared_ptr<Connection> evicted;
  {
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= most_) {
      if (waiting_.empty()) return false;
      evicted = std::move(waiting_.front());
      waiting_.pop_front();
      entries_.erase(evicted.get());
    }
    const Connection* key = connection.get();
    waiting_.push_back(std::move(connection));
    entries_[key] = {std::prev(waiting_.end()), true};
  }
  if (evicted != nullptr) evicted->Close();
  return true;
}

void ConnectionSet::Remove(const Connection* connection) {
  std::shared_ptr<Connection> last;  // Goes away behind the lock.
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(connection);
  if (found == entries_.end()) return;
  last = *found->second.place;
  (found->second.is_waiting ? waiting_ : working_).erase(found->second.place);
  entries_.erase(found);
  if (entries_.empty()) emptied_.notify_all();
}

void ConnectionSet::Waits(const Connection* connection) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(connection);
  if (found == entries_.end() || found->second.is_waiting) return;
  waiting_.splice(waiting_.end(), working_, found->second.place);
  found->second.is_waiting = true;
}

void ConnectionSet::Works(const Connection* connection) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(connection);
  if (found == entries_.end() || !found->second.is_waiting) return;
  working_.splice(working_.end(), waiting_, found->second.place);
  found->second.is_waiting = false;
}

std::vector<std::shared_ptr<Connection>> ConnectionSet::All() {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Connection>> all(waiting_.begin(), waiting_.end());
  all.insert(all.end(), working_.begin(), working_.end());
  return all;
}

void ConnectionSet::DrainAll() {
  for (const auto& connection : All()) connection->Drain();
}

void ConnectionSet::CloseAll() {
  for (const auto& connection : All()) connection->Close();
}

bool ConnectionSet::WaitUntilEmpty(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_for(lock, timeout, [&] { return entries_.empty(); });
}

}  // namespace graft::server::http
