#include "server/rest/texts.h"

#include <openssl/evp.h>

#include <bit>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "common/base/fields.h"
#include "server/rest/generation_fields.h"
#include "server/rest/handler.h"
#include "server/rest/openai_names.h"
#include "server/rest/provenance.h"
#include "server/rest/transcode.h"

namespace graft::server::rest {
namespace {

namespace v1 = graft::v1;
static_assert(std::endian::native == std::endian::little, "base64 is of little-endian floats");

constexpr size_t kMaxText = size_t{16} << 20;
constexpr char kQuote = '"';

Json Usage(int64_t tokens) { return {{"prompt_tokens", tokens}, {"total_tokens", tokens}}; }

std::string ReadModel(Fields& fields) {
  if (!fields.Has("model")) fields.Fail("model", "must name a base or an adapter");
  return fields.Text("model", 512);
}

/// "input": a text, an object with text and text_pair, or a list of those.
template <typename Request>
Status ReadInputs(const Json& input, Request& request) {
  const Json list = input.is_array() ? input : Json::array({input});
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string at = input.is_array() ? fmt::format("input[{}]", i) : "input";
    v1::TextInput& text = *request.add_inputs();
    if (list[i].is_string()) {
      text.set_text(list[i].get<std::string>());
      continue;
    }
    if (!list[i].is_object())
      return InvalidArgumentError(at + " must be a text; lists of token ids aren't read here")
          .At(at);
    Fields fields(list[i], at);
    text.set_text(fields.Text("text", kMaxText));
    text.set_text_pair(fields.Text("text_pair", kMaxText));
    GRAFT_RETURN_IF_ERROR(fields.Finish());
  }
  return OkStatus();
}

std::string Base64(const google::protobuf::RepeatedField<float>& values) {
  const auto size = static_cast<int>(sizeof(float)) * values.size();
  std::string text(static_cast<size_t>((size + 2) / 3 * 4), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                  reinterpret_cast<const unsigned char*>(values.data()), size);
  return text;
}

/// The shortest decimals that are these floats.
std::string FloatList(const google::protobuf::RepeatedField<float>& values) {
  return fmt::format("[{}]", fmt::join(values, ","));
}

struct EmbeddingRequest {
  std::string model;
  bool wants_base64 = false;
  int64_t dimensions = 0;
  v1::EmbedRequest embed;
};

StatusOr<EmbeddingRequest> ReadEmbeddingRequest(const Json& body) {
  EmbeddingRequest request;
  Fields fields(body, "");
  request.model = ReadModel(fields);
  request.wants_base64 = fields.Choice("encoding_format", {"float", "base64"}, 0) == 1;
  request.dimensions = fields.Integer("dimensions", 1, 1 << 20, 0);
  request.embed.set_normalize(fields.Flag("normalize", true));
  if (!fields.Has("input")) fields.Fail("input", "must be a text or a list of texts");
  ReadHarmless(fields);
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  GRAFT_RETURN_IF_ERROR(ReadInputs(body["input"], request.embed));
  return request;
}

calls::Awaitable<Status> Embed(service::Services& services, calls::CallContext& context,
                               const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(const Json body, BodyOf(request));
  GRAFT_CO_ASSIGN_OR_RETURN(EmbeddingRequest asked, ReadEmbeddingRequest(body));
  GRAFT_CO_ASSIGN_OR_RETURN(const service::Model model,
                            co_await services.models.Find(context, asked.model));
  service::NameIn(model, asked.embed);
  const StatusOr<v1::EmbedResponse> embedded =
      co_await services.inference.Embed(context, asked.embed);
  if (!embedded.ok()) co_return ByOpenAiNames(embedded.status());
  // Written by hand: a JSON value of each number would cost more than computing them.
  std::string data;
  int64_t tokens = 0;
  for (int i = 0; i < embedded->embeddings_size(); ++i) {
    const v1::EmbedResponse::Embedding& one = embedded->embeddings(i);
    if (asked.dimensions != 0 && asked.dimensions != one.values_size()) {
      co_return InvalidArgumentError(fmt::format("dimensions can only be {}, as many as the model "
                                                 "has; leave it out",
                                                 one.values_size()))
          .At("dimensions");
    }
    tokens += one.tokens();
    data += fmt::format(
        R"({}{{"object":"embedding","index":{},"embedding":{}}})", i > 0 ? "," : "", i,
        asked.wants_base64 ? kQuote + Base64(one.values()) + kQuote : FloatList(one.values()));
  }
  out.Send({}, fmt::format(R"({{"object":"list","data":[{}],"model":{},"usage":{},"graft":{}}})",
                           data, Dump(asked.model), Dump(Usage(tokens)),
                           Dump(ProvenanceJson(embedded->provenance()))));
  co_return OkStatus();
}

calls::Awaitable<Status> Classify(service::Services& services, calls::CallContext& context,
                                  const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(const Json body, BodyOf(request));
  v1::ClassifyRequest classify;
  Fields fields(body, "");
  const std::string name = ReadModel(fields);
  classify.set_return_logits(fields.Flag("return_logits", false));
  if (!fields.Has("input")) fields.Fail("input", "must be a text or a list of texts");
  ReadHarmless(fields);
  GRAFT_CO_RETURN_IF_ERROR(fields.Finish());
  GRAFT_CO_RETURN_IF_ERROR(ReadInputs(body["input"], classify));
  GRAFT_CO_ASSIGN_OR_RETURN(const service::Model model,
                            co_await services.models.Find(context, name));
  if (model.adapter.empty()) {
    co_return FailedPreconditionError(name + " is a base, which has no labels; name an adapter")
        .At("model", "NO_CLASSIFIER");
  }
  classify.set_adapter(model.adapter);
  const StatusOr<v1::ClassifyResponse> classified =
      co_await services.inference.Classify(context, classify);
  if (!classified.ok()) co_return ByOpenAiNames(classified.status());
  Json data = Json::array();
  int64_t tokens = 0;
  for (int i = 0; i < classified->predictions_size(); ++i) {
    const auto& prediction = classified->predictions(i);
    Json one = {{"index", i},
                {"label", prediction.label()},
                {"probability", prediction.probability()},
                {"num_classes", prediction.probabilities_size()},
                {"truncated", prediction.truncated()},
                {"probabilities", Json::object()}};
    for (const auto& label : prediction.probabilities())
      one["probabilities"][label.label()] = label.probability();
    if (classify.return_logits()) one["logits"] = prediction.logits();
    tokens += prediction.tokens();
    data.push_back(std::move(one));
  }
  out.Send({}, Dump({{"object", "list"},
                     {"model", name},
                     {"data", std::move(data)},
                     {"usage", Usage(tokens)},
                     {"graft", ProvenanceJson(classified->provenance())}}));
  co_return OkStatus();
}

calls::Awaitable<Status> Score(service::Services& services, calls::CallContext& context,
                               const http::Request& request, http::Responder& out) {
  GRAFT_CO_ASSIGN_OR_RETURN(Json body, BodyOf(request));
  if (!body.contains("model") || !body["model"].is_string())
    co_return InvalidArgumentError("model must name a base or an adapter").At("model");
  const std::string name = body["model"].get<std::string>();
  body.erase("model");
  http::Request rest = request;
  rest.body = Dump(body);
  v1::ScoreRequest score;
  GRAFT_CO_RETURN_IF_ERROR(ReadMessage(rest, {}, score));
  if (!score.adapter().empty() || !score.base().empty())
    co_return InvalidArgumentError("model says what scores; leave adapter and base out")
        .At("model");
  GRAFT_CO_ASSIGN_OR_RETURN(const service::Model model,
                            co_await services.models.Find(context, name));
  service::NameIn(model, score);
  const StatusOr<v1::ScoreResponse> scored = co_await services.inference.Score(context, score);
  if (!scored.ok()) co_return scored.status();
  GRAFT_CO_ASSIGN_OR_RETURN(std::string text, JsonText(*scored));
  out.Send({}, std::move(text));
  co_return OkStatus();
}

}  // namespace

http::Handler EmbeddingsHandler(service::Services& services) { return HandlerOf(services, Embed); }
http::Handler ClassifyHandler(service::Services& services) { return HandlerOf(services, Classify); }
http::Handler ScoreHandler(service::Services& services) { return HandlerOf(services, Score); }

}  // namespace graft::server::rest
