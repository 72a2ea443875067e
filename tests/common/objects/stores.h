#pragma once
/// The object stores that one conformance suite runs over.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/base/file.h"
#include "common/objects/local_object_store.h"
#include "common/objects/memory_object_store.h"

namespace graft::objects {

/// A store and what it lies in.
class Store {
 public:
  virtual ~Store() = default;
  virtual ObjectStore& objects() = 0;
};

class MemoryStore : public Store {
 public:
  ObjectStore& objects() override { return store_; }

 private:
  MemoryObjectStore store_;
};

class LocalStore : public Store {
 public:
  LocalStore() {
    auto store = LocalObjectStore::Open(root());
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  ObjectStore& objects() override { return *store_; }
  std::filesystem::path root() const { return folder_.path() / "objects"; }

 private:
  TempFolder folder_ = *TempFolder::Create("graft-objects");
  std::unique_ptr<LocalObjectStore> store_;
};

struct StoreKind {
  const char* name;
  std::unique_ptr<Store> (*make)();
};

/// Each test runs once for each kind of store.
class ConformanceTest : public testing::TestWithParam<StoreKind> {
 protected:
  ObjectStore& store() { return store_->objects(); }
  void Put(const std::string& key, std::string_view bytes) {
    const Status status = store().Put(key, bytes);
    EXPECT_TRUE(status.ok()) << key << ": " << status;
  }
  /// The object's bytes, or the error's name.
  std::string Get(const std::string& key) {
    const auto bytes = store().Get(key);
    return bytes.ok() ? *bytes : std::string(StatusCodeName(bytes.status().code()));
  }
  std::vector<std::string> List(const std::string& prefix = {}, const std::string& after = {},
                                size_t limit = 1000) {
    auto keys = store().List(prefix, after, limit);
    EXPECT_TRUE(keys.ok()) << keys.status();
    return keys.ok() ? *std::move(keys) : std::vector<std::string>{"failed"};
  }
  std::unique_ptr<ObjectWriter> Open(const std::string& key) {
    auto writer = store().OpenWriter(key);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return *std::move(writer);
  }

 private:
  std::unique_ptr<Store> store_ = GetParam().make();
};

inline const StoreKind kStoreKinds[] = {
    {"Memory", [] { return std::unique_ptr<Store>(std::make_unique<MemoryStore>()); }},
    {"Local", [] { return std::unique_ptr<Store>(std::make_unique<LocalStore>()); }}};

inline std::string StoreName(const testing::TestParamInfo<StoreKind>& info) {
  return info.param.name;
}

}  // namespace graft::objects
