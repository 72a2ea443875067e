#include "server/rest/tar.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace graft::server::rest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

using Kind = TarReader::Event::Kind;
using Files = std::vector<std::pair<std::string, std::string>>;

std::string File(const std::string& name, const std::string& bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  return TarHeader(name, size) + bytes + TarPadding(size);
}

/// A header of another type, with its checksum.
std::string Typed(std::string header, char type) {
  header[156] = type;
  std::fill_n(header.begin() + 148, 8, ' ');
  int sum = 0;
  for (const char c : header.substr(0, 512)) sum += static_cast<unsigned char>(c);
  std::string digits(6, '0');
  for (int i = 5; i >= 0; --i, sum /= 8)
    digits[static_cast<size_t>(i)] = static_cast<char>('0' + sum % 8);
  header.replace(148, 7, digits + '\0');
  return header;
}

/// Reads an archive that comes in pieces of `piece` bytes.
StatusOr<Files> Read(const std::string& archive, size_t piece) {
  TarReader reader;
  Files files;
  for (size_t at = 0;;) {
    GRAFT_ASSIGN_OR_RETURN(const TarReader::Event event, reader.Next());
    switch (event.kind) {
      case Kind::kMore:
        if (at >= archive.size()) return InvalidArgumentError("it ends in the middle");
        reader.Feed(std::string_view(archive).substr(at, piece));
        at += piece;
        break;
      case Kind::kFile:
        files.emplace_back(event.name, "");
        break;
      case Kind::kData:
        files.back().second += event.data;
        break;
      case Kind::kEnd:
        return files;
    }
  }
}

TEST(TarTest, WhatIsWrittenIsReadInPiecesOfAnySize) {
  const std::string large(1500, 'x'), block(512, 'y');
  const std::string archive = File("a.json", "{}") + File("empty", "") +
                              File("b.safetensors", large) + File("c", block) + TarEnd();
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{512}, size_t{513}, archive.size()}) {
    const auto files = Read(archive, piece);
    ASSERT_TRUE(files.ok()) << files.status();
    EXPECT_THAT(*files, ElementsAre(Pair("a.json", "{}"), Pair("empty", ""),
                                    Pair("b.safetensors", large), Pair("c", block)));
  }
}

TEST(TarTest, FoldersAreNoPartOfANameAndArePassedOver) {
  const std::string archive = Typed(TarHeader("./lora/", 0), '5') + File("./lora/a.json", "1") +
                              File("../../etc/b", "2") + File("/c", "3") + TarEnd();
  EXPECT_THAT(*Read(archive, 100),
              ElementsAre(Pair("a.json", "1"), Pair("b", "2"), Pair("c", "3")));
}

TEST(TarTest, ALongNameIsWrittenAndReadAsAPaxRecord) {
  const std::string name = std::string(200, 'f') + "/adapter_config.json";
  EXPECT_THAT(*Read(File(name, "1") + File("b", "2") + TarEnd(), 512),
              ElementsAre(Pair("adapter_config.json", "1"), Pair("b", "2")));
}

TEST(TarTest, ALongNameOfGnusIsRead) {
  const std::string name = std::string(200, 'f') + "/adapter_config.json";
  const auto size = static_cast<int64_t>(name.size()) + 1;
  const std::string archive = Typed(TarHeader("././@LongLink", size), 'L') + name + '\0' +
                              TarPadding(size) + File(name.substr(0, 100), "1") + File("b", "2") +
                              TarEnd();
  for (const size_t piece : {size_t{1}, size_t{512}})
    EXPECT_THAT(*Read(archive, piece),
                ElementsAre(Pair("adapter_config.json", "1"), Pair("b", "2")));
}

TEST(TarTest, ASizeBeyondOctalDigitsIsAPaxRecord) {
  TarReader reader;
  reader.Feed(TarHeader("large", int64_t{1} << 34));
  const auto event = reader.Next();
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->size, int64_t{1} << 34);
}

TEST(TarTest, WhatIsNoPlainFileIsRefused) {
  for (const char type : {'1', '2', '3', '4', '6', '7', 'S', 'K'})
    EXPECT_THAT(Read(Typed(TarHeader("x", 0), type) + TarEnd(), 512).status().message(),
                HasSubstr("no plain file"))
        << type;
}

TEST(TarTest, WhatIsNoTarIsRefused) {
  const std::string good = File("a", "1") + TarEnd();
  const std::string zip = "PK\x03\x04" + std::string(600, 'z'),
                    gzip = "\x1f\x8b" + std::string(600, 'g');
  for (const std::string& bad : {zip, gzip, std::string(1024, '\0'), std::string(512, 'a')})
    EXPECT_THAT(Read(bad, 512).status().message(), HasSubstr("no tar archive that graft reads"));
  std::string flipped = good;
  flipped[0] = 'b';
  EXPECT_THAT(Read(flipped, 512).status().message(), HasSubstr("checksum"));
  for (const size_t length : {size_t{0}, size_t{100}, size_t{512}, size_t{513}, size_t{1024}})
    EXPECT_FALSE(Read(good.substr(0, length), 512).ok()) << length;
}

TEST(TarTest, RecordsThatAreMalformedAreRefused) {
  for (const std::string& records :
       {std::string("x"), std::string("99 path=a\n"), std::string("0 path=a\n"),
        std::string("11 size=-1\n"), std::string("11 size=xx\n"), std::string("9 path=a "),
        std::string("25 size=9999999999999999\n")}) {
    const auto size = static_cast<int64_t>(records.size());
    const std::string archive =
        Typed(TarHeader("pax", size), 'x') + records + TarPadding(size) + File("a", "1") + TarEnd();
    EXPECT_FALSE(Read(archive, 512).ok()) << records;
  }
  EXPECT_FALSE(Read(Typed(TarHeader("pax", 1 << 20), 'x'), 512).ok());
  EXPECT_FALSE(Read(Typed(TarHeader("name", 0), 'L') + File("a", "1"), 512).ok());
}

}  // namespace
}  // namespace graft::server::rest
