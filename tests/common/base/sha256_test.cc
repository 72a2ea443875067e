#include "common/base/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace graft {
namespace {

std::string HashWith(Sha256Code code, std::string_view bytes) {
  Sha256 hash(code);
  hash.Update(bytes);
  return hash.HexDigest();
}

std::string Pattern(size_t size, size_t start) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + start);
  return bytes;
}

class Sha256Test : public testing::TestWithParam<Sha256Code> {};

TEST_P(Sha256Test, GivesTheStandardsVectors) {
  const struct {
    std::string message, digest;
  } kVectors[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmn"
       "o"
       "pqrsmnopqrstnopqrstu",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const auto& [message, digest] : kVectors) EXPECT_EQ(HashWith(GetParam(), message), digest);
}

TEST_P(Sha256Test, EveryLengthPadsAsPythonsHashlib) {
  Sha256 of_all(GetParam());
  for (size_t size = 0; size < 300; ++size) {
    of_all.Update(HashWith(GetParam(), Pattern(size, size)));
  }

  // hashlib.sha256 over the hex digests of the same 300 messages.
  EXPECT_EQ(of_all.HexDigest(), "def85da8f53f8ad58eda585dce61c0d7bfbb3da6924badae49d32d11288c576f");
}

TEST_P(Sha256Test, SplitsDoNotMatter) {
  for (const size_t size : {63, 64, 65, 127, 128, 129, 200}) {
    const std::string bytes = Pattern(size, 3);
    const std::string whole = HashWith(GetParam(), bytes);
    for (size_t split = 0; split <= size; ++split) {
      for (const size_t second : {size_t{0}, size_t{1}, (size - split) / 2}) {
        const size_t middle = std::min(size - split, second);
        Sha256 hash(GetParam());
        hash.Update(bytes.substr(0, split));
        hash.Update(bytes.substr(split, middle));
        hash.Update(bytes.substr(split + middle));
        ASSERT_EQ(hash.HexDigest(), whole) << size << " split at " << split << ", " << middle;
      }
    }
  }
}

TEST_P(Sha256Test, ByteByByte) {
  const std::string bytes = Pattern(1000, 9);
  Sha256 hash(GetParam());

  for (const char& byte : bytes) hash.Update(&byte, 1);

  EXPECT_EQ(hash.HexDigest(), HashWith(GetParam(), bytes));
}

TEST_P(Sha256Test, NothingFromANullPointerIsNothing) {
  Sha256 hash(GetParam());

  hash.Update("ab");
  hash.Update(nullptr, 0);
  hash.Update(std::string_view());
  hash.Update("c");

  EXPECT_EQ(hash.HexDigest(), HashWith(GetParam(), "abc"));
}

INSTANTIATE_TEST_SUITE_P(EachCode, Sha256Test,
                         testing::Values(Sha256Code::kFastest, Sha256Code::kPortable),
                         [](const auto& test) {
                           return test.param == Sha256Code::kFastest ? "Fastest" : "Portable";
                         });

TEST(Sha256CodeTest, BothCodesAgreeOnManyBlocksAtAnyAlignment) {
  const std::string bytes = Pattern(5000, 1);
  for (size_t skip = 0; skip < 20; ++skip) {
    const auto part = std::string_view(bytes).substr(skip);
    ASSERT_EQ(HashWith(Sha256Code::kFastest, part), HashWith(Sha256Code::kPortable, part)) << skip;
  }
}

TEST(Sha256HexTest, HashesInOneCall) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(IsSha256HexTest, TakesExactly64LowerCaseHexDigits) {
  const std::string digest = Sha256Hex("");

  EXPECT_TRUE(IsSha256Hex(digest));
  EXPECT_FALSE(IsSha256Hex(""));
  EXPECT_FALSE(IsSha256Hex(digest.substr(1)));
  EXPECT_FALSE(IsSha256Hex(digest + "0"));
  for (const char bad : {'A', 'g', ' ', '/', ':', '`', '\0', '\xE3'}) {
    std::string text = digest;
    text[40] = bad;
    EXPECT_FALSE(IsSha256Hex(text)) << static_cast<int>(bad);
  }
}

}  // namespace
}  // namespace graft
