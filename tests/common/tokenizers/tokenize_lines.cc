/// Prints the token ids of each line of standard input: tokenize_lines FOLDER [MAX_LENGTH]. For
/// parity.py.
#include <cstdlib>
#include <iostream>
#include <string>

#include "common/tokenizers/tokenizer.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const auto tokenizer = graft::tokenizers::LoadTokenizer(argv[1]);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  const graft::tokenizers::EncodeOptions options{argc > 2 ? std::atoi(argv[2]) : 1 << 20};
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    std::string out;
    for (const int32_t id : (*tokenizer)->Encode(line, options).ids)
      out += std::to_string(id) + " ";
    std::cout << out << "\n";
  }
}
