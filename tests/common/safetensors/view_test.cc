#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/safetensors/safetensors.h"
#include "tests/common/safetensors/build.h"

namespace graft::safetensors {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

Status Refusal(const std::string& file) { return View::Parse(file, "w.safetensors").status(); }

std::string Entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

std::string One(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{" + Entry("test", dtype, shape, offsets) + "}";
}

/// The file is refused as malformed with a sentence that names the file and holds `part`.
void ExpectMalformed(const std::string& file, const std::string& part) {
  const Status status = Refusal(file);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(status.message(), AllOf(HasSubstr("w.safetensors"), HasSubstr(part)));
}

/// The file is refused as torn.
void ExpectTorn(const std::string& file, const std::string& part) {
  const Status status = Refusal(file);
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
  EXPECT_THAT(status.message(), AllOf(HasSubstr("w.safetensors"), HasSubstr(part)));
}

// The vectors of huggingface/safetensors, safetensors/src/tensor.rs, follow.

TEST(ViewTest, ReadsTheReferencesMatrix) {
  const std::string file = std::string("<\0\0\0\0\0\0\0", 8) +
                           R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})" +
                           Zeros(16);

  const auto view = View::Parse(file, "w.safetensors");

  ASSERT_TRUE(view.ok()) << view.status();
  ASSERT_EQ(view->tensors().size(), 1u);
  EXPECT_EQ(view->tensors()[0].name, "test");
  EXPECT_EQ(view->tensors()[0].dtype, DType::kI32);
  EXPECT_THAT(view->tensors()[0].shape, ElementsAre(2, 2));
  EXPECT_EQ(view->tensors()[0].data, Zeros(16));
  EXPECT_EQ(view->tensors()[0].data.data(), file.data() + 68);
}

TEST(ViewTest, ReadsTheReferencesScalar) {
  const std::string file = std::string("8\0\0\0\0\0\0\0", 8) +
                           R"({"test":{"dtype":"I32","shape":[],"data_offsets":[0,4]}})" +
                           std::string("\1\2\3\4");

  const auto view = View::Parse(file, "w.safetensors");

  ASSERT_TRUE(view.ok()) << view.status();
  ASSERT_NE(view->Find("test"), nullptr);
  EXPECT_THAT(view->Find("test")->shape, IsEmpty());
  EXPECT_EQ(view->Find("test")->data, "\1\2\3\4");
  EXPECT_EQ(view->Find("tes"), nullptr);
}

TEST(ViewTest, ReadsAHeaderWithoutTensorsAndWithWhiteSpaceAroundIt) {
  for (const char* header : {"{}", "{}\r \t\n", "\t\n{}\r "}) {
    const auto view = View::Parse(Raw(header, ""), "w.safetensors");

    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_THAT(view->tensors(), IsEmpty());
  }
}

TEST(ViewTest, ReadsATensorOfNoElements) {
  const std::string file = Raw(One("I32", "[2,0]", "[0, 0]"), "");

  const auto view = View::Parse(file, "w.safetensors");

  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_THAT(view->Find("test")->shape, ElementsAre(2, 0));
  EXPECT_EQ(view->Find("test")->data, "");
}

TEST(ViewTest, RefusesBytesBehindTheLastTensor) {
  ExpectTorn(Raw(One("I32", "[2,2]", "[0,16]"), Zeros(16) + "extra_bogus_data_for_polyglot_file"),
             "bytes follow the last tensor");
  ExpectTorn(Raw("{}", "x"), "bytes follow the last tensor");
}

TEST(ViewTest, RefusesDataThatIsCut) {
  ExpectTorn(Raw(One("I32", "[2,2]", "[0,16]"), Zeros(14)), "ends before its last tensor");
}

