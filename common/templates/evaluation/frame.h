#pragma once
/// The variables of one block of a template while it is being rendered.
/// Thread safety: confined to one rendering.

#include <cstdint>
#include <vector>

#include "common/templates/syntax/ast.h"

namespace graft::templates {

/// Lives on the stack. A macro remembers its frame by index and serial, so that a call after the
/// frame is gone is noticed.
struct Frame {
  Frame* outer = nullptr;
  std::vector<Value> slots;
  size_t index = 0;     ///< Among the frames that are alive.
  uint64_t serial = 0;  ///< Another one for each time that it is entered.

  Value& At(const Reference& reference) {
    Frame* frame = this;
    for (size_t hop = 0; hop < reference.hops; ++hop) frame = frame->outer;
    return frame->slots[reference.slot];
  }
};

}  // namespace graft::templates
