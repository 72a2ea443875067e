#include "common/otlp/settings.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/otlp/name_values.h"

namespace graft::otlp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

using Variables = std::map<std::string, std::string>;
Variables variables;

StatusOr<std::optional<Settings>> Read(Variables set) {
  variables = std::move(set);
  return ReadSettings(
      [](const char* name) -> const char* {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      "graft-test");
}

/// With a collector.
Settings ReadOn(Variables set) {
  set["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:4318";
  const auto settings = Read(std::move(set));
  EXPECT_TRUE(settings.ok() && *settings) << settings.status();
  return **settings;
}

std::string Refusal(Variables set) {
  set.try_emplace("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
  const auto settings = Read(std::move(set));
  EXPECT_EQ(settings.status().code(), StatusCode::kInvalidArgument);
  return settings.status().message();
}

std::string Attribute(const Settings& settings, const std::string& name) {
  std::string value;
  for (const tracing::Attribute& attribute : settings.resource) {
    if (attribute.name == name) value += std::get<std::string>(attribute.value);
  }
  return value;
}

TEST(SettingsTest, WithoutACollectorOrSwitchedOffThereIsNothing) {
  const std::string endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT", url = "http://127.0.0.1:4318";
  for (const Variables& off :
       {Variables{}, Variables{{endpoint, ""}},
        Variables{{endpoint, url}, {"OTEL_SDK_DISABLED", "True"}},
        Variables{{endpoint, url}, {"OTEL_TRACES_EXPORTER", "none"}},
        // Nothing is sent, so nothing of it can be wrong.
        Variables{{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, {"OTEL_TRACES_EXPORTER", "console"}}}) {
    const auto settings = Read(off);
    ASSERT_TRUE(settings.ok()) << settings.status();
    EXPECT_FALSE(settings->has_value());
  }
}

std::string UrlOf(Variables set) { return (*Read(std::move(set)))->url.whole; }

TEST(SettingsTest, TheCommonAddressGetsThePathAndTracesOwnIsAsItStands) {
  const std::string common = "OTEL_EXPORTER_OTLP_ENDPOINT",
                    own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  EXPECT_EQ(UrlOf({{common, "http://c:4318"}}), "http://c:4318/v1/traces");
  EXPECT_EQ(UrlOf({{common, "https://c/otel/"}}), "https://c/otel/v1/traces");
  EXPECT_EQ(UrlOf({{common, "https://c/otel?key=1"}}), "https://c/otel/v1/traces?key=1");
  EXPECT_EQ(UrlOf({{common, "http://c:4318"}, {own, "http://t/x"}}), "http://t/x");
  for (const char* bad : {"127.0.0.1:4318", "collector:4318", "http://", "x", "ftp://c"}) {
    EXPECT_THAT(Refusal({{common, bad}}), HasSubstr(common + ": ")) << bad;
    EXPECT_THAT(Refusal({{own, bad}}), HasSubstr(own + ": ")) << bad;
  }
}

TEST(SettingsTest, AnAddressIsShownWithoutItsSecrets) {
  const auto settings =
      Read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://me:secret@c:1/x?key=secret"}});
  EXPECT_EQ((*settings)->url.shown, "https://c:1/x/v1/traces");
  EXPECT_THAT((*settings)->url.whole, HasSubstr("me:secret@c:1"));
  EXPECT_THAT(Refusal({{"OTEL_EXPORTER_OTLP_ENDPOINT", "me:secret@c:1"}}),
              Not(HasSubstr("secret")));
}

TEST(SettingsTest, ThePortOfGrpcIsDoubted) {
  EXPECT_THAT((*Read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"}}))->notes,
              ElementsAre(HasSubstr("4318")));
}

TEST(SettingsTest, ADefaultIsOpenTelemetrysOwn) {
  const Settings settings = ReadOn({});
  EXPECT_TRUE(settings.sampler.follows_parent);
  EXPECT_EQ(settings.sampler.ratio, 1);
  EXPECT_EQ(settings.timeout, std::chrono::seconds(10));
  EXPECT_EQ(settings.max_queue, 2048U);
  EXPECT_EQ(settings.max_batch, 512U);
  EXPECT_EQ(settings.delay, std::chrono::seconds(5));
  EXPECT_EQ(Attribute(settings, "service.name"), "graft-test");
  EXPECT_THAT(settings.notes, IsEmpty());
}

TEST(SettingsTest, WhatIsSaidIsDone) {
  const Settings settings =
      ReadOn({{"OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x , a=b"},
              {"OTEL_EXPORTER_OTLP_TIMEOUT", "2000"},
              {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1500"},
              {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null"},
              {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"},
              {"OTEL_TRACES_SAMPLER", "traceidratio"},
              {"OTEL_TRACES_SAMPLER_ARG", "0.25"},
              {"OTEL_RESOURCE_ATTRIBUTES", "service.name=x,env=no,env=test"},
              {"OTEL_BSP_MAX_QUEUE_SIZE", "100"},
              {"OTEL_BSP_SCHEDULE_DELAY", "10"}});
  EXPECT_THAT(settings.headers, ElementsAre(Pair("Authorization", "Bearer x"), Pair("a", "b")));
  EXPECT_EQ(settings.timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(settings.certificate, "/dev/null");
  EXPECT_FALSE(settings.sampler.follows_parent);
  EXPECT_EQ(settings.sampler.ratio, 0.25);
  EXPECT_EQ(settings.max_queue, 100U);
  EXPECT_EQ(settings.max_batch, 100U) << "no more than the queue holds";
  EXPECT_EQ(settings.delay, std::chrono::milliseconds(10));
  EXPECT_EQ(Attribute(settings, "service.name"), "x");
  EXPECT_EQ(Attribute(settings, "env"), "test");
  EXPECT_EQ(Attribute(ReadOn({{"OTEL_RESOURCE_ATTRIBUTES", "service.name=x"},
                              {"OTEL_SERVICE_NAME", "y"}}),
                      "service.name"),
            "y");
}

TEST(SettingsTest, EachSamplerIsRead) {
  struct Row {
    const char* name;
    bool follows;
    double ratio;
  };
  for (const Row& row :
       {Row{"always_on", false, 1}, Row{"always_off", false, 0},
        Row{"parentbased_always_on", true, 1}, Row{"parentbased_always_off", true, 0},
        Row{"traceidratio", false, 1}, Row{"parentbased_traceidratio", true, 1}}) {
    const Settings settings = ReadOn({{"OTEL_TRACES_SAMPLER", row.name}});
    EXPECT_EQ(settings.sampler.follows_parent, row.follows) << row.name;
    EXPECT_EQ(settings.sampler.ratio, row.ratio) << row.name;
  }
}

TEST(SettingsTest, WhereNothingWouldArriveTheStartIsRefused) {
  EXPECT_THAT(Refusal({{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}}), HasSubstr("http/json"));
  EXPECT_THAT(Refusal({{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"}}),
              HasSubstr("OTEL_EXPORTER_OTLP_CERTIFICATE: there is no file"));
}

TEST(SettingsTest, WhatCannotBeReadIsANoteAndTheDefaultStands) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"OTEL_TRACES_EXPORTER", "zipkin"},
      {"OTEL_TRACES_SAMPLER", "jaeger_remote"},
      {"OTEL_TRACES_SAMPLER_ARG", "0.5"},
      {"OTEL_BSP_MAX_QUEUE_SIZE", "0"},
      {"OTEL_BSP_SCHEDULE_DELAY", "5s"},
      {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1"},
      {"OTEL_RESOURCE_ATTRIBUTES", "env"},
      {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
      {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"},
      {"OTEL_PROPAGATORS", "b3"},
      {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000"}};
  for (const auto& [name, value] : rows) {
    const Settings settings = ReadOn({{name, value}});
    EXPECT_THAT(settings.notes, ElementsAre(HasSubstr(name + " is "))) << value;
    EXPECT_EQ(settings.sampler.ratio, 1);
    EXPECT_EQ(settings.max_queue, 2048U);
    EXPECT_EQ(settings.delay, std::chrono::seconds(5));
    EXPECT_EQ(settings.timeout, std::chrono::seconds(10));
    EXPECT_EQ(Attribute(settings, "service.name"), "graft-test");
  }
  EXPECT_THAT(
      ReadOn({{"OTEL_TRACES_SAMPLER", "traceidratio"}, {"OTEL_TRACES_SAMPLER_ARG", "1.5"}}).notes,
      ElementsAre(HasSubstr("it may be a number from 0 to 1")));
  EXPECT_THAT(ReadOn({{"OTEL_PROPAGATORS", "tracecontext,baggage"}}).notes, IsEmpty());
}

TEST(SettingsTest, NoTimeIsNoLimit) {
  const Settings settings = ReadOn({{"OTEL_EXPORTER_OTLP_TIMEOUT", "0"},
                                    {"OTEL_BSP_EXPORT_TIMEOUT", "0"},
                                    {"OTEL_BSP_SCHEDULE_DELAY", "0"}});
  EXPECT_EQ(settings.timeout.count() + settings.patience.count() + settings.delay.count(), 0);
  EXPECT_THAT(settings.notes, IsEmpty());
}

TEST(SettingsTest, AHeadersFaultDoesNotTellItsSecret) {
  for (const char* bad :
       {"Authorization", "=secret-x", "a=secret-x%2", "a=secret-x%0d%0aX: y", "a:b=secret-x"}) {
    const std::string why = Refusal({{"OTEL_EXPORTER_OTLP_HEADERS", bad}});
    EXPECT_THAT(why, HasSubstr("OTEL_EXPORTER_OTLP_HEADERS")) << bad;
    EXPECT_THAT(why, Not(HasSubstr("secret"))) << bad;
  }
}

TEST(NameValuesTest, EntriesAreTrimmedAndDecoded) {
  EXPECT_THAT(*ParseNameValues(" a = 1 ,b=x%2Cy,,c="),
              ElementsAre(Pair("a", "1"), Pair("b", "x,y"), Pair("c", "")));
  EXPECT_THAT(*ParseNameValues(""), IsEmpty());
  EXPECT_THAT(*ParseNameValues("a=b=c"), ElementsAre(Pair("a", "b=c")));
  for (const char* bad : {"a", "=b", "a=%", "a=%1", "a=%-1", "a=%zz"})
    EXPECT_FALSE(ParseNameValues(bad).ok()) << bad;
}

}  // namespace
}  // namespace graft::otlp
