/// What was uploaded, listed, shown and read back.

#include <google/protobuf/util/message_differencer.h>

#include "common/base/json.h"
#include "common/base/sha256.h"
#include "common/objects/keys.h"
#include "server/intake/uploads.h"
#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::IsEmpty;

class DatasetTest : public ServerFixture {
 protected:
  v1::Dataset Upload(const std::string& file_name, const std::string& text) {
    grpc::ClientContext context;
    v1::Dataset dataset;
    auto writer = datasets_->UploadDataset(&context, &dataset);
    v1::UploadDatasetRequest request;
    request.mutable_header()->set_file_name(file_name);
    writer->Write(request);
    request.set_chunk(text);
    writer->Write(request);
    request.set_sha256(Sha256Hex(text));
    writer->Write(request);
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return dataset;
  }
  /// Puts an upload into the store by hand; returns its name. A time of 0: as an older server did,
  /// without one.
  std::string Store(const std::string& bytes, TimeUs time, const std::string& tenant = "default") {
    const std::string sha256 = Sha256Hex(bytes);
    Json info{{"file_name", "train.csv"}, {"bytes", bytes.size()}};
    if (time > 0) info["create_time_us"] = time;
    EXPECT_TRUE(objects_.Put(objects::UploadDataKey(tenant, sha256), bytes).ok());
    EXPECT_TRUE(objects_.Put(objects::UploadInfoKey(tenant, sha256), info.dump()).ok());
    return "datasets/" + sha256;
  }
  grpc::Status List(int page_size, const std::string& token, v1::ListDatasetsResponse* page) {
    v1::ListDatasetsRequest request;
    request.set_page_size(page_size);
    request.set_page_token(token);
    grpc::ClientContext context;
    return datasets_->ListDatasets(&context, request, page);
  }
  /// The names of all, over pages of this size.
  std::vector<std::string> Names(int page_size = 1000) {
    std::vector<std::string> names;
    v1::ListDatasetsResponse page;
    do {
      const grpc::Status status = List(page_size, page.next_page_token(), &page);
      EXPECT_TRUE(status.ok()) << status.error_message();
      if (!status.ok()) break;
      EXPECT_LE(page.datasets_size(), page_size);
      for (const v1::Dataset& dataset : page.datasets()) names.push_back(dataset.name());
    } while (!page.next_page_token().empty());
    return names;
  }
  grpc::Status GetOne(const std::string& name, v1::Dataset* dataset) {
    v1::GetDatasetRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    return datasets_->GetDataset(&context, request, dataset);
  }
  grpc::Status Delete(const std::string& name) {
    v1::DeleteDatasetRequest request;
    request.set_name(name);
    v1::DeleteDatasetResponse response;
    grpc::ClientContext context;
    return datasets_->DeleteDataset(&context, request, &response);
  }

  using Reader = std::unique_ptr<grpc::ClientReader<v1::ReadDatasetResponse>>;
  Reader Open(const std::string& name, grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1::ReadDatasetRequest request;
    request.set_name(name);
    return datasets_->ReadDataset(&context, request);
  }
  struct Read {
    grpc::Status status;
    std::vector<v1::Dataset> headers;
    std::vector<size_t> chunks;  ///< Their sizes.
    std::string bytes;
  };
  static void ReadOn(Reader& reader, Read& read) {
    for (v1::ReadDatasetResponse part; reader->Read(&part);) {
      if (part.has_dataset()) {
        EXPECT_THAT(read.chunks, IsEmpty()) << "the header comes first";
        read.headers.push_back(part.dataset());
      }
      if (part.has_chunk()) read.chunks.push_back(part.chunk().size());
      read.bytes += part.chunk();
    }
    read.status = reader->Finish();
  }
  Read ReadAll(const std::string& name) {
    grpc::ClientContext context;
    Reader reader = Open(name, context);
    Read read;
    ReadOn(reader, read);
    return read;
  }
  /// More than a connection holds on its way to a client that doesn't read.
  static std::string Long() {
    std::string bytes;
    for (int i = 0; bytes.size() < 32 << 20; ++i) bytes += "text " + std::to_string(i) + "\n";
    return bytes;
  }
};

TEST_F(DatasetTest, ListIsNewestFirstOverPages) {
  std::vector<std::string> names;
  for (const char* text : {"a", "b", "c", "d", "e"})
    names.insert(names.begin(), Upload("train.csv", text).name());

  for (const int page_size : {1, 2, 5, 1000}) EXPECT_EQ(Names(page_size), names) << page_size;

  v1::ListDatasetsResponse page;
  ASSERT_TRUE(List(2, "", &page).ok());
  EXPECT_EQ(page.total_size(), 5);
  ASSERT_TRUE(List(2, page.next_page_token(), &page).ok());
  EXPECT_EQ(page.total_size(), 5);
}

