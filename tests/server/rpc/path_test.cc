#include <fstream>

#include "server_fixture.h"

namespace graft::server::rpc {
namespace {

namespace fs = std::filesystem;

class PathTest : public ServerFixture {
 protected:
  grpc::Status CreateWith(const std::string& uri) {
    v1::JobSpec spec = Spec();
    spec.mutable_dataset()->set_train(uri);
    v1::Job job;
    return Create(spec, &job);
  }
  std::string Data(const std::string& path) {
    return "file://" + (folder_->path() / "data" / path).string();
  }
};

TEST_F(PathTest, NothingOutsideTheRootsIsRead) {
  std::ofstream(folder_->path() / "secret.csv") << "text,label\na,x\nb,y\n";
  fs::create_symlink(folder_->path() / "secret.csv", folder_->path() / "data/link.csv");
  fs::create_directory_symlink(folder_->path(), folder_->path() / "data/up");

  for (const std::string& uri :
       {std::string("file:///etc/passwd"), std::string("file:///nonexistent"),
        Data("../secret.csv"), Data("%2e%2e/secret.csv"), Data("link.csv"), Data("up/secret.csv"),
        Data("x/../../secret.csv")}) {
    EXPECT_EQ(CreateWith(uri).error_code(), grpc::StatusCode::PERMISSION_DENIED) << uri;
  }
}

TEST_F(PathTest, OutsideThePresentAndTheAbsentLookTheSame) {
  std::ofstream(folder_->path() / "there.csv") << "x";

  const std::string there =
      CreateWith("file://" + (folder_->path() / "there.csv").string()).error_message();
  const std::string absent =
      CreateWith("file://" + (folder_->path() / "absen.csv").string()).error_message();

  EXPECT_EQ(there.size(), absent.size());
}

TEST_F(PathTest, InsideTheRootsWhatIsNoFileIsAnError) {
  fs::create_directories(folder_->path() / "data/folder");

  EXPECT_EQ(CreateWith(Data("absent.csv")).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(CreateWith(Data("folder")).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(CreateWith("file://relative.csv").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(CreateWith(Data("bad%zz.csv")).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(CreateWith(Data("zero%00.csv")).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(CreateWith("s3://bucket/key").error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(CreateWith("graft://datasets/../../x").error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(PathTest, LinkThatStaysInsideAndEscapedNamesWork) {
  WriteData("with space.csv", "text,label\ngood,good\nbad,bad\n");
  fs::create_symlink("with space.csv", folder_->path() / "data/alias.csv");

  EXPECT_TRUE(CreateWith(Data("alias.csv")).ok());
  EXPECT_TRUE(CreateWith(Data("with%20space.csv")).ok());
}

class NoRootsTest : public PathTest {
  void Configure() override { roots_.emplace(); }
};

TEST_F(NoRootsTest, FilesAreOffByDefault) {
  const grpc::Status status = CreateWith(Data("train.csv"));

  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("--data-roots"));
}

}  // namespace
}  // namespace graft::server::rpc
