#include "common/base/sha256.h"
#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

class UploadTest : public ServerFixture {
 protected:
  void Configure() override { limits_.max_upload_bytes = 4 << 20; }

  grpc::Status Upload(const std::string& name, const std::vector<std::string>& chunks,
                      v1::Dataset* dataset) {
    grpc::ClientContext context;
    auto writer = datasets_->UploadDataset(&context, dataset);
    v1::UploadDatasetRequest request;
    request.mutable_header()->set_file_name(name);
    writer->Write(request);
    Sha256 hash;
    for (const std::string& chunk : chunks) {
      hash.Update(chunk);
      request.set_chunk(chunk);
      if (!writer->Write(request)) break;
    }
    request.set_sha256(declared_.empty() ? hash.HexDigest() : declared_);
    if (ends_) writer->Write(request);
    writer->WritesDone();
    return writer->Finish();
  }
  std::string declared_;  ///< Said in place of the bytes' hash.
  bool ends_ = true;      ///< False: the stream ends without saying so.

  std::vector<std::string> Objects() {
    auto keys = objects_.List("", "", 1000);
    EXPECT_TRUE(keys.ok());
    return *keys;
  }
};

TEST_F(UploadTest, FileIsStoredUnderItsHashAndATrainingSetLikeAnyOther) {
  const std::string text = "text,label\ngood film,good\nbad film,bad\n";
  v1::Dataset dataset;

  const grpc::Status status = Upload("train.csv", {text.substr(0, 10), text.substr(10)}, &dataset);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(dataset.name(), "datasets/" + Sha256Hex(text));
  EXPECT_EQ(dataset.bytes(), static_cast<int64_t>(text.size()));
  v1::JobSpec spec = Spec();
  spec.mutable_dataset()->set_train(dataset.uri());
  v1::Job job;
  ASSERT_TRUE(Create(spec, &job).ok());
  EXPECT_EQ(WaitFor(job.name(), v1::QUEUED).facts().train_examples(), 2);
}

TEST_F(UploadTest, FormatMayBeSaidByTheSpecInsteadOfTheName) {
  v1::Dataset dataset;
  ASSERT_TRUE(Upload("train.dat", {"text,label\ngood film,good\nbad film,bad\n"}, &dataset).ok());
  v1::JobSpec spec = Spec();
  spec.mutable_dataset()->set_train(dataset.uri());
  v1::Job unknown, said;
  ASSERT_TRUE(Create(spec, &unknown).ok());
  spec.mutable_dataset()->set_format("csv");
  ASSERT_TRUE(Create(spec, &said).ok());

  EXPECT_EQ(WaitFor(unknown.name(), v1::FAILED).error().details(0).field(), "dataset.train");
  EXPECT_EQ(WaitFor(said.name(), v1::QUEUED).facts().train_examples(), 2);
}

TEST_F(UploadTest, EachNameOfTheSameBytesTellsItsOwnFormat) {
  const std::string text = "text\tlabel\nx,y\ta\nz\tb\n";
  v1::Dataset wrong, right;
  ASSERT_TRUE(Upload("train.jsonl", {text}, &wrong).ok());
  ASSERT_TRUE(Upload("train.tsv", {text}, &right).ok());
  EXPECT_EQ(right.uri(), "graft://datasets/" + Sha256Hex(text) + "/train.tsv");
  EXPECT_EQ(right.name(), wrong.name());
  v1::JobSpec spec = Spec();
  v1::Job refused, read;
  spec.mutable_dataset()->set_train(wrong.uri());
  ASSERT_TRUE(Create(spec, &refused).ok());
  spec.mutable_dataset()->set_train(right.uri());
  ASSERT_TRUE(Create(spec, &read).ok());

  EXPECT_THAT(WaitFor(refused.name(), v1::FAILED).error().details(0).message(),
              testing::HasSubstr("isn't JSON"));
  EXPECT_EQ(WaitFor(read.name(), v1::QUEUED).facts().train_examples(), 2);
}

TEST_F(UploadTest, SameBytesUnderAnotherNameAreReadAsBefore) {
  const std::string text = "text,label\ngood film,good\nbad film,bad\n";
  v1::Dataset dataset, again;
  ASSERT_TRUE(Upload("notes.txt", {text}, &dataset).ok());
  ASSERT_TRUE(Upload("train.csv", {text}, &dataset).ok());
  ASSERT_TRUE(Upload("notes.txt", {text}, &again).ok());
  v1::JobSpec spec = Spec();
  spec.mutable_dataset()->set_train(dataset.uri());
  v1::Job job;

  ASSERT_TRUE(Create(spec, &job).ok());

  EXPECT_EQ(WaitFor(job.name(), v1::QUEUED).facts().train_examples(), 2);
}

