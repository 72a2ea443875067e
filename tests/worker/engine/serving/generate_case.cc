#include "tests/worker/engine/serving/generate_case.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/file.h"
#include "common/families/layout.h"
#include "tests/support/must.h"
#include "tests/worker/engine/golden_case.h"

namespace graft::worker::engine::testing {
namespace {

using graft::testing::Must;

}  // namespace

std::unique_ptr<Engine> MakeTextEngine(int64_t max_kv_bytes, spec::Precision precision) {
  EngineOptions options;
  options.bases = DecoderFolder();
  options.threads = 2;
  options.max_kv_bytes = max_kv_bytes;
  options.base_precision = precision;
  return Must(Engine::Create(std::move(options)));
}

std::future<Answer> Ask(Engine& engine, GenerateRequest request) {
  auto answer = std::make_shared<Answer>();
  auto promise = std::make_shared<std::promise<Answer>>();
  engine.Generate(
      std::move(request),
      [answer](const GeneratedPiece& piece) {
        Text& text = answer->texts[piece.index];
        text.tokens.push_back(piece.token);
        text.text += piece.text;
        EXPECT_TRUE(text.finish.empty()) << "a piece behind the last";
        if (piece.finish) text.finish = *piece.finish;
        EXPECT_EQ(piece.generated_tokens, static_cast<int64_t>(text.tokens.size()));
      },
      [answer, promise](const StatusOr<GenerateResult>& result) {
        answer->status = result.status();
        promise->set_value(*answer);
      });
  return promise->get_future();
}

GenerateRequest Greedy(const std::string& base, const std::string& prompt, int64_t max_tokens) {
  GenerateRequest request;
  request.base = base;
  request.prompt = prompt;
  request.settings.sampling.temperature = 0;
  request.settings.stopping.max_tokens = max_tokens;
  return request;
}

TrainRequest TextJob(const std::string& base, const Json& method, const std::string& text,
                     const Json& hyperparameters) {
  const Json json = {{"base", base},
                     {"adapter", "texts"},
                     {"task", {{"causal_lm", Json::object()}}},
                     {"method", method},
                     {"dataset", {{"train", "file:///x"}}},
                     {"hyperparameters", hyperparameters}};
  const std::filesystem::path folder = std::filesystem::path(DecoderFolder()) / base;
  const families::Layout layout =
      Must(families::ReadLayout(Must(ReadFile(folder / "config.json")), {"lm_head.weight"}));
  auto data = std::make_shared<datasets::IngestedDataset>();
  datasets::Example example;
  example.text = text;
  data->train.assign(8, example);
  data->validation = data->train;
  TrainRequest request;
  request.job_id = "texts";
  request.base = base;
  request.spec = std::make_shared<const spec::JobSpec>(
      Must(spec::Resolve(Must(spec::FromJson(json)), layout)));
  request.dataset = data;
  return request;
}

StatusOr<LoadResult> LoadTexts(Engine& engine, const std::string& base, const Artifact& artifact) {
  return engine.Load({.version = artifact.sha256,
                      .base = base,
                      .base_fingerprint = artifact.base_fingerprint,
                      .files = artifact.files,
                      .prove = true});
}

}  // namespace graft::worker::engine::testing
