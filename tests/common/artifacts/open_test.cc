#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/artifacts/artifact.h"
#include "tests/common/artifacts/versions.h"

namespace graft::artifacts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void ExpectRefused(const Files& files, StatusCode code, const std::string& part) {
  const Status status = Open(files, TinyBert()).status();
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(status.message(), HasSubstr(part));
}

/// Refused as malformed after `edit`, and named so.
void ExpectMalformed(const std::function<void(Json&)>& edit, const std::string& part) {
  Files files = Sealed();
  EditManifest(files, edit);
  ExpectRefused(files, StatusCode::kInvalidArgument, part);
}

TEST(OpenTest, ReadsWhatSealWrote) {
  const Files files = Sealed();
  Files again = FolderOf(TinyIdentity());
  const Manifest sealed = Seal(TinyIdentity(), TinyRecord(), again);

  const auto manifest = Open(files, TinyBert());

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->sha256, sealed.sha256);
  EXPECT_EQ(manifest->file_hashes, sealed.file_hashes);
  EXPECT_EQ(manifest->identity.base_fingerprint, Sha256Hex("base"));
  EXPECT_EQ(manifest->identity.method->ToJson(), TinyIdentity().method->ToJson());
  EXPECT_THAT(manifest->identity.task.label_names, ElementsAre("neg", "pos"));
  EXPECT_EQ(manifest->identity.max_length, 32);
  EXPECT_EQ(manifest->identity.tokenizer, Sha256Hex("tokenizer"));
  EXPECT_EQ(manifest->identity.precision, "fp32");
  EXPECT_EQ(manifest->record.base, "tiny");
  EXPECT_TRUE(manifest->record.base_proved);
  EXPECT_EQ(manifest->record.probe, TinyRecord().probe);
  EXPECT_EQ(manifest->record.job, TinyRecord().job);
}

TEST(OpenTest, AVersionSaysWhetherItWasTrainedOnPairsOrNothing) {
  for (const std::optional<bool> has_pair : {std::optional<bool>(), {true}, {false}}) {
    Record record = TinyRecord();
    record.has_pair = has_pair;
    Files files = FolderOf(TinyIdentity());
    const std::string sha256 = Seal(TinyIdentity(), record, files).sha256;

    const auto manifest = Open(files, TinyBert());

    ASSERT_TRUE(manifest.ok()) << manifest.status();
    EXPECT_EQ(manifest->record.has_pair, has_pair);
    EXPECT_EQ(sha256, Seal(TinyIdentity(), TinyRecord(), files).sha256);
  }
  Files older = Sealed();
  EditManifest(older, [](Json& json) { json.erase("has_pair"); });
  EXPECT_EQ(Open(older, TinyBert())->record.has_pair, std::nullopt);
  ExpectMalformed([](Json& json) { json["has_pair"] = "yes"; }, "has_pair");
}

TEST(OpenTest, AVersionWithoutAManifestIsNotFound) {
  ExpectRefused(FolderOf(TinyIdentity()), StatusCode::kNotFound, "no graft.json");
  EXPECT_EQ(ReadHeader(FolderOf(TinyIdentity())).status().code(), StatusCode::kNotFound);
}

TEST(OpenTest, AChangedFileIsNamed) {
  Files files = Sealed();
  files[kWeights].back() = static_cast<char>(files[kWeights].back() ^ 1);
  ExpectRefused(files, StatusCode::kDataLoss, std::string(kWeights) + " has been changed");
  files = Sealed();
  files[kWeights].pop_back();
  ExpectRefused(files, StatusCode::kDataLoss, std::string(kWeights) + " has been changed");
}

TEST(OpenTest, AMissingFileIsRefused) {
  Files files = Sealed();
  files.erase(kWeights);
  ExpectRefused(files, StatusCode::kDataLoss, "lacks a file");
}

TEST(OpenTest, AnExtraFileIsNamed) {
  Files files = Sealed();
  files["extra.json"] = "{}";
  ExpectRefused(files, StatusCode::kDataLoss, "doesn't list: extra.json");
}

TEST(OpenTest, AManifestThatSaysSomethingElseThanWasSealedIsRefused) {
  const std::vector<std::function<void(Json&)>> edits = {
      [](Json& json) {
        json["identity"]["label_names"] = {"pos", "neg"};
      },
      [](Json& json) { json["identity"]["max_length"] = 31; },
      [](Json& json) { json["identity"]["method"]["lora"]["alpha"] = 64; },
      [](Json& json) { json["identity"]["precision"] = "bf16"; },
      [](Json& json) { json["identity"]["tokenizer"] = Sha256Hex("other"); },
      [](Json& json) { json["sha256"] = Sha256Hex("other"); }};
  for (const auto& edit : edits) {
    Files files = Sealed();
    EditManifest(files, edit);
    ExpectRefused(files, StatusCode::kDataLoss, "graft.json has been changed");
  }
}

