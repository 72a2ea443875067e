#include "common/otlp/otlp_json.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "common/base/json.h"

namespace graft::otlp {
namespace {

constexpr JsonLimits kAnswerLimits = {64 << 10, 8, 1000};

OrderedJson Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

struct ToAnyValue {
  OrderedJson operator()(const std::string& value) const { return {{"stringValue", value}}; }
  OrderedJson operator()(int64_t value) const { return {{"intValue", std::to_string(value)}}; }
  OrderedJson operator()(double value) const { return {{"doubleValue", Number(value)}}; }
  OrderedJson operator()(bool value) const { return {{"boolValue", value}}; }
};

OrderedJson Attributes(const std::vector<tracing::Attribute>& attributes) {
  OrderedJson list = OrderedJson::array();
  for (const tracing::Attribute& attribute : attributes)
    list.push_back({{"key", attribute.name}, {"value", std::visit(ToAnyValue(), attribute.value)}});
  return list;
}

/// The ids of a span's own context or a link's.
void Name(const tracing::SpanContext& context, OrderedJson& json) {
  json["traceId"] = context.trace_id;
  json["spanId"] = context.span_id;
  if (!context.state.empty()) json["traceState"] = context.state;
  json["flags"] = context.is_sampled ? 1 : 0;
}

OrderedJson Event(const tracing::SpanEvent& event) {
  return {{"timeUnixNano", std::to_string(event.time)}, {"name", event.name}};
}

OrderedJson SpanJson(const tracing::Span& span) {
  constexpr int kError = 2;  // Status.StatusCode
  OrderedJson json = OrderedJson::object();
  Name(span.context, json);
  if (!span.parent_id.empty()) json["parentSpanId"] = span.parent_id;
  json["name"] = span.name;
  json["kind"] = static_cast<int>(span.kind);
  json["startTimeUnixNano"] = std::to_string(span.start);
  json["endTimeUnixNano"] = std::to_string(span.end);
  json["attributes"] = Attributes(span.attributes);
  for (const tracing::SpanEvent& event : span.events) json["events"].push_back(Event(event));
  if (span.dropped_events > 0) json["droppedEventsCount"] = span.dropped_events;
  for (const tracing::SpanContext& link : span.links) {
    OrderedJson other = OrderedJson::object();
    Name(link, other);
    json["links"].push_back(std::move(other));
  }
  json["status"] = OrderedJson::object();
  if (span.has_failed) json["status"] = {{"message", span.message}, {"code", kError}};
  return json;
}

}  // namespace

void Set(Resource& resource, const std::string& name, const tracing::Value& value) {
  std::erase_if(resource, [&](const tracing::Attribute& other) { return other.name == name; });
  resource.push_back({name, value});
}

void SetIfAbsent(Resource& resource, const std::string& name, const tracing::Value& value) {
  const auto is_same = [&](const tracing::Attribute& other) { return other.name == name; };
  if (std::ranges::none_of(resource, is_same)) resource.push_back({name, value});
}

std::string ToOtlpJson(const Resource& resource, const std::vector<tracing::Span>& spans) {
  OrderedJson list = OrderedJson::array();
  for (const tracing::Span& span : spans) list.push_back(SpanJson(span));
  const OrderedJson scope = {{"scope", {{"name", "graft"}}}, {"spans", std::move(list)}};
  OrderedJson of_resource = OrderedJson::object();
  of_resource["resource"] = {{"attributes", Attributes(resource)}};
  of_resource["scopeSpans"] = OrderedJson::array({scope});
  OrderedJson request = OrderedJson::object();
  request["resourceSpans"] = OrderedJson::array({std::move(of_resource)});
  return request.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

Refused RefusedOf(const std::string& answer) {
  Refused refused;
  const StatusOr<OrderedJson> json =
      ParseOrderedJson(answer, "a collector's answer", kAnswerLimits);
  if (!json.ok() || !json->is_object()) return refused;
  const auto partial = json->find("partialSuccess");
  if (partial == json->end() || !partial->is_object()) return refused;
  const auto spans = partial->find("rejectedSpans");
  if (spans != partial->end() && spans->is_number_integer()) refused.spans = spans->get<int64_t>();
  if (spans != partial->end() && spans->is_string())
    refused.spans = std::strtoll(spans->get_ref<const std::string&>().c_str(), nullptr, 10);
  const auto why = partial->find("errorMessage");
  if (why != partial->end() && why->is_string()) refused.why = why->get<std::string>();
  return refused;
}

}  // namespace graft::otlp