TEST_F(DatasetTest, WithoutUploadsTheListIsEmpty) {
  v1::ListDatasetsResponse page;

  ASSERT_TRUE(List(0, "", &page).ok());

  EXPECT_EQ(page.datasets_size(), 0);
  EXPECT_EQ(page.total_size(), 0);
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(DatasetTest, ListAndGetShowWhatTheUploadWasTold) {
  const TimeUs before = SystemClock().Now();
  const v1::Dataset uploaded = Upload("train.csv", "text,label\n");
  v1::ListDatasetsResponse page;
  v1::Dataset got;

  ASSERT_TRUE(List(1, "", &page).ok());
  ASSERT_TRUE(GetOne(uploaded.name(), &got).ok());

  EXPECT_TRUE(MessageDifferencer::Equals(got, uploaded));
  ASSERT_EQ(page.datasets_size(), 1);
  EXPECT_TRUE(MessageDifferencer::Equals(page.datasets(0), uploaded));
  EXPECT_EQ(got.bytes(), 11);
  EXPECT_EQ(got.file_name(), "train.csv");
  EXPECT_EQ(got.uri(), "graft://datasets/" + Sha256Hex("text,label\n") + "/train.csv");
  EXPECT_GE(got.create_time().seconds(), before / 1'000'000);
  EXPECT_LE(got.create_time().seconds(), SystemClock().Now() / 1'000'000);
}

TEST_F(DatasetTest, TheSameBytesAgainKeepTheirTimeAndTheNameThatTellsAFormat) {
  const v1::Dataset first = Upload("notes.txt", "text,label\n");
  const v1::Dataset other = Upload("train.csv", "other");
  const v1::Dataset renamed = Upload("train.csv", "text,label\n");
  const v1::Dataset again = Upload("again.tsv", "text,label\n");
  v1::Dataset got;

  ASSERT_TRUE(GetOne(first.name(), &got).ok());

  EXPECT_TRUE(MessageDifferencer::Equals(got, renamed));
  EXPECT_EQ(again.file_name(), "again.tsv") << "an upload is answered by its own name";
  EXPECT_TRUE(MessageDifferencer::Equals(again.create_time(), first.create_time()));
  EXPECT_THAT(Names(), ElementsAre(other.name(), first.name()));
}

TEST_F(DatasetTest, PagesOfAListThatChangesHaveEachOnce) {
  const std::string oldest = Store("1", 100), middle = Store("2", 200), newest = Store("3", 300);
  v1::ListDatasetsResponse page;
  ASSERT_TRUE(List(1, "", &page).ok());
  ASSERT_EQ(page.datasets(0).name(), newest);

  const std::string since = Upload("train.csv", "since").name();
  ASSERT_TRUE(Delete(middle).ok());

  ASSERT_TRUE(List(1, page.next_page_token(), &page).ok());
  ASSERT_EQ(page.datasets_size(), 1);
  EXPECT_EQ(page.datasets(0).name(), oldest);
  EXPECT_EQ(page.next_page_token(), "");
  EXPECT_THAT(Names(1), ElementsAre(since, newest, oldest));
}

TEST_F(DatasetTest, APageTokenHoldsOnAnotherServerToo) {
  const std::string old = Store("1", 100), middle = Store("2", 200), late = Store("3", 300);
  v1::ListDatasetsResponse page;
  ASSERT_TRUE(List(1, "", &page).ok());

  OnIo([this] { services_.emplace(*backend_); });  // As after a restart: nothing was looked at yet.
  ASSERT_TRUE(List(1, page.next_page_token(), &page).ok());

  ASSERT_EQ(page.datasets_size(), 1);
  EXPECT_EQ(page.datasets(0).name(), middle);
  EXPECT_EQ(page.total_size(), 3);
}

TEST_F(DatasetTest, OlderServersUploadsAreListedByTheTimeOfTheirBytes) {
  const std::string past = Store("1", 100);
  const std::string old = Store("2", 0);
  const std::string future = Store("3", SystemClock().Now() + 3'600'000'000);
  v1::Dataset got;

  EXPECT_THAT(Names(), ElementsAre(future, old, past));
  ASSERT_TRUE(GetOne(old, &got).ok());
  const auto data = objects_.Stat(objects::UploadDataKey("default", Sha256Hex("2")));
  EXPECT_EQ(got.create_time().seconds(), data->written / 1'000'000);
}

TEST_F(DatasetTest, ADamagedInfoIsShownWithoutAName) {
  const std::string name = Store("1", 100);
  ASSERT_TRUE(objects_.Put(objects::UploadInfoKey("default", Sha256Hex("1")), "{\"fi").ok());
  v1::Dataset got;

  ASSERT_TRUE(GetOne(name, &got).ok());

  EXPECT_EQ(got.file_name(), "");
  EXPECT_EQ(got.uri(), "graft://datasets/" + Sha256Hex("1"));
  EXPECT_EQ(got.bytes(), 1);
  EXPECT_THAT(Names(), ElementsAre(name));
}

TEST_F(DatasetTest, AListRefusesWhatIsntItsOwn) {
  Store("1", 100);
  Store("2", 200);
  v1::Job first, second;
  ASSERT_TRUE(Create(Spec(), &first).ok());
  ASSERT_TRUE(Create(Spec(), &second).ok());
  v1::ListJobsRequest jobs;
  jobs.set_page_size(1);
  v1::ListJobsResponse page_of_jobs;
  grpc::ClientContext context;
  ASSERT_TRUE(jobs_->ListJobs(&context, jobs, &page_of_jobs).ok());
  ASSERT_NE(page_of_jobs.next_page_token(), "");
  v1::ListDatasetsResponse page;
  ASSERT_TRUE(List(1, "", &page).ok());
  std::string changed = page.next_page_token();
  changed[0] = changed[0] == '1' ? '2' : '1';

  for (const std::string& token : {page_of_jobs.next_page_token(), changed, std::string("x")}) {
    const grpc::Status status = List(1, token, &page);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(FieldOf(status), "page_token");
  }
  for (const int page_size : {-1, 1001})
    EXPECT_EQ(FieldOf(List(page_size, "", &page)), "page_size");
}

TEST_F(DatasetTest, DeletedUploadsAreNowhere) {
  const v1::Dataset dataset = Upload("train.csv", "text,label\n");
  ASSERT_THAT(Names(), ElementsAre(dataset.name()));

  ASSERT_TRUE(Delete(dataset.name()).ok());

  v1::Dataset got;
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_EQ(GetOne(dataset.name(), &got).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReadAll(dataset.name()).status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(DatasetTest, AnotherTenantsUploadsAreNowhere) {
  const std::string foreign = Store("1", 100, "other");
  v1::Dataset got;

  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_EQ(GetOne(foreign, &got).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReadAll(foreign).status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(DatasetTest, WhatIsNoNameOfADataSetIsRefused) {
  for (const char* name : {"", "datasets/", "jobs/abc", "datasets/../x"}) {
    v1::Dataset got;
    const grpc::Status status = GetOne(name, &got);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << name;
    EXPECT_EQ(FieldOf(status), "name");
    EXPECT_EQ(ReadAll(name).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << name;
  }
}

TEST_F(DatasetTest, AFileIsReadAsItWasUploaded) {
  std::string bytes("\0\xff\r\n", 4);
  for (int i = 0; i < 1000; ++i) bytes += static_cast<char>(i);
  const v1::Dataset dataset = Upload("train.csv", bytes);

  const Read read = ReadAll(dataset.name());

  EXPECT_TRUE(read.status.ok()) << read.status.error_message();
  ASSERT_EQ(read.headers.size(), 1U);
  EXPECT_TRUE(MessageDifferencer::Equals(read.headers[0], dataset));
  EXPECT_EQ(read.bytes, bytes);
}

TEST_F(DatasetTest, ALargeFileComesInChunks) {
  constexpr size_t kChunk = 1 << 20;
  for (const size_t size : {2 * kChunk, 2 * kChunk + 7}) {
    const std::string bytes = Long().substr(0, size);

    const Read read = ReadAll(Store(bytes, 100));

    EXPECT_TRUE(read.status.ok()) << read.status.error_message();
    EXPECT_TRUE(read.bytes == bytes);
    std::vector<size_t> sizes{kChunk, kChunk};
    if (size > 2 * kChunk) sizes.push_back(7);
    EXPECT_EQ(read.chunks, sizes);
  }
}

TEST_F(DatasetTest, AReadThatIsCancelledInTheMiddleEnds) {
  const std::string name = Store(Long(), 100);
  grpc::ClientContext context;
  Reader reader = Open(name, context);
  v1::ReadDatasetResponse part;
  ASSERT_TRUE(reader->Read(&part));
  ASSERT_TRUE(reader->Read(&part));

  context.TryCancel();

  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  Stop();  // Every call has ended.
  EXPECT_THAT(probe_.TakeEnded(), testing::Contains(testing::Pair("DatasetService.ReadDataset",
                                                                  StatusCode::kCancelled)))
      << "and this one before its file did";
}

TEST_F(DatasetTest, WhatIsDeletedWhileItIsReadSaysSo) {
  const std::string name = Store(Long(), 100);
  grpc::ClientContext context;
  Reader reader = Open(name, context);
  v1::ReadDatasetResponse part;
  ASSERT_TRUE(reader->Read(&part));

  ASSERT_TRUE(Delete(name).ok());

  Read read;
  ReadOn(reader, read);
  EXPECT_EQ(read.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(read.status.error_message(), testing::HasSubstr("deleted meanwhile"));
  EXPECT_LT(read.bytes.size(), Long().size());
}

TEST_F(DatasetTest, BytesThatWereDamagedAreSaidToBe) {
  const std::string name = Store("text,label\n", 100);
  const std::string key = objects::UploadDataKey("default", Sha256Hex("text,label\n"));
  ASSERT_TRUE(objects_.Put(key, "text,labels").ok());

  EXPECT_EQ(ReadAll(name).status.error_code(), grpc::StatusCode::DATA_LOSS);
}

}  // namespace
}  // namespace graft::server::rpc
