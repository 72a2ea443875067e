#include "common/datasets/bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <utility>

#include "common/base/file.h"
#include "tests/common/datasets/support.h"

namespace graft::datasets {
namespace {

using ::testing::HasSubstr;

std::string SomeText(size_t lines = 500) {
  std::string text;
  PhiloxSequence random(7, RandomStream::kProbe);
  for (size_t i = 0; i < lines; ++i) text += "line " + std::to_string(random.Next32()) + "\n";
  return text;
}

StatusOr<std::string> Gunzipped(const std::string& bytes, const std::string& name = "",
                                const GunzipLimits& limits = {}) {
  return ReadAll(*Gunzip(FromMemory(bytes), name, limits));
}

TEST(FromMemoryTest, GivesTheBytesThenTheEndForGood) {
  auto source = FromMemory("hello");
  char buffer[3];

  EXPECT_EQ(*source->Read(buffer, 3), 3U);
  EXPECT_EQ(*source->Read(buffer, 3), 2U);
  EXPECT_EQ(*source->Read(buffer, 3), 0U);
  EXPECT_EQ(*source->Read(buffer, 3), 0U);
}

TEST(FromFileTest, ReadsARegularFile) {
  const TempFolder folder = *TempFolder::Create();
  ASSERT_TRUE(WriteFileDurably(folder.path() / "a.csv", "text,label\n").ok());

  auto source = FromFile(folder.path() / "a.csv");

  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(*ReadAll(**source, 3), "text,label\n");
}

TEST(FromFileTest, RefusesWhatIsNoRegularFile) {
  const TempFolder folder = *TempFolder::Create();
  ASSERT_EQ(mkfifo((folder.path() / "fifo").c_str(), 0600), 0);

  EXPECT_EQ(FromFile(folder.path() / "none").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(FromFile(folder.path()).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FromFile(folder.path() / "fifo").status().code(), StatusCode::kInvalidArgument);
}

TEST(GunzipTest, PassesPlainTextOn) {
  for (const std::string& text : {std::string(), std::string("a"), std::string("ab"), SomeText()}) {
    EXPECT_EQ(*Gunzipped(text), text);
    EXPECT_EQ(*Gunzipped(text, "a.csv"), text);
  }
}

TEST(GunzipTest, InflatesWhateverTheSizesOfTheReads) {
  const std::string text = SomeText();
  const std::string gzip = Gzip(text);
  for (const size_t in : {1, 2, 7, 4096}) {
    for (const size_t out : {1, 13, 100000}) {
      auto source = Gunzip(std::make_unique<PiecewiseSource>(gzip, in));
      EXPECT_EQ(*ReadAll(*source, out), text) << in << " " << out;
    }
  }
}

TEST(GunzipTest, KnowsGzipByItsBytesNotItsName) {
  EXPECT_EQ(*Gunzipped(Gzip("text,label\n"), "plain.csv"), "text,label\n");
  EXPECT_EQ(*Gunzipped(Gzip(""), "a.csv.gz"), "");
}

TEST(GunzipTest, JoinsMembersAndIgnoresZerosBehindTheLast) {
  const std::string first = SomeText(100);
  const std::string joined = Gzip(first) + Gzip("") + Gzip("tail\n");

  EXPECT_EQ(*Gunzipped(joined), first + "tail\n");
  EXPECT_EQ(*Gunzipped(joined + std::string(1000, '\0')), first + "tail\n");
}

TEST(GunzipTest, EveryCutIsAnErrorExceptBetweenMembers) {
  const std::string text = SomeText(60);
  const std::string first = Gzip(text);
  const std::string bytes = first + Gzip("tail\n");
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    const auto result = Gunzipped(bytes.substr(0, cut), "a.csv.gz");
    if (cut == first.size()) {
      EXPECT_EQ(*result, text);
      continue;
    }
    ASSERT_FALSE(result.ok()) << cut;
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument) << cut;
    ASSERT_EQ(result.status().details().size(), 1U);
    EXPECT_EQ(result.status().details()[0].reason, "BAD_GZIP");
    EXPECT_THAT(result.status().message(), HasSubstr("ends in the middle")) << cut;
  }
}

TEST(GunzipTest, EveryFlippedByteBehindTheHeaderIsAnErrorOrHarmless) {
  const std::string text = SomeText(60);
  const std::string good = Gzip(text);
  int num_errors = 0;
  for (size_t at = 10; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);

    const auto result = Gunzipped(bad, "a.csv.gz");

    // The checksum at the end finds every change of the data.
    if (result.ok()) {
      EXPECT_EQ(*result, text) << at;
    }
    num_errors += result.ok() ? 0 : 1;
  }
  EXPECT_GT(num_errors, static_cast<int>(good.size()) - 20);
}

