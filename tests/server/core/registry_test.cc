#include "server/core/registry.h"

#include <gmock/gmock.h>

#include "tests/server/core/core_fixture.h"

namespace graft::server::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RegistryTest : public CoreFixture {
 protected:
  static Version Content(char c, const std::string& adapter = "support",
                         const std::string& base = "minilm") {
    Version version;
    version.tenant = "default";
    version.adapter = adapter;
    version.base = base;
    version.sha256 = std::string(64, c);
    return version;
  }
  StatusOr<Version> Add(char c, bool promote = false) {
    return Do([&](Transaction& tx) { return AddVersion(tx, Content(c), promote); });
  }
  StatusOr<Version> Import(const Version& version, const std::string& request_id) {
    Version copy = version;
    copy.request_id = request_id;
    return Do([&](Transaction& tx) { return ImportVersion(tx, copy); });
  }
  StatusOr<Version> Resolve(const std::string& name, const std::string& tenant = "default") {
    return Do([&](Transaction& tx) { return ResolveVersion(tx, tenant, name); });
  }
  StatusOr<Adapter> Point(int64_t number, const std::string& alias = "live",
                          const std::string& etag = {}) {
    return Do(
        [&](Transaction& tx) { return SetAlias(tx, "default", "support", alias, number, etag); });
  }
  StatusOr<Adapter> Back(const std::string& alias = "live", const std::string& etag = {}) {
    return Do([&](Transaction& tx) { return Rollback(tx, "default", "support", alias, etag); });
  }
  Status Delete(int64_t number) {
    return Do([&](Transaction& tx) { return DeleteVersion(tx, "default", "support", number); });
  }
  int64_t Live() {
    const auto version = Resolve("support");
    return version.ok() ? version->number : 0;
  }
};

TEST_F(RegistryTest, EveryFormOfANameResolves) {
  ASSERT_TRUE(Add('a', /*promote=*/true).ok());
  ASSERT_TRUE(Add('b').ok());
  ASSERT_TRUE(Add('a').ok());
  ASSERT_TRUE(Point(2, "canary").ok());

  EXPECT_EQ(Resolve("support")->number, 1);
  EXPECT_EQ(Resolve("support@live")->number, 1);
  EXPECT_EQ(Resolve("support@canary")->number, 2);
  EXPECT_EQ(Resolve("support@latest")->number, 3);
  EXPECT_EQ(Resolve("support@2")->number, 2);
  EXPECT_EQ(Resolve("support@sha256:" + std::string(64, 'a'))->number, 3) << "the newest";
  EXPECT_EQ(Resolve("adapters/support")->number, 1);
  EXPECT_EQ(Resolve("adapters/support@2")->number, 2);
  EXPECT_EQ(Resolve("adapters/support/versions/3")->number, 3);
}

TEST_F(RegistryTest, MalformedNamesAreInvalid) {
  ASSERT_TRUE(Add('a', true).ok());
  for (const char* name :
       {"", "@", "@1", "Support", "support@", "support@A", "support@sha256:xyz",
        "support@sha256:", "support@1@2", "a/b", "adapters/", "adapters/support/versions/",
        "adapters/support/versions/0", "adapters/support/versions/-1",
        "adapters/support/versions/1x", "adapters//versions/1", "adapters/support/1",
        "adapters/support/versions/99999999999999999999", "../support"}) {
    EXPECT_EQ(Resolve(name).status().code(), StatusCode::kInvalidArgument) << name;
  }
}

