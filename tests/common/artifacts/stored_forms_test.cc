/// What versions and checkpoints in people's stores are made of, written down: a method's JSON, its
/// tensors in order with all that shapes training, its config files' texts and the version's hash.
/// A line that moves means versions that no longer open, checkpoints restored into other tensors,
/// or runs that give other bytes. tests/golden/stored/methods.txt is made by running this test with
/// GRAFT_WRITE_GOLDEN=1; only new lines may come.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "common/artifacts/artifact.h"
#include "common/base/file.h"
#include "common/base/sha256.h"
#include "tests/common/families/configs.h"

namespace graft::artifacts {
namespace {

const std::filesystem::path kGolden = GRAFT_SOURCE_DIR "/tests/golden/stored/methods.txt";

struct Form {
  const char* method;
  Json fields;
};

/// Each field of each method beside its default at least once.
std::vector<Form> Forms(const families::Layout& layout) {
  const std::string first = layout.default_lora_targets.front();
  const std::string second = layout.default_lora_targets.back();
  return {
      {"lora", Json::object()},
      {"lora",
       {{"rank", 4}, {"alpha", 12.5}, {"dropout", 0.1}, {"target_modules", {"all-linear"}}}},
      {"lora",
       {{"rank", 4},
        {"rslora", true},
        {"target_modules", {first, second}},
        {"rank_pattern", {{first, 2}}},
        {"alpha_pattern", {{second, 3.0}}},
        {"modules_to_save", {"LayerNorm"}},
        {"bias", "lora_only"}}},
      {"bottleneck", {{"size", 6}}},
      {"bottleneck", {{"size", 8}, {"activation", "gelu"}, {"unfreeze_base", true}}},
      {"bottleneck", {{"size", 8}, {"residual", false}, {"sublayers", "attention"}}},
      {"bottleneck",
       {{"placement", "PFEIFFER"},
        {"size", 8},
        {"adds_to", "norm"},
        {"norm_after", false},
        {"freeze_head", true},
        {"leave_out", {0}}}},
      {"bottleneck",
       {{"parallel", true},
        {"trained_scaling", "channel"},
        {"layer_sizes", {4, 6}},
        {"init_std", 0.02},
        {"dropout", 0.2}}},
      {"bottleneck", {{"size", 4}, {"scaling", 0.5}, {"head", "first-token:tanh"}}},
      {"last_layers", Json::object()},
      {"last_layers", {{"num_layers", 1}}},
      {"full", Json::object()},
  };
}

std::string Shape(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

void Describe(const Form& form, const families::Layout& layout, std::ostream& out) {
  out << layout.family << " " << form.method << " " << form.fields.dump() << "\n";
  const auto parsed = methods::ParseMethod(form.method, form.fields);
  if (!parsed.ok()) return void(out << "  refused " << parsed.status().message() << "\n");
  const auto method = (*parsed)->Resolve(layout);
  if (!method.ok()) return void(out << "  refused " << method.status().message() << "\n");
  out << "  json " << (*method)->ToJson().dump() << "\n";
  const std::vector<std::string> labels = {"no", "yes", "maybe"};
  std::map<std::string, std::string> hashes = {{"weights", Sha256Hex("weights")}};
  for (const auto& [name, text] :
       (*method)->ConfigFiles(layout, {"tiny", "support", tasks::Classification(labels)})) {
    hashes[name] = Sha256Hex(text);
    out << "  file " << name << " " << hashes[name] << "\n";
  }
  const Identity identity{.base_fingerprint = Sha256Hex("base"),
                          .method = *method,
                          .task = tasks::Classification(labels),
                          .max_length = 32,
                          .tokenizer = Sha256Hex("tokenizer"),
                          .precision = "bf16"};
  out << "  version " << VersionHash(identity, hashes) << "\n";
  for (const methods::TensorSpec& tensor :
       (*method)->Tensors(layout, tasks::Classification(labels))) {
    out << "  " << tensor.name << " " << Shape(tensor.shape)
        << (tensor.overrides_base ? " of-base" : "") << (tensor.decay ? " decays" : "")
        << (tensor.trained ? "" : " untrained") << " " << tensor.file << " " << tensor.key << "\n";
  }
}

std::string DescribeAll() {
  std::ostringstream out;
  for (const Json& config : {families::TinyBertConfig(), families::TinyDistilBertConfig()}) {
    const families::Layout layout = families::MustRead(config);
    for (const Form& form : Forms(layout)) Describe(form, layout, out);
  }
  return out.str();
}

TEST(StoredFormsTest, MethodsStayAsTheyWereStored) {
  const std::string described = DescribeAll();
  if (std::getenv("GRAFT_WRITE_GOLDEN") != nullptr) {
    ASSERT_TRUE(WriteFileDurably(kGolden, described).ok());
  }
  const auto golden = ReadFile(kGolden);
  ASSERT_TRUE(golden.ok()) << golden.status();

  std::istringstream is(described);
  std::istringstream was(*golden);
  std::string line, before, form;
  for (int number = 1; std::getline(was, before); ++number) {
    if (!before.starts_with(" ")) form = before;
    ASSERT_TRUE(std::getline(is, line)) << "behind line " << number;
    ASSERT_EQ(line, before) << "line " << number << ", of " << form;
  }
  EXPECT_FALSE(std::getline(is, line)) << "not in the golden file: " << line;
  EXPECT_EQ(golden->find("refused"), std::string::npos) << "a form of the table isn't taken";
}

}  // namespace
}  // namespace graft::artifacts