TEST_F(UploadTest, SameFileTwiceIsOneObject) {
  v1::Dataset first;
  v1::Dataset second;
  ASSERT_TRUE(Upload("a.csv", {"text,label\n"}, &first).ok());
  const size_t objects = Objects().size();

  ASSERT_TRUE(Upload("a.csv", {"text,", "label\n"}, &second).ok());

  EXPECT_EQ(second.name(), first.name());
  EXPECT_EQ(Objects().size(), objects);
}

TEST_F(UploadTest, RefusedUploadsLeaveNothing) {
  v1::Dataset dataset;
  const std::string megabyte(1 << 20, 'x');

  EXPECT_EQ(Upload("a.csv", {megabyte, megabyte, megabyte, megabyte, "x"}, &dataset).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Upload("a.csv", {std::string((1 << 20) + 1, 'x')}, &dataset).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Upload("a.csv", {}, &dataset).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Upload("../a.csv", {"x"}, &dataset).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Upload("", {"x"}, &dataset).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(Objects(), testing::IsEmpty());
}

TEST_F(UploadTest, StreamsThatBreakOffOrChangeOnTheWayLeaveNothing) {
  v1::Dataset dataset;
  ends_ = false;
  EXPECT_EQ(Upload("a.csv", {"text,label\n"}, &dataset).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  ends_ = true;
  declared_ = Sha256Hex("text,labels\n");
  EXPECT_EQ(Upload("a.csv", {"text,label\n"}, &dataset).error_code(), grpc::StatusCode::DATA_LOSS);
  declared_ = "abc";
  EXPECT_EQ(Upload("a.csv", {"text,label\n"}, &dataset).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  Stop();
  EXPECT_THAT(Objects(), testing::IsEmpty());
}

TEST_F(UploadTest, CancelledUploadLeavesNothing) {
  {
    grpc::ClientContext context;
    v1::Dataset dataset;
    auto writer = datasets_->UploadDataset(&context, &dataset);
    v1::UploadDatasetRequest request;
    request.mutable_header()->set_file_name("a.csv");
    writer->Write(request);
    request.set_chunk("text,label\n");
    writer->Write(request);
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  Stop();  // Every call has ended.
  EXPECT_THAT(Objects(), testing::IsEmpty());
}

TEST_F(UploadTest, RequestOfHundredMegabytesIsRefusedAndTheServerStaysUp) {
  v1::JobSpec spec = Spec();
  spec.set_description(std::string(100 << 20, 'x'));
  v1::Job job;

  EXPECT_EQ(Create(spec, &job).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);

  EXPECT_TRUE(Create(Spec(), &job).ok());
}

TEST_F(UploadTest, DeletedUploadIsGone) {
  v1::Dataset dataset;
  ASSERT_TRUE(Upload("a.csv", {"text,label\n"}, &dataset).ok());
  v1::DeleteDatasetRequest request;
  request.set_name(dataset.name());
  v1::DeleteDatasetResponse response;

  grpc::ClientContext first;
  EXPECT_TRUE(datasets_->DeleteDataset(&first, request, &response).ok());
  grpc::ClientContext second;
  EXPECT_EQ(datasets_->DeleteDataset(&second, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(Objects(), testing::IsEmpty());
}

TEST_F(UploadTest, CheckReportsLineByLine) {
  v1::CheckDatasetRequest request;
  request.mutable_dataset()->set_train(
      WriteData("bad.csv", "text,label\ngood,good\n,bad\nx,bad\n"));
  v1::CheckDatasetResponse response;
  grpc::ClientContext context;

  const grpc::Status status = datasets_->CheckDataset(&context, request, &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_FALSE(response.usable());
  ASSERT_EQ(response.errors_size(), 1);
  EXPECT_EQ(response.errors(0).line(), 3);
  EXPECT_NE(response.summary(), "");

  request.mutable_dataset()->set_train("file:///etc/passwd");
  grpc::ClientContext outside;
  EXPECT_EQ(datasets_->CheckDataset(&outside, request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

}  // namespace
}  // namespace graft::server::rpc
