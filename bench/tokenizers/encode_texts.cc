/// Encodes texts and decodes them again on one thread: encode_texts FOLDER TEXTS ROUNDS. TEXTS is a
/// file of texts that zero bytes end. Prints a line a round: seconds to encode, to decode, tokens.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "common/tokenizers/tokenizer.h"

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const auto tokenizer = graft::tokenizers::LoadTokenizer(std::filesystem::path(argv[1]));
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  std::vector<std::string> texts;
  std::ifstream file(argv[2], std::ios::binary);
  for (std::string text; std::getline(file, text, '\0');) texts.push_back(text);

  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  };
  for (int round = 0; round < std::atoi(argv[3]); ++round) {
    size_t tokens = 0;
    std::vector<std::vector<int32_t>> encoded;
    const auto begin = Clock::now();
    for (const std::string& text : texts) {
      encoded.push_back((*tokenizer)->Encode(text, {.max_length = 1 << 30}).ids);
      tokens += encoded.back().size();
    }
    const auto middle = Clock::now();
    size_t bytes = 0;
    for (const auto& ids : encoded) bytes += (*tokenizer)->Decode(ids, {}).size();
    const auto end = Clock::now();
    std::cout << seconds(begin, middle) << " " << seconds(middle, end) << " " << tokens << " "
              << bytes << std::endl;
  }
}
