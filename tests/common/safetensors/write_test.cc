#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/safetensors/safetensors.h"
#include "tests/common/safetensors/build.h"

namespace graft::safetensors {
namespace {

using testing::HasSubstr;

// clang-format off
// Written by safetensors 0.8.0 and torch:
//   import torch
//   from safetensors.torch import save
//   def show(tensors):
//       print(save(tensors, metadata={"format": "pt"}).hex())
//   query = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight"
//   show({"base_model.model.classifier.bias": torch.tensor([0.5, -0.5]),
//         query: torch.tensor([[1.0, 2.0]])})
//   show({"z": torch.tensor([1.0, -2.0]), "a.weight": torch.arange(6.0).reshape(2, 3),
//         "half": torch.tensor([0.5]).half(), "b": torch.tensor([1.5, 2.5]).bfloat16(),
//         "n": torch.tensor([7]), "flag": torch.tensor([True, False, True]),
//         "empty": torch.zeros(2, 0), "scalar": torch.tensor(3.0).double(),
//         "\u00e9": torch.tensor([1, 2]).byte(), "q\"\\\n": torch.tensor([-1]).char(),
//         "i32": torch.tensor([5]).int(), "i16": torch.tensor([-2]).short(),
//         "c64": torch.tensor([1 + 2j]), "f8": torch.tensor([1.0, 2.0]).to(torch.float8_e4m3fn),
//         "f85": torch.tensor([1.0]).to(torch.float8_e5m2),
//         "u16": torch.tensor([65535], dtype=torch.uint16),
//         "u32": torch.tensor([9], dtype=torch.uint32),
//         "u64": torch.tensor([11], dtype=torch.uint64)})
// clang-format on
constexpr std::string_view kLoraFile =
    "f8000000000000007b225f5f6d657461646174615f5f223a7b22666f726d6174223a227074227d2c22626173"
    "655f6d6f64656c2e6d6f64656c2e626572742e656e636f6465722e6c617965722e302e617474656e74696f6e"
    "2e73656c662e71756572792e6c6f72615f412e776569676874223a7b226474797065223a22463332222c2273"
    "68617065223a5b312c325d2c22646174615f6f666673657473223a5b302c385d7d2c22626173655f6d6f6465"
    "6c2e6d6f64656c2e636c61737369666965722e62696173223a7b226474797065223a22463332222c22736861"
    "7065223a5b325d2c22646174615f6f666673657473223a5b382c31365d7d7d20202020200000803f00000040"
    "0000003f000000bf";
constexpr std::string_view kEveryTypeFile =
    "38040000000000007b225f5f6d657461646174615f5f223a7b22666f726d6174223a227074227d2c22753634"
    "223a7b226474797065223a22553634222c227368617065223a5b315d2c22646174615f6f666673657473223a"
    "5b302c385d7d2c226e223a7b226474797065223a22493634222c227368617065223a5b315d2c22646174615f"
    "6f666673657473223a5b382c31365d7d2c227363616c6172223a7b226474797065223a22463634222c227368"
    "617065223a5b5d2c22646174615f6f666673657473223a5b31362c32345d7d2c22633634223a7b2264747970"
    "65223a22433634222c227368617065223a5b315d2c22646174615f6f666673657473223a5b32342c33325d7d"
    "2c22612e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c335d2c226461"
    "74615f6f666673657473223a5b33322c35365d7d2c22656d707479223a7b226474797065223a22463332222c"
    "227368617065223a5b322c305d2c22646174615f6f666673657473223a5b35362c35365d7d2c227a223a7b22"
    "6474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b35362c"
    "36345d7d2c22753332223a7b226474797065223a22553332222c227368617065223a5b315d2c22646174615f"
    "6f666673657473223a5b36342c36385d7d2c22693332223a7b226474797065223a22493332222c2273686170"
    "65223a5b315d2c22646174615f6f666673657473223a5b36382c37325d7d2c2262223a7b226474797065223a"
    "2242463136222c227368617065223a5b325d2c22646174615f6f666673657473223a5b37322c37365d7d2c22"
    "68616c66223a7b226474797065223a22463136222c227368617065223a5b315d2c22646174615f6f66667365"
    "7473223a5b37362c37385d7d2c22753136223a7b226474797065223a22553136222c227368617065223a5b31"
    "5d2c22646174615f6f666673657473223a5b37382c38305d7d2c22693136223a7b226474797065223a224931"
    "36222c227368617065223a5b315d2c22646174615f6f666673657473223a5b38302c38325d7d2c226638223a"
    "7b226474797065223a2246385f45344d33222c227368617065223a5b325d2c22646174615f6f666673657473"
    "223a5b38322c38345d7d2c22663835223a7b226474797065223a2246385f45354d32222c227368617065223a"
    "5b315d2c22646174615f6f666673657473223a5b38342c38355d7d2c22715c225c5c5c6e223a7b2264747970"
    "65223a224938222c227368617065223a5b315d2c22646174615f6f666673657473223a5b38352c38365d7d2c"
    "22c3a9223a7b226474797065223a225538222c227368617065223a5b325d2c22646174615f6f666673657473"
    "223a5b38362c38385d7d2c22666c6167223a7b226474797065223a22424f4f4c222c227368617065223a5b33"
    "5d2c22646174615f6f666673657473223a5b38382c39315d7d7d2020202020200b0000000000000007000000"
    "0000000000000000000008400000803f00000040000000000000803f0000004000004040000080400000a040"
    "0000803f000000c00900000005000000c03f20400038fffffeff38403cff0102010001";

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

/// The tensors of a file, last first, so that a writer that keeps their order is found.
std::vector<TensorToWrite> Reversed(const View& view) {
  std::vector<TensorToWrite> tensors;
  for (const TensorView& tensor : view.tensors()) {
    tensors.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.data});
  }
  std::reverse(tensors.begin(), tensors.end());
  return tensors;
}

