#include "common/artifacts/floats.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace graft::artifacts {
namespace {

float FromBfloat(uint16_t word) { return std::bit_cast<float>(static_cast<uint32_t>(word) << 16); }

uint16_t ToBfloat(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

float FromHalf(uint16_t word) {
  const int exponent = word >> 10 & 31, fraction = word & 0x3FF;
  float value = 0;
  if (exponent == 31) {
    value = fraction != 0 ? NAN : INFINITY;
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    value = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return (word & 0x8000) != 0 ? -value : value;
}

uint16_t ToHalf(float value) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (std::isnan(value)) return sign | 0x7E00;
  int exponent = 0;
  const float size = std::abs(value);
  if (size == 0 || size == INFINITY) return sign | (size == 0 ? 0 : 0x7C00);
  std::frexp(size, &exponent);
  // Steps of 2^-24 below the least normal number, else of 2^-10 of the leading bit; nearbyint
  // rounds half to even.
  const int step = std::max(exponent - 11, -24);
  const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, -step)));
  // A carry into the next power of two is the next exponent by itself.
  const uint32_t bits = (static_cast<uint32_t>(step + 24) << 10) + steps;
  return sign | static_cast<uint16_t>(bits < 0x7C00 ? bits : 0x7C00);
}

template <typename Word, typename Convert>
std::vector<float> Read(std::string_view data, const Convert& convert) {
  std::vector<float> values(data.size() / sizeof(Word));
  for (size_t i = 0; i < values.size(); ++i) {
    Word word;
    std::memcpy(&word, data.data() + i * sizeof(Word), sizeof(Word));
    values[i] = convert(word);
  }
  return values;
}

template <typename Word, typename Convert>
std::string Written(const std::vector<float>& values, const Convert& convert) {
  std::string data(values.size() * sizeof(Word), '\0');
  for (size_t i = 0; i < values.size(); ++i) {
    const Word word = convert(values[i]);
    std::memcpy(data.data() + i * sizeof(Word), &word, sizeof(Word));
  }
  return data;
}

Status NoFloat(std::string_view dtype) {
  return InvalidArgumentError("weights of type " + std::string(dtype) +
                              " aren't floats; F32, F16, BF16 and F64 are");
}

}  // namespace

StatusOr<std::vector<float>> ToFloats(std::string_view dtype, std::string_view data) {
  if (dtype == "F32") return Read<float>(data, [](float value) { return value; });
  if (dtype == "BF16") return Read<uint16_t>(data, &FromBfloat);
  if (dtype == "F16") return Read<uint16_t>(data, &FromHalf);
  if (dtype == "F64")
    return Read<double>(data, [](double value) { return static_cast<float>(value); });
  return NoFloat(dtype);
}

StatusOr<std::string> FromFloats(std::string_view dtype, const std::vector<float>& values) {
  if (dtype == "F32") return Written<float>(values, [](float value) { return value; });
  if (dtype == "BF16") return Written<uint16_t>(values, &ToBfloat);
  if (dtype == "F16") return Written<uint16_t>(values, &ToHalf);
  if (dtype == "F64")
    return Written<double>(values, [](float value) { return static_cast<double>(value); });
  return NoFloat(dtype);
}

}  // namespace graft::artifacts
