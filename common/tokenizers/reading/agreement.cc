#include "common/tokenizers/reading/agreement.h"

#include "common/tokenizers/reading/parts.h"

namespace graft::tokenizers {
namespace {

constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kMark = "\u2581";

/// What a class of version 5 puts together.
struct Built {
  NormalizerPtr normalizer;
  PreTokenizerPtr pre_tokenizer;
  DecoderPtr decoder;
  BpeUnitOptions units;
};

Built BuiltByLlama(const Statements& statements) {
  const bool prepends = statements.add_prefix_space != Stated::kFalse;
  const bool legacy = statements.legacy == Stated::kTrue;
  const PrependScheme scheme = !prepends ? PrependScheme::kNever
                               : legacy  ? PrependScheme::kAlways
                                         : PrependScheme::kFirst;
  std::vector<DecoderPtr> decoders;
  decoders.push_back(ReplaceDecoder(kMark, " "));
  decoders.push_back(ByteFallbackDecoder());
  if (prepends) decoders.push_back(StripDecoder(" ", 1, StripFrom::kText));
  return {SequenceNormalizer({}),
          MetaspacePreTokenizer(kMark, scheme, false),
          SequenceDecoder(std::move(decoders)),
          {.fuse_unk = true, .byte_fallback = true}};
}

Built BuiltByGpt2(const Statements& statements) {
  return {SequenceNormalizer({}),
          ByteLevelPreTokenizer(statements.add_prefix_space == Stated::kTrue, true),
          ByteLevelDecoder(),
          {.byte_level = true}};
}

Built BuiltByQwen2(const Statements& statements) {
  std::vector<PreTokenizerPtr> parts;
  parts.push_back(PatternSplit(SplitPattern::kQwen2));
  parts.push_back(ByteLevelPreTokenizer(statements.add_prefix_space == Stated::kTrue, false));
  return {NfcNormalizer(),
          SequencePreTokenizer(std::move(parts)),
          ByteLevelDecoder(),
          {.byte_level = true}};
}

Built BuiltBy(TokenizerClass of, const Statements& statements) {
  if (of == TokenizerClass::kLlama) return BuiltByLlama(statements);
  return of == TokenizerClass::kGpt2 ? BuiltByGpt2(statements) : BuiltByQwen2(statements);
}

/// Whether both make the same of every text with this vocabulary.
bool Same(const BpeUnitOptions& a, const BpeUnitOptions& b, const Vocabulary& vocabulary) {
  if (a.byte_level != b.byte_level) return false;
  BpeUnitOptions without = a;
  without.byte_fallback = false;
  if (!BpeUnits(without, vocabulary).can_be_unknown()) return true;
  if (a.byte_fallback != b.byte_fallback) return false;
  if (!BpeUnits(a, vocabulary).can_be_unknown()) return true;
  return a.unk_token == b.unk_token && (!a.unk_token || a.fuse_unk == b.fuse_unk);
}

Status Disagrees(const Statements& statements, const std::string& part) {
  // Of some types of models version 5 passes over the class that is stated.
  const bool can_be_stated = statements.classes.v4 != TokenizerClass::kGeneric;
  return Bad(kTokenizerJson,
             "its " + part + " isn't that of " +
                 (can_be_stated ? statements.classes.name : "the class of models of this type") +
                 ", and transformers 4 and 5 differ in which of the two they heed" +
                 (can_be_stated ? "; state tokenizer_class PreTrainedTokenizerFast in "
                                  "tokenizer_config.json if the file is right as it is"
                                : ""));
}

/// Version 4 sets add_prefix_space of a ByteLevel that is the whole pre-tokenizer; version 5 only
/// in classes that put it together.
Status CheckPrefixSpace(const Json& json, const Statements& statements) {
  const Json pre_tokenizer = Field(json, "pre_tokenizer");
  if (TypeOf(pre_tokenizer) != "ByteLevel" || statements.add_prefix_space == Stated::kNull) {
    return OkStatus();
  }
  const bool stated = statements.add_prefix_space == Stated::kTrue;
  if (Field(pre_tokenizer, "add_prefix_space") == stated) return OkStatus();
  return Bad(kConfig, std::string("add_prefix_space is ") + (stated ? "true" : "false") +
                          " by it and the other by tokenizer.json's pre-tokenizer, and versions of "
                          "transformers differ in which they heed; state it as it is there");
}

}  // namespace

Status CheckAgreement(const Json& json, const Statements& statements, const Stages& stages,
                      const ModelOptions& model) {
  const TokenizerClass v5 = statements.classes.v5;
  GRAFT_RETURN_IF_ERROR(CheckPrefixSpace(json, statements));
  const Stated prefix = statements.add_prefix_space;
  if (statements.classes.v4 == TokenizerClass::kLlama && prefix != Stated::kAbsent &&
      prefix != Stated::kNull) {
    return Bad(
        kConfig,
        "add_prefix_space makes transformers 4 convert tokenizer.model once more in the class "
        "LlamaTokenizer, and 5 does not; take it out, or state tokenizer_class "
        "PreTrainedTokenizerFast if tokenizer.json is right as it is");
  }
  if (v5 == TokenizerClass::kGeneric) return OkStatus();
  const auto* bpe = std::get_if<BpeOptions>(&model);
  if (bpe == nullptr) return Disagrees(statements, "model");
  const Built built = BuiltBy(v5, statements);
  if (built.normalizer->Form() != stages.normalizer->Form()) {
    return Disagrees(statements, "normalizer");
  }
  if (built.pre_tokenizer->Form() != stages.pre_tokenizer->Form()) {
    return Disagrees(statements, "pre-tokenizer");
  }
  if (built.decoder->Form() != stages.decoder->Form()) return Disagrees(statements, "decoder");
  if (bpe->ignore_merges || !Same(built.units, bpe->units, bpe->vocabulary)) {
    return Disagrees(statements, "model");
  }
  return OkStatus();
}

Status CheckTemplates(const Statements& statements, const Templates& templates,
                      const SpecialToken* bos, const SpecialToken* eos) {
  if (statements.classes.v4 != TokenizerClass::kLlama) return OkStatus();
  // What LlamaTokenizer has where nothing is stated: a token at the start, none at the end.
  const Stated adds_bos = statements.add_bos_token;
  if (adds_bos == Stated::kFalse || adds_bos == Stated::kNull) bos = nullptr;
  if (statements.add_eos_token != Stated::kTrue) eos = nullptr;
  const bool needs_bos = adds_bos == Stated::kAbsent || adds_bos == Stated::kTrue;
  if ((needs_bos && bos == nullptr) ||
      (statements.add_eos_token == Stated::kTrue && eos == nullptr)) {
    return Bad(kConfig,
               "it has a null where the class LlamaTokenizer puts its bos_token or "
               "eos_token around a text; state the token, or add_bos_token as false");
  }
  Templates expected;
  for (const bool second : {false, true}) {
    for (std::vector<TemplatePiece>* pieces : {&expected.single, &expected.pair}) {
      if (second && pieces == &expected.single) continue;
      const int32_t type = second ? 1 : 0;
      if (bos != nullptr) pieces->push_back({-1, bos->id, type});
      pieces->push_back({second ? 1 : 0, 0, type});
      if (eos != nullptr) pieces->push_back({-1, eos->id, type});
    }
  }
  if (expected == templates) return OkStatus();
  return Disagrees(statements, "post-processor");
}

}  // namespace graft::tokenizers
