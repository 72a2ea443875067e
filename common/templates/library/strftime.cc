#include "common/templates/library/strftime.h"

#include <array>

#include "common/base/utf8.h"
#include "common/templates/values/session.h"

namespace graft::templates {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

struct Fields {
  int year;
  unsigned month, day, weekday, day_of_year, hour, minute, second;
};

Fields FieldsOf(std::chrono::sys_seconds time) {
  namespace chrono = std::chrono;
  const auto midnight = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(midnight);
  const auto first = chrono::sys_days(date.year() / chrono::January / 1);
  const auto seconds = static_cast<unsigned>((time - midnight).count());
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          chrono::weekday(midnight).c_encoding(),
          static_cast<unsigned>((midnight - first).count()) + 1,
          seconds / 3600,
          seconds / 60 % 60,
          seconds % 60};
}

/// `number` in `width` places, filled with `fill` ('-' for none).
std::string Padded(unsigned number, size_t width, char fill) {
  std::string text = std::to_string(number);
  if (fill != '-' && text.size() < width) text.insert(0, width - text.size(), fill);
  return text;
}

/// What one directive stands for; empty if it isn't known.
std::string Directive(char what, char fill, const Fields& at) {
  const unsigned hour = at.hour % 12 == 0 ? 12 : at.hour % 12;
  const auto two = [&](unsigned number) { return Padded(number, 2, fill); };
  switch (what) {
    case 'a':
      return std::string(kDays[at.weekday].substr(0, 3));
    case 'A':
      return std::string(kDays[at.weekday]);
    case 'b':
      return std::string(kMonths[at.month - 1].substr(0, 3));
    case 'B':
      return std::string(kMonths[at.month - 1]);
    case 'd':
      return two(at.day);
    case 'e':
      return Padded(at.day, 2, fill == '0' ? ' ' : fill);
    case 'H':
      return two(at.hour);
    case 'I':
      return two(hour);
    case 'j':
      return Padded(at.day_of_year, 3, fill);
    case 'm':
      return two(at.month);
    case 'M':
      return two(at.minute);
    case 'p':
      return at.hour < 12 ? "AM" : "PM";
    case 'S':
      return two(at.second);
    case 'w':
      return std::to_string(at.weekday);
    case 'y':
      return two(static_cast<unsigned>(at.year % 100));
    case 'Y':
      return std::to_string(at.year);
    default:
      return {};
  }
}

/// The directives that several others make up; the directive itself if it is none of them.
std::string_view Expanded(char what) {
  switch (what) {
    case 'c':
      return "%a %b %e %H:%M:%S %Y";
    case 'D':
      return "%m/%d/%y";
    case 'F':
      return "%Y-%m-%d";
    case 'T':
      return "%H:%M:%S";
    default:
      return {};
  }
}

}  // namespace

StatusOr<std::string> FormatTime(std::string_view format, std::chrono::sys_seconds time) {
  const Fields at = FieldsOf(time);
  if (at.year < 1000 || at.year > 9999) return Failure("dates are of the years 1000 to 9999");
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    const bool is_bare = i + 1 < format.size() && format[i + 1] == '-';
    i += is_bare ? 2 : 1;
    const char what = i < format.size() ? format[i] : '\0';
    if (what == '%' && !is_bare) {
      out += '%';
      continue;
    }
    std::string text = Directive(what, is_bare ? '-' : '0', at);
    if (const std::string_view parts = Expanded(what); !parts.empty() && !is_bare) {
      GRAFT_ASSIGN_OR_RETURN(text, FormatTime(parts, time));
    }
    if (text.empty())
      return Failure("strftime_now() has no " + Quoted("%" + std::string(1, what)) + " here");
    out += text;
  }
  return out;
}

}  // namespace graft::templates
