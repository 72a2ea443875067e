#pragma once
/// Safetensors files for tests, well-formed or not.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/safetensors/safetensors.h"

namespace graft::safetensors {

/// `header` behind its size, and `data` as given.
inline std::string Raw(const std::string& header, const std::string& data) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i));
  return file + header + data;
}

inline std::string Zeros(size_t bytes) { return std::string(bytes, '\0'); }

/// A tensor of bytes.
inline TensorToWrite Bytes(const std::string& name, std::string_view data) {
  return {name, DType::kU8, {static_cast<int64_t>(data.size())}, data};
}

inline std::string MustWrite(std::vector<TensorToWrite> tensors) {
  auto file = Write(std::move(tensors));
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : std::string();
}

inline TempFolder MustMakeFolder() {
  auto folder = TempFolder::Create("graft-safetensors");
  EXPECT_TRUE(folder.ok()) << folder.status();
  return *std::move(folder);
}

inline void Put(const std::filesystem::path& path, std::string_view bytes) {
  const Status status = WriteFileDurably(path, bytes);
  ASSERT_TRUE(status.ok()) << status;
}

}  // namespace graft::safetensors
