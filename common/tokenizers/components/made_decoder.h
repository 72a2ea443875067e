#pragma once
/// A decoder that is known by its settings: what each stage of it starts with.

#include <memory>
#include <utility>

#include "common/tokenizers/components/decoder.h"

namespace graft::tokenizers {

/// Requires: Stage is a DecodeStage with a type Settings, a constructor that takes a reference to
/// them, which lives longer, and a static Form of them. A stage whose tokens spell bytes has a
/// static BytesOf, see Decoder.
template <typename Stage>
class MadeDecoder : public Decoder {
 public:
  explicit MadeDecoder(typename Stage::Settings settings) : settings_(std::move(settings)) {}
  std::unique_ptr<DecodeStage> Start() const override { return std::make_unique<Stage>(settings_); }
  std::optional<std::string> BytesOf([[maybe_unused]] std::string_view token) const override {
    if constexpr (requires { Stage::BytesOf(token); }) return Stage::BytesOf(token);
    return std::nullopt;
  }
  Json Form() const override { return Stage::Form(settings_); }

 private:
  const typename Stage::Settings settings_;
};

template <typename Stage>
DecoderPtr MakeDecoder(typename Stage::Settings settings) {
  return std::make_unique<MadeDecoder<Stage>>(std::move(settings));
}

}  // namespace graft::tokenizers
