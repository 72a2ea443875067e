/// Prints a version's logits, for tests in Python that ask other libraries for theirs.
///
///     adapter_logits BASE VERSION    folders; VERSION has a graft.json, or is "-": the base alone
///
/// Standard input: token ids, a text a line. Standard output: for each a JSON list, of a language
/// model the logits of every position, of a classifier one row. In fp32. Exit code 1 with a
/// sentence if the version can't be read.

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "worker/engine/adapters/head.h"
#include "worker/engine/artifacts/artifact.h"
#include "worker/engine/families/families.h"
#include "worker/engine/passes/forward_pass.h"

namespace graft::worker::engine {
namespace {

namespace fs = std::filesystem;

StatusOr<Files> ReadFolder(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    GRAFT_ASSIGN_OR_RETURN(files[entry.path().filename().string()], ReadFile(entry.path()));
  }
  return files;
}

void Print(const at::Tensor& logits_RC) {
  std::string text = "[";
  char number[40];
  for (int64_t r = 0; r < logits_RC.size(0); ++r) {
    text += r > 0 ? ", [" : "[";
    const at::Tensor row = logits_RC[r].contiguous();
    for (int64_t c = 0; c < row.numel(); ++c) {
      std::snprintf(number, sizeof(number), "%s%.9g", c > 0 ? ", " : "",
                    static_cast<double>(row.const_data_ptr<float>()[c]));
      text += number;
    }
    text += "]";
  }
  std::cout << text << "]\n";
}

Status Run(const fs::path& folder, const std::string& version) {
  GRAFT_ASSIGN_OR_RETURN(const auto base, Base::Load("base", folder, at::kFloat, at::kCPU));
  GRAFT_ASSIGN_OR_RETURN(const auto model, MakeModel(*base));
  std::unique_ptr<Adapter> adapter;
  bool classifies = false;
  if (version != "-") {
    GRAFT_ASSIGN_OR_RETURN(const Files files, ReadFolder(version));
    GRAFT_ASSIGN_OR_RETURN(LoadedArtifact loaded, ReadArtifact(files, *base));
    adapter = std::move(loaded.adapter);
    classifies = adapter->task().kind == tasks::Kind::kSequenceClassification;
  }
  const at::NoGradGuard no_grad;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::vector<int32_t> ids, wanted;
    for (int32_t id = 0; words >> id;) ids.push_back(id);
    const auto last = static_cast<int32_t>(ids.size()) - 1;
    for (int32_t i = classifies ? last : 0; i <= last; ++i) wanted.push_back(i);
    const Sequence sequence{ids.data(), nullptr, last + 1, 0, wanted};
    const auto pass = ForwardPass::Run(*model, *base, {sequence}, {adapter.get()}, [] {});
    const WeightSet weights(*base, adapter.get());
    Print(adapter ? HeadLogits(pass.hidden_RD, weights, *adapter)
                  : BaseLogits(pass.hidden_RD, weights));
  }
  return OkStatus();
}

}  // namespace
}  // namespace graft::worker::engine

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: adapter_logits BASE VERSION\n";
    return 2;
  }
  const graft::Status status = graft::worker::engine::Run(argv[1], argv[2]);
  if (!status.ok()) std::cerr << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
