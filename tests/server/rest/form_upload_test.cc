#include "server/rest/form_upload.h"

#include <future>
#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace graft::server::rest {
namespace {

using graft::v1::UploadDatasetRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

/// A body that is there, in pieces; then it ends, or breaks off.
class FakeBody final : public http::BodyReader {
 public:
  FakeBody(std::string bytes, size_t piece, bool breaks_off)
      : bytes_(std::move(bytes)), piece_(piece), breaks_off_(breaks_off) {}
  calls::Awaitable<StatusOr<std::string>> Read() override {
    if (at_ == bytes_.size() && breaks_off_) co_return DataLossError("it broke off");
    std::string piece = bytes_.substr(at_, piece_);
    at_ += piece.size();
    co_return piece;
  }

 private:
  const std::string bytes_;
  const size_t piece_;
  const bool breaks_off_;
  size_t at_ = 0;
};

Status TakeAll(const FormUpload::Fields&) { return OkStatus(); }
Status WantPurpose(const FormUpload::Fields& fields) {
  if (fields.contains("purpose")) return OkStatus();
  return InvalidArgumentError("a purpose must be there").At("purpose");
}

struct Upload {
  std::string file_name;
  std::string bytes;
  std::string sha256;  ///< Empty: the upload isn't complete.
  int messages = 0;
  Status status;
  FormUpload::Fields fields;
};

calls::Awaitable<void> ReadAll(FormUpload& form, Upload& upload) {
  bool goes_on = co_await form.Read();
  while (goes_on) {
    ++upload.messages;
    const UploadDatasetRequest& message = form.message();
    if (message.has_header()) upload.file_name = message.header().file_name();
    upload.bytes += message.chunk();
    upload.sha256 = message.sha256();
    goes_on = co_await form.Read();
  }
}

Upload Read(const std::string& bytes, size_t piece = 1000, bool breaks_off = false,
            Status (*check)(const FormUpload::Fields&) = TakeAll) {
  FakeBody body(bytes, piece, breaks_off);
  FormUpload form(body, "xyz", check);
  Upload upload;
  boost::asio::io_context io;
  auto done = boost::asio::co_spawn(io, ReadAll(form, upload), boost::asio::use_future);
  io.run();
  done.get();
  upload.status = form.status();
  upload.fields = form.fields();
  return upload;
}

std::string Field(const std::string& name, const std::string& value) {
  return "--xyz\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}
std::string File(const std::string& bytes, const std::string& name = "train.csv",
                 const std::string& field = "file") {
  return "--xyz\r\nContent-Disposition: form-data; name=\"" + field + "\"; filename=\"" + name +
         "\"\r\n\r\n" + bytes + "\r\n";
}
const std::string kEnd = "--xyz--\r\n";

TEST(FormUploadTest, AFileIsAnUpload) {
  const Upload upload = Read(File("abc") + kEnd);

  EXPECT_TRUE(upload.status.ok()) << upload.status;
  EXPECT_EQ(upload.file_name, "train.csv");
  EXPECT_EQ(upload.bytes, "abc");
  EXPECT_EQ(upload.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(FormUploadTest, AnEmptyFileIsOneToo) {
  const Upload upload = Read(File("") + kEnd);

  EXPECT_TRUE(upload.status.ok()) << upload.status;
  EXPECT_EQ(upload.messages, 2);
  EXPECT_EQ(upload.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(FormUploadTest, FieldsStandInFrontOfTheFileOrBehindIt) {
  for (const std::string& bytes : {Field("purpose", "fine-tune") + File("abc") + kEnd,
                                   File("abc") + Field("purpose", "fine-tune") + kEnd}) {
    const Upload upload = Read(bytes, 1000, false, WantPurpose);

    EXPECT_TRUE(upload.status.ok()) << upload.status;
    EXPECT_EQ(upload.fields, (FormUpload::Fields{{"purpose", "fine-tune"}}));
    EXPECT_THAT(upload.sha256, SizeIs(64));
  }
}

TEST(FormUploadTest, BytesInAnyPiecesAreTheSameFile) {
  const std::string bytes = File("line\r\n--xy\r\nline") + Field("purpose", "fine-tune") + kEnd;
  for (const size_t piece : {1, 2, 3, 7, 64}) {
    const Upload upload = Read(bytes, piece);

    EXPECT_EQ(upload.bytes, "line\r\n--xy\r\nline") << piece;
    EXPECT_THAT(upload.sha256, SizeIs(64));
  }
}

struct Row {
  const char* name;
  std::string bytes;
  const char* says;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

std::vector<Row> Rows() {
  std::string many;
  for (int i = 0; i < 33; ++i) many += Field("f" + std::to_string(i), "");
  return {
      {"NoFile", Field("purpose", "fine-tune") + kEnd, "has no file"},
      {"FileOfAnotherName", Field("purpose", "x") + File("abc", "a.csv", "upload") + kEnd,
       "has one file"},
      {"TwoFiles", Field("purpose", "x") + File("abc") + File("def") + kEnd, "has one file"},
      {"FieldTwice", Field("purpose", "x") + Field("purpose", "x") + File("abc") + kEnd, "twice"},
      {"FieldWithoutEnd", Field("purpose", std::string(5000, 'x')) + File("abc") + kEnd,
       "too long"},
      {"ManyFields", many + File("abc") + kEnd, "too many"},
      {"NoPurpose", File("abc") + kEnd, "purpose must be there"},
      {"NameNotUtf8", Field("purpose", "x") + File("abc", "\xff.csv") + kEnd, "UTF-8"},
      {"EndsInTheFile", Field("purpose", "x") + File("abc"), "ends in the middle"},
      {"EndsAtOnce", "", "ends in the middle"},
      {"NoForm", std::string(5000, 'x'), "malformed"},
  };
}

class FormUploadFaultTest : public ::testing::TestWithParam<Row> {};

TEST_P(FormUploadFaultTest, IsToldAndLeavesTheUploadIncomplete) {
  for (const size_t piece : {1, 1000}) {
    const Upload upload = Read(GetParam().bytes, piece, false, WantPurpose);

    EXPECT_EQ(upload.status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(upload.status.message(), HasSubstr(GetParam().says));
    EXPECT_EQ(upload.sha256, "");
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, FormUploadFaultTest, ::testing::ValuesIn(Rows()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(FormUploadTest, ABodyThatBreaksOffIsNoUpload) {
  const Upload upload = Read(File("abc"), 10, true);

  EXPECT_EQ(upload.status.code(), StatusCode::kDataLoss);
  EXPECT_EQ(upload.sha256, "");
}

}  // namespace
}  // namespace graft::server::rest
