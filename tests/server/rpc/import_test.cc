#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

class ImportTest : public ServerFixture {
 protected:
  void Configure() override { limits_.max_import_bytes = 1000; }

  /// An import under way.
  struct Stream {
    explicit Stream(v1::AdapterService::Stub& stub) {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
      writer = stub.ImportAdapter(&context, &version);
      v1::ImportAdapterRequest request;
      request.mutable_header()->set_base("tiny");
      request.mutable_header()->set_adapter("support");
      writer->Write(request);
    }
    void Send(size_t bytes) {
      v1::ImportAdapterRequest request;
      request.mutable_file()->set_name("adapter_model.safetensors");
      request.mutable_file()->set_chunk(std::string(bytes, 'x'));
      writer->Write(request);
    }
    /// Says another hash than the bytes', so that nothing of it is kept.
    grpc::Status End() {
      v1::ImportAdapterRequest request;
      request.set_sha256(std::string(64, '0'));
      writer->Write(request);
      writer->WritesDone();
      return writer->Finish();
    }
    grpc::ClientContext context;
    v1::AdapterVersion version;
    std::unique_ptr<grpc::ClientWriter<v1::ImportAdapterRequest>> writer;
  };
  void WaitUntilHeld(int64_t bytes) {
    for (int64_t held = -1; held != bytes;)
      OnIo([&] { held = services_->adapters.import_bytes(); });
  }
  grpc::Status Import(size_t bytes) {
    Stream stream(*adapters_);
    stream.Send(bytes);
    return stream.End();
  }
};

TEST_F(ImportTest, AFolderThatIsTooLargeIsRefused) {
  EXPECT_EQ(Import(1000).error_code(), grpc::StatusCode::DATA_LOSS) << "the hash is wrong";

  const grpc::Status refused = Import(1001);

  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), testing::HasSubstr("up to 1000 bytes"));
}

TEST_F(ImportTest, ImportsUnderWayShareOneBudget) {
  Stream first(*adapters_);
  first.Send(700);
  WaitUntilHeld(700);

  const grpc::Status refused = Import(400);

  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), testing::HasSubstr("other imports hold 700"));
  EXPECT_EQ(Import(300).error_code(), grpc::StatusCode::DATA_LOSS) << "there is room for it";
  EXPECT_EQ(first.End().error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Import(1000).error_code(), grpc::StatusCode::DATA_LOSS) << "all was given back";
}

TEST_F(ImportTest, ABrokenImportGivesItsBytesBack) {
  {
    Stream first(*adapters_);
    first.Send(700);
    WaitUntilHeld(700);
    first.context.TryCancel();
    EXPECT_EQ(first.writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }

  WaitUntilHeld(0);
}

}  // namespace
}  // namespace graft::server::rpc