TEST(ViewTest, RefusesAHeaderOverTheLimit) {
  const std::string file = std::string("<\0\0\0\0\xff\xff\xff", 8) +
                           R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})" +
                           Zeros(16);
  ExpectMalformed(file, "100,000,000");
  // 100,000,001 is refused by its size, 100,000,000 only because it isn't there.
  ExpectMalformed(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8), "100,000,000");
  ExpectTorn(std::string("\x00\xe1\xf5\x05\0\0\0\0", 8), "ends inside its header");
}

TEST(ViewTest, WhatStandsInAFilesPlaceIsNamed) {
  EXPECT_THAT(
      Refusal("version https://git-lfs.github.com/spec/v1\noid sha256:0\n").message(),
      HasSubstr("w.safetensors is a Git LFS pointer, not the file itself; run git lfs pull"));
  EXPECT_THAT(Refusal("  <!doctype HTML><html>").message(), HasSubstr("is a web page"));
}

TEST(ViewTest, RefusesAFileThatEndsInItsHeader) {
  ExpectTorn("", "too short");
  ExpectTorn(Zeros(7), "too short");
  ExpectTorn(std::string("<\0\0\0\0\0\0\0", 8), "ends inside its header");
  ExpectTorn(std::string("\3\0\0\0\0\0\0\0{}", 10), "ends inside its header");
}

TEST(ViewTest, RefusesAHeaderThatIsNoJsonObject) {
  ExpectMalformed(Raw("\xff", ""), "not valid JSON");
  ExpectMalformed(Raw("{", ""), "not valid JSON");
  ExpectMalformed(Raw("", ""), "not valid JSON");
  ExpectMalformed(Raw("{} x", ""), "not valid JSON");
  ExpectMalformed(Raw(std::string("{}\0", 3), ""), "not valid JSON");
  ExpectMalformed(Raw("[]", ""), "isn't a JSON object");
  ExpectMalformed(Raw("7", ""), "isn't a JSON object");
}

TEST(ViewTest, RefusesOffsetsThatDontFitTheShape) {
  ExpectMalformed(Raw(One("I32", "[2,2]", "[0,4]"), Zeros(16)), "don't fit its shape");
  ExpectMalformed(Raw(One("I32", "[2,2]", "[0,20]"), Zeros(20)), "don't fit its shape");
  ExpectMalformed(Raw(One("I32", "[2,2]", "[16,0]"), Zeros(16)), "don't fit its shape");
  ExpectMalformed(Raw(One("I32", "[2,2]", "[18446744073709551600,0]"), Zeros(16)),
                  "don't fit its shape");
}

TEST(ViewTest, RefusesShapesThatOverflow) {
  ExpectMalformed(Raw(One("I32", "[2,18446744073709551614]", "[0,16]"), Zeros(16)), "out of range");
  ExpectMalformed(Raw(One("I32", "[2,9223372036854775807]", "[0,16]"), Zeros(16)), "overflows");
  // The elements fit 64 bits, their bits don't.
  ExpectMalformed(Raw(One("I32", "[2305843009213693952]", "[0,0]"), ""), "overflows");
  ExpectMalformed(Raw(One("U8", "[4294967296,4294967296]", "[0,0]"), ""), "overflows");
}

TEST(ViewTest, RefusesTensorsThatShareBytes) {
  std::string header = "{";
  for (int i = 0; i < 10; ++i) {
    header += (i > 0 ? "," : "") + Entry("weight_" + std::to_string(i), "I32", "[2,2]", "[0,16]");
  }
  ExpectMalformed(Raw(header + "}", Zeros(16)), "overlaps another");
  ExpectMalformed(
      Raw("{" + Entry("a", "U8", "[8]", "[0,8]") + "," + Entry("b", "U8", "[8]", "[7,15]") + "}",
          Zeros(15)),
      "the tensor b overlaps another");
}

TEST(ViewTest, RefusesHoles) {
  ExpectMalformed(Raw(One("U8", "[4]", "[4,8]"), Zeros(8)), "leaves a hole");
  ExpectMalformed(
      Raw("{" + Entry("a", "U8", "[4]", "[0,4]") + "," + Entry("b", "U8", "[4]", "[5,9]") + "}",
          Zeros(9)),
      "the tensor b overlaps another or leaves a hole");
}

