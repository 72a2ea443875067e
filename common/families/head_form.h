#pragma once
/// A classification head as a value: which row it reads and which layers follow. Families have a
/// default of their own (Layout::head); an adapter from elsewhere may bring another.

#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/families/layout.h"

namespace graft::families {

/// The first token's row, through the base's pooler or not, then hidden layers [hidden, hidden]
/// with an activation each, then one linear layer to the labels.
struct HeadForm {
  bool pooler = false;
  std::vector<std::string> hidden;  ///< Activation of each hidden layer, one for all; empty: none.
  bool bias = true;                 ///< Of the last layer.

  bool operator==(const HeadForm&) const = default;

  /// What Layout::head says.
  static HeadForm Default(const Layout& layout);
  /// Reads what ToText wrote.
  /// Errors: InvalidArgument (no prefix), telling what is written instead.
  static StatusOr<HeadForm> Parse(std::string_view text);
  /// "pooler", "first-token:tanh", "first-token:relu,relu/no-bias"; "linear" stands for no
  /// activation.
  std::string ToText() const;
  /// The layers in forward order: the family's own if this is its default, else hidden layers
  /// "head.0", "head.1" and so on, then the last one under the family's name.
  std::vector<HeadLinear> Linears(const Layout& layout) const;
};

/// Most hidden layers of a head.
inline constexpr size_t kMaxHiddenLayers = 16;

}  // namespace graft::families
