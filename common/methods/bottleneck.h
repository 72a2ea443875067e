#pragma once
/// Two-layer networks behind sublayers: a = up(act(down(h))) [+ h].
/// Source: arXiv:1902.00751 section 2 (Houlsby), arXiv:2005.00247 (Pfeiffer), arXiv:2110.04366
/// (parallel); files: AdapterHub's, see hub_files.h.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/families/head_form.h"
#include "common/methods/method_spec.h"

namespace graft {
class Fields;
}

namespace graft::methods {

enum class BottleneckPlacement {
  kHoulsby,   ///< Behind attention and feed-forward: LN(x_in + d + up(act(down(d)))).
  kPfeiffer,  ///< Behind feed-forward: h = LN(x_in + d); LN(x_in + d + up(act(down(h)))).
};

/// What else the sublayer adds to the network's output a.
enum class BottleneckSkip {
  kProjection,  ///< d, the output of the sublayer's last projection.
  kNorm,        ///< h = LN(x_in + d). Only Pfeiffer's.
  kSum,         ///< x_in + d. Only Pfeiffer's.
};

/// A factor on the network's output that is trained with it.
enum class TrainedScaling { kNone, kOne, kChannel };

/// The forms that AdapterHub has beside the two placements stand in ToJson() only where they aren't
/// the placement's default, so that no other version's hash depends on them.
class BottleneckSpec : public MethodSpec {
 public:
  static StatusOr<std::shared_ptr<const MethodSpec>> Parse(const Json& fields);

  std::string_view name() const override { return "bottleneck"; }
  Json ToJson() const override;
  Json FunctionJson() const override;
  StatusOr<std::shared_ptr<const MethodSpec>> Resolve(
      const families::Layout& layout) const override;
  std::vector<TensorSpec> Tensors(const families::Layout& layout,
                                  const tasks::TaskSpec& task) const override;
  bool ChangesNothing(const families::Layout& layout, const IsZero& is_zero) const override;
  std::map<std::string, std::string> ConfigFiles(const families::Layout& layout,
                                                 const ArtifactContext& context) const override;
  double default_learning_rate() const override { return unfreeze_base_ ? 5e-5 : 1e-3; }
  bool mergeable() const override { return false; }  // Its networks are layers of its own.
  std::string_view artifact_format() const override;

  BottleneckPlacement placement() const { return placement_; }
  static constexpr int kDefaultSize = 64;
  int size() const { return size_; }
  const std::string& activation() const { return activation_; }
  double init_std() const { return init_std_; }
  double dropout() const override { return dropout_; }
  bool unfreeze_base() const { return unfreeze_base_; }
  bool residual() const { return residual_; }
  bool freeze_head() const { return freeze_head_; }
  /// a = up(act(down(x_in))): beside the sublayer, not behind it. Only Houlsby's.
  bool parallel() const { return parallel_; }
  BottleneckSkip skip() const { return skip_; }
  /// False: the output is a plus the skip, without x_in and the sublayer's norm.
  bool norm_after() const { return norm_after_; }
  double scaling() const { return scaling_; }  ///< On the network's output.
  TrainedScaling trained_scaling() const { return trained_scaling_; }
  const std::vector<int>& leave_out() const { return leave_out_; }  ///< Layers without any.
  int size(int layer) const;
  /// The head's form, the family's default included. Requires: resolved for this layout.
  families::HeadForm head_form(const families::Layout& layout) const;
  std::vector<families::HeadLinear> Head(const families::Layout& layout) const override;
  bool wraps(families::SublayerKind kind) const;
  /// True if this sublayer carries an adapter.
  bool Wraps(const families::Sublayer& sublayer) const;
  /// Canonical tensor-name prefix at a sublayer, "bert.encoder.layer.0.output.adapters."; the four
  /// names behind it are adapter_down.weight [size, hidden], adapter_down.bias, adapter_up.weight
  /// [hidden, size], adapter_up.bias; with a trained scaling also "scaling" [1] or [hidden].
  static std::string Prefix(const families::Sublayer& sublayer);

 private:
  void ParseForm(Fields& fields);

  BottleneckPlacement placement_ = BottleneckPlacement::kHoulsby;
  int size_ = kDefaultSize;
  std::string activation_;
  double init_std_ = 0.01;
  double dropout_ = 0;
  bool unfreeze_base_ = false;
  bool residual_ = true;
  bool freeze_head_ = false;
  bool attention_ = true, feed_forward_ = true;
  bool parallel_ = false;
  BottleneckSkip skip_ = BottleneckSkip::kProjection;
  bool norm_after_ = true;
  double scaling_ = 1;
  TrainedScaling trained_scaling_ = TrainedScaling::kNone;
  std::vector<int> leave_out_;              ///< Ascending.
  std::vector<int> layer_sizes_;            ///< Of every layer; empty: all have size_.
  std::optional<families::HeadForm> head_;  ///< Empty: the family's default.
};

}  // namespace graft::methods
