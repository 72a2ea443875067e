// Files that are read piece by piece, and what becomes of a reader whose file is cut, overwritten
// or replaced meanwhile.

#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/safetensors/checkpoint.h"
#include "tests/common/safetensors/build.h"

namespace graft::safetensors {
namespace {

using testing::HasSubstr;

class FileTest : public testing::Test {
 protected:
  void SetUp() override { Put(path(), MustWrite({Bytes("a", "12345"), Bytes("b", "678")})); }
  std::filesystem::path path() const { return folder_.path() / "model.safetensors"; }
  std::filesystem::path folder() const { return folder_.path(); }
  std::shared_ptr<const File> Open() { return *File::Open(path()); }
  /// Overwrites bytes of the file as it lies, as a copy over it does.
  void Overwrite(uint64_t offset, const std::string& bytes) {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file << bytes;
  }

 private:
  TempFolder folder_ = MustMakeFolder();
};

TEST_F(FileTest, ReadsTensorsWholeAndInPieces) {
  const std::string large(3 << 20, 'x');
  Put(path(), MustWrite({Bytes("large", large), Bytes("none", ""), Bytes("small", "678")}));
  const auto file = Open();

  for (const TensorInfo& tensor : file->tensors()) {
    std::string pieces;
    ASSERT_TRUE(file->ReadPieces(tensor, [&](std::string_view piece) { pieces += piece; }).ok());
    EXPECT_EQ(pieces, tensor.name == "large" ? large : tensor.name == "small" ? "678" : "");
    EXPECT_EQ(*file->Read(tensor), pieces);
  }
  EXPECT_TRUE(file->CheckUnchanged().ok());
}

TEST_F(FileTest, RefusesWhatIsNoFile) {
  Put(folder() / "empty.safetensors", "");

  EXPECT_EQ(File::Open(folder() / "absent").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(File::Open(folder()).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(File::Open("/dev/zero").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(File::Open(folder() / "empty.safetensors").status().code(), StatusCode::kDataLoss);
}

TEST_F(FileTest, AFileThatIsCutMeanwhileIsAnErrorNotASignal) {
  const auto file = Open();
  for (const uint64_t size : {file->tensors()[1].begin + 1, uint64_t{0}}) {
    std::filesystem::resize_file(path(), size);

    const Status read = file->Read(file->tensors()[1]).status();
    const Status pieces = file->ReadPieces(file->tensors()[1], [](std::string_view) {});

    EXPECT_EQ(read.code(), StatusCode::kDataLoss) << read;
    EXPECT_THAT(read.message(), HasSubstr("was cut"));
    EXPECT_EQ(pieces.code(), StatusCode::kDataLoss) << pieces;
    EXPECT_EQ(file->CheckUnchanged().code(), StatusCode::kUnavailable);
  }
}

TEST_F(FileTest, AnOverwriteOfTheSameSizeIsNoticedAlsoIfItsTimeIsPutBack) {
  const auto file = Open();
  const auto time = std::filesystem::last_write_time(path());

  Overwrite(file->tensors()[0].begin, "X");
  std::filesystem::last_write_time(path(), time);

  EXPECT_EQ(*file->Read(file->tensors()[0]), "X2345");
  EXPECT_EQ(file->CheckUnchanged().code(), StatusCode::kUnavailable);
}

TEST_F(FileTest, AFileThatIsReplacedIsReadToItsEndAndNoticed) {
  const auto file = Open();

  Put(path(), MustWrite({Bytes("a", "other")}));

  EXPECT_EQ(*file->Read(file->tensors()[0]), "12345");
  EXPECT_EQ(file->CheckUnchanged().code(), StatusCode::kUnavailable);
}

TEST_F(FileTest, AFingerprintIsOfOneStateOfTheFiles) {
  const auto checkpoint = *Checkpoint::Open(folder());
  Overwrite(checkpoint->Find("a")->begin, "X");

  EXPECT_EQ(Fingerprint(*checkpoint, "{}", folder() / "cache").status().code(),
            StatusCode::kUnavailable);
  EXPECT_FALSE(std::filesystem::exists(folder() / "cache"));
}

TEST_F(FileTest, TheCacheOfFingerprintsKnowsAnOverwriteWhoseTimeIsPutBack) {
  const auto time = std::filesystem::last_write_time(path());
  const auto fingerprint = [&] {
    return *Fingerprint(**Checkpoint::Open(folder()), "{}", folder() / "cache");
  };
  const std::string before = fingerprint();

  Overwrite(Open()->tensors()[0].begin, "X");
  std::filesystem::last_write_time(path(), time);

  EXPECT_NE(fingerprint(), before);
}

}  // namespace
}  // namespace graft::safetensors
