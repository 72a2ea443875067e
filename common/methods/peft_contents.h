#pragma once
/// What the weights of a PEFT folder hold, told by the names of their tensors: which modules of a
/// base are adapted, which of its tensors are replaced, which belong to a new head.
/// Source: peft 0.21 utils/save_and_load.py, get_peft_model_state_dict.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/families/layout.h"

namespace graft::methods {

struct PeftContents {
  using Shapes = std::map<std::string, std::vector<int64_t>>;  ///< By key.

  std::map<std::string, std::string> names;  ///< Key -> TensorSpec::name; "" for a copy.
  std::set<std::string> adapted;             ///< Paths of modules with lora_A or lora_B.
  std::set<std::string> replaced;            ///< Base tensors.
  std::set<std::string> head;                ///< Tensors of a new head's linears.
  /// Of a base whose language head is its embeddings: the key of the head's own copy of them.
  std::string tied_head_key;

  /// Errors: InvalidArgument naming a tensor that belongs to nothing here, or to two adapters.
  static StatusOr<PeftContents> Read(const Shapes& shapes, const families::Layout& layout);
};

}  // namespace graft::methods
