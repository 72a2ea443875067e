#include "common/families/decoder_config.h"

#include <algorithm>

#include "common/families/rope.h"

namespace graft::families {
namespace {

/// The one width that windows have; 0 if no layer slides.
int64_t WidthOf(const std::vector<int64_t>& windows) {
  return windows.empty() ? 0 : *std::max_element(windows.begin(), windows.end());
}

/// What the layers are one by one.
Json LayerTypes(const std::vector<int64_t>& windows) {
  Json types = Json::array();
  for (const int64_t window : windows)
    types.push_back(window > 0 ? "sliding_attention" : "full_attention");
  return types;
}

Json WidthOrNone(int64_t width) { return width > 0 ? Json(width) : Json(); }

}  // namespace

Json WriteDecoderConfig(const Layout& layout) {
  Json config = layout.fingerprint_config;
  config.erase("windows");
  config.erase("rope_parameters");
  WriteRope(layout.fingerprint_config.at("rope_parameters"), config);
  config.update(layout.token_ids);
  return config;
}

Json WriteMistralConfig(const Layout& layout) {
  Json config = WriteDecoderConfig(layout);
  const int64_t width = WidthOf(layout.windows);
  config["sliding_window"] = WidthOrNone(width);
  // All layers slide or none does, unless the base's own config.json lists them.
  if (std::count(layout.windows.begin(), layout.windows.end(), width) != layout.num_layers)
    config["layer_types"] = LayerTypes(layout.windows);
  return config;
}

Json WriteQwenConfig(const Layout& layout) {
  Json config = WriteDecoderConfig(layout);
  const int64_t width = WidthOf(layout.windows);
  const auto slides = [](int64_t window) { return window > 0; };
  const auto first = std::find_if(layout.windows.begin(), layout.windows.end(), slides);
  config["use_sliding_window"] = width > 0;
  config["sliding_window"] = WidthOrNone(width);
  config["max_window_layers"] = first - layout.windows.begin();
  if (!std::all_of(first, layout.windows.end(), slides))
    config["layer_types"] = LayerTypes(layout.windows);
  return config;
}

}  // namespace graft::families
