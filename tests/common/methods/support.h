#pragma once
/// What the tests of common/methods share: parsed and resolved methods, and their tensors by name.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/methods/method_spec.h"
#include "tests/common/families/configs.h"
#include "tests/common/tasks/labels.h"
#include "tests/support/details.h"

namespace graft::methods {

using Method = std::shared_ptr<const MethodSpec>;
using Shapes = std::map<std::string, std::vector<int64_t>>;

inline families::Layout MiniLm() { return families::MustRead(families::MiniLmConfig()); }
inline families::Layout TinyBert() { return families::MustRead(families::TinyBertConfig()); }
inline families::Layout TinyDistilBert() {
  return families::MustRead(families::TinyDistilBertConfig());
}
inline families::Layout DistilBertBase() {
  return families::MustRead(families::DistilBertBaseConfig());
}

/// Fails the test and returns nullptr if the fields are refused.
inline Method Parsed(std::string_view name, const Json& fields) {
  auto method = ParseMethod(name, fields);
  EXPECT_TRUE(method.ok()) << method.status();
  return method.ok() ? *method : nullptr;
}

inline Method Resolved(std::string_view name, const Json& fields, const families::Layout& layout) {
  auto method = Parsed(name, fields)->Resolve(layout);
  EXPECT_TRUE(method.ok()) << method.status();
  return method.ok() ? *method : nullptr;
}

/// Why the fields are refused, by the parser or for this base.
inline Status Refusal(std::string_view name, const Json& fields, const families::Layout& layout) {
  auto method = ParseMethod(name, fields);
  return method.ok() ? (*method)->Resolve(layout).status() : method.status();
}

inline std::map<std::string, TensorSpec> ByName(const std::vector<TensorSpec>& tensors) {
  std::map<std::string, TensorSpec> by_name;
  for (const TensorSpec& tensor : tensors) {
    EXPECT_TRUE(by_name.emplace(tensor.name, tensor).second) << tensor.name << " stands twice";
  }
  return by_name;
}

inline int64_t Trainable(std::string_view name, const Json& fields, const families::Layout& layout,
                         int64_t num_labels) {
  return TrainableParameters(
      Resolved(name, fields, layout)->Tensors(layout, tasks::Labels(num_labels)));
}

/// Expects what every method's tensors must keep: name order, no name or key twice in a file, no
/// empty shape.
inline void ExpectWellFormed(const std::vector<TensorSpec>& tensors) {
  std::map<std::pair<std::string, std::string>, std::string> keys;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorSpec& tensor = tensors[i];
    if (i > 0) {
      EXPECT_LT(tensors[i - 1].name, tensor.name);
    }
    EXPECT_TRUE(keys.emplace(std::pair(tensor.file, tensor.key), tensor.name).second) << tensor.key;
    EXPECT_TRUE(tensor.file.ends_with(".safetensors")) << tensor.file;
    EXPECT_FALSE(tensor.shape.empty()) << tensor.name;
    for (const int64_t size : tensor.shape) EXPECT_GT(size, 0) << tensor.name;
  }
}

}  // namespace graft::methods
