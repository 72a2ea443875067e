#pragma once
/// What a chat template may cost. Templates come with bases and adapters, from anyone.

#include <cstddef>
#include <cstdint>

namespace graft::templates {

/// Parsing heeds the first two, rendering the others. The defaults leave the templates of today's
/// model families a hundred times what they need for a long conversation.
struct Limits {
  size_t max_template_bytes = size_t{1} << 20;
  /// Levels of blocks and of parts of one expression inside each other.
  int max_nesting = 200;
  /// Levels of evaluation inside each other, over all macros that are being called; bounds the
  /// stack.
  int max_call_depth = 1000;
  /// Levels of lists and dicts inside each other, the conversation's included.
  int max_value_depth = 100;
  /// One for each part of the template that is evaluated, each item of a list that is looked at and
  /// each 32 bytes of text, or 3 where it is gone through by character; 20 million take seconds.
  uint64_t max_steps = 20'000'000;
  /// Of texts, lists and dicts that the template makes, at one time. The conversation isn't
  /// counted.
  size_t max_value_bytes = size_t{256} << 20;
  size_t max_output_bytes = size_t{64} << 20;
};

}  // namespace graft::templates
