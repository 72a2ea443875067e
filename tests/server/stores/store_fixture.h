#pragma once
/// Every store under one roof: a test that takes a StoreCase runs over all of them, with two
/// stores ("servers") over the same rows.

#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>

#include "common/base/file.h"
#include "common/base/ids.h"
#include "server/core/store.h"
#include "server/stores/memory_store.h"
#include "server/stores/sqlite_store.h"

namespace graft::server::stores {

enum class Kind { kMemory, kSqlite };

inline std::string KindName(const testing::TestParamInfo<Kind>& info) {
  return info.param == Kind::kMemory ? "Memory" : "Sqlite";
}

/// Two servers' views of one store, in virtual time.
class TwoServers {
 public:
  explicit TwoServers(Kind kind) : kind_(kind) {
    if (kind_ == Kind::kSqlite) {
      folder_ = std::make_unique<TempFolder>(std::move(TempFolder::Create()).value());
    }
    Open();
  }

  core::Store& first() { return *first_; }
  core::Store& second() { return kind_ == Kind::kMemory ? *first_ : *second_; }
  core::Store& any(uint32_t n) { return n % 2 == 0 ? first() : second(); }
  FakeClock& clock() { return clock_; }
  bool is_durable() const { return kind_ != Kind::kMemory; }
  std::string path() const { return (folder_->path() / "jobs.db").string(); }

  /// Closes both stores and opens them again. Requires: is_durable().
  void Reopen() {
    first_.reset();
    second_.reset();
    Open();
  }

 private:
  void Open() {
    if (kind_ == Kind::kMemory) {
      first_ = std::make_unique<MemoryStore>(clock_);
      return;
    }
    first_ = OpenFile();
    second_ = OpenFile();
  }
  std::unique_ptr<core::Store> OpenFile() {
    auto store = SqliteStore::Open(path(), clock_);
    EXPECT_TRUE(store.ok()) << store.status();
    return std::move(store).value();
  }

  const Kind kind_;
  FakeClock clock_;
  std::unique_ptr<TempFolder> folder_;
  std::unique_ptr<core::Store> first_, second_;
};

/// Runs `work`, which returns a StatusOr<T>, as a write; returns what it returned.
template <typename F>
auto Do(core::Store& store, F work) {
  using Result = std::invoke_result_t<F&, core::Transaction&>;
  auto result = std::make_shared<Result>(InternalError("never run"));
  const Status status = store.WriteNow([&](core::Transaction& tx) {
    *result = work(tx);
    if constexpr (std::is_same_v<Result, Status>) {
      return *result;
    } else {
      return result->status();
    }
  });
  return status.ok() ? *result : Result(status);
}

/// The same as a read.
template <typename F>
auto Look(core::Store& store, F work) {
  using Result = std::invoke_result_t<F&, core::Transaction&>;
  auto result = std::make_shared<Result>(InternalError("never run"));
  const Status status = store.ReadNow([&](core::Transaction& tx) {
    *result = work(tx);
    return result->status();
  });
  return status.ok() ? *result : Result(status);
}

}  // namespace graft::server::stores
