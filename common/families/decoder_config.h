#pragma once
/// Decoders' config.json, written so that transformers 4 and 5 compute from it what was read.
/// Ropes are said as version 4 says them, by rope_theta and rope_scaling, which 5 reads too.
/// Source: transformers' configuration_mistral.py, configuration_qwen2.py and
/// modeling_rope_utils.py, 4.57 and 5.23.

#include "common/base/json.h"
#include "common/families/layout.h"

namespace graft::families {

/// See ModelConfig; a family without windows.
Json WriteDecoderConfig(const Layout& layout);

/// The same with sliding_window.
Json WriteMistralConfig(const Layout& layout);

/// The same with use_sliding_window, sliding_window and max_window_layers.
Json WriteQwenConfig(const Layout& layout);

}  // namespace graft::families
