#include "server/rest/transcode.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>

#include "common/base/utf8.h"

namespace graft::server::rest {
namespace {

namespace pb = google::protobuf;

/// A query's parameter as the JSON of a field.
StatusOr<Json> ValueOf(const pb::FieldDescriptor& field, const std::string& text) {
  const std::string name(field.name());
  const auto refuse = [&](const char* what) {
    return InvalidArgumentError(name + " must be " + what + ", not " + Quoted(text, 100)).At(name);
  };
  if (field.is_repeated()) return refuse("said in a body");
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      if (text == "true") return Json(true);
      if (text == "false") return Json(false);
      return refuse("true or false");
    case pb::FieldDescriptor::CPPTYPE_INT32:
    case pb::FieldDescriptor::CPPTYPE_INT64: {
      int64_t number = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || end != text.data() + text.size()) return refuse("a whole number");
      return Json(number);
    }
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return Json(text);
    default:
      return refuse("said in a body");
  }
}

Status AddQuery(const http::Request& request, const pb::Descriptor& type, Json& body) {
  for (const auto& [name, text] : request.query) {
    const pb::FieldDescriptor* field = type.FindFieldByName(name);
    if (field == nullptr)
      return InvalidArgumentError(Quoted(name, 100) + " is no parameter here").At(Printable(name));
    if (body.contains(name))
      return InvalidArgumentError(name + " stands in the body and in the address").At(name);
    GRAFT_ASSIGN_OR_RETURN(body[name], ValueOf(*field, text));
  }
  return OkStatus();
}

/// protobuf's own words, without its code in front.
Status BadMessage(std::string_view said) {
  return InvalidArgumentError("the body doesn't fit: " + Printable(said, 400))
      .AddDetail({"INVALID_BODY", {}, 0, {}, {}});
}

}  // namespace

std::string FillIn(std::string_view form, const http::Request& request) {
  std::string filled;
  while (!form.empty()) {
    const size_t brace = std::min(form.find('{'), form.size());
    filled += form.substr(0, brace);
    form.remove_prefix(brace);
    if (form.empty()) break;
    const size_t end = form.find('}');
    filled += request.arguments.at(std::string(form.substr(1, end - 1)));
    form.remove_prefix(end + 1);
  }
  return filled;
}

StatusOr<Json> BodyOf(const http::Request& request) {
  if (request.body.empty()) return Json::object();
  constexpr JsonLimits kLimits{
      .max_bytes = size_t{64} << 20, .max_depth = 64, .max_values = 2'000'000};
  GRAFT_ASSIGN_OR_RETURN(Json body, ParseJson(request.body, "the body", kLimits));
  if (!body.is_object()) return InvalidArgumentError("the body must be a JSON object");
  return body;
}

Status ReadMessage(const http::Request& request, const std::vector<Binding>& bindings,
                   pb::Message& message) {
  GRAFT_ASSIGN_OR_RETURN(Json body, BodyOf(request));
  GRAFT_RETURN_IF_ERROR(AddQuery(request, *message.GetDescriptor(), body));
  for (const Binding& binding : bindings) {
    const std::string field(binding.field);
    std::string value = FillIn(binding.form, request);
    if (body.contains(field) && body[field] != value)
      return InvalidArgumentError(field + " is already said by the address").At(field);
    body[field] = std::move(value);
  }
  const auto read = pb::util::JsonStringToMessage(body.dump(), &message, {});
  if (!read.ok()) return BadMessage({read.message().data(), read.message().size()});
  return OkStatus();
}

std::string IdOf(const std::string& name) { return name.substr(name.find('/') + 1); }

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

StatusOr<std::string> JsonText(const pb::Message& message) {
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto written = pb::util::MessageToJsonString(message, &text, options);
  if (!written.ok()) return InternalError("the answer can't be written as JSON");
  return text;
}

StatusOr<Json> ToJson(const pb::Message& message) {
  GRAFT_ASSIGN_OR_RETURN(const std::string text, JsonText(message));
  return ParseJson(text, "the answer");
}

}  // namespace graft::server::rest
