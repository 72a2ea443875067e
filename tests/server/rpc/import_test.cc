#include <map>
#include <set>

#include "common/artifacts/artifact.h"
#include "common/base/sha256.h"
#include "common/families/layout.h"
#include "common/methods/method_spec.h"
#include "common/safetensors/safetensors.h"
#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

class ImportTest : public ServerFixture {
 protected:
  void Configure() override { limits_.max_import_bytes = 1000; }

  /// An import under way.
  struct Stream {
    explicit Stream(v1::AdapterService::Stub& stub, const std::string& adapter = "support") {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
      writer = stub.ImportAdapter(&context, &version);
      v1::ImportAdapterRequest request;
      request.mutable_header()->set_base("tiny");
      request.mutable_header()->set_adapter(adapter);
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

TEST_F(ImportTest, AnAdapterCantHaveABasesName) {
  Stream stream(*adapters_, "tiny");

  const grpc::Status refused = stream.End();

  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), testing::HasSubstr("a base is named tiny"));
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

/// Imports of folders with files.
class ImportFolderTest : public ServerFixture {
 protected:
  using Folder = std::map<std::string, std::string>;

  /// A folder for the tiny base, all of whose tensors are zeros.
  static Folder FolderOfZeros(const std::string& method_name, const Json& fields) {
    const auto layout = families::ReadLayout(kTinyConfig, {});
    const auto method = (*methods::ParseMethod(method_name, fields))->Resolve(*layout);
    std::map<std::string, std::vector<safetensors::TensorToWrite>> tensors;
    const std::string zeros(8192, '\0');
    for (const auto& spec : (*method)->Tensors(*layout, tasks::Classification({"no", "yes"}))) {
      size_t bytes = sizeof(float);
      for (const int64_t size : spec.shape) bytes *= static_cast<size_t>(size);
      tensors[spec.file].push_back({spec.key, safetensors::DType::kF32, spec.shape,
                                    std::string_view(zeros).substr(0, bytes)});
    }
    Folder folder =
        (*method)->ConfigFiles(*layout, {"tiny", "graft", tasks::Classification({"no", "yes"})});
    for (auto& [file, in_file] : tensors) folder[file] = *safetensors::Write(in_file);
    return folder;
  }
  static Folder UntrainedFolder() { return FolderOfZeros("lora", {{"rank", 2}}); }
  /// A whole model, sealed as a version of the tiny base.
  Folder WholeModel() {
    const intake::BasePtr base = *catalog_->Find("tiny");
    Folder folder = FolderOfZeros("full", Json::object());
    const artifacts::Identity identity{
        .base_fingerprint = base->fingerprint,
        .method = *(*methods::ParseMethod("full", Json::object()))->Resolve(base->layout),
        .task = tasks::Classification({"no", "yes"}),
        .max_length = 32,
        .tokenizer = base->tokenizer->fingerprint(),
        .precision = "fp32"};
    artifacts::Seal(identity, {.base = "tiny", .base_proved = true, .probe = {}, .job = {}},
                    folder);
    return folder;
  }
  grpc::Status Import(const Folder& files, bool promote, v1::AdapterVersion* version) {
    grpc::ClientContext context;
    const auto writer = adapters_->ImportAdapter(&context, version);
    v1::ImportAdapterRequest request;
    request.mutable_header()->set_base("tiny");
    request.mutable_header()->set_adapter("support");
    request.mutable_header()->add_label_names("no");
    request.mutable_header()->add_label_names("yes");
    request.mutable_header()->set_promote(promote);
    writer->Write(request);
    Sha256 hash;
    for (const auto& [name, bytes] : files) {
      request.mutable_file()->set_name(name);
      request.mutable_file()->set_chunk(bytes);
      hash.Update(bytes);
      writer->Write(request);
    }
    request.set_sha256(hash.HexDigest());
    writer->Write(request);
    writer->WritesDone();
    return writer->Finish();
  }
  /// The version as the export names it, and its files' names.
  std::pair<v1::AdapterVersion, std::set<std::string>> Export(const std::string& adapter) {
    grpc::ClientContext context;
    v1::ExportAdapterRequest request;
    request.set_adapter(adapter);
    const auto reader = adapters_->ExportAdapter(&context, request);
    std::pair<v1::AdapterVersion, std::set<std::string>> exported;
    for (v1::ExportAdapterResponse part; reader->Read(&part);) {
      if (part.has_version()) exported.first = part.version();
      if (part.has_file()) exported.second.insert(part.file().name());
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return exported;
  }
};

TEST_F(ImportFolderTest, OnlyNamesOfFilesThatAreReadMustBePlain) {
  Folder folder = UntrainedFolder();
  folder["notes\\old.txt"] = folder["a/b"] = folder["line\nend"] = "";
  v1::AdapterVersion version;

  const grpc::Status status = Import(folder, /*promote=*/false, &version);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(version.files_left_aside(),
              testing::UnorderedElementsAre("notes\\old.txt", "a/b", "line\\nend"));
}

TEST_F(ImportFolderTest, AnExportWithoutItsTokenizerSaysSo) {
  v1::AdapterVersion version;
  const grpc::Status status = Import(WholeModel(), /*promote=*/false, &version);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(Export("support@1").first.warnings(), testing::ElementsAre());
  ASSERT_TRUE(WriteFileDurably(folder_->path() / "bases/tiny/vocab.txt",
                               "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nother\n")
                  .ok());

  const auto [exported, names] = Export("support@1");

  EXPECT_THAT(
      exported.warnings(),
      testing::ElementsAre(testing::HasSubstr("the folder lacks its tokenizer: tiny now has")));
  EXPECT_TRUE(names.contains("README.md"));
  EXPECT_FALSE(names.contains("vocab.txt"));
}

TEST_F(ImportFolderTest, APromotionThatFailsLeavesTheVersionAndItsWarnings) {
  v1::AdapterVersion version;

  const grpc::Status status = Import(UntrainedFolder(), /*promote=*/true, &version);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << "no worker is there to prove it";
  EXPECT_THAT(status.error_message(),
              testing::HasSubstr("imported as adapters/support/versions/1, but not made live: "));
  EXPECT_THAT(status.error_message(), testing::HasSubstr("; warning: the adapter changes nothing"));
}

}  // namespace
}  // namespace graft::server::rpc
