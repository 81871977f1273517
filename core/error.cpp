#include "core/error.hpp"

#include "core/stopped.hpp"

namespace mneme {

template <class E>
void throw_formatted(std::string_view where, fmt::string_view format, fmt::format_args args) {
  std::string text = "[";
  text.append(where).append("] ").append(fmt::vformat(format, args));
  throw E(text);
}

template void throw_formatted<ArgumentError>(std::string_view, fmt::string_view, fmt::format_args);
template void throw_formatted<RuntimeFailure>(std::string_view, fmt::string_view, fmt::format_args);
template void throw_formatted<FileError>(std::string_view, fmt::string_view, fmt::format_args);
template void throw_formatted<NonFiniteError>(std::string_view, fmt::string_view, fmt::format_args);
template void throw_formatted<InvariantError>(std::string_view, fmt::string_view, fmt::format_args);
template void throw_formatted<Stopped>(std::string_view, fmt::string_view, fmt::format_args);

}  // namespace mneme
