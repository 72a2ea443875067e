#include "server/app/config.h"

#include <map>
#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/file.h"

namespace graft::server::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::map<std::string, std::string>& Variables() {
  static std::map<std::string, std::string> variables;
  return variables;
}

class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    Variables().clear();
    auto folder = TempFolder::Create();
    ASSERT_TRUE(folder.ok());
    folder_.emplace(std::move(*folder));
  }
  StatusOr<Invocation> Parse(std::vector<std::string> arguments) {
    std::vector<const char*> argv = {"graft-server"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    return ParseCommandLine(static_cast<int>(argv.size()), argv.data(),
                            [](const char* name) -> const char* {
                              const auto found = Variables().find(name);
                              return found == Variables().end() ? nullptr : found->second.c_str();
                            });
  }
  std::string ConfigFile(const std::string& text) {
    const auto path = folder_->path() / "graft.yaml";
    EXPECT_TRUE(WriteFileDurably(path, text).ok());
    return path.string();
  }
  std::optional<TempFolder> folder_;
};

TEST_F(ConfigTest, DefaultsAreThoseOfTheManual) {
  auto parsed = Parse({});

  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->action, Invocation::Action::kRun);
  EXPECT_EQ(parsed->config.listen, "127.0.0.1:7070");
  EXPECT_EQ(parsed->config.metrics, "127.0.0.1:9464");
  EXPECT_EQ(parsed->config.workers, "auto");
  EXPECT_THAT(parsed->config.data_roots, ElementsAre());
  EXPECT_EQ(parsed->config.tensorboard, "");
}

TEST_F(ConfigTest, FlagBeatsFileBeatsVariable) {
  Variables() = {{"GRAFT_DATA", "from-variable"},
                 {"GRAFT_BASES", "from-variable"},
                 {"GRAFT_LISTEN", "127.0.0.1:1"}};
  const std::string file = ConfigFile("data: from-file\nbases: from-file\n");

  auto parsed = Parse({"--config", file, "--data", "from-flag"});

  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.data, "from-flag");
  EXPECT_EQ(parsed->config.bases, "from-file");
  EXPECT_EQ(parsed->config.listen, "127.0.0.1:1");
}

TEST_F(ConfigTest, ListsComeFromCommasAndFromYaml) {
  auto by_flag = Parse({"--data-roots", "/a,/b"});
  ASSERT_TRUE(by_flag.ok()) << by_flag.status();
  EXPECT_THAT(by_flag->config.data_roots, ElementsAre("/a", "/b"));

  auto by_file = Parse({"--config", ConfigFile("data-roots: [/c, /d]\n")});
  ASSERT_TRUE(by_file.ok()) << by_file.status();
  EXPECT_THAT(by_file->config.data_roots, ElementsAre("/c", "/d"));

  Variables() = {{"GRAFT_DATA_ROOTS", "/e,/f"}};
  auto by_variable = Parse({});
  ASSERT_TRUE(by_variable.ok()) << by_variable.status();
  EXPECT_THAT(by_variable->config.data_roots, ElementsAre("/e", "/f"));
}

TEST_F(ConfigTest, SwitchesMayBeSetAndUnsetEverywhere) {
  EXPECT_TRUE(Parse({"--insecure"})->config.insecure);
  EXPECT_TRUE(Parse({"--config", ConfigFile("insecure: true\n")})->config.insecure);
  EXPECT_FALSE(Parse({"--config", ConfigFile("insecure: false\n")})->config.insecure);
  Variables() = {{"GRAFT_INSECURE", "true"}};
  EXPECT_TRUE(Parse({})->config.insecure);
  Variables() = {{"GRAFT_INSECURE", "false"}};
  EXPECT_FALSE(Parse({})->config.insecure);
}

