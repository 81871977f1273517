// Room: core. The errors of the whole program, by what the caller can do about them.
//
// A message starts with where in brackets and shows the shapes, values, file or line at fault:
//   [cosine] query width 24, memory width 20 in [B=16 M=20 N=128]
// The `mneme` program turns each kind into its exit code; nothing below tools/ ever calls exit().
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace mneme {

/// Base of every error that this library throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The caller's input is wrong: unknown name, value out of range, shapes that do not fit (exit 2).
class ArgumentError final : public Error {
 public:
  using Error::Error;
};

/// The world refused: disk full, permission, missing program (exit 1).
class RuntimeFailure final : public Error {
 public:
  using Error::Error;
};

/// A file is not ours, damaged, or of a newer major schema (exit 3).
class FileError final : public Error {
 public:
  using Error::Error;
};

/// A value stopped being finite (exit 4).
class NonFiniteError final : public Error {
 public:
  using Error::Error;
};

/// Our own mistake: an invariant does not hold (exit 1).
class InvariantError final : public Error {
 public:
  using Error::Error;
};

/// Throws an E that says "[where] text". Of every E above, and of core/stopped.hpp's.
template <class E>
[[noreturn]] void throw_formatted(std::string_view where, fmt::string_view format, fmt::format_args args);

/// fail<ArgumentError>("cosine", "query width {}, memory width {}", q, m)  ->  "[cosine] query width ..."
template <class E, class... Args>
[[noreturn]] void fail(std::string_view where, fmt::format_string<Args...> format, Args&&... args) {
  throw_formatted<E>(where, format, fmt::make_format_args(args...));
}

}  // namespace mneme