// Beyond the reference's vectors.

TEST(ViewTest, GivesTensorsInOffsetOrderWhateverTheHeadersOrder) {
  const std::string file =
      Raw("{" + Entry("a", "U8", "[3]", "[2,5]") + "," + Entry("e", "U8", "[0]", "[2,2]") + "," +
              Entry("z", "U8", "[2]", "[0,2]") + "}",
          "zzaaa");

  const auto view = View::Parse(file, "w.safetensors");

  ASSERT_TRUE(view.ok()) << view.status();
  ASSERT_EQ(view->tensors().size(), 3u);
  EXPECT_EQ(view->tensors()[0].data, "zz");
  EXPECT_EQ(view->tensors()[1].data, "");
  EXPECT_EQ(view->tensors()[2].data, "aaa");
}

TEST(ViewTest, CountsSubByteTypesInWholeBytes) {
  const auto view = View::Parse(Raw(One("F6_E2M3", "[2,2]", "[0,3]"), Zeros(3)), "w.safetensors");
  EXPECT_TRUE(view.ok()) << view.status();
  ExpectMalformed(Raw(One("F4", "[3]", "[0,1]"), Zeros(1)), "overflows");
}

TEST(ViewTest, RefusesAnUnknownType) {
  for (const char* dtype : {"F33", "", "f32", "F32 "}) {
    ExpectMalformed(Raw(One(dtype, "[1]", "[0,4]"), Zeros(4)), "unknown tensor type");
  }
  ExpectMalformed(Raw(R"({"t":{"dtype":3,"shape":[1],"data_offsets":[0,4]}})", Zeros(4)),
                  "dtype isn't a string");
}

TEST(ViewTest, EveryTypeIsReadByItsName) {
  for (int i = 0; i <= static_cast<int>(DType::kU64); ++i) {
    const auto dtype = static_cast<DType>(i);
    const auto parsed = ParseDType(DTypeName(dtype));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, dtype);
  }
  EXPECT_EQ(DTypeBits(DType::kF4), 4);
  EXPECT_EQ(DTypeBits(DType::kBF16), 16);
  EXPECT_EQ(DTypeBits(DType::kC64), 64);
}

TEST(ViewTest, RefusesEntriesOfAnotherForm) {
  const std::vector<std::pair<std::string, std::string>> entries = {
      {"7", "needs dtype, shape and data_offsets"},
      {"null", "needs dtype, shape and data_offsets"},
      {R"({"dtype":"U8","shape":[1]})", "needs dtype, shape and data_offsets"},
      {R"({"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1})", "and nothing else"},
      {R"({"dtype":"U8","shape":1,"data_offsets":[0,1]})", "shape isn't a list"},
      {R"({"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]})",
       "at most 16 sizes"},
      {R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})", "out of range"},
      {R"({"dtype":"U8","shape":[1.0],"data_offsets":[0,1]})", "out of range"},
      {R"({"dtype":"U8","shape":["1"],"data_offsets":[0,1]})", "out of range"},
      {R"({"dtype":"U8","shape":[1],"data_offsets":[0]})", "aren't two numbers"},
      {R"({"dtype":"U8","shape":[1],"data_offsets":[0,1,2]})", "aren't two numbers"},
      {R"({"dtype":"U8","shape":[1],"data_offsets":[-1,0]})", "aren't two numbers"},
      {R"({"dtype":"U8","shape":[1],"data_offsets":{"a":0,"b":1}})", "aren't two numbers"}};
  for (const auto& [entry, part] : entries) {
    ExpectMalformed(Raw("{\"t\":" + entry + "}", Zeros(1)), part);
  }
}

TEST(ViewTest, RefusesDuplicateNames) {
  ExpectMalformed(
      Raw("{" + Entry("a", "U8", "[1]", "[0,1]") + "," + Entry("a", "U8", "[1]", "[1,2]") + "}",
          Zeros(2)),
      "stands twice");
}

