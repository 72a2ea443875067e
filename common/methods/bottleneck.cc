#include "common/methods/bottleneck.h"

#include <algorithm>
#include <utility>

#include "common/base/fields.h"
#include "common/families/activations.h"
#include "common/methods/hub_files.h"
#include "common/methods/overlay.h"

namespace graft::methods {
namespace {

constexpr const char* kFile = "adapter.safetensors";
constexpr const char* kHeadFile = "model_head.safetensors";
constexpr const char* kOverlayFile = "base_overrides.safetensors";

// In the order of their enums.
const std::vector<std::string> kSkips = {"projection", "norm", "sum"};
const std::vector<std::string> kTrainedScalings = {"none", "one", "channel"};
const std::vector<std::string> kSublayers = {"both", "attention", "feed-forward"};

size_t SublayersIndex(bool attention, bool feed_forward) {
  return attention && feed_forward ? 0 : attention ? 1 : 2;
}

/// Renames head tensors to "heads.<name>.<index>.weight".
std::vector<TensorSpec> HubHeadTensors(const std::vector<families::HeadLinear>& head,
                                       const families::HeadForm& form, int64_t outputs,
                                       bool with_base_head, bool trained) {
  std::vector<TensorSpec> tensors = HeadTensors(head, outputs, with_base_head, kHeadFile, "");
  const std::vector<std::string> positions = HubHeadPositions(form);
  size_t next = 0;
  for (const families::HeadLinear& linear : head) {
    for (TensorSpec& tensor : tensors) {
      if (!tensor.name.starts_with(linear.path + ".")) continue;
      if (linear.in_base) {
        tensor.file = kOverlayFile;
        continue;
      }
      tensor.key = std::string("heads.") + kHubName + "." + positions[next] +
                   tensor.name.substr(linear.path.size());
      tensor.trained = trained;
    }
    if (!linear.in_base) ++next;
  }
  return tensors;
}

/// A list of whole numbers in [low, high]; empty if absent.
std::vector<int> Integers(Fields& fields, const char* name, int low, int high) {
  std::vector<int> numbers;
  if (!fields.Has(name)) return numbers;
  const Json& list = fields.raw(name);
  bool good = list.is_array() && list.size() <= 1024;
  for (size_t i = 0; good && i < list.size(); ++i) {
    good = list[i].is_number_integer() && list[i] >= low && list[i] <= high;
    if (good) numbers.push_back(list[i].get<int>());
  }
  if (good) return numbers;
  fields.Fail(name, "must be a list of whole numbers from " + std::to_string(low) + " to " +
                        std::to_string(high));
  return {};
}

}  // namespace

StatusOr<std::shared_ptr<const MethodSpec>> BottleneckSpec::Parse(const Json& json) {
  Fields fields(json, "method.bottleneck");
  auto spec = std::make_shared<BottleneckSpec>();
  spec->placement_ = fields.Choice("placement", {"HOULSBY", "PFEIFFER"}, 0) == 0
                         ? BottleneckPlacement::kHoulsby
                         : BottleneckPlacement::kPfeiffer;
  spec->size_ = static_cast<int>(fields.Integer("size", 1, 1 << 16, kDefaultSize));
  const bool houlsby = spec->placement_ == BottleneckPlacement::kHoulsby;
  spec->activation_ = AsciiLower(fields.Text("activation", 32, houlsby ? "silu" : "relu"));
  if (spec->activation_ == "swish") spec->activation_ = "silu";
  if (!families::IsActivation(spec->activation_)) {
    fields.Fail("activation",
                "is " + Quoted(spec->activation_) + "; use one of " + families::ActivationList());
  }
  // With two projections of zeros no gradient reaches anything but the upper one's bias.
  spec->init_std_ = fields.Number("init_std", 0, 1, 0.01, Fields::Bounds::kOpenLow);
  spec->dropout_ = fields.Number("dropout", 0, 1, 0, Fields::Bounds::kOpenHigh);
  spec->unfreeze_base_ = fields.Flag("unfreeze_base", false);
  spec->residual_ = fields.Flag("residual", true);
  spec->freeze_head_ = fields.Flag("freeze_head", false);
  if (!spec->residual_ && !houlsby)
    fields.Fail("residual", "can only be false with placement HOULSBY");
  spec->ParseForm(fields);
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  return std::shared_ptr<const MethodSpec>(std::move(spec));
}

void BottleneckSpec::ParseForm(Fields& fields) {
  const bool houlsby = placement_ == BottleneckPlacement::kHoulsby;
  const size_t sublayers = fields.Choice("sublayers", kSublayers, houlsby ? 0 : 2);
  attention_ = sublayers != 2;
  feed_forward_ = sublayers != 1;
  parallel_ = fields.Flag("parallel", false);
  skip_ = static_cast<BottleneckSkip>(fields.Choice("adds_to", kSkips, 0));
  norm_after_ = fields.Flag("norm_after", true);
  scaling_ = fields.Number("scaling", -1e6, 1e6, 1);
  trained_scaling_ =
      static_cast<TrainedScaling>(fields.Choice("trained_scaling", kTrainedScalings, 0));
  if (scaling_ != 1 && trained_scaling_ != TrainedScaling::kNone)
    fields.Fail("scaling", "can't be given beside trained_scaling; AdapterHub's files hold one");
  leave_out_ = Integers(fields, "leave_out", 0, 1023);
  layer_sizes_ = Integers(fields, "layer_sizes", 1, 1 << 16);
  std::sort(leave_out_.begin(), leave_out_.end());
  leave_out_.erase(std::unique(leave_out_.begin(), leave_out_.end()), leave_out_.end());
  if (const std::string text = fields.Text("head", 512); !text.empty()) {
    auto form = families::HeadForm::Parse(AsciiLower(text));
    if (form.ok()) {
      head_ = *std::move(form);
    } else {
      fields.Fail("head", std::string(form.status().message()));
    }
  }
  if (parallel_ && !houlsby) fields.Fail("parallel", "can only be true with placement HOULSBY");
  if (skip_ != BottleneckSkip::kProjection && houlsby)
    fields.Fail("adds_to", "can only be projection with placement HOULSBY");
  if (!residual_ && !norm_after_) fields.Fail("norm_after", "can't be false without a residual");
}

Json BottleneckSpec::ToJson() const {
  const bool houlsby = placement_ == BottleneckPlacement::kHoulsby;
  Json json = {{"placement", houlsby ? "HOULSBY" : "PFEIFFER"},
               {"size", size_},
               {"activation", activation_},
               {"init_std", init_std_},
               {"dropout", dropout_},
               {"unfreeze_base", unfreeze_base_},
               {"residual", residual_},
               {"freeze_head", freeze_head_}};
  const size_t sublayers = SublayersIndex(attention_, feed_forward_);
  if (sublayers != (houlsby ? 0U : 2U)) json["sublayers"] = kSublayers[sublayers];
  if (parallel_) json["parallel"] = true;
  if (skip_ != BottleneckSkip::kProjection) json["adds_to"] = kSkips[static_cast<size_t>(skip_)];
  if (!norm_after_) json["norm_after"] = false;
  if (scaling_ != 1) json["scaling"] = scaling_;
  if (trained_scaling_ != TrainedScaling::kNone)
    json["trained_scaling"] = kTrainedScalings[static_cast<size_t>(trained_scaling_)];
  if (!leave_out_.empty()) json["leave_out"] = leave_out_;
  if (!layer_sizes_.empty()) json["layer_sizes"] = layer_sizes_;
  if (head_) json["head"] = head_->ToText();
  return json;
}

Json BottleneckSpec::FunctionJson() const {
  Json fields = ToJson();
  for (const char* training_only : {"init_std", "dropout", "freeze_head"})
    fields.erase(training_only);
  return fields;
}

StatusOr<std::shared_ptr<const MethodSpec>> BottleneckSpec::Resolve(
    const families::Layout& layout) const {
  const auto refuse = [](const std::string& field, const std::string& what) {
    return InvalidArgumentError("method.bottleneck." + field + " " + what)
        .At("method.bottleneck." + field);
  };
  const std::string wide = "; this base is only " + std::to_string(layout.hidden) + " wide";
  // Files state a common size too, which no layer has where each has its own.
  const bool is_idle = !layer_sizes_.empty() && size_ == kDefaultSize;
  if (size_ > layout.hidden && !is_idle)
    return refuse("size", "is " + std::to_string(size_) + wide);
  for (const int size : layer_sizes_) {
    if (size > layout.hidden) return refuse("layer_sizes", "holds " + std::to_string(size) + wide);
  }
  const std::string layers = "; this base has " + std::to_string(layout.num_layers) + " layers";
  if (!layer_sizes_.empty() && std::cmp_not_equal(layer_sizes_.size(), layout.num_layers)) {
    return refuse("layer_sizes", "has " + std::to_string(layer_sizes_.size()) + " sizes" + layers);
  }
  if (!leave_out_.empty() && leave_out_.back() >= layout.num_layers)
    return refuse("leave_out", "holds " + std::to_string(leave_out_.back()) + layers);
  if (std::cmp_equal(leave_out_.size(), layout.num_layers))
    return refuse("leave_out", "leaves no layer to adapt");
  if (head_ && head_->pooler && !layout.head.front().in_base)
    return refuse("head", "reads the base's pooler, which this base doesn't have");
  auto resolved = std::make_shared<BottleneckSpec>(*this);
  if (size_ > layout.hidden) resolved->size_ = layer_sizes_.front();
  // What says no more than its absence is absent, so that a version has one name.
  if (head_ && *head_ == families::HeadForm::Default(layout)) resolved->head_.reset();
  if (std::all_of(layer_sizes_.begin(), layer_sizes_.end(), [&](int s) { return s == size_; }))
    resolved->layer_sizes_.clear();
  return std::shared_ptr<const MethodSpec>(std::move(resolved));
}

int BottleneckSpec::size(int layer) const {
  return layer_sizes_.empty() ? size_ : layer_sizes_[static_cast<size_t>(layer)];
}

families::HeadForm BottleneckSpec::head_form(const families::Layout& layout) const {
  return head_ ? *head_ : families::HeadForm::Default(layout);
}

std::vector<families::HeadLinear> BottleneckSpec::Head(const families::Layout& layout) const {
  return head_form(layout).Linears(layout);
}

bool BottleneckSpec::wraps(families::SublayerKind kind) const {
  return kind == families::SublayerKind::kAttention ? attention_ : feed_forward_;
}

bool BottleneckSpec::Wraps(const families::Sublayer& sublayer) const {
  return wraps(sublayer.kind) &&
         !std::binary_search(leave_out_.begin(), leave_out_.end(), sublayer.layer);
}

std::string BottleneckSpec::Prefix(const families::Sublayer& sublayer) {
  return sublayer.hub_path + ".";
}

std::string_view BottleneckSpec::artifact_format() const {
  return unfreeze_base_ || !residual_ ? "graft" : "adapterhub";
}

std::vector<TensorSpec> BottleneckSpec::Tensors(const families::Layout& layout,
                                                const tasks::TaskSpec& task) const {
  std::vector<TensorSpec> tensors;
  for (const families::Sublayer& sublayer : layout.sublayers) {
    if (!Wraps(sublayer)) continue;
    const auto add = [&](const std::string& ours, const std::string& theirs,
                         std::vector<int64_t> shape) {
      tensors.push_back({.name = Prefix(sublayer) + ours,
                         .shape = std::move(shape),
                         .file = kFile,
                         .key = sublayer.hub_path + "." + kHubName + "." + theirs,
                         .decay = !ours.ends_with(".bias"),
                         .layer = sublayer.layer});
    };
    const int64_t width = size(sublayer.layer);
    add("adapter_down.weight", "adapter_down.0.weight", {width, layout.hidden});
    add("adapter_down.bias", "adapter_down.0.bias", {width});
    add("adapter_up.weight", "adapter_up.weight", {layout.hidden, width});
    add("adapter_up.bias", "adapter_up.bias", {layout.hidden});
    if (trained_scaling_ == TrainedScaling::kOne) add("scaling", "scaling", {1});
    if (trained_scaling_ == TrainedScaling::kChannel) add("scaling", "scaling", {layout.hidden});
  }
  if (task.kind == tasks::Kind::kSequenceClassification) {
    for (TensorSpec& head : HubHeadTensors(Head(layout), head_form(layout), task.outputs(),
                                           unfreeze_base_, !freeze_head_))
      tensors.push_back(std::move(head));
  }
  if (unfreeze_base_) {
    for (TensorSpec& tensor : OverlayTensors(layout, task, -1, kOverlayFile))
      tensors.push_back(std::move(tensor));
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return tensors;
}

bool BottleneckSpec::ChangesNothing(const families::Layout& layout, const IsZero& is_zero) const {
  // Elsewhere an adapter of zeros still leaves out a residual or a norm, or adds one.
  const bool adds_only = residual_ && norm_after_ && skip_ == BottleneckSkip::kProjection;
  if (!adds_only || unfreeze_base_) return false;
  return std::all_of(
      layout.sublayers.begin(), layout.sublayers.end(), [&](const families::Sublayer& sublayer) {
        const std::string prefix = Prefix(sublayer);
        const bool scaled_away =
            trained_scaling_ == TrainedScaling::kNone ? scaling_ == 0 : is_zero(prefix + "scaling");
        return !Wraps(sublayer) || scaled_away ||
               (is_zero(prefix + "adapter_up.weight") && is_zero(prefix + "adapter_up.bias"));
      });
}

std::map<std::string, std::string> BottleneckSpec::ConfigFiles(
    const families::Layout& layout, const ArtifactContext& context) const {
  return HubConfigFiles(*this, layout, context);
}

}  // namespace graft::methods
