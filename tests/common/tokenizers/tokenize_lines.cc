/// Prints the token ids of each line of standard input, or with "decode" the text that they make:
/// tokenize_lines FOLDER [MAX_LENGTH [decode]]. For parity.py and foreign_bases_test.py.
#include <cstdlib>
#include <iostream>
#include <string>

#include "common/tokenizers/tokenizer.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const auto tokenizer = graft::tokenizers::LoadTokenizer(std::filesystem::path(argv[1]));
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  const graft::tokenizers::EncodeOptions options{.max_length =
                                                     argc > 2 ? std::atoi(argv[2]) : 1 << 20};
  const bool decode = argc > 3 && std::string_view(argv[3]) == "decode";
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    const auto ids = (*tokenizer)->Encode(line, options).ids;
    std::string out;
    if (decode) {
      out = (*tokenizer)->Decode(ids, {});
    } else {
      for (const int32_t id : ids) out += std::to_string(id) + " ";
    }
    std::cout << out << "\n";
  }
}
