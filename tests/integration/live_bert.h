#pragma once
/// A live server with one worker over the golden BERT, and adapters whose answers are known.
/// Requires: GRAFT_SOURCE_DIR and GRAFT_PROGRAMS_DIR.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "client/lib/client.h"
#include "tests/integration/live_server.h"
#include "tests/support/lora_folder.h"

namespace graft::testing {

class LiveBertTest : public ::testing::Test {
 protected:
  void SetUp() override {
    namespace fs = std::filesystem;
    folder_ = fs::temp_directory_path() / ("graft_live_bert_" + std::to_string(::getpid()));
    fs::create_directories(folder_ / "bases");
    fs::copy(fs::path(GRAFT_SOURCE_DIR) / "tests/golden/data/base-bert",
             folder_ / "bases" / "bert");
    auto server =
        LiveServer::Start(GRAFT_PROGRAMS_DIR, folder_ / "bases", folder_, {"--workers=1"});
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
    client_ = server_->Connect(/*max_attempts=*/5);
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  /// Imports the next version of `adapter`, which gives every text these logits; labels are a, b, c
  /// and so on.
  StatusOr<v1::AdapterVersion> Import(const std::string& adapter, const std::vector<float>& logits,
                                      bool promote) {
    v1::ImportAdapterRequest::Header header;
    header.set_base("bert");
    header.set_adapter(adapter);
    header.set_max_length(40);
    header.set_promote(promote);
    for (size_t i = 0; i < logits.size(); ++i)
      header.add_label_names(std::string(1, static_cast<char>('a' + i)));
    return client_->Import(header, ConstantLora(3, 48, 4, logits));
  }

  std::filesystem::path folder_;
  std::unique_ptr<LiveServer> server_;
  std::unique_ptr<client::Client> client_;
};

}  // namespace graft::testing
