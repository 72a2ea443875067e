#include <chrono>
#include <future>

#include "common/templates/clock.h"
#include "worker/engine/artifacts/artifact.h"
#include "worker/engine/device/device.h"
#include "worker/engine/engine_impl.h"
#include "worker/engine/passes/probe.h"
#include "worker/engine/requests.h"
#include "worker/engine/tasks/classification.h"
#include "worker/engine/training/evaluation.h"

namespace graft::worker::engine {
namespace {

constexpr size_t kMaxInputs = 256;

Status CheckFingerprint(const std::string& expected, const LoadedBase& on) {
  const std::string& fingerprint = on.base->fingerprint();
  if (expected.empty() || expected == fingerprint) return OkStatus();
  return FailedPreconditionError("the version was made for a base with fingerprint " +
                                 expected.substr(0, 12) + ", but " + on.base->id() + " has " +
                                 fingerprint.substr(0, 12) +
                                 ": its files were changed since; put the old ones back")
      .AddDetail({"BASE_MISMATCH", {}, 0, {}, {}});
}

int64_t TensorBytes(const Files& files) {
  int64_t bytes = 0;
  for (const auto& [name, content] : files)
    if (name.ends_with(".safetensors")) bytes += static_cast<int64_t>(content.size());
  return bytes;
}

StatusOr<LoadedArtifact> ReadToServe(const LoadRequest& request, const LoadedBase& on) {
  StatusOr<LoadedArtifact> loaded = Guarded([&]() -> StatusOr<LoadedArtifact> {
    GRAFT_ASSIGN_OR_RETURN(LoadedArtifact read, ReadArtifact(request.files, *on.base));
    read.adapter->PrepareServing(on.base->compute());
    return read;
  });
  if (!loaded.ok() || loaded->sha256 == request.version) return loaded;
  return DataLossError("the version's files have the hash " + loaded->sha256.substr(0, 12) +
                       ", not " + request.version.substr(0, 12) +
                       "; they were changed after they were stored");
}

std::shared_ptr<ResidentVersion> MakeResident(const std::string& id, const LoadedBase& on,
                                              LoadedArtifact loaded) {
  auto version = std::make_shared<ResidentVersion>();
  version->id = id;
  version->on = on;
  version->task = MakeTask(loaded.trained_for);
  version->max_length = loaded.max_length;
  version->has_pair = loaded.has_pair;
  if (!loaded.chat_template.empty()) version->chat_template = std::move(loaded.chat_template);
  const Adapter::Bytes bytes = loaded.adapter->bytes();
  version->bytes = bytes.buffers;
  version->tensor_bytes = bytes.tensors;
  version->adapter = std::move(loaded.adapter);
  return version;
}

}  // namespace

StatusOr<LoadResult> Engine::Impl::Load(LoadRequest request) {
  const auto start = std::chrono::steady_clock::now();
  GRAFT_ASSIGN_OR_RETURN(const ArtifactHeader header, ReadArtifactHeader(request.files));
  bases_.DropChanged();
  GRAFT_ASSIGN_OR_RETURN(const LoadedBase on, bases_.Get(request.base, Resolve(header.precision)));
  GRAFT_RETURN_IF_ERROR(CheckFingerprint(request.base_fingerprint, on));
  GRAFT_RETURN_IF_ERROR(CheckFingerprint(header.base_fingerprint, on));
  GRAFT_ASSIGN_OR_RETURN(Holding memory,
                         ledger_->Reserve(MemoryKind::kAdapter, TensorBytes(request.files),
                                          "the version " + request.version.substr(0, 12)));
  GRAFT_ASSIGN_OR_RETURN(LoadedArtifact loaded, ReadToServe(request, on));
  const Json probe = std::move(loaded.probe);
  const std::shared_ptr<ResidentVersion> version =
      MakeResident(request.version, on, std::move(loaded));
  GRAFT_RETURN_IF_ERROR(memory.Resize(version->bytes));
  version->memory = std::move(memory);
  LoadResult result;
  result.base_fingerprint = on.base->fingerprint();
  result.bytes = version->bytes;
  if (request.prove) {
    auto proof = std::make_shared<std::promise<Status>>();
    loop_.Post([proof, held = version, probe]() mutable {
      const Status proved = Guarded([&] { return CheckProbe(probe, *held); });
      held.reset();  // Whoever hears of the proof finds the version in nobody's hands.
      proof->set_value(proved);
    });
    GRAFT_RETURN_IF_ERROR(proof->get_future().get());
    result.proved = !probe.is_null();
  }
  adapters_.Put(version);
  // Behind Put, so that whoever drops the versions of a changed base misses none.
  if (!on.base->IsCurrent()) {
    adapters_.Erase(request.version);
    return UnavailableError("the base " + request.base +
                            " was changed while the version was loaded; try again");
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (probe_.adapter_load) probe_.adapter_load(result.seconds);
  return result;
}

Status CheckInputCount(size_t count) {
  if (count == 0) return InvalidArgumentError("no input text").At("inputs");
  if (count > kMaxInputs) {
    return InvalidArgumentError(std::to_string(count) + " inputs in one request; the limit is " +
                                std::to_string(kMaxInputs))
        .At("inputs");
  }
  return OkStatus();
}

Status NotResident() {
  return NotFoundError("the version isn't resident on this worker")
      .AddDetail({"VERSION_NOT_RESIDENT", {}, 0, {}, {}});
}

namespace {

/// Whether `base` can read a pair, and a version that was trained on pairs (empty: unknown) is
/// given one. Errors: InvalidArgument at `field`.
Status CheckPair(bool is_pair, std::optional<bool> trained_on_pairs, const Base& base,
                 const std::string& field) {
  if (trained_on_pairs && *trained_on_pairs != is_pair) {
    return InvalidArgumentError(is_pair ? "the adapter was trained on single texts, not on pairs"
                                        : "the adapter was trained on pairs; give both texts")
        .At(field, "TEXT_PAIR_MISMATCH");
  }
  return is_pair ? base.CheckKnowsPairs(field) : OkStatus();
}

/// Errors: as CheckPair, for the first input that isn't what was trained on.
Status EncodeInputs(const std::vector<TextInput>& inputs, std::optional<bool> trained_on_pairs,
                    int max_length, ServingRequest& request) {
  const Base& base = *request.on.base;
  const tokenizers::Tokenizer& tokenizer = base.tokenizer();
  const tokenizers::EncodeOptions options{.max_length = max_length};
  for (const TextInput& input : inputs) {
    const bool is_pair = !input.text_pair.empty();
    const std::string field = "inputs[" + std::to_string(request.inputs.size()) + "].text_pair";
    GRAFT_RETURN_IF_ERROR(CheckPair(is_pair, trained_on_pairs, base, field));
    request.inputs.push_back(is_pair ? tokenizer.EncodePair(input.text, input.text_pair, options)
                                     : tokenizer.Encode(input.text, options));
    request.truncated.push_back(request.inputs.back().truncated);
  }
  return OkStatus();
}

}  // namespace

void Engine::Impl::Classify(ClassifyRequest request, Callback<ClassifyResult> done) {
  if (const Status status = CheckInputCount(request.inputs.size()); !status.ok())
    return done(status);
  auto version = adapters_.Find(request.version);
  if (version == nullptr) return done(NotResident());
  if (version->task->spec().kind != tasks::Kind::kSequenceClassification) {
    return done(FailedPreconditionError("the adapter is a language model's; it has no labels")
                    .AddDetail({"NO_CLASSIFIER", {}, 0, {}, {}}));
  }
  auto serving = std::make_shared<ServingRequest>();
  serving->version = version;
  serving->on = version->on;
  serving->abandoned = request.abandoned;
  if (const Status status =
          EncodeInputs(request.inputs, version->has_pair, version->max_length, *serving);
      !status.ok()) {
    return done(status);
  }
  for (const tokenizers::Encoding& input : serving->inputs) {
    serving->read.push_back({PooledPosition(static_cast<int64_t>(input.ids.size()),
                                            serving->on.base->layout().causal)});
  }
  // The queue drops `done` when it has called it, which ends the circle of request and callback.
  serving->done = [serving = serving.get(), version, done = std::move(done)](Status status) {
    if (!status.ok()) return done(status);
    ClassifyResult result;
    result.label_names = {version->task, &version->task->spec().label_names};
    result.base_fingerprint = version->on.base->fingerprint();
    for (size_t i = 0; i < serving->inputs.size(); ++i) {
      Prediction prediction;
      prediction.logits = std::move(serving->outputs[i]);
      prediction.probabilities = Probabilities(prediction.logits);
      prediction.tokens = static_cast<int32_t>(serving->inputs[i].ids.size());
      prediction.truncated = serving->truncated[i];
      result.predictions.push_back(std::move(prediction));
    }
    done(std::move(result));
  };
  if (serving_.Push(std::move(serving))) loop_.Wake();
}

void Engine::Impl::Embed(EmbedRequest request, Callback<EmbedResult> done) {
  if (const Status status = CheckInputCount(request.inputs.size()); !status.ok())
    return done(status);
  auto serving = std::make_shared<ServingRequest>();
  int max_length = 0;
  if (!request.version.empty()) {
    serving->version = adapters_.Find(request.version);
    if (serving->version == nullptr) return done(NotResident());
    serving->on = serving->version->on;
    max_length = serving->version->max_length;
  } else {
    StatusOr<LoadedBase> on = bases_.Get(request.base, Resolve(options_.base_precision));
    if (!on.ok()) return done(on.status());
    serving->on = *on;
    max_length = on->base->max_embedded_length();
  }
  if (const Status& status = serving->on.base->embedding_status(); !status.ok())
    return done(status);
  serving->output = ServingOutput::kEmbedding;
  serving->abandoned = request.abandoned;
  serving->normalize = request.normalize || serving->on.base->normalize_embeddings();
  if (const Status status = EncodeInputs(request.inputs, std::nullopt, max_length, *serving);
      !status.ok()) {
    return done(status);
  }
  serving->done = [serving = serving.get(), done = std::move(done)](Status status) {
    if (!status.ok()) return done(status);
    EmbedResult result;
    result.base_fingerprint = serving->on.base->fingerprint();
    for (size_t i = 0; i < serving->inputs.size(); ++i) {
      result.embeddings.push_back({std::move(serving->outputs[i]),
                                   static_cast<int32_t>(serving->inputs[i].ids.size()),
                                   serving->truncated[i]});
    }
    done(std::move(result));
  };
  if (serving_.Push(std::move(serving))) loop_.Wake();
}

void Engine::Impl::Evaluate(EvaluateRequest request, Callback<Evaluation> done) {
  auto version = adapters_.Find(request.version);
  if (version == nullptr) return done(NotResident());
  if (request.dataset->train.empty())
    return done(InvalidArgumentError("the dataset has no examples"));
  if (const Status status = CheckPair(request.dataset->has_pair, version->has_pair,
                                      *version->on.base, "dataset.text_columns");
      !status.ok()) {
    return done(status);
  }
  StatusOr<language::ChatOptions> chat =
      ChatOf(*request.dataset, *version->on.base, version->chat_template.value_or(""),
             templates::ClockNow());
  if (!chat.ok()) return done(chat.status());
  const auto encoder = version->task->NewEncoder({.dataset = *request.dataset,
                                                  .tokenizer = version->on.base->tokenizer(),
                                                  .max_length = version->max_length,
                                                  .causal = version->on.base->layout().causal,
                                                  .chat = *std::move(chat)});
  const auto between = [&] {
    return request.abandoned && request.abandoned() ? NobodyWaits() : OkStatus();
  };
  StatusOr<TokenizedSplit> tokenized = Tokenize(request.dataset->train, *encoder, between);
  if (!tokenized.ok()) return done(tokenized.status());
  auto split = std::make_shared<TokenizedSplit>(std::move(*tokenized));
  if (split->size() == 0)
    return done(InvalidArgumentError("no example of the dataset has a token to judge"));
  auto running =
      std::make_shared<SplitEvaluation>(*version->on.model, *version->on.base, *version->adapter,
                                        *version->task, *split, ledger_.get());
  const auto advance = [version, split, running, done,
                        abandoned = request.abandoned](const Yield& yield) {
    if (abandoned && abandoned()) return done(NobodyWaits()), false;
    if (const Status status = Guarded([&] { return running->Advance(yield); }); !status.ok())
      return done(status), false;
    if (!running->done()) return true;
    Evaluation result = running->Result();
    result.base_fingerprint = version->on.base->fingerprint();
    return done(std::move(result)), false;
  };
  evaluations_.Add({advance, [done](const Status& status) { done(status); }});
  loop_.Wake();
}

}  // namespace graft::worker::engine
