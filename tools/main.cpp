// Room: tools. The `mneme` program.
#include "tools/command.hpp"

int main(int argc, char** argv) {
  return mneme::tools::dispatch({argv + 1, argv + argc});
}
