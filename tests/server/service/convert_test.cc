#include "server/service/convert.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "common/methods/method_spec.h"

namespace graft::server::service {
namespace {

/// Of the method in a version's answer, by the names of the proto.
Json MethodTold(const Json& method) {
  core::Version version;
  version.method_json = method.dump();
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(
                  ToProto(version, core::Adapter()).method(), &text, options)
                  .ok());
  return Json::parse(text);
}

TEST(ConvertTest, EveryFieldOfAMethodIsTold) {
  const std::pair<const char*, Json> methods[] = {{"lora",
                                                   {{"rank", 4},
                                                    {"alpha", 12},
                                                    {"dropout", 0.25},
                                                    {"rslora", true},
                                                    {"bias", "lora_only"},
                                                    {"target_modules", {"query", "value"}},
                                                    {"rank_pattern", {{"query", 2}}},
                                                    {"alpha_pattern", {{"value", 3}}},
                                                    {"modules_to_save", {"pooler"}}}},
                                                  {"bottleneck",
                                                   {{"parallel", true},
                                                    {"sublayers", "attention"},
                                                    {"scaling", 4.5},
                                                    {"head", "first-token:tanh"}}},
                                                  {"bottleneck",
                                                   {{"placement", "PFEIFFER"},
                                                    {"adds_to", "sum"},
                                                    {"norm_after", false},
                                                    {"trained_scaling", "channel"},
                                                    {"leave_out", {0}},
                                                    {"layer_sizes", {6, 12}}}},
                                                  {"last_layers", {{"num_layers", 1}}},
                                                  {"full", Json::object()}};
  for (const auto& [name, fields] : methods) {
    const auto method = methods::ParseMethod(name, fields);
    ASSERT_TRUE(method.ok()) << method.status();
    const Json stored = (*method)->ToJson();

    const Json told = MethodTold({{name, stored}});

    ASSERT_TRUE(told.contains(name)) << told;
    for (const auto& [field, value] : stored.items())
      EXPECT_EQ(told[name].value(field, Json()), value) << name << "." << field;
  }
}

TEST(ConvertTest, ASampleCrossesAsAnEvent) {
  graft::v1::JobEvent told;
  told.mutable_sample()->set_step(7);
  told.mutable_sample()->set_index(2);
  told.mutable_sample()->set_text("so it went");

  const StatusOr<core::JobEvent> kept = FromProto(told);

  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->kind, core::EventKind::kSample);
  EXPECT_EQ(ToProto(*kept).sample().SerializeAsString(), told.sample().SerializeAsString());
}

}  // namespace
}  // namespace graft::server::service
