#include "common/families/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <string>
#include <utility>

#include "common/base/utf8.h"

namespace graft::families {
namespace {

/// Fields of a rope, with what was read of each.
class RopeFields {
 public:
  explicit RopeFields(const Json& json) : json_(json) {}

  /// A number over 0; NaN if the field is absent or null.
  double Number(const char* name) {
    read_.insert(name);
    const auto field = json_.find(name);
    if (field == json_.end() || field->is_null()) return NAN;
    if (!field->is_number() || !(field->get<double>() > 0) || field->get<double>() > 1e12) {
      Fail(std::string(name) + " must be a number over 0");
      return NAN;
    }
    return field->get<double>();
  }
  double Required(const char* name) {
    const double value = Number(name);
    if (std::isnan(value)) Fail(std::string(name) + " is missing");
    return value;
  }
  bool Flag(const char* name, bool fallback) {
    read_.insert(name);
    const auto field = json_.find(name);
    if (field == json_.end() || field->is_null()) return fallback;
    if (!field->is_boolean()) Fail(std::string(name) + " must be true or false");
    return field->is_boolean() ? field->get<bool>() : fallback;
  }
  void Skip(const char* name) { read_.insert(name); }
  void Fail(const std::string& what) {
    if (status_.ok()) status_ = InvalidArgumentError("config.json: of its rope, " + what);
  }
  /// Errors: the first fault, or a field that nobody read.
  Status Finish() {
    for (const auto& [name, value] : json_.items()) {
      if (!read_.contains(name) && !value.is_null()) Fail(Quoted(name) + " isn't known");
    }
    return status_;
  }

 private:
  const Json& json_;
  std::set<std::string, std::less<>> read_;
  Status status_;
};

double OrElse(double value, double fallback) { return std::isnan(value) ? fallback : value; }

/// In fp32 throughout, as transformers: at far positions a rounding is a visible part of a turn.
std::vector<float> PlainFrequencies(double theta, int64_t head_dim) {
  std::vector<float> result;
  for (int64_t i = 0; i < head_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(head_dim);
    result.push_back(1.0F / std::pow(static_cast<float>(theta), exponent));
  }
  return result;
}

void ReadLinear(RopeFields& fields, std::vector<float>& frequencies) {
  const auto factor = static_cast<float>(fields.Required("factor"));
  for (float& frequency : frequencies) frequency /= factor;
}

/// Source: _compute_llama3_parameters.
void ReadLlama3(RopeFields& fields, std::vector<float>& frequencies) {
  const auto factor = static_cast<float>(fields.Required("factor"));
  const auto low = static_cast<float>(fields.Required("low_freq_factor"));
  const auto high = static_cast<float>(fields.Required("high_freq_factor"));
  const auto original = static_cast<float>(fields.Required("original_max_position_embeddings"));
  for (float& frequency : frequencies) {
    const float wave = static_cast<float>(2 * std::numbers::pi) / frequency;
    if (wave > original / low) {
      frequency /= factor;
    } else if (wave >= original / high) {
      const float smooth = (original / wave - low) / (high - low);
      frequency = (1 - smooth) * frequency / factor + smooth * frequency;
    }
  }
}

/// Source: _compute_yarn_parameters; arXiv:2309.00071. Returns the factor of cosines and sines, and
/// in `original` the context that the base was trained on.
double ReadYarn(RopeFields& fields, double theta, double& original,
                std::vector<float>& frequencies) {
  const double factor = fields.Required("factor");
  original = OrElse(fields.Number("original_max_position_embeddings"), original);
  const double fast = OrElse(fields.Number("beta_fast"), 32);
  const double slow = OrElse(fields.Number("beta_slow"), 1);
  const bool truncate = fields.Flag("truncate", true);
  const auto scale_of = [&](double mscale) {
    return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1;
  };
  const double mscale = fields.Number("mscale"), all_dim = fields.Number("mscale_all_dim");
  const double both = std::isnan(mscale) || std::isnan(all_dim)
                          ? scale_of(1)
                          : scale_of(mscale) / scale_of(all_dim);
  const double scale = OrElse(fields.Number("attention_factor"), both);

  const auto half = static_cast<double>(frequencies.size());
  const auto dimension = [&](double rotations) {
    return 2 * half * std::log(original / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
  };
  double low = dimension(fast), high = dimension(slow);
  if (truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, 2 * half - 1);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const auto ramp =
        static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
    const float interpolated = frequencies[i] / static_cast<float>(factor);
    frequencies[i] = interpolated * ramp + frequencies[i] * (1 - ramp);
  }
  return scale;
}

/// rope_scaling or rope_parameters as an object; null if there is neither.
StatusOr<Json> Section(const Json& config) {
  for (const char* name : {"rope_parameters", "rope_scaling"}) {
    const auto found = config.find(name);
    if (found == config.end() || found->is_null()) continue;
    if (!found->is_object())
      return InvalidArgumentError(std::string("config.json: ") + name + " must be an object");
    return *found;
  }
  return Json::object();
}

}  // namespace

StatusOr<RopeReading> ReadRope(const Json& config, int64_t head_dim, int64_t max_positions) {
  GRAFT_ASSIGN_OR_RETURN(const Json section, Section(config));
  RopeFields fields(section);
  double theta = fields.Number("rope_theta");
  if (std::isnan(theta)) {
    RopeFields outer(config);
    theta = OrElse(outer.Number("rope_theta"), 10'000);
    if (config.contains("rope_theta") && !config["rope_theta"].is_number())
      return InvalidArgumentError("config.json: rope_theta must be a number over 0");
  }
  for (const char* name : {"rope_type", "type"}) fields.Skip(name);
  const Json kind_json = section.value("rope_type", section.value("type", Json("default")));
  const std::string kind = kind_json.is_string() ? kind_json.get<std::string>() : kind_json.dump();
  if (const double partial = fields.Number("partial_rotary_factor");
      !std::isnan(partial) && partial != 1)
    return UnimplementedError("config.json: a partial_rotary_factor other than 1 isn't built");

  std::vector<float> frequencies = PlainFrequencies(theta, head_dim);
  auto original = static_cast<double>(max_positions);
  RopeReading reading;
  reading.max_positions = max_positions;
  if (kind == "linear") {
    ReadLinear(fields, frequencies);
  } else if (kind == "llama3") {
    ReadLlama3(fields, frequencies);
  } else if (kind == "yarn") {
    reading.rope.scale = ReadYarn(fields, theta, original, frequencies);
    const double longest = original * OrElse(fields.Number("factor"), 1);
    reading.max_positions = std::max(max_positions, static_cast<int64_t>(longest));
  } else if (kind != "default") {
    return UnimplementedError("config.json: the rope type " + Printable(kind) +
                              " isn't built; default, linear, llama3 and yarn are");
  }
  GRAFT_RETURN_IF_ERROR(fields.Finish());
  reading.rope.inverse_frequencies = std::move(frequencies);
  reading.canonical = section;
  reading.canonical.erase("type");
  reading.canonical["rope_type"] = kind;
  reading.canonical["rope_theta"] = theta;
  return reading;
}

void WriteRope(const Json& canonical, Json& config) {
  Json scaling = canonical;
  config["rope_theta"] = scaling["rope_theta"];
  scaling.erase("rope_theta");
  // A rope without scaling is said by none.
  config["rope_scaling"] = scaling == Json{{"rope_type", "default"}} ? Json() : scaling;
}

}  // namespace graft::families
