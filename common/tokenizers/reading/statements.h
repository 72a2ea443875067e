#pragma once
/// What the files beside tokenizer.json and vocab.txt say of a tokenizer: tokenizer_config.json,
/// special_tokens_map.json, added_tokens.json and config.json.
/// Source: how transformers 4.57 and 5.23 read such folders, found by asking both about each
/// statement alone. They agree on nearly all. Where only one of them can load a folder, it is read
/// as that one does; where they read it differently, it is refused, but for two cases, which are
/// read as transformers 5 does: a token of added_tokens.json that only special_tokens_map.json
/// calls special is matched in normalized text, and PreTrainedTokenizerFast gives no token types
/// where model_input_names doesn't ask for them.

#include <optional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/tokenizers/added_tokens.h"
#include "common/tokenizers/components/normalizer.h"
#include "common/tokenizers/reading/classes.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::tokenizers {

/// unk_token, cls_token and so on.
struct NamedToken {
  std::string name;               ///< "unk_token".
  std::string content;            ///< "[UNK]".
  std::optional<AddedToken> own;  ///< Its flags, if it states them.
};

struct ListedToken {
  std::string file;  ///< That lists it.
  AddedToken token;  ///< With the id that the file states.
};

/// What a file says of a setting.
enum class Stated { kAbsent, kNull, kFalse, kTrue };

struct Statements {
  /// BERT's sets normalizer, pre-tokenizer and special tokens by itself, whatever tokenizer.json
  /// says. With others the two versions must agree with it.
  ReadingClasses classes;
  BertNormalizerFlags normalizer;  ///< Of BERT's class.
  /// Settings of other classes.
  Stated add_prefix_space = Stated::kAbsent, legacy = Stated::kAbsent;
  Stated add_bos_token = Stated::kAbsent, add_eos_token = Stated::kAbsent;
  bool split_special_tokens = false;
  std::optional<bool> truncate_left;
  /// Whether a model is given token types: model_input_names, or the class.
  bool gives_types = true;
  std::vector<NamedToken> named;  ///< In transformers' order; the class's where no file says more.
  std::vector<NamedToken> one_sided;  ///< Those that only one version's class has.
  std::vector<AddedToken> extra;      ///< Further special tokens.
  std::vector<ListedToken> listed;    ///< With ids, in their order.
  bool listed_by_config = false;      ///< By tokenizer_config.json's added_tokens_decoder.
  /// Tokens of other names, which transformers 5 adds and 4 doesn't. Their names say the file too.
  std::vector<NamedToken> unlisted;

  const NamedToken* Named(const std::string& name) const;
};

/// `is_word_piece`: the tokenizer's own model, if there is a tokenizer.json, is a WordPiece.
/// Errors: InvalidArgument or Unimplemented, naming file and field.
StatusOr<Statements> ReadStatements(const TokenizerFiles& files, bool is_word_piece);

}  // namespace graft::tokenizers
