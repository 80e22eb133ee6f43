// Launches of users' kernels from Python: two types of Python objects, so that a call that was made before costs no
// interpreted code. Part of the native library; _kernel/fast_launch.py is its only user.
//
//   Calls     one a kernel. Called with what stands between the brackets, it returns what that means: a Launcher, or a
//             kernel with template arguments. It also holds the patterns of arguments that were launched with.
//   Launcher  a kernel with its grid, block, stream and shared memory. Called with arguments whose pattern is known, it
//             packs them and launches; for all others it calls the Launcher of Python, which does everything.
//
// Nothing here raises an exception of its own: what is unusual goes to Python, and there stand the messages.
#pragma once
#include <cstdlib>

#include "../transfers.hpp"
#include "python_values.hpp"

namespace ca::python {

// ---- arguments --------------------------------------------------------------------------------------------------
// What one argument must be, and how it becomes the bytes of its parameter. All 64 bits wide: Python writes it.
struct Guard {
  Type* type;
  Object* dtype;      // of an array; null for a scalar
  Object* writeable;  // of an array
  std::uint64_t source, target, offset;
};

struct Pattern {
  Object* keep;                // a tuple of all that the guards and the record's address rely on
  Object* name;                // of the instance; in keep
  const std::int64_t* record;  // launcher, function
  std::size_t count;
  Guard guards[1];             // count of them
};

inline bool matches(const Guard& guard, Object* object) {
  if (object->type != guard.type) return false;
  if (!guard.dtype) return true;
  Object* layout = slot(object, offsets().layout);
  return layout && slot(layout, offsets().dtype) == guard.dtype && slot(object, offsets().writeable) == guard.writeable;
}

// The bytes of an argument that matches its guard; false if only Python can tell.
inline bool pack(const Guard& guard, Object* object, char* out) {
  if (guard.source != pointer) return pack_scalar(guard.source, guard.target, object, out);
  std::uint64_t address = 0;  // None's
  return (!guard.dtype || address_of(object, address)) && put(out, address);
}

// ---- objects ----------------------------------------------------------------------------------------------------
constexpr std::size_t most_patterns = 64, most_meanings = 1024, most_arguments = 64, most_bytes = 1024;

struct Calls {
  Object head;
  Vectorcall call;
  Object* subscript;  // Python's way from a key to what it means; always to the same
  Object* failed;     // called with (Python's launcher, instance's name, result, arguments ...) after a failed launch
  Object* meanings;   // a dict of what was returned, by key
  std::size_t count;
  Pattern* patterns[most_patterns];  // only ever appended to
};

struct Launcher {
  Object head;
  Vectorcall call;
  Object* slow;  // Python's launcher
  Calls* calls;
  std::size_t latest;  // the pattern that matched last
  void* stream;        // null: the current one
  unsigned grid[3], block[3], shared;
};

struct Types {
  Object *calls, *launcher;
};
inline Types& types() {
  static Types value{};
  return value;
}

using CurrentStream = void*();
inline CurrentStream*& current_stream() {
  static CurrentStream* function = nullptr;
  return function;
}

// Whether equality of keys means that they say the same: 1 == 1.0 == True, and objects may be equal to anything.
inline bool is_plain_part(Object* part) {
  return part->type == &long_type || part->type == &unicode_type || part->type == &type_type || part == &none;
}
inline bool is_plain(Object* key) {
  if (key->type != &tuple_type) return is_plain_part(key);
  for (std::intptr_t k = 0, n = tuple_size(key); k < n; ++k) {
    Object* part = tuple_get(key, k);
    if (is_plain_part(part)) continue;
    if (part->type != &tuple_type) return false;
    for (std::intptr_t i = 0, m = tuple_size(part); i < m; ++i)
      if (!is_plain_part(tuple_get(part, i))) return false;
  }
  return true;
}

inline Object* call_calls(Object* object, Object* const* args, std::size_t flagged_count, Object* names) {
  Calls* self = reinterpret_cast<Calls*>(object);
  const bool plain = (flagged_count & count_mask) == 1 && !names && is_plain(args[0]);
  if (plain) {
    if (Object* found = dict_get(self->meanings, args[0])) {
      incref(found);
      return found;
    }
    if (error_occurred()) return nullptr;
  }
  Object* made = vectorcall(self->subscript, args, flagged_count & count_mask, names);
  if (made && plain) {
    if (dict_size(self->meanings) >= std::intptr_t(most_meanings)) dict_clear(self->meanings);
    if (dict_set(self->meanings, args[0], made) != 0) {
      decref(made);
      return nullptr;
    }
  }
  return made;
}

// False while all launches go to Python, which then does more than launch.
inline bool& patterns_allowed() {
  static bool allowed = true;
  return allowed;
}
// The pattern that the arguments have, or null. No code of Python runs here.
inline const Pattern* find_pattern(Launcher* self, Object* const* args, std::size_t count) {
  Calls* calls = self->calls;
  for (std::size_t k = 0, index = self->latest; k < calls->count; ++k, ++index) {
    if (index >= calls->count) index = 0;
    const Pattern* pattern = calls->patterns[index];
    if (pattern->count != count) continue;
    std::size_t at = 0;
    while (at < count && matches(pattern->guards[at], args[at])) ++at;
    if (at == count) {
      self->latest = index;
      return pattern;
    }
  }
  return nullptr;
}

// Out of line: its frame is large.
__attribute__((noinline)) inline Object* report(Launcher* self, const Pattern* pattern, int result,
                                                Object* const* args, std::size_t count) {
  Object* number = long_from(result);
  if (!number) return nullptr;
  Object* all[3 + most_arguments] = {self->slow, pattern->name, number};
  std::memcpy(all + 3, args, count * sizeof *args);
  Object* answer = vectorcall(self->calls->failed, all, 3 + count, nullptr);
  decref(number);
  return answer;
}

// Not noexcept: where Python ends, restore_thread ends a daemon thread by unwinding its stack.
inline Object* call_launcher(Object* object, Object* const* args, std::size_t flagged_count, Object* names) {
  Launcher* self = reinterpret_cast<Launcher*>(object);
  const std::size_t count = flagged_count & count_mask;
  const Pattern* pattern = names || !patterns_allowed() ? nullptr : find_pattern(self, args, count);
  alignas(16) char slots[most_bytes];
  void* params[most_arguments];
  for (std::size_t k = 0; pattern && k < count; ++k) {
    const Guard& guard = pattern->guards[k];
    params[k] = slots + guard.offset;
    if (!pack(guard, args[k], slots + guard.offset)) pattern = nullptr;
  }
  if (!pattern) return vectorcall(self->slow, args, count, names);
  void* stream = self->stream;
  if (!stream && current_stream()) stream = current_stream()();
  for (std::size_t k = 0; k < count; ++k)
    if (pattern->guards[k].source == pointer) take_back(static_cast<const unsigned long*>(params[k]), 1, stream);
  // From here to the launcher's return nothing of Python's is touched. The caller holds this object, it holds the
  // patterns, and these stay where they are.
  auto* launch = reinterpret_cast<LaunchKernel*>(pattern->record[0]);
  void* function = reinterpret_cast<void*>(pattern->record[1]);
  void* thread = save_thread();
  const int result = launch(function, self->grid[0], self->grid[1], self->grid[2], self->block[0], self->block[1],
                            self->block[2], self->shared, stream, params, nullptr);
  restore_thread(thread);
  if (result != 0) return report(self, pattern, result, args, count);
  incref(&none);
  return &none;
}

// ---- the types --------------------------------------------------------------------------------------------------
// No tp_clear: every cycle through these objects passes a dict, which the collector can clear.
inline int traverse_calls(Object* object, Visit visit, void* data) {
  Calls* self = reinterpret_cast<Calls*>(object);
  for (std::size_t k = 0; k < self->count; ++k)
    if (int stop = visit(self->patterns[k]->keep, data)) return stop;
  return visit_all(visit, data, {reinterpret_cast<Object*>(object->type), self->subscript, self->failed, self->meanings});
}
inline int traverse_launcher(Object* object, Visit visit, void* data) {
  Launcher* self = reinterpret_cast<Launcher*>(object);
  return visit_all(visit, data, {reinterpret_cast<Object*>(object->type), self->slow, &self->calls->head});
}
inline void dealloc_calls(Object* object) {
  gc_untrack(object);
  Calls* self = reinterpret_cast<Calls*>(object);
  for (Object* held : {self->subscript, self->failed, self->meanings}) decref(held);
  for (std::size_t k = 0; k < self->count; ++k) {
    decref(self->patterns[k]->keep);
    std::free(self->patterns[k]);
  }
  destroy(object);
}
inline void dealloc_launcher(Object* object) {
  gc_untrack(object);
  Launcher* self = reinterpret_cast<Launcher*>(object);
  decref(self->slow);
  decref(&self->calls->head);
  destroy(object);
}
inline Object* repr_launcher(Object* object) { return repr(reinterpret_cast<Launcher*>(object)->slow); }
// To look at, it is Python's launcher.
inline Object* launcher_attribute(Object* object, Object* name) {
  return get_attribute(reinterpret_cast<Launcher*>(object)->slow, name);
}

// ---- for fast_launch.py, by ctypes and with the GIL held -------------------------------------------------------------
// False, with a Python exception, if the types cannot be made.
inline bool start(const Offsets* found) noexcept {
  offsets() = *found;
  if (!types().calls)
    types().calls = make_called_type("cuarray._kernel.kernel.Calls", sizeof(Calls), offsetof(Calls, call), 0,
                                     reinterpret_cast<void*>(dealloc_calls), reinterpret_cast<void*>(traverse_calls),
                                     nullptr, nullptr);
  if (!types().launcher)
    types().launcher =
        make_called_type("cuarray._kernel.kernel.Launcher", sizeof(Launcher), offsetof(Launcher, call), 0,
                         reinterpret_cast<void*>(dealloc_launcher), reinterpret_cast<void*>(traverse_launcher),
                         reinterpret_cast<void*>(repr_launcher), reinterpret_cast<void*>(launcher_attribute));
  return types().calls && types().launcher;
}

inline Object* new_calls(Object* subscript, Object* failed) noexcept {
  Object* meanings = new_dict();
  if (!meanings) return nullptr;
  Object* object = generic_alloc(reinterpret_cast<Type*>(types().calls), 0);
  if (!object) {
    decref(meanings);
    return nullptr;
  }
  Calls* self = reinterpret_cast<Calls*>(object);
  self->call = call_calls;
  incref(self->subscript = subscript);
  incref(self->failed = failed);
  self->meanings = meanings;
  return object;
}

// words: grid, block, shared bytes, stream.
inline Object* new_launcher(Object* calls, Object* slow, const std::int64_t* words) noexcept {
  Object* object = generic_alloc(reinterpret_cast<Type*>(types().launcher), 0);
  if (!object) return nullptr;
  Launcher* self = reinterpret_cast<Launcher*>(object);
  self->call = call_launcher;
  incref(self->slow = slow);
  incref(calls);
  self->calls = reinterpret_cast<Calls*>(calls);
  for (int k = 0; k < 3; ++k) self->grid[k] = unsigned(words[k]), self->block[k] = unsigned(words[3 + k]);
  self->shared = unsigned(words[6]);
  self->stream = reinterpret_cast<void*>(words[7]);
  return object;
}

// How many patterns there are now. One that is there already, or too many or too large, is not added.
inline std::size_t add_pattern(Object* object, Object* keep, Object* name, const std::int64_t* record,
                               const Guard* guards, std::size_t count, std::size_t bytes) noexcept {
  Calls* self = reinterpret_cast<Calls*>(object);
  if (self->count == most_patterns || count > most_arguments || bytes > most_bytes) return self->count;
  for (std::size_t k = 0; k < self->count; ++k) {
    const Pattern* other = self->patterns[k];
    if (other->count == count && (count == 0 || std::memcmp(other->guards, guards, count * sizeof(Guard)) == 0))
      return self->count;
  }
  auto* pattern = static_cast<Pattern*>(std::malloc(sizeof(Pattern) + count * sizeof(Guard)));
  if (!pattern) return self->count;  // it was only going to be faster
  incref(pattern->keep = keep);
  pattern->name = name;
  pattern->record = record;
  pattern->count = count;
  if (count) std::memcpy(pattern->guards, guards, count * sizeof(Guard));
  self->patterns[self->count++] = pattern;
  return self->count;
}

// The address of the function that tells the stream of launches that name none; 0: CUDA's default stream.
inline void set_current_stream(std::int64_t function) noexcept {
  current_stream() = reinterpret_cast<CurrentStream*>(function);
}

inline void allow_patterns(bool allowed) noexcept { patterns_allowed() = allowed; }

// All in one place: what Cling compiles for one definition sees the same variables.
inline const void* const* functions() noexcept {
  static const void* const table[] = {
      reinterpret_cast<const void*>(start), reinterpret_cast<const void*>(new_calls),
      reinterpret_cast<const void*>(new_launcher), reinterpret_cast<const void*>(add_pattern),
      reinterpret_cast<const void*>(set_current_stream), reinterpret_cast<const void*>(allow_patterns)};
  return table;
}

}  // namespace ca::python
