#include "server/intake/intake.h"

#include <malloc.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "common/artifacts/artifact.h"
#include "common/base/failpoint.h"
#include "common/base/ids.h"
#include "common/base/sha256.h"
#include "common/objects/keys.h"
#include "common/spec/idle_settings.h"
#include "common/spec/training_memory.h"
#include "common/templates/chat_files.h"
#include "common/templates/clock.h"
#include "common/tokenizers/tokenizer.h"
#include "server/intake/language_counts.h"

namespace graft::server::intake {
namespace {

constexpr size_t kMaxCountedBytes = 4 << 20;
/// An ingested data set that is older is written again when a job comes to use it, so that nobody
/// takes it for one that lies about (see server/background/collector.h).
constexpr TimeUs kRenewAfter = TimeUs{3600} * 1'000'000;

/// Gives a data set's memory back to the system: the server should be small when it is idle.
struct TrimOnExit {
  ~TrimOnExit() { ::malloc_trim(0); }
};

/// Ends at its next read once nobody waits for the data any more, and lets others work between two
/// reads.
class StoppableSource : public datasets::ByteSource {
 public:
  StoppableSource(std::unique_ptr<ByteSource> source, StopFlag stop, Turns::Turn& turn)
      : source_(std::move(source)), stop_(std::move(stop)), turn_(turn) {}
  StatusOr<size_t> Read(char* buffer, size_t size) override {
    turn_.GiveWay();
    GRAFT_RETURN_IF_ERROR(stop_.Check());
    return source_->Read(buffer, size);
  }

