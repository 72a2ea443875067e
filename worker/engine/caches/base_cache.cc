#include "worker/engine/caches/base_cache.h"

#include <algorithm>
#include <chrono>

#include "common/base/ids.h"
#include "worker/engine/device/device.h"
#include "worker/engine/families/families.h"

namespace graft::worker::engine {
namespace fs = std::filesystem;

namespace {

/// A base and what it holds, which is given back behind it.
struct Held {
  Holding memory;
  std::shared_ptr<const Base> base;
};

}  // namespace

StatusOr<LoadedBase> BaseCache::Get(const std::string& id, at::ScalarType compute,
                                    const std::function<Status()>& between) {
  GRAFT_RETURN_IF_ERROR(CheckBaseName(id, "base"));
  const Key key(id, compute);
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& e) { return e.key == key; });
    if (found != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, found);
      return found->loaded;
    }
    if (loading_.insert(key).second) break;
    if (!between) {
      loaded_.wait(lock);
      continue;
    }
    loaded_.wait_for(lock, std::chrono::milliseconds(50));
    lock.unlock();
    GRAFT_RETURN_IF_ERROR(between());
    lock.lock();
  }
  lock.unlock();
  StatusOr<LoadedBase> result = Load(key, between);
  lock.lock();
  // The ledger has let go of what could leave already.
  if (result.status().code() == StatusCode::kResourceExhausted && !IsMemoryFull(result.status())) {
    Evict(BytesKept());
    lock.unlock();
    ReleaseCachedMemory(device_);
    result = Load(key, between);
    lock.lock();
  }
  loading_.erase(key);
  if (result.ok()) {
    entries_.push_front({key, *result});
    Evict(BytesKept() - max_bytes_);
  }
  loaded_.notify_all();
  return result;
}

StatusOr<LoadedBase> BaseCache::Load(const Key& key, const std::function<Status()>& between) const {
  const auto& [id, compute] = key;
  return Guarded([&]() -> StatusOr<LoadedBase> {
    std::error_code error;
    if (!fs::is_directory(folder_ / id, error)) {
      return NotFoundError("there is no base named " + id + " under " + folder_.string());
    }
    const auto held = std::make_shared<Held>();
    Holding loading;
    const auto admit = [&, name = "the base " + id](const BaseMemory& memory) -> Status {
      GRAFT_ASSIGN_OR_RETURN(held->memory,
                             ledger_->Reserve(MemoryKind::kBase, memory.tensors, name));
      GRAFT_ASSIGN_OR_RETURN(
          loading, ledger_->Reserve(MemoryKind::kScratch, memory.loading, "reading " + name));
      return OkStatus();
    };
    StatusOr<std::shared_ptr<const Base>> base =
        Base::Load(id, folder_ / id, compute, device_, between, admit);
    // No other try reads a torn file better.
    if (base.status().code() == StatusCode::kDataLoss) {
      return FailedPreconditionError(base.status().message())
          .AddDetail({"BASE_UNUSABLE", "base", 0, {}, {}});
    }
    GRAFT_RETURN_IF_ERROR(base.status());
    GRAFT_ASSIGN_OR_RETURN(std::unique_ptr<Model> model, MakeModel(**base));
    held->base = *std::move(base);
    return LoadedBase{{held, held->base.get()}, std::move(model)};
  });
}

bool BaseCache::Holds(const std::string& id, at::ScalarType compute) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(entries_,
                             [&](const Entry& entry) { return entry.key == Key(id, compute); });
}

std::list<BaseCache::Entry>::iterator BaseCache::Drop(std::list<Entry>::iterator entry) {
  const std::shared_ptr<const Base> base = entry->loaded.base;
  const auto next = entries_.erase(entry);
  if (dependents_.drop_all) dependents_.drop_all(*base);
  return next;
}

void BaseCache::DropChanged() {
  // A look at files may take long; nobody waits for it.
  std::vector<std::weak_ptr<const Base>> resident;
  for (const auto& base : Resident()) resident.push_back(base);
  std::vector<std::shared_ptr<const Base>> changed;
  for (const auto& one : resident) {
    // One at a time: who is held can't leave for another.
    if (auto base = one.lock(); base != nullptr && !base->IsCurrent())
      changed.push_back(std::move(base));
  }
  const std::lock_guard lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const bool drop = std::ranges::find(changed, entry->loaded.base) != changed.end();
    entry = drop ? Drop(entry) : std::next(entry);
  }
}

int64_t BaseCache::BytesKept() const {
  int64_t bytes = 0;
  for (const Entry& entry : entries_) bytes += entry.loaded.base->bytes();
  return bytes;
}

int64_t BaseCache::Evict(int64_t bytes) {
  int64_t freed = 0;
  for (auto entry = entries_.end(); entry != entries_.begin() && freed < bytes;) {
    --entry;
    const std::shared_ptr<const Base>& base = entry->loaded.base;
    if (base.use_count() > 1 && dependents_.drop_idle)
      dependents_.drop_idle(*base, base.use_count() - 1);
    if (base.use_count() > 1) continue;
    freed += base->bytes();
    entry = entries_.erase(entry);
  }
  return freed;
}

int64_t BaseCache::EvictIdle(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  return Evict(bytes);
}

std::vector<BaseCache::Use> BaseCache::Uses() const {
  const std::lock_guard lock(mutex_);
  std::vector<Use> uses;
  for (const Entry& entry : entries_) {
    const std::shared_ptr<const Base>& base = entry.loaded.base;
    const int64_t idle = dependents_.count_idle ? dependents_.count_idle(*base) : 0;
    uses.push_back(
        {entry.key.first, entry.key.second, base->bytes(), base.use_count() - 1 == idle});
  }
  return uses;
}

std::vector<std::string> BaseCache::Ids() const {
  std::vector<std::string> ids;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error) && fs::exists(it->path() / "config.json", error)) {
      ids.push_back(it->path().filename().string());
    }
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<std::shared_ptr<const Base>> BaseCache::Resident() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const Base>> bases;
  for (const Entry& entry : entries_) bases.push_back(entry.loaded.base);
  return bases;
}

}  // namespace graft::worker::engine