TEST(WriteTest, WritesThePythonLibrarysBytes) {
  for (const std::string_view hex : {kLoraFile, kEveryTypeFile}) {
    const std::string theirs = FromHex(hex);
    const auto view = View::Parse(theirs, "theirs");
    ASSERT_TRUE(view.ok()) << view.status();

    const auto ours = Write(Reversed(*view));

    ASSERT_TRUE(ours.ok()) << ours.status();
    EXPECT_EQ(*ours, theirs);
  }
}

TEST(WriteTest, ReadsThePythonLibrarysValues) {
  const std::string file = FromHex(kEveryTypeFile);
  const auto view = View::Parse(file, "theirs");
  ASSERT_TRUE(view.ok()) << view.status();

  EXPECT_EQ(view->tensors().size(), 18u);
  EXPECT_EQ(view->metadata().at("format"), "pt");
  EXPECT_EQ(view->Find("half")->dtype, DType::kF16);
  EXPECT_EQ(view->Find("half")->data, std::string("\x00\x38", 2));
  EXPECT_EQ(view->Find("flag")->data, std::string("\1\0\1", 3));
  EXPECT_EQ(view->Find("q\"\\\n")->data, "\xff");
  EXPECT_EQ(view->Find("\xc3\xa9")->data, "\1\2");
  EXPECT_EQ(view->Find("z")->data, std::string("\0\0\x80\x3f\0\0\0\xc0", 8));
}

TEST(WriteTest, StartsDataAtAMultipleOfEightBytes) {
  for (size_t length = 1; length <= 16; ++length) {
    const std::string file = MustWrite({Bytes(std::string(length, 'n'), "1")});
    EXPECT_EQ((file.size() - 1) % 8, 0u) << length;
    EXPECT_TRUE(View::Parse(file, "w").ok()) << length;
  }
}

TEST(WriteTest, KeepsMetadataBesideTheFormat) {
  const auto file = Write({Bytes("a", "1")}, {{"k", "v"}});
  ASSERT_TRUE(file.ok()) << file.status();

  const auto view = View::Parse(*file, "w");

  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"k", "v"}}));
}

TEST(WriteTest, RefusesWhatNoReaderWouldTake) {
  const auto refusal = [](std::vector<TensorToWrite> tensors) {
    return Write(std::move(tensors)).status();
  };
  EXPECT_THAT(refusal({Bytes("a", "1"), Bytes("a", "2")}).message(), HasSubstr("stands twice"));
  EXPECT_THAT(refusal({Bytes("", "1")}).message(), HasSubstr("no name"));
  EXPECT_THAT(refusal({Bytes("__metadata__", "1")}).message(), HasSubstr("no name"));
  EXPECT_THAT(refusal({Bytes("a\xff", "1")}).message(), HasSubstr("no name"));
  EXPECT_THAT(refusal({Bytes(std::string(4097, 'n'), "1")}).message(), HasSubstr("no name"));
  EXPECT_THAT(refusal({{"a", DType::kF32, {2}, "1234"}}).message(), HasSubstr("doesn't fit"));
  EXPECT_THAT(refusal({{"a", DType::kF32, {-1}, "1234"}}).message(), HasSubstr("doesn't fit"));
  EXPECT_THAT(refusal({{"a", DType::kU8, std::vector<int64_t>(17, 1), "1"}}).message(),
              HasSubstr("doesn't fit"));
  EXPECT_THAT(Write({Bytes("a", "1")}, {{"k", "\xff"}}).status().message(),
              HasSubstr("isn't UTF-8"));
  for (const Status& status :
       {refusal({Bytes("a", "1"), Bytes("a", "2")}), refusal({Bytes("", "1")}),
        refusal({{"a", DType::kF32, {2}, "1234"}})}) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace graft::safetensors
