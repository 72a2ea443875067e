#pragma once
/// Whether transformers 4 and 5 make the same of a tokenizer.json in the class that reads it.
/// Source: transformers 4.57, tokenization_utils_fast.py and
/// models/llama/tokenization_llama_fast.py; transformers 5.23,
/// models/{llama,gpt2,qwen2}/tokenization_*.py.

#include "common/base/json.h"
#include "common/base/status.h"
#include "common/tokenizers/pipeline.h"
#include "common/tokenizers/reading/stages.h"
#include "common/tokenizers/reading/statements.h"

namespace graft::tokenizers {

/// Checks a tokenizer whose class isn't BERT's: that the parts which version 4's class sets, and
/// the stages which version 5's puts together, are what the file says. `stages` have the file's
/// normalizer, pre-tokenizer and decoder.
/// Errors: InvalidArgument, naming the part and what to state instead.
Status CheckAgreement(const Json& json, const Statements& statements, const Stages& stages,
                      const ModelOptions& model);

/// Checks the special tokens around texts, which version 4's LlamaTokenizer sets by itself.
/// `bos` and `eos` are that class's, null if there is none.
/// Errors: InvalidArgument.
Status CheckTemplates(const Statements& statements, const Templates& templates,
                      const SpecialToken* bos, const SpecialToken* eos);

}  // namespace graft::tokenizers