TEST(GunzipTest, RefusesGarbageBehindTheLastMember) {
  const auto result = Gunzipped(Gzip("text\n") + "garbage", "a.csv.gz");

  EXPECT_EQ(result.status().details().at(0).reason, "BAD_GZIP");
}

TEST(GunzipTest, RefusesANameThatLies) {
  const auto result = Gunzipped("text,label\n", "train.csv.GZ");

  EXPECT_EQ(result.status().details().at(0).reason, "BAD_GZIP");
  EXPECT_THAT(result.status().message(), HasSubstr("isn't a gzip file"));
}

TEST(GunzipTest, LimitsTheBytesThatComeOut) {
  const GunzipLimits limits{.max_bytes = 1000};
  const std::string fits(1000, 'x');

  EXPECT_EQ(*Gunzipped(fits, "", limits), fits);
  EXPECT_EQ(*Gunzipped(Gzip(fits), "", limits), fits);
  EXPECT_EQ(Gunzipped(fits + "x", "", limits).status().details().at(0).reason, "TOO_LARGE");
  EXPECT_EQ(Gunzipped(Gzip(fits + "x"), "", limits).status().details().at(0).reason, "TOO_LARGE");
}

TEST(GunzipTest, ADamagedFileIsAtFaultAtOneLineHoweverItIsRead) {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += "line " + std::to_string(i * 7919 % 60000) + "\n";
  std::string damaged = Gzip(text);
  for (size_t at = damaged.size() / 2; at < damaged.size() / 2 + 40; ++at) damaged[at] ^= 0x55;
  std::set<std::pair<size_t, std::string>> outcomes;

  for (const size_t from : {size_t{1} << 20, size_t{4096}, size_t{13}, size_t{1}}) {
    for (const size_t to : {size_t{1} << 20, size_t{4096}, size_t{17}}) {
      auto source = Gunzip(std::make_unique<PiecewiseSource>(damaged, from));
      std::vector<char> buffer(to);
      size_t given = 0;
      for (;;) {
        const auto size = source->Read(buffer.data(), buffer.size());
        if (!size.ok()) {
          outcomes.emplace(given, size.status().message());
          break;
        }
        ASSERT_GT(*size, 0U) << "the damage went unseen";
        given += *size;
      }
    }
  }

  EXPECT_EQ(outcomes.size(), 1U);
  EXPECT_GT(outcomes.begin()->first, text.size() / 4) << "what is good before it is given";
}

TEST(GunzipTest, StopsABomb) {
  const std::string bomb = Gzip(std::string(size_t{40} << 20, '\0'));
  ASSERT_LT(bomb.size(), size_t{64} << 10);
  auto source = Gunzip(FromMemory(bomb));
  std::vector<char> buffer(size_t{1} << 20);
  size_t given = 0;
  Status status;

  for (;;) {
    const auto size = source->Read(buffer.data(), buffer.size());
    if (!size.ok()) status = size.status();
    if (!size.ok() || *size == 0) break;
    given += *size;
  }

  ASSERT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.details().at(0).reason, "TOO_LARGE");
  EXPECT_LE(given, size_t{17} << 20);
}

TEST(GunzipTest, PassesTheSourcesErrorOnAndKeepsIt) {
  auto source = Gunzip(std::make_unique<FailingSource>(Gzip(SomeText()).substr(0, 100),
                                                       UnavailableError("the store is away")));

  EXPECT_EQ(ReadAll(*source).status().code(), StatusCode::kUnavailable);
  char byte = 0;
  EXPECT_EQ(source->Read(&byte, 1).status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace graft::datasets
