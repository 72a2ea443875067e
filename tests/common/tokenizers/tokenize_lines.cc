/// Prints the token ids of each line of standard input: tokenize_lines FOLDER [MAX_LENGTH
/// [MODE...]]. Modes: "plain", without special tokens; "decode", prints the text that the ids make,
/// and ends with code 3 if a stream makes another; "zero", a zero byte ends lines here and there.
/// For parity.py and its like, and foreign_bases_test.py.
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "common/tokenizers/tokenizer.h"

namespace {

using graft::tokenizers::Tokenizer;

std::string Streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  const auto stream = tokenizer.StartDecode({});
  std::string text;
  for (const int32_t id : ids) text += stream->Push(id);
  return text + stream->Finish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const auto tokenizer = graft::tokenizers::LoadTokenizer(std::filesystem::path(argv[1]));
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  bool plain = false;
  bool decode = false;
  char end = '\n';
  for (int i = 3; i < argc; ++i) {
    const std::string_view mode = argv[i];
    plain |= mode == "plain";
    decode |= mode == "decode";
    if (mode == "zero") end = '\0';
  }
  const graft::tokenizers::EncodeOptions options{
      .max_length = argc > 2 ? std::atoi(argv[2]) : 1 << 20, .special_tokens = !plain};
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line, end);) {
    const auto ids = (*tokenizer)->Encode(line, options).ids;
    std::string out;
    if (decode) {
      out = (*tokenizer)->Decode(ids, {});
      if (Streamed(**tokenizer, ids) != out) {
        std::cerr << "a stream makes another text of: " << line << "\n";
        return 3;
      }
    } else {
      for (const int32_t id : ids) out += std::to_string(id) + " ";
    }
    std::cout << out << end;
  }
}