TEST_F(RegistryTest, UnknownNamesSayWhatThereIs) {
  ASSERT_TRUE(Add('a').ok());
  ASSERT_TRUE(Point(1, "canary").ok());

  EXPECT_EQ(Resolve("other").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Resolve("support", "tenant-2").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Resolve("support@7").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Resolve("support@0").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Resolve("support@sha256:" + std::string(64, '0')).status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(Resolve("support").status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Resolve("support").status().message(), HasSubstr("support@1"));
  EXPECT_THAT(Resolve("support@beta").status().message(), HasSubstr("canary"));
}

TEST_F(RegistryTest, NumbersRiseAndAreNotReusedAfterTheNewestWasDeleted) {
  EXPECT_EQ(Add('a')->number, 1);
  EXPECT_EQ(Add('b')->number, 2);
  ASSERT_TRUE(Delete(2).ok());

  EXPECT_EQ(Resolve("support@latest")->number, 1);
  EXPECT_EQ(Add('c')->number, 3);
}

TEST_F(RegistryTest, AVersionThatWasDeletedOrMadeAnewIsNoLongerTheOneThatWasRead) {
  const Version read = *Add('a');
  const auto check = [&] {
    return Do([&](Transaction& tx) { return CheckUnchanged(tx, read); }).code();
  };
  EXPECT_EQ(check(), StatusCode::kOk);

  ASSERT_TRUE(Do([](Transaction& tx) { return DeleteAdapter(tx, "default", "support"); }).ok());
  EXPECT_EQ(check(), StatusCode::kNotFound);
  ASSERT_EQ(Add('b')->number, read.number);
  EXPECT_EQ(check(), StatusCode::kAborted);
}

TEST_F(RegistryTest, TheFirstVersionFixesTheBase) {
  ASSERT_TRUE(Add('a').ok());

  const auto other =
      Do([](Transaction& tx) { return AddVersion(tx, Content('b', "support", "gpt2"), false); });

  EXPECT_EQ(other.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(other.status().details().at(0).reason, "BASE_MISMATCH");
}

TEST_F(RegistryTest, RollbackWalksBackThroughWhatTheAliasPointedAt) {
  for (const char c : {'a', 'b', 'c'}) ASSERT_TRUE(Add(c, /*promote=*/true).ok());
  EXPECT_EQ(Live(), 3);

  ASSERT_TRUE(Back().ok());
  EXPECT_EQ(Live(), 2);
  ASSERT_TRUE(Back().ok());
  EXPECT_EQ(Live(), 1);
  EXPECT_EQ(Back().status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Back().status().message(), testing::HasSubstr("pointed at before 1;"));
  EXPECT_EQ(Live(), 1);
}

TEST_F(RegistryTest, PointingAtTheSameVersionAgainIsNoStep) {
  for (const char c : {'a', 'b'}) ASSERT_TRUE(Add(c, /*promote=*/true).ok());
  ASSERT_TRUE(Point(2).ok());

  ASSERT_TRUE(Back().ok());

  EXPECT_EQ(Live(), 1);
}

TEST_F(RegistryTest, AnOldEtagRollsNothingBack) {
  for (const char c : {'a', 'b', 'c'}) ASSERT_TRUE(Add(c, /*promote=*/true).ok());
  const std::string etag = std::to_string(Point(3)->revision);

  EXPECT_TRUE(Back("live", etag).ok());
  EXPECT_EQ(Back("live", etag).status().code(), StatusCode::kAborted);
  EXPECT_EQ(Live(), 2);
}

TEST_F(RegistryTest, RollbackOfAnUnknownAliasIsNotFound) {
  ASSERT_TRUE(Add('a').ok());

  EXPECT_EQ(Back("canary").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Back("live").status().code(), StatusCode::kNotFound);
}

TEST_F(RegistryTest, HistoryIsBounded) {
  for (const char c : {'a', 'b'}) ASSERT_TRUE(Add(c).ok());
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(Point(1 + i % 2).ok());

  EXPECT_EQ(Point(1)->aliases.at("live").history.size(), 50U);
}

TEST_F(RegistryTest, AnOldEtagIsAborted) {
  ASSERT_TRUE(Add('a').ok());
  const std::string etag = std::to_string(Point(1, "canary")->revision);
  ASSERT_TRUE(Point(1, "live", etag).ok());

  EXPECT_EQ(Point(1, "beta", etag).status().code(), StatusCode::kAborted);
  EXPECT_EQ(Resolve("support@beta").status().code(), StatusCode::kNotFound);
}

TEST_F(RegistryTest, AliasesThatMeanSomethingElseAreRefused) {
  ASSERT_TRUE(Add('a').ok());
  for (const char* alias : {"latest", "3", "Live", "", "a/b", "sha256:x"}) {
    EXPECT_EQ(Point(1, alias).status().code(), StatusCode::kInvalidArgument) << alias;
  }
  EXPECT_EQ(Point(9).status().code(), StatusCode::kNotFound);
}

TEST_F(RegistryTest, AVersionInUseIsNotDeleted) {
  ASSERT_TRUE(Add('a', true).ok());

  EXPECT_EQ(Delete(1).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Delete(2).code(), StatusCode::kNotFound);
  EXPECT_EQ(Live(), 1);
}

TEST_F(RegistryTest, RollbackSkipsDeletedVersions) {
  for (const char c : {'a', 'b'}) ASSERT_TRUE(Add(c).ok());
  for (const int64_t number : {1, 2, 1, 2, 1}) ASSERT_TRUE(Point(number).ok());
  ASSERT_TRUE(Add('c', true).ok());
  ASSERT_TRUE(Delete(2).ok());

  const auto adapter = Back();

  ASSERT_TRUE(adapter.ok()) << adapter.status();
  EXPECT_EQ(adapter->aliases.at("live").version, 1);
  EXPECT_THAT(adapter->aliases.at("live").history, ElementsAre());
  EXPECT_EQ(Back().status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(RegistryTest, RollbackLeadsToAnotherVersionAfterADeletion) {
  for (const char c : {'a', 'b'}) ASSERT_TRUE(Add(c).ok());
  for (const int64_t number : {1, 2, 1}) ASSERT_TRUE(Point(number).ok());
  ASSERT_TRUE(Delete(2).ok());

  EXPECT_EQ(Back().status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(RegistryTest, ARepeatedImportReturnsTheFirstVersion) {
  ASSERT_EQ(Import(Content('a'), "r1")->number, 1);

  EXPECT_EQ(Import(Content('a'), "r1")->number, 1);
  EXPECT_EQ(Import(Content('b'), "r1").status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Import(Content('a', "other"), "r1").status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Import(Content('a'), "r2")->number, 2);
  EXPECT_EQ(Import(Content('a'), "")->number, 3);
  EXPECT_EQ(Import(Content('a'), "")->number, 4);
}

TEST_F(RegistryTest, DeleteAdapterRemovesVersionsAndAliases) {
  ASSERT_TRUE(Add('a', true).ok());

  ASSERT_TRUE(Do([](Transaction& tx) { return DeleteAdapter(tx, "default", "support"); }).ok());

  EXPECT_EQ(Resolve("support").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Do([](Transaction& tx) { return DeleteAdapter(tx, "default", "support"); }).code(),
            StatusCode::kNotFound);
  EXPECT_EQ(Add('b')->number, 1);
}

TEST_F(RegistryTest, AJobsVersionsAreListedByPagesHoweverManyOthersThereAre) {
  for (int i = 0; i < 450; ++i) {
    Version version = Content('a');
    version.job_id = i % 90 == 0 ? "mine" : "other";
    ASSERT_TRUE(Do([&](Transaction& tx) { return AddVersion(tx, version, false); }).ok());
  }
  const auto page = [&](const std::string& job, int64_t before, size_t limit) {
    return Do([&](Transaction& tx) -> StatusOr<VersionPage> {
      GRAFT_ASSIGN_OR_RETURN(const Adapter adapter, tx.GetAdapter("default", "support"));
      return ListVersionPage(tx, adapter, job, before, limit);
    });
  };

  std::vector<int64_t> numbers;
  int pages = 0;
  for (int64_t before = 0; pages == 0 || before > 0; ++pages) {
    const auto next = page("mine", before, 2);
    ASSERT_TRUE(next.ok()) << next.status();
    for (const Version& version : next->versions) numbers.push_back(version.number);
    before = next->next_before;
  }

  EXPECT_THAT(numbers, ElementsAre(361, 271, 181, 91, 1));
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(page("", 0, 450)->next_before, 0) << "there are no more";
  EXPECT_EQ(page("", 0, 449)->next_before, 2);
  EXPECT_THAT(page("nobody", 0, 5)->versions, testing::IsEmpty());
}

}  // namespace
}  // namespace graft::server::core
