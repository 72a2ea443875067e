#include "common/tokenizers/components/bpe.h"

#include <algorithm>
#include <array>

#include "common/base/sha256.h"
#include "common/base/utf8.h"
#include "common/tokenizers/matching/merges.h"
#include "common/tokenizers/matching/word_table.h"
#include "common/tokenizers/unicode/byte_alphabet.h"

namespace graft::tokenizers {
namespace {

constexpr int32_t kNone = WordTable::kNone;
/// What SentencePiece writes for a space.
constexpr std::string_view kMark = "\u2581";

/// A merge's left and right token and what they make.
using IdMerges = std::vector<std::array<int32_t, 3>>;

/// Where the first mark behind `from` stands that has another character before it, npos if none.
size_t InnerMark(std::string_view text, size_t from) {
  size_t at = text.find(kMark, from + 1);
  while (at != std::string_view::npos && text.substr(0, at).ends_with(kMark)) {
    at = text.find(kMark, at + 1);
  }
  return at;
}

/// All that changes an id, in few bytes.
std::string Digest(const BpeOptions& options, const IdMerges& merges) {
  std::vector<std::pair<int32_t, std::string_view>> tokens;
  for (const auto& [token, id] : options.vocabulary) tokens.emplace_back(id, token);
  std::ranges::sort(tokens);
  Sha256 hash;
  const auto update = [&](auto number) { hash.Update(std::to_string(number) + " "); };
  for (const auto& [id, token] : tokens) {
    update(id);
    update(token.size());
    hash.Update(token);
  }
  for (const auto& [left, right, joined] : merges) {
    update(left);
    update(right);
  }
  const BpeUnitOptions& units = options.units;
  for (const bool flag :
       {units.fuse_unk, units.byte_fallback, units.byte_level, options.ignore_merges}) {
    update(flag ? 1 : 0);
  }
  if (units.unk_token) hash.Update("unknown " + *units.unk_token);
  return hash.HexDigest();
}

class BpeModel : public Model {
 public:
  BpeModel(BpeOptions options, const IdMerges& merges)
      : digest_(Digest(options, merges)),
        vocabulary_(std::move(options.vocabulary)),
        ignores_merges_(options.ignore_merges),
        units_(std::move(options.units), vocabulary_),
        merges_(merges.size()),
        words_(vocabulary_.size()) {
    for (size_t i = 0; i < merges.size(); ++i) {
      merges_.Add(merges[i][0], merges[i][1], static_cast<int32_t>(i), merges[i][2]);
    }
    // Where unknown characters are left out, what stood on their two sides is joined too.
    const bool leaves_out = units_.can_be_unknown() && !units_.unk_id();
    cuts_at_marks_ = units_.Knows(kMark) && !leaves_out &&
                     std::ranges::none_of(options.merges, [](const auto& merge) {
                       return InnerMark(merge.first + merge.second, 0) != std::string_view::npos;
                     });
    FillWords();
  }

  void Append(std::string_view word, std::vector<int32_t>& ids) const override {
    if (ignores_merges_) {
      if (const int32_t found = words_.Find(word); found != kNone) {
        ids.push_back(found >> 1);
        return;
      }
    }
    if (!cuts_at_marks_) return AppendPiece(word, ids);
    // No merge joins what stands on two sides of such a cut, and short pieces are quick.
    for (size_t from = 0; from < word.size();) {
      const size_t end = std::min(InnerMark(word, from), word.size());
      AppendPiece(word.substr(from, end - from), ids);
      from = end;
    }
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  Json Form() const override { return {{"type", "BPE"}, {"digest", digest_}}; }
  const BpeUnits& units() const { return units_; }

 private:
  void FillWords() {
    std::vector<int32_t> ids;
    for (const auto& [token, id] : vocabulary_) {
      const std::optional<std::string> text =
          units_.options().byte_level ? unicode::SpelledBytes(token) : std::optional(token);
      if (!text || text->empty()) continue;
      ids.clear();
      if (!ignores_merges_ || cuts_at_marks_) Merge(*text, ids);  // Else it isn't asked for.
      words_.Insert(*text, id << 1 | (ids.size() == 1 && ids[0] == id ? 1 : 0));
    }
  }

  void AppendPiece(std::string_view piece, std::vector<int32_t>& ids) const {
    if (const int32_t found = words_.Find(piece); found != kNone && (found & 1) != 0) {
      ids.push_back(found >> 1);
    } else {
      Merge(piece, ids);
    }
  }

  void Merge(std::string_view text, std::vector<int32_t>& ids) const {
    const size_t from = ids.size();
    units_.Append(text, ids);
    merges_.Apply(ids, from);
  }

  const std::string digest_;
  const Vocabulary vocabulary_;
  const bool ignores_merges_;
  const BpeUnits units_;
  Merges merges_;
  /// Each token's id, doubled, plus one if merges make the whole token of its text: that finds most
  /// words of most texts.
  WordTable words_;
  bool cuts_at_marks_ = false;  ///< Words can be cut before marks that follow something else.
};

}  // namespace

StatusOr<ModelPtr> Bpe(BpeOptions options) {
  const auto id_of = [&](const std::string& token) {
    const auto found = options.vocabulary.find(token);
    return found != options.vocabulary.end() ? found->second : kNone;
  };
  IdMerges merges;
  merges.reserve(options.merges.size());
  for (const auto& [left, right] : options.merges) {
    const std::string joined = left + right;
    const std::array<int32_t, 3> ids = {id_of(left), id_of(right), id_of(joined)};
    if (const auto lacks = std::ranges::find(ids, kNone); lacks != ids.end()) {
      const std::string& token = lacks == ids.begin()       ? left
                                 : lacks == ids.begin() + 1 ? right
                                                            : joined;
      return InvalidArgumentError("merge " + std::to_string(merges.size() + 1) + ", of " +
                                  Quoted(left) + " and " + Quoted(right) + ", needs the token " +
                                  Quoted(token) + ", which the vocabulary lacks");
    }
    merges.push_back(ids);
  }
  auto model = std::make_unique<BpeModel>(std::move(options), merges);
  const BpeUnits& units = model->units();
  if (units.can_be_unknown() && units.options().unk_token && !units.unk_id()) {
    return InvalidArgumentError("the vocabulary lacks its unknown token " +
                                Quoted(*units.options().unk_token));
  }
  return ModelPtr(std::move(model));
}

}  // namespace graft::tokenizers
