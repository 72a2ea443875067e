#include "common/tokenizers/components/decoder.h"

#include <utility>

#include "common/tokenizers/components/made_decoder.h"

namespace graft::tokenizers {
namespace {

constexpr std::pair<std::string_view, std::string_view> kCleanups[] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

class Pieces : public DecodeStage {
 public:
  struct Settings {
    std::string prefix;
    bool cleanup;
  };
  explicit Pieces(const Settings& settings) : settings_(settings) {}

  void Push(std::string_view token, const TextSink& sink) override {
    std::string text(token);
    if (!is_first_ && text.starts_with(settings_.prefix)) {
      text.erase(0, settings_.prefix.size());
    } else if (!is_first_) {
      text.insert(0, " ");
    }
    is_first_ = false;
    if (settings_.cleanup) {
      for (const auto& [from, to] : kCleanups) ReplaceAll(text, from, to);
    }
    sink(text);
  }
  static Json Form(const Settings& settings) {
    return {{"type", "WordPiece"}, {"prefix", settings.prefix}, {"cleanup", settings.cleanup}};
  }

 private:
  const Settings& settings_;
  bool is_first_ = true;
};

class Spaces : public DecodeStage {
 public:
  struct Settings {};
  explicit Spaces(const Settings&) {}

  void Push(std::string_view token, const TextSink& sink) override {
    if (!is_first_) sink(" ");
    is_first_ = false;
    sink(token);
  }
  static Json Form(const Settings&) { return {{"type", "Spaces"}}; }

 private:
  bool is_first_ = true;
};

class SequenceStage : public DecodeStage {
 public:
  explicit SequenceStage(std::vector<std::unique_ptr<DecodeStage>> stages)
      : stages_(std::move(stages)) {}

  void Push(std::string_view token, const TextSink& sink) override { PushFrom(0, token, sink); }
  void Finish(const TextSink& sink) override {
    for (size_t i = 0; i < stages_.size(); ++i) {
      stages_[i]->Finish([&](std::string_view text) { PushFrom(i + 1, text, sink); });
    }
  }

 private:
  void PushFrom(size_t stage, std::string_view token, const TextSink& sink) {
    if (stage == stages_.size()) return sink(token);
    stages_[stage]->Push(token, [&](std::string_view text) { PushFrom(stage + 1, text, sink); });
  }

  std::vector<std::unique_ptr<DecodeStage>> stages_;
};

class Sequence : public Decoder {
 public:
  explicit Sequence(std::vector<DecoderPtr> parts) : parts_(std::move(parts)) {}

  std::unique_ptr<DecodeStage> Start() const override {
    std::vector<std::unique_ptr<DecodeStage>> stages;
    for (const DecoderPtr& part : parts_) stages.push_back(part->Start());
    return std::make_unique<SequenceStage>(std::move(stages));
  }
  std::optional<std::string> BytesOf(std::string_view token) const override {
    for (const DecoderPtr& part : parts_) {
      if (auto bytes = part->BytesOf(token)) return bytes;
    }
    return std::nullopt;
  }
  Json Form() const override {
    Json parts = Json::array();
    for (const DecoderPtr& part : parts_) parts.push_back(part->Form());
    return {{"type", "Sequence"}, {"decoders", parts}};
  }

 private:
  const std::vector<DecoderPtr> parts_;
};

}  // namespace

DecoderPtr WordPieceDecoder(std::string prefix, bool cleanup) {
  return MakeDecoder<Pieces>({std::move(prefix), cleanup});
}
DecoderPtr SpacesDecoder() { return MakeDecoder<Spaces>({}); }
DecoderPtr SequenceDecoder(std::vector<DecoderPtr> parts) {
  return std::make_unique<Sequence>(std::move(parts));
}

}  // namespace graft::tokenizers
