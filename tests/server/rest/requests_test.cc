#include <string>

#include <gtest/gtest.h>

#include "server/rest/chat_request.h"
#include "server/rest/finetuning_request.h"

namespace graft::server::rest {
namespace {

/// The field that a request is refused for; empty if it is taken.
template <typename Request>
std::string Refused(const StatusOr<Request>& read) {
  if (read.ok()) return {};
  EXPECT_EQ(read.status().code(), StatusCode::kInvalidArgument) << read.status();
  return read.status().details().empty() ? "none" : read.status().details().front().field;
}

Json Chat(const char* name, Json value) {
  return {{"model", "m"}, {"messages", {{{"role", "user"}}}}, {name, std::move(value)}};
}

Json Job(const char* name, Json value) {
  Json body = {{"model", "m"}, {"training_file", "file:///x.csv"}, {"suffix", "s"}};
  body[name] = std::move(value);
  return body;
}

TEST(ChatRequestTest, RefusesAFormatWhoseTypeIsNoText) {
  for (const Json& type : {Json(5), Json(nullptr), Json::array(), Json("json_object")})
    EXPECT_EQ(Refused(ReadChatRequest(Chat("response_format", {{"type", type}}))),
              "response_format");
  EXPECT_EQ(Refused(ReadChatRequest(Chat("response_format", {{"type", "text"}}))), "");
}

TEST(FinetuningRequestTest, RefusesAMethodWhoseTypeIsNoText) {
  for (const Json& type : {Json(5), Json(nullptr), Json::array(), Json("dpo")})
    EXPECT_EQ(Refused(ReadFinetuningRequest(Job("method", {{"type", type}}))), "method");
  EXPECT_EQ(Refused(ReadFinetuningRequest(Job("method", {{"type", "supervised"}}))), "");
}

TEST(FinetuningRequestTest, RefusesLabelsThatAreNoObjectBesideMetadata) {
  Json body = Job("metadata", {{"team", "zoo"}});
  for (const Json& labels : {Json(5), Json("x"), Json::array({1})}) {
    body["graft"] = {{"labels", labels}};
    EXPECT_EQ(Refused(ReadFinetuningRequest(body)), "graft.labels");
  }
}

}  // namespace
}  // namespace graft::server::rest
