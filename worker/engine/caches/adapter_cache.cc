#include "worker/engine/caches/adapter_cache.h"

#include <algorithm>

namespace graft::worker::engine {

std::shared_ptr<const ResidentVersion> AdapterCache::Find(const VersionId& id) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(id);
  if (found == index_.end()) {
    ++figures_.misses;
    return nullptr;
  }
  ++figures_.hits;
  entries_.splice(entries_.begin(), entries_, found->second);
  return *found->second;
}

bool AdapterCache::Has(const VersionId& id) const {
  const std::lock_guard lock(mutex_);
  return index_.contains(id);
}

void AdapterCache::Put(std::shared_ptr<const ResidentVersion> version) {
  const std::lock_guard lock(mutex_);
  if (const auto old = index_.find(version->id); old != index_.end()) EraseLocked(old->second);
  figures_.bytes += version->bytes;
  figures_.tensor_bytes += version->tensor_bytes;
  ++figures_.count;
  entries_.push_front(version);
  index_[version->id] = entries_.begin();
  for (auto entry = entries_.end();
       max_bytes_ > 0 && figures_.bytes > max_bytes_ && entry != entries_.begin();) {
    --entry;
    if (entry == entries_.begin()) break;
    if (entry->use_count() > 1) continue;
    EraseLocked(entry++);
  }
}

void AdapterCache::Erase(const VersionId& id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = index_.find(id); found != index_.end()) EraseLocked(found->second);
}

void AdapterCache::EraseOn(const Base& base) {
  const std::lock_guard lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto next = std::next(entry);
    if ((*entry)->on.base.get() == &base) EraseLocked(entry);
    entry = next;
  }
}

void AdapterCache::EraseIdle(const Base& base, int64_t holders) {
  const std::lock_guard lock(mutex_);
  std::vector<List::iterator> idle;
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if ((*entry)->on.base.get() == &base && entry->use_count() == 1) idle.push_back(entry);
  }
  if (static_cast<int64_t>(idle.size()) != holders) return;
  for (const List::iterator entry : idle) EraseLocked(entry);
}

int64_t AdapterCache::NumIdleOn(const Base& base) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::count_if(entries_, [&](const auto& entry) {
    return entry->on.base.get() == &base && entry.use_count() == 1;
  });
}

int64_t AdapterCache::EvictIdle(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  int64_t freed = 0;
  for (auto entry = entries_.end(); entry != entries_.begin() && freed < bytes;) {
    --entry;
    if (entry->use_count() > 1) continue;
    freed += (*entry)->bytes;
    EraseLocked(entry++);
  }
  return freed;
}

int64_t AdapterCache::idle_bytes() const {
  const std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const auto& entry : entries_) bytes += entry.use_count() == 1 ? entry->bytes : 0;
  return bytes;
}

void AdapterCache::EraseLocked(List::iterator entry) {
  figures_.bytes -= (*entry)->bytes;
  figures_.tensor_bytes -= (*entry)->tensor_bytes;
  --figures_.count;
  index_.erase((*entry)->id);
  entries_.erase(entry);
}

AdapterCache::Figures AdapterCache::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

}  // namespace graft::worker::engine
