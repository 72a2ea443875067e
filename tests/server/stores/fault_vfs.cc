#include "tests/server/stores/fault_vfs.h"

#include <sqlite3.h>

#include <cstring>
#include <fstream>
#include <new>

namespace graft::server::stores {
namespace {

sqlite3_vfs* real_vfs = nullptr;

/// SQLite gives this much memory per file; the real layer's file lies behind ours.
struct FaultFile {
  sqlite3_file base;
  std::string* path;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

FaultFile* Ours(sqlite3_file* file) { return reinterpret_cast<FaultFile*>(file); }
const sqlite3_io_methods* Real(sqlite3_file* file) { return Ours(file)->real()->pMethods; }

int Close(sqlite3_file* f) {
  const int result = Real(f)->xClose(Ours(f)->real());
  delete Ours(f)->path;
  return result;
}
int Read(sqlite3_file* f, void* to, int size, sqlite3_int64 offset) {
  return Real(f)->xRead(Ours(f)->real(), to, size, offset);
}
int Write(sqlite3_file* f, const void* data, int size, sqlite3_int64 offset) {
  if (const auto fault = FaultVfs::Get().BeforeWrite(offset + size)) return *fault;
  const int result = Real(f)->xWrite(Ours(f)->real(), data, size, offset);
  if (result == SQLITE_OK) FaultVfs::Get().Wrote(*Ours(f)->path, offset, data, size);
  return result;
}
int Truncate(sqlite3_file* f, sqlite3_int64 size) {
  const int result = Real(f)->xTruncate(Ours(f)->real(), size);
  if (result == SQLITE_OK) FaultVfs::Get().Truncated(*Ours(f)->path, size);
  return result;
}
int Sync(sqlite3_file* f, int flags) {
  if (const auto fault = FaultVfs::Get().BeforeSync()) return *fault;
  const int result = Real(f)->xSync(Ours(f)->real(), flags);
  if (result == SQLITE_OK) FaultVfs::Get().Synced(*Ours(f)->path);
  return result;
}
int FileSize(sqlite3_file* f, sqlite3_int64* size) {
  return Real(f)->xFileSize(Ours(f)->real(), size);
}
int Lock(sqlite3_file* f, int level) { return Real(f)->xLock(Ours(f)->real(), level); }
int Unlock(sqlite3_file* f, int level) { return Real(f)->xUnlock(Ours(f)->real(), level); }
int CheckReservedLock(sqlite3_file* f, int* out) {
  return Real(f)->xCheckReservedLock(Ours(f)->real(), out);
}
int FileControl(sqlite3_file* f, int op, void* arg) {
  return Real(f)->xFileControl(Ours(f)->real(), op, arg);
}
int SectorSize(sqlite3_file* f) { return Real(f)->xSectorSize(Ours(f)->real()); }
int DeviceCharacteristics(sqlite3_file* f) {
  return Real(f)->xDeviceCharacteristics(Ours(f)->real());
}
int ShmMap(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return Real(f)->xShmMap(Ours(f)->real(), page, size, extend, out);
}
int ShmLock(sqlite3_file* f, int offset, int n, int flags) {
  return Real(f)->xShmLock(Ours(f)->real(), offset, n, flags);
}
void ShmBarrier(sqlite3_file* f) { Real(f)->xShmBarrier(Ours(f)->real()); }
int ShmUnmap(sqlite3_file* f, int remove) { return Real(f)->xShmUnmap(Ours(f)->real(), remove); }

const sqlite3_io_methods kMethods = {2,
                                     Close,
                                     Read,
                                     Write,
                                     Truncate,
                                     Sync,
                                     FileSize,
                                     Lock,
                                     Unlock,
                                     CheckReservedLock,
                                     FileControl,
                                     SectorSize,
                                     DeviceCharacteristics,
                                     ShmMap,
                                     ShmLock,
                                     ShmBarrier,
                                     ShmUnmap,
                                     nullptr,
                                     nullptr};

int Open(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  FaultFile* ours = Ours(file);
  ours->base.pMethods = nullptr;
  const int result = real_vfs->xOpen(real_vfs, path, ours->real(), flags, out_flags);
  if (result != SQLITE_OK) return result;
  ours->path = new std::string(path == nullptr ? "" : path);
  ours->base.pMethods = &kMethods;
  return SQLITE_OK;
}

int Delete(sqlite3_vfs*, const char* path, int sync_folder) {
  const int result = real_vfs->xDelete(real_vfs, path, sync_folder);
  if (result == SQLITE_OK) FaultVfs::Get().Deleted(path);
  return result;
}

}  // namespace

FaultVfs& FaultVfs::Get() {
  static FaultVfs* instance = [] {
    real_vfs = sqlite3_vfs_find(nullptr);
    static sqlite3_vfs ours = *real_vfs;
    ours.zName = kName;
    ours.szOsFile = static_cast<int>(sizeof(FaultFile)) + real_vfs->szOsFile;
    ours.xOpen = Open;
    ours.xDelete = Delete;
    sqlite3_vfs_register(&ours, 0);
    return new FaultVfs();
  }();
  return *instance;
}

void FaultVfs::Clear() {
  Heal();
  const std::lock_guard lock(mutex_);
  files_.clear();
}

void FaultVfs::FailAfter(int writes, int code) {
  const std::lock_guard lock(mutex_);
  countdown_ = writes;
  code_ = code;
}

void FaultVfs::FillUpAt(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  full_at_ = bytes;
}

void FaultVfs::Heal() {
  const std::lock_guard lock(mutex_);
  countdown_.reset();
  full_at_ = INT64_MAX;
  struck_ = false;
}

bool FaultVfs::has_struck() {
  const std::lock_guard lock(mutex_);
  return struck_;
}

std::optional<int> FaultVfs::Strike() {
  if (!countdown_) return {};
  if (*countdown_ > 0) {
    --*countdown_;
    return {};
  }
  struck_ = true;
  return code_;
}

std::optional<int> FaultVfs::BeforeWrite(int64_t end) {
  const std::lock_guard lock(mutex_);
  if (end > full_at_) {
    struck_ = true;
    return SQLITE_FULL;
  }
  return Strike();
}

std::optional<int> FaultVfs::BeforeSync() {
  const std::lock_guard lock(mutex_);
  return Strike();
}

void FaultVfs::Wrote(const std::string& path, int64_t offset, const void* data, int size) {
  const std::lock_guard lock(mutex_);
  files_[path].changes.push_back(
      {offset, std::string(static_cast<const char*>(data), static_cast<size_t>(size)), false});
}

void FaultVfs::Truncated(const std::string& path, int64_t size) {
  const std::lock_guard lock(mutex_);
  files_[path].changes.push_back({size, {}, true});
}

void FaultVfs::Synced(const std::string& path) {
  const std::lock_guard lock(mutex_);
  File& file = files_[path];
  for (const Change& change : file.changes) Apply(change, file.synced);
  file.changes.clear();
  file.was_synced = true;
}

void FaultVfs::Deleted(const std::string& path) {
  const std::lock_guard lock(mutex_);
  files_.erase(path);
}

void FaultVfs::Apply(const Change& change, std::string& content) {
  const auto offset = static_cast<size_t>(change.offset);
  if (change.is_truncation) return content.resize(offset);
  if (content.size() < offset + change.bytes.size()) content.resize(offset + change.bytes.size());
  content.replace(offset, change.bytes.size(), change.bytes);
}

void FaultVfs::LosePower(const std::filesystem::path& folder, PhiloxSequence& random) {
  const std::lock_guard lock(mutex_);
  for (const auto& [path, file] : files_) {
    std::string content = file.synced;
    for (const Change& change : file.changes) {
      if (random.NextBelow(2) == 0) continue;
      Change survived = change;
      if (random.NextBelow(4) == 0 && !change.bytes.empty()) {
        survived.bytes.resize(random.NextBelow(static_cast<uint32_t>(change.bytes.size())));
      }
      Apply(survived, content);
    }
    if (!file.was_synced && file.changes.empty()) continue;
    std::ofstream out(folder / std::filesystem::path(path).filename(), std::ios::binary);
    out << content;
  }
}

}  // namespace graft::server::stores
