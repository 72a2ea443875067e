#pragma once
/// What a base's folder must hold beside what each of its files says by itself. Server and engine
/// ask the same, so that what the server calls usable, a worker loads.
/// Thread safety: free functions.

#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/families/layout.h"
#include "common/safetensors/checkpoint.h"
#include "common/tokenizers/tokenizer.h"

namespace graft::bases {

/// What the checkpoint calls the layout's tensor `name`: a bare model's has the names without the
/// family's prefix. Empty if it isn't there.
std::string StoredName(const safetensors::Checkpoint& checkpoint, const families::Layout& layout,
                       std::string_view name);

/// Looks at names, types and shapes; not at the numbers.
/// Errors: InvalidArgument for a tensor that is missing, of a type that isn't read or of another
/// shape than `layout` says, and for one within a decoder's body that `layout` has no use for. The
/// sentence begins with "its".
Status CheckTensors(const safetensors::Checkpoint& checkpoint, const families::Layout& layout);

/// Errors: InvalidArgument if a text may get tokens or token types that the embeddings don't hold.
/// The sentence begins with "its".
Status CheckTokenizer(const tokenizers::Tokenizer& tokenizer, const families::Layout& layout);

/// True if the embeddings hold every token type of `encoding`; a family without types ignores them.
bool HoldsTypes(const tokenizers::Encoding& encoding, const families::Layout& layout);

}  // namespace graft::bases
