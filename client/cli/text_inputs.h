#pragma once
/// The texts of classify, embed and score: from the command line and, for "-", from the lines of
/// standard input. They go to the server in several requests; a fault is told in the user's own
/// count.

#include <cstddef>
#include <istream>
#include <string>
#include <vector>

#include "client/cli/context.h"
#include "graft/v1/inference.pb.h"

namespace graft::cli {

class TextInputs {
 public:
  /// Reads the texts; with `pair` each two of them are one input. Lines are read as
  /// datasets::ReadLines says: LF or CRLF, UTF-8 or UTF-16, and no blank line among them.
  /// Errors: a usage error that names the line or text at fault.
  static StatusOr<TextInputs> Read(const std::vector<std::string>& arguments, bool pair,
                                   std::istream& in);

  size_t size() const { return inputs_.size(); }
  const graft::v1::TextInput& operator[](size_t i) const { return inputs_[i]; }
  auto begin() const { return inputs_.begin(); }
  auto end() const { return inputs_.end(); }

  /// What a request that begins with input `begin` was refused with: a fault at its "inputs[3]" is
  /// told as the text or line that the user gave, and its field counts over all inputs.
  Status Locate(const Status& status, size_t begin) const;

 private:
  std::vector<graft::v1::TextInput> inputs_;
  std::vector<std::string> places_;  ///< "line 271 of standard input", "text 3".
};

}  // namespace graft::cli
