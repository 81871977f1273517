// Room: tools. Curves on paper: gnuplot's script and data of pictures/curves.hpp.
#pragma once

#include "pictures/curves.hpp"

#include <string>

namespace mneme::tools {

/// A line a point: panel, series, run (0 = the middle), x, y, and of the middle the quartiles.
std::string curves_csv(const pictures::Curves& curves);
/// Data and script in one; draws NAME.svg, NAME.pdf and NAME.png. y is logarithmic where a panel spans more than two
/// powers of ten, numbers at or under a thousandth of the largest then at that.
std::string curves_script(const pictures::Curves& curves, const std::string& name);

}  // namespace mneme::tools
