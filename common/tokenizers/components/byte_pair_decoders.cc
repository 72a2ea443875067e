/// The decoders of byte pair encoding.
#include <utility>

#include "common/base/utf8.h"
#include "common/tokenizers/components/decoder.h"
#include "common/tokenizers/components/made_decoder.h"
#include "common/tokenizers/components/replaced.h"
#include "common/tokenizers/unicode/byte_alphabet.h"
#include "common/tokenizers/unicode/unicode.h"

namespace graft::tokenizers {
namespace {

class ByteLevel : public DecodeStage {
 public:
  struct Settings {};
  explicit ByteLevel(const Settings&) {}

  void Push(std::string_view token, const TextSink& sink) override {
    bytes_ += unicode::SpelledBytes(token).value_or(std::string(token));
    Give(bytes_.size() - unicode::UnfinishedBytes(bytes_), sink);
  }
  void Finish(const TextSink& sink) override { Give(bytes_.size(), sink); }
  static std::optional<std::string> BytesOf(std::string_view token) {
    return unicode::SpelledBytes(token);
  }
  static Json Form(const Settings&) { return {{"type", "ByteLevel"}}; }

 private:
  void Give(size_t count, const TextSink& sink) {
    if (count == 0) return;
    sink(unicode::Valid(std::string_view(bytes_).substr(0, count)));
    bytes_.erase(0, count);
  }
  std::string bytes_;  ///< Not yet given.
};

class ByteFallback : public DecodeStage {
 public:
  struct Settings {};
  explicit ByteFallback(const Settings&) {}

  void Push(std::string_view token, const TextSink& sink) override {
    if (const int byte = ByteOf(token); byte >= 0) {
      run_ += static_cast<char>(byte);
      return;
    }
    Finish(sink);
    sink(token);
  }
  void Finish(const TextSink& sink) override {
    if (run_.empty()) return;
    if (FirstInvalidUtf8(run_) == std::string_view::npos) {
      sink(run_);
    } else {
      for (size_t i = 0; i < run_.size(); ++i) sink("\ufffd");
    }
    run_.clear();
  }
  static std::optional<std::string> BytesOf(std::string_view token) {
    const int byte = ByteOf(token);
    return byte < 0 ? std::nullopt : std::optional(std::string(1, static_cast<char>(byte)));
  }
  static Json Form(const Settings&) { return {{"type", "ByteFallback"}}; }

 private:
  static int Digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  }
  static int ByteOf(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    const int high = Digit(token[3]);
    const int low = Digit(token[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
  }
  std::string run_;  ///< Only at its end is it known whether all of it is UTF-8.
};

class Replace : public DecodeStage {
 public:
  struct Settings {
    std::string from, to;
  };
  explicit Replace(const Settings& settings) : settings_(settings) {}
  void Push(std::string_view token, const TextSink& sink) override {
    sink(Replaced(token, settings_.from, settings_.to));
  }
  static Json Form(const Settings& settings) {
    return {{"type", "Replace"}, {"pattern", settings.from}, {"content", settings.to}};
  }

 private:
  const Settings& settings_;
};

class Metaspace : public DecodeStage {
 public:
  struct Settings {
    std::string mark;
    bool prepends;
  };
  explicit Metaspace(const Settings& settings) : settings_(settings) {}
  void Push(std::string_view token, const TextSink& sink) override {
    sink(Replaced(token, settings_.mark, is_first_ && settings_.prepends ? "" : " "));
    is_first_ = false;
  }
  static Json Form(const Settings& settings) {
    return {{"type", "Metaspace"}, {"mark", settings.mark}, {"prepends", settings.prepends}};
  }

 private:
  const Settings& settings_;
  bool is_first_ = true;
};

class Strip : public DecodeStage {
 public:
  struct Settings {
    std::string character;
    size_t count;
    StripFrom from;
  };
  explicit Strip(const Settings& settings) : settings_(settings), left_(settings.count) {}
  void Push(std::string_view token, const TextSink& sink) override {
    if (settings_.from == StripFrom::kEachToken) left_ = settings_.count;
    for (; left_ > 0 && token.starts_with(settings_.character); --left_) {
      token.remove_prefix(settings_.character.size());
    }
    if (!token.empty()) left_ = 0;
    sink(token);
  }
  static Json Form(const Settings& settings) {
    return {{"type", "Strip"},
            {"content", settings.character},
            {"start", settings.count},
            {"from", static_cast<int>(settings.from)}};
  }

 private:
  const Settings& settings_;
  size_t left_;  ///< How many may still be taken away.
};

}  // namespace

DecoderPtr ByteLevelDecoder() { return MakeDecoder<ByteLevel>({}); }
DecoderPtr ByteFallbackDecoder() { return MakeDecoder<ByteFallback>({}); }
DecoderPtr ReplaceDecoder(std::string from, std::string to) {
  return MakeDecoder<Replace>({std::move(from), std::move(to)});
}
DecoderPtr MetaspaceDecoder(std::string mark, bool prepends) {
  return MakeDecoder<Metaspace>({std::move(mark), prepends});
}
DecoderPtr StripDecoder(std::string character, size_t count, StripFrom from) {
  return MakeDecoder<Strip>({std::move(character), count, from});
}

}  // namespace graft::tokenizers