TEST(OpenTest, AMalformedManifestIsRefused) {
  for (const char* text : {"", "{", "[]", "7", "{}", "{\"format\":\"graft.version.v2\"}",
                           "{\"format\":1}", "{\"format\":\"graft.version.v1\"}", "\xff"}) {
    Files files = Sealed();
    files["graft.json"] = text;
    ExpectRefused(files, StatusCode::kInvalidArgument, "graft.json");
    EXPECT_EQ(ReadHeader(files).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(OpenTest, AMissingOrMistypedFieldIsRefused) {
  for (const char* field : {"format", "identity", "files", "base", "sha256"}) {
    ExpectMalformed([&](Json& json) { json.erase(field); }, "graft.json");
    ExpectMalformed([&](Json& json) { json[field] = 7; }, "graft.json");
  }
  for (const char* field :
       {"base_fingerprint", "tokenizer", "precision", "max_length", "method", "label_names"}) {
    ExpectMalformed([&](Json& json) { json["identity"].erase(field); }, field);
    ExpectMalformed([&](Json& json) { json["identity"][field] = true; }, field);
  }
}

TEST(OpenTest, AFieldOutOfRangeIsRefused) {
  const auto identity = [](const char* field, const Json& value) {
    return [=](Json& json) { json["identity"][field] = value; };
  };
  ExpectMalformed([](Json& json) { json["base_proved"] = "yes"; }, "base_proved");
  ExpectMalformed(identity("precision", "fp8"), "identity.precision");
  ExpectMalformed(identity("label_names", {"a", 7}), "a label name isn't a string");
  ExpectMalformed(identity("task", {{"regression", Json::object()}}),
                  "identity.task.regression is not a field here; there are causal_lm, seq");
  ExpectMalformed(identity("max_length", -1), "max_length");
  ExpectMalformed(identity("max_length", 0), "identity.max_length is 0");
  // One token more than the base has positions.
  ExpectMalformed(identity("max_length", 41), "this base takes 1 to 40 tokens");
  ExpectMalformed(identity("max_length", UINT64_MAX), "this base takes 1 to 40 tokens");
  ExpectMalformed(identity("method", Json::object()), "method");
  ExpectMalformed(identity("method", {{"lora", Json::object()}, {"full", Json::object()}}),
                  "method");
  ExpectMalformed(identity("method", {{"nothing", Json::object()}}), "there is no method");
  ExpectMalformed(identity("method", {{"lora", 7}}), "must be an object");
  ExpectMalformed(identity("method", {{"lora", {{"rank", 0}}}}), "rank");
  ExpectMalformed(identity("method", {{"lora", {{"target_modules", {"nowhere"}}}}}),
                  "no linear layer");
}

TEST(OpenTest, EveryByteOfTheManifestCanBeTornWithoutACrash) {
  const Files files = Sealed();
  const std::string manifest = files.at("graft.json");
  for (size_t size = 0; size + 2 < manifest.size(); size += 7) {
    Files torn = files;
    torn["graft.json"] = manifest.substr(0, size);
    ExpectRefused(torn, StatusCode::kInvalidArgument, "graft.json");
  }
}

TEST(ReadHeaderTest, ReadsWhatChoosesABase) {
  Files files = Sealed();
  files.erase(kWeights);  // Not looked at.

  const auto header = ReadHeader(files);

  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->base, "tiny");
  EXPECT_EQ(header->base_fingerprint, Sha256Hex("base"));
  EXPECT_EQ(header->precision, "fp32");
  EXPECT_EQ(header->template_variables, Json::object());
}

TEST(ReadHeaderTest, TemplateVariablesAreTheIdentitysElseThoseOfItsJob) {
  Identity identity = TinyIdentity();
  identity.task = {};
  identity.task.kind = tasks::Kind::kCausalLanguageModeling;
  Record record;
  record.job["spec"]["task"]["causal_lm"]["chat_template_variables"] = {{"a", 1}};
  const auto variables = [&] {
    Files files;
    Seal(identity, record, files);
    return ReadHeader(files)->template_variables;
  };
  EXPECT_EQ(variables(), Json({{"a", 1}}));

  identity.task.language.chat_template_variables = {{"b", 2}};
  EXPECT_EQ(variables(), Json({{"b", 2}}));
}

}  // namespace
}  // namespace graft::artifacts