TEST(ViewTest, RefusesNamesThatAreEmptyOrEndless) {
  ExpectMalformed(Raw("{" + Entry("", "U8", "[1]", "[0,1]") + "}", Zeros(1)), "name is empty");
  const std::string name(4096, 'n');
  EXPECT_TRUE(View::Parse(Raw("{" + Entry(name, "U8", "[1]", "[0,1]") + "}", Zeros(1)), "w").ok());
  ExpectMalformed(Raw("{" + Entry(name + "n", "U8", "[1]", "[0,1]") + "}", Zeros(1)),
                  "over 4,096 bytes");
}

TEST(ViewTest, RefusesADepthBomb) {
  const std::string deep(1'000'000, '[');
  ExpectMalformed(Raw("{\"t\":" + deep, ""), "nested deeper");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"t\":";
  ExpectMalformed(Raw(objects, ""), "nested deeper");
}

TEST(ViewTest, ReadsMetadataOfTextsOnly) {
  const auto view =
      View::Parse(Raw(R"({"__metadata__":{"format":"pt","k":"v"}})", ""), "w.safetensors");
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_THAT(view->metadata(), ElementsAre(Pair("format", "pt"), Pair("k", "v")));
  EXPECT_THAT(view->tensors(), IsEmpty());

  ExpectMalformed(Raw(R"({"__metadata__":[]})", ""), "__metadata__ isn't an object");
  ExpectMalformed(Raw(R"({"__metadata__":{"k":1}})", ""), "isn't a string");
}

TEST(ViewTest, SaysWhatToDoAboutAPickle) {
  const std::string legacy("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20j\xa8P\x19.", 15);
  const std::string zip("PK\x03\x04\x00\x00\x08\x08\x00\x00\x00\x00", 12);
  for (const std::string& file : {legacy, zip, "\x80\x05" + std::string(30, 'x')}) {
    ExpectMalformed(file, "safe_serialization=True");
  }
}

TEST(ViewTest, ReadsHeadersWhoseSizeLooksLikeAPicklesStart) {
  // 0x0280, 0x0380, 0x0480 and 0x0580: the bytes 80 02 and so on.
  for (const size_t size : {640u, 896u, 1152u, 1408u}) {
    std::string header = One("U8", "[1]", "[0,1]");
    header.resize(size, ' ');

    const auto view = View::Parse(Raw(header, Zeros(1)), "w.safetensors");

    EXPECT_TRUE(view.ok()) << size << ": " << view.status();
  }
}

TEST(ViewTest, NoPrefixOfAFileIsTakenForTheFile) {
  const std::string file = MustWrite({Bytes("a", "12345"), Bytes("b", "xyz")});
  ASSERT_TRUE(View::Parse(file, "w").ok());
  for (size_t size = 0; size < file.size(); ++size) {
    const std::string cut(file, 0, size);  // Its own memory, so that a read past it is found.
    EXPECT_FALSE(View::Parse(cut, "w").ok()) << size;
  }
}

TEST(ViewTest, TensorsStayInsideTheFileWhateverByteIsChanged) {
  const std::string file = MustWrite({Bytes("a", "12345"), Bytes("b", "xyz")});
  int accepted = 0;
  for (size_t i = 0; i < file.size(); ++i) {
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      std::string changed = file;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      const auto view = View::Parse(changed, "w");
      if (!view.ok()) continue;
      ++accepted;
      size_t bytes = 0;
      for (const TensorView& tensor : view->tensors()) bytes += tensor.data.size();
      EXPECT_EQ(bytes, 8u);
      for (const TensorView& tensor : view->tensors()) {
        EXPECT_GE(tensor.data.data(), changed.data());
        EXPECT_LE(tensor.data.data() + tensor.data.size(), changed.data() + changed.size());
      }
    }
  }
  EXPECT_GT(accepted, 0);  // Changed names and data are still files.
}

}  // namespace
}  // namespace graft::safetensors