 private:
  const std::unique_ptr<ByteSource> source_;
  const StopFlag stop_;
  Turns::Turn& turn_;
};

void MakeStoppable(datasets::SourceFile& file, const StopFlag& stop, Turns::Turn& turn) {
  if (!file.open) return;
  file.open = [open = std::move(file.open), stop,
               &turn]() -> StatusOr<std::unique_ptr<datasets::ByteSource>> {
    GRAFT_ASSIGN_OR_RETURN(auto source, open());
    return std::make_unique<StoppableSource>(std::move(source), stop, turn);
  };
}

/// Calls `visit(tokens, truncated, copies)` for about every `stride`-th example, which stands for
/// so many.
template <typename Visit>
void ForSample(const std::vector<datasets::Example>& examples, bool pair,
               const tokenizers::Tokenizer& tokenizer, int max_length,
               const std::function<void()>& between, Visit visit) {
  size_t bytes = 0;
  for (const auto& example : examples) bytes += example.text.size() + example.text_pair.size();
  const size_t stride = std::max<size_t>(1, bytes / kMaxCountedBytes);
  // Uncut, to see which are too long.
  constexpr tokenizers::EncodeOptions options{std::numeric_limits<int>::max()};
  for (size_t i = 0; i < examples.size(); i += stride) {
    if (between) between();
    const auto& example = examples[i];
    const auto encoding = pair ? tokenizer.EncodePair(example.text, example.text_pair, options)
                               : tokenizer.Encode(example.text, options);
    const size_t copies = std::min(stride, examples.size() - i);
    const size_t length = std::min(encoding.ids.size(), static_cast<size_t>(max_length));
    visit(std::span(encoding.ids).first(length), length < encoding.ids.size(), copies);
  }
}

std::vector<std::string> IdleSettings(const spec::JobSpec& spec, const families::Layout& layout,
                                      const TokenCounts& tokens, const core::JobFacts& facts) {
  spec::RunSize run;
  run.train_examples = facts.train_examples;
  run.validation_examples = facts.validation_examples;
  run.micro_batches = MicroBatches(spec.hyperparameters, tokens.train);
  run.total_steps = facts.total_steps;
  if (!tokens.train.empty())
    run.longest_tokens = *std::max_element(tokens.train.begin(), tokens.train.end());
  run.seconds = facts.seconds;
  return spec::FindIdleSettings(spec, layout, run);
}

}  // namespace

TokenCounts CountTokens(const datasets::IngestedDataset& dataset,
                        const tokenizers::Tokenizer& tokenizer, int max_length,
                        const std::function<void()>& between) {
  TokenCounts counts;
  counts.train.reserve(dataset.train.size());
  spec::CommonBeginning common;
  ForSample(dataset.train, dataset.has_pair, tokenizer, max_length, between,
            [&](std::span<const int32_t> ids, bool truncated, size_t copies) {
              const auto length = static_cast<int32_t>(ids.size());
              counts.train.insert(counts.train.end(), copies, length);
              if (truncated) counts.truncated_examples += static_cast<int64_t>(copies);
              common.Add(ids, length - 1);
            });
  counts.common = common.tokens();
  const auto sum = [&](const std::vector<datasets::Example>& examples) {
    int64_t tokens = 0;
    ForSample(examples, dataset.has_pair, tokenizer, max_length, between,
              [&](std::span<const int32_t> ids, bool, size_t copies) {
                tokens += static_cast<int64_t>(ids.size() * copies);
              });
    return tokens;
  };
  counts.validation = sum(dataset.validation);
  counts.test = sum(dataset.test);
  return counts;
}

StatusOr<datasets::IngestSpec> Intake::Resolve(const std::string& tenant,
                                               const spec::DatasetSpec& dataset, tasks::Kind kind,
                                               const StopFlag& stop, Turns::Turn& turn) const {
  GRAFT_ASSIGN_OR_RETURN(datasets::IngestSpec ingest, sources_.Resolve(tenant, dataset, kind));
  for (datasets::SourceFile* file : {&ingest.train, &ingest.validation, &ingest.test})
    MakeStoppable(*file, stop, turn);
  return ingest;
}

StatusOr<std::string> Intake::StoreDataset(const std::string& tenant,
                                           const datasets::IngestedDataset& dataset) const {
  const std::string bytes = datasets::Serialize(dataset);
  const std::string sha256 = Sha256Hex(bytes);
  const std::string key = objects::DatasetKey(tenant, sha256);
  const auto there = objects_.Stat(key);
  if (!there.ok() || SystemClock().Now() - there->written > kRenewAfter) {
    GRAFT_RETURN_IF_ERROR(objects_.Put(key, bytes));
  }
  GRAFT_FAILPOINT("server.after_dataset_stored");
  return sha256;
}

StatusOr<Prepared> Intake::Prepare(const std::string& tenant, const spec::JobSpec& asked,
                                   const Base& base, const PrepareOptions& options) const {
  const TrimOnExit trim;
  Turns::Turn turn(turns_);
  spec::JobSpec spec = asked;
  const bool is_language = spec.task.kind == tasks::Kind::kCausalLanguageModeling;
  GRAFT_ASSIGN_OR_RETURN(auto ingest,
                         Resolve(tenant, spec.dataset, spec.task.kind, options.stop, turn));
  ingest.label_names = spec.task.label_names;
  ingest.seed = spec.hyperparameters.seed;
  datasets::IngestedDataset dataset;
  GRAFT_ASSIGN_OR_RETURN(datasets::Report report, datasets::Ingest(ingest, &dataset));
  GRAFT_RETURN_IF_ERROR(datasets::ToStatus(report));
  GRAFT_RETURN_IF_ERROR(options.stop.Check());

  Prepared prepared;
  TokenCounts tokens;
  if (is_language) {
    GRAFT_ASSIGN_OR_RETURN(tokens, CountLanguageTokens(dataset, options, base, turn, spec, report));
    GRAFT_RETURN_IF_ERROR(datasets::ToStatus(report));
  } else {
    tokens = CountTokens(dataset, *base.tokenizer, spec.hyperparameters.max_length,
                         [&turn] { turn.GiveWay(); });
  }
  prepared.spec = spec;
  spec.task.label_names = dataset.label_names;
  prepared.warnings = report.warnings;
  core::JobFacts& facts = prepared.facts;
  facts.train_examples = static_cast<int64_t>(dataset.train.size());
  facts.validation_examples = static_cast<int64_t>(dataset.validation.size());
  facts.test_examples = static_cast<int64_t>(dataset.test.size());
  facts.labels = static_cast<int64_t>(dataset.label_names.size());
  const Machine machine = EstimateOn(spec, base.layout, tokens, options.machines, facts);
  for (std::string& idle : IdleSettings(spec, base.layout, tokens, facts))
    prepared.warnings.push_back(std::move(idle));
  GRAFT_RETURN_IF_ERROR(CheckFits(facts, machine));
  GRAFT_RETURN_IF_ERROR(options.stop.Check());
  if (options.store) {
    GRAFT_ASSIGN_OR_RETURN(prepared.dataset_sha256, StoreDataset(tenant, dataset));
  } else {
    prepared.dataset_sha256 = Sha256Hex(datasets::Serialize(dataset));
  }
  return prepared;
}

StatusOr<Intake::Continued> Intake::ReadContinued(const std::string& prefix) const {
  Continued continued;
  auto chat_template = objects_.Get(prefix + std::string(templates::kChatTemplateFile));
  if (!chat_template.ok() && chat_template.status().code() != StatusCode::kNotFound)
    return chat_template.status();
  if (chat_template.ok()) continued.chat_template = *std::move(chat_template);
  const std::string name(artifacts::kManifestName);
  GRAFT_ASSIGN_OR_RETURN(std::string manifest, objects_.Get(prefix + name));
  GRAFT_ASSIGN_OR_RETURN(artifacts::Header header,
                         artifacts::ReadHeader({{name, std::move(manifest)}}));
  continued.variables = std::move(header.template_variables);
  return continued;
}

StatusOr<TokenCounts> Intake::CountLanguageTokens(const datasets::IngestedDataset& dataset,
                                                  const PrepareOptions& options, const Base& base,
                                                  Turns::Turn& turn, spec::JobSpec& spec,
                                                  datasets::Report& report) const {
  LanguageSetup setup{.training = spec.task.language,
                      .max_length = spec.hyperparameters.max_length,
                      .now = templates::ClockAt(options.create_time / 1'000'000),
                      .continued_template = {}};
  if (!options.init_from_prefix.empty() && setup.training.chat_template.empty()) {
    GRAFT_ASSIGN_OR_RETURN(Continued continued, ReadContinued(options.init_from_prefix));
    setup.continued_template = std::move(continued.chat_template);
    // The job's own win.
    continued.variables.update(setup.training.chat_template_variables);
    spec.task.language.chat_template_variables = continued.variables;
    setup.training.chat_template_variables = std::move(continued.variables);
    // Together they may be too large.
    GRAFT_RETURN_IF_ERROR(tasks::Parse(spec.task.ToJson()).status());
  }
  GRAFT_ASSIGN_OR_RETURN(const std::string chosen, ChooseChatTemplate(dataset, setup, base));
  spec.task.language.chat_template = chosen;
  if (dataset.shape == datasets::Shape::kMessages) setup.training.chat_template = chosen;
  return CountLanguage(
      dataset, setup, base,
      [&]() -> Status {
        turn.GiveWay();
        return options.stop.Check();
      },
      report);
}

StatusOr<Checked> Intake::Check(const std::string& tenant, const spec::DatasetSpec& dataset,
                                const CheckOptions& options) const {
  const TrimOnExit trim;
  Turns::Turn turn(turns_);
  GRAFT_ASSIGN_OR_RETURN(const auto ingest,
                         Resolve(tenant, dataset, options.task.kind, options.stop, turn));
  datasets::IngestedDataset ingested;
  Checked checked;
  GRAFT_ASSIGN_OR_RETURN(checked.report, datasets::Ingest(ingest, &ingested));
  if (options.base == nullptr || !checked.report.usable()) return checked;
  spec::JobSpec spec;
  spec.task = options.task;
  spec.hyperparameters.max_length = options.max_length;
  PrepareOptions prepare;
  prepare.stop = options.stop;
  prepare.create_time = SystemClock().Now();
  GRAFT_ASSIGN_OR_RETURN(
      const TokenCounts counts,
      CountLanguageTokens(ingested, prepare, *options.base, turn, spec, checked.report));
  for (const int32_t length : counts.train) checked.train_tokens += length;
  checked.loss_tokens = counts.loss_tokens;
  return checked;
}

StatusOr<std::string> Intake::PrepareEvaluation(const std::string& tenant,
                                                const spec::DatasetSpec& dataset,
                                                const tasks::TaskSpec& task,
                                                const StopFlag& stop) const {
  const TrimOnExit trim;
  Turns::Turn turn(turns_);
  GRAFT_ASSIGN_OR_RETURN(auto ingest, Resolve(tenant, dataset, task.kind, stop, turn));
  ingest.validation = ingest.test = {};
  ingest.validation_fraction = ingest.test_fraction = 0;
  ingest.label_names = task.label_names;
  ingest.allow_one_class = true;
  datasets::IngestedDataset ingested;
  GRAFT_ASSIGN_OR_RETURN(const datasets::Report report, datasets::Ingest(ingest, &ingested));
  GRAFT_RETURN_IF_ERROR(datasets::ToStatus(report));
  GRAFT_RETURN_IF_ERROR(stop.Check());
  return StoreDataset(tenant, ingested);
}

}  // namespace graft::server::intake