TEST_F(ConfigTest, WrongValuesAreNamed) {
  struct Case {
    std::vector<std::string> arguments;
    const char* names;
  };
  for (const Case& c : std::vector<Case>{{{"--workers", "many"}, "--workers"},
                                         {{"--workers", "0"}, "--workers"},
                                         {{"--listen", "7070"}, "--listen"},
                                         {{"--listen", "127.0.0.1:99999"}, "--listen"},
                                         {{"--listen", "127.0.0.1:x"}, "--listen"},
                                         {{"--metrics", "::1:9464"}, "--metrics"},
                                         {{"--http", "garbage"}, "--http"},
                                         {{"--lease-seconds", "0"}, "--lease-seconds"},
                                         {{"--lease-seconds", "soon"}, "--lease-seconds"},
                                         {{"--job-store", "postgres"}, "--job-store"},
                                         {{"--log-level", "loud"}, "--log-level"},
                                         {{"--log-format", "xml"}, "--log-format"},
                                         {{"--nonesuch", "x"}, "--nonesuch"}}) {
    auto parsed = Parse(c.arguments);

    ASSERT_FALSE(parsed.ok()) << c.arguments[1];
    EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(parsed.status().message(), HasSubstr(c.names));
  }
}

TEST_F(ConfigTest, WrongFilesAndVariablesAreNamed) {
  EXPECT_THAT(Parse({"--config", ConfigFile("lease-seconds: soon\n")}).status().message(),
              HasSubstr("lease-seconds"));
  EXPECT_THAT(Parse({"--config", ConfigFile("leases: 3\n")}).status().message(),
              HasSubstr("\"leases\""));
  EXPECT_THAT(Parse({"--config", ConfigFile("data: {a: b}\n")}).status().message(),
              HasSubstr("data"));
  EXPECT_THAT(Parse({"--config", ConfigFile("just text")}).status().message(),
              HasSubstr("graft.yaml"));
  EXPECT_THAT(Parse({"--config", ConfigFile("a: [")}).status().message(), HasSubstr("YAML"));
  EXPECT_FALSE(Parse({"--config", "/nonexistent/graft.yaml"}).ok());
  Variables() = {{"GRAFT_DRAIN_SECONDS", "-1"}};
  EXPECT_THAT(Parse({}).status().message(), HasSubstr("GRAFT_DRAIN_SECONDS"));
}

TEST_F(ConfigTest, OffLoopbackNeedsInsecure) {
  for (const char* flag : {"--listen", "--metrics", "--http"}) {
    auto refused = Parse({flag, "0.0.0.0:0"});
    ASSERT_FALSE(refused.ok()) << flag;
    EXPECT_THAT(refused.status().message(), HasSubstr("--insecure"));
    EXPECT_TRUE(Parse({flag, "0.0.0.0:0", "--insecure"}).ok());
  }
  EXPECT_TRUE(Parse({"--listen", "[::1]:0"}).ok());
  EXPECT_TRUE(Parse({"--listen", "localhost:0"}).ok());
  EXPECT_FALSE(Parse({"--listen", "192.168.1.5:7070"}).ok());
  EXPECT_TRUE(Parse({"--metrics", "none"}).ok());
  EXPECT_TRUE(Parse({"--http", "none"}).ok());
}

TEST_F(ConfigTest, HelpVersionAndFailpointsArePrinted) {
  for (const auto& [flag, text] : {std::pair{"--help", "--data-roots"},
                                   {"--version", "graft-server"},
                                   {"--list-failpoints", "store.after_commit\n"}}) {
    auto parsed = Parse({flag});

    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->action, Invocation::Action::kPrintAndExit);
    EXPECT_THAT(parsed->text, HasSubstr(text));
  }
}

TEST(AddressTest, BracketsBelongToIpv6) {
  auto address = ParseAddress("[::1]:70");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->host, "::1");
  EXPECT_EQ(address->port, 70);
  EXPECT_TRUE(address->loopback);
  EXPECT_EQ(address->ToString(), "[::1]:70");
  for (const char* bad : {"", ":", "a:", ":1", "a:b", "a:-1", "::1", "[]:1", "a:1 "}) {
    EXPECT_FALSE(ParseAddress(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace graft::server::app
